//! Fits the weights of what falls together, on the logits that model and memory give to the notes of pieces:
//! `examples/tune_coincidence.rs` runs it.
//!
//! The pieces must be none that the model was trained on, and none that a result is stated for, as for the memory. The
//! slope of the bits for the logit of a class is `probability - (1 if it came)`, and a weight's is the sum of the slopes of
//! the logits that it is part of. All is deterministic.

use rand_chacha::ChaCha8Rng;
use rand_core::SeedableRng;

use super::Coincidence;
use super::signs::{Sign, Table};
use crate::evaluation::{earlier, onset_for};
use crate::fitting::{Adam, shuffle};
use crate::model::Logits;
use crate::note::Note;
use crate::note_model::{Attribute, NoteClasses};

/// Passes over the rows.
const PASSES: usize = 4;
/// Rows of one step.
const BATCH: usize = 256;
/// Size of the first step; it falls to nothing along a straight line.
const FIRST_STEP: f32 = 0.05;
/// Share of a weight that it loses for a step of size one.
const DECAY: f32 = 1e-2;

/// What a note's attribute meets, and what came.
#[derive(Clone, Debug)]
pub struct Row {
    logits: Vec<f32>,
    signs: Vec<(u8, Sign)>,
    chord: bool,
    class: u8,
}

/// Weights of one attribute that were fitted; they can be written as JSON.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
#[serde(transparent)]
pub struct Fitted(Table);

/// The attributes that are leaned, in the order of the weights in the file.
pub const LEANED: [Attribute; 3] = [Attribute::Shift, Attribute::Key, Attribute::Duration];

/// The rows of a piece for each of [`LEANED`]; `logits` are those of model and memory.
pub fn rows(piece: &[Note], classes: &[NoteClasses], logits: &Logits) -> [Vec<Row>; 3] {
    LEANED.map(|attribute| rows_of(attribute, piece, classes, &logits.tables[attribute.index()]))
}

/// The rows of a piece for one attribute; `logits` are (notes, classes), whoever they are from.
pub fn rows_of(attribute: Attribute, piece: &[Note], classes: &[NoteClasses], logits: &[f32]) -> Vec<Row> {
    let mut coincidence = Coincidence::default();
    let row = |(index, (classes, logits)): (usize, (&NoteClasses, &[f32]))| {
        let onset = onset_for(attribute, piece, index);
        let chord = coincidence.look(attribute, earlier(piece, index), onset, logits)?;
        let signs = coincidence.signs.clone();
        Some(Row { logits: logits.to_vec(), signs, chord, class: classes.of(attribute) })
    };
    classes.iter().zip(logits.chunks_exact(attribute.classes())).enumerate().filter_map(row).collect()
}

/// Mean bits of the rows, leaned and as they are; without those of the time grid.
pub fn bits(fitted: &Fitted, rows: &[&Row]) -> (f64, f64) {
    let (mut leaned, mut plain) = (0.0, 0.0);
    let mut probabilities = Vec::new();
    for row in rows {
        plain -= f64::from(softmax(row, None, &mut probabilities)).log2();
        leaned -= f64::from(softmax(row, Some(&fitted.0), &mut probabilities)).log2();
    }
    #[expect(clippy::cast_precision_loss, reason = "a number of notes")]
    let count = rows.len().max(1) as f64;
    (leaned / count, plain / count)
}

/// Weights fitted on the rows of one attribute.
#[expect(clippy::cast_precision_loss, reason = "a batch is small")]
pub fn fit(attribute: Attribute, rows: &[&Row]) -> Fitted {
    let mut random = ChaCha8Rng::seed_from_u64(1);
    let (mut table, mut slopes) = (Table::new(attribute), Table::new(attribute));
    let mut adam = Adam::new(table.parameters().count(), PASSES * rows.len().div_ceil(BATCH));
    let mut order: Vec<usize> = (0..rows.len()).collect();
    let mut probabilities = Vec::new();
    for _ in 0..PASSES {
        shuffle(&mut order, &mut random);
        for batch in order.chunks(BATCH) {
            slopes.parameters().for_each(|slope| *slope = 0.0);
            for &index in batch {
                let row = rows[index];
                softmax(row, Some(&table), &mut probabilities);
                probabilities[usize::from(row.class)] -= 1.0;
                row.signs.iter().for_each(|sign| slopes.add_slopes(row.chord, sign, &probabilities));
            }
            let mean = slopes.parameters().map(|slope| *slope / batch.len() as f32);
            adam.step(table.parameters(), mean, FIRST_STEP, DECAY);
        }
    }
    table.parameters().for_each(|weight| *weight = (*weight * 1e3).round() / 1e3);
    Fitted(table)
}

/// Fills in the probabilities of the classes; gives back that of the class that came.
fn softmax(row: &Row, table: Option<&Table>, out: &mut Vec<f32>) -> f32 {
    out.clear();
    out.extend_from_slice(&row.logits);
    if let Some(table) = table {
        table.lean(row.chord, &row.signs, out);
    }
    let largest = out.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    out.iter_mut().for_each(|logit| *logit = (*logit - largest).exp());
    let sum: f32 = out.iter().sum();
    out.iter_mut().for_each(|probability| *probability /= sum);
    out[usize::from(row.class)].max(f32::MIN_POSITIVE)
}
