//! `antiphon monitor` in a terminal of its own (by `script`) and without one, beside a real daemon.
#![cfg(unix)]

mod daemon;

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use daemon::Daemon;
use serde_json::Value;

const LIMIT: Duration = Duration::from_secs(60);

/// A daemon with its page, and what it prints behind `page: http://`. A bundled phrase plays the human.
fn start(folder: &Path, arguments: &[&str]) -> (Daemon, String) {
    let mut daemon = Daemon::start(folder, &[&["--backend", "none", "--seed", "7"], arguments].concat());
    daemon.wait_until_ready(LIMIT);
    let said = daemon.said();
    let page = said.lines().find_map(|line| line.strip_prefix("page: ")).expect("it says where the page is");
    (daemon, page.to_owned())
}

fn state(page: &str) -> Value {
    let address = page.trim_start_matches("http://").split('/').next().expect("an address");
    let mut stream = TcpStream::connect(address).expect("it listens");
    write!(stream, "GET /api/state HTTP/1.0\r\nHost: {address}\r\n\r\n").expect("it takes the request");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("it answers");
    serde_json::from_str(answer.split_once("\r\n\r\n").expect("a body").1).expect("JSON")
}

fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < LIMIT, "it never came: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A monitor in a terminal.
struct Terminal {
    script: Child,
    keys: Option<ChildStdin>,
    drawn: Arc<Mutex<Vec<u8>>>,
    folder: PathBuf,
}

impl Terminal {
    /// Starts one; `None`, said aloud, where there is no `script`.
    fn open(folder: &Path, environment: &str, arguments: &str) -> Option<Self> {
        let is_there = Command::new("script").arg("--version").output().is_ok_and(|output| output.status.success());
        if !is_there {
            println!("left out: no `script` of util-linux here (tools/setup.sh --test installs it)");
            return None;
        }
        let binary = env!("CARGO_BIN_EXE_antiphon");
        // What the terminal is like before and after is what a shell would find.
        let line = format!(
            "stty rows 24 cols 80; stty -g >before; \
             sh -c 'echo $$ >pid; exec env TERM=xterm-256color LANG=C.UTF-8 {environment} {binary} monitor --config none {arguments}'; \
             echo $? >code; stty -g >after"
        );
        let mut script = Command::new("script")
            .args(["-q", "-e", "-c", &line, "/dev/null"])
            .current_dir(folder)
            .env("SHELL", "/bin/sh")
            .env_remove("NO_COLOR")
            .env_remove("COLORTERM")
            .env_remove("LC_ALL")
            .env_remove("LC_CTYPE")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("script starts");
        let keys = script.stdin.take();
        let mut output = script.stdout.take().expect("piped");
        let drawn = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&drawn);
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(count @ 1..) = output.read(&mut bytes) {
                seen.lock().expect("not poisoned").extend_from_slice(&bytes[..count]);
            }
        });
        Some(Self { script, keys, drawn, folder: folder.to_owned() })
    }

    /// All that was sent to the terminal, as it was.
    fn raw(&self) -> String {
        String::from_utf8_lossy(&self.drawn.lock().expect("not poisoned")).into_owned()
    }

    /// The letters that were drawn from `since` on, without what moves the cursor or sets colours.
    fn letters(&self, since: usize) -> String {
        let mut letters = String::new();
        for part in self.raw().get(since..).unwrap_or_default().split('\u{1b}') {
            letters.push_str(part.strip_prefix('[').map_or(part, |sequence| {
                let end = sequence.find(|c: char| c.is_ascii_alphabetic()).map_or(sequence.len(), |end| end + 1);
                &sequence[end..]
            }));
        }
        letters
    }

    fn wait_for(&self, words: &str, since: usize) {
        eventually(words, || self.letters(since).contains(words));
    }

    fn press(&mut self, keys: &str) {
        let to = self.keys.as_mut().expect("open");
        to.write_all(keys.as_bytes()).and_then(|()| to.flush()).expect("the terminal takes keys");
    }

    fn signal(&self, name: &str) {
        let pid = fs::read_to_string(self.folder.join("pid")).expect("it has begun");
        let sent = Command::new("kill").args([format!("-{name}"), pid.trim().to_owned()]).status();
        assert!(sent.is_ok_and(|status| status.success()));
    }

    /// Takes the terminal away, as a connection that breaks does, and waits for the monitor's end.
    fn take_away(mut self) {
        let pid = fs::read_to_string(self.folder.join("pid")).expect("it has begun");
        self.script.kill().expect("script runs");
        let _ = self.script.wait();
        let is_there = || Command::new("kill").args(["-0", pid.trim()]).stderr(Stdio::null()).status();
        eventually("the end without a terminal", || is_there().is_ok_and(|status| !status.success()));
    }

    /// Waits for its end and gives back its exit code. The terminal must be as it was.
    fn end(mut self) -> String {
        let of = |name: &str| fs::read_to_string(self.folder.join(name)).unwrap_or_default().trim().to_owned();
        eventually("the end", || !of("after").is_empty());
        assert_eq!(of("before"), of("after"), "echo and lines are as they were");
        eventually("the last word", || self.raw().contains("\u{1b}[?1049l"));
        assert!(self.raw().trim_end().ends_with("\u{1b}[?25h"), "the cursor is seen again: {:?}", self.raw());
        drop(self.keys.take());
        let _ = self.script.wait();
        let code = of("code");
        for name in ["before", "after", "code", "pid"] {
            let _ = fs::remove_file(self.folder.join(name));
        }
        code
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // Both fail when it has ended already, which is as it should be.
        let _ = self.script.kill();
        let _ = self.script.wait();
    }
}

