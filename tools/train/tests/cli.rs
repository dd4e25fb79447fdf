//! The command as people use it.

mod common;

use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use common::write_tune;

fn train(folder: &Path, arguments: &[&str]) -> Output {
    command(folder, arguments).output().expect("the command starts")
}

fn command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_antiphon-train"));
    let small = ["--hidden", "16", "--head", "8", "--batch", "16", "--sequence", "16"];
    command.current_dir(folder).env_remove("ORT_DYLIB_PATH").args(arguments);
    command.env("XDG_CACHE_HOME", folder.join("cache"));
    if !arguments.contains(&"--resume") {
        command.args(small);
    }
    command
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&[output.stdout.as_slice(), &output.stderr].concat()).into_owned()
}

#[test]
fn a_folder_becomes_a_model_that_is_left_alone_until_retrain() {
    let folder = tempfile::tempdir().expect("a folder");
    for number in 0..5 {
        write_tune(&folder.path().join(format!("mid_songs/folk/{number}.mid")), number, 60);
    }
    let model = folder.path().join("models/antiphon.onnx");
    let first = train(folder.path(), &["--epochs", "2"]);
    assert!(first.status.success(), "{}", text(&first));
    assert!(text(&first).contains("style folk: 4 pieces"), "{}", text(&first));
    let bytes = std::fs::read(&model).expect("a model");

    let second = train(folder.path(), &["--epochs", "2"]);
    assert!(second.status.success());
    assert!(text(&second).contains("exists already"), "{}", text(&second));
    assert_eq!(std::fs::read(&model).expect("a model"), bytes);

    let third = train(folder.path(), &["--resume", "--epochs", "4"]);
    assert!(third.status.success() && text(&third).contains("going on from step"), "{}", text(&third));
    assert_ne!(std::fs::read(&model).expect("a model"), bytes);

    let shorter = train(folder.path(), &["--resume", "--steps", "4"]);
    assert!(shorter.status.success() && text(&shorter).contains("for 4 steps"), "{}", text(&shorter));

    let other = train(folder.path(), &["--resume", "--hidden", "32"]);
    assert_eq!(other.status.code(), Some(2));
    assert!(text(&other).contains("--hidden cannot change"), "{}", text(&other));

    write_tune(&folder.path().join("mid_songs/folk/new.mid"), 9, 60);
    let changed = train(folder.path(), &["--resume"]);
    assert_eq!(changed.status.code(), Some(4));
    assert!(text(&changed).contains("data have changed"), "{}", text(&changed));
}

#[test]
fn a_second_start_takes_unchanged_songs_from_the_cache() {
    let folder = tempfile::tempdir().expect("a folder");
    for number in 0..5 {
        write_tune(&folder.path().join(format!("songs/{number}.mid")), number, 60);
    }
    let encode = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_antiphon-train"));
        command.current_dir(folder.path()).env("XDG_CACHE_HOME", folder.path().join("cache"));
        let output = command.args(["encode", "songs", "--out", "notes"]).args(arguments).output().expect("it starts");
        assert!(output.status.success(), "{}", text(&output));
        (text(&output), std::fs::read(folder.path().join("notes")).expect("encoded"))
    };
    let (said, anew) = encode(&["--no-cache"]);
    assert!(said.starts_with("read 5 files of songs in ") && !said.contains("cache"), "{said}");
    assert!(!folder.path().join("cache").exists());
    let (said, first) = encode(&[]);
    assert!(!said.contains("from the cache"), "{said}");
    let (said, second) = encode(&[]);
    assert!(
        said.lines().next().is_some_and(|line| line.ends_with("all of them unchanged and from the cache")),
        "{said}"
    );
    assert!(anew == first && first == second, "the notes are the same");
}

#[test]
fn too_little_music_is_refused_with_a_sentence() {
    let folder = tempfile::tempdir().expect("a folder");
    let missing = train(folder.path(), &[]);
    assert_eq!(missing.status.code(), Some(3));
    assert!(text(&missing).contains("cannot read the folder mid_songs"), "{}", text(&missing));

    std::fs::create_dir(folder.path().join("mid_songs")).expect("a folder");
    let empty = train(folder.path(), &[]);
    assert_eq!(empty.status.code(), Some(3));
    assert!(text(&empty).contains("only 0 valid notes in mid_songs, at least 20 are needed"), "{}", text(&empty));

    std::fs::write(folder.path().join("mid_songs/broken.mid"), b"MThd").expect("written");
    let broken = train(folder.path(), &[]);
    assert_eq!(broken.status.code(), Some(3));
    assert!(text(&broken).contains("broken.mid breaks off inside its header"), "{}", text(&broken));

    write_tune(&folder.path().join("mid_songs/short.mid"), 1, 19);
    let short = train(folder.path(), &[]);
    assert_eq!(short.status.code(), Some(3));
    assert!(text(&short).contains("only 19 valid notes"), "{}", text(&short));
    assert!(!folder.path().join("models").exists());
}

