//! Continuations of the evaluated pieces, beside what people wrote there.

use std::num::NonZero;
use std::sync::Mutex;

use super::Lent;
use super::pieces::Piece;
use crate::continuation::{Continuation, Voice, Window};
use crate::evaluation::{Manner, Passages, encode, figures, manner};
use crate::markov::in_parallel;
use crate::model::{LstmModel, ModelError};
use crate::note::Note;
use crate::sampler::{Sampler, Sampling};
use crate::time::SessionDuration;

/// Notes that are continued.
const PRIME: usize = 64;
/// Notes of the continuation.
const LENGTH: usize = 128;
/// Notes of the passages that are looked for in the training pieces.
const PASSAGE: usize = 16;
/// Longest silence between two notes.
const LONGEST_REST: SessionDuration = SessionDuration::from_millis(4_000);

/// How continuations are drawn.
#[derive(Clone, Copy)]
pub(super) struct Drawing {
    pub count: usize,
    pub sampling: Sampling,
    /// Strength of the memory.
    pub memory: f32,
    pub seed: u64,
}

/// One side of the comparison: means over all passages.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Side {
    pub manner: Manner,
    /// Longest passage copied from training, in notes.
    pub longest_copy: f64,
    /// Share of the 16-note passages that stand in the training pieces, in `0.0..=1.0`.
    pub copied_share: f64,
}

/// What the model wrote and what people did.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Comparison {
    pub passages: usize,
    pub generated: Side,
    pub human: Side,
}

/// Continues pieces spread evenly over those that are long enough. Without training passages nothing counts as copied.
pub(super) fn compare(
    models: &Mutex<Vec<LstmModel>>,
    pieces: &[(&Piece, usize)],
    drawing: Drawing,
    passages: &Passages,
    threads: NonZero<usize>,
) -> Result<Comparison, ModelError> {
    let long: Vec<_> = pieces.iter().filter(|(piece, _)| piece.notes.len() >= PRIME + LENGTH).collect();
    let count = drawing.count.min(long.len());
    let chosen: Vec<_> = (0..count).map(|n| (n, *long[n * long.len() / count])).collect();
    let sides = in_parallel(&chosen, threads, |&(number, (piece, style))| {
        let generated = generate(&mut Lent::from(models), &piece.notes[..PRIME], style, drawing, number)?;
        Ok::<_, ModelError>((side(&generated, passages), side(&piece.notes[..PRIME + LENGTH], passages)))
    });
    let mut sum = Comparison { passages: count, ..Comparison::default() };
    for pair in sides {
        let (generated, human) = pair?;
        sum.generated.add(generated);
        sum.human.add(human);
    }
    sum.generated = sum.generated.over(count);
    sum.human = sum.human.over(count);
    Ok(sum)
}

fn generate(
    model: &mut LstmModel,
    prime: &[Note],
    style: usize,
    drawing: Drawing,
    number: usize,
) -> Result<Vec<Note>, ModelError> {
    let seed = drawing.seed.wrapping_add(number as u64);
    let mut continuation = Continuation::new(&mut *model, style, Sampler::new(drawing.sampling, seed))?;
    continuation.set_memory(drawing.memory);
    let mut notes = prime.to_vec();
    for &note in prime {
        continuation.insert(note, Voice::Human);
    }
    let mut from = prime.last().map_or_else(Default::default, |note| note.onset);
    for _ in 0..LENGTH {
        let note = continuation.next_note(&mut *model, Window { from, to: from + LONGEST_REST })?;
        from = note.onset;
        notes.push(note);
    }
    Ok(notes)
}

#[expect(clippy::cast_precision_loss, reason = "a few notes")]
fn side(notes: &[Note], passages: &Passages) -> Side {
    let written = figures(&encode(&notes[PRIME..]));
    let (all, copied) = passages.copied(&written, PASSAGE);
    Side {
        manner: manner(notes, PRIME),
        longest_copy: passages.longest(&written) as f64,
        copied_share: copied as f64 / all.max(1) as f64,
    }
}

impl Side {
    fn add(&mut self, other: Self) {
        self.manner += other.manner;
        self.longest_copy += other.longest_copy;
        self.copied_share += other.copied_share;
    }

    #[expect(clippy::cast_precision_loss, reason = "a few passages")]
    fn over(self, count: usize) -> Self {
        let count = count.max(1) as f64;
        Self {
            manner: self.manner.over(count),
            longest_copy: self.longest_copy / count,
            copied_share: self.copied_share / count,
        }
    }

    /// Names, units and values, for tables and JSON.
    pub fn figures(&self) -> [(&'static str, &'static str, f64); 5] {
        [
            ("longest_copy_notes", "longest passage copied from training, in notes", self.longest_copy),
            ("copied_16_note_share", "share of 16-note passages found in training", self.copied_share),
            ("in_scale_share", "share of notes in the best-fitting scale", self.manner.in_scale),
            ("notes_per_second", "notes per second", self.manner.density),
            ("repetition_share", "share of 4-note figures heard in the 64 notes before", self.manner.repetition),
        ]
    }
}
