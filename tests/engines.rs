//! Both engines give the same logits for the bundled model, and keep no memory from one run to the next.
//!
//! `ort` keeps one engine in a process, so each engine runs in a process of its own: this test, called again.

use std::path::{Path, PathBuf};
use std::process::Command;

use antiphon::midi_file::read_notes;
use antiphon::model::{BUNDLED_MODEL, Engine, EngineChoice, LstmModel, ModelFile, NoteModel as _};
use antiphon::note_model::{Attribute, NoteClasses};

/// Names the engine's library for the process that computes; empty for the embedded engine.
const ENGINE: &str = "ANTIPHON_TEST_ENGINE";
/// Marks a line of logits in the output of that process.
const MARK: &str = "logits:";
/// Marks how much more memory it had after [`RUNS`], in kB.
const GROWTH: &str = "growth:";
/// Runs of the heads, in which one output that is not given back makes several MB.
const RUNS: usize = 30_000;
/// Largest difference between the engines, of a logit up to 1; of a larger one in proportion, as its last digits are.
const TOLERANCE: f32 = 1e-5;

/// The notes of the bundled phrase.
fn phrase() -> Vec<NoteClasses> {
    let notes = read_notes(&Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/phrase.mid")).expect("whole");
    let before = std::iter::once(None).chain(notes.iter().map(|note| Some(note.onset)));
    notes.iter().zip(before).map(|(note, before)| NoteClasses::encode(note, before)).collect()
}

fn model(choice: &EngineChoice) -> LstmModel {
    let engine = Engine::start(choice).expect("the engine starts");
    let file = ModelFile::from_bytes(Path::new("bundled"), BUNDLED_MODEL.to_vec()).expect("ours");
    LstmModel::load(&file, &engine).expect("the engine takes it")
}

/// Logits of every attribute of every note of the phrase: stepped live, one note after the other.
fn stepped(model: &mut LstmModel, notes: &[NoteClasses]) -> Vec<f32> {
    let mut state = model.start(0).expect("starts");
    let (mut all, mut logits) = (Vec::new(), Vec::new());
    for &note in notes {
        for attribute in Attribute::ALL {
            model.logits(&state, note, attribute, &mut logits).expect("runs");
            all.extend_from_slice(&logits);
        }
        model.advance(&mut state, note, 0).expect("steps");
    }
    all
}

/// The same in one run over the whole phrase, in the order of [`stepped`].
fn whole(model: &mut LstmModel, notes: &[NoteClasses]) -> Vec<f32> {
    let tables = model.score(notes, 0).expect("runs").tables;
    let row = |note: usize, attribute: Attribute| {
        let classes = attribute.classes();
        tables[attribute.index()][note * classes..(note + 1) * classes].to_vec()
    };
    (0..notes.len()).flat_map(|note| Attribute::ALL.map(|attribute| row(note, attribute)).concat()).collect()
}

fn largest_difference(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| (a - b).abs() / a.abs().max(1.0)).fold(0.0, f32::max)
}

#[test]
fn stepping_live_and_scoring_whole_pieces_agree() {
    if std::env::var_os(ENGINE).is_some() {
        return;
    }
    let mut model = model(&EngineChoice::Embedded);
    let notes = phrase();
    let difference = largest_difference(&stepped(&mut model, &notes), &whole(&mut model, &notes));
    println!("stepped and whole differ by {difference:e} at most");
    assert!(difference <= TOLERANCE, "{difference:e}");
}

/// Computes in a process of its own and prints the logits.
#[test]
fn print_logits() {
    let Some(library) = std::env::var_os(ENGINE) else { return };
    let choice = match library.to_str() {
        Some("") => EngineChoice::Embedded,
        _ => EngineChoice::OnnxRuntime(PathBuf::from(library)),
    };
    let mut model = model(&choice);
    let logits: Vec<String> =
        stepped(&mut model, &phrase()).iter().map(|logit| format!("{:x}", logit.to_bits())).collect();
    println!("{MARK}{}", logits.join(" "));
}

