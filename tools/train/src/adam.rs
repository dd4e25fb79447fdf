//! The optimiser: Adam with decoupled weight decay (Loshchilov and Hutter 2019) after clipping by the global norm.

use rayon::prelude::*;

use crate::simd;

const BETA1: f32 = 0.9;
const BETA2: f32 = 0.99;
const EPSILON: f32 = 1e-8;
/// Share of each weight that is taken away at each step, times the learning rate.
const WEIGHT_DECAY: f32 = 0.01;
/// Longest gradient that is followed in full.
const LARGEST_NORM: f32 = 1.0;
/// Floats that are worked on at once; fixed, so that sums do not depend on the number of threads.
const CHUNK: usize = 1 << 15;

/// Running means of the gradient and of its square.
#[derive(Clone, Debug, PartialEq)]
pub struct Adam {
    /// Mean of the gradient.
    pub m: Vec<f32>,
    /// Mean of its square.
    pub v: Vec<f32>,
    /// Steps taken.
    pub steps: u64,
}

impl Adam {
    /// Before the first step.
    pub fn new(total: usize) -> Self {
        Self { m: vec![0.0; total], v: vec![0.0; total], steps: 0 }
    }

    /// Moves `values` along the sum of `gradients`, taken in their order. Returns the norm of that sum; when it is not
    /// finite, nothing is changed.
    #[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "corrections tend to one")]
    pub fn step(&mut self, values: &mut [f32], gradients: &[&[f32]], sum: &mut [f32], rate: f32) -> f64 {
        let squares: Vec<f64> = sum
            .par_chunks_mut(CHUNK)
            .enumerate()
            .map(|(index, sum)| {
                let range = index * CHUNK..index * CHUNK + sum.len();
                sum.copy_from_slice(&gradients[0][range.clone()]);
                for gradient in &gradients[1..] {
                    crate::heads::add(sum, &gradient[range.clone()]);
                }
                sum.iter().map(|g| f64::from(*g) * f64::from(*g)).sum()
            })
            .collect();
        let norm = squares.iter().sum::<f64>().sqrt();
        if !norm.is_finite() {
            return norm;
        }
        self.steps += 1;
        let clip = (LARGEST_NORM / (norm as f32).max(1e-12)).min(1.0);
        let steps = self.steps as f64;
        let correction1 = 1.0 / (1.0 - f64::from(BETA1).powf(steps)) as f32;
        let correction2 = 1.0 / (1.0 - f64::from(BETA2).powf(steps)) as f32;
        let moments = self.m.par_chunks_mut(CHUNK).zip(self.v.par_chunks_mut(CHUNK));
        values.par_chunks_mut(CHUNK).zip(sum.par_chunks(CHUNK)).zip(moments).for_each(|((values, sum), (m, v))| {
            simd::widest(
                #[inline(always)]
                || {
                    for (((value, g), m), v) in values.iter_mut().zip(sum).zip(m).zip(v) {
                        let g = g * clip;
                        *m = BETA1 * *m + (1.0 - BETA1) * g;
                        *v = BETA2 * *v + (1.0 - BETA2) * g * g;
                        let step = *m * correction1 / ((*v * correction2).sqrt() + EPSILON);
                        *value -= rate * (step + WEIGHT_DECAY * *value);
                    }
                },
            );
        });
        norm
    }
}
