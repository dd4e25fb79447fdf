//! Files to learn from. Of a session that Antiphon recorded only the player's track is taken, so that a model is never
//! taught its own answers.

use antiphon::midi_file::{self, MidiFileError};
use antiphon::note::Note;
use midly::{MetaMessage, Smf, TrackEvent, TrackEventKind};

/// Track of the player in a recorded session.
const PLAYER: &[u8] = b"You";
/// Track of the answers.
const ANSWER: &[u8] = b"Antiphon";

/// What a file teaches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lesson {
    /// Ordered by onset, then key.
    pub notes: Vec<Note>,
    /// It is a recorded session, and the answers were left out.
    pub is_session: bool,
    /// Where the file is broken, if it is: only what stands before is in `notes`.
    pub damage: Option<String>,
}

/// What the bytes of a MIDI file teach.
///
/// # Errors
/// When nothing in it can be used.
pub fn lesson(bytes: &[u8]) -> Result<Lesson, MidiFileError> {
    let player = without_answers(bytes);
    let found = midi_file::read_notes_and_damage_from_bytes(player.as_deref().unwrap_or(bytes))?;
    let damage = found.damage.map(|damage| damage.to_string());
    Ok(Lesson { notes: found.notes, is_session: player.is_some(), damage })
}

/// The file without its answers, if it has tracks of both names.
fn without_answers(bytes: &[u8]) -> Option<Vec<u8>> {
    // Nearly all files are none of ours, and are not parsed twice.
    let is_answer = |head: &[u8]| head.windows(ANSWER.len()).any(|window| window == ANSWER);
    if !Chunks(bytes).any(is_answer) {
        return None;
    }
    let mut file = Smf::parse(bytes).ok()?;
    let has = |wanted: &[u8]| file.tracks.iter().any(|track| name(track) == Some(wanted));
    if !(has(PLAYER) && has(ANSWER)) {
        return None;
    }
    file.tracks.retain(|track| name(track) != Some(ANSWER));
    let mut player = Vec::new();
    file.write_std(&mut player).ok()?;
    Some(player)
}

/// The beginnings of a file's chunks, where a track has its name, as far as their lengths are sound.
struct Chunks<'a>(&'a [u8]);

impl<'a> Iterator for Chunks<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        /// Bytes that are looked at.
        const HEAD: usize = 64;
        let (_, rest) = self.0.split_first_chunk::<4>()?;
        let (length, rest) = rest.split_first_chunk::<4>()?;
        let (chunk, rest) = rest.split_at_checked(u32::from_be_bytes(*length) as usize)?;
        self.0 = rest;
        Some(&chunk[..chunk.len().min(HEAD)])
    }
}

fn name<'a>(track: &[TrackEvent<'a>]) -> Option<&'a [u8]> {
    track.iter().find_map(|event| match event.kind {
        TrackEventKind::Meta(MetaMessage::TrackName(name)) => Some(name),
        _ => None,
    })
}
