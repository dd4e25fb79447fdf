//! When a take is split into parts.

use std::collections::VecDeque;

use crate::midi::TimedMessage;
use crate::take::{Happening, Take};
use crate::time::{SessionDuration, SessionTime};

/// A part of this many bytes is followed by another, so that what is written once a second and kept in memory stays
/// small: an hour or two of dense playing. It is written in some 4 ms on a small computer's disk.
pub const PART_BYTES: usize = 512 << 10;

/// A part that is long enough ends where no key sounds, but not later than after this.
const WAITS_FOR_REST: SessionDuration = SessionDuration::from_millis(30_000);

/// Looks between the first message of a part and the split: what was played before has then come in by every way.
const LOOKS: u32 = 5;

/// When a take is split, besides when it is asked for and when it has become long.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Splits {
    /// After no key has sounded for so long.
    pub silence: Option<SessionDuration>,
    /// At the first rest after so long.
    pub every: Option<SessionDuration>,
}

/// Finds the moments at which the take is split. Pure: it is told the time.
#[derive(Debug, Default)]
pub(super) struct Parts {
    splits: Splits,
    /// Splits that are to come: each as soon as something has been played after it.
    pending: VecDeque<SessionTime>,
    /// Looks since something was played after the first of these.
    looks: u32,
    /// Since when the part has been long enough.
    due: Option<SessionTime>,
    /// Since when no key has sounded, if one has in this part.
    quiet: Option<SessionTime>,
    note: Option<SessionTime>,
    message: Option<SessionTime>,
}

impl Parts {
    pub fn new(splits: Splits) -> Self {
        Self { splits, ..Self::default() }
    }

    /// Takes in what has just been added to the take.
    pub fn hear(&mut self, happening: Happening, take: &Take) {
        match happening {
            Happening::Split { at } => self.pending.push_back(at),
            Happening::Human(TimedMessage { time, message }) | Happening::Ai(TimedMessage { time, message })
                if message.channel().is_some() =>
            {
                self.hear_message(time);
                if message.is_note_on() {
                    self.note = self.note.max(Some(time));
                }
                if message.moves_a_key() {
                    self.quiet = take.rests().then_some(time).max(self.quiet.filter(|_| take.rests()));
                }
            }
            _ => {}
        }
    }

    /// Takes in that a message of any kind has been added.
    pub fn hear_message(&mut self, time: SessionTime) {
        self.message = self.message.max(Some(time));
        if let (Some(quiet), Some(silence)) = (self.quiet, self.splits.silence)
            && time >= quiet + silence
        {
            self.quiet = None;
            self.pending.push_back(quiet + silence);
        }
    }

    /// Where to split now, if anywhere; called at each look. At the session's end nothing is waited for.
    pub fn look(&mut self, now: SessionTime, take: &Take, is_end: bool) -> Option<SessionTime> {
        let is_long = take.size() >= PART_BYTES;
        let is_old = self.splits.every.is_some_and(|every| now >= take.origin() + every) && !take.is_empty();
        if self.pending.is_empty() && (is_long || is_old) {
            let due = *self.due.get_or_insert(now);
            if take.rests() || now >= due + WAITS_FOR_REST || take.size() >= 2 * PART_BYTES {
                self.pending.push_back(now);
            }
        }
        let at = *self.pending.front()?;
        // Something must begin the next part: a note, or whatever comes where it has become long.
        let begun = if is_long { self.message } else { self.note };
        if begun.is_none_or(|begun| begun < at) {
            return None;
        }
        self.looks += 1;
        (self.looks >= LOOKS || is_end).then_some(at)
    }

    /// The split that was due has been done, or there was nothing to split.
    pub fn done(&mut self) {
        self.pending.pop_front();
        self.looks = 0;
        self.due = None;
    }
}
