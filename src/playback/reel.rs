//! A take on its way to the player: which message goes when.

use std::collections::BTreeSet;

use super::{Playing, Recording};
use crate::midi::{ShortMessage, TimedMessage};
use crate::time::{SessionDuration, SessionTime};

/// Messages that may be with the player and not be due yet.
pub(super) const AHEAD: usize = 1024;

/// How long before it is due a message goes to the player: enough to outlast a busy machine's worst pause.
const SENT_BEFORE: SessionDuration = SessionDuration::from_millis(1_000);

/// After the last message: what leaves latest at the latest port has left by then.
const TAIL: SessionDuration = SessionDuration::from_millis(1_000);

/// A take's messages at the times at which they are due. Pure: it is told the time.
#[derive(Debug)]
pub struct Reel {
    playing: Playing,
    /// In time order.
    messages: Vec<TimedMessage>,
    /// How many of them the player has.
    sent: usize,
}

impl Reel {
    /// Lets a recording's first note sound at `begins`: a take may begin with minutes of silence. What was set before
    /// that note (pedals, programs, controllers) is set just before it. `None` when there is no note in it.
    pub fn new(recording: Recording, begins: SessionTime) -> Option<Self> {
        let Recording { name, messages } = recording;
        let first = messages.iter().position(|timed| timed.message.is_note_on())?;
        let from = messages[first].time;
        let mut before = Vec::new();
        let mut set = BTreeSet::new();
        for timed in messages[..first].iter().rev().filter(|timed| !timed.message.moves_a_key()) {
            if set.insert(what_it_sets(timed.message)) {
                before.push(TimedMessage { time: begins, message: timed.message });
            }
        }
        before.reverse();
        before.extend(
            messages[first..]
                .iter()
                .map(|timed| TimedMessage { time: begins + timed.time.since(from), message: timed.message }),
        );
        let length = before.last().map_or(SessionDuration::ZERO, |last| last.time.since(begins));
        Some(Self { playing: Playing { name, begins, length }, messages: before, sent: 0 })
    }

    /// What is played, from when, and for how long.
    pub fn playing(&self) -> &Playing {
        &self.playing
    }

    /// The next message for the player, if there is one for it at `now`.
    pub fn next(&self, now: SessionTime) -> Option<TimedMessage> {
        self.due().filter(|due| *due <= now).and_then(|_| self.messages.get(self.sent).copied())
    }

    /// The player has the next message.
    pub fn sent(&mut self) {
        self.sent += 1;
    }

    /// When there is something to do again.
    pub fn next_wake(&self) -> SessionTime {
        self.due().unwrap_or(self.ends())
    }

    /// Whether all of it has been heard.
    pub fn is_over(&self, now: SessionTime) -> bool {
        self.sent == self.messages.len() && now >= self.ends()
    }

    fn ends(&self) -> SessionTime {
        self.playing.begins + self.playing.length + TAIL
    }

    /// When the next message goes to the player.
    fn due(&self) -> Option<SessionTime> {
        let next = self.messages.get(self.sent)?.time - SENT_BEFORE;
        // No more than there is room for.
        let room = self.sent.checked_sub(AHEAD).map_or(SessionTime::ZERO, |earlier| self.messages[earlier].time);
        Some(next.max(room))
    }
}

/// Two messages that set the same thing, of which only the later counts, are alike in this.
fn what_it_sets(message: ShortMessage) -> (u8, u8) {
    match *message.as_bytes() {
        // A controller, or the pressure of a key.
        [status @ (0xa0..=0xbf), which, _] => (status, which),
        [status, ..] => (status, 0),
        [] => (0, 0),
    }
}
