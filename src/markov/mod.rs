//! A Markov model of notes, the rival of the LSTM: what came after the same things before.
//!
//! Each attribute of a note has a [`Chain`]: some two dozen contexts made of the last notes and of the attributes
//! already known (orders 0 to 8, chords, intervals instead of keys, what still sounds, the nearest note), counted twice:
//! over the training pieces, and over the piece itself as far as it has gone. What a context says is the plain share of
//! each class behind it, `count / total`; a weighted mean makes one prediction of all of them, with a uniform one at its
//! end, so that nothing is impossible ([`Mixture`]).
//!
//! The two memories and the several views of a note follow IDyOM (Conklin and Witten 1995, Pearce 2005); the blending is
//! Jelinek-Mercer interpolation (1980) with weights tied by the confidence counts of Witten and Bell (1991). The order is
//! not chosen but weighted, on pieces that are neither counted nor tested; along a piece the weights go on learning.
//!
//! Only classes are read, never exact times: the chain sees what the LSTM sees. All of it is deterministic, whatever
//! the number of threads.

mod history;
mod mixture;
mod table;
mod training;
mod unigram;

use std::num::NonZero;

pub use history::History;
pub use mixture::{Mixture, Opinion};
pub use table::{Context, CountTable, Seen};
pub use training::Training;
pub use unigram::Unigram;

use crate::note_model::{Attribute, NoteClasses};

/// Notes on which the weights are fitted, at most.
const MOST_TUNING_NOTES: usize = 120_000;

/// The Markov model of one attribute.
pub struct Chain {
    attribute: Attribute,
    /// Counts over the training pieces, a table for each context.
    trained: Vec<CountTable>,
    /// Of the uniform opinion, those of the training pieces, those of the piece.
    mixture: Mixture,
    /// Of the same without those of the piece.
    trained_mixture: Mixture,
}

/// What a piece costs a chain, in bits of its classes.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ChainBits {
    /// With what the piece itself has taught so far: the whole chain.
    pub with_piece: f64,
    /// With the training pieces alone, as an n-gram model has it.
    pub trained_only: f64,
}

/// What a chain has counted in the piece that it follows.
pub struct PieceMemory {
    tables: Vec<CountTable>,
}

impl Chain {
    /// A chain that has learnt nothing: it predicts from the piece alone.
    pub fn new(attribute: Attribute) -> Self {
        let contexts = contexts_of(attribute, &History::of(&[]), NoteClasses::default()).len();
        Self {
            attribute,
            trained: vec![CountTable::default(); contexts],
            mixture: Mixture::new(contexts, 2),
            trained_mixture: Mixture::new(contexts, 1),
        }
    }

    /// Counts the training pieces and fits the weights on other pieces; without those the weights stay Witten and
    /// Bell's. Works on `threads` threads.
    pub fn train(
        attribute: Attribute,
        training: &[&[NoteClasses]],
        tuning: &[&[NoteClasses]],
        threads: NonZero<usize>,
    ) -> Self {
        let mut chain = Self::new(attribute);
        chain.count(training, threads);
        let mut left = MOST_TUNING_NOTES;
        let tuning: Vec<&[NoteClasses]> = tuning
            .iter()
            .map(|piece| {
                let taken = &piece[..piece.len().min(left)];
                left -= taken.len();
                taken
            })
            .collect();
        let rows = in_parallel(&tuning, threads, |piece| {
            let mut rows = Vec::new();
            chain.follow(piece, |opinions| rows.extend_from_slice(opinions));
            rows
        });
        let rows = rows.concat();
        let width = 1 + 2 * chain.trained.len();
        chain.mixture.fit(rows.chunks_exact(width));
        chain.trained_mixture.fit(rows.chunks_exact(width).map(|row| &row[..=chain.trained.len()]));
        chain
    }

    /// Counts more pieces; the weights stay as they are.
    pub fn count(&mut self, pieces: &[&[NoteClasses]], threads: NonZero<usize>) {
        let attribute = self.attribute;
        let share = self.trained.len().div_ceil(threads.get());
        std::thread::scope(|scope| {
            for (number, tables) in self.trained.chunks_mut(share).enumerate() {
                scope.spawn(move || {
                    for piece in pieces {
                        for (at, &note) in piece.iter().enumerate() {
                            let contexts = contexts_of(attribute, &History::of(&piece[..at]), note);
                            for (table, context) in tables.iter_mut().zip(&contexts[number * share..]) {
                                table.learn(context.hash, context.symbol(attribute, note.of(attribute)));
                            }
                        }
                    }
                });
            }
        });
    }

    /// Bits of each piece, without those of the time grid. Each piece is scored for itself: what it teaches, counts and
    /// weights, is forgotten behind its end.
    pub fn bits(&self, pieces: &[&[NoteClasses]], threads: NonZero<usize>) -> Vec<ChainBits> {
        in_parallel(pieces, threads, |piece| {
            let (mut mixture, mut trained_mixture) = (self.mixture.clone(), self.trained_mixture.clone());
            let mut bits = ChainBits::default();
            self.follow(piece, |opinions| {
                bits.with_piece += mixture.bits_then_learn(opinions);
                bits.trained_only += trained_mixture.bits(&opinions[..=self.trained.len()]);
            });
            bits
        })
    }

