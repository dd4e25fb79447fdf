//! Continuations of held-out pieces by the exported model, played by the instrument's own continuation.

use std::collections::HashSet;
use std::path::Path;

use antiphon::continuation::{Continuation, Voice, Window};
use antiphon::midi_file::{MidiFileError, Score, Track, write};
use antiphon::model::{Engine, LstmModel, ModelFile};
use antiphon::note::Note;
use antiphon::sampler::{Sampler, Sampling};
use antiphon::time::{SessionDuration, SessionTime};

use crate::dataset::{Dataset, Piece};
use crate::error::TrainError;
use crate::publish::engine_choice;

/// Samples at most.
const SAMPLES: usize = 3;
/// Notes that are given, or half the piece if that is less.
const GIVEN: usize = 40;
/// Notes that are sampled.
const CONTINUED: usize = 80;
/// Longest silence between two notes.
const LONGEST_REST: SessionDuration = SessionDuration::from_millis(4_000);

/// The beginning of a held-out piece, and how the model goes on.
#[derive(Clone, Debug)]
pub struct Sample {
    /// Name of the piece's file.
    pub name: String,
    /// Its style.
    pub style: String,
    /// What was given.
    pub prime: Vec<Note>,
    /// What was sampled.
    pub answer: Vec<Note>,
}

/// Continues the beginnings of up to three held-out pieces, of different styles where there are some.
///
/// # Errors
/// When the engine fails.
pub fn sample(model: &Path, dataset: &Dataset, seed: u64) -> Result<Vec<Sample>, TrainError> {
    let file = ModelFile::read(model)?;
    let engine = Engine::start(&engine_choice())?;
    let chosen = choose(dataset).into_iter();
    chosen.map(|piece| continue_piece(LstmModel::load(&file, &engine)?, piece, dataset, seed)).collect()
}

/// Pieces long enough, first one of each style.
fn choose(dataset: &Dataset) -> Vec<&Piece> {
    let long_enough = |piece: &&Piece| piece.notes.len() >= 4;
    let mut seen = HashSet::new();
    let (mut first, others): (Vec<&Piece>, Vec<&Piece>) =
        dataset.held_out.iter().filter(long_enough).partition(|piece| seen.insert(piece.style));
    first.extend(others);
    first.truncate(SAMPLES);
    first
}

fn continue_piece(mut model: LstmModel, piece: &Piece, dataset: &Dataset, seed: u64) -> Result<Sample, TrainError> {
    let prime = &piece.notes[..GIVEN.min(piece.notes.len() / 2)];
    let answer = go_on(&mut model, prime, usize::from(piece.style), CONTINUED, seed)?;
    let name = piece.path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let style = dataset.styles[usize::from(piece.style)].clone();
    Ok(Sample { name, style, prime: prime.to_vec(), answer })
}

/// `count` notes that follow `prime` in a style of the model's, as the instrument draws them by default.
///
/// # Errors
/// When the engine fails.
pub fn go_on(
    model: &mut LstmModel,
    prime: &[Note],
    style: usize,
    count: usize,
    seed: u64,
) -> Result<Vec<Note>, TrainError> {
    let mut continuation = Continuation::new(model, style, Sampler::new(Sampling::default(), seed))?;
    prime.iter().for_each(|&note| continuation.insert(note, Voice::Human));
    // From the last onset on: the model says when the next note falls, as it does when a player rests.
    let mut from = prime.last().map_or(SessionTime::ZERO, |note| note.onset);
    let mut answer = Vec::with_capacity(count);
    for _ in 0..count {
        let note = continuation.next_note(model, Window { from, to: from + LONGEST_REST })?;
        from = note.onset;
        answer.push(note);
    }
    Ok(answer)
}

impl Sample {
    /// Both as a MIDI file, which begins with the first note.
    ///
    /// # Errors
    /// Never with so few notes.
    pub fn to_midi(&self) -> Result<Vec<u8>, MidiFileError> {
        let begin = self.prime.first().map_or(SessionTime::ZERO, |note| note.onset);
        let moved = |notes: &[Note]| -> Vec<Note> {
            notes.iter().map(|note| Note { onset: SessionTime::ZERO + note.onset.since(begin), ..*note }).collect()
        };
        let (prime, answer) = (moved(&self.prime), moved(&self.answer));
        let tracks = vec![Track::of_notes("You", &prime, 0), Track::of_notes("Antiphon", &answer, 0)];
        let markers: Vec<_> =
            answer.first().map(|note| (note.onset, "Antiphon answers".to_owned())).into_iter().collect();
        write(Score { tracks, markers: &markers, ..Score::default() })
    }
}
