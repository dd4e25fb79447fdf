//! Phrases of a simulated player: passages of real pieces, cut off at arbitrary notes.

use std::path::{Path, PathBuf};

use antiphon::midi::{ShortMessage, TimedMessage};
use antiphon::midi_file::read_notes;
use antiphon::note::Note;
use antiphon::song_folder::{NOT_MUSIC, midi_files, name};
use antiphon::time::{SessionDuration, SessionTime};
use rand_chacha::ChaCha8Rng;
use rand_core::{Rng as _, SeedableRng as _};

/// Notes closer together than this are one chord, inside which nobody stops.
const CHORD: SessionDuration = SessionDuration::from_millis(60);

/// A piece that rests for longer has ended as far as a listener can tell: no cut is made before such a rest.
const LONGEST_REST: SessionDuration = SessionDuration::from_millis(3_000);

/// Keys held longer than this are let go, as a player does who has stopped.
const LONGEST_HOLD: SessionDuration = SessionDuration::from_millis(2_000);

/// Least notes in a phrase.
const LEAST_NOTES: usize = 6;

/// A passage of a piece, and where the piece goes on. Times count from the first onset.
#[derive(Clone, Debug)]
pub struct Phrase {
    notes: Vec<Note>,
    /// The piece's next onset, which the player leaves out.
    pub next: SessionTime,
}

impl Phrase {
    /// What the player sends, in time order, beginning at `at`.
    pub fn messages(&self, at: SessionTime) -> Vec<TimedMessage> {
        let later = |time: SessionTime| at + time.since(SessionTime::ZERO);
        let mut messages = Vec::new();
        for (index, note) in self.notes.iter().enumerate() {
            let again = self.notes[index + 1..].iter().find(|other| other.key == note.key).map(|other| other.onset);
            let end = (note.onset + note.duration.min(LONGEST_HOLD)).min(again.unwrap_or(SessionTime::MAX));
            let on = ShortMessage::note_on(0, note.key, note.velocity);
            messages.push(TimedMessage { time: later(note.onset), message: on });
            messages.push(TimedMessage { time: later(end), message: ShortMessage::note_off(0, note.key) });
        }
        // A key is released before it is struck anew.
        messages.sort_by_key(|timed| (timed.time, timed.message.is_note_on()));
        messages
    }

    /// The onset of the last note that is played.
    pub fn last_onset(&self) -> SessionTime {
        self.notes.last().map_or(SessionTime::ZERO, |note| note.onset)
    }
}

/// Gives phrases without end, always the same ones for the same pieces and seed.
pub struct Phrases {
    pieces: Vec<Vec<PathBuf>>,
    random: ChaCha8Rng,
}

impl Phrases {
    /// Phrases of the pieces in `folder`, which has one folder for each style; of a style with train/ and test/, only
    /// those in test/. Every style comes as often as any other.
    pub fn new(folder: &Path, seed: u64) -> Self {
        let styles = antiphon::song_folder::entries(folder).unwrap_or_default();
        let pieces = styles.iter().filter(|style| style.is_dir() && name(style) != NOT_MUSIC).map(|style| {
            let test = style.join("test");
            midi_files(if test.is_dir() { &test } else { style })
        });
        let pieces: Vec<Vec<PathBuf>> = pieces.filter(|files| !files.is_empty()).collect();
        assert!(!pieces.is_empty(), "{} holds no folders of MIDI files", folder.display());
        Self { pieces, random: ChaCha8Rng::seed_from_u64(seed) }
    }

    /// How many pieces there are to choose from.
    pub fn pieces(&self) -> usize {
        self.pieces.iter().map(Vec::len).sum()
    }

    /// A phrase of at least `length`, up to the next place at which it can be cut.
    pub fn next(&mut self, length: SessionDuration) -> Phrase {
        loop {
            let style = self.below(self.pieces.len());
            let piece = self.below(self.pieces[style].len());
            let Ok(notes) = read_notes(&self.pieces[style][piece]) else { continue };
            if notes.is_empty() {
                continue;
            }
            let from = self.below(notes.len());
            if let Some(phrase) = cut(&notes, from, length) {
                return phrase;
            }
        }
    }

    /// A length of time between two.
    pub fn between(&mut self, low: SessionDuration, high: SessionDuration) -> SessionDuration {
        let span = high.as_micros() - low.as_micros();
        low + SessionDuration::from_micros(self.random.next_u64() % (span + 1))
    }

    fn below(&mut self, count: usize) -> usize {
        usize::try_from(self.random.next_u64() % count as u64).expect("below a usize")
    }
}

/// The passage that begins at the note `from` and lasts `length` or a little longer; none where the piece ends before.
fn cut(notes: &[Note], from: usize, length: SessionDuration) -> Option<Phrase> {
    let begin = notes[from].onset;
    // Not in the middle of a chord, neither at the beginning nor at the end.
    if from > 0 && begin.since(notes[from - 1].onset) < CHORD {
        return None;
    }
    let end = (from + LEAST_NOTES..notes.len()).find(|&next| {
        notes[next - 1].onset.since(begin) >= length && notes[next].onset.since(notes[next - 1].onset) >= CHORD
    })?;
    let from_begin = |time: SessionTime| SessionTime::ZERO + time.since(begin);
    let next = notes[end].onset;
    let played = notes[from..end].iter().map(|note| Note { onset: from_begin(note.onset), ..*note });
    (next.since(notes[end - 1].onset) <= LONGEST_REST)
        .then(|| Phrase { notes: played.collect(), next: from_begin(next) })
}
