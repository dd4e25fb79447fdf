//! What is done to a piece when it is trained on, so that a small folder teaches more than its own keys and tempos.
//!
//! Half of the times nothing: what people play live is not varied either, and the rigid timing and even velocities of
//! scores must not be strange to the model. Else all of this:
//!
//! - **Transposition** by -5 to +6 semitones, as far as all keys stay in 0 to 127.
//! - **Tempo** times 0.8 to 1.25.
//! - **Velocity** spread by 0.85 to 1.15 around the mean and moved by up to 10. A piece with fewer than three velocities
//!   says nothing about dynamics: it is given smooth random ones, and its velocities do not count for the loss.
//! - **Timing** of a piece on a score grid: in two of three variants each onset is moved by a normal deviate of 6 ms (which
//!   also spreads chords) and the durations are shortened by a factor of 0.8 to 1 for the piece. A performed piece keeps
//!   its timing.
//!
//! Classes are computed afterwards, from the microseconds. Held-out pieces are left as they are.

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "velocities and microseconds of a piece, rounded to whole numbers and clamped"
)]

use std::collections::{HashMap, HashSet};

use antiphon::note::Note;
use antiphon::note_model::NoteClasses;
use antiphon::time::{SessionDuration, SessionTime};

use crate::random::Draws;

/// Deviation of an onset from the score's, in microseconds.
const ONSET_DEVIATION_US: f32 = 6_000.0;
/// How often a piece is left as it is.
const AS_IT_IS: f32 = 0.5;

/// What a piece can teach besides its notes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Character {
    /// It has three or more velocities.
    pub has_dynamics: bool,
    /// Its onsets lie on a score grid.
    pub is_rigid: bool,
}

impl Character {
    /// Looks at a piece. Rigid: the sixteen commonest times between onsets, to a millisecond, make up 70 % of all.
    pub fn of(notes: &[Note]) -> Self {
        let velocities: HashSet<u8> = notes.iter().map(|note| note.velocity).collect();
        let mut counts: HashMap<u64, usize> = HashMap::new();
        for pair in notes.windows(2) {
            let milliseconds = (pair[1].onset.since(pair[0].onset).as_micros() + 500) / 1000;
            if milliseconds > 0 {
                *counts.entry(milliseconds).or_default() += 1;
            }
        }
        let mut counts: Vec<usize> = counts.into_values().collect();
        counts.sort_unstable_by(|a, b| b.cmp(a));
        let all: usize = counts.iter().sum();
        let common: usize = counts.iter().take(16).sum();
        // With fewer than 32 times, sixteen values say nothing about a grid.
        Self { has_dynamics: velocities.len() >= 3, is_rigid: all >= 32 && common * 10 >= all * 7 }
    }
}

/// The piece as it is, or one variant of it; ordered by onset and key.
pub fn vary(notes: &[Note], character: Character, draws: &mut Draws) -> Vec<Note> {
    if draws.chance(AS_IT_IS) {
        return notes.to_vec();
    }
    let lowest = i32::from(notes.iter().map(|note| note.key).min().unwrap_or(60));
    let highest = i32::from(notes.iter().map(|note| note.key).max().unwrap_or(60));
    let down = lowest.min(5);
    let up = (127 - highest).min(6);
    let transposition = draws.below((up + down + 1) as usize) as i32 - down;
    let tempo = f64::from((draws.between(0.8f32.ln(), 1.25f32.ln())).exp());
    let mean = notes.iter().map(|note| f32::from(note.velocity)).sum::<f32>() / notes.len().max(1) as f32;
    let (spread, offset) = (draws.between(0.85, 1.15), draws.between(-10.0, 10.0));
    let humanise = character.is_rigid && draws.chance(2.0 / 3.0);
    let articulation = if humanise { f64::from(draws.between(0.8, 1.0)) } else { 1.0 };
    let mut dynamics = Dynamics::new(draws);
    let scale = |us: u64, factor: f64| (us as f64 * factor) as u64;
    let mut varied: Vec<Note> = notes
        .iter()
        .map(|note| {
            let onset = scale(note.onset.as_micros(), 1.0 / tempo);
            let moved = if humanise { (draws.normal() * ONSET_DEVIATION_US) as i64 } else { 0 };
            let velocity = if character.has_dynamics {
                mean + (f32::from(note.velocity) - mean) * spread + offset
            } else {
                dynamics.next(draws)
            };
            Note {
                // A second of lead, so that the first note can be moved to either side.
                onset: SessionTime::from_micros((onset + 1_000_000).saturating_add_signed(moved)),
                key: (i32::from(note.key) + transposition) as u8,
                duration: SessionDuration::from_micros(scale(note.duration.as_micros(), articulation / tempo)),
                velocity: velocity.clamp(1.0, 127.0) as u8,
            }
        })
        .collect();
    varied.sort_unstable();
    varied
}

/// Smooth random velocities: a mean that wanders, as phrases swell and fall.
struct Dynamics {
    centre: f32,
    level: f32,
}

impl Dynamics {
    fn new(draws: &mut Draws) -> Self {
        let centre = draws.between(45.0, 95.0);
        Self { centre, level: centre }
    }

    fn next(&mut self, draws: &mut Draws) -> f32 {
        self.level += 0.05 * (self.centre - self.level) + 2.5 * draws.normal();
        self.level + 5.0 * draws.normal()
    }
}

/// The classes of a piece's notes.
pub fn encode(notes: &[Note]) -> Vec<NoteClasses> {
    let mut previous = None;
    notes
        .iter()
        .map(|note| {
            let classes = NoteClasses::encode(note, previous);
            previous = Some(note.onset);
            classes
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scale(step_us: impl Fn(u64) -> u64) -> Vec<Note> {
        (0..100)
            .map(|i| Note {
                onset: SessionTime::from_micros(i * 250_000 + step_us(i)),
                key: 60 + (i % 12) as u8,
                duration: SessionDuration::from_millis(200),
                velocity: 90,
            })
            .collect()
    }

    #[test]
    fn a_score_is_told_from_a_performance() {
        assert_eq!(Character::of(&scale(|_| 0)), Character { has_dynamics: false, is_rigid: true });
        let performed = scale(|i| i * i * 7919 % 60_000);
        assert!(!Character::of(&performed).is_rigid);
    }

    #[test]
    fn variants_stay_in_range_and_in_order() {
        let mut notes = scale(|_| 0);
        notes[3].key = 126;
        notes[4].key = 2;
        notes.sort_unstable();
        let mut as_it_is = 0;
        for stream in 0..100 {
            let varied = vary(&notes, Character::of(&notes), &mut Draws::new(9, stream));
            as_it_is += usize::from(varied == notes);
            assert_eq!(varied.len(), notes.len());
            assert!(varied.is_sorted());
            assert!(varied.iter().all(|note| note.key < 128 && (1..128).contains(&note.velocity)));
        }
        assert!((35..65).contains(&as_it_is), "{as_it_is} of 100 draws left the piece as it is");
    }
}
