//! Bits per note on pieces that are not trained on.
//!
//! The sum of the four negative log-likelihoods in bits, the two times counted on the 10 ms grid
//! ([`Attribute::grid_bits`]). Each part is the mean over the notes for which it counts: a piece with fewer than three
//! velocities does not count for the velocity part, as it does not in training. Pieces are read as they are, without
//! augmentation, from zero state.

use antiphon::note_model::{Attribute, BitsPerNote, NoteClasses};
use rayon::prelude::*;

use crate::batches::Batch;
use crate::dataset::Piece;
use crate::shard::{STREAMS, Shard};
use crate::weights::Weights;

/// Steps computed at once.
const TIME: usize = 128;

/// Which style the model is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// None: `any`, as when a player chooses none.
    Any,
    /// The piece's own.
    Own,
}

/// Sum of bits over notes.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Tally {
    /// Bits of each attribute.
    pub bits: [f64; 4],
    /// Notes counted for each attribute.
    pub notes: [usize; 4],
}

impl Tally {
    /// Adds another tally.
    pub fn add(&mut self, other: &Self) {
        for index in 0..4 {
            self.bits[index] += other.bits[index];
            self.notes[index] += other.notes[index];
        }
    }

    /// Bits per note; a part that was never counted is zero.
    #[expect(clippy::cast_precision_loss, reason = "numbers of notes are below 2^53")]
    pub fn per_note(&self) -> BitsPerNote {
        BitsPerNote::from_parts([0, 1, 2, 3].map(|index: usize| self.bits[index] / self.notes[index].max(1) as f64))
    }
}

/// The tally of all tallies.
pub fn sum(tallies: &[Tally]) -> Tally {
    tallies.iter().fold(Tally::default(), |mut sum, tally| {
        sum.add(tally);
        sum
    })
}

/// Scores each piece, or its first `longest` notes, on all threads.
pub fn score(weights: &Weights, pieces: &[&Piece], longest: usize, told: Told) -> Vec<Tally> {
    let length = |index: usize| pieces[index].classes.len().min(longest);
    let mut order: Vec<usize> = (0..pieces.len()).collect();
    order.sort_by_key(|&index| (std::cmp::Reverse(length(index)), index));
    let groups: Vec<&[usize]> = order.chunks(STREAMS).collect();
    let scored: Vec<Vec<Tally>> = groups
        .par_iter()
        .map(|group| {
            let notes: Vec<_> = group.iter().map(|&index| &pieces[index].classes[..length(index)]).collect();
            let group: Vec<&Piece> = group.iter().map(|&index| pieces[index]).collect();
            score_group(weights, &group, &notes, told)
        })
        .collect();
    let mut tallies = vec![Tally::default(); pieces.len()];
    for (index, tally) in order.iter().zip(scored.into_iter().flatten()) {
        tallies[*index] = tally;
    }
    tallies
}

/// Pieces in parallel, the longest first.
fn score_group(weights: &Weights, pieces: &[&Piece], notes: &[&[NoteClasses]], told: Told) -> Vec<Tally> {
    let streams = pieces.len();
    let mut tallies = vec![Tally::default(); streams];
    let mut shard = Shard::new(&weights.layout, streams, TIME, false);
    let longest = notes.first().map_or(0, |notes| notes.len());
    for from in (0..longest).step_by(TIME) {
        let mut batch = Batch::new(streams, TIME);
        for row in 0..batch.rows() {
            let (stream, at) = (row % streams, from + row / streams);
            let (piece, notes) = (pieces[stream], notes[stream]);
            if let Some(note) = notes.get(at) {
                let last = at.checked_sub(1).map(|before| notes[before]);
                let style = if told == Told::Own { piece.style } else { 0 };
                batch.set(row, last, *note, style, [true, true, true, piece.character.has_dynamics]);
            }
        }
        shard.forward(weights, &batch, None);
        shard.score(weights, &batch);
        for attribute in Attribute::ALL {
            let index = attribute.index();
            for (row, nll) in shard.heads.nll[index].iter().enumerate() {
                if batch.counted[index][row] {
                    let tally = &mut tallies[row % streams];
                    let grid = attribute.grid_bits(batch.next[index][row]);
                    tally.bits[index] += f64::from(*nll) / std::f64::consts::LN_2 + grid;
                    tally.notes[index] += 1;
                }
            }
        }
    }
    tallies
}

/// The trainer's own logits of every note of a piece, (notes, classes) for each attribute.
pub fn logits(weights: &Weights, notes: &[NoteClasses], style: u8) -> [Vec<f32>; 4] {
    let mut batch = Batch::new(1, notes.len());
    for (row, note) in notes.iter().enumerate() {
        batch.set(row, row.checked_sub(1).map(|before| notes[before]), *note, style, [true; 4]);
    }
    let mut shard = Shard::new(&weights.layout, 1, notes.len(), false);
    shard.forward(weights, &batch, None);
    [0, 1, 2, 3].map(|attribute| shard.logits(weights, &batch, attribute).to_vec())
}
