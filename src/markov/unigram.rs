//! The weakest baseline: how often each class comes, whatever came before.

use crate::note_model::{Attribute, NoteClasses};

/// Added to each count, so that no class is impossible (Krichevsky and Trofimov 1981).
const PSEUDO_COUNT: f64 = 0.5;

/// Counts of the classes of each attribute.
#[derive(Clone, Debug)]
pub struct Unigram {
    counts: [Vec<u64>; 4],
}

impl Default for Unigram {
    fn default() -> Self {
        Self { counts: Attribute::ALL.map(|attribute| vec![0; attribute.classes()]) }
    }
}

impl Unigram {
    /// Counts the notes of a piece.
    pub fn learn(&mut self, notes: &[NoteClasses]) {
        for note in notes {
            for attribute in Attribute::ALL {
                self.counts[attribute.index()][usize::from(note.of(attribute))] += 1;
            }
        }
    }

    /// Probability of a class.
    #[expect(clippy::cast_precision_loss, reason = "numbers of notes are below 2^53")]
    pub fn probability(&self, attribute: Attribute, class: u8) -> f64 {
        let counts = &self.counts[attribute.index()];
        let total: u64 = counts.iter().sum();
        (counts[usize::from(class)] as f64 + PSEUDO_COUNT) / (total as f64 + PSEUDO_COUNT * counts.len() as f64)
    }

    /// Bits of a piece, without those of the time grid, in chain-rule order.
    pub fn bits(&self, notes: &[NoteClasses]) -> [f64; 4] {
        Attribute::ALL.map(|attribute| {
            let classes = (0..=u8::MAX).take(attribute.classes());
            let table: Vec<f64> = classes.map(|class| -self.probability(attribute, class).log2()).collect();
            notes.iter().map(|note| table[usize::from(note.of(attribute))]).sum()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probabilities_are_the_counts_shares() {
        let mut unigram = Unigram::default();
        unigram.learn(&[NoteClasses([0, 60, 9, 16]), NoteClasses([0, 60, 9, 16]), NoteClasses([5, 64, 9, 16])]);
        // Three notes and 128 halves: (2 + 0.5) / (3 + 64).
        assert!((unigram.probability(Attribute::Key, 60) - 2.5 / 67.0).abs() < 1e-12);
        assert!((unigram.probability(Attribute::Key, 61) - 0.5 / 67.0).abs() < 1e-12);
        for attribute in Attribute::ALL {
            let sum: f64 =
                (0..=u8::MAX).take(attribute.classes()).map(|class| unigram.probability(attribute, class)).sum();
            assert!((sum - 1.0).abs() < 1e-9);
        }
        let bits = unigram.bits(&[NoteClasses([0, 60, 9, 16]), NoteClasses([0, 61, 9, 16])]);
        assert!((bits[1] + (2.5f64 / 67.0).log2() + (0.5f64 / 67.0).log2()).abs() < 1e-9);
    }

    #[test]
    fn knowing_nothing_costs_as_much_as_naming_a_class() {
        let bits = Unigram::default().bits(&[NoteClasses([0, 60, 9, 16])]);
        assert!((bits[1] - 7.0).abs() < 1e-12 && (bits[3] - 5.0).abs() < 1e-12, "128 keys and 32 velocities: {bits:?}");
    }
}
