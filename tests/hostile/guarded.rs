//! Runs a command that must end soon, with little memory, and say what it has to say in sentences.
#![allow(dead_code, reason = "each test file uses a part")]

use std::fs::{self, File};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Nothing here takes more than seconds on an idle machine; a search that is quadratic takes hours.
const PATIENCE: Duration = Duration::from_secs(120);

/// Most address space: what the engine and the largest file that is read take, and no more.
#[cfg(target_os = "linux")]
const MOST_KIB: u64 = 2 << 20;

/// What came of it.
pub struct Outcome {
    /// The exit code.
    pub code: i32,
    /// Standard error.
    pub said: String,
    /// Standard output.
    pub printed: String,
}

impl Outcome {
    /// The one sentence of a refusal, which names `what`.
    pub fn sentence(&self, what: &Path) -> &str {
        let mut lines = self.said.lines();
        let sentence = lines.next().unwrap_or_default();
        assert_eq!(lines.next(), None, "one line, not: {}", self.said);
        assert!(sentence.contains(&name(what)), "{sentence:?} names {}", what.display());
        assert!(sentence.len() < 400, "{sentence}");
        sentence
    }
}

/// The last part of a path, as text.
pub fn name(path: &Path) -> String {
    antiphon::song_folder::name(path)
}

/// Runs `program` in `folder`. It must end by itself, in time, without a panic and within its memory.
pub fn run(program: &str, folder: &Path, flags: &[&str]) -> Outcome {
    let [out, err] = ["printed.log", "said.log"].map(|name| folder.join(name));
    let mut command = limited(program);
    command.args(flags).current_dir(folder).stdin(Stdio::null());
    command.env_remove("ANTIPHON_MODEL").env_remove("ORT_DYLIB_PATH").env("XDG_CACHE_HOME", folder.join("cache"));
    command.env("ANTIPHON_CONFIG", "none");
    command.stdout(File::create(&out).expect("created")).stderr(File::create(&err).expect("created"));
    let child = command.spawn().expect("it starts");
    let code = ends(child, flags);
    let [printed, said] = [out, err].map(|path| String::from_utf8_lossy(&fs::read(path).expect("there")).into_owned());
    assert!(!said.contains("panicked"), "{flags:?} said: {said}");
    let code = code.unwrap_or_else(|| panic!("{flags:?} was ended by a signal and said: {said}"));
    Outcome { code, said, printed }
}

/// The exit code, `None` when a signal ended it. One that goes on and on is killed.
fn ends(mut child: Child, flags: &[&str]) -> Option<i32> {
    let begin = Instant::now();
    while begin.elapsed() < PATIENCE {
        if let Some(status) = child.try_wait().expect("it can be waited for") {
            return status.code();
        }
        sleep(Duration::from_millis(10));
    }
    child.kill().expect("it can be killed");
    child.wait().expect("it ends");
    panic!("{flags:?} was still at it after {PATIENCE:?}");
}

#[cfg(target_os = "linux")]
fn limited(program: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", r#"ulimit -v "$0" && exec "$@""#, &MOST_KIB.to_string(), program]);
    command
}

#[cfg(not(target_os = "linux"))]
fn limited(program: &str) -> Command {
    Command::new(program)
}
