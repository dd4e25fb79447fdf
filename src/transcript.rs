//! The transcript: every call that an ensemble takes, and a digest of the plan that it makes of them.
//!
//! The same calls give the same plan. So a session can be played again from its calls, and the digest tells whether it
//! came out the same.

use std::fmt::{self, Write as _};

use crate::conductor::Action;
use crate::control::Control;
use crate::midi::TimedMessage;
use crate::model::Origin;
use crate::time::{SessionDuration, SessionTime};

/// One call of an ensemble.
#[derive(Clone, Debug, PartialEq)]
pub enum Call {
    /// The human sent this.
    Hear(TimedMessage),
    /// Somebody asked for this.
    Control {
        /// When.
        at: SessionTime,
        /// What.
        control: Control,
    },
    /// Notes are planned at least so far ahead from now on.
    Lead(SessionDuration),
    /// A model waits to take over.
    Offer(Box<Origin>),
    /// The ensemble was woken.
    Wake(SessionTime),
    /// The session ended.
    End(SessionTime),
}

impl Call {
    /// When it was made; an offer and a lead have no time of their own.
    pub fn at(&self) -> Option<SessionTime> {
        match self {
            Self::Hear(timed) => Some(timed.time),
            Self::Control { at, .. } => Some(*at),
            Self::Wake(at) | Self::End(at) => Some(*at),
            Self::Lead(_) | Self::Offer(_) => None,
        }
    }
}

/// A call that was made.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Place among the session's calls, from 0: one that is left out has been lost.
    pub serial: u64,
    /// What was called.
    pub call: Call,
    /// Digest of the plan after it.
    pub digest: PlanDigest,
}

/// Where entries go.
type Sink = Box<dyn FnMut(Entry) + Send>;

/// What an ensemble knows of its own history.
#[derive(Default)]
pub(crate) struct Transcript {
    digest: PlanDigest,
    serial: u64,
    sink: Option<Sink>,
}

impl Transcript {
    pub(crate) fn write_to(&mut self, sink: Sink) {
        self.sink = Some(sink);
    }

    pub(crate) fn digest(&self) -> PlanDigest {
        self.digest
    }

    /// Writes down a call that was made, after which the plan's digest is `digest`.
    pub(crate) fn write(&mut self, call: Call, digest: PlanDigest) {
        self.digest = digest;
        if let Some(sink) = &mut self.sink {
            sink(Entry { serial: self.serial, call, digest });
            self.serial += 1;
        }
    }
}

/// A running digest of all that a player has been told (FNV-1a, 64 bits).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlanDigest(pub u64);

impl Default for PlanDigest {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl PlanDigest {
    /// Takes in what is wanted done; only what the player is told counts. Allocates nothing.
    pub fn add(&mut self, action: Action) {
        if let Action::Tell(command) = action {
            // As text, so that every field of every command counts. Writing into a digest cannot fail.
            let _ = write!(self, "{command:?};");
        }
    }

    /// Its last 16 bits, which mark a call.
    pub fn mark(self) -> u16 {
        let [.., high, low] = self.0.to_be_bytes();
        u16::from_be_bytes([high, low])
    }
}

impl fmt::Write for PlanDigest {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::player::PlayerCommand;

    #[test]
    fn what_the_player_is_told_changes_the_digest_and_nothing_else_does() {
        let mut digest = PlanDigest::default();
        digest.add(Action::Late);
        assert_eq!(digest, PlanDigest::default());
        digest.add(Action::Tell(PlayerCommand::Panic));
        let panicked = digest;
        assert_ne!(panicked, PlanDigest::default());
        digest.add(Action::Tell(PlayerCommand::Cancel { channel: 0, epoch: 1 }));
        let mut other = panicked;
        other.add(Action::Tell(PlayerCommand::Cancel { channel: 0, epoch: 2 }));
        assert_ne!(digest, other);
    }
}
