//! Whom to believe: how the opinions of the model and of the session's contexts are weighted against each other.
//!
//! The weight of an opinion is `exp(signs . a + hidden . b)`, normalised over all who have an opinion. The signs are
//! its own: how often its context came, how sure it is, whether the model agrees. The hidden units see the situation
//! that all are in: how sure the model is, how many contexts were seen, how well they have known of late. So the weight
//! of a context depends on who else has something to say. The numbers were fitted once, on pieces that neither the
//! model was trained on nor any result is stated for ([`super::tuning`]); along a session nothing is learnt but what
//! the notes say, so that the same notes always give the same weights.

use serde::{Deserialize, Serialize};

/// Signs of one opinion.
pub const SIGNS: usize = 6;
/// Features of the situation.
pub const FEATURES: usize = 9;
/// Hidden units.
pub const HIDDEN: usize = 6;

/// What speaks for one opinion.
pub type Signs = [f32; SIGNS];
/// What all opinions share.
pub type Situation = [f32; FEATURES];

/// The signs of the model's opinion.
pub const MODEL_SIGNS: Signs = [1.0, 0.0, 0.0, 0.0, 0.0, 0.0];

/// The weights of one attribute.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gate {
    /// Of each hidden unit, for each feature of the situation.
    pub hidden: Vec<[f32; FEATURES]>,
    /// Of each opinion, the model's first: `a` for the signs, `b` for the hidden units.
    pub opinions: Vec<(Signs, [f32; HIDDEN])>,
}

impl Gate {
    /// What the hidden units make of the situation, each in `-1.0..=1.0`.
    pub fn hidden(&self, situation: &Situation) -> [f32; HIDDEN] {
        let mut hidden = [0.0; HIDDEN];
        for (unit, weights) in hidden.iter_mut().zip(&self.hidden) {
            *unit = dot(weights, situation).tanh();
        }
        hidden
    }

    /// Weights of the opinions, which sum to 1; one without signs has none. The first must have signs.
    pub fn weigh(&self, hidden: &[f32; HIDDEN], signs: &[Option<Signs>], out: &mut Vec<f32>) {
        let logs = signs
            .iter()
            .zip(&self.opinions)
            .map(|(signs, (a, b))| signs.as_ref().map_or(f32::NEG_INFINITY, |signs| dot(a, signs) + dot(b, hidden)));
        out.clear();
        out.extend(logs);
        let largest = out.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        out.iter_mut().for_each(|weight| *weight = (*weight - largest).exp());
        let sum: f32 = out.iter().sum();
        out.iter_mut().for_each(|weight| *weight /= sum);
    }
}

fn dot<const N: usize>(a: &[f32; N], b: &[f32; N]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}
