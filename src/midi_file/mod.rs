//! `.mid` files to notes and back.
//!
//! # Reading
//! What is sound is read; a file with nothing sound in it is refused with one sentence ([`MidiFileError`]). SMF types 0
//! and 1 (and unknown types) are merged into one stream, the patterns of type 2 follow one another. Times come from the
//! tempo map in exact arithmetic from absolute ticks, so that nothing drifts.
//!
//! | what stands in the file | what becomes of it |
//! |---|---|
//! | note-on with velocity 0 | a note-off |
//! | the same key struck again before its note-off | two notes; note-offs end them first in, first out |
//! | note-off while the pedal (CC 64 >= 64) is down on its channel | the note lasts until the pedal is released |
//! | a key struck again while only the pedal holds it | the older note ends there |
//! | a pedal that is never released | its notes end with the file's last event |
//! | a note without a note-off | ends with the file's last event, after [`LONGEST_UNTERMINATED`] at most |
//! | a note shorter than [`SHORTEST_NOTE`], or of no length | lasts [`SHORTEST_NOTE`] |
//! | note-off and note-on of a key at one tick | the note-off comes first, if a note was sounding; else file order |
//! | CC 120 (all sound off) | ends all notes of its channel |
//! | CC 123-127 (all notes off, channel modes) | a note-off for every key that is down on its channel |
//! | CC 121 (reset controllers) | releases the pedal of its channel |
//! | SysEx, also in several packets | kept aside ([`read_sysex`]), whole |
//! | channel 10 (drums) | left out of the notes, kept in the events |
//! | times beyond 24 hours ([`LATEST`]) | become 24 hours |
//! | tempo 0, or a tempo event cut short | ignored |
//! | status bytes F1-F6, F8-FE, ill-formed meta events | stepped over |
//! | any other ill-formed event | ends its track; the notes before it are kept ([`FileNotes::damage`]) |
//! | events behind an End of Track in mid-track | read, as far as the track's length says |
//! | a track length that is wrong | the track ends at End of Track or before the next `MTrk` |
//!
//! # Writing
//! [`write()`] makes a type 1 file of a [`Score`]; each tick is rounded from absolute time.

mod chunks;
mod error;
mod notes;
mod read;
mod tempo_map;
#[cfg(test)]
mod test_file;
mod track;
mod write;

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

pub use error::MidiFileError;
pub use notes::{LONGEST_UNTERMINATED, SHORTEST_NOTE};
pub use read::{Damage, FileEvent, LATEST};
pub use write::{Score, Tempo, Track, write};

use crate::note::Note;
use crate::sysex::SysEx;

/// Largest file that is read.
pub const MAX_FILE_BYTES: u64 = 64 << 20;
/// Most notes that one file may hold.
pub const MAX_NOTES: usize = 2_000_000;

/// The notes of one file, and what of it could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileNotes {
    /// Ordered by onset, then key; onsets count from the file's beginning.
    pub notes: Vec<Note>,
    /// Where the file is broken, if it is: what stands behind that place is missing from `notes`.
    pub damage: Option<Damage>,
}

/// Reads the notes of a MIDI file, ordered by onset, then key.
///
/// # Errors
/// When nothing in the file can be used; the message is one line and leaves the path to the caller.
pub fn read_notes(path: &Path) -> Result<Vec<Note>, MidiFileError> {
    read_notes_from_bytes(&load(path)?)
}

/// Reads the notes of a MIDI file held in memory; see [`read_notes`].
///
/// # Errors
/// As [`read_notes`].
pub fn read_notes_from_bytes(bytes: &[u8]) -> Result<Vec<Note>, MidiFileError> {
    read_notes_and_damage_from_bytes(bytes).map(|found| found.notes)
}

/// Reads the notes of a MIDI file, and says what of it could not be read.
///
/// # Errors
/// As [`read_notes`].
pub fn read_notes_and_damage(path: &Path) -> Result<FileNotes, MidiFileError> {
    read_notes_and_damage_from_bytes(&load(path)?)
}

/// Reads the notes of a MIDI file held in memory, and says what of it could not be read.
///
/// # Errors
/// As [`read_notes`].
pub fn read_notes_and_damage_from_bytes(bytes: &[u8]) -> Result<FileNotes, MidiFileError> {
    let parsed = read::parse(bytes)?;
    Ok(FileNotes { notes: notes::from_patterns(&parsed.patterns), damage: parsed.damage })
}

/// Reads all channel messages of a MIDI file in time order, running status expanded, drums included.
///
/// # Errors
/// As [`read_notes`].
pub fn read_events(path: &Path) -> Result<Vec<FileEvent>, MidiFileError> {
    read_events_from_bytes(&load(path)?)
}

/// Reads all channel messages of a MIDI file held in memory; see [`read_events`].
///
/// # Errors
/// As [`read_notes`].
pub fn read_events_from_bytes(bytes: &[u8]) -> Result<Vec<FileEvent>, MidiFileError> {
    Ok(read::parse(bytes)?.patterns.into_iter().flat_map(|pattern| pattern.events).collect())
}

/// Reads the SysEx messages of a MIDI file in time order, each from `F0` to `F7` where it has one.
///
/// # Errors
/// As [`read_notes`].
pub fn read_sysex(path: &Path) -> Result<Vec<SysEx>, MidiFileError> {
    read_sysex_from_bytes(&load(path)?)
}

/// Reads the SysEx messages of a MIDI file held in memory; see [`read_sysex`].
///
/// # Errors
/// As [`read_notes`].
pub fn read_sysex_from_bytes(bytes: &[u8]) -> Result<Vec<SysEx>, MidiFileError> {
    Ok(read::parse(bytes)?.patterns.into_iter().flat_map(|pattern| pattern.sysex).collect())
}

/// All that a file plays, and whose it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Song {
    /// All channel messages in time order, drums included.
    pub events: Vec<FileEvent>,
    /// How the tracks call themselves, by their number; empty where one does not.
    pub tracks: Vec<String>,
    /// Where the file is broken, if it is.
    pub damage: Option<Damage>,
}

/// Reads all channel messages of a MIDI file, with the names of its tracks.
///
/// # Errors
/// As [`read_notes`].
pub fn read_song(path: &Path) -> Result<Song, MidiFileError> {
    let parsed = read::parse(&load(path)?)?;
    let events = parsed.patterns.into_iter().flat_map(|pattern| pattern.events).collect();
    Ok(Song { events, tracks: parsed.names, damage: parsed.damage })
}

/// The bytes of a regular file, which the readers here refuse if it is too large.
///
/// # Errors
/// When it is no regular file, or the system refuses.
pub fn load(path: &Path) -> Result<Vec<u8>, MidiFileError> {
    let metadata = std::fs::metadata(path)?;
    // Opening a pipe would wait for a writer for ever.
    if !metadata.is_file() {
        return Err(MidiFileError::NotAFile);
    }
    let expected = usize::try_from(metadata.len().min(MAX_FILE_BYTES)).unwrap_or(0);
    let mut bytes = Vec::with_capacity(expected + 1);
    // One byte more than allowed, in case the file grows meanwhile.
    File::open(path)?.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_file_of_sane_size_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        assert!(matches!(read_notes(folder.path()), Err(MidiFileError::NotAFile)));
        let path = folder.path().join("take.mid");
        assert!(matches!(read_notes(&path), Err(MidiFileError::Unreadable(_))));
        File::create(&path).unwrap().set_len(MAX_FILE_BYTES + 5).unwrap();
        assert!(matches!(read_events(&path), Err(MidiFileError::TooLarge)));
    }
}
