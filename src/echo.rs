//! Antiphon's own output when it comes back as input, through a cable or a DAW that passes on what it hears.
//!
//! What is sent is written into a ledger; a message that comes in soon after and is equal but for its channel is an
//! echo, and pays for what was sent. So each message that was sent silences one that comes in at most, and a human who
//! strikes the same key is heard, unless they hit its very velocity before the echo does: then the two change places.
//!
//! What the human played and Antiphon passed on (thru) needs more care, since a human repeats their own notes. Such a
//! message pays only where it cannot be a repetition, or where a loop has been seen.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering::Relaxed};

use crate::midi::{MidiEvent, ShortMessage};
use crate::time::{SessionDuration, SessionTime};

/// An echo comes back within this. Through JACK it takes one or two periods, through the ALSA sequencer some hundred
/// microseconds, through a DAW the size of its buffers.
pub const WINDOW: SessionDuration = SessionDuration::from_millis(250);

/// A driver may stamp an echo a little before the moment at which we know that we had sent.
const STAMPED_EARLY: SessionDuration = SessionDuration::from_millis(20);

/// Nobody repeats a key sooner than this.
const REPEATED_AFTER: SessionDuration = SessionDuration::from_millis(40);

/// After so many notes of which none has come back, there is no loop any more.
const LOOP_BELIEVED: u8 = 16;

/// Messages that may be on their way: rows by what they say, and places in each. Ten times what a full MIDI cable
/// carries in the window; in a full row the oldest gives way, and its echo would be heard.
const ROWS: usize = 256;
const PLACES: usize = 8;

/// Where a message comes from that is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Antiphon plays it.
    Own,
    /// The human played it, and it is passed on.
    Thru,
}

/// The ledger of what was sent and may come back.
///
/// Thread: one that sends, any that hear. Realtime-safe: yes, each entry is one atomic.
pub struct Echoes {
    suppressed: AtomicBool,
    sent: Box<[[AtomicU64; PLACES]; ROWS]>,
    /// When a note-off of each key was sent last, and has not come back.
    released: [AtomicU64; 128],
    /// Echoed note-ons whose note-offs have not come back, by the channel on which they came.
    down: Box<[[AtomicU8; 128]; 16]>,
    /// Keys that the human holds: two words of 64 a channel.
    held: [[AtomicU64; 2]; 16],
    /// Above 0 while there is a loop.
    looped: AtomicU8,
}

impl Default for Echoes {
    fn default() -> Self {
        Self {
            suppressed: AtomicBool::new(true),
            sent: Box::new([const { [const { AtomicU64::new(0) }; PLACES] }; ROWS]),
            released: [const { AtomicU64::new(0) }; 128],
            down: Box::new([const { [const { AtomicU8::new(0) }; 128] }; 16]),
            held: [const { [const { AtomicU64::new(0) }; 2] }; 16],
            looped: AtomicU8::new(0),
        }
    }
}

impl Echoes {
    /// Whether echoes are kept from being heard.
    pub fn suppress(&self, suppressed: bool) {
        self.suppressed.store(suppressed, Relaxed);
    }

    /// This leaves at `at`.
    pub fn sent(&self, at: SessionTime, message: ShortMessage, origin: Origin) {
        if let MidiEvent::NoteOff { key, .. } = message.event() {
            self.released[usize::from(key)].store(at.as_micros() + 1, Relaxed);
            return;
        }
        if message.is_note_on() {
            let _ = self.looped.fetch_update(Relaxed, Relaxed, |notes| notes.checked_sub(1));
        }
        let said = said(message);
        let row = &self.sent[row(said)];
        // The empty place or, without one, the oldest.
        if let Some(place) = row.iter().min_by_key(|place| place.load(Relaxed)) {
            place.store(Entry { at, said, origin }.packed(), Relaxed);
        }
    }