#[test]
fn twenty_notes_are_enough() {
    let folder = tempfile::tempdir().expect("a folder");
    write_tune(&folder.path().join("mid_songs/short.mid"), 1, 20);
    let output = train(folder.path(), &["--epochs", "1"]);
    assert!(output.status.success(), "{}", text(&output));
}

#[test]
fn a_model_that_cannot_be_written_is_said_before_anything_is_trained() {
    let folder = tempfile::tempdir().expect("a folder");
    write_tune(&folder.path().join("mid_songs/short.mid"), 1, 20);
    std::fs::create_dir(folder.path().join("taken.onnx")).expect("a folder");
    let output = train(folder.path(), &["--model", "taken.onnx", "--retrain"]);
    assert_eq!(output.status.code(), Some(4), "{}", text(&output));
    assert!(text(&output).contains("cannot write taken.onnx: it is no ordinary file"), "{}", text(&output));
    assert!(!text(&output).contains(" LSTM, heads of"), "{}", text(&output));
    let beside = |ending: &str| folder.path().join(format!("taken.{ending}")).exists();
    assert!(!["onnx.new", "onnx.new.tmp", "checkpoint"].into_iter().any(beside));
}

#[test]
fn flags_out_of_range_are_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let cases =
        [["--rate", "0"], ["--dropout", "0.95"], ["--layers", "0"], ["--weights", "folk"], ["--max-minutes", "-1"]];
    for flag in cases {
        let flag = [&format!("{}={}", flag[0], flag[1])[..]];
        let output = train(folder.path(), &flag);
        assert_eq!(output.status.code(), Some(2), "{flag:?}: {}", text(&output));
    }
}

#[test]
fn divergence_is_said() {
    let folder = tempfile::tempdir().expect("a folder");
    for number in 0..5 {
        write_tune(&folder.path().join(format!("mid_songs/{number}.mid")), number, 60);
    }
    // No rate makes clipped Adam diverge: the checkpoint's weights are spoilt instead.
    let first = train(folder.path(), &["--epochs", "2"]);
    assert!(first.status.success(), "{}", text(&first));
    let path = folder.path().join("models/antiphon.checkpoint");
    let (header, mut floats) = antiphon_train::checkpoint::read(&path).expect("a checkpoint");
    floats[..5000].fill(f32::NAN);
    let mut bytes = b"ANTITRN1".to_vec();
    let json = serde_json::to_vec(&header).expect("plain data");
    bytes.extend_from_slice(&(json.len() as u64).to_le_bytes());
    bytes.extend_from_slice(&json);
    floats.iter().for_each(|value| bytes.extend_from_slice(&value.to_le_bytes()));
    let digest = <sha2::Sha256 as sha2::Digest>::digest(&bytes);
    bytes.extend_from_slice(&digest);
    std::fs::write(&path, bytes).expect("written");
    let model = std::fs::read(folder.path().join("models/antiphon.onnx")).expect("a model");

    let output = train(folder.path(), &["--resume", "--epochs", "9"]);
    assert_eq!(output.status.code(), Some(5), "{}", text(&output));
    assert!(text(&output).contains("try a lower --rate"), "{}", text(&output));
    assert_eq!(std::fs::read(folder.path().join("models/antiphon.onnx")).expect("a model"), model);
}

#[cfg(unix)]
#[test]
fn an_interrupt_saves_and_leaves() {
    let folder = tempfile::tempdir().expect("a folder");
    for number in 0..5 {
        write_tune(&folder.path().join(format!("mid_songs/{number}.mid")), number, 200);
    }
    let child = command(folder.path(), &["--max-minutes", "5"]).stdout(std::process::Stdio::piped()).spawn();
    let child = child.expect("the command starts");
    std::thread::sleep(Duration::from_millis(700));
    let killed = Command::new("kill").args(["-INT", &child.id().to_string()]).status().expect("kill");
    assert!(killed.success());
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(130), "{}", text(&output));
    assert!(text(&output).contains("models/antiphon.onnx` goes on"), "{}", text(&output));
    assert!(folder.path().join("models/antiphon.checkpoint").exists());
    // Before the first look there is nothing to report.
    let was_looked = text(&output).contains("min  training loss");
    assert_eq!(folder.path().join("models/antiphon.html").exists(), was_looked, "{}", text(&output));
}