/// Runs the heads many times in a process of its own and prints how much its memory grew.
#[test]
#[cfg(target_os = "linux")]
fn print_growth() {
    let Some(library) = std::env::var_os(ENGINE) else { return };
    let choice = match library.to_str() {
        Some("") => EngineChoice::Embedded,
        _ => EngineChoice::OnnxRuntime(PathBuf::from(library)),
    };
    let resident_kb = || -> u64 {
        let status = std::fs::read_to_string("/proc/self/status").expect("linux tells");
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("a resident set");
        line.split_whitespace().nth(1).and_then(|kb| kb.parse().ok()).expect("kB")
    };
    let mut model = model(&choice);
    let state = model.start(0).expect("starts");
    let mut logits = Vec::new();
    let mut run = |times: usize| {
        for _ in 0..times {
            model.logits(&state, NoteClasses([0, 60, 20, 16]), Attribute::Velocity, &mut logits).expect("runs");
        }
    };
    run(RUNS / 10);
    let before = resident_kb();
    run(RUNS);
    println!("{GROWTH}{}", resident_kb().saturating_sub(before));
}

/// What a process of this test's own says behind the mark.
fn said_by(test: &str, library: &Path, mark: &str) -> String {
    let output = Command::new(std::env::current_exe().expect("this test"))
        .args(["--exact", test, "--nocapture"])
        .env(ENGINE, library)
        .output()
        .expect("it starts");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let (_, rest) = said.split_once(mark).unwrap_or_else(|| panic!("no {mark} in {said}"));
    rest.lines().next().unwrap_or_default().to_owned()
}

#[test]
#[cfg(target_os = "linux")]
fn a_run_leaves_no_memory_behind() {
    if std::env::var_os(ENGINE).is_some() {
        return;
    }
    let onnx_runtime = onnx_runtime();
    if onnx_runtime.is_none() {
        println!("left out: no ONNX Runtime here (tools/get-onnxruntime.sh fetches it)");
    }
    for library in onnx_runtime.into_iter().chain([PathBuf::new()]) {
        let grown: u64 = said_by("print_growth", &library, GROWTH).parse().expect("kB");
        println!("{:?}: {grown} kB more after {RUNS} runs", library.display().to_string());
        assert!(grown < 1_500, "{grown} kB more after {RUNS} runs of {:?}", library.display().to_string());
    }
}

fn logits_of(library: &Path) -> Vec<f32> {
    let line = said_by("print_logits", library, MARK);
    line.split(' ').map(|bits| f32::from_bits(u32::from_str_radix(bits, 16).expect("bits"))).collect()
}

#[test]
fn both_engines_give_the_same_logits() {
    if std::env::var_os(ENGINE).is_some() {
        return;
    }
    let Some(library) = onnx_runtime() else {
        println!("left out: no ONNX Runtime here (tools/get-onnxruntime.sh fetches it)");
        return;
    };
    let difference = largest_difference(&logits_of(&library), &logits_of(Path::new("")));
    println!("{} and the embedded engine differ by {difference:e} at most", library.display());
    assert!(difference <= TOLERANCE, "{difference:e}");
}

/// ONNX Runtime where `tools/get-onnxruntime.sh` puts it, or where `ORT_DYLIB_PATH` says.
fn onnx_runtime() -> Option<PathBuf> {
    let named = std::env::var_os("ORT_DYLIB_PATH").map(PathBuf::from);
    let data = std::env::var_os("XDG_DATA_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".local/share")))?;
    let fetched = std::fs::read_dir(data.join("antiphon")).ok().into_iter().flatten().filter_map(|entry| {
        let path = entry.ok()?.path();
        path.file_name()?.to_str()?.starts_with("libonnxruntime").then_some(path)
    });
    named.into_iter().chain(fetched).find(|path| path.is_file())
}
