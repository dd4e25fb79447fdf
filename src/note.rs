//! A finished note: the currency between the MIDI side and the note model.

use crate::time::{SessionDuration, SessionTime};

/// A note with its length known.
///
/// Ordered by onset, then key, as the note model reads them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Note {
    /// When the key went down.
    pub onset: SessionTime,
    /// MIDI key number, in `0..128`; 60 is middle C.
    pub key: u8,
    /// From note-on to note-off, longer where the sustain pedal held it.
    pub duration: SessionDuration,
    /// MIDI velocity, in `1..128`.
    pub velocity: u8,
}

impl Note {
    /// When the note ends.
    pub fn end(&self) -> SessionTime {
        self.onset + self.duration
    }
}
