//! Fits the weights of the memory, by gradient descent on the bits of pieces: `examples/tune_memory.rs` runs it.
//!
//! The pieces must be none that the model was trained on, or the model is believed too much, and none that a result is
//! stated for. The gradient of the bits for the logarithm of a weight is `weight - responsibility`; [`Adam`]
//! makes steps of it. All is deterministic.

use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};

use super::Memory;
use super::gate::{Gate, HIDDEN, SIGNS, Signs, Situation};
use crate::fitting::{Adam, shuffle};
use crate::model::Logits;
use crate::note_model::{Attribute, NoteClasses};

/// Passes over the notes.
const PASSES: usize = 6;
/// Notes of one step.
const BATCH: usize = 32;
/// Size of the first step; it falls to nothing along a straight line.
const FIRST_STEP: f32 = 0.02;
/// Share of a weight that it loses for a step of size one, so that none grows without need.
const DECAY: f32 = 1e-3;
/// Least probability that is told from none.
const LEAST: f32 = 1e-9;

/// The opinions about one attribute of a note, and what each thought of the class that came.
#[derive(Clone, Debug)]
pub struct Row {
    situation: Situation,
    signs: Vec<Option<Signs>>,
    /// Probability that each opinion gave to the class that came.
    right: Vec<f32>,
    /// Bits that the class costs beside its probability: those of the time grid.
    grid_bits: f64,
}

/// The rows of a piece, for each attribute, where the session has something to say.
pub fn rows(piece: &[NoteClasses], logits: &Logits) -> [Vec<Row>; 4] {
    let mut memory = Memory::default();
    let mut rows = [const { Vec::new() }; 4];
    for (at, &note) in piece.iter().enumerate() {
        for attribute in Attribute::ALL {
            let classes = attribute.classes();
            let of_note = &logits.tables[attribute.index()][at * classes..][..classes];
            if memory.consult(attribute, note, of_note) {
                rows[attribute.index()].push(row(&memory, attribute, note.of(attribute)));
            }
        }
        memory.remember(note, true);
    }
    rows
}

fn row(memory: &Memory, attribute: Attribute, class: u8) -> Row {
    let heard = memory.heard();
    let share =
        |context: usize| heard.said(context).iter().find(|&&(said, _)| said == class).map_or(0.0, |said| said.1);
    let contexts = (0..heard.signs.len() - 1).map(share);
    Row {
        situation: heard.situation,
        signs: heard.signs.clone(),
        right: std::iter::once(memory.model[usize::from(class)]).chain(contexts).collect(),
        grid_bits: attribute.grid_bits(class),
    }
}

/// Mean bits of the rows under a gate, and under the model alone.
pub fn bits(gate: &Gate, rows: &[&Row]) -> (f64, f64) {
    let mut weights = Vec::new();
    let (mut sum, mut alone) = (0.0, 0.0);
    for row in rows {
        gate.weigh(&gate.hidden(&row.situation), &row.signs, &mut weights);
        sum += row.grid_bits - f64::from(mean(&weights, &row.right)).log2();
        alone += row.grid_bits - f64::from(row.right[0].max(LEAST)).log2();
    }
    #[expect(clippy::cast_precision_loss, reason = "a number of notes")]
    let count = rows.len().max(1) as f64;
    (sum / count, alone / count)
}

/// Weights fitted on the rows of one attribute.
#[expect(clippy::cast_precision_loss, reason = "a batch is small")]
pub fn fit(rows: &[&Row]) -> Gate {
    let mut random = ChaCha8Rng::seed_from_u64(1);
    let opinions = rows.first().map_or(1, |row| row.signs.len());
    let mut gate = beginning(opinions, &mut random);
    let steps = PASSES * rows.len().div_ceil(BATCH);
    let mut adam = Adam::new(gate.parameters().count(), steps);
    let mut gradient = gate.clone();
    let mut scratch = Scratch::default();
    let mut order: Vec<usize> = (0..rows.len()).collect();
    for _ in 0..PASSES {
        shuffle(&mut order, &mut random);
        for batch in order.chunks(BATCH) {
            gradient.parameters().for_each(|slope| *slope = 0.0);
            for &index in batch {
                add_slopes(&gate, rows[index], &mut scratch, &mut gradient);
            }
            let slopes = gradient.parameters().map(|slope| *slope / BATCH as f32);
            adam.step(gate.parameters(), slopes, FIRST_STEP, DECAY);
        }
    }
    gate.parameters().for_each(|weight| *weight = (*weight * 1e3).round() / 1e3);
    gate
}

/// Trusts contexts that came often and with few different classes; hidden units small and all different.
fn beginning(opinions: usize, random: &mut ChaCha8Rng) -> Gate {
    #[expect(clippy::cast_precision_loss, reason = "24 bits are exact in an f32")]
    let mut draw = || ((random.next_u32() >> 8) as f32 / (1 << 24) as f32 - 0.5) * 0.8;
    let hidden = (0..HIDDEN).map(|_| std::array::from_fn(|_| draw())).collect();
    let mut of_contexts = vec![([-1.0, 0.5, -1.0, 0.0, 0.0, 0.0], [0.0; HIDDEN]); opinions];
    of_contexts[0].0 = [0.0; SIGNS];
    Gate { hidden, opinions: of_contexts }
}

