//! The manner of a passage in four figures, to be set beside those of the pieces that people made.

use std::ops::AddAssign;

use super::copying::figures;
use super::encode;
use crate::note::Note;

/// Notes of a figure that may come again.
const FIGURE_NOTES: usize = 4;
/// Notes back in which it is looked for.
const REPETITION_SPAN: usize = 64;
/// The steps of a major scale, and of its relative natural minor: bit `n` for `n` semitones above the tonic.
const SCALE: u16 = 0b1010_1011_0101;

/// The manner of one passage, or the mean of several.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Manner {
    /// Share of the notes that lie in the major or natural minor scale which holds most of them, in `0.0..=1.0`.
    pub in_scale: f64,
    /// Notes per second from the first onset to the last.
    pub density: f64,
    /// Share of the four-note figures (three intervals with their coarse steps) that came in the 64 notes before, too.
    pub repetition: f64,
}

impl AddAssign for Manner {
    fn add_assign(&mut self, other: Self) {
        self.in_scale += other.in_scale;
        self.density += other.density;
        self.repetition += other.repetition;
    }
}

impl Manner {
    /// A share of it: the mean from a sum.
    #[must_use]
    pub fn over(self, count: f64) -> Self {
        Self { in_scale: self.in_scale / count, density: self.density / count, repetition: self.repetition / count }
    }
}

/// The manner of the notes from `from` on; the notes before are only what a figure may repeat.
#[expect(clippy::cast_precision_loss, reason = "numbers of notes are below 2^53")]
pub fn manner(notes: &[Note], from: usize) -> Manner {
    let passage = &notes[from.min(notes.len())..];
    let Some((first, last)) = passage.first().zip(passage.last()) else { return Manner::default() };
    let seconds = last.onset.since(first.onset).as_seconds();
    let inside = |tonic: u8| passage.iter().filter(|note| SCALE >> ((note.key + 12 - tonic) % 12) & 1 == 1).count();
    let best = (0..12).map(inside).max().unwrap_or(0);

    let all = figures(&encode(notes));
    let length = FIGURE_NOTES - 1;
    let ends = (from.max(1)..).take_while(|at| at + length <= all.len());
    let (mut count, mut repeated) = (0usize, 0usize);
    for at in ends {
        let figure = &all[at..at + length];
        let earliest = at.saturating_sub(REPETITION_SPAN);
        count += 1;
        repeated += usize::from((earliest..at).any(|other| &all[other..other + length] == figure));
    }
    Manner {
        in_scale: best as f64 / passage.len() as f64,
        density: if seconds > 0.0 { (passage.len() - 1) as f64 / seconds } else { 0.0 },
        repetition: repeated as f64 / count.max(1) as f64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::{SessionDuration, SessionTime};

    fn tune(keys: &[u8]) -> Vec<Note> {
        let at = |index: usize| SessionTime::from_micros(250_000 * u64::try_from(index).expect("few"));
        let note = |(index, &key): (usize, &u8)| Note {
            onset: at(index),
            key,
            duration: SessionDuration::from_millis(200),
            velocity: 64,
        };
        keys.iter().enumerate().map(note).collect()
    }

    #[test]
    fn a_scale_lies_in_its_scale_and_the_chromatic_one_does_not() {
        let d_major = manner(&tune(&[62, 64, 66, 67, 69, 71, 73, 74]), 0);
        assert!((d_major.in_scale - 1.0).abs() < 1e-12);
        assert!((d_major.density - 4.0).abs() < 1e-12, "four notes a second");
        let all: Vec<u8> = (60..72).collect();
        assert!((manner(&tune(&all), 0).in_scale - 7.0 / 12.0).abs() < 1e-12);
    }

    #[test]
    fn a_figure_that_comes_again_is_a_repetition() {
        let figure = [60, 64, 67, 72, 59, 61, 48, 90];
        assert!(manner(&tune(&figure), 0).repetition.abs() < 1e-12);
        let twice = [figure, figure].concat();
        let again = manner(&tune(&twice), 8).repetition;
        assert!((again - 1.0).abs() < 1e-12, "all of the second half: {again}");
        assert_eq!(manner(&[], 0), Manner::default());
    }
}
