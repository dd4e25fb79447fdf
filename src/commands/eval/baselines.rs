//! What the same pieces cost a unigram and a Markov model that learnt from the training pieces.

use std::num::NonZero;

use super::pieces::Piece;
use crate::evaluation::Tally;
use crate::markov::{ChainBits, Training, Unigram};
use crate::note_model::{Attribute, NoteClasses};

/// Tallies of one piece.
#[derive(Clone, Copy, Debug)]
pub(super) struct Baseline {
    pub markov: Tally,
    /// The Markov model without what it learns from the piece itself.
    pub n_gram: Tally,
    pub unigram: Tally,
}

/// Scores the pieces; one attribute's chain is in memory at a time.
pub(super) fn score(training: &Training, pieces: &[Piece], threads: NonZero<usize>) -> Vec<Baseline> {
    let evaluated: Vec<&[NoteClasses]> = pieces.iter().map(|piece| piece.classes.as_slice()).collect();
    let mut unigram = Unigram::default();
    training.counted.iter().for_each(|piece| unigram.learn(piece));

    let mut bits = vec![[ChainBits::default(); 4]; pieces.len()];
    for attribute in Attribute::ALL {
        let chain = training.chain(attribute, threads);
        for (bits, of_attribute) in bits.iter_mut().zip(chain.bits(&evaluated, threads)) {
            bits[attribute.index()] = of_attribute;
        }
    }
    let tally = |piece: &Piece, bits| Tally::of_piece(&piece.classes, bits, piece.is_flat);
    pieces
        .iter()
        .zip(bits)
        .map(|(piece, bits)| Baseline {
            markov: tally(piece, bits.map(|bits| bits.with_piece)),
            n_gram: tally(piece, bits.map(|bits| bits.trained_only)),
            unigram: tally(piece, unigram.bits(&piece.classes)),
        })
        .collect()
}