    /// Whether this, heard at `at`, is an echo. It must be asked exactly once of each message that comes in.
    pub fn is_echo(&self, at: SessionTime, message: ShortMessage) -> bool {
        self.suppressed.load(Relaxed)
            && match message.event() {
                MidiEvent::NoteOn { channel, key, .. } => self.is_note_on_echo(at, message, channel, key),
                MidiEvent::NoteOff { channel, key } => self.is_note_off_echo(at, channel, key),
                _ => self.pay(at, message, |entry| {
                    entry.origin == Origin::Own || entry.age(at) < REPEATED_AFTER || self.looped.load(Relaxed) > 0
                }),
            }
    }

    fn is_note_on_echo(&self, at: SessionTime, message: ShortMessage, channel: u8, key: u8) -> bool {
        let certain = |entry: Entry| {
            // A key that is down cannot be struck.
            entry.origin == Origin::Own || entry.age(at) < REPEATED_AFTER || self.is_held(key)
        };
        if self.pay(at, message, certain) {
            self.looped.store(LOOP_BELIEVED, Relaxed);
        } else if self.looped.load(Relaxed) == 0 || !self.pay(at, message, |_| true) {
            self.hold(channel, key, true);
            return false;
        }
        self.down_of(channel, key).fetch_add(1, Relaxed);
        true
    }

    fn is_note_off_echo(&self, at: SessionTime, channel: u8, key: u8) -> bool {
        let released = &self.released[usize::from(key)];
        let was_sent =
            released.load(Relaxed).checked_sub(1).is_some_and(|us| is_near(SessionTime::from_micros(us), at));
        // Both hold the key: the note-off is the human's while Antiphon's own has not been sent.
        let may_be = was_sent || !self.holds(channel, key);
        let down = self.down_of(channel, key);
        if may_be && down.fetch_update(Relaxed, Relaxed, |notes| notes.checked_sub(1)).is_ok() {
            released.store(0, Relaxed);
            return true;
        }
        self.hold(channel, key, false);
        false
    }

    /// Takes the oldest entry of what this message says that is `certain` to have come back.
    fn pay(&self, at: SessionTime, message: ShortMessage, certain: impl Fn(Entry) -> bool) -> bool {
        let said = said(message);
        let row = &self.sent[row(said)];
        let unpaid = |place: &&AtomicU64| {
            let entry = Entry::unpacked(place.load(Relaxed));
            entry.is_some_and(|entry| entry.said == said && is_near(entry.at, at) && certain(entry))
        };
        let Some(place) = row.iter().filter(unpaid).min_by_key(|place| place.load(Relaxed)) else { return false };
        let packed = place.load(Relaxed);
        // Another port may have been quicker.
        packed != 0 && place.compare_exchange(packed, 0, Relaxed, Relaxed).is_ok()
    }

    fn down_of(&self, channel: u8, key: u8) -> &AtomicU8 {
        &self.down[usize::from(channel & 15)][usize::from(key & 127)]
    }

    fn hold(&self, channel: u8, key: u8, held: bool) {
        let word = &self.held[usize::from(channel & 15)][usize::from(key >> 6 & 1)];
        let bit = 1 << (key & 63);
        if held {
            word.fetch_or(bit, Relaxed)
        } else {
            word.fetch_and(!bit, Relaxed)
        };
    }

    fn holds(&self, channel: u8, key: u8) -> bool {
        self.held[usize::from(channel & 15)][usize::from(key >> 6 & 1)].load(Relaxed) & 1 << (key & 63) != 0
    }

    fn is_held(&self, key: u8) -> bool {
        (0..16).any(|channel| self.holds(channel, key))
    }
}

/// A message that was sent.
#[derive(Clone, Copy)]
struct Entry {
    at: SessionTime,
    /// What it says, on whatever channel; in `1..2^17`.
    said: u64,
    origin: Origin,
}

impl Entry {
    /// The time foremost, so that the smallest is the oldest; never 0. Microseconds of two years fit.
    fn packed(self) -> u64 {
        self.at.as_micros() << 18 | u64::from(self.origin == Origin::Thru) << 17 | self.said
    }

    fn unpacked(packed: u64) -> Option<Self> {
        let origin = if packed >> 17 & 1 == 1 { Origin::Thru } else { Origin::Own };
        let at = SessionTime::from_micros(packed >> 18);
        (packed != 0).then_some(Self { at, said: packed & 0x1_ffff, origin })
    }

