//! The sound device's callback: alone, as densely played as can be, and on the threads of ALSA's and JACK's own.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::thread::sleep;
use std::time::Duration;
#[cfg(feature = "jack")]
use std::time::Instant;

use antiphon::midi::{ShortMessage, TimedMessage};
use antiphon::ports::{Backend, Callback, Routing, SoundSettings};
use antiphon::session::LiveSession;
use antiphon::settings::Settings;
use antiphon::status::Status;
use antiphon::synth::{Gains, Line, Mixer, POLYPHONY, Part, Sounding, Timbre, read_soundfont};
use antiphon::time::{Clock, SessionDuration, SessionTime};
use rand_chacha::ChaCha8Rng;
use rand_core::{Rng as _, SeedableRng as _};

use super::guard::{calls_during, calls_of_threads, calls_since};
use super::{session_with_sound, soundfont};

/// Where Debian's SoundFonts lie.
const INSTALLED: &str = "/usr/share/sounds/sf2/default-GM.sf2";

/// Set in the process that plays on a device of its own.
const INSIDE: &str = "ANTIPHON_TEST_INSIDE_ALSA";

/// The instruments to play on, with their names: the one inside, a SoundFont made here, one that is installed.
fn timbres() -> Vec<(&'static str, Timbre)> {
    let made = read_soundfont(&soundfont::sine()).expect("ours");
    let mut timbres = vec![("built-in", Timbre::BuiltIn), ("a sine", Timbre::Font(made))];
    match fs::read(INSTALLED) {
        Ok(bytes) => timbres.push(("installed", Timbre::Font(read_soundfont(&bytes).expect("a SoundFont")))),
        Err(_) => eprintln!("left out: an installed SoundFont (Debian: timgm6mb-soundfont)"),
    }
    timbres
}

/// One message of whatever may come, notes more than all else.
fn any(random: &mut ChaCha8Rng) -> ShortMessage {
    let mut below = |limit: u32| u8::try_from(random.next_u32() % limit).expect("below 128");
    let channel = below(16);
    let (first, second) = (below(128), below(128));
    let bytes = match below(16) {
        0 => [0xc0 | channel, first, 0],
        1 => [0xe0 | channel, first, second],
        // Bank, modulation, data entry, volume, place, expression; pedals; parameters.
        2..4 => [
            0xb0 | channel,
            [0, 1, 6, 7, 10, 11, 38, 64, 66, 67, 91, 93, 98, 99, 100, 101][usize::from(below(16))],
            second,
        ],
        4 => [0xb0 | channel, 64, 127],
        5 if below(20) == 0 => [0xb0 | channel, 120 + below(8), 0],
        5..8 => [0x80 | channel, first, 64],
        8 => [0xa0 | channel, first, second],
        9 => [0xd0 | channel, first, 0],
        _ => [0x90 | channel, first, 1 + second.min(126)],
    };
    let length = if matches!(bytes[0] & 0xf0, 0xc0 | 0xd0) { 2 } else { 3 };
    ShortMessage::from_bytes(&bytes[..length]).expect("a channel message")
}

#[test]
fn the_sound_callback_takes_no_memory_however_densely_it_is_played() {
    for (name, timbre) in timbres() {
        let gains = Gains::default();
        let (mut line, resting) = Line::new();
        let mixer = Mixer::new(&timbre, 48_000, gains).expect("a usual rate");
        let routing = Routing::default();
        routing.follow(&Settings::default());
        let (clock, status) = (Clock::new(), Arc::new(Status::default()));
        let (back, returned) = crossbeam_channel::bounded(1);
        let around = (clock, Arc::new(routing), Arc::clone(&status));
        let mut callback = Callback::new(resting.wake(mixer), around, Arc::default(), back);
        let mut random = ChaCha8Rng::seed_from_u64(7);
        let mut block = [0f32; 2 * 256];
        let (mut loudest, mut refused) = (0f32, 0);
        let calls = calls_during(|| {
            // All voices of both parts, held by the pedal.
            for part in [Part::Human, Part::Ai] {
                line.send(Sounding { at: clock.now(), part, message: ShortMessage::control_change(0, 64, 127) });
                for key in 20..20 + u8::try_from(POLYPHONY).expect("small") {
                    line.send(Sounding { at: clock.now(), part, message: ShortMessage::note_on(0, key, 90) });
                }
            }
            for number in 0..400u64 {
                // A flood that the line has no place for, and one that is sent ahead.
                let (messages, ahead) = match number {
                    150 => (5_000, 0),
                    250 => (1_500, 900),
                    _ => (14, number % 3 * 4),
                };
                for _ in 0..messages {
                    let part = if random.next_u32() % 2 == 0 { Part::Human } else { Part::Ai };
                    let at = clock.now() + SessionDuration::from_millis(ahead);
                    refused += u32::from(!line.send(Sounding { at, part, message: any(&mut random) }));
                }
                callback.fill(&mut block, 2, Duration::from_millis(5));
                loudest = block.iter().fold(loudest, |loudest, sample| loudest.max(sample.abs()));
            }
        });
        assert!(loudest > 0.1 && refused > 500, "{name}: loudest {loudest}, {refused} refused");
        assert_eq!(calls, 0, "{name}");
        // The device goes: the line rests, and wakes with the next one.
        drop(callback);
        assert!(returned.try_recv().is_ok(), "{name}");
    }
}

