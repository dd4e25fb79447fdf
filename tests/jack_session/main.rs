//! A session on a real JACK server: the built daemon on one side, a pianist by frame time on the other.
#![cfg(all(unix, feature = "jack"))]

mod cables;
#[path = "../daemon/mod.rs"]
mod daemon;
#[path = "../hearing/mod.rs"]
mod hearing;
mod late;
mod loops;
mod names;
#[path = "../jack/on_server.rs"]
mod on_server;
mod panic;
#[path = "../jack/pianist.rs"]
mod pianist;
mod recording;
mod replaying;
mod restarts;
mod rounds;
#[path = "../jack/server.rs"]
mod server;
#[path = "../soundfont/mod.rs"]
mod soundfont;
mod sounding;

use std::path::Path;
use std::time::Duration;

use daemon::Daemon;
use jack::Frames;
use on_server::{say, with_jack_server};
use pianist::{Message, Pianist, Voice};

/// Frames per millisecond: our server runs at 48 kHz.
const MILLISECOND: Frames = 48;

/// Generous, because the machine may be busy with other things.
const PATIENCE: Duration = Duration::from_secs(60);

/// A musician hears 250 ms as late; the figure that was measured is printed.
const SILENCE_WITHIN: Frames = 250 * MILLISECOND;

const PHRASE: [(u8, Frames, Frames); 10] = [
    (60, 0, 220 * MILLISECOND),
    (62, 240 * MILLISECOND, 220 * MILLISECOND),
    (64, 480 * MILLISECOND, 220 * MILLISECOND),
    (65, 720 * MILLISECOND, 220 * MILLISECOND),
    (67, 960 * MILLISECOND, 220 * MILLISECOND),
    (64, 1200 * MILLISECOND, 220 * MILLISECOND),
    (65, 1440 * MILLISECOND, 220 * MILLISECOND),
    (62, 1680 * MILLISECOND, 220 * MILLISECOND),
    (64, 1920 * MILLISECOND, 220 * MILLISECOND),
    (60, 2160 * MILLISECOND, 220 * MILLISECOND),
];

#[test]
fn the_answer_follows_the_phrase_and_is_released_at_the_end() {
    with_jack_server("the_answer_follows_the_phrase_and_is_released_at_the_end", || {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (daemon, mut pianist) = begin(folder.path());
        let end = play(&mut pianist, &PHRASE);
        listen_until(&mut pianist, "an answer of four notes that still sounds", |p| {
            note_ons(p, Voice::Answer).len() >= 4 && !p.sounding_at(p.now()).is_empty()
        });
        stop(daemon, "TERM", &mut pianist);

        let first = note_ons(&pianist, Voice::Answer)[0];
        assert!(first.frame > end, "the answer begins at frame {}, the phrase ends at {end}", first.frame);
        println!("figure: the answer begins {} ms after the phrase", (first.frame - end) / MILLISECOND);
        check_recording(&folder.path().join("AI_generated.mid"), &pianist);
    });
}