    /// The logarithms of the probabilities of all classes of each piece, (notes, classes), as [`Chain::bits`] has them of
    /// the classes that came: with what the piece itself has taught so far.
    pub fn log_probabilities(&self, pieces: &[&[NoteClasses]], threads: NonZero<usize>) -> Vec<Vec<f32>> {
        in_parallel(pieces, threads, |piece| {
            let (mut mixture, mut memory) = (self.mixture.clone(), self.memory());
            let classes = self.attribute.classes();
            let (mut all, mut opinions) = (Vec::with_capacity(piece.len() * classes), Vec::new());
            for (at, &note) in piece.iter().enumerate() {
                let contexts = contexts_of(self.attribute, &History::of(&piece[..at]), note);
                self.opinions(&memory, &contexts, note.of(self.attribute), &mut opinions);
                self.mix(&memory, &contexts, mixture.weigh(&opinions), &mut all);
                mixture.bits_then_learn(&opinions);
                remember(self.attribute, &mut memory, &contexts, note);
            }
            all.iter_mut().for_each(|probability| *probability = probability.ln());
            all
        })
    }

    /// Appends the probabilities of all classes under these weights. Only counts differ from class to class: how much an
    /// opinion weighs hangs on its context alone.
    #[expect(clippy::cast_precision_loss, reason = "counts are below 2^24")]
    fn mix(&self, memory: &PieceMemory, contexts: &[Context], weights: &[f32], out: &mut Vec<f32>) {
        let begin = out.len();
        out.resize(begin + self.attribute.classes(), weights[0] * self.uniform());
        let tables = [&self.trained, &memory.tables].into_iter().flat_map(|tables| tables.iter().zip(contexts));
        for ((table, context), weight) in tables.zip(&weights[1..]).filter(|&(_, &weight)| weight > 0.0) {
            let mut met = 0;
            for (class, probability) in (0..=u8::MAX).zip(&mut out[begin..]) {
                let seen = table.look_up(context.hash, context.symbol(self.attribute, class));
                *probability += weight * seen.count as f32 / seen.total as f32;
                met += seen.count;
                if met >= seen.total {
                    break;
                }
            }
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "at most 256 classes")]
    fn uniform(&self) -> f32 {
        1.0 / self.attribute.classes() as f32
    }

    /// A memory of no notes.
    pub fn memory(&self) -> PieceMemory {
        PieceMemory { tables: vec![CountTable::default(); self.trained.len()] }
    }

    /// Probability that the attribute of the next note is `class`, after the notes in `history`; `next` is read up to
    /// the attribute.
    pub fn probability(&mut self, memory: &PieceMemory, history: &History, next: NoteClasses, class: u8) -> f32 {
        let contexts = contexts_of(self.attribute, history, next);
        let mut opinions = Vec::new();
        self.opinions(memory, &contexts, class, &mut opinions);
        self.mixture.probability(&opinions)
    }

    /// Takes a note of the piece into the memory; `history` is that of the notes before it.
    pub fn remember(&self, memory: &mut PieceMemory, history: &History, note: NoteClasses) {
        remember(self.attribute, memory, &contexts_of(self.attribute, history, note), note);
    }

    /// Goes through a piece and hands out the opinions about the class that came, note by note.
    fn follow(&self, piece: &[NoteClasses], mut each: impl FnMut(&[Opinion])) {
        let mut memory = self.memory();
        let mut opinions = Vec::new();
        for (at, &note) in piece.iter().enumerate() {
            let contexts = contexts_of(self.attribute, &History::of(&piece[..at]), note);
            self.opinions(&memory, &contexts, note.of(self.attribute), &mut opinions);
            each(&opinions);
            remember(self.attribute, &mut memory, &contexts, note);
        }
    }

    /// The uniform opinion, those of the training pieces, those of the piece.
    fn opinions(&self, memory: &PieceMemory, contexts: &[Context], class: u8, out: &mut Vec<Opinion>) {
        out.clear();
        out.push(Opinion::certain(self.uniform()));
        for tables in [&self.trained, &memory.tables] {
            out.extend(tables.iter().zip(contexts).map(|(table, context)| {
                let symbol = context.symbol(self.attribute, class);
                Opinion::from_counts(table.look_up(context.hash, symbol))
            }));
        }
    }
}

fn remember(attribute: Attribute, memory: &mut PieceMemory, contexts: &[Context], note: NoteClasses) {
    for (table, context) in memory.tables.iter_mut().zip(contexts) {
        table.learn(context.hash, context.symbol(attribute, note.of(attribute)));
    }
}

fn contexts_of(attribute: Attribute, history: &History, next: NoteClasses) -> Vec<Context> {
    let mut contexts = Vec::with_capacity(32);
    history.contexts(attribute, next, &mut contexts);
    contexts
}

/// A number that equal pieces share, and others hardly ever.
pub fn fingerprint(notes: &[NoteClasses]) -> u64 {
    table::hash(notes.iter().flat_map(|note| note.0))
}

/// Does the same for each piece on several threads; the results stand in the order of the pieces.
pub fn in_parallel<P: Sync, R: Send>(pieces: &[P], threads: NonZero<usize>, work: impl Fn(&P) -> R + Sync) -> Vec<R> {
    let next = std::sync::atomic::AtomicUsize::new(0);
    let worker = || {
        let mut done = Vec::new();
        loop {
            let index = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            let Some(piece) = pieces.get(index) else { return done };
            done.push((index, work(piece)));
        }
    };
    let mut all: Vec<(usize, R)> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..threads.get()).map(|_| scope.spawn(worker)).collect();
        threads
            .into_iter()
            .flat_map(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
    });
    all.sort_unstable_by_key(|&(index, _)| index);
    all.into_iter().map(|(_, result)| result).collect()
}

#[cfg(test)]
mod tests;
