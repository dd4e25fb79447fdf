//! From the bytes of a MIDI clock to an answer on the bar and a take whose bars are the clock's, under virtual time.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use antiphon::beat::{Entry, Follower};
use antiphon::conductor::Turn;
use antiphon::listener::Listener;
use antiphon::midi::{MidiEvent, ShortMessage, TimedMessage};
use antiphon::midi_file::read_notes_from_bytes;
use antiphon::take::{Happening, Take};
use antiphon::time::{SessionDuration, SessionTime};
use midly::{MetaMessage, MidiMessage, Smf, Timing, TrackEventKind};

fn us(us: u64) -> SessionTime {
    SessionTime::from_micros(us)
}

/// Microseconds by which clock `n` is late or early, up to 4 ms.
fn jitter(n: u64) -> u64 {
    (n * 7919 + n * n * 104_729) % 8001
}

/// What arrives: a master at 97 bpm, 5.2 s after the session began, with 4 ms of jitter, that sends its transport and
/// active sensing too; stopped at beat 18.5, continued 3.1 s later. The human plays four notes in its second bar.
fn arriving() -> Vec<(SessionTime, Vec<u8>)> {
    const PERIOD: u64 = 60_000_000 / 97 / 24;
    let mut sent = vec![(us(5_199_000 - 4000), vec![0xfa])];
    let clock = |first: u64, n: u64| (us(first + n * PERIOD + jitter(n) - 4000), vec![0xf8]);
    sent.extend((0..444).map(|n| clock(5_200_000, n)));
    let stopped = 5_200_000 + 444 * PERIOD;
    sent.push((us(stopped), vec![0xfc]));
    sent.push((us(stopped + 3_095_000), vec![0xfb]));
    sent.extend((0..400).map(|n| clock(stopped + 3_100_000, n)));
    for (step, key) in (0..4).zip([60, 62, 64, 65]) {
        let onset = 5_200_000 + (96 + step * 24) * PERIOD + step * 7000;
        sent.push((us(onset), vec![0x90, key, 80]));
        sent.push((us(onset + 200_000), vec![0x80, key, 64]));
        sent.push((us(onset + 1), vec![0xfe]));
    }
    sent.sort();
    sent
}

/// Each note-on's tick and seconds, by midly's reading and plain floating point: the key, the tick, the seconds.
fn ticks_and_seconds(file: &[u8]) -> Vec<(u8, u32, f64)> {
    let smf = Smf::parse(file).unwrap();
    let Timing::Metrical(division) = smf.header.timing else { panic!("ticks a beat") };
    let division = f64::from(division.as_int());
    let absolute = |track: usize| {
        smf.tracks[track].iter().scan(0, |tick, event| {
            *tick += event.delta.as_int();
            Some((*tick, event.kind))
        })
    };
    let tempi: Vec<_> = absolute(0)
        .filter_map(|(tick, kind)| match kind {
            TrackEventKind::Meta(MetaMessage::Tempo(us)) => Some((tick, f64::from(us.as_int()) / 1e6)),
            _ => None,
        })
        .collect();
    let seconds = |tick: u32| {
        let ends = tempi.iter().skip(1).map(|(tick, _)| *tick).chain([u32::MAX]);
        let spans = tempi.iter().zip(ends).filter(|((begin, _), _)| *begin < tick);
        spans.map(|((begin, beat), end)| f64::from(end.min(tick) - begin) / division * beat).sum::<f64>()
    };
    (1..smf.tracks.len())
        .flat_map(absolute)
        .filter_map(|(tick, kind)| match kind {
            TrackEventKind::Midi { message: MidiMessage::NoteOn { key, .. }, .. } => {
                Some((key.as_int(), tick, seconds(tick)))
            }
            _ => None,
        })
        .collect()
}

