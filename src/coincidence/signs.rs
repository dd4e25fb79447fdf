//! The signs of an end, and the weights that they have.
//!
//! A sign is a list of places in a table of weights, one place for each question that is asked of an end; each question
//! has a column of its own. The buckets were laid out by hand, fine where much happens.

use serde::{Deserialize, Serialize};

use super::{Earlier, End, HELD_US, LONG_AGO_US, microseconds};
use crate::note_model::Attribute;
use crate::time::SessionTime;

/// Questions asked, at most.
const QUESTIONS: usize = 8;
/// What speaks for a class: places in the table.
pub type Sign = [u8; QUESTIONS];
/// The place of a question that is not asked: its weight is always zero.
const NONE: u8 = u8::MAX;

/// Places of the columns of an end: notes, order, whether the latest note ends there, age, whether it is the last end,
/// ends in all, class of the time, doubt.
const OF_END: [u8; 8] = [0, 4, 10, 12, 22, 24, 31, 43];
const PLACES_OF_END: usize = 55;
/// Places of the columns of a key: time since its end; for each [`kind`]: age, doubt, keys that end now, keys that sound.
const OF_KEY: [u8; 5] = [0, 41, 77, 113, 134];
const PLACES_OF_KEY: usize = 161;

/// Buckets of doubt: whole bits that the class costs the model.
const DOUBTS: u8 = 12;

/// The signs of an end for the shift or the duration that meets it; `doubt` in nats.
pub(super) fn of_end(end: &End, order: usize, ends: usize, class: u8, doubt: f32) -> Sign {
    let answers = [
        small(end.notes, 4) - 1,
        small(order, 5),
        u8::from(end.age == 0),
        small(end.age, 9),
        u8::from(order + 1 == ends),
        small(ends, 6),
        (class / 12).min(11),
        bits(doubt),
    ];
    std::array::from_fn(|question| OF_END[question] + answers[question])
}

/// The signs of the keys that sound or sounded of late, at a moment; `doubt` of a key in nats.
pub(super) fn of_keys(
    earlier: impl Iterator<Item = Earlier> + Clone,
    onset: SessionTime,
    doubt: impl Fn(u8) -> f32,
    out: &mut Vec<(u8, Sign)>,
) {
    let keys = || {
        let mut met = 0u128;
        let first = move |&(_, Earlier { note, .. }): &(usize, Earlier)| {
            let bit = 1u128 << note.key.min(127);
            let first = met & bit == 0;
            met |= bit;
            first
        };
        let end = move |Earlier { note, held }: Earlier| {
            if held { HELD_US } else { microseconds(note.end(), onset) }
        };
        let with_end = move |(age, earlier): (usize, Earlier)| (earlier.note.key.min(127), age, end(earlier));
        earlier.clone().enumerate().filter(first).map(with_end).filter(|&(_, _, end_us)| end_us > LONG_AGO_US)
    };
    let count = |wanted| keys().filter(|&(_, _, end_us)| kind(end_us) == wanted).count();
    let (ending, sounding) = (small(count(1), 6), small(count(2), 8));
    for (key, age, end_us) in keys() {
        let kind = kind(end_us);
        let answers = [
            time(end_us),
            kind * 12 + age_of_key(age),
            kind * DOUBTS + bits(doubt(key)),
            kind * 7 + ending,
            kind * 9 + sounding,
        ];
        let place = |question: usize| answers.get(question).map_or(NONE, |answer| OF_KEY[question] + answer);
        out.push((key, std::array::from_fn(place)));
    }
}

/// 0: has ended, 1: ends now, within a cell and a half of the time grid, 2: sounds on.
fn kind(end_us: i64) -> u8 {
    match end_us {
        ..-15_000 => 0,
        -15_000..=15_000 => 1,
        _ => 2,
    }
}

/// Bucket of the time from now to an end: 21 single cells of 10 ms around now, then 10 before and 10 behind, two to
/// each doubling.
fn time(end_us: i64) -> u8 {
    let cells = (end_us + if end_us < 0 { -5_000 } else { 5_000 }) / 10_000;
    if end_us.abs() <= 100_000 {
        return u8::try_from(10 + cells).unwrap_or(10);
    }
    // An i32 holds half an hour; beyond that all is one.
    let far = f64::from(i32::try_from(end_us.unsigned_abs()).unwrap_or(i32::MAX)) / 100_000.0;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "in 0..=9")]
    let far = (far.log2() * 2.0).clamp(0.0, 9.0) as u8;
    if end_us < 0 { 21 + far } else { 31 + far }
}

/// Bucket of how many notes have begun since: single up to 7, then one for each doubling.
fn age_of_key(age: usize) -> u8 {
    match age {
        0..=7 => small(age, 7),
        _ => 8 + u8::try_from((age + 1).ilog2() - 3).unwrap_or(3).min(3),
    }
}

fn small(number: usize, most: u8) -> u8 {
    u8::try_from(number).unwrap_or(most).min(most)
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "in 0..DOUBTS")]
fn bits(nats: f32) -> u8 {
    (nats / std::f32::consts::LN_2).clamp(0.0, f32::from(DOUBTS - 1)) as u8
}

/// The weights of one attribute, in nats.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Table {
    /// For a note that stands alone, then for one of a chord; in each, places for each neighbour: the class itself, or
    /// for times the one below, itself, the one above.
    pub weights: [Vec<Vec<f32>>; 2],
}

impl Table {
    /// All zero.
    pub fn new(attribute: Attribute) -> Self {
        let (neighbours, places) = if attribute == Attribute::Key { (1, PLACES_OF_KEY) } else { (3, PLACES_OF_END) };
        Self { weights: std::array::from_fn(|_| vec![vec![0.0; places]; neighbours]) }
    }

    /// Adds to the logits of the classes that have signs, and of those beside them, what the signs weigh.
    pub fn lean(&self, chord: bool, signs: &[(u8, Sign)], logits: &mut [f32]) {
        let neighbours = &self.weights[usize::from(chord)];
        for (class, sign) in signs {
            for (neighbour, places) in neighbours.iter().enumerate() {
                if let Some(logit) = class_beside(*class, neighbour, neighbours.len(), logits.len()) {
                    logits[logit] += sign.iter().filter_map(|&place| places.get(usize::from(place))).sum::<f32>();
                }
            }
        }
    }

    /// Adds the slopes of the logits that a sign leans to those of its weights, which this table holds.
    pub fn add_slopes(&mut self, chord: bool, (class, sign): &(u8, Sign), slopes: &[f32]) {
        let neighbours = &mut self.weights[usize::from(chord)];
        let all = neighbours.len();
        for (neighbour, places) in neighbours.iter_mut().enumerate() {
            let Some(logit) = class_beside(*class, neighbour, all, slopes.len()) else { continue };
            for &place in sign {
                if let Some(sum) = places.get_mut(usize::from(place)) {
                    *sum += slopes[logit];
                }
            }
        }
    }

    /// All weights, always in the same order.
    pub fn parameters(&mut self) -> impl Iterator<Item = &mut f32> {
        self.weights.iter_mut().flatten().flatten()
    }
}

/// The class that the neighbour of a number stands for, the middle one being `class` itself.
fn class_beside(class: u8, neighbour: usize, neighbours: usize, classes: usize) -> Option<usize> {
    (usize::from(class) + neighbour).checked_sub(neighbours / 2).filter(|&class| class < classes)
}