    fn age(self, now: SessionTime) -> SessionDuration {
        now.since(self.at)
    }
}

/// What the message says without its channel: the kind of message and its data.
fn said(message: ShortMessage) -> u64 {
    let (kind, data) = message.as_bytes().split_first().map_or((0, &[][..]), |(status, data)| (status >> 4 & 7, data));
    data.iter().chain([&0, &0]).take(2).fold(u64::from(kind), |said, byte| said << 7 | u64::from(*byte))
}

fn row(said: u64) -> usize {
    // Neighbouring keys, velocities and controller values go to different rows.
    usize::try_from(said.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56).unwrap_or(0) % ROWS
}

/// Whether what was heard at `heard` may be the echo of what left at `sent`.
fn is_near(sent: SessionTime, heard: SessionTime) -> bool {
    heard.since(sent) <= WINDOW && sent.since(heard) <= STAMPED_EARLY
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(ms: u64) -> SessionTime {
        SessionTime::from_micros(1_000_000 + ms * 1000)
    }

    fn on(key: u8, velocity: u8) -> ShortMessage {
        ShortMessage::note_on(0, key, velocity)
    }

    fn off(key: u8) -> ShortMessage {
        ShortMessage::note_off(0, key)
    }

    fn pedal(value: u8) -> ShortMessage {
        ShortMessage::from_bytes(&[0xb0, 64, value]).expect("whole")
    }

    #[test]
    fn each_note_silences_one_echo_and_the_human_is_heard() {
        let echoes = Echoes::default();
        echoes.sent(at(0), on(60, 80), Origin::Own);
        assert!(!echoes.is_echo(at(1), on(60, 81)), "another velocity is the human's");
        assert!(!echoes.is_echo(at(1), off(60)), "and so is its release");
        assert!(echoes.is_echo(at(2), ShortMessage::note_on(7, 60, 80)), "a DAW may change the channel");
        assert!(!echoes.is_echo(at(3), on(60, 80)), "one note, one echo");
        echoes.sent(at(500), off(60), Origin::Own);
        assert!(echoes.is_echo(at(502), ShortMessage::note_off(7, 60)), "long after its note-on");
        assert!(!echoes.is_echo(at(503), off(60)));
    }

    #[test]
    fn what_comes_back_too_late_is_heard() {
        let echoes = Echoes::default();
        echoes.sent(at(0), on(60, 80), Origin::Own);
        assert!(!echoes.is_echo(at(251), on(60, 80)));
    }

    #[test]
    fn the_same_key_held_by_both_is_released_by_its_own_note_off() {
        let echoes = Echoes::default();
        echoes.sent(at(0), on(60, 80), Origin::Own);
        assert!(echoes.is_echo(at(5), on(60, 80)));
        assert!(!echoes.is_echo(at(100), on(60, 90)));
        assert!(!echoes.is_echo(at(150), off(60)), "Antiphon still holds its own");
        echoes.sent(at(200), off(60), Origin::Own);
        assert!(echoes.is_echo(at(205), off(60)));
    }

    #[test]
    fn panic_does_not_come_back_as_the_humans() {
        let echoes = Echoes::default();
        echoes.sent(at(0), ShortMessage::all_notes_off(3), Origin::Own);
        assert!(echoes.is_echo(at(5), ShortMessage::all_notes_off(3)));
        assert!(!echoes.is_echo(at(6), ShortMessage::all_notes_off(3)));
    }

    #[test]
    fn fast_repeats_that_are_passed_on_are_heard_where_there_is_no_loop() {
        let echoes = Echoes::default();
        for ms in (0..2000).step_by(70) {
            for (message, ms) in [(on(60, 64), ms), (off(60), ms + 30), (pedal(127), ms), (pedal(0), ms + 45)] {
                assert!(!echoes.is_echo(at(ms), message), "{ms}");
                echoes.sent(at(ms), message, Origin::Thru);
            }
        }
    }

    #[test]
    fn what_is_passed_on_does_not_go_round_for_ever() {
        // A key held for 150 ms, a loop of 90 ms, thru: nothing comes through twice.
        let echoes = Echoes::default();
        let mut heard = 0;
        for note in 0..5 {
            let begin = note * 400;
            for (ms, message) in [(0, on(60, 64)), (90, on(60, 64)), (150, off(60)), (240, off(60))] {
                if !echoes.is_echo(at(begin + ms), message) {
                    heard += 1;
                    echoes.sent(at(begin + ms), message, Origin::Thru);
                }
            }
        }
        assert_eq!(heard, 10);
        // Now the loop is known, staccato does not go round either.
        echoes.sent(at(2000), on(62, 64), Origin::Thru);
        echoes.sent(at(2020), off(62), Origin::Thru);
        assert!(echoes.is_echo(at(2090), on(62, 64)) && echoes.is_echo(at(2110), off(62)));
    }

    #[test]
    fn a_control_that_is_passed_on_and_comes_back_soon_is_an_echo() {
        let echoes = Echoes::default();
        assert!(!echoes.is_echo(at(0), pedal(127)));
        echoes.sent(at(0), pedal(127), Origin::Thru);
        assert!(echoes.is_echo(at(3), pedal(127)));
        assert!(!echoes.is_echo(at(3), pedal(0)));
    }

    #[test]
    fn echoes_are_heard_where_that_is_set() {
        let echoes = Echoes::default();
        echoes.suppress(false);
        echoes.sent(at(0), on(60, 80), Origin::Own);
        assert!(!echoes.is_echo(at(2), on(60, 80)));
    }

    proptest! {
        /// Antiphon plays into a loop while a human plays the same keys at other velocities: exactly what the human
        /// plays is heard.
        #[test]
        fn through_a_loop_exactly_the_human_is_heard(
            own in proptest::collection::vec((0u64..150, 58u8..64, 5u64..400, 0u64..20), 1..120),
            human in proptest::collection::vec((0u64..200, 58u8..64, 5u64..150), 0..80),
            latency in 0u64..100,
        ) {
            // (ms, order at the same time, what, message)
            let mut events: Vec<(u64, u8, &str, ShortMessage)> = Vec::new();
            let mut free = [0; 128];
            let (mut now, mut last) = (0, 0);
            for (wait, key, length, jitter) in own {
                now += wait;
                // As the player does: a key is released before it is struck anew.
                let begin = now.max(free[usize::from(key)]);
                let end = begin + length;
                free[usize::from(key)] = end + 1;
                for (ms, order, message) in [(begin, 1, on(key, 80)), (end, 0, off(key))] {
                    events.push((ms, order, "sent", message));
                    events.push((ms + latency + jitter, 2 + order, "came back", message));
                }
                last = last.max(end + latency + jitter);
            }
            let mut free = [0; 128];
            now = 0;
            for (wait, key, length) in human {
                now += wait;
                let begin = now.max(free[usize::from(key)]);
                free[usize::from(key)] = begin + length + 30;
                events.push((begin, 4, "played", on(key, 81)));
                events.push((begin + length, 4, "played", off(key)));
            }
            events.sort_by_key(|event| (event.0, event.1));
            let echoes = Echoes::default();
            let (mut heard, mut played) = (Vec::new(), Vec::new());
            for (ms, _, what, message) in events {
                match what {
                    "sent" => echoes.sent(at(ms), message, Origin::Own),
                    _ => {
                        if what == "played" {
                            played.push((message.is_note_on(), message.as_bytes()[1]));
                        }
                        if !echoes.is_echo(at(ms), message) {
                            heard.push((message.is_note_on(), message.as_bytes()[1]));
                        }
                    }
                }
            }
            // Where both release a key at about the same time, the two note-offs may change places.
            let ons = |list: &[(bool, u8)]| list.iter().filter(|(on, _)| *on).map(|(_, key)| *key).collect::<Vec<_>>();
            prop_assert_eq!(ons(&heard), ons(&played));
            let count = |list: &[(bool, u8)]| {
                let mut keys: Vec<u8> = list.iter().filter(|(on, _)| !on).map(|(_, key)| *key).collect();
                keys.sort_unstable();
                keys
            };
            prop_assert_eq!(count(&heard), count(&played));
        }
    }
}
