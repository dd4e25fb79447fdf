//! Floods through a JACK server into the built daemon: it lives, all that came in is accounted for, its notes keep their
//! time or it says that they did not, nothing sticks, and the take has what it says.
//!
//! `load --seconds 60`, shared among the floods; `make load-test SECONDS=60`. The last line is JSON.
#![cfg(unix)]

mod account;
#[path = "../daemon/mod.rs"]
mod daemon;
mod floods;
mod hose;
#[path = "../jack/pianist.rs"]
#[allow(dead_code, reason = "only its ears are used")]
mod pianist;
#[path = "../jack/server.rs"]
mod server;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use account::{Account, Played, Sum, Told};
use antiphon::figures::Report;
use daemon::Daemon;
use floods::{FLOODS, Flood};
use hose::Hose;
use jack::Frames;
use pianist::{Pianist, Voice};
use server::Server;

/// Seconds of all floods together when nobody asks for more.
const SECONDS: f64 = 8.0;

/// Generous, because the machine may be busy with other things.
const PATIENCE: Duration = Duration::from_secs(60);

/// Notes that Antiphon has played before a flood comes, where it is to play meanwhile.
const UNDER_WAY: usize = 4;

/// May name the only flood that is wanted.
const ONLY: &str = "ANTIPHON_LOAD_ONLY";

/// Set in the process that floods the server which it was given.
const INSIDE: &str = "ANTIPHON_LOAD_INSIDE_JACK";

fn main() -> ExitCode {
    let Some(seconds) = seconds() else { return ExitCode::SUCCESS };
    if std::env::var_os(INSIDE).is_some() {
        return flood(seconds);
    }
    if let Err(missing) = server::is_installed() {
        eprintln!("load: left out: {missing}");
        return ExitCode::SUCCESS;
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let server = Server::start(folder.path(), "load");
    let inner = server.this_program().args(["--seconds", &seconds.to_string()]).env(INSIDE, "1").status();
    if inner.is_ok_and(|status| status.success()) {
        return ExitCode::SUCCESS;
    }
    eprintln!("load: jackd said:\n{}", server.said());
    ExitCode::FAILURE
}

/// What the command line asks for, on which `cargo test` may have put words of its own; `None`: another test.
fn seconds() -> Option<f64> {
    let mut seconds = SECONDS;
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        match word.as_str() {
            "--seconds" => seconds = words.next().and_then(|word| word.parse().ok()).expect("a number of seconds"),
            // A list of tests is wanted; this is one without a name.
            "--list" => return None,
            flag if flag.starts_with('-') => {}
            filter if !"load".contains(filter) => return None,
            _ => {}
        }
    }
    Some(seconds)
}

fn flood(seconds: f64) -> ExitCode {
    let begun = Instant::now();
    let mut sum = Sum::default();
    let only = std::env::var(ONLY).ok();
    let floods: f64 = FLOODS.iter().map(|_| 1.0).sum();
    for kind in FLOODS.iter().filter(|kind| only.as_deref().is_none_or(|only| only == kind.name)) {
        let account = meet(kind, seconds / floods);
        eprintln!("load: {}: {}", kind.name, account.figures());
        sum.add(kind.name, account);
    }
    println!("{}", sum.line(begun.elapsed()));
    if sum.failures() == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Has a daemon of its own meet a flood.
fn meet(kind: &Flood, seconds: f64) -> Account {
    let folder = tempfile::tempdir().expect("a temporary folder");
    // The server may be still on its way up, and the daemon does not wait for one.
    let rate = server::open_client("knock").sample_rate();
    let score = Arc::new((kind.score)(frames(seconds, rate), rate));
    // There before it plays, so that every note is heard.
    let mut pianist = Pianist::sit_down_unplugged();
    let flags =
        ["--backend", "jack", "--connect-to", "ears:in", "--seed", "7", "--json", "--no-http", "--mode", kind.mode];
    let mut daemon = Daemon::start(folder.path(), &flags);
    daemon.wait_until_ready(PATIENCE);
    let hose = Hose::screw_on(&score);
    let mut failures = Vec::new();
    let mut expect = |what: &str, is_so: bool| {
        if !is_so {
            failures.push(what.to_owned());
        }
    };
    if kind.plays_meanwhile {
        let plays = pianist.listen_for(PATIENCE, |pianist| answers(pianist, 0) >= UNDER_WAY);
        expect("it does not begin to play", plays);
    }
    let begins = pianist.now();
    hose.open();
    let patience = PATIENCE + Duration::from_secs_f64(seconds);
    expect("not all could be sent", pianist.listen_for(patience, |_| hose.is_empty()));
    let ends = pianist.now();
    if kind.plays_meanwhile {
        // Music may rest for as long as a short flood lasts; a note that it held up counts as late or missed.
        let plays_on = pianist.listen_for(PATIENCE, |pianist| answers(pianist, begins) > 0);
        expect("it plays nothing meanwhile", plays_on);
    } else {
        expect("it does not answer afterwards", pianist.listen_for(PATIENCE, |pianist| answers(pianist, ends) > 0));
    }
    daemon.expect_alive();
    let resident_mb = daemon.resident_mb();
    let (status, said) = daemon.stop("TERM", PATIENCE);
    expect(&format!("it ended with {status}"), status.success());
    let silent = pianist.now() + 300 * rate / 1_000;
    pianist.listen_to(silent);
    let report = said.lines().rev().find(|line| line.contains(r#""event":"figures""#));
    let report = report.and_then(|line| serde_json::from_str::<Report>(line).ok());
    let report = report.unwrap_or_else(|| panic!("{}: no figures in what it said:\n{said}", kind.name));
    let take = Played::read(folder.path());
    let account = Account::new(&score, &hose, &pianist, Told { report, resident_mb, take }, failures);
    if !account.is_sound() {
        eprintln!("load: {}: what was recorded is in {}", kind.name, folder.keep().display());
    }
    account
}

/// The answer's notes after this frame.
fn answers(pianist: &Pianist, after: Frames) -> usize {
    let answer = pianist.log.iter().filter(|message| message.voice == Voice::Answer && message.is_note_on());
    answer.filter(|message| message.frame > after).count()
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a flood is no longer than hours")]
fn frames(seconds: f64, rate: Frames) -> Frames {
    (seconds * f64::from(rate)) as Frames
}
