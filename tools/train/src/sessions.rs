//! Files to learn from. Of a session that Antiphon recorded only the player's track is taken, so that a model is never
//! taught its own answers.

use antiphon::midi_file::{self, MidiFileError};
use antiphon::note::Note;
use midly::{EventIter, MetaMessage, TrackEventKind};

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

/// The file without its answers, if it has tracks of both names. What cannot be made sense of is left as it is, for the
/// reader to judge.
fn without_answers(bytes: &[u8]) -> Option<Vec<u8>> {
    // Nearly all files are none of ours, and only their beginnings are looked at.
    let is_answer = |chunk: &Chunk<'_>| chunk.head().windows(ANSWER.len()).any(|window| window == ANSWER);
    if !Chunks(bytes).any(|chunk| is_answer(&chunk)) {
        return None;
    }
    if !Chunks(bytes).any(|chunk| chunk.name() == Some(PLAYER)) {
        return None;
    }
    let kept: Vec<&[u8]> =
        Chunks(bytes).filter(|chunk| chunk.name() != Some(ANSWER)).map(|chunk| chunk.whole).collect();
    Some(kept.concat()).filter(|kept| kept.len() < bytes.len())
}

/// The chunks of a file. The last one may be cut.
struct Chunks<'a>(&'a [u8]);

/// Type, length and content.
struct Chunk<'a> {
    whole: &'a [u8],
}

impl<'a> Iterator for Chunks<'a> {
    type Item = Chunk<'a>;

    fn next(&mut self) -> Option<Chunk<'a>> {
        let length = self.0.get(4..8)?.try_into().ok()?;
        let length = (u32::from_be_bytes(length) as usize).saturating_add(8);
        let (whole, rest) = self.0.split_at_checked(length).unwrap_or((self.0, &[]));
        self.0 = rest;
        Some(Chunk { whole })
    }
}

impl<'a> Chunk<'a> {
    /// The beginning of the content, where a track has its name.
    fn head(&self) -> &'a [u8] {
        /// Bytes that are looked at.
        const HEAD: usize = 64;
        &self.whole[8..self.whole.len().min(8 + HEAD)]
    }

    /// A track's name. Event by event: a whole file of events would take many times its size.
    fn name(&self) -> Option<&'a [u8]> {
        let track = self.whole.strip_prefix(b"MTrk")?;
        EventIter::new(track.get(4..)?).map_while(Result::ok).find_map(|event| match event.kind {
            TrackEventKind::Meta(MetaMessage::TrackName(name)) => Some(name),
            _ => None,
        })
    }
}
