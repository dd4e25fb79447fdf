//! Sound: MIDI messages to samples.
//!
//! Human and Antiphon have an instrument each, so that neither's keys or pedals end the other's notes, and each a gain of
//! its own. An instrument plays a SoundFont ([`SoundFont`]), or it is the one that is always there ([`BuiltIn`]). What is
//! heard is bounded by a limiter, whatever is played.
//!
//! Nothing here knows a device or a clock. [`Mixer`] is the whole path of `antiphon render`; [`Playback`] puts messages
//! that carry a time into the frames that a device asks for.

mod built_in;
mod controllers;
mod drum;
mod limiter;
mod mixer;
mod playback;
mod room;
mod sine;
mod soundfont;
#[cfg(test)]
mod tests;
mod timeline;
mod tine;

use std::sync::Arc;

pub use built_in::{BuiltIn, POLYPHONY};
pub use mixer::{Gains, Mixer};
pub use playback::{Line, Playback, Resting};
pub use soundfont::{SoundFont, read as read_soundfont};

use crate::midi::ShortMessage;
use crate::time::SessionTime;

/// Whose notes they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The player's.
    Human,
    /// Antiphon's.
    Ai,
}

/// A message on its way to the loudspeaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sounding {
    /// When it was played.
    pub at: SessionTime,
    /// By whom.
    pub part: Part,
    /// What.
    pub message: ShortMessage,
}

/// What is played on.
#[derive(Clone, Default)]
pub enum Timbre {
    /// The instrument that is always there.
    #[default]
    BuiltIn,
    /// A SoundFont.
    Font(Arc<SoundFont>),
}

impl Timbre {
    /// An instrument at `rate` frames a second.
    ///
    /// # Errors
    /// When it cannot play at that rate.
    fn instrument(&self, rate: u32) -> Result<Box<dyn Instrument>, String> {
        Ok(match self {
            Self::BuiltIn => Box::new(BuiltIn::new(rate)),
            Self::Font(font) => Box::new(soundfont::FontPlayer::new(font, rate)?),
        })
    }
}

/// Plays messages.
///
/// Thread: any one at a time. Realtime-safe: yes, neither takes memory nor waits after its construction.
pub trait Instrument: Send {
    /// Takes a channel message; it counts from the next frame on.
    fn play(&mut self, message: ShortMessage);

    /// The next frames, both slices of the same length. What stood in them is lost.
    fn render(&mut self, left: &mut [f32], right: &mut [f32]);
}
