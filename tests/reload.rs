//! The signal HUP while it plays: the configuration is read anew, a broken one changes nothing, and a terminal that goes
//! ends the session.
#![cfg(unix)]

mod daemon;

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use antiphon::midi_file::read_notes;
use daemon::Daemon;
use serde_json::{Value, json};
use tempfile::TempDir;

/// Generous, because the machine may be busy with other things.
const PATIENCE: Duration = Duration::from_secs(60);

/// A session that plays alone, with a configuration file of its own.
struct Session {
    folder: TempDir,
    daemon: Daemon,
    page: String,
}

impl Session {
    fn start(configuration: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join("antiphon.toml"), configuration).expect("written");
        let flags = ["--config", "antiphon.toml", "--backend", "none", "--headless", "--http", "0", "--seed", "7"];
        let mut daemon = Daemon::start(folder.path(), &flags);
        daemon.wait_until_ready(PATIENCE);
        let said = daemon.said();
        let page = said.lines().find_map(|line| line.strip_prefix("page: http://")).expect("it says where the page is");
        Self { page: page.to_owned(), folder, daemon }
    }

    /// Changes the file and tells the daemon. Gives back what it says then.
    fn reads_anew(&mut self, configuration: &str) -> String {
        fs::write(self.folder.path().join("antiphon.toml"), configuration).expect("written");
        let before = self.daemon.said().len();
        self.daemon.signal("HUP");
        self.eventually("it says that it was read", |session| session.daemon.said()[before..].contains("read anew"));
        self.daemon.said()[before..].to_owned()
    }

    fn eventually(&mut self, what: &str, holds: impl Fn(&Self) -> bool) {
        let begun = Instant::now();
        while !holds(self) {
            self.daemon.expect_alive();
            assert!(begun.elapsed() < PATIENCE, "it never came: {what}; it said:\n{}", self.daemon.said());
            sleep(Duration::from_millis(20));
        }
    }

    /// How things stand, as the page has it.
    fn state(&self) -> Value {
        let mut stream = TcpStream::connect(&self.page).expect("it listens");
        write!(stream, "GET /api/state HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", self.page).expect("taken");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("it answers");
        let (_, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
        serde_json::from_str(body).expect("JSON")
    }

    fn ends(self) -> String {
        let (status, said) = self.daemon.stop("TERM", PATIENCE);
        assert!(status.success(), "it ended with {status} and said:\n{said}");
        said
    }
}

#[test]
fn what_the_file_changes_changes_while_it_plays_and_what_needs_a_restart_is_named() {
    let mut session =
        Session::start("channel = 2\n[settings]\npatience = 2\ndensity = 9\n[map]\ncc20 = \"temperature\"\n");
    let map = json!([{ "message": "cc20", "meaning": "temperature" }]);
    assert_eq!(session.state()["controllers"]["map"], map);

    let said = session.reads_anew(
        "channel = 3\nmore-model = [\"gone.onnx\"]\n[settings]\npatience = 3\nloudest = 90\n[map]\ncc21 = \"memory\"\n",
    );
    for part in
        ["antiphon.toml (", "patience 3", "loudest 90", "what MIDI messages mean", "other models", "and model 1"]
    {
        assert!(said.contains(part), "{part:?} is missing: {said}");
    }
    assert!(said.contains("only a restart makes it count: channel\n"), "{said}");
    session.eventually("the settings", |session| {
        let settings = &session.state()["settings"];
        settings["patience"] == "3" && settings["loudest"] == "90" && settings["density"] != "9"
    });
    let map = json!([{ "message": "cc21", "meaning": "memory" }]);
    session.eventually("the other map", |session| session.state()["controllers"]["map"] == map);
    session.eventually("the model", |session| session.daemon.said().contains("now playing: "));

    let said = session.reads_anew(
        "channel = 2\nmore-model = [\"gone.onnx\"]\n[settings]\npatience = 3\nloudest = 90\n[map]\ncc21 = \"memory\"\n",
    );
    assert!(said.contains("nothing in it counts otherwise") && !said.contains("restart"), "{said}");
    session.ends();
}

