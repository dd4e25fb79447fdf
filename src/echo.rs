//! Antiphon's own output when it comes back as input, through a cable or a DAW that passes on what it hears.
//!
//! What is sent is written into a ledger; a message that comes in soon after and is equal but for its channel is an
//! echo, and pays for what was sent. So each message that was sent silences one that comes in at most, and a human who
//! strikes the same key is heard, unless they hit its very velocity before the echo does: then the two change places.
//!
//! Antiphon imitates, and some keyboards know one velocity: a human does strike what Antiphon has just played. What tells
//! the two apart is that a loop brings back all that is sent, one by one, in order, after about the same time, while a
//! human meets a note now and then. So both are counted, what comes back and what does not, and make a belief:
//!
//! - *Not known*, at the beginning and whenever something is plugged: what comes back promptly is an echo.
//! - *No loop*, once two notes have gone out and not come back: whoever strikes what was played is the human. So without a
//!   loop they lose one note at most, or two where a key comes again at once.
//! - *A loop*, once three notes in a row have come back after the same time: all that comes back within the window is an
//!   echo, until more notes stay away than come back.
//!
//! What the human played and Antiphon passed on (thru) needs more care, since a human repeats their own notes. Such a
//! message pays only where it cannot be a repetition, or where there is a loop.
//!
//! A note-off belongs to the note-on before it. Where both the human and an echo hold the key it is the human's, unless
//! Antiphon's own is due back just then, as long after it left as the note-on came back: whoever loses a note-off would be
//! believed to hold the key for ever, and a key may be struck twice and released once.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering::Relaxed};

use crate::hands::Hands;
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
const ALIKE: u8 = 3;
/// the same but for this: a driver's and a scheduler's jitter,
const JITTER: SessionDuration = SessionDuration::from_millis(20);
/// and with no more between one and the next: an answer that its own echo has interrupted begins again within it.
const REMEMBERED: SessionDuration = SessionDuration::from_millis(10_000);

/// So many notes that have not come back, while it is not known whether there is a loop: there is none.
const NONE_AFTER: u8 = 2;

/// So many more that have not come back than have: there is no loop any more. Somebody may have muted a track for a bar.
const GONE_AFTER: u8 = 16;

/// Notes that may be on their way, each to be counted as come back or not. With more, the oldest is not counted.
const FLYING: usize = 64;

/// Messages that may be on their way: rows by what they say, and places in each. Several times what a full MIDI
/// cable carries in the window; in a full row the oldest gives way, and its echo would be heard.
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
    /// Keys that an echo holds, by the channel on which it came: 0, or 1 more than the milliseconds after which it did.
    down: Box<[[AtomicU8; 128]; 16]>,
    /// A [`Belief`].
    belief: AtomicU8,
    /// Notes that did not come back since something was last believed or plugged; in a loop, less those that did.
    missed: AtomicU8,
    /// Notes on their way, as packed [`Entry`]s.
    flying: [AtomicU64; FLYING],
    next_flight: AtomicUsize,
    /// Notes that came back, as a packed [`Suspicion`].
    suspected: AtomicU64,
}

/// Whether there is a loop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum Belief {
    Unknown,
    NoLoop,
    Loop,
}

impl Default for Echoes {
    fn default() -> Self {
        Self {
            suppressed: AtomicBool::new(true),
            sent: Box::new([const { [const { AtomicU64::new(0) }; PLACES] }; ROWS]),
            down: Box::new([const { [const { AtomicU8::new(0) }; 128] }; 16]),
            belief: AtomicU8::new(Belief::Unknown as u8),
            missed: AtomicU8::new(0),
            flying: [const { AtomicU64::new(0) }; FLYING],
            next_flight: AtomicUsize::new(0),
            suspected: AtomicU64::new(0),
        }
    }
}

impl Echoes {
    /// Whether echoes are kept from being heard.
    pub fn suppress(&self, suppressed: bool) {
        if suppressed && !self.suppressed.load(Relaxed) {
            // What was heard meanwhile has not been looked at: its note-offs are to be heard as well.
            self.down.iter().flatten().for_each(|delay| delay.store(0, Relaxed));
        }
        self.suppressed.store(suppressed, Relaxed);
    }

