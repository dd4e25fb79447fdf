//! The built command: what it writes, and what it says to bad input.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use antiphon::midi_file::{read_notes, read_notes_from_bytes};
use antiphon::model::file::DESCRIPTION_KEY;
use antiphon::model::onnx_proto::{Graph, Model, StringStringEntry};
use prost::Message as _;
use tempfile::TempDir;

/// A folder of its own in which the command runs.
struct Stage {
    folder: TempDir,
}

impl Stage {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a folder") }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Runs `antiphon` with the flags, on the embedded engine so that every machine gives the same.
    fn antiphon(&self, flags: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_antiphon"))
            .args(flags)
            .current_dir(self.folder.path())
            .env("ANTIPHON_CONFIG", "none")
            .env_remove("ANTIPHON_MODEL")
            .env_remove("ORT_DYLIB_PATH")
            .output()
            .expect("it starts")
    }

    /// Runs it, demands the exit code, and gives back its last line.
    fn last_line(&self, flags: &[&str], code: i32) -> String {
        let output = self.antiphon(flags);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{flags:?} said: {said}");
        assert!(!said.contains("panicked"), "{said}");
        said.lines().last().unwrap_or_default().to_owned()
    }
}

fn phrase() -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/phrase.mid").display().to_string()
}

#[test]
fn a_continuation_is_written_and_the_same_seed_gives_the_same() {
    let stage = Stage::new();
    let generate = |seed| {
        let flags = ["generate", "--engine", "embedded", "--prime", &phrase(), "--seconds", "10", "--seed", seed];
        stage.last_line(&flags, 0);
        fs::read(stage.path("AI_generated.mid")).expect("written")
    };
    let (first, again, other) = (generate("7"), generate("7"), generate("8"));
    assert_eq!(first, again);
    assert_ne!(first, other);
    let prime = read_notes(Path::new(&phrase())).expect("whole");
    let notes = read_notes_from_bytes(&first).expect("whole");
    assert!(notes.len() > prime.len() + 5, "{} notes", notes.len());
    let moved_aside = fs::read_dir(stage.folder.path()).expect("there").count() - 1;
    assert_eq!(moved_aside, 2, "each earlier take is kept");
}

#[test]
fn the_number_of_notes_asked_for_is_written() {
    let stage = Stage::new();
    stage.last_line(&["generate", "--engine", "embedded", "--notes", "17", "--out", "a.mid"], 0);
    assert_eq!(read_notes(&stage.path("a.mid")).expect("whole").len(), 17);
}

#[test]
fn a_session_under_virtual_time_is_the_same_to_the_byte() {
    let stage = Stage::new();
    let jam = |out: &str| {
        let input = phrase();
        let flags = ["jam", "--virtual-time", "--engine", "embedded", "--input", &input, "--seed", "3", "--out", out];
        stage.last_line(&flags, 0);
        fs::read(stage.path(out)).expect("written")
    };
    let first = jam("one.mid");
    assert_eq!(first, jam("two.mid"));
    let heard = read_notes(Path::new(&phrase())).expect("whole").len();
    assert!(read_notes_from_bytes(&first).expect("whole").len() > heard + 10, "it answered");
}

#[test]
fn a_headless_session_under_virtual_time_plays_alone() {
    let stage = Stage::new();
    let flags = ["jam", "--headless", "--virtual-time", "--seconds", "20", "--engine", "embedded", "--seed", "1"];
    stage.last_line(&flags, 0);
    assert!(read_notes(&stage.path("AI_generated.mid")).expect("whole").len() > 10);
}

#[test]
fn without_midi_a_live_session_still_records() {
    let stage = Stage::new();
    let flags = ["jam", "--backend", "none", "--headless", "--seconds", "2", "--engine", "embedded"];
    stage.last_line(&flags, 0);
    assert!(!read_notes(&stage.path("AI_generated.mid")).expect("whole").is_empty());
}

/// Sends a signal to a child, by its id.
#[cfg(unix)]
fn signal(child: &std::process::Child, name: &str) {
    let sent = Command::new("kill").arg(format!("-{name}")).arg(child.id().to_string()).status();
    assert!(sent.expect("kill runs").success());
}

