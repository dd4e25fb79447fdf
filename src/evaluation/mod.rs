//! How good a model is: the bits that a note costs it, on pieces that it was never trained on.
//!
//! **Bits per note** are the sum of the negative log-likelihoods of a note's four attributes, in bits, with the two times
//! counted on the 10 ms grid ([`Attribute::grid_bits`]): a class that is `k` cells wide costs `log2 k` bits more. So
//! models with other classes can be compared. Every note of every piece counts in every part, the first one included.
//!
//! **Flat pieces** have fewer than three velocities, as scores have that say nothing about dynamics. The trainer does not
//! let them teach velocity, so a model's guess there is not held against it in the second figure,
//! [`Tally::velocity_of_dynamic`]: the velocity part over the other pieces alone, which is how the trainer states it.

mod copying;
mod manner;

use std::ops::AddAssign;

pub use copying::{Passages, figures};
pub use manner::{Manner, manner};

use crate::coincidence::{Coincidence, Earlier};
use crate::memory::Memory;
use crate::model::Logits;
use crate::note::Note;
use crate::note_model::{Attribute, BitsPerNote, CELL, NoteClasses, nearest_cell};
use crate::time::{SessionDuration, SessionTime};

/// Velocities that a piece must have for its dynamics to mean something.
const FEWEST_VELOCITIES: u32 = 3;

/// Bits over notes.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Tally {
    /// Pieces.
    pub pieces: usize,
    /// Notes.
    pub notes: usize,
    /// Bits of all notes, in chain-rule order, the grid's included.
    pub bits: [f64; 4],
    /// Notes of pieces that are not flat.
    pub dynamic_notes: usize,
    /// Bits of the velocities of those.
    pub dynamic_bits: f64,
}

impl Tally {
    /// The tally of one piece from the bits of its classes; the bits of the grid are added here.
    pub fn of_piece(notes: &[NoteClasses], class_bits: [f64; 4], is_flat: bool) -> Self {
        let mut bits = class_bits;
        for attribute in Attribute::ALL {
            let grid: f64 = notes.iter().map(|note| attribute.grid_bits(note.of(attribute))).sum();
            bits[attribute.index()] += grid;
        }
        let (dynamic_notes, dynamic_bits) = if is_flat { (0, 0.0) } else { (notes.len(), bits[3]) };
        Self { pieces: 1, notes: notes.len(), bits, dynamic_notes, dynamic_bits }
    }

    /// Bits per note.
    pub fn per_note(&self) -> BitsPerNote {
        BitsPerNote::from_parts(self.bits.map(|bits| share(bits, self.notes)))
    }

    /// Bits of the velocity per note of pieces that are not flat; zero without such.
    pub fn velocity_of_dynamic(&self) -> f64 {
        share(self.dynamic_bits, self.dynamic_notes)
    }

    /// The sum of the parts as the trainer states it: velocity over the pieces that are not flat alone.
    pub fn sum_of_dynamic(&self) -> f64 {
        let all = self.per_note();
        all.shift + all.key + all.duration + self.velocity_of_dynamic()
    }
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.pieces += other.pieces;
        self.notes += other.notes;
        self.bits.iter_mut().zip(other.bits).for_each(|(sum, bits)| *sum += bits);
        self.dynamic_notes += other.dynamic_notes;
        self.dynamic_bits += other.dynamic_bits;
    }
}

impl std::iter::Sum for Tally {
    fn sum<I: Iterator<Item = Self>>(tallies: I) -> Self {
        tallies.fold(Self::default(), |mut sum, tally| {
            sum += tally;
            sum
        })
    }
}

#[expect(clippy::cast_precision_loss, reason = "numbers of notes are below 2^53")]
fn share(sum: f64, count: usize) -> f64 {
    sum / count.max(1) as f64
}

/// Whether a piece says nothing about dynamics: it has fewer than three velocities.
pub fn is_flat(notes: &[Note]) -> bool {
    let seen = notes.iter().fold(0u128, |seen, note| seen | 1 << note.velocity.min(127));
    seen.count_ones() < FEWEST_VELOCITIES
}

/// A piece as classes, the first note with shift 0.
pub fn encode(notes: &[Note]) -> Vec<NoteClasses> {
    let before = std::iter::once(None).chain(notes.iter().map(|note| Some(note.onset)));
    notes.iter().zip(before).map(|(note, before)| NoteClasses::encode(note, before)).collect()
}

/// Bits of the classes of a piece under a model's logits, in chain-rule order, without those of the grid.
pub fn class_bits(notes: &[NoteClasses], logits: &Logits) -> [f64; 4] {
    Attribute::ALL.map(|attribute| {
        let rows = logits.tables[attribute.index()].chunks_exact(attribute.classes());
        notes.iter().zip(rows).map(|(note, row)| bits_of(row, note.of(attribute))).sum()
    })
}