    /// Somebody has plugged something: where there was no loop there may be one now.
    pub fn plugged(&self) {
        if self.belief() == Belief::NoLoop {
            self.believe(Belief::Unknown);
            // What went out before could not come back.
            self.flying.iter().for_each(|flight| flight.store(0, Relaxed));
        }
    }

    /// This leaves at `at`.
    pub fn sent(&self, at: SessionTime, message: ShortMessage, origin: Origin) {
        let entry = Entry { at, said: said(message), origin };
        if message.is_note_on() {
            self.takes_off(entry);
        }
        self.note_down(entry);
    }

    /// This, which has left at one port, leaves at another one as well, at `at`: it may come back from either.
    pub fn sent_later(&self, at: SessionTime, message: ShortMessage, origin: Origin) {
        self.note_down(Entry { at, said: said(message), origin });
    }

    fn note_down(&self, entry: Entry) {
        // The empty place or, without one, the oldest.
        if let Some(place) = self.sent[row(entry.said)].iter().min_by_key(|place| place.load(Relaxed)) {
            place.store(entry.packed(), Relaxed);
        }
    }

    /// Whether this, heard at `at` by a human's `hands` or not, is an echo. It must be asked exactly once of each message
    /// that comes in.
    pub fn is_echo(&self, at: SessionTime, message: ShortMessage, hands: &Hands) -> bool {
        self.suppressed.load(Relaxed)
            && match message.event() {
                MidiEvent::NoteOn { channel, key, .. } => {
                    // A key that is down cannot be struck.
                    self.is_note_on_echo(at, message, [channel, key], hands.hold_key(key))
                }
                MidiEvent::NoteOff { channel, key } => {
                    self.is_note_off_echo(at, message, [channel, key], hands.holds(message))
                }
                _ => {
                    let certain = |entry: Entry| {
                        entry.origin == Origin::Own || entry.age(at) < REPEATED_AFTER || self.belief() == Belief::Loop
                    };
                    // Another port may have been quicker.
                    self.find(at, message, certain).is_some_and(|(place, entry)| {
                        place.compare_exchange(entry.packed(), 0, Relaxed, Relaxed).is_ok()
                    })
                }
            }
    }

    fn is_note_on_echo(&self, at: SessionTime, message: ShortMessage, place: [u8; 2], is_held: bool) -> bool {
        let come = self.comes_from(at, message, is_held).filter(|(ledger, entry)| {
            self.stay_away(at, *entry);
            let is_certain = self.is_certain(*entry, at, is_held);
            // Another port may have been quicker.
            if ledger.compare_exchange(entry.packed(), 0, Relaxed, Relaxed).is_err() {
                return false;
            }
            self.lands(*entry);
            // What is not certain is the human's, unless it makes a loop sure.
            self.comes_back(at, entry.age(at)) || is_certain
        });
        if let Some((_, entry)) = come {
            self.down_of(place).store(in_ms(entry.age(at)).saturating_add(1), Relaxed);
        }
        come.is_some()
    }

    /// What was sent that this note may be the echo of. Of several that say the same, one that is as late as those before.
    fn comes_from(&self, at: SessionTime, message: ShortMessage, is_held: bool) -> Option<(&AtomicU64, Entry)> {
        let before = Suspicion::unpacked(self.suspected.load(Relaxed));
        let is_certain = |entry: Entry| self.is_certain(entry, at, is_held);
        let may_be = |entry: Entry| is_certain(entry) || entry.origin == Origin::Own;
        let is_like = |entry: Entry| may_be(entry) && before.is_like(at, entry.age(at));
        let found = self.find(at, message, is_like).or_else(|| self.find(at, message, is_certain));
        found.or_else(|| self.find(at, message, may_be))
    }