#[test]
fn a_note_played_into_the_answer_silences_it() {
    with_jack_server("a_note_played_into_the_answer_silences_it", || {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (daemon, mut pianist) = begin(folder.path());
        let mut silenced_after = Vec::new();
        for _ in 0..8 {
            let end = play(&mut pianist, &PHRASE);
            pianist.listen_to(end);
            let so_far = note_ons(&pianist, Voice::Answer).len();
            listen_until(&mut pianist, "an answer that sounds", |p| {
                note_ons(p, Voice::Answer).len() >= so_far + 2 && !p.sounding_at(p.now()).is_empty()
            });
            // With a velocity that the answer has not played this key with: one that it has just played comes back as its
            // echo would, and is not heard.
            let sent =
                |velocity: &u8| pianist.log.iter().any(|m| m.voice == Voice::Answer && m.bytes[1..] == [40, *velocity]);
            let velocity = (1..60).rev().find(|velocity| !sent(velocity)).expect("one of so many");
            let note = vec![(0, [0x90, 40, velocity]), (600 * MILLISECOND, [0x80, 40, 64])];
            let [_, end] = pianist.play(note);
            pianist.listen_to(end);
            let human = note_ons(&pianist, Voice::Human).last().expect("the note was played").frame;
            // At the frame of the human's note itself the answer may be silent already.
            if pianist.sounding_at(human - 1).is_empty() {
                continue; // the note fell into a rest
            }
            let late = pianist.sounding_at(human + SILENCE_WITHIN);
            let told = || told_of(&daemon, &pianist, human);
            assert!(late.is_empty(), "these still sound 250 ms after the human's note: {late:?}\n{}", told());
            let during = |frame: Frames| frame >= human && frame < end;
            let answer = pianist.log.iter().filter(|m| m.voice == Voice::Answer && during(m.frame));
            let last = answer.map(|message| message.frame).max().unwrap_or(human);
            assert!(last - human <= SILENCE_WITHIN, "the answer went on while the human held a key\n{}", told());
            silenced_after.push((last - human) * 1000 / MILLISECOND);
            if silenced_after.len() == 3 {
                break;
            }
        }
        assert!(!silenced_after.is_empty(), "each of eight notes fell into a rest of the answer");
        println!("figure: the answer is silent {silenced_after:?} us after the human's note");
        stop(daemon, "INT", &mut pianist);
        check_recording(&folder.path().join("AI_generated.mid"), &pianist);
    });
}

#[test]
fn a_take_that_was_played_to_a_midi_clock_has_its_bars() {
    with_jack_server("a_take_that_was_played_to_a_midi_clock_has_its_bars", || {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (daemon, mut pianist) = begin(folder.path());
        // 100 bpm; keys that the bundled model does not play, on the four beats of the second bar.
        const CLOCK: Frames = 48_000 * 60 / 100 / 24;
        let keys = [(2, 0.0), (3, 1.0), (4, 2.0), (5, 3.0)];
        let notes: Vec<_> =
            (4..).zip(keys).map(|(beat, (key, _))| (key, beat * 24 * CLOCK, 100 * MILLISECOND)).collect();
        let end = play_to_a_clock(&mut pianist, CLOCK, 9 * 24, &notes);
        pianist.listen_to(end);
        stop(daemon, "TERM", &mut pianist);

        let mut off = recording::off_the_beat(&folder.path().join("AI_generated.mid"), &keys);
        assert_eq!(off.len(), 4, "{off:?}");
        off.sort_by(f64::total_cmp);
        // The better ones, because an overrun of the server on a busy machine moves the clock in mid-bar.
        println!("figure: notes on the beat are {:.2} ms off the recording's beat", 600.0 * off[1]);
        assert!(off[1] < 0.02, "{off:?} beats off; without the clock's tempo map they would be anywhere");
    });
}

fn begin(folder: &Path) -> (Daemon, Pianist) {
    // The server may be still on its way up, and the daemon does not wait for one.
    drop(server::open_client("knock"));
    let mut daemon = Daemon::start(folder, &["--backend", "jack", "--seed", "7", "--out", "AI_generated.mid"]);
    daemon.wait_until_ready(PATIENCE);
    (daemon, Pianist::sit_down())
}

/// Plays notes (key, frames after the first, length in frames). Returns the frame at which the last one is released.
fn play(pianist: &mut Pianist, notes: &[(u8, Frames, Frames)]) -> Frames {
    let [_, end] = pianist.play(on_and_off(notes));
    end
}

/// The same to a MIDI clock of that many frames a clock, which starts with the first note and is heard for `clocks`.
fn play_to_a_clock(pianist: &mut Pianist, period: Frames, clocks: Frames, notes: &[(u8, Frames, Frames)]) -> Frames {
    let start = std::iter::once((0, [0xfa, 0, 0]));
    let clock = (0..clocks).map(|clock| (clock * period, [0xf8, 0, 0]));
    let [_, end] = pianist.play(start.chain(clock).chain(on_and_off(notes)).collect());
    end
}

fn on_and_off(notes: &[(u8, Frames, Frames)]) -> Vec<(Frames, [u8; 3])> {
    let both = |&(key, after, length)| [(after, [0x90, key, 80]), (after + length, [0x80, key, 64])];
    notes.iter().flat_map(both).collect()
}