/// The logits with what the piece teaches as it goes blended in: the memory hears each note after it was predicted.
pub fn remembering(notes: &[NoteClasses], logits: &Logits, mut memory: Memory) -> Logits {
    let mut blended = logits.clone();
    for (at, &note) in notes.iter().enumerate() {
        for attribute in Attribute::ALL {
            let classes = attribute.classes();
            memory.blend(attribute, note, &mut blended.tables[attribute.index()][at * classes..][..classes]);
        }
        memory.remember(note, true);
    }
    blended
}

/// The logits leaned towards what falls together with notes that sound: the last step before notes are drawn.
pub fn coinciding(notes: &[Note], mut logits: Logits) -> Logits {
    let mut coincidence = Coincidence::default();
    for at in 0..notes.len() {
        for attribute in Attribute::ALL {
            let classes = attribute.classes();
            let of_note = &mut logits.tables[attribute.index()][at * classes..][..classes];
            coincidence.lean(attribute, earlier(notes, at), onset_for(attribute, notes, at), of_note);
        }
    }
    logits
}

/// The notes of a piece before the one at `index`, the latest first.
pub fn earlier(notes: &[Note], index: usize) -> impl Iterator<Item = Earlier> + Clone {
    notes[..index].iter().rev().map(|&note| Earlier { note, held: false })
}

/// The onset of a note as far as it is known when one of its attributes is predicted: to the 10 ms that its shift has
/// paid for; for the shift itself, the onset of the note before.
pub fn onset_for(attribute: Attribute, notes: &[Note], index: usize) -> SessionTime {
    let Some(before) = index.checked_sub(1) else { return notes[index].onset };
    let before = notes[before].onset;
    if attribute == Attribute::Shift {
        return before;
    }
    before + SessionDuration::from_micros(nearest_cell(notes[index].onset.since(before)) * CELL.as_micros())
}

/// `-log2 softmax(logits)[class]`, with the largest logit taken out first so that nothing overflows.
fn bits_of(logits: &[f32], class: u8) -> f64 {
    let largest = f64::from(logits.iter().copied().fold(f32::NEG_INFINITY, f32::max));
    let sum: f64 = logits.iter().map(|&logit| (f64::from(logit) - largest).exp()).sum();
    (sum.ln() + largest - f64::from(logits[usize::from(class)])) / std::f64::consts::LN_2
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::note_model::TimeBins;

    fn pieces() -> Vec<NoteClasses> {
        (0..40).map(|n| NoteClasses([n * 2, 40 + n, n * 3, n % 32])).collect()
    }

    #[test]
    fn a_model_that_gives_each_cell_the_same_chance_pays_for_naming_the_cell() {
        let notes = pieces();
        let mut logits = Logits::default();
        for attribute in Attribute::ALL {
            let row: Vec<f32> = (0..=u8::MAX)
                .take(attribute.classes())
                .map(|class| {
                    #[expect(clippy::cast_possible_truncation, reason = "a logit")]
                    let width = (attribute.grid_bits(class) * std::f64::consts::LN_2) as f32;
                    width
                })
                .collect();
            logits.tables[attribute.index()] = row.repeat(notes.len());
        }
        let parts = Tally::of_piece(&notes, class_bits(&notes, &logits), false).per_note();
        let cells = |bins: &TimeBins| {
            let edges = bins.boundaries();
            f64::from(edges[edges.len() - 1] - edges[0])
        };
        assert!((parts.shift - cells(TimeBins::shift()).log2()).abs() < 1e-5, "{parts:?}");
        assert!((parts.key - 7.0).abs() < 1e-5);
        assert!((parts.duration - cells(TimeBins::duration()).log2()).abs() < 1e-5);
        assert!((parts.velocity - 5.0).abs() < 1e-5);
        assert!((parts.sum() - (1001f64.log2() + 7.0 + 2000f64.log2() + 5.0)).abs() < 1e-4);
    }

    #[test]
    fn a_logit_far_above_the_others_costs_nothing_and_far_below_costs_its_distance() {
        assert!(bits_of(&[900.0, 0.0, 0.0], 0).abs() < 1e-9);
        assert!((bits_of(&[900.0, 0.0, 0.0], 1) - 900.0 / std::f64::consts::LN_2).abs() < 1e-6);
    }

    #[test]
    fn flat_pieces_count_for_velocity_in_the_first_figure_only() {
        let notes = pieces();
        let mut sum = Tally::of_piece(&notes, [0.0, 0.0, 0.0, 40.0 * 3.0], true);
        sum += Tally::of_piece(&notes, [0.0, 0.0, 0.0, 40.0], false);
        assert!((sum.per_note().velocity - 2.0).abs() < 1e-12);
        assert!((sum.velocity_of_dynamic() - 1.0).abs() < 1e-12);
        assert!((sum.per_note().sum() - sum.sum_of_dynamic() - 1.0).abs() < 1e-12);
        assert_eq!((sum.pieces, sum.notes), (2, 80));
    }

    #[test]
    fn three_velocities_are_dynamics() {
        let note = |velocity| Note {
            onset: SessionTime::ZERO,
            key: 60,
            duration: SessionDuration::from_millis(100),
            velocity,
        };
        assert!(is_flat(&[note(60), note(84), note(60)]));
        assert!(!is_flat(&[note(60), note(61), note(62)]));
    }
}