    /// Whether a note that says what was sent, and is heard at `at`, can only have come back, as far as is known; the
    /// human may hold its key.
    fn is_certain(&self, entry: Entry, at: SessionTime, is_held: bool) -> bool {
        let belief = self.belief();
        let is_prompt = match entry.origin {
            Origin::Own => belief == Belief::Unknown && entry.age(at) < PROMPT,
            Origin::Thru => entry.age(at) < REPEATED_AFTER,
        };
        belief == Belief::Loop || is_prompt || is_held
    }

    fn belief(&self) -> Belief {
        match self.belief.load(Relaxed) {
            belief if belief == Belief::NoLoop as u8 => Belief::NoLoop,
            belief if belief == Belief::Loop as u8 => Belief::Loop,
            _ => Belief::Unknown,
        }
    }

    fn believe(&self, belief: Belief) {
        self.belief.store(belief as u8, Relaxed);
        self.missed.store(0, Relaxed);
    }

    /// A note leaves, and comes back or not.
    fn takes_off(&self, entry: Entry) {
        let place = self.next_flight.fetch_add(1, Relaxed) % FLYING;
        let before = Entry::unpacked(self.flying[place].swap(entry.packed(), Relaxed));
        if before.is_some_and(|before| entry.at.since(before.at) > WINDOW) {
            self.misses(1);
        }
    }

    /// A note has come back.
    fn lands(&self, entry: Entry) {
        let is_it = |flight: &&AtomicU64| {
            let flown = Entry::unpacked(flight.load(Relaxed));
            flown.is_some_and(|flown| flown.said == entry.said && flown.at <= entry.at)
        };
        self.flying.iter().filter(is_it).for_each(|flight| flight.store(0, Relaxed));
    }

    /// At `at` something says what was sent with `come`. What was to be back by now is not coming, nor is what was sent
    /// before that: a loop keeps the order.
    fn stay_away(&self, at: SessionTime, come: Entry) {
        let is_lost = |flown: Entry| flown.age(at) > WINDOW || flown.at + JITTER < come.at;
        for flight in &self.flying {
            let packed = flight.load(Relaxed);
            if Entry::unpacked(packed).is_some_and(is_lost)
                && flight.compare_exchange(packed, 0, Relaxed, Relaxed).is_ok()
            {
                self.misses(1);
            }
        }
    }

    fn misses(&self, notes: u8) {
        let more = |before: u8| Some(before.saturating_add(notes));
        let missed = self.missed.fetch_update(Relaxed, Relaxed, more).unwrap_or_default().saturating_add(notes);
        let before = Suspicion::unpacked(self.suspected.load(Relaxed));
        self.suspected.store(Suspicion { missed: before.missed.saturating_add(notes), ..before }.packed(), Relaxed);
        let most = match self.belief() {
            Belief::Unknown => NONE_AFTER,
            Belief::Loop => GONE_AFTER,
            Belief::NoLoop => return,
        };
        if missed >= most {
            self.believe(Belief::NoLoop);
        }
    }

    /// Something has come back after `delay`; whether there is a loop, then.
    fn comes_back(&self, at: SessionTime, delay: SessionDuration) -> bool {
        let _ = self.missed.fetch_update(Relaxed, Relaxed, |missed| match self.belief() {
            Belief::Loop => missed.checked_sub(1),
            Belief::Unknown | Belief::NoLoop => None,
        });
        let before = Suspicion::unpacked(self.suspected.load(Relaxed));
        // A human may meet some; of a loop's notes two of three come back at least.
        let now = if before.is_like(at, delay) && 2 * u16::from(before.missed) <= u16::from(before.count) {
            Suspicion { at, delay, count: before.count.saturating_add(1), ..before }
        } else {
            Suspicion { at, delay, count: 1, missed: 0 }
        };
        self.suspected.store(now.packed(), Relaxed);
        if now.count >= ALIKE && self.belief() != Belief::Loop {
            self.believe(Belief::Loop);
        }
        self.belief() == Belief::Loop
    }

