//! Both engines give the same logits for the bundled model.
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

fn logits_of(library: &Path) -> Vec<f32> {
    let output = Command::new(std::env::current_exe().expect("this test"))
        .args(["--exact", "print_logits", "--nocapture"])
        .env(ENGINE, library)
        .output()
        .expect("it starts");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let (_, rest) = said.split_once(MARK).unwrap_or_else(|| panic!("no logits in {said}"));
    let line = rest.lines().next().unwrap_or_default();
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
