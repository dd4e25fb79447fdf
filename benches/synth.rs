//! `make bench-synth`: how much of real time the sound of `--synth` takes: the device's callback with 64 voices, in blocks
//! of 128 frames at 48 kHz, called as often as a device would, with real-time priority where it is granted. The last line
//! is JSON.
//!
//! 64 voices are 32 keys of each part; a SoundFont may take two samples for a key. `full` is as many as can ever sound: 64
//! keys of each part.

#[path = "../tests/soundfont/mod.rs"]
mod soundfont;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};

use antiphon::midi::ShortMessage;
use antiphon::ports::{Callback, Routing};
use antiphon::settings::Settings;
use antiphon::status::Status;
use antiphon::synth::{Gains, Line, Mixer, Part, Sounding, Timbre, read_soundfont};
use antiphon::time::Clock;
use clap::Parser;
use serde_json::{Value, json};
use thread_priority::{
    RealtimeThreadSchedulePolicy, ThreadPriority, ThreadPriorityValue, ThreadSchedulePolicy,
    set_thread_priority_and_policy, thread_native_id,
};

const RATE: u32 = 48_000;
const FRAMES: usize = 128;

/// How long a block lasts.
const BLOCK: Duration = Duration::from_nanos(FRAMES as u64 * 1_000_000_000 / RATE as u64);

/// Blocks after which all keys are struck anew: 8 s.
const STRIKE_EVERY: u32 = 3_000;

/// The share of real time that the device's callback takes
#[derive(Debug, Parser)]
struct Flags {
    /// How long each is played, in seconds: 1 to 3600
    #[arg(long, value_name = "S", default_value_t = 8, value_parser = clap::value_parser!(u64).range(1..=3_600))]
    seconds: u64,

    /// SoundFont to play on, beside the built-in instrument [default: Debian's, else one made here]
    #[arg(long, value_name = "FILE.sf2")]
    soundfont: Option<PathBuf>,

    /// Given by `cargo bench`.
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> ExitCode {
    let flags = Flags::parse();
    let (name, bytes) = match &flags.soundfont {
        Some(path) => (path.display().to_string(), std::fs::read(path)),
        None => {
            let installed = "/usr/share/sounds/sf2/default-GM.sf2";
            match std::fs::read(installed) {
                Ok(bytes) => (installed.to_owned(), Ok(bytes)),
                Err(_) => ("a sine".to_owned(), Ok(soundfont::sine())),
            }
        }
    };
    let font = match bytes.map_err(|error| error.to_string()).and_then(|bytes| read_soundfont(&bytes)) {
        Ok(font) => Timbre::Font(font),
        Err(why) => {
            eprintln!("bench-synth: {name}: {why}");
            return ExitCode::FAILURE;
        }
    };
    let in_real_time = raise();
    let mut line = json!({
        "bench": "synth", "rate": RATE, "frames": FRAMES, "soundfont": name, "real_time_priority": in_real_time,
    });
    for (name, timbre) in [("built_in", Timbre::BuiltIn), ("font", font)] {
        for (voices, keys) in [("voices_64", 32), ("full", 64)] {
            line[name][voices] = measure(&timbre, keys, flags.seconds);
            println!("{name}, {voices}: {}", line[name][voices]);
        }
    }
    println!("{line}");
    ExitCode::SUCCESS
}

/// Takes the priority that a device's thread has. False where it is not granted: then others have their say in the figures.
fn raise() -> bool {
    let policy = ThreadSchedulePolicy::Realtime(RealtimeThreadSchedulePolicy::Fifo);
    let Ok(priority) = ThreadPriorityValue::try_from(80u8) else { return false };
    set_thread_priority_and_policy(thread_native_id(), ThreadPriority::Crossplatform(priority), policy).is_ok()
}

/// Plays so many keys of each part, and says which share of a block each block took.
fn measure(timbre: &Timbre, keys: u8, seconds: u64) -> Value {
    let (mut messages, resting) = Line::new();
    let mixer = Mixer::new(timbre, RATE, Gains::default()).expect("a usual rate");
    let routing = Routing::default();
    routing.follow(&Settings::default());
    let (clock, status) = (Clock::new(), Arc::new(Status::default()));
    let (back, _returned) = crossbeam_channel::bounded(1);
    let mut callback = Callback::new(resting.wake(mixer), (clock, Arc::new(routing), status), Arc::default(), back);
    let mut block = [0f32; 2 * FRAMES];
    let mut took = Vec::new();
    let begun = Instant::now();
    let blocks = u32::try_from(u128::from(seconds) * 1_000_000_000 / BLOCK.as_nanos()).expect("an hour at most");
    for number in 0..blocks {
        // The device asks in time, as far as the machine lets it.
        sleep((begun + BLOCK * number).saturating_duration_since(Instant::now()));
        // Deep keys, which sing that long; what is let go would sound beside what is struck.
        for part in [Part::Human, Part::Ai] {
            let mut send =
                |message| assert!(messages.send(Sounding { at: clock.now(), part, message }), "there is room");
            if number % STRIKE_EVERY == 0 {
                (24..24 + keys).for_each(|key| send(ShortMessage::note_on(0, key, 90)));
            }
            let expression = 127 - u8::try_from(number % 64).expect("small");
            send(ShortMessage::control_change(0, 11, expression));
        }
        let asked = Instant::now();
        callback.fill(&mut block, 2, Duration::ZERO);
        took.push(asked.elapsed());
    }
    took.sort_unstable();
    let share = |part: usize| {
        let time = took[(took.len() * part / 1_000).min(took.len() - 1)];
        (time.as_secs_f64() / BLOCK.as_secs_f64() * 1e4).round() / 1e4
    };
    json!({ "blocks": took.len(), "p50": share(500), "p99": share(990), "max": share(1_000) })
}
