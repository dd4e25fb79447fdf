//! The built command in a folder of its own, and lines typed at the moments that matter.
#![allow(dead_code, reason = "each test file uses a part")]

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// How long something may take that is not waited for: generous, because the machine may be busy.
const PATIENCE: Duration = Duration::from_secs(60);

/// Events after the last line typed, so that it has been heard.
const FURTHER_EVENTS: usize = 12;

/// The model that is part of the repository.
pub fn bundled_model() -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("models/antiphon.onnx").display().to_string()
}

/// A phrase that plays the human.
pub fn phrase() -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/phrase.mid").display().to_string()
}

/// A folder of its own in which the command runs.
pub struct Stage {
    folder: TempDir,
}

impl Stage {
    pub fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a folder") }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// What lies in the folder.
    pub fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.folder.path()).expect("there");
        entries.map(|entry| entry.expect("readable").file_name().to_string_lossy().into_owned()).collect()
    }

    fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_antiphon"));
        command.current_dir(self.folder.path()).env("ANTIPHON_CONFIG", "none");
        command.env_remove("ANTIPHON_MODEL").env_remove("ORT_DYLIB_PATH");
        command
    }

    /// Runs the command, demands the exit code, and gives back what it said.
    pub fn said(&self, flags: &[&str], code: i32) -> String {
        let Output { status, stderr, .. } = self.command().args(flags).output().expect("it starts");
        let said = String::from_utf8_lossy(&stderr).into_owned();
        assert_eq!(status.code(), Some(code), "{flags:?} said: {said}");
        assert!(!said.contains("panicked"), "{said}");
        said
    }

    /// Starts a session that goes on until it is told to stop; what it says goes to `said.log`.
    pub fn starts(&self, flags: &[&str]) -> Child {
        let log = File::create(self.path("said.log")).expect("created");
        let mut command = self.command();
        command.args(["jam", "--engine", "embedded"]).args(flags).stdin(Stdio::null()).stderr(log);
        command.spawn().expect("it starts")
    }

    /// Waits until a session that was started has said that.
    pub fn wait_until_said(&self, sentence: &str) {
        wait_for(sentence, || fs::read_to_string(self.path("said.log")).is_ok_and(|said| said.contains(sentence)));
    }

    /// Plays a session. Each of `lines` is typed when, after the one before it, the event comes that is named with it;
    /// some events after the last, the session is ended. Gives back all events.
    pub fn plays(&self, flags: &[&str], lines: &[(&str, &str)]) -> Vec<String> {
        let log = File::create(self.path("said.log")).expect("created");
        let mut command = self.command();
        command.args(["jam", "--engine", "embedded", "--json", "--seed", "5", "--seconds", "45"]).args(flags);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(log);
        let mut session = command.spawn().expect("it starts");
        let mut typing = session.stdin.take().expect("piped");
        let events = BufReader::new(session.stdout.take().expect("piped")).lines();
        let mut untyped = lines.iter().peekable();
        let (mut seen, mut further) = (Vec::new(), 0);
        for event in events.map(|line| line.expect("text")) {
            if let Some((_, line)) = untyped.next_if(|(wanted, _)| event.contains(wanted)) {
                writeln!(typing, "{line}").expect("it listens");
            }
            seen.push(event);
            if untyped.peek().is_none() {
                further += 1;
            }
            // It has long been heard; elsewhere the session comes to its own end.
            #[cfg(unix)]
            if further == FURTHER_EVENTS {
                signal(&session, "TERM");
            }
        }
        let status = session.wait().expect("it ends");
        let said = fs::read_to_string(self.path("said.log")).expect("there");
        assert!(status.success() && !said.contains("panicked"), "{status}: {said}");
        assert_eq!(untyped.next(), None, "this was never typed; seen: {seen:#?}");
        seen
    }
}

/// Waits for something that must come.
pub fn wait_for(what: &str, mut there: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !there() {
        assert!(begun.elapsed() < PATIENCE, "{what} did not come within {PATIENCE:?}");
        sleep(Duration::from_millis(50));
    }
}

/// Sends a signal to a child, by its id.
#[cfg(unix)]
pub fn signal(child: &Child, name: &str) {
    let sent = Command::new("kill").arg(format!("-{name}")).arg(child.id().to_string()).status();
    assert!(sent.expect("kill runs").success());
}
