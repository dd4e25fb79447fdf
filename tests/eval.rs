//! `antiphon eval`: what it prints about a few songs, and what it says to bad input.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

/// Styles with train/ and test/, made of songs of the repository.
struct Songs {
    folder: TempDir,
}

impl Songs {
    fn new() -> Self {
        let songs = Self { folder: tempfile::tempdir().expect("a folder") };
        songs.put("folk", &[("train", 6), ("test", 2)]);
        songs.put("dance", &[("train", 5), ("test", 2)]);
        songs
    }

    /// So many songs of a style for each part.
    fn put(&self, style: &str, parts: &[(&str, usize)]) {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("mid_songs").join(style);
        let mut songs: Vec<PathBuf> =
            fs::read_dir(source).expect("songs").map(|file| file.expect("one").path()).collect();
        songs.retain(|path| path.extension().is_some_and(|extension| extension == "mid"));
        songs.sort_unstable();
        let mut songs = songs.iter();
        for (part, count) in parts {
            let folder = self.path(style).join(part);
            fs::create_dir_all(&folder).expect("made");
            for song in songs.by_ref().take(*count) {
                fs::copy(song, folder.join(song.file_name().expect("a file"))).expect("copied");
            }
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn eval(&self, flags: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_antiphon"))
            .args(["eval", &model(), "."])
            .args(flags)
            .args(["--engine", "embedded"])
            .current_dir(self.folder.path())
            .output()
            .expect("it starts")
    }

    /// The JSON lines, and what was said beside them.
    fn lines(&self, flags: &[&str]) -> (Vec<Value>, String) {
        let output = self.eval(&[flags, &["--json"]].concat());
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(0), "{said}");
        let lines = String::from_utf8_lossy(&output.stdout).into_owned();
        (lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect(), said)
    }
}

fn model() -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("models/antiphon.onnx").display().to_string()
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("no number: {value}"))
}

#[test]
fn the_last_line_sums_up_the_pieces() {
    let songs = Songs::new();
    fs::write(songs.path("folk/test/broken.mid"), "no music").expect("written");
    let (lines, said) = songs.lines(&[]);
    assert!(said.contains("left out") && said.contains("broken.mid"), "{said}");
    let (total, pieces) = lines.split_last().expect("lines");
    assert_eq!(pieces.len(), 4);
    assert_eq!(total["pieces"], 4);
    let notes: f64 = pieces.iter().map(|piece| number(&piece["notes"])).sum();
    assert!((number(&total["notes"]) - notes).abs() < 0.5);

    for part in ["shift", "key", "duration", "velocity"] {
        let mean = pieces.iter().map(|piece| number(&piece[part]) * number(&piece["notes"])).sum::<f64>() / notes;
        assert!((mean - number(&total[part])).abs() < 1e-3, "{part}");
    }
    let sum: f64 = ["shift", "key", "duration", "velocity"].iter().map(|part| number(&total[part])).sum();
    assert!((sum - number(&total["bits_per_note"])).abs() < 1e-3);
    let (markov, unigram) = (number(&total["markov_bits_per_note"]), number(&total["unigram_bits_per_note"]));
    assert!(0.0 < markov && markov < unigram, "{markov} {unigram}");
    assert!(number(&total["markov"]["key"]) > 0.0 && number(&total["n_gram"]["key"]) > 0.0);
    assert_eq!(total["styles"]["dance"]["pieces"], 2);
}

#[test]
fn the_table_shows_each_style_and_the_total() {
    let songs = Songs::new();
    let output = songs.eval(&[]);
    let table = String::from_utf8_lossy(&output.stdout).into_owned();
    for word in ["folk", "dance", "total", "model", "alone", "Markov", "n-gram", "unigram", "10 ms grid"] {
        assert!(table.contains(word), "{word} in {table}");
    }
}

#[test]
fn what_a_piece_teaches_makes_it_cheaper() {
    let songs = Songs::new();
    let total = |flags: &[&str]| songs.lines(flags).0.pop().expect("lines");
    let (with, without) = (total(&[]), total(&["--memory", "0"]));
    let alone = number(&with["bits_per_note_alone"]);
    assert!(number(&with["bits_per_note"]) < 0.8 * alone, "dance tunes repeat their parts: {with}");
    assert!(number(&without["bits_per_note"]) > 1.1 * number(&with["bits_per_note"]), "{without}");
    assert_eq!(without["alone"], with["alone"]);
}

#[test]
fn the_number_of_threads_changes_nothing() {
    let songs = Songs::new();
    let lines = |threads| songs.lines(&["--threads", threads, "--style-told", "--generate", "2"]).0;
    assert_eq!(lines("1"), lines("3"));
}

#[test]
fn without_training_pieces_there_are_no_baselines() {
    let songs = Songs::new();
    let folk = songs.path("folk/train").display().to_string();
    let alone = songs.path("alone");
    fs::create_dir(&alone).expect("made");
    fs::copy(first_song(&songs), alone.join("song.mid")).expect("copied");
    let run = |flags: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_antiphon"))
            .args(["eval", &model(), &alone.display().to_string(), "--json", "--engine", "embedded"])
            .args(flags)
            .output()
            .expect("it starts");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let last: Value = serde_json::from_str(text.lines().last().expect("a line")).expect("JSON");
        (last, String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (total, said) = run(&[]);
    assert!(total["markov_bits_per_note"].is_null(), "{total}");
    assert!(said.contains("no baselines"), "{said}");
    let (total, said) = run(&["--train", &folk]);
    assert!(number(&total["markov_bits_per_note"]) > 0.0);
    assert!(said.contains("not learnt from"), "the evaluated song is among the training songs: {said}");
}

fn first_song(songs: &Songs) -> PathBuf {
    let mut all: Vec<PathBuf> =
        fs::read_dir(songs.path("folk/train")).expect("there").map(|file| file.expect("one").path()).collect();
    all.sort_unstable();
    all.swap_remove(0)
}

#[test]
fn continuations_are_compared_with_what_people_wrote() {
    let songs = Songs::new();
    songs.put("study", &[("train", 2), ("test", 4)]);
    let (lines, _) = songs.lines(&["--generate", "3", "--seed", "5"]);
    let compared = &lines.last().expect("lines")["continuations"];
    assert!(number(&compared["passages"]) > 0.0, "some song has 192 notes");
    for side in ["generated", "human"] {
        for share in ["in_scale_share", "repetition_share", "copied_16_note_share"] {
            assert!((0.0..=1.0).contains(&number(&compared[side][share])), "{compared}");
        }
        assert!(number(&compared[side]["notes_per_second"]) > 0.0);
    }
}

#[test]
fn bad_input_has_its_sentence_and_code() {
    let folder = tempfile::tempdir().expect("a folder");
    let last_line = |model: &str, place: &str, code: i32| {
        let output = Command::new(env!("CARGO_BIN_EXE_antiphon"))
            .args(["eval", model, place])
            .current_dir(folder.path())
            .output()
            .expect("it starts");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{said}");
        assert!(!said.contains("panicked"), "{said}");
        said.lines().last().unwrap_or_default().to_owned()
    };
    assert!(last_line(&model(), ".", 7).contains("no MIDI files"));
    assert!(last_line(&model(), "missing", 7).contains("missing"));
    fs::write(folder.path().join("bad.mid"), "no music").expect("written");
    assert!(last_line(&model(), ".", 7).contains("no file in"));
    assert!(last_line("missing.onnx", ".", 3).contains("missing.onnx"));
    assert!(last_line("bad.mid", ".", 3).contains("not an ONNX file"));
}
