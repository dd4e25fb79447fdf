//! A jam as a program of its own, in which a thread panics.

#[cfg(all(unix, feature = "jack"))]
mod on_jack;

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::thread;
use std::time::Duration;

use super::*;
use crate::commands::{self, Exit};
use crate::midi_file::read_notes;
use crate::note::Note;

/// Where the jam that breaks records to.
const TAKE: &str = "FAULT_IN_ANTIPHON_TAKE";

/// More of its flags.
const FLAGS: &str = "FAULT_IN_ANTIPHON_FLAGS";

/// Without any port, page or OSC.
const BARE: &str = "--backend none --no-http";

/// A page at any port that is free.
const PAGE: &str = "--backend none --http 127.0.0.1:0";

/// OSC at any port that is free.
const OSC: &str = "--backend none --no-http --osc 127.0.0.1:0";

/// How often the page is asked for something.
const ASKED_EVERY: Duration = Duration::from_millis(100);

#[test]
#[ignore = "a part of the other tests, which run it as a program of its own"]
fn a_jam_that_breaks() {
    let [take, flags] = [TAKE, FLAGS].map(|name| std::env::var(name).expect("who runs it names one"));
    let playing = ["antiphon", "jam", "--config", "none", "--engine", "embedded", "--mode", "accompany"];
    let human = ["--input", "assets/phrase.mid", "--seconds", "60", "--seed", "7", "--out"];
    let all = playing.iter().chain(&human).copied().chain([take.as_str()]).chain(flags.split(' '));
    let code = commands::run(all.map(Into::into));
    let number = (0..=u8::MAX).find(|number| ExitCode::from(*number) == code).expect("one of them");
    std::process::exit(i32::from(number));
}

/// Asks the page for something again and again, until nobody is there any more.
fn ask_again_and_again(address: &str) {
    while let Ok(mut page) = TcpStream::connect(address) {
        let asked = write!(page, "GET /api/state HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
        // Whoever breaks answers nothing.
        let _ = asked.and_then(|()| page.read_to_end(&mut Vec::new()));
        thread::sleep(ASKED_EVERY);
    }
}

/// The jam as a program of its own, which panics where it is told to, and must end in order all the same: what is in
/// its take.
fn break_at(fault: &str, flags: &str) -> Vec<Note> {
    let folder = tempfile::tempdir().expect("a folder");
    let take = folder.path().join("take.mid");
    let (code, said) = run(fault, flags, &take);
    assert_eq!(code, Some(i32::from(Exit::Panicked as u8)), "{fault}: {said}");
    assert!(said.contains(&format!("injected at {}", fault.split(':').next().unwrap_or(fault))), "{fault}: {said}");
    assert!(said.contains("what sounded was released and the take is closed"), "{fault}: {said}");
    read_notes(&take).unwrap_or_else(|error| panic!("{fault}: the take {error}"))
}

fn run(fault: &str, flags: &str, take: &Path) -> (Option<i32>, String) {
    let mut child = Command::new(std::env::current_exe().expect("this program has a path"))
        .args(["--exact", "fault::tests::a_jam_that_breaks", "--ignored", "--nocapture"])
        .env(injected::VARIABLE, fault)
        .env(FLAGS, flags)
        .env(TAKE, take)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it runs again");
    let typed = child.stdin.take().map(|mut typed| typed.write_all(b"patience 2\n"));
    assert!(typed.is_some_and(|typed| typed.is_ok()));
    let mut said = String::new();
    thread::scope(|scope| {
        for line in BufReader::new(child.stderr.take().expect("piped")).lines().map_while(Result::ok) {
            if let Some(address) = line.strip_prefix("page: http://") {
                let address = address.to_owned();
                scope.spawn(move || ask_again_and_again(&address));
            }
            said += &line;
            said.push('\n');
        }
        (child.wait().expect("it ends").code(), std::mem::take(&mut said))
    })
}

#[test]
fn a_panic_in_any_thread_releases_the_notes_closes_the_take_and_ends_with_a_code_of_its_own() {
    for (fault, flags) in [
        ("conductor:60", BARE),
        ("player:60", BARE),
        ("recorder:60", BARE),
        ("feed:30", BARE),
        ("cables:8", BARE),
        ("file player:12", BARE),
        ("typed lines:0", BARE),
        ("main:60", BARE),
        ("http:20", PAGE),
        ("osc:60", OSC),
    ] {
        let notes = break_at(fault, flags);
        assert!(!notes.is_empty() || fault.starts_with("typed"), "{fault}: nothing is in the take");
    }
}

#[test]
fn what_is_tried_may_panic_without_harm() {
    assert_eq!(tried(|| 5), Some(5));
    assert_eq!(tried(|| panic!("as it may")), None::<u8>);
    assert!(!IS_TRIED.get());
}