/// Listens until `enough` says so; what is missing at the limit is named in the message of the failure.
fn listen_until(pianist: &mut Pianist, what: &str, enough: impl Fn(&Pianist) -> bool) {
    let heard = pianist.listen_for(PATIENCE, enough);
    assert!(heard, "waited {PATIENCE:?} in vain for {what}; heard: {:?}", pianist.log);
}

/// What the daemon has measured, and what was on the wires in the second before and after `frame`, for a failure.
fn told_of(daemon: &Daemon, pianist: &Pianist, frame: Frames) -> String {
    daemon.signal("USR1");
    std::thread::sleep(Duration::from_millis(500));
    let second = 1_000 * MILLISECOND;
    let near = pianist.log.iter().filter(|message| message.frame.abs_diff(frame) <= second);
    let wires: Vec<String> = near.map(|m| format!("{:?} {} {} {:?}", m.voice, m.frame, m.us, m.bytes)).collect();
    format!("the human's note was at frame {frame}\n{}\nthe daemon said:\n{}", wires.join("\n"), daemon.said())
}

fn note_ons(pianist: &Pianist, voice: Voice) -> Vec<Message> {
    pianist.log.iter().filter(|message| message.voice == voice && message.is_note_on()).copied().collect()
}

/// Stops the daemon in the middle of what it does: it ends well, and owes no note.
fn stop(daemon: Daemon, signal: &str, pianist: &mut Pianist) {
    println!("figure: resident memory {:.1} MB", daemon.resident_mb());
    let (status, said) = daemon.stop(signal, Duration::from_secs(10));
    assert!(status.success(), "after {signal} antiphon ended with {status} and said:\n{said}");
    let now = pianist.now();
    pianist.listen_to(now + 300 * MILLISECOND);
    let owed = pianist.sounding_at(Frames::MAX);
    assert!(owed.is_empty(), "never released: {owed:?}");
}

/// The file has what was played and what was heard, each in a track of its own, with the human's timing.
fn check_recording(path: &Path, pianist: &Pianist) {
    let voices = recording::voices(path);
    let keys_of = |voice: Voice| note_ons(pianist, voice).iter().map(|message| message.key()).collect::<Vec<u8>>();
    let played = keys_of(Voice::Human);
    let human = voices
        .iter()
        .find(|voice| voice.iter().map(|note| note.1).eq(played.iter().copied()))
        .unwrap_or_else(|| panic!("no track has the keys {played:?}: {voices:?}"));
    // Notes of a chord may be ordered otherwise in the file.
    let mut heard = keys_of(Voice::Answer);
    heard.sort_unstable();
    let sorted = |voice: &recording::Voice| {
        let mut keys: Vec<u8> = voice.iter().map(|note| note.1).collect();
        keys.sort_unstable();
        keys
    };
    assert!(voices.iter().any(|voice| sorted(voice) == heard), "no track has the answer's keys {heard:?}: {voices:?}");
    assert_eq!(voices.len(), 2, "one track for the human, one for the answer");

    // From note to note, and by the server's clock: an overrun on a busy machine loses frames, so there frames fall
    // behind real time. At the median, because the clock jumps then.
    let ons = note_ons(pianist, Voice::Human);
    let pairs = ons.windows(2).zip(human.windows(2));
    let mut errors: Vec<f64> = pairs
        .map(|(messages, notes)| {
            let played = Duration::from_micros(messages[1].us - messages[0].us).as_secs_f64();
            (played - (notes[1].0 - notes[0].0)).abs()
        })
        .collect();
    errors.sort_by(f64::total_cmp);
    let median = errors[errors.len() / 2];
    say(&format!("from note to note the recording errs by {:.2} ms at the median", 1000.0 * median));
    assert!(median < 0.002, "the time between notes is recorded wrong: {errors:?}");
    recording::check_with_midicsv(path);

    let read_back = antiphon::midi_file::read_notes(path).expect("antiphon reads its own recording");
    let mut keys: Vec<u8> = read_back.iter().map(|note| note.key).collect();
    keys.sort_unstable();
    let mut both = [played, heard].concat();
    both.sort_unstable();
    assert_eq!(keys, both, "antiphon reads back what was played and heard");
}
