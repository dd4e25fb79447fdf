//! Antiphon's own output when it comes back as input, through a cable or a DAW that passes on what it hears.
//!
//! What is sent is written into a ledger; a message that comes in soon after and is equal but for its channel is an
//! echo, and pays for what was sent. So each message that was sent silences one that comes in at most, and a human who
//! strikes the same key is heard, unless they hit its very velocity before the echo does: then the two change places.
//!
//! Antiphon imitates, and some keyboards know one velocity: a human does strike what Antiphon has just played. So while no
//! loop has been seen, only what comes back promptly is an echo. A slower loop gives itself away by its constant delay,
//! at its third note.
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

/// Nobody answers a note sooner than this with its very key and velocity, other than by chance.
const PROMPT: SessionDuration = SessionDuration::from_millis(60);

/// So many notes that come back after the same time are a loop,
const ALIKE: u64 = 3;
/// the same but for this: a driver's and a scheduler's jitter,
const JITTER: SessionDuration = SessionDuration::from_millis(20);
/// and with no more between one and the next: an answer that its own echo has interrupted begins again within it.
const REMEMBERED: SessionDuration = SessionDuration::from_millis(10_000);

/// After so many notes of which none has come back, there is no loop any more: more than can be on their way at once in the
/// window, with the gate as it is by default.
const LOOP_BELIEVED: u8 = 100;

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
    /// Notes that came back later than promptly, as a packed [`Suspicion`].
    suspected: AtomicU64,
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
            suspected: AtomicU64::new(0),
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
                _ => {
                    let certain = |entry: Entry| {
                        entry.origin == Origin::Own || entry.age(at) < REPEATED_AFTER || self.looped.load(Relaxed) > 0
                    };
                    self.pay(at, message, certain).is_some()
                }
            }
    }

    fn is_note_on_echo(&self, at: SessionTime, message: ShortMessage, channel: u8, key: u8) -> bool {
        let known = self.looped.load(Relaxed) > 0;
        let certain = |entry: Entry| {
            let at_once = match entry.origin {
                Origin::Own => known || entry.age(at) < PROMPT,
                Origin::Thru => entry.age(at) < REPEATED_AFTER,
            };
            // A key that is down cannot be struck.
            at_once || self.is_held(key)
        };
        if self.pay(at, message, certain).is_some() || !known && self.suspect(at, message) {
            self.looped.store(LOOP_BELIEVED, Relaxed);
        } else if !known || self.pay(at, message, |_| true).is_none() {
            self.hold(channel, key, true);
            return false;
        }
        self.down_of(channel, key).fetch_add(1, Relaxed);
        true
    }

    /// Whether this note, which says what Antiphon has played a while ago, is one too many that came back after the same
    /// time. Until then it is the human's.
    fn suspect(&self, at: SessionTime, message: ShortMessage) -> bool {
        let Some(entry) = self.pay(at, message, |entry| entry.origin == Origin::Own) else { return false };
        let delay = entry.age(at);
        let before = Suspicion::unpacked(self.suspected.load(Relaxed));
        let off = before.delay.as_micros().abs_diff(delay.as_micros());
        let alike = off <= JITTER.as_micros() && at.since(before.at) <= REMEMBERED;
        let count = if alike { before.count + 1 } else { 1 };
        let sure = count >= ALIKE;
        let now = if sure { Suspicion::default() } else { Suspicion { at, delay, count } };
        self.suspected.store(now.packed(), Relaxed);
        sure
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
    fn pay(&self, at: SessionTime, message: ShortMessage, certain: impl Fn(Entry) -> bool) -> Option<Entry> {
        let said = said(message);
        let row = &self.sent[row(said)];
        let unpaid = |place: &&AtomicU64| {
            let entry = Entry::unpacked(place.load(Relaxed));
            entry.is_some_and(|entry| entry.said == said && is_near(entry.at, at) && certain(entry))
        };
        let place = row.iter().filter(unpaid).min_by_key(|place| place.load(Relaxed))?;
        let packed = place.load(Relaxed);
        // Another port may have been quicker.
        let entry = Entry::unpacked(packed)?;
        place.compare_exchange(packed, 0, Relaxed, Relaxed).is_ok().then_some(entry)
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

/// Notes that came back after about the same time, the last of them `at`.
#[derive(Clone, Copy, Default)]
struct Suspicion {
    at: SessionTime,
    /// Below 2^18 microseconds: within the window.
    delay: SessionDuration,
    /// Below [`ALIKE`].
    count: u64,
}

impl Suspicion {
    fn packed(self) -> u64 {
        self.at.as_micros() << 20 | self.count << 18 | self.delay.as_micros()
    }

    fn unpacked(packed: u64) -> Self {
        let delay = SessionDuration::from_micros(packed & 0x3_ffff);
        Self { at: SessionTime::from_micros(packed >> 20), delay, count: packed >> 18 & 3 }
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
mod tests;
