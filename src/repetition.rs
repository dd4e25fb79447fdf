//! The repetition guard: notices that the answer goes round in a loop, and leans the model away from going on with it.
//!
//! A model that hears itself repeat something finds the repetition ever more likely. The guard answers in kind: the
//! longer a loop lasts, the less likely it makes the key with which it would go on. Only keys are leaned on, never the
//! rhythm: a steady pulse is music, and a note pushed off it is not. Against a stall, rests one after the other, it
//! makes long rests less likely.
//!
//! | loop | let be |
//! |---|---|
//! | one key over and over, in whatever rhythm | 16 repeats |
//! | a figure of 2 or 3 notes | 16 notes of repeats |
//! | a figure of 4 to 16 notes, keys and rhythm alike | 4 repeats |
//! | rests of [`LONG_REST`] and more | 3 in a row |
//!
//! A note here and there that is otherwise does not hide a loop.

use std::ops::RangeInclusive;

use crate::note::Note;
use crate::note_model::{Attribute, KEYS, TimeBins};
use crate::time::SessionDuration;

/// Longest figure that is watched for, in notes.
pub const LONGEST_FIGURE: usize = 16;
/// Notes of the answer, from the last, that are looked at.
pub const HISTORY: usize = 160;
/// A rest of this length or more counts towards a stall.
pub const LONG_REST: SessionDuration = SessionDuration::from_millis(2_500);

/// Repeats of a figure that are let be.
const REPEATS: usize = 4;
/// Notes of repeats that are let be, however short the figure is.
const REPEATED_NOTES: usize = 16;
/// Long rests in a row that are let be.
const RESTS: usize = 3;
/// What a note that differs takes from the score of a loop, to which each that is alike adds 1.
const DIFFERENCE: f32 = 2.0;
/// A loop is not followed back beyond the place where differences have taken this much in a row.
const BREAK: f32 = 8.0;
/// Logits for each repeated note above what is let be.
const LEAN_PER_NOTE: f32 = 0.5;
/// Logits for each long rest above what is let be.
const LEAN_PER_REST: f32 = 2.0;
/// Intervals differ by less than this, or by less than a tenth, to be alike.
const SAME_INTERVAL_US: u64 = 20_000;

/// Leans logits away from loops.
#[derive(Clone, Copy, Debug)]
pub struct RepetitionGuard {
    /// How hard it leans, in [`RepetitionGuard::STRENGTH`]; 0 is off.
    pub strength: f32,
    /// The lean on each key, in logits.
    keys: [f32; KEYS],
    /// The lean on long rests in logits.
    rests: f32,
}

impl RepetitionGuard {
    /// Strengths that are obeyed.
    pub const STRENGTH: RangeInclusive<f32> = 0.0..=1.0;
    /// The strength unless told otherwise.
    pub const DEFAULT_STRENGTH: f32 = 0.5;

    /// A guard that has seen nothing.
    pub fn new(strength: f32) -> Self {
        Self { strength, keys: [0.0; KEYS], rests: 0.0 }
    }

    /// Looks for loops at the end of `answer`, the notes of one answer in order; once before each note.
    pub fn look(&mut self, answer: &[Note]) {
        let strength = self.strength.clamp(*Self::STRENGTH.start(), *Self::STRENGTH.end());
        // Written so that a strength that is not a number is off, too.
        let strength = if strength > 0.0 { strength } else { 0.0 };
        let answer = &answer[answer.len().saturating_sub(HISTORY)..];
        self.keys = [0.0; KEYS];
        let figures = if strength > 0.0 { LONGEST_FIGURE } else { 0 };
        for figure in 1..=figures.min(answer.len().saturating_sub(1)) {
            let excess = repeated_notes(answer, figure) - let_be(figure);
            // Two turns of a figure are a figure too, so several loops go on with the same key: the longest counts.
            let lean = &mut self.keys[usize::from(answer[answer.len() - figure].key.min(127))];
            *lean = lean.max(strength * LEAN_PER_NOTE * excess);
        }
        self.rests = strength * LEAN_PER_REST * count(rests(answer).saturating_sub(RESTS));
    }

    /// Leans on the logits of one attribute of the note after those that were looked at.
    pub fn lean(&self, attribute: Attribute, logits: &mut [f32]) {
        match attribute {
            Attribute::Key => {
                for (logit, lean) in logits.iter_mut().zip(self.keys) {
                    *logit -= lean;
                }
            }
            Attribute::Shift if self.rests > 0.0 => {
                let from = usize::from(TimeBins::shift().class_of(LONG_REST));
                for logit in logits.iter_mut().skip(from) {
                    *logit -= self.rests;
                }
            }
            Attribute::Shift | Attribute::Duration | Attribute::Velocity => {}
        }
    }

    /// How far the guard leans on `key` as the next note, in logits.
    #[cfg(test)]
    fn lean_on(&self, key: u8) -> f32 {
        self.keys[usize::from(key)]
    }
}

impl Default for RepetitionGuard {
    fn default() -> Self {
        Self::new(Self::DEFAULT_STRENGTH)
    }
}

/// Score of the loop that ends with the last note: how many notes repeat the one `figure` notes before, less what
/// differences take, over the stretch where that is most.
fn repeated_notes(answer: &[Note], figure: usize) -> f32 {
    let (mut score, mut best) = (0.0f32, 0.0f32);
    for index in (figure..answer.len()).rev() {
        score += if is_alike(answer, index, figure) { 1.0 } else { -DIFFERENCE };
        best = best.max(score);
        if score <= best - BREAK {
            break;
        }
    }
    best
}

/// Whether a note repeats the one `figure` notes before.
fn is_alike(answer: &[Note], index: usize, figure: usize) -> bool {
    let earlier = index - figure;
    if answer[index].key != answer[earlier].key {
        return false;
    }
    // One key over and over is a loop in any rhythm; the first interval of all is not known.
    if figure == 1 || earlier == 0 {
        return true;
    }
    let (one, other) = (interval(answer, index).as_micros(), interval(answer, earlier).as_micros());
    one.abs_diff(other) < SAME_INTERVAL_US.max(one.max(other) / 10)
}

fn interval(answer: &[Note], index: usize) -> SessionDuration {
    answer[index].onset.since(answer[index - 1].onset)
}

/// Long rests in a row before the last note; the notes of a chord have none between them.
fn rests(answer: &[Note]) -> usize {
    let intervals = (1..answer.len()).rev().map(|index| interval(answer, index));
    intervals.filter(|&interval| interval > SessionDuration::ZERO).take_while(|&interval| interval >= LONG_REST).count()
}

/// Notes of repeats of a figure that are let be.
fn let_be(figure: usize) -> f32 {
    count((REPEATS * figure).max(REPEATED_NOTES))
}

#[expect(clippy::cast_precision_loss, reason = "a few hundred at most")]
fn count(notes: usize) -> f32 {
    notes as f32
}

#[cfg(test)]
mod tests;
