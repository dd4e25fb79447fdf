//! Why a MIDI file is refused.

use super::{MAX_FILE_BYTES, MAX_NOTES};

/// Why a MIDI file is refused: one line with the reason and what to do; the path is the caller's to name.
#[derive(Debug, thiserror::Error)]
pub enum MidiFileError {
    /// The operating system refused.
    #[error("cannot be read ({0}); check the path and its permissions")]
    Unreadable(#[from] std::io::Error),
    /// A folder, a pipe, a device.
    #[error("is not a regular file; name a .mid file")]
    NotAFile,
    /// Nothing in it.
    #[error("is empty; fetch it again")]
    Empty,
    /// Larger than any MIDI file in use.
    #[error("is larger than {} MiB; split it or leave it out", MAX_FILE_BYTES >> 20)]
    TooLarge,
    /// Some other format under a `.mid` name.
    #[error("is {looks_like}, not a MIDI file; {remedy}")]
    OtherFormat {
        /// What the first bytes look like, with its article.
        looks_like: &'static str,
        /// What the user can do.
        remedy: &'static str,
    },
    /// No `MThd` where one must be.
    #[error("is not a MIDI file (it has no MThd header); fetch it again or export it as a Standard MIDI File")]
    NoHeader,
    /// The header breaks off.
    #[error("breaks off inside its header; fetch it again")]
    ShortHeader,
    /// The header gives no unit of time.
    #[error("gives {0:#06x} as its division, which is no unit of time; export it again")]
    NoDivision(u16),
    /// No `MTrk` behind the header.
    #[error("has no tracks; fetch it again or leave it out")]
    NoTracks,
    /// More than a header can count.
    #[error("has more than {} tracks; leave it out", u16::MAX)]
    TooManyTracks,
    /// More notes than one file may hold.
    #[error("has more than {MAX_NOTES} notes; split it or leave it out")]
    TooManyNotes,
    /// More controllers or tempo changes than a musical file has.
    #[error("has more than {0} events; thin out its controllers and tempo changes or leave it out")]
    TooManyEvents(usize),
    /// Broken before the first channel message.
    #[error("is damaged, and nothing before the damage can be used ({0}); fetch it again")]
    Damaged(super::Damage),
    /// A score that no Standard MIDI File can hold.
    #[error("cannot be written as a MIDI file ({0}); make the take shorter")]
    Unwritable(&'static str),
}
