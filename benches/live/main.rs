//! `make bench-live`: the release daemon through JACK, with a simulated player, measured from outside and from inside.
//!
//! Where no JACK server runs, one is started on its dummy driver. The player plays passages of real pieces, stops at an
//! arbitrary note, lets the answer play for some seconds, comes in again, and so on. Histograms are printed, and as the
//! last line the figures as JSON.

#[path = "../../tests/daemon/mod.rs"]
mod daemon;
#[path = "../../tests/human/mod.rs"]
mod human;
#[path = "../../tests/jack/pianist.rs"]
mod pianist;
#[path = "../../tests/jack/server.rs"]
mod server;
mod soak;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::thread::sleep;
use std::time::{Duration, Instant};

use antiphon::figures::{Heading, Report};
use antiphon::midi::{ShortMessage, TimedMessage};
use antiphon::take::Happening;
use antiphon::time::{SessionDuration, SessionTime};
use clap::Parser;
use daemon::Daemon;
use human::outcome::{Outcome, Played, TIMEOUTS};
use human::phrases::{Phrase, Phrases};
use jack::Frames;
use pianist::{ANTIPHON_IN, ANTIPHON_OUT, Message, Pianist, Voice};
use serde::Serialize;
use server::Server;
use soak::Soak;

/// The shortest and the longest that the player plays before a cut.
const PHRASE: [SessionDuration; 2] = [SessionDuration::from_millis(2_500), SessionDuration::from_millis(7_000)];

/// The shortest and the longest that the player listens before they come in again.
const LISTENING: [SessionDuration; 2] = [SessionDuration::from_millis(1_000), SessionDuration::from_millis(4_000)];

/// When the player gives up waiting for an answer.
const NO_ANSWER: Duration = Duration::from_secs(15);

/// How long the player waits for a note that sounds, in order to come in on it.
const SOUND_WITHIN: Duration = Duration::from_secs(2);

/// Set in the process that measures on the server which it was given.
const INSIDE: &str = "ANTIPHON_BENCH_INSIDE_JACK";

/// The daemon through JACK with a simulated player
#[derive(Debug, Parser)]
struct Flags {
    /// How long the player plays, in seconds: 10 to 86400
    #[arg(long, value_name = "S", default_value_t = 60, value_parser = clap::value_parser!(u64).range(10..=86_400))]
    seconds: u64,

    /// Which phrases are played, and how the answers are drawn
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,

    /// Pieces to play: a folder with one folder for each style; of a style with train/ and test/, test/ is taken
    /// [default: ../shared/data beside the checkout if there is one, else mid_songs]
    #[arg(long, value_name = "FOLDER")]
    data: Option<PathBuf>,