#[test]
fn an_answer_on_the_bar_of_a_midi_clock_is_on_the_bar_of_the_take() {
    let (mut follower, mut listener, mut take) = (Follower::new(4), Listener::default(), Take::in_bars_of(4));
    let mut answers = Vec::new();
    let mut handover = None;
    for (time, bytes) in arriving() {
        // What a conductor does: when the human has rested for the patience, the answer begins on the next bar.
        if let Some(now) = handover.filter(|&handover| handover <= time) {
            handover = None;
            let grid = follower.grid(now).expect("the clock runs");
            let begin = grid.next(now, Entry::Bar);
            let planned = [begin, begin + SessionDuration::from_millis(290), begin + SessionDuration::from_millis(660)];
            answers.push(planned.map(|time| grid.snap(time, 4, 1.0)));
            take.add(Happening::Turn { at: now, turn: Turn::Ai });
        }
        let Ok(message) = ShortMessage::from_bytes(&bytes) else { continue };
        match message.event() {
            MidiEvent::Sync(sync) => follower.hear(time, sync),
            event => {
                listener.hear(time, event, |_| ());
                handover = listener.rests_from().map(|rest| rest + SessionDuration::from_millis(600));
            }
        }
        take.add(Happening::Human(TimedMessage { time, message }));
    }
    let [answer] = answers[..] else { panic!("one answer, clocks are no playing: {answers:?}") };
    for (onset, key) in answer.into_iter().zip(70..) {
        take.add(Happening::Ai(TimedMessage { time: onset, message: ShortMessage::note_on(0, key, 80) }));
        let end = onset + SessionDuration::from_millis(90);
        take.add(Happening::Ai(TimedMessage { time: end, message: ShortMessage::note_off(0, key) }));
    }
    // Struck where the master's bar 6 (beat 24) falls, after its stop and its continuation.
    let sixth_bar = 5_200_000 + 24 * 24 * (60_000_000 / 97 / 24) + 3_100_000;
    take.add(Happening::Human(TimedMessage { time: us(sixth_bar), message: ShortMessage::note_on(0, 48, 80) }));
    take.add(Happening::Human(TimedMessage { time: us(sixth_bar + 9000), message: ShortMessage::note_off(0, 48) }));

    let file = take.to_midi().unwrap();
    // ANTIPHON_KEEP names a file to look at with another program.
    if let Some(path) = std::env::var_os("ANTIPHON_KEEP") {
        std::fs::write(path, &file).unwrap();
    }
    let found = ticks_and_seconds(&file);
    assert_eq!(found.len(), 8, "nothing but notes: {found:?}");
    let mut ours = read_notes_from_bytes(&file).unwrap();
    ours.sort_by_key(|note| note.key);
    let mut theirs = found.clone();
    theirs.sort_by_key(|(key, ..)| *key);
    for (ours, (key, _, seconds)) in ours.iter().zip(&theirs) {
        assert_eq!(ours.key, *key);
        assert!((ours.onset.since(SessionTime::ZERO).as_seconds() - seconds).abs() < 2e-6, "{ours:?} {seconds}");
    }

    let tick_of = |key| found.iter().find(|note| note.0 == key).unwrap().1;
    let seconds_of = |key| found.iter().find(|note| note.0 == key).unwrap().2;
    // The human plays a beat apart from bar 2 on, 7 ms later each time; a tick is 0.644 ms.
    let bar = 4 * 960;
    // From the nearest place that is that many ticks behind a bar line.
    let off = |key, behind: u32| ((tick_of(key) + bar / 2 - behind) % bar).abs_diff(bar / 2);
    for (step, key) in (0..4_u32).zip([60, 62, 64, 65]) {
        assert!(off(key, step * (960 + 11)) <= 5, "key {key}: {} ticks", off(key, step * 971));
    }
    // Foretold up to a bar ahead through the jitter: 5 ms.
    for (key, sixteenth) in [(70, 0), (71, 2), (72, 4)] {
        assert!(off(key, sixteenth * 240) <= 8, "key {key}: {} ticks", off(key, sixteenth * 240));
        let wanted = answer[usize::from(key) - 70].since(SessionTime::ZERO).as_seconds();
        assert!((seconds_of(key) - wanted).abs() < 0.00065, "{key}: {} instead of {wanted}", seconds_of(key));
    }
    assert!(off(48, 0) <= 5, "after the stop: {} ticks", off(48, 0));
    assert!((seconds_of(48) - us(sixth_bar).since(SessionTime::ZERO).as_seconds()).abs() < 0.00065);
}
