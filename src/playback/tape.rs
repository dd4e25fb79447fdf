//! What the player knows of a take that is played back: what is due, and what it owes.

use std::collections::VecDeque;

use super::reel;
use crate::midi::{ShortMessage, TimedMessage};
use crate::player::PlayerCommand;
use crate::thru::Thru;
use crate::time::SessionTime;

/// Messages that may wait for their time: twice what a reel lets wait.
const WAITING: usize = 2 * reel::AHEAD;

/// Pitch bend at rest.
const CENTRE: [u8; 2] = [0, 64];

/// Messages of a take in due order, and the ledger of what they leave sounding.
///
/// Thread: player, or JACK's process callback. Realtime-safe: yes, it neither allocates nor waits after its construction.
pub struct Tape {
    waiting: VecDeque<TimedMessage>,
    /// Keys that sound and pedals that are down.
    ledger: Thru,
    /// Channels whose pitch is bent, bit by bit.
    bent: u16,
    /// The newest reel that was heard of, and that and all before it that are over.
    newest: u32,
    stale: u32,
    refused: u64,
}

impl Default for Tape {
    fn default() -> Self {
        Self {
            waiting: VecDeque::with_capacity(WAITING),
            ledger: Thru::default(),
            bent: 0,
            newest: 0,
            stale: 0,
            refused: 0,
        }
    }
}

impl Tape {
    /// Takes what concerns it of a command. What must leave at once goes to `send`.
    pub fn command(&mut self, command: PlayerCommand, send: impl FnMut(ShortMessage)) {
        match command {
            PlayerCommand::Replay { reel, timed } => {
                self.newest = self.newest.max(reel);
                if reel <= self.stale {
                    return;
                }
                // Policy when full: dropped and counted. What it would have ended ends with the reel.
                if self.waiting.len() < WAITING {
                    self.waiting.push_back(timed);
                } else {
                    self.refused += 1;
                }
            }
            PlayerCommand::EndReplay { reel } => {
                self.newest = self.newest.max(reel);
                if reel > self.stale {
                    self.stale = reel;
                    self.stop(send);
                }
            }
            PlayerCommand::Human(timed) if timed.message.takes_the_turn() => self.stop(send),
            PlayerCommand::Panic => self.stop(send),
            _ => {}
        }
    }

    /// Whether a take is played back.
    pub fn plays(&self) -> bool {
        self.newest > self.stale
    }

    /// When the next message is due.
    pub fn next_due(&self) -> Option<SessionTime> {
        self.waiting.front().map(|timed| timed.time)
    }

    /// Sends everything that is due up to and including `until`, each with its due time.
    pub fn play(&mut self, until: SessionTime, mut send: impl FnMut(SessionTime, ShortMessage)) {
        while let Some(TimedMessage { time, message }) =
            self.waiting.front().copied().filter(|timed| timed.time <= until)
        {
            self.waiting.pop_front();
            self.ledger.passes(message, true);
            if let &[status @ 0xe0..=0xef, ref bend @ ..] = message.as_bytes() {
                let channel = 1 << (status & 15);
                self.bent = if *bend == CENTRE { self.bent & !channel } else { self.bent | channel };
            }
            send(time, message);
        }
    }

    /// Ends what is played back: forgets what waits, and releases keys, pedals and bends.
    pub fn stop(&mut self, mut send: impl FnMut(ShortMessage)) {
        self.stale = self.newest;
        self.waiting.clear();
        self.ledger.release(&mut send);
        let bent = std::mem::take(&mut self.bent);
        for channel in (0..16u8).filter(|channel| bent & (1 << channel) != 0) {
            let [low, high] = CENTRE;
            if let Ok(centred) = ShortMessage::from_bytes(&[0xe0 | channel, low, high]) {
                send(centred);
            }
        }
    }

    /// Messages that were dropped because too many waited.
    pub fn refused(&self) -> u64 {
        self.refused
    }
}