    /// Play so many phrases more under virtual time, 0 to 10000, for the moment of the handover alone: more of them than
    /// real time has room for
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u16).range(0..=10_000))]
    virtual_phrases: u16,

    /// What runs the model, as for `antiphon jam`
    #[arg(long, value_name = "ENGINE", default_value = "auto")]
    engine: String,

    /// Hold the session against what a long one must have kept, and fail when something was not: memory, misses, notes
    /// that are stuck, the take
    #[arg(long)]
    soak: bool,

    /// Given by `cargo bench`.
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> ExitCode {
    let flags = Flags::parse();
    if std::env::var_os(INSIDE).is_some() || server_runs() {
        return run(&flags);
    }
    if let Err(missing) = server::is_installed() {
        eprintln!("bench-live: no JACK server runs, and {missing}");
        return ExitCode::FAILURE;
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let server = Server::start(folder.path(), "bench");
    let inner = server.this_program().args(std::env::args_os().skip(1)).env(INSIDE, "1").status();
    if inner.is_ok_and(|status| status.success()) {
        return ExitCode::SUCCESS;
    }
    eprintln!("bench-live: jackd said:\n{}", server.said());
    ExitCode::FAILURE
}

fn server_runs() -> bool {
    if jack::jack_sys::library().is_err() {
        return false;
    }
    jack::set_logger(jack::LoggerType::None);
    jack::Client::new("look", jack::ClientOptions::NO_START_SERVER).is_ok()
}

/// The figures that are held against the bars.
#[derive(Debug, Serialize)]
struct Measured {
    on_time_rate: f64,
    planned_to_sent_p99_us: u64,
    first_note_p99_us: u64,
    sample_note_p99_us: u64,
    barge_in_p99_us: u64,
    handover_error_median_ms: f64,
    cold_start_ms: f64,
    rss_mb: f64,
    stuck_notes: usize,
}

fn run(flags: &Flags) -> ExitCode {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR"));
    let beside = repository.join("../shared/data");
    let bundled = if beside.is_dir() { beside } else { repository.join("mid_songs") };
    let data = flags.data.clone().unwrap_or(bundled);
    let mut phrases = Phrases::new(&data, flags.seed);
    println!("{} s with {} pieces of {}, seed {}", flags.seconds, phrases.pieces(), data.display(), flags.seed);

    let folder = tempfile::tempdir().expect("a temporary folder");
    let seed = flags.seed.to_string();
    let (daemon, cold_start) = start(&flags.engine, folder.path(), &["--backend", "jack", "--seed", &seed, "--json"]);
    let mut session = Session::begin();
    let mut memory: Vec<(f64, f64)> = Vec::new();
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(flags.seconds) {
        let length = phrases.between(PHRASE[0], PHRASE[1]);
        let phrase = phrases.next(length);
        let listening = phrases.between(LISTENING[0], LISTENING[1]);
        session.round(&phrase, listening);
        memory.push((begun.elapsed().as_secs_f64(), daemon.resident_mb()));
    }
    let (status, said) = daemon.stop("TERM", Duration::from_secs(10));
    session.listen_out();
    let report = said.lines().rev().find(|line| line.contains(r#""event":"figures""#));
    let report = report.map(serde_json::from_str::<Report>);
    let (true, Some(Ok(report))) = (status.success(), report) else {
        eprintln!("bench-live: the daemon ended with {status} and said:\n{said}");
        return ExitCode::FAILURE;
    };
    let outcome = session.outcome();
    print(&report, &outcome, &session);
    let sent = report.notes.on_time + report.notes.late;
    if sent != outcome.notes {
        println!("the daemon says that it sent {sent} notes, but {} were heard", outcome.notes);
    }
    if flags.soak {
        return soaked(&report, &outcome, &memory, &session, folder.path());
    }
    if flags.virtual_phrases > 0 {
        let outcome = human::virtually::play(&mut phrases, flags.virtual_phrases.into());
        println!("\n{} phrases under virtual time, {} interrupted", flags.virtual_phrases, outcome.interrupted);
        print_handovers(&outcome);
    }
    let json = Measured {
        on_time_rate: ratio(report.notes.on_time, sent + report.notes.missed),
        planned_to_sent_p99_us: report.planned_to_sent.p99_us,
        first_note_p99_us: report.first_note.p99_us,
        sample_note_p99_us: report.note_sampled.p99_us,
        barge_in_p99_us: outcome.barge_in.summary().p99_us,
        handover_error_median_ms: tenths(
            SessionDuration::from_micros(outcome.handover_error.summary().p50_us).as_seconds() * 1000.0,
        ),
        cold_start_ms: tenths(cold_start.as_secs_f64() * 1000.0),
        rss_mb: tenths(memory.iter().map(|(_, mb)| *mb).fold(0.0, f64::max)),
        stuck_notes: outcome.stuck,
    };
    println!("{}", serde_json::to_string(&json).expect("plain numbers"));
    ExitCode::SUCCESS
}

/// Says what the session has kept, as one line of JSON at the end.
fn soaked(report: &Report, outcome: &Outcome, memory: &[(f64, f64)], session: &Session, folder: &Path) -> ExitCode {
    let played = session.pianist.log.iter().filter(|message| message.voice == Voice::Human && message.is_note_on());
    let take = antiphon::midi_file::read_notes(&folder.join("AI_generated.mid"));
    let sent = report.notes.on_time + report.notes.late;
    let mut soak = Soak {
        minutes: tenths(memory.last().map_or(0.0, |(seconds, _)| seconds / 60.0)),
        rss_settled_mb: 0.0,
        rss_min_mb: 0.0,
        rss_max_mb: 0.0,
        on_time_rate: ratio(report.notes.on_time, sent + report.notes.missed),
        missed: report.notes.missed,
        dropped: report.dropped.input + report.dropped.record,
        stuck_notes: outcome.stuck,
        notes_on_the_wires: outcome.notes + played.count() as u64,
        notes_in_the_take: take.ok().map(|notes| notes.len() as u64),
        failures: Vec::new(),
    };
    soak.remembers(memory);
    let soak = soak.judged();
    println!("{}", serde_json::to_string(&soak).expect("plain numbers"));
    if soak.failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Starts the daemon, and says how long it took until both its ports were there.
fn start(engine: &str, folder: &Path, flags: &[&str]) -> (Daemon, Duration) {
    let client = server::open_client("bench");
    let there = || [ANTIPHON_IN, ANTIPHON_OUT].iter().all(|port| client.port_by_name(port).is_some());
    assert!(!there(), "an Antiphon runs on this JACK server already; end it first");
    let begun = Instant::now();
    let mut daemon = Daemon::start_on(engine, folder, flags, &[]);
    while !there() {
        daemon.expect_alive();
        assert!(begun.elapsed() < Duration::from_secs(60), "no ports after a minute; it said:\n{}", daemon.said());
        sleep(Duration::from_millis(1));
    }
    let cold_start = begun.elapsed();
    daemon.wait_until_ready(Duration::from_secs(60));
    (daemon, cold_start)
}

/// The player's side of the session.
struct Session {
    pianist: Pianist,
    played: Vec<Played>,
    unanswered: usize,
    /// Frame zero of the session.
    origin: Frames,
}

impl Session {
    fn begin() -> Self {
        let pianist = Pianist::sit_down();
        let origin = pianist.now();
        Self { pianist, played: Vec::new(), unanswered: 0, origin }
    }

    /// Plays a phrase, waits for the answer and listens to it until something sounds that can be cut off.
    fn round(&mut self, phrase: &Phrase, listening: SessionDuration) {
        let messages = phrase.messages(SessionTime::ZERO);
        let frames = messages.iter().map(|timed| (self.frames(timed.time), three_bytes(&timed.message))).collect();
        let heard_before = self.pianist.log.len();
        let [begin, end] = self.pianist.play(frames);
        let last_onset = begin + self.frames(phrase.last_onset());
        self.played.push(Played {
            begin: self.time(begin),
            last_onset: self.time(last_onset),
            rest: self.time(end),
            next: self.time(begin + self.frames(phrase.next)),
        });
        self.pianist.listen_to(last_onset);
        let is_answer =
            |message: &&Message| message.voice == Voice::Answer && message.is_note_on() && message.frame > last_onset;
        let answered =
            self.pianist.listen_for(NO_ANSWER, |pianist| pianist.log[heard_before..].iter().any(|m| is_answer(&m)));
        self.unanswered += usize::from(!answered);
        let until = self.pianist.now() + self.frames(SessionTime::ZERO + listening);
        self.pianist.listen_to(until);
        self.pianist.listen_for(SOUND_WITHIN, |pianist| !pianist.sounding_at(pianist.now()).is_empty());
    }

    /// Hears what still comes after the end.
    fn listen_out(&mut self) {
        let until = self.pianist.now() + self.pianist.rate() / 2;
        self.pianist.listen_to(until);
    }

    fn outcome(&self) -> Outcome {
        let happening = |message: &Message| {
            let timed = TimedMessage {
                time: self.time(message.frame),
                message: ShortMessage::from_bytes(&message.bytes).ok()?,
            };
            Some(match message.voice {
                Voice::Human => Happening::Human(timed),
                Voice::Answer => Happening::Ai(timed),
            })
        };
        Outcome::new(&self.played, &self.pianist.log.iter().filter_map(happening).collect::<Vec<_>>())
    }

    /// The time of a frame since the session's beginning.
    fn time(&self, frame: Frames) -> SessionTime {
        SessionTime::from_micros(u64::from(frame - self.origin) * 1_000_000 / u64::from(self.pianist.rate()))
    }

    /// Frames from zero to a time.
    fn frames(&self, time: SessionTime) -> Frames {
        Frames::try_from(time.as_micros() * u64::from(self.pianist.rate()) / 1_000_000).expect("within a day")
    }
}

fn print(report: &Report, outcome: &Outcome, session: &Session) {
    println!("\nwhat the daemon measured\n{report}");
    println!("\nwhat was on the wires\n{Heading}");
    println!("{:<24}{}", "barge-in to silence", outcome.barge_in.summary());
    print_handovers(outcome);
    println!(
        "\n{} phrases: {} answered, {} not within {} s, {} interrupted by an answer; {} notes left over after a cut; \
         {} keys sound at the end",
        session.played.len(),
        outcome.answered,
        session.unanswered,
        NO_ANSWER.as_secs(),
        outcome.interrupted,
        outcome.left_over,
        outcome.stuck
    );
}

fn print_handovers(outcome: &Outcome) {
    println!("\nfrom the answer's onset to where the player's next one would have been\n{Heading}");
    println!("{:<24}{}", "Antiphon", outcome.handover_error.summary());
    for (timeout, error) in TIMEOUTS.iter().zip(&outcome.timeout_error) {
        println!("{:<24}{}", format!("{} s after the last note", timeout.as_seconds()), error.summary());
    }
}

fn three_bytes(message: &ShortMessage) -> [u8; 3] {
    message.as_bytes().try_into().expect("note-ons and note-offs have three bytes")
}

#[expect(clippy::cast_precision_loss, reason = "below 2^53")]
fn ratio(part: u64, whole: u64) -> f64 {
    part as f64 / whole.max(1) as f64
}

/// To a tenth.
fn tenths(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}