#[test]
fn it_draws_what_happens_and_its_keys_reach_the_music() {
    let folder = tempfile::tempdir().expect("a folder");
    let (_daemon, page) = start(folder.path(), &["--http", "0", "--seconds", "300"]);
    let Some(mut terminal) = Terminal::open(folder.path(), "", &page) else { return };
    terminal.wait_for("You play", 0);
    terminal.wait_for("patience-floor", 0);
    terminal.wait_for("planned", 0);
    terminal.press("m");
    eventually("the mode", || state(&page)["settings"]["mode"] == "accompany");
    // Three rows down is patience; an arrow to the right adds a tenth.
    terminal.press("\u{1b}[B\u{1b}[B\u{1b}[B\u{1b}[C");
    eventually("the patience", || state(&page)["settings"]["patience"] == "1.6");
    terminal.press("\r2.5\r");
    eventually("the typed patience", || state(&page)["settings"]["patience"] == "2.5");
    let since = terminal.raw().len();
    terminal.press("\r99\r");
    terminal.wait_for("patience cannot be", since);
    let since = terminal.raw().len();
    terminal.press("h");
    // Only the cells that change are drawn: of `You play` the `p` stands where that of `Antiphon` does.
    eventually("its turn", || {
        let drawn = terminal.letters(since);
        drawn.contains("hon answers") || drawn.contains("together")
    });
    terminal.press("2");
    terminal.wait_for("first note of an answer", 0);
    terminal.press("q");
    assert_eq!(terminal.end(), "0");
}

#[test]
fn signals_and_keys_end_it_and_the_terminal_is_as_it_was() {
    let folder = tempfile::tempdir().expect("a folder");
    let (_daemon, page) = start(folder.path(), &["--http", "0", "--seconds", "300"]);
    for way in ["TERM", "INT", "HUP", "\u{3}", "\u{1b}"] {
        let Some(mut terminal) = Terminal::open(folder.path(), "", &page) else { return };
        terminal.wait_for("You play", 0);
        if way.len() > 1 {
            terminal.signal(way)
        } else {
            terminal.press(way)
        }
        assert_eq!(terminal.end(), "0", "{way:?}");
    }
}

#[test]
fn a_terminal_that_is_taken_away_ends_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let (_daemon, page) = start(folder.path(), &["--http", "0", "--seconds", "300"]);
    let Some(terminal) = Terminal::open(folder.path(), "", &page) else { return };
    terminal.wait_for("You play", 0);
    terminal.take_away();
}

#[test]
fn it_waits_for_a_daemon_that_has_ended_and_finds_it_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let (daemon, page) = start(folder.path(), &["--http", "0", "--seconds", "300"]);
    let Some(mut terminal) = Terminal::open(folder.path(), "", &page) else { return };
    terminal.wait_for("You play", 0);
    let (_, said) = daemon.stop("TERM", LIMIT);
    assert!(said.contains("recorded"), "{said}");
    terminal.wait_for("not connected", 0);
    terminal.wait_for("trying again", 0);
    let since = terminal.raw().len();
    let port = page.trim_end_matches('/').rsplit(':').next().expect("a port");
    let (_daemon, _) = start(folder.path(), &["--http", port, "--seconds", "300"]);
    terminal.wait_for("You play", since);
    terminal.press("q");
    assert_eq!(terminal.end(), "0");
}

