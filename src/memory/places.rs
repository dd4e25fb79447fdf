//! What came at every place of the session, beside the contexts that it came in: columns that are searched as a whole.

use crate::markov::{Context, History};
use crate::note_model::{Attribute, NoteClasses};

/// Notes that are searched: at 10 notes a second, three and a half minutes.
pub(super) const WINDOW: usize = 2048;
/// Notes kept beyond the window, so that it is still full when so many of the latest are forgotten.
pub(super) const SLACK: usize = 512;
/// Room for this many notes; when it is full, the oldest [`SLACK`] go at once.
const ROOM: usize = WINDOW + 2 * SLACK;
/// What a context is thought to be worth before it was put to the test: the probability of what really came.
const FIRST_WORTH: f32 = 0.3;
/// Share of a context's worth that each test replaces.
const WORTH_STEP: f32 = 0.1;
/// No test counts as worse than this, so that one surprise does not outweigh all else.
const LEAST_WORTH: f32 = 0.01;
/// Places that are compared in one go.
const BLOCK: usize = u32::BITS as usize;
/// Stands in for the hash of a place that teaches nothing; no context has it.
const NOTHING: u32 = 0;

/// The columns of one attribute.
#[derive(Clone, Debug)]
pub(super) struct Places {
    attribute: Attribute,
    contexts: usize,
    len: usize,
    /// Half of each context's hash, (contexts, [`ROOM`]).
    hashes: Vec<u32>,
    /// What came, counted from the context's base, (contexts, [`ROOM`]).
    symbols: Vec<u8>,
    /// How well each context has known of late what came, in `LEAST_WORTH..=1.0`, behind each note: (len, contexts).
    worth: Vec<f32>,
    first_worth: Vec<f32>,
}

impl Places {
    pub fn new(attribute: Attribute) -> Self {
        let mut contexts = Vec::new();
        History::of(&[]).contexts(attribute, NoteClasses::default(), &mut contexts);
        let contexts = contexts.len();
        Self {
            attribute,
            contexts,
            len: 0,
            hashes: vec![NOTHING; contexts * ROOM],
            symbols: vec![0; contexts * ROOM],
            worth: Vec::with_capacity(contexts * ROOM),
            first_worth: vec![FIRST_WORTH; contexts],
        }
    }

    /// How well each context has known of late what came.
    pub fn worth(&self) -> &[f32] {
        self.worth.rchunks_exact(self.contexts).next().unwrap_or(&self.first_worth)
    }

    /// Adds a place. One that does not teach is never found, and puts no context to the test.
    pub fn push(&mut self, contexts: &[Context], class: u8, teaches: bool) {
        if self.len == ROOM {
            self.drop_oldest();
        }
        let before = self.worth.len();
        match before.checked_sub(self.contexts) {
            Some(from) => self.worth.extend_from_within(from..),
            None => self.worth.extend_from_slice(&self.first_worth),
        }
        for (number, context) in contexts.iter().enumerate() {
            let symbol = context.symbol(self.attribute, class);
            if teaches {
                let (mut right, mut all) = (0u16, 0u16);
                self.find(number, *context, |found, _| {
                    all += 1;
                    right += u16::from(found == symbol);
                });
                if all > 0 {
                    let share = f32::from(right) / f32::from(all);
                    let worth = &mut self.worth[before + number];
                    *worth += WORTH_STEP * (share.max(LEAST_WORTH) - *worth);
                }
            }
            let place = number * ROOM + self.len;
            self.hashes[place] = if teaches { half(*context) } else { NOTHING };
            self.symbols[place] = symbol;
        }
        self.len += 1;
    }