/// Settings of a device that is there for sure.
fn settings(timbre: Timbre, through_jack: bool) -> SoundSettings {
    SoundSettings { timbre, through_jack, device: None, frames: 128, required: true }
}

/// Dense chords for two seconds.
fn chords(begin: SessionTime) -> Vec<TimedMessage> {
    let mut random = ChaCha8Rng::seed_from_u64(3);
    let message = |us| TimedMessage { time: begin + SessionDuration::from_micros(us), message: any(&mut random) };
    (0..2_000_000).step_by(2_000).map(message).collect()
}

/// Lets the session play, and says how often its threads of that name have called the allocator meanwhile.
fn calls_while_it_plays(session: &mut LiveSession, thread: &str) -> u64 {
    assert!(session.status.sound.rate.load(Relaxed) > 0, "a device is open");
    // The first time is the time at which things are made that stay.
    session.play_as_human(chords(session.now()), Vec::new()).expect("a thread");
    sleep(Duration::from_millis(1_000));
    let before = calls_of_threads(thread);
    assert!(!before.is_empty(), "there is no thread {thread}");
    sleep(Duration::from_millis(2_000));
    calls_since(&before, thread)
}

/// A device of ALSA's that takes all and sounds nowhere, in a process of its own, because only the environment names it.
#[test]
fn the_device_thread_of_alsa_takes_no_memory() {
    let name = "sound::the_device_thread_of_alsa_takes_no_memory";
    if std::env::var_os(INSIDE).is_some() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        for (timbre_name, timbre) in timbres() {
            let take = folder.path().join(format!("{timbre_name}.mid"));
            let mut session = session_with_sound(Backend::None, take, Some(settings(timbre, false)));
            assert_eq!(calls_while_it_plays(&mut session, "cpal_alsa_out"), 0, "{timbre_name}");
        }
        return;
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let config = folder.path().join("alsa.conf");
    fs::write(&config, "pcm.!default { type null }\n").expect("written");
    again(name, &config);
}

/// Runs this program again for that test alone, with that configuration of ALSA's.
fn again(name: &str, config: &Path) {
    let mut command = Command::new(std::env::current_exe().expect("this program has a path"));
    let command = command.args(["--exact", name, "--nocapture"]).env(INSIDE, "1").env("ALSA_CONFIG_PATH", config);
    let output = command.output().expect("it runs again");
    let said = [output.stdout, output.stderr].map(|said| String::from_utf8_lossy(&said).into_owned()).concat();
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}

#[cfg(feature = "jack")]
#[test]
fn the_sound_on_jack_takes_no_memory() {
    super::on_server::with_jack_server("sound::the_sound_on_jack_takes_no_memory", || {
        drop(super::server::open_client("knock"));
        let folder = tempfile::tempdir().expect("a temporary folder");
        let font = Timbre::Font(read_soundfont(&soundfont::sine()).expect("ours"));
        let take = folder.path().join("take.mid");
        let mut session = session_with_sound(Backend::Jack, take, Some(settings(font, true)));
        // Threads that libjack starts have the name of the one that opened the device.
        let begun = Instant::now();
        assert_eq!(calls_while_it_plays(&mut session, "sound"), 0, "after {:?}", begun.elapsed());
    });
}
