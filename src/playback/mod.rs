//! Takes played back through the output: what sounds then is owed its end, and it makes way for whoever plays.
//!
//! ```text
//! a take's file --> reader's thread --> conductor's thread: Reel --> player: Tape --> MIDI out
//! ```
//! Playing a take back takes the turn: an answer that plays ends, and none begins meanwhile. It stops with the first
//! key of the human, when it is told to, and at its end; then everything is as it was. It is not recorded.

mod deck;
mod reel;
mod tape;

pub use deck::{Deck, Library};
pub use reel::Reel;
pub use tape::Tape;

use std::sync::Arc;

use crate::midi::TimedMessage;
use crate::time::{SessionDuration, SessionTime};

/// A take as it was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recording {
    /// The name of its file.
    pub name: Arc<str>,
    /// Its channel messages in time order, from the file's beginning.
    pub messages: Vec<TimedMessage>,
}

/// A take that is played back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Playing {
    /// The name of its file.
    pub name: Arc<str>,
    /// When its first note sounds.
    pub begins: SessionTime,
    /// From its first note to its end.
    pub length: SessionDuration,
}

#[cfg(test)]
mod tests;
