//! What the player taught us tonight: a memory of this session's notes that has a say in the next one.
//!
//! The memory looks for the places of the session where the same went before as now: the same keys, the same intervals
//! in another key, the same rhythm, the same chord below; the contexts are those of the Markov model
//! ([`History::contexts`]). What came there is one opinion for each context, beside that of the LSTM, and a weighted
//! mean is made of all ([`Gate`]): a figure played twice is expected a third time, a piece on a grid is kept on its
//! grid, and where nothing repeats the model has its way. No training piece is counted here.
//!
//! The memory is a pure function of the list of notes: nothing is counted on the way. A note that turns out otherwise is
//! mended by [`Memory::forget_from`] and remembering again. The latest 2048 notes are searched, all contexts in one sweep
//! over columns of hashes, as continuous caches (Grave et al. 2016) and unbounded n-grams (Liu et al. 2024) do for words.
//! With so many notes, blending all four attributes takes some 100 us and remembering a note 60 us, measured on a busy
//! 2.8 GHz Xeon; neither takes new memory once the session is long.

pub mod gate;
mod places;
pub mod tuning;

use std::sync::LazyLock;

use gate::{Gate, MODEL_SIGNS, Signs, Situation};
use places::{Places, SLACK};

use crate::markov::{Context, History};
use crate::note_model::{Attribute, NoteClasses};

/// The weights that [`tuning`] has found.
const WEIGHTS: &str = include_str!("weights.json");

/// Weight that the model keeps at least, so that nothing it can think of becomes impossible.
const LEAST_MODEL_WEIGHT: f32 = 1e-4;

/// The notes of a session, and what they say about the next.
#[derive(Clone)]
pub struct Memory {
    /// How much say it has, in `0.0..=1.0`: with 0 the model is left alone, with 1 it is as it was evaluated.
    /// May be changed at any time.
    pub strength: f32,
    gates: [Gate; 4],
    places: [Places; 4],
    notes: Vec<NoteClasses>,
    /// Notes that were remembered and are too old to be kept.
    gone: usize,
    heard: Heard,
    contexts: Vec<Context>,
    weights: Vec<f32>,
    /// The model's probabilities.
    model: Vec<f32>,
}

/// The opinions about one attribute of the next note.
#[derive(Clone, Debug, Default)]
pub struct Heard {
    /// What all of them share.
    pub situation: Situation,
    /// What speaks for each; the model's opinion first, then one for each context, `None` where it never came.
    pub signs: Vec<Option<Signs>>,
    /// End of each context's part in `said`.
    ends: Vec<usize>,
    /// Classes with their shares, context after context.
    said: Vec<(u8, f32)>,
    /// How often each symbol came; all zero between two contexts.
    counts: Vec<u16>,
}

impl Heard {
    /// Classes that came in the context of this number, each with its share of all.
    pub fn said(&self, context: usize) -> &[(u8, f32)] {
        let from = context.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.said[from..self.ends[context]]
    }
}

impl Default for Memory {
    fn default() -> Self {
        Self::new(1.0)
    }
}

impl Memory {
    /// Nothing heard yet; `strength` in `0.0..=1.0`.
    pub fn new(strength: f32) -> Self {
        // Read once: with players apart there are many memories.
        static GATES: LazyLock<[Gate; 4]> =
            LazyLock::new(|| serde_json::from_str(WEIGHTS).expect("the weights are part of the program"));
        Self {
            strength,
            gates: GATES.clone(),
            places: Attribute::ALL.map(Places::new),
            notes: Vec::new(),
            gone: 0,
            heard: Heard::default(),
            contexts: Vec::with_capacity(32),
            weights: Vec::with_capacity(32),
            model: Vec::with_capacity(256),
        }
    }

    /// Notes remembered since the session began, the forgotten ones not counted.
    pub fn len(&self) -> usize {
        self.gone + self.notes.len()
    }

    /// Whether nothing was remembered.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Takes in the note that came next. One that does not teach is only what the following notes come after: it is
    /// never repeated for its own sake.
    pub fn remember(&mut self, note: NoteClasses, teaches: bool) {
        let history = History::of(&self.notes);
        for (places, attribute) in self.places.iter_mut().zip(Attribute::ALL) {
            history.contexts(attribute, note, &mut self.contexts);
            places.push(&self.contexts, note.of(attribute), teaches);
        }
        self.notes.push(note);
        if self.notes.len() > self.places[0].len() {
            self.notes.drain(..SLACK);
            self.gone += SLACK;
        }
    }

    /// Forgets all notes but the first `count`. The memory is then as if those had been all, as long as no more than
    /// 512 notes are forgotten; of a long session that is cut further back, some of the oldest notes are missing. A `count`
    /// beyond the last note says that the notes up to there were never heard.
    pub fn forget_from(&mut self, count: usize) {
        self.gone += count.saturating_sub(self.len());
        let kept = count.saturating_sub(self.gone);
        self.notes.truncate(kept);
        self.places.iter_mut().for_each(|places| places.truncate(kept));
        if kept == 0 {
            self.gone = self.gone.min(count);
        }
    }

