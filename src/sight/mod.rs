//! What can be watched while it plays, and how it reaches everyone who watches.
//!
//! The conductor and the recorder show [`Sight`]s without ever waiting. A [`Feed`] hands each on to all who watch (the
//! page, the terminal, OSC, `jam --json`) and keeps the [`View`] that a newcomer begins with.

mod feed;
mod json;
mod view;

pub use feed::{Feed, Watcher};
pub use view::View;

use std::path::PathBuf;
use std::sync::Arc;

use crate::conductor::Turn;
use crate::control::{Control, Controllers};
use crate::midi::TimedMessage;
use crate::playback::Playing;
use crate::player::PlannedNote;
use crate::ports::Ports;
use crate::time::SessionTime;

/// Something that can be watched while it plays.
#[derive(Clone, Debug, PartialEq)]
pub enum Sight {
    /// The human sent this.
    Human(TimedMessage),
    /// Antiphon sent this. Shown when the recorder has it, up to 50 ms later.
    Ai(TimedMessage),
    /// The turn has changed.
    Turn {
        /// When.
        at: SessionTime,
        /// Whose it is now.
        turn: Turn,
    },
    /// A note has been added to the plan.
    Planned {
        /// When it was planned.
        at: SessionTime,
        /// The note.
        planned: PlannedNote,
    },
    /// Planned notes that begin after `after` will not be played.
    Forgotten {
        /// When that was decided.
        at: SessionTime,
        /// Where, in `0..16`.
        channel: u8,
        /// Notes up to here stay.
        after: SessionTime,
    },
    /// Somebody asked for this, and it was done.
    Control {
        /// When.
        at: SessionTime,
        /// What.
        control: Control,
    },
    /// Another model has taken over.
    Model {
        /// When.
        at: SessionTime,
        /// Its name.
        name: String,
        /// The styles that it knows; style 0 is any.
        styles: Vec<String>,
        /// Number of the style that it plays in.
        style: u8,
    },
    /// What MIDI messages mean has changed, or is about to.
    Controllers(Controllers),
    /// Ports have come or gone, or have been attached or detached.
    Ports {
        /// When that was noticed.
        at: SessionTime,
        /// How they stand now.
        ports: Arc<Ports>,
        /// What has happened to those that are wanted by name, in sentences.
        news: Vec<String>,
    },
    /// A part of the take has ended; what is played now goes into another.
    Part {
        /// Where it was split.
        at: SessionTime,
        /// The file of the part that has ended.
        kept: PathBuf,
    },
    /// A take that is played back has this. Shown when the player gets it, up to a second before it leaves.
    Replayed(TimedMessage),
    /// A take is played back from now on, or none any more.
    Playback {
        /// When that was decided.
        at: SessionTime,
        /// The take.
        playing: Option<Playing>,
    },
    /// The sound of `--synth` is there again.
    Sound {
        /// When.
        at: SessionTime,
        /// In a sentence.
        news: String,
    },
    /// Something did not work; the music goes on.
    Trouble(String),
}

impl Sight {
    /// Whether it is about a key that moves or will move: what a piano roll draws.
    pub fn is_of_a_note(&self) -> bool {
        match self {
            Self::Human(timed) | Self::Ai(timed) | Self::Replayed(timed) => timed.message.moves_a_key(),
            Self::Planned { .. } | Self::Forgotten { .. } => true,
            _ => false,
        }
    }
}