#[derive(Default)]
struct Scratch {
    weights: Vec<f32>,
}

/// Adds the slopes of the negative logarithm of the row's probability. Returns the probability.
fn add_slopes(gate: &Gate, row: &Row, scratch: &mut Scratch, slopes: &mut Gate) -> f32 {
    let hidden = gate.hidden(&row.situation);
    gate.weigh(&hidden, &row.signs, &mut scratch.weights);
    let mixed = mean(&scratch.weights, &row.right);
    let mut behind = [0.0; HIDDEN];
    for (index, signs) in row.signs.iter().enumerate() {
        let Some(signs) = signs else { continue };
        let weight = scratch.weights[index];
        let slope = weight - weight * row.right[index] / mixed;
        let (of_signs, of_hidden) = &mut slopes.opinions[index];
        of_signs.iter_mut().zip(signs).for_each(|(sum, sign)| *sum += slope * sign);
        of_hidden.iter_mut().zip(hidden).for_each(|(sum, unit)| *sum += slope * unit);
        behind.iter_mut().zip(gate.opinions[index].1).for_each(|(sum, weight)| *sum += slope * weight);
    }
    for ((of_unit, unit), behind) in slopes.hidden.iter_mut().zip(hidden).zip(behind) {
        let slope = behind * (1.0 - unit * unit);
        of_unit.iter_mut().zip(row.situation).for_each(|(sum, feature)| *sum += slope * feature);
    }
    mixed
}

fn mean(weights: &[f32], right: &[f32]) -> f32 {
    weights.iter().zip(right).map(|(weight, right)| weight * right).sum::<f32>().max(LEAST)
}

impl Gate {
    /// All weights, always in the same order.
    fn parameters(&mut self) -> impl Iterator<Item = &mut f32> {
        let hidden = self.hidden.iter_mut().flatten();
        hidden.chain(self.opinions.iter_mut().flat_map(|(signs, hidden)| signs.iter_mut().chain(hidden)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::gate::{FEATURES, MODEL_SIGNS};

    /// Rows of a session in which the second opinion is right when it is sure.
    fn some_rows() -> Vec<Row> {
        let mut random = ChaCha8Rng::seed_from_u64(3);
        let mut draw = || f32::from(u8::try_from(random.next_u32() >> 24).expect("a byte")) / 256.0;
        let row = |_| {
            let (seen, sure) = (draw() < 0.8, draw());
            let mut situation = [0.0; FEATURES];
            situation.iter_mut().for_each(|feature| *feature = draw() * 2.0 - 1.0);
            let signs = [1.0, 2.0 * sure, 1.0 - sure, -1.0, 0.3, -0.5];
            let opinions = vec![Some(MODEL_SIGNS), seen.then_some(signs), Some([1.0; SIGNS])];
            let right = vec![0.1, if seen { 0.9 * sure + 0.01 } else { 0.0 }, 0.05 * draw()];
            Row { situation, signs: opinions, right, grid_bits: 0.0 }
        };
        (0..400).map(row).collect()
    }

    #[test]
    fn slopes_are_those_of_small_differences() {
        let rows = some_rows();
        let mut gate = beginning(3, &mut ChaCha8Rng::seed_from_u64(5));
        gate.opinions[1].1 = [0.3, -0.2, 0.4, 0.1, -0.5, 0.2];
        let mut slopes = gate.clone();
        slopes.parameters().for_each(|slope| *slope = 0.0);
        let mut scratch = Scratch::default();
        for row in &rows[..20] {
            add_slopes(&gate, row, &mut scratch, &mut slopes);
        }
        let slopes: Vec<f32> = slopes.parameters().map(|slope| *slope).collect();
        let rows: Vec<&Row> = rows[..20].iter().collect();
        let nats = |gate: &Gate| bits(gate, &rows).0 * 20.0 * std::f64::consts::LN_2;
        for (number, slope) in slopes.into_iter().enumerate() {
            let moved = |by: f32| {
                let mut gate = gate.clone();
                *gate.parameters().nth(number).expect("a weight") += by;
                nats(&gate)
            };
            let difference = (moved(0.02) - moved(-0.02)) / 0.04;
            assert!((difference - f64::from(slope)).abs() < 0.01, "{number}: {slope} and not {difference}");
        }
    }

    #[test]
    fn fitting_finds_who_is_to_be_believed() {
        let rows = some_rows();
        let rows: Vec<&Row> = rows.iter().collect();
        let gate = fit(&rows);
        let ((fitted, alone), best) =
            (bits(&gate, &rows), bits(&beginning(3, &mut ChaCha8Rng::seed_from_u64(1)), &rows));
        assert!(fitted < best.0 - 0.05 && fitted < alone, "{fitted}, before {}, the model alone {alone}", best.0);
        assert_eq!(gate, fit(&rows), "deterministic");
    }
}
