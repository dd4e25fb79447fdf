//! The built daemon is killed at random moments while it records: every file must be whole, hold all but at most the last
//! second, and no earlier one may have changed.
//!
//! A simulated player sends every kind of message that a take keeps, by a file in real time; the daemon plays along. What
//! was sent is known from that file, when it was sent from the daemon's own JSON lines, what is in the take from readers
//! that are not ours: midly, midicsv where it is installed, and mido where `ANTIPHON_MIDO` names a Python that has it.
//!
//! `kill_test --kills 200` kills so often; `make kill-test N=200`. The last line is JSON.
#![cfg(unix)]

mod player;
mod takes;
mod witness;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

use player::Performance;
use rand_chacha::ChaCha8Rng;
use rand_core::{Rng as _, SeedableRng as _};
use serde_json::json;
use takes::{Folder, Take};
use witness::Witness;

/// The name of the take: not of one alphabet.
const NAME: &str = "Übung ♪ 練習.mid";

/// What may be missing.
const A_SECOND: f64 = 1.0;

/// Longest wait for a daemon to play, on a machine that is busy with other things.
const PATIENCE: Duration = Duration::from_secs(60);

fn main() -> ExitCode {
    let arguments = Arguments::read();
    if !arguments.wanted {
        return ExitCode::SUCCESS;
    }
    let begun = Instant::now();
    let root = tempfile::tempdir().expect("a temporary folder");
    let song = root.path().join("player.mid");
    let performance = Performance::of_seconds(40, arguments.seed);
    fs::write(&song, performance.to_midi()).expect("written");
    let left = AtomicU32::new(arguments.kills);
    let mut sum = thread::scope(|scope| {
        let lanes: Vec<_> = (0..arguments.lanes)
            .map(|lane| {
                let folder = root.path().join(format!("lane {lane}"));
                fs::create_dir(&folder).expect("a folder");
                let random = ChaCha8Rng::seed_from_u64(arguments.seed * 1000 + lane);
                let (song, performance, left) = (&song, &performance, &left);
                scope.spawn(move || Lane { folder: Folder::new(folder, NAME), song, performance, random }.run(left))
            })
            .collect();
        let done = lanes.into_iter().map(|lane| lane.join().expect("a lane broke off"));
        done.fold(Sum::default(), Sum::and)
    });
    sum.read_by_others(root.path());
    println!("{}", sum.to_json(begun.elapsed()));
    if sum.is_clean() {
        return ExitCode::SUCCESS;
    }
    sum.complaints.iter().for_each(|complaint| eprintln!("kill test: {complaint}"));
    eprintln!("kill test: what was recorded is in {}", root.keep().display());
    ExitCode::FAILURE
}

/// What was asked for.
struct Arguments {
    wanted: bool,
    kills: u32,
    lanes: u64,
    seed: u64,
}

impl Arguments {
    /// Reads the command line, on which `cargo test` may have put words of its own.
    fn read() -> Self {
        let mut arguments = Self { wanted: true, kills: 6, lanes: 2, seed: 1 };
        let mut words = std::env::args().skip(1);
        while let Some(word) = words.next() {
            let mut number = || words.next().and_then(|number| number.parse().ok()).expect("a number behind it");
            match word.as_str() {
                "--kills" => arguments.kills = u32::try_from(number()).expect("not so many"),
                "--lanes" => arguments.lanes = number(),
                "--seed" => arguments.seed = number(),
                // A list of tests is wanted; this is one without a name.
                "--list" => arguments.wanted = false,
                flag if flag.starts_with('-') => {}
                filter => arguments.wanted = "kill_test".contains(filter),
            }
        }
        arguments
    }
}

/// What was found.
#[derive(Default)]
struct Sum {
    kills: u32,
    files: usize,
    messages: usize,
    parts: usize,
    lost_over_one_second: u32,
    unreadable: usize,
    overwritten: usize,
    doubled: usize,
    unbalanced: usize,
    /// Seconds between the first message that is missing and the kill, for each kill.
    lost: Vec<f64>,
    readers: Vec<&'static str>,
    complaints: Vec<String>,
}

impl Sum {
    fn and(mut self, mut other: Self) -> Self {
        self.kills += other.kills;
        self.files += other.files;
        self.messages += other.messages;
        self.parts += other.parts;
        self.lost_over_one_second += other.lost_over_one_second;
        self.unreadable += other.unreadable;
        self.overwritten += other.overwritten;
        self.doubled += other.doubled;
        self.unbalanced += other.unbalanced;
        self.lost.append(&mut other.lost);
        self.complaints.append(&mut other.complaints);
        self
    }

    fn is_clean(&self) -> bool {
        self.lost_over_one_second == 0
            && [self.unreadable, self.overwritten, self.doubled, self.unbalanced].iter().all(|count| *count == 0)
            && self.complaints.is_empty()
    }

    fn to_json(&self, took: Duration) -> serde_json::Value {
        let mut lost = self.lost.clone();
        lost.sort_by(f64::total_cmp);
        let milliseconds = |seconds: Option<&f64>| seconds.map(|seconds| (seconds * 1000.0).round());
        json!({
            "kills": self.kills, "files": self.files, "parts": self.parts, "messages": self.messages,
            "lost_over_one_second": self.lost_over_one_second, "unreadable": self.unreadable,
            "overwritten": self.overwritten, "doubled": self.doubled, "unbalanced": self.unbalanced,
            "lost_ms_median": milliseconds(lost.get(lost.len() / 2)), "lost_ms_most": milliseconds(lost.last()),
            "readers": self.readers, "seconds": took.as_secs(),
        })
    }