/// The exit code of a session that is about to end. One that does not is killed.
#[cfg(unix)]
fn ends_with(mut session: std::process::Child) -> Option<i32> {
    for _ in 0..600 {
        if let Some(status) = session.try_wait().expect("it can be waited for") {
            return status.code();
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    session.kill().expect("it can be killed");
    session.wait().expect("it ends");
    panic!("the session went on for half a minute");
}

/// A long session that is stopped from outside; its lines go to `stderr`.
#[cfg(unix)]
fn long_session(stage: &Stage, flags: &[&str], stderr: std::process::Stdio) -> std::process::Child {
    Command::new(env!("CARGO_BIN_EXE_antiphon"))
        .args(["jam", "--headless", "--engine", "embedded"])
        .args(flags)
        .current_dir(stage.folder.path())
        .env("ANTIPHON_CONFIG", "none")
        .stderr(stderr)
        .spawn()
        .expect("it starts")
}

/// Waits until the file is there and holds notes.
#[cfg(unix)]
fn wait_for_notes(path: &Path) {
    for _ in 0..600 {
        if read_notes(path).is_ok_and(|notes| !notes.is_empty()) {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    panic!("{} has no notes after half a minute", path.display());
}

#[cfg(unix)]
#[test]
fn signals_end_a_session_in_order_and_the_take_is_whole() {
    for name in ["INT", "TERM"] {
        let stage = Stage::new();
        let session = long_session(&stage, &["--backend", "none"], std::process::Stdio::null());
        wait_for_notes(&stage.path("AI_generated.mid"));
        signal(&session, name);
        assert_eq!(ends_with(session), Some(0), "after SIG{name}");
        assert!(read_notes(&stage.path("AI_generated.mid")).is_ok_and(|notes| !notes.is_empty()));
        let left = fs::read_dir(stage.folder.path()).expect("there").count();
        assert_eq!(left, 2, "nothing is left behind but the take and its session file");
    }
}

#[cfg(unix)]
#[test]
fn a_second_signal_ends_it_at_once_and_the_take_is_whole() {
    let stage = Stage::new();
    let session = long_session(&stage, &["--backend", "none"], std::process::Stdio::null());
    wait_for_notes(&stage.path("AI_generated.mid"));
    signal(&session, "INT");
    signal(&session, "INT");
    // The end in order may have been quicker.
    let code = ends_with(session);
    assert!(matches!(code, Some(0 | 130)), "{code:?}");
    assert!(read_notes(&stage.path("AI_generated.mid")).is_ok_and(|notes| !notes.is_empty()));
}

#[test]
fn what_it_says_is_there_as_json_lines_too() {
    let stage = Stage::new();
    let flags = ["jam", "--backend", "none", "--headless", "--seconds", "1", "--engine", "embedded", "--log", "json"];
    let lines = |flags: &[&str], code: i32| -> Vec<serde_json::Value> {
        let output = stage.antiphon(flags);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{said}");
        said.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON: {line}"))).collect()
    };
    let said = lines(&flags, 0);
    assert!(said.iter().all(|line| line["time"].as_str().is_some_and(|time| time.ends_with('Z'))), "{said:?}");
    let with = |text: &str| said.iter().find(|line| line["message"].as_str().is_some_and(|said| said.contains(text)));
    assert_eq!(with("ready:").expect("it says when it is ready")["level"], "info");
    let figures = with("planned to sent").expect("the figures, as one line");
    assert!(figures["figures"]["notes"]["on_time"].is_u64(), "{figures}");

    let said = lines(&[&flags[..], &["--out", "no/folder.mid"]].concat(), 6);
    let last = said.last().expect("it says why");
    assert_eq!(last["level"], "error");
    assert!(last["message"].as_str().is_some_and(|why| why.starts_with("cannot write no/folder.mid")), "{last}");
}

#[cfg(unix)]
#[test]
fn a_signal_ends_virtual_time_too() {
    // Nothing is written before the end, so it is not known when the first note has been played on a busy machine.
    let has_notes = [1, 2, 4, 8, 16, 32].into_iter().any(|seconds| {
        let stage = Stage::new();
        let mut session = long_session(&stage, &["--virtual-time", "--seconds", "86400"], std::process::Stdio::piped());
        let mut lines = BufReader::new(session.stderr.take().expect("piped")).lines().map_while(Result::ok);
        // From then on it hears signals.
        assert!(lines.any(|line| line.starts_with("model: ")));
        std::thread::sleep(std::time::Duration::from_secs(seconds));
        signal(&session, "TERM");
        assert_eq!(ends_with(session), Some(0));
        let said: Vec<String> = lines.collect();
        assert!(said.iter().any(|line| line.contains("of virtual time to") && !line.contains("86400")), "{said:?}");
        !read_notes(&stage.path("AI_generated.mid")).expect("whole").is_empty()
    });
    assert!(has_notes);
}

#[cfg(unix)]
#[test]
fn nobody_writes_over_a_session_that_records() {
    let stage = Stage::new();
    let session = long_session(&stage, &["--backend", "none"], std::process::Stdio::null());
    wait_for_notes(&stage.path("AI_generated.mid"));
    let said = stage.last_line(&["generate", "--engine", "embedded", "--notes", "3"], 6);
    assert!(said.contains("another antiphon is recording"), "{said}");
    signal(&session, "TERM");
    assert_eq!(ends_with(session), Some(0));
}

#[cfg(unix)]
#[test]
fn a_terminal_that_goes_does_not_end_the_music() {
    let stage = Stage::new();
    let mut session = long_session(&stage, &["--backend", "none", "--seconds", "2"], std::process::Stdio::piped());
    drop(session.stderr.take());
    assert_eq!(ends_with(session), Some(0));
    assert!(!read_notes(&stage.path("AI_generated.mid")).expect("whole").is_empty());
}

#[test]
fn bad_models_are_refused_with_a_sentence_and_code_3() {
    let stage = Stage::new();
    let refusal = |name: &str| stage.last_line(&["generate", "--model", name], 3);
    assert!(refusal("missing.onnx").contains("cannot read the model missing.onnx"));

    fs::write(stage.path("text.onnx"), "this is no model").expect("written");
    assert!(refusal("text.onnx").contains("is not an ONNX file"));

    let mut foreign = Model { ir_version: Some(9), graph: Some(Graph::default()), ..Model::default() };
    fs::write(stage.path("foreign.onnx"), foreign.encode_to_vec()).expect("written");
    assert!(refusal("foreign.onnx").contains("not one of Antiphon's"));

    let description = r#"{"format_version": 99, "of": "another shape"}"#.to_owned();
    foreign.metadata_props = vec![StringStringEntry { key: Some(DESCRIPTION_KEY.into()), value: Some(description) }];
    fs::write(stage.path("future.onnx"), foreign.encode_to_vec()).expect("written");
    let said = refusal("future.onnx");
    assert!(said.contains("format 99") && said.contains("--retrain"), "{said}");

    assert!(stage.last_line(&["generate", "--style", "polka-metal"], 3).contains("any"), "the styles are listed");
}

#[test]
fn other_bad_input_has_its_sentence_and_code() {
    let stage = Stage::new();
    assert!(stage.last_line(&["jam", "--backend", "none", "--connect-to", "Juno"], 5).contains("Juno"));
    let said =
        stage.last_line(&["jam", "--backend", "none", "--headless", "--seconds", "1", "--out", "no/folder.mid"], 6);
    assert!(said.contains("cannot write no/folder.mid"), "{said}");
    assert!(stage.last_line(&["generate", "--notes", "3", "--out", "no/folder.mid"], 6).contains("--out"));
    assert!(stage.last_line(&["generate", "--prime", "missing.mid"], 7).contains("missing.mid"));
    fs::write(stage.path("page.mid"), "<!DOCTYPE html><html></html>").expect("written");
    assert!(stage.last_line(&["jam", "--input", "page.mid"], 7).contains("page.mid"));
    assert!(stage.last_line(&["generate", "--engine", "missing.so"], 4).contains("missing.so"));
    stage.last_line(&["jam", "--temperature", "hot"], 2);
    stage.last_line(&["jam", "--virtual-time"], 2);
    stage.last_line(&["sing"], 2);
}

#[test]
fn ports_and_model_say_what_there_is() {
    let stage = Stage::new();
    let ports = stage.antiphon(&["ports", "--json"]);
    let systems: serde_json::Value = serde_json::from_slice(&ports.stdout).expect("JSON");
    assert!(systems.as_array().is_some_and(|systems| systems.len() == 2), "{systems}");
    let model = stage.antiphon(&["model", "--engine", "embedded"]);
    let said = String::from_utf8_lossy(&model.stdout).into_owned();
    assert!(said.contains("bits per note") && said.contains("embedded"), "{said}");
}

#[test]
fn a_reader_that_goes_away_is_no_reason_to_fail() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_antiphon"))
        .arg("settings")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    drop(child.stdout.take());
    let ended = child.wait_with_output().expect("it ends");
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
}

#[cfg(unix)]
#[test]
fn what_is_no_ordinary_file_is_left_alone_and_the_song_is_not_rendered_over() {
    let stage = Stage::new();
    assert!(Command::new("mkfifo").arg(stage.path("pipe")).status().expect("it starts").success());
    fs::create_dir(stage.path("folder")).expect("a folder");
    fs::copy(phrase(), stage.path("song.mid")).expect("a song");
    for (flags, code, why) in [
        (&["generate", "--engine", "embedded", "--notes", "3", "--out", "pipe"][..], 6, "pipe: it is no ordinary file"),
        (&["generate", "--engine", "embedded", "--notes", "3", "--out", "folder"], 6, "folder: it is a folder"),
        (&["render", "song.mid", "pipe", "--force"], 11, "pipe: it is no ordinary file"),
        (&["render", "song.mid", "song.mid", "--force"], 11, "song.mid: it is the song itself"),
        (&["init", "--config", "pipe", "--force"], 1, "it is no ordinary file"),
    ] {
        let said = stage.last_line(flags, code);
        assert!(said.contains(why), "{flags:?}: {said}");
    }
    let kind = fs::metadata(stage.path("pipe")).expect("it is there").file_type();
    assert!(!kind.is_file() && !kind.is_dir());
    assert!(read_notes(&stage.path("song.mid")).is_ok());
    let mut left: Vec<_> =
        fs::read_dir(stage.folder.path()).expect("readable").map(|entry| entry.expect("one")).collect();
    left.retain(|entry| !["pipe", "folder", "song.mid"].iter().any(|name| entry.file_name() == *name));
    assert!(left.is_empty(), "{left:?}");
}

#[cfg(unix)]
#[test]
fn a_configuration_that_is_written_anew_stays_as_private_as_it_was() {
    use std::os::unix::fs::PermissionsExt as _;
    let stage = Stage::new();
    let (file, link) = (stage.path("mine.toml"), stage.path("link.toml"));
    fs::write(&file, "# token").expect("written");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).expect("it is ours");
    std::os::unix::fs::symlink(&file, &link).expect("a link");
    assert!(stage.last_line(&["init", "--config", "link.toml"], 2).contains("is there already"));
    stage.last_line(&["init", "--config", "link.toml", "--force"], 0);
    assert!(fs::symlink_metadata(&link).expect("it is there").is_symlink());
    assert_eq!(fs::metadata(&file).expect("it is there").permissions().mode() & 0o777, 0o600);
    assert!(fs::read_to_string(&file).expect("text").contains("[settings]"));
}

#[cfg(target_os = "linux")]
#[test]
fn what_cannot_be_printed_is_a_failure_and_a_reader_that_has_gone_is_none() {
    let stage = Stage::new();
    let run = |printed: Stdio| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_antiphon"));
        command.args(["settings", "--json"]).current_dir(stage.folder.path()).env("ANTIPHON_CONFIG", "none");
        command.stdout(printed).stderr(Stdio::piped()).spawn().expect("it starts")
    };
    let full = fs::OpenOptions::new().write(true).open("/dev/full").expect("Linux has it");
    let output = run(full.into()).wait_with_output().expect("it ends");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("cannot print: "), "{said}");
    let mut unread = run(Stdio::piped());
    drop(unread.stdout.take());
    assert_eq!(unread.wait_with_output().expect("it ends").status.code(), Some(0));
}
