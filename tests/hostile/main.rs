//! Bad input through the built command: each file is read, or refused with one sentence and a named exit code, without
//! a panic, in bounded time and memory.

mod guarded;
mod midi;
mod model;

use std::path::{Path, PathBuf};

use guarded::{Outcome, run};
use midi::Fate;
use tempfile::TempDir;

/// Exit codes as `antiphon --help` lists them.
mod exit {
    pub const DONE: i32 = 0;
    pub const USAGE: i32 = 2;
    pub const MODEL: i32 = 3;
    pub const MIDI_FILE: i32 = 7;
    pub const SESSION: i32 = 8;
}

/// A folder of bad files, and one to work in.
struct Stage {
    folder: TempDir,
    files: Vec<(PathBuf, Fate)>,
}

impl Stage {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let mut files = midi::write(&folder.path().join("bad"));
        files.extend(midi::collected(env!("CARGO_MANIFEST_DIR")));
        Self { folder, files }
    }

    fn run(&self, flags: &[&str]) -> Outcome {
        run(env!("CARGO_BIN_EXE_antiphon"), self.folder.path(), flags)
    }
}

/// What is wrong with how a file fared, if anything is.
fn misfortune(path: &Path, fate: Fate, outcome: &Outcome) -> Option<String> {
    match (outcome.code, fate) {
        (exit::DONE, Fate::Read | Fate::Either) => None,
        (exit::MIDI_FILE, Fate::Refused | Fate::Either) => {
            println!("{}", outcome.sentence(path));
            None
        }
        (code, _) => Some(format!("{} was to be {fate:?}, the code is {code}: {}", path.display(), outcome.said)),
    }
}

#[test]
fn a_continuation_of_any_file_is_written_or_refused_with_one_sentence() {
    let stage = Stage::new();
    let fared = stage.files.iter().filter_map(|(path, fate)| {
        let prime = path.display().to_string();
        let flags = ["generate", "--engine", "embedded", "--prime", &prime, "--notes", "2", "--out", "out.mid"];
        misfortune(path, *fate, &stage.run(&flags))
    });
    let wrong: Vec<String> = fared.collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_jam_with_any_file_is_played_or_refused_with_one_sentence() {
    let stage = Stage::new();
    // Of a thousand notes a second each second takes the model several.
    let fared = stage.files.iter().filter_map(|(path, fate)| {
        let input = path.display().to_string();
        let jam = ["jam", "--virtual-time", "--engine", "embedded", "--seconds", "3", "--out", "out.mid"];
        misfortune(path, *fate, &stage.run(&[&jam[..], &["--input", &input]].concat()))
    });
    let wrong: Vec<String> = fared.collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn files_that_are_no_model_and_no_session_are_refused_with_one_sentence() {
    let stage = Stage::new();
    for (path, _) in &stage.files {
        let file = path.display().to_string();
        for (command, code) in [("model", exit::MODEL), ("replay", exit::SESSION)] {
            let outcome = stage.run(&[command, &file]);
            assert_eq!(outcome.code, code, "{command} {file} said: {}", outcome.said);
            outcome.sentence(path);
        }
    }
}

#[test]
fn an_evaluation_leaves_bad_files_out_and_says_which() {
    /// Scoring a larger one takes as long as its many notes need.
    const LARGEST: u64 = 100_000;
    let stage = Stage::new();
    let made = |path: &Path| path.starts_with(stage.folder.path());
    let (large, small): (Vec<_>, Vec<_>) = stage
        .files
        .iter()
        .filter(|(path, _)| made(path))
        .partition(|(path, _)| std::fs::metadata(path).expect("there").len() > LARGEST);
    large.iter().for_each(|(path, _)| std::fs::remove_file(path).expect("removed"));
    let outcome = stage.run(&["eval", &midi::bundled_model(), "bad", "--engine", "embedded"]);
    assert_eq!(outcome.code, exit::DONE, "{}", outcome.said);
    for (path, fate) in small {
        let name = guarded::name(path);
        let is_about_it = |line: &&str| line.starts_with("left out: ") && line.contains(&format!("/{name} "));
        let left_out: Vec<&str> = outcome.said.lines().filter(is_about_it).collect();
        match fate {
            Fate::Read => assert!(left_out.is_empty(), "{left_out:?}"),
            Fate::Refused => assert_eq!(left_out.len(), 1, "{}: {}", path.display(), outcome.said),
            Fate::Either => assert!(left_out.len() <= 1, "{left_out:?}"),
        }
    }
}

#[test]
fn hostile_models_are_refused_with_one_sentence_before_an_engine_sees_them() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("secret.bin"), "not to be read").expect("written");
    for (name, bytes, says) in model::files() {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).expect("written");
        for command in [&["model"][..], &["generate", "--notes", "1", "--model"], &["jam", "--check", "--model"]] {
            let outcome = run(env!("CARGO_BIN_EXE_antiphon"), folder.path(), &[command, &[name]].concat());
            assert_eq!(outcome.code, exit::MODEL, "{command:?} {name} said: {} {}", outcome.said, outcome.printed);
            assert!(outcome.said.contains(says) || command.contains(&"--check"), "{name}: {}", outcome.said);
        }
        println!("{}", run(env!("CARGO_BIN_EXE_antiphon"), folder.path(), &["model", name]).sentence(&path));
    }
}

#[cfg(unix)]
#[test]
fn what_is_no_regular_file_is_not_waited_for() {
    let stage = Stage::new();
    let pipe = stage.folder.path().join("pipe.onnx");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().expect("mkfifo runs").success());
    for (flags, code) in [
        (["model", "pipe.onnx"], exit::MODEL),
        (["model", "/dev/zero"], exit::MODEL),
        (["model", "."], exit::MODEL),
        (["replay", "/dev/zero"], exit::SESSION),
        (["replay", "."], exit::SESSION),
    ] {
        let outcome = stage.run(&flags);
        assert_eq!((outcome.code, outcome.said.lines().count()), (code, 1), "{flags:?} said: {}", outcome.said);
    }
    for flags in [["generate", "--prime", "pipe.onnx"], ["jam", "--input", "/dev/zero"]] {
        assert_eq!(stage.run(&flags).code, exit::MIDI_FILE, "{flags:?}");
    }
    let outcome = stage.run(&["jam", "--check", "--config", "/dev/zero"]);
    assert_eq!((outcome.code, outcome.said.lines().count()), (exit::USAGE, 1), "{}", outcome.said);
}