    fn is_note_off_echo(&self, at: SessionTime, message: ShortMessage, place: [u8; 2], is_held: bool) -> bool {
        let down = self.down_of(place);
        let pays = |(ledger, entry): (&AtomicU64, Entry)| {
            // Another port may have been quicker.
            ledger.compare_exchange(entry.packed(), 0, Relaxed, Relaxed).is_ok()
        };
        let Some(delay) = down.load(Relaxed).checked_sub(1) else {
            // One that was said again, in case it had been lost: nobody's key goes up with it.
            return !is_held && self.find(at, message, |_| true).is_some_and(pays);
        };
        let delay = SessionDuration::from_millis(delay.into());
        let is_paid = self.find(at, message, |entry| are_alike(entry.age(at), delay)).is_some_and(pays);
        (is_paid || !is_held) && down.swap(0, Relaxed) > 0
    }

    /// The oldest entry of what this message says that is `meant`.
    fn find(
        &self,
        at: SessionTime,
        message: ShortMessage,
        meant: impl Fn(Entry) -> bool,
    ) -> Option<(&AtomicU64, Entry)> {
        let said = said(message);
        let unpaid =
            self.sent[row(said)].iter().filter_map(|place| Some((place, Entry::unpacked(place.load(Relaxed))?)));
        unpaid
            .filter(|(_, entry)| entry.said == said && is_near(entry.at, at) && meant(*entry))
            .min_by_key(|(_, entry)| entry.packed())
    }

    fn down_of(&self, [channel, key]: [u8; 2]) -> &AtomicU8 {
        &self.down[usize::from(channel & 15)][usize::from(key & 127)]
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
    /// In milliseconds of two years at most.
    at: SessionTime,
    /// In milliseconds; within the window.
    delay: SessionDuration,
    count: u8,
    /// Notes that did not come back meanwhile.
    missed: u8,
}

impl Suspicion {
    /// Whether something that comes back at `at` after `delay` is of their kind.
    fn is_like(self, at: SessionTime, delay: SessionDuration) -> bool {
        self.count > 0 && are_alike(self.delay, delay) && at.since(self.at) <= REMEMBERED
    }

    fn packed(self) -> u64 {
        let [at, delay] = [self.at.as_micros() / 1000, in_ms(self.delay).into()];
        at << 24 | delay << 16 | u64::from(self.count) << 8 | u64::from(self.missed)
    }

    fn unpacked(packed: u64) -> Self {
        let [_, _, _, _, _, delay, count, missed] = packed.to_be_bytes();
        Self {
            at: SessionTime::from_micros((packed >> 24) * 1000),
            delay: SessionDuration::from_millis(delay.into()),
            count,
            missed,
        }
    }
}

/// What the message says without its channel: the kind of message and its data. All releases of a key say the same.
fn said(message: ShortMessage) -> u64 {
    let message = match message.event() {
        MidiEvent::NoteOff { key, .. } => ShortMessage::note_off(0, key),
        _ => message,
    };
    let (kind, data) = message.as_bytes().split_first().map_or((0, &[][..]), |(status, data)| (status >> 4 & 7, data));
    data.iter().chain([&0, &0]).take(2).fold(u64::from(kind), |said, byte| said << 7 | u64::from(*byte))
}

fn row(said: u64) -> usize {
    // Neighbouring keys, velocities and controller values go to different rows.
    usize::try_from(said.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56).unwrap_or(0) % ROWS
}

/// At most 255; no delay within the window is longer.
fn in_ms(delay: SessionDuration) -> u8 {
    u8::try_from(delay.as_micros() / 1000).unwrap_or(u8::MAX)
}

/// Whether a loop may have brought one thing back after the one time, and another after the other.
fn are_alike(one: SessionDuration, other: SessionDuration) -> bool {
    one.as_micros().abs_diff(other.as_micros()) <= JITTER.as_micros()
}

/// Whether what was heard at `heard` may be the echo of what left at `sent`.
fn is_near(sent: SessionTime, heard: SessionTime) -> bool {
    heard.since(sent) <= WINDOW && sent.since(heard) <= STAMPED_EARLY
}

#[cfg(test)]
mod tests;