    /// Hands out what came wherever the context of this number was the same, the earliest first, with the number of
    /// notes that have passed since.
    pub fn find(&self, number: usize, context: Context, mut found: impl FnMut(u8, usize)) {
        let column = number * ROOM;
        let places = column + self.len.saturating_sub(WINDOW)..column + self.len;
        let (hashes, symbols) = (&self.hashes[places.clone()], &self.symbols[places]);
        let hash = half(context);
        let mut hand_out = |from: usize, mut equal: u32| {
            while equal != 0 {
                let at = from + equal.trailing_zeros() as usize;
                found(symbols[at], symbols.len() - at);
                equal &= equal - 1;
            }
        };
        let (blocks, rest) = hashes.as_chunks::<BLOCK>();
        for (block, hashes) in blocks.iter().enumerate() {
            hand_out(block * BLOCK, equal(hashes, hash));
        }
        let mut last = [NOTHING; BLOCK];
        last[..rest.len()].copy_from_slice(rest);
        hand_out(blocks.len() * BLOCK, equal(&last, hash));
    }

    /// Keeps the first `len` of the places that are kept.
    pub fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
        self.worth.truncate(self.len * self.contexts);
    }

    /// Makes room.
    fn drop_oldest(&mut self) {
        for column in (0..self.contexts).map(|number| number * ROOM) {
            self.hashes.copy_within(column + SLACK..column + self.len, column);
            self.symbols.copy_within(column + SLACK..column + self.len, column);
        }
        self.worth.drain(..SLACK * self.contexts);
        self.len -= SLACK;
    }

    /// Places that are kept.
    pub fn len(&self) -> usize {
        self.len
    }
}

/// A bit for each place of a block, set where the hash is equal: without branches, so that several places are
/// compared in one instruction.
fn equal(hashes: &[u32; BLOCK], hash: u32) -> u32 {
    if !hashes.iter().fold(false, |any, &other| any | (other == hash)) {
        return 0;
    }
    let mut bits = [0; BLOCK];
    for (at, bit) in bits.iter_mut().enumerate() {
        *bit = if hashes[at] == hash { 1 << at } else { 0 };
    }
    bits.iter().fold(0, |all, bit| all | bit)
}

/// Half of the hash is enough to tell the contexts of one column apart.
fn half(context: Context) -> u32 {
    u32::try_from(context.hash >> 32).unwrap_or(u32::MAX).max(NOTHING + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn context(hash: u64, base: u8) -> Context {
        Context { hash: hash << 32, base }
    }

    /// All columns alike: the context is `n % 7 + 1`, and what came is `n % 5` above the base.
    fn filled(notes: u64) -> Places {
        let mut places = Places::new(Attribute::Key);
        for n in 0..notes {
            let (base, above) = (u8::try_from(n % 100).expect("small"), u8::try_from(n % 5).expect("small"));
            places.push(&vec![context(n % 7 + 1, base); places.contexts], base + above, true);
        }
        places
    }

    #[test]
    fn every_place_of_the_window_is_found_once_with_its_age() {
        for notes in [1, 31, 33, 700, ROOM as u64, ROOM as u64 + 1, 6000] {
            let places = filled(notes);
            for wanted in 1..=7 {
                let mut found = Vec::new();
                places.find(3, context(wanted, 0), |symbol, ago| found.push((u64::from(symbol), ago as u64)));
                let window = notes.saturating_sub(WINDOW as u64)..notes;
                let expected: Vec<_> = window.filter(|n| n % 7 + 1 == wanted).map(|n| (n % 5, notes - n)).collect();
                assert_eq!(found, expected, "{notes} notes, context {wanted}");
            }
        }
    }

    #[test]
    fn a_context_is_worth_what_it_knew_of_late() {
        let mut places = Places::new(Attribute::Velocity);
        let push = |places: &mut Places, class, teaches| {
            places.push(&vec![context(1, 0); places.contexts], class, teaches);
            places.worth()[0]
        };
        assert!((push(&mut places, 9, true) - FIRST_WORTH).abs() < 1e-6, "it never came before");
        let mut before = FIRST_WORTH;
        for _ in 0..30 {
            let worth = push(&mut places, 9, true);
            assert!(worth > before && worth < 1.0);
            before = worth;
        }
        assert!((push(&mut places, 20, false) - before).abs() < 1e-6, "what does not teach is no test");
        assert!(push(&mut places, 20, true) < before, "it did not know");
        places.truncate(31);
        assert!((places.worth()[0] - before).abs() < 1e-6, "forgotten");
    }
}
