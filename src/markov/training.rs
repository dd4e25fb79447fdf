//! What a Markov model learns from: which pieces are counted, and on which its weights are fitted.

use std::collections::HashSet;
use std::num::NonZero;

use super::{Chain, fingerprint};
use crate::note_model::{Attribute, NoteClasses};

/// Where the valid/ parts hold fewer notes, the weights are fitted on some of the training pieces instead.
const FEWEST_TUNING_NOTES: usize = 5_000;
/// One in so many of the training pieces, which are counted afterwards.
const TUNED_ON_ONE_IN: usize = 8;

/// Pieces to learn from.
#[derive(Default)]
pub struct Training {
    /// Counted.
    pub counted: Vec<Vec<NoteClasses>>,
    /// For the weights of the Markov model.
    pub tuning: Vec<Vec<NoteClasses>>,
    /// Pieces left out because they are among those evaluated.
    pub leaked: usize,
}

impl Training {
    /// Rid of doubles and of pieces that are evaluated; in an order that no file name has a say in; at most so many notes.
    pub fn new(
        training: Vec<Vec<NoteClasses>>,
        valid: Vec<Vec<NoteClasses>>,
        evaluated: &HashSet<u64>,
        most_notes: usize,
    ) -> Self {
        let mut seen = HashSet::new();
        let mut leaked = 0;
        let mut clean = |pieces: Vec<Vec<NoteClasses>>| {
            let mut pieces: Vec<_> = pieces.into_iter().map(|piece| (fingerprint(&piece), piece)).collect();
            pieces.sort_by_key(|&(fingerprint, _)| fingerprint);
            pieces.retain(|(fingerprint, _)| {
                let is_evaluated = evaluated.contains(fingerprint);
                leaked += usize::from(is_evaluated);
                !is_evaluated && seen.insert(*fingerprint)
            });
            pieces.into_iter().map(|(_, piece)| piece).collect::<Vec<_>>()
        };
        let (tuning, mut counted) = (clean(valid), clean(training));
        let mut notes = 0;
        counted.retain(|piece| {
            let fits = notes + piece.len() <= most_notes;
            notes += if fits { piece.len() } else { 0 };
            fits
        });
        Self { counted, tuning, leaked }
    }

    /// Notes that are counted.
    pub fn notes(&self) -> usize {
        self.counted.iter().map(Vec::len).sum()
    }

    /// The chain of an attribute that these pieces make.
    pub fn chain(&self, attribute: Attribute, threads: NonZero<usize>) -> Chain {
        let counted: Vec<&[NoteClasses]> = self.counted.iter().map(Vec::as_slice).collect();
        let mut tuning: Vec<&[NoteClasses]> = self.tuning.iter().map(Vec::as_slice).collect();
        if tuning.iter().map(|piece| piece.len()).sum::<usize>() >= FEWEST_TUNING_NOTES {
            return Chain::train(attribute, &counted, &tuning, threads);
        }
        let part = |is_held: bool| -> Vec<&[NoteClasses]> {
            let numbered = counted.iter().enumerate();
            numbered.filter(|(number, _)| (number % TUNED_ON_ONE_IN == 0) == is_held).map(|(_, &piece)| piece).collect()
        };
        let (held, others) = (part(true), part(false));
        tuning.extend(&held);
        let mut chain = Chain::train(attribute, &others, &tuning, threads);
        chain.count(&held, threads);
        chain
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn piece(key: u8, notes: usize) -> Vec<NoteClasses> {
        vec![NoteClasses([20, key, 15, 16]); notes]
    }

    #[test]
    fn evaluated_pieces_and_doubles_are_not_learnt_from() {
        let evaluated = HashSet::from([fingerprint(&piece(60, 10))]);
        let all = vec![piece(60, 10), piece(61, 10), piece(61, 10), piece(62, 10), piece(63, 10)];
        let training = Training::new(all, vec![piece(62, 10)], &evaluated, 1000);
        assert_eq!((training.counted.len(), training.tuning.len(), training.leaked), (2, 1, 1));
    }

    #[test]
    fn no_more_notes_are_learnt_from_than_asked_for() {
        let all: Vec<_> = (0..50).map(|key| piece(key, 100)).collect();
        assert_eq!(Training::new(all, Vec::new(), &HashSet::new(), 1050).notes(), 1000);
    }
}