#[test]
fn colours_are_for_those_who_want_them() {
    let folder = tempfile::tempdir().expect("a folder");
    let (_daemon, page) = start(folder.path(), &["--http", "0", "--seconds", "300"]);
    let coloured = |raw: &str| {
        let sequences = raw.split("\u{1b}[").filter_map(|part| part.split_once('m')).map(|(codes, _)| codes.to_owned());
        sequences.filter(|codes| codes.chars().all(|c| c.is_ascii_digit() || c == ';')).any(|codes| {
            codes
                .split(';')
                .filter_map(|code| code.parse::<u8>().ok())
                .any(|code| (30..=38).contains(&code) || (40..=48).contains(&code))
        })
    };
    for (environment, has_colours) in [("", true), ("NO_COLOR=1", false), ("TERM=vt100", false)] {
        let Some(mut terminal) = Terminal::open(folder.path(), environment, &page) else { return };
        terminal.wait_for("You play", 0);
        terminal.wait_for("planned", 0);
        terminal.press("q");
        let drawn = Arc::clone(&terminal.drawn);
        assert_eq!(terminal.end(), "0");
        let raw = String::from_utf8_lossy(&drawn.lock().expect("not poisoned")).into_owned();
        assert_eq!(coloured(&raw), has_colours, "{environment}: {raw:?}");
    }
}

/// The monitor without a terminal.
fn monitor(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_antiphon"))
        .args(["monitor", "--config", "none"])
        .args(arguments)
        .env_remove("ANTIPHON_HTTP")
        .env_remove("ANTIPHON_TOKEN")
        .stdin(Stdio::null())
        .output()
        .expect("it runs")
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn without_a_terminal_it_prints_how_things_stand_or_says_how_to() {
    let folder = tempfile::tempdir().expect("a folder");
    let (_daemon, page) = start(folder.path(), &["--http", "0", "--seconds", "300", "--set", "patience=2"]);
    let output = monitor(&[&page]);
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    assert!(said(&output).contains("--once") && said(&output).lines().count() == 1, "{}", said(&output));

    let output = monitor(&["--once", &page]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    for words in
        ["turn: ", "planned to sent", "recording to: AI_generated.mid", "patience               2 x  (default 1.5)"]
    {
        assert!(text.contains(words), "{words}: {text}");
    }

    let output = monitor(&["--once", "--json", &page]);
    let whole: Value = serde_json::from_slice(&output.stdout).expect("one object");
    assert!(whole["settings"]["patience"] == "2" && whole["figures"]["notes"].is_object() && whole["takes"].is_array());
}

#[test]
fn what_happens_is_there_as_json_lines_until_nobody_reads_them() {
    let folder = tempfile::tempdir().expect("a folder");
    let (_daemon, page) = start(folder.path(), &["--http", "0", "--seconds", "300"]);
    let mut child = Command::new(env!("CARGO_BIN_EXE_antiphon"))
        .args(["monitor", "--config", "none", "--json", &page])
        .stdout(Stdio::piped())
        .spawn()
        .expect("it runs");
    let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    let mut wanted = vec!["state", "human_on", "planned", "figures", "turn", "ai_on"];
    let begun = Instant::now();
    while !wanted.is_empty() {
        assert!(begun.elapsed() < LIMIT, "these never came: {wanted:?}");
        let line: Value = serde_json::from_str(&lines.next().expect("it goes on").expect("text")).expect("JSON");
        wanted.retain(|event| line["event"] != *event);
    }
    drop(lines);
    eventually("the end, as nobody reads", || child.try_wait().expect("a child").is_some());
}

#[test]
fn whoever_cannot_be_reached_is_a_sentence() {
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let place = nobody.local_addr().expect("bound").to_string();
    drop(nobody);
    for way in ["--once", "--json"] {
        let output = monitor(&[way, &place]);
        assert_eq!(output.status.code(), Some(1));
        assert!(
            said(&output).contains("start `antiphon jam`") && said(&output).lines().count() == 1,
            "{}",
            said(&output)
        );
    }
    assert_eq!(monitor(&["--once", "https://studio"]).status.code(), Some(2));

    let folder = tempfile::tempdir().expect("a folder");
    let (_daemon, page) = start(folder.path(), &["--http", "0.0.0.0:0", "--token", "open-sesame", "--seconds", "300"]);
    assert!(page.contains("token=open-sesame"), "{page}");
    let bare = page.split('?').next().expect("something");
    for (arguments, says) in [
        (&["--once", bare][..], "wants its token"),
        (&["--once", bare, "--token", "open-sesam3"], "is not the one"),
        (&["--json", bare], "wants its token"),
    ] {
        let output = monitor(arguments);
        assert!(output.status.code() == Some(1) && said(&output).contains(says), "{}", said(&output));
    }
    for arguments in [&["--once", &page][..], &["--once", bare, "--token", "open-sesame"]] {
        let output = monitor(arguments);
        assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    }
}