    /// Blends what the session says into the model's logits of one attribute of the next note, which become logarithms
    /// of probabilities; `chosen` is read up to the attribute. With nothing to say the logits stay as they are.
    pub fn blend(&mut self, attribute: Attribute, chosen: NoteClasses, logits: &mut [f32]) {
        let strength = self.strength.clamp(0.0, 1.0);
        if strength == 0.0 || !self.consult(attribute, chosen, logits) {
            return;
        }
        let gate = &self.gates[attribute.index()];
        gate.weigh(&gate.hidden(&self.heard.situation), &self.heard.signs, &mut self.weights);
        self.weights[1..].iter_mut().for_each(|weight| *weight *= strength);
        self.weights[0] = self.weights[0].max(LEAST_MODEL_WEIGHT);
        let sum: f32 = self.weights.iter().sum();
        for (logit, probability) in logits.iter_mut().zip(&self.model) {
            *logit = self.weights[0] / sum * probability;
        }
        for (context, weight) in self.weights[1..].iter().enumerate().filter(|&(_, &weight)| weight > 0.0) {
            for &(class, share) in self.heard.said(context) {
                logits[usize::from(class)] += weight / sum * share;
            }
        }
        logits.iter_mut().for_each(|logit| *logit = logit.ln());
    }

    /// Hears all opinions about one attribute of the next note: see [`Memory::heard`]. False when only the model has
    /// one, or when its logits are not numbers.
    pub fn consult(&mut self, attribute: Attribute, chosen: NoteClasses, logits: &[f32]) -> bool {
        if self.notes.is_empty() || !softmax(logits, &mut self.model) {
            return false;
        }
        History::of(&self.notes).contexts(attribute, chosen, &mut self.contexts);
        let places = &self.places[attribute.index()];
        let worth = places.worth();
        let Heard { situation, signs, ends, said, counts } = &mut self.heard;
        signs.clear();
        signs.push(Some(MODEL_SIGNS));
        ends.clear();
        said.clear();
        counts.resize(256, 0);
        let mut latest = f32::MAX;
        for (number, &context) in self.contexts.iter().enumerate() {
            let from = said.len();
            let (mut all, mut age) = (0u16, 0);
            places.find(number, context, |symbol, ago| {
                let count = &mut counts[usize::from(symbol)];
                if *count == 0 {
                    said.push((symbol, 0.0));
                }
                *count += 1;
                all += 1;
                age = ago;
            });
            let (all, mut agreement) = (f32::from(all), 0.0);
            for (class, share) in &mut said[from..] {
                *share = f32::from(std::mem::take(&mut counts[usize::from(*class)])) / all;
                *class = context.class(attribute, *class);
                agreement += *share * self.model[usize::from(*class)];
            }
            let kinds = small(said.len() - from);
            ends.push(said.len());
            signs.push((all > 0.0).then(|| {
                let age = log_of_one_and(age) * 0.2;
                latest = latest.min(age);
                [1.0, all.ln(), kinds.ln(), (agreement + 1e-3).ln(), age, worth[number].ln()]
            }));
        }
        if latest == f32::MAX {
            return false;
        }
        *situation = features(&self.model, signs, worth, latest, self.gone + self.notes.len());
        true
    }

    /// The opinions that were heard last.
    pub fn heard(&self) -> &Heard {
        &self.heard
    }
}

/// Features of the situation, scaled to the size of one.
fn features(model: &[f32], signs: &[Option<Signs>], worth: &[f32], latest: f32, notes: usize) -> Situation {
    let surest = model.iter().copied().fold(f32::MIN_POSITIVE, f32::max);
    let entropy: f32 = model.iter().filter(|&&p| p > 0.0).map(|p| -p * p.ln()).sum();
    let half = worth.len() / 2;
    let (earlier, later) = signs[1..].split_at(half);
    let seen = |signs: &[Option<Signs>]| small(signs.iter().flatten().count()) / small(signs.len()) * 2.0 - 1.0;
    let mean_worth = |worth: &[f32]| worth.iter().map(|worth| worth.ln()).sum::<f32>() / small(worth.len());
    [
        1.0,
        entropy * 0.5,
        surest.ln(),
        seen(earlier),
        seen(later),
        log_of_one_and(notes) * 0.3 - 1.0,
        mean_worth(&worth[..half]),
        mean_worth(&worth[half..]),
        latest.min(2.0),
    ]
}

/// Probabilities from logits; those that are not finite count as impossible. False when none is finite.
fn softmax(logits: &[f32], out: &mut Vec<f32>) -> bool {
    let finite = logits.iter().copied().filter(|logit| logit.is_finite());
    let largest = finite.fold(f32::NEG_INFINITY, f32::max);
    out.clear();
    out.extend(logits.iter().map(|logit| if logit.is_finite() { (logit - largest).exp() } else { 0.0 }));
    let sum: f32 = out.iter().sum();
    out.iter_mut().for_each(|probability| *probability /= sum);
    largest.is_finite()
}

#[expect(clippy::cast_precision_loss, reason = "exact below 2^24, and close enough above")]
fn small(number: usize) -> f32 {
    number as f32
}

fn log_of_one_and(number: usize) -> f32 {
    small(number + 1).ln()
}

#[cfg(test)]
mod tests;