#[test]
fn a_broken_file_changes_nothing_and_is_said_with_its_place() {
    let mut session = Session::start("[settings]\npatience = 2\n");
    for (broken, says) in [
        ("[settings]\npatience = 5\nloudst = 90\n", "antiphon.toml line 3: there is no setting \"loudst\""),
        ("[settings]\npatience = 5\nloudest = \n", "antiphon.toml line 3: this is no TOML"),
        ("channel = 17\nmodle = 4\n", "antiphon.toml line 1: channel cannot be \"17\""),
    ] {
        let said = session.reads_anew(broken);
        assert!(said.contains("not read anew, all stays as it was: ") && said.contains(says), "{says:?}: {said}");
        assert_eq!(said.trim_end().lines().count(), 1, "one line: {said}");
        assert_eq!(session.state()["settings"]["patience"], "2");
    }
    fs::remove_file(session.folder.path().join("antiphon.toml")).expect("removed");
    let said = session.ends();
    assert!(!said.contains("now playing: "), "the model was left alone: {said}");
}

/// A terminal with a session in it, made by util-linux' `script`. `None` where there is no such program.
fn in_a_terminal(folder: &Path, before: &str) -> Option<Child> {
    let antiphon = env!("CARGO_BIN_EXE_antiphon");
    let model = daemon::bundled_model();
    let line = format!(
        "echo $$ >pid; exec {before} '{antiphon}' jam --engine embedded --model '{}' --backend none --headless --no-http \
         </dev/null >said.log 2>&1",
        model.display()
    );
    let mut script = Command::new("script");
    script.args(["-q", "-e", "-c", &line, "/dev/null"]).current_dir(folder).env("ANTIPHON_CONFIG", "none");
    match script.env("SHELL", "/bin/sh").stdin(Stdio::null()).stdout(Stdio::null()).spawn() {
        Ok(child) => Some(child),
        Err(_) => {
            println!("left out: there is no `script` (util-linux)");
            None
        }
    }
}

fn wait_for(what: &str, log: &PathBuf, holds: impl Fn(&str) -> bool) {
    let begun = Instant::now();
    loop {
        let said = fs::read_to_string(log).unwrap_or_default();
        if holds(&said) {
            return;
        }
        assert!(begun.elapsed() < PATIENCE, "it never came: {what}; it said:\n{said}");
        sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_terminal_that_goes_ends_the_session_in_order_wherever_its_words_are_led() {
    let folder = tempfile::tempdir().expect("a folder");
    let Some(mut terminal) = in_a_terminal(folder.path(), "") else { return };
    let log = folder.path().join("said.log");
    wait_for("it plays", &log, |said| said.contains("ready:"));
    terminal.kill().expect("the terminal goes");
    terminal.wait().expect("it has gone");
    wait_for("its end", &log, |said| said.contains("of Antiphon's in"));
    read_notes(&folder.path().join("AI_generated.mid")).expect("a whole take");
}

#[test]
fn under_nohup_it_plays_on_without_its_terminal() {
    let folder = tempfile::tempdir().expect("a folder");
    let Some(mut terminal) = in_a_terminal(folder.path(), "nohup") else { return };
    let log = folder.path().join("said.log");
    wait_for("it plays", &log, |said| said.contains("ready:"));
    terminal.kill().expect("the terminal goes");
    terminal.wait().expect("it has gone");
    // The signal is one to read anew then, as of any daemon.
    wait_for("it plays on", &log, |said| said.contains("read anew: no configuration file"));
    let pid = fs::read_to_string(folder.path().join("pid")).expect("written");
    let sent = Command::new("kill").arg(pid.trim()).status();
    assert!(sent.is_ok_and(|status| status.success()), "it is still there");
    wait_for("its end", &log, |said| said.contains("of Antiphon's in"));
}