    /// All files that are there in the end are read by programs of other people.
    fn read_by_others(&mut self, root: &Path) {
        let files = takes::all_files(root);
        self.files = files.len();
        self.readers.push("midly");
        for (reader, refused) in [("midicsv", takes::midicsv(&files)), ("mido", takes::mido(&files))] {
            let Some(refused) = refused else { continue };
            self.readers.push(reader);
            self.unreadable += refused.len();
            self.complaints.extend(refused.into_iter().map(|why| format!("{reader}: {why}")));
        }
    }
}

/// One daemon after the other in a folder of their own.
struct Lane<'a> {
    folder: Folder,
    song: &'a Path,
    performance: &'a Performance,
    random: ChaCha8Rng,
}

impl Lane<'_> {
    fn run(mut self, left: &AtomicU32) -> Sum {
        let mut sum = Sum::default();
        while left.fetch_update(Relaxed, Relaxed, |left| left.checked_sub(1)).is_ok() {
            self.kill_one(&mut sum);
        }
        sum
    }

    /// Seconds from 0 to that.
    fn up_to(&mut self, seconds: f64) -> Duration {
        Duration::from_secs_f64(seconds * f64::from(self.random.next_u32()) / f64::from(u32::MAX))
    }

    fn kill_one(&mut self, sum: &mut Sum) {
        let before = self.folder.contents();
        let mut arguments = Vec::new();
        // Who only listens leaves rests.
        if self.random.next_u32().is_multiple_of(3) {
            arguments.extend(["--mode", "listen", "--split-silence", "1"]);
        } else {
            arguments.extend(["--mode", "accompany"]);
        }
        let asks = self.random.next_u32().is_multiple_of(2);
        let mut daemon = self.start(&arguments);
        let mut witness = Witness::of(daemon.stdout.take().expect("piped"));
        let mut typed = daemon.stdin.take();
        // One in eight while it starts.
        if self.random.next_u32().is_multiple_of(8) {
            sleep(self.up_to(1.5));
        } else {
            assert!(witness.waits_for_the_player(PATIENCE), "antiphon played nothing within {PATIENCE:?}");
            let (until, splits) = (Instant::now() + self.up_to(5.0), self.up_to(4.0));
            if asks {
                sleep(splits);
                witness::ask(&mut typed, "split-take");
            }
            sleep(until.saturating_duration_since(Instant::now()));
        }
        let killed = Instant::now();
        // SIGKILL: nothing of the daemon runs any more.
        daemon.kill().expect("it was alive");
        daemon.wait().expect("it has ended");
        sum.kills += 1;
        drop(typed);
        let said = witness.all();

        let after = self.folder.contents();
        let changed = before.iter().filter(|(hash, _)| !after.contains_key(*hash)).map(|(_, path)| path);
        for path in changed {
            sum.overwritten += 1;
            sum.complaints.push(format!("{} is not there any more as it was", path.display()));
        }
        let fresh: Vec<PathBuf> = self.folder.parts(after.iter().filter(|(hash, _)| !before.contains_key(*hash)));
        let mut take = Take::default();
        for path in &fresh {
            if let Err(why) = take.read(path) {
                sum.unreadable += 1;
                sum.complaints.push(format!("{}: {why}", path.display()));
            }
        }
        sum.parts += fresh.len().saturating_sub(1);
        sum.messages += take.len();
        sum.unbalanced += take.unbalanced();
        self.compare(&said, &take, killed, sum);
    }

    /// Everything that was sent more than a second before the kill is in the take, once.
    fn compare(&self, said: &witness::Said, take: &Take, killed: Instant, sum: &mut Sum) {
        let Some(session_began) = said.session_began(self.performance) else { return };
        let at_kill = killed.saturating_duration_since(session_began.clock).as_secs_f64();
        let human = self.performance.sent().map(|(time, bytes)| (time + session_began.first_message, bytes));
        let sent = human.filter(|(_, bytes)| player::is_told_apart(bytes)).map(|(at, bytes)| (at, 0, bytes));
        let sent: Vec<_> = sent.chain(said.answers().map(|(at, bytes)| (at, 1, bytes))).collect();
        let mut missing = f64::INFINITY;
        let (mut what, mut doubled) = (String::new(), 0);
        for (at, voice, bytes) in sent {
            match take.count(voice, &bytes) {
                0 if at < missing => (missing, what) = (at, format!("{bytes:x?} of {}", ["human", "answer"][voice])),
                0 | 1 => {}
                // The answer may play one key with one velocity several times.
                _ if voice == 1 => {}
                _ => doubled += 1,
            }
        }
        if doubled > 0 {
            sum.doubled += 1;
            sum.complaints.push(format!("{doubled} messages are in the take twice"));
        }
        let lost = (at_kill - missing).max(0.0);
        sum.lost.push(lost);
        if lost > A_SECOND {
            sum.lost_over_one_second += 1;
            sum.complaints.push(format!("{what}, sent {lost:.3} s before the kill, is missing"));
        }
    }

    fn start(&self, arguments: &[&str]) -> Child {
        let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/antiphon.onnx");
        Command::new(env!("CARGO_BIN_EXE_antiphon"))
            .args(["jam", "--config", "none", "--engine", "embedded", "--backend", "none", "--no-http", "--json"])
            .args(["--out", NAME, "--model"])
            .arg(model)
            .arg("--input")
            .arg(self.song)
            .args(arguments)
            .current_dir(self.folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("antiphon starts")
    }
}
