//! How the few weights are fitted that belong to the program: those of the memory and of what falls together.
//!
//! By Adam (Kingma and Ba 2015), over rows in an order that is drawn anew for each pass; from a seed, so that the same rows
//! give the same weights.

use rand_core::Rng;

/// Puts the rows' numbers into another order (Fisher and Yates).
pub(crate) fn shuffle(order: &mut [usize], random: &mut impl Rng) {
    for last in (1..order.len()).rev() {
        let other = random.next_u64() % (last as u64 + 1);
        order.swap(last, usize::try_from(other).unwrap_or(last));
    }
}

/// Decay of the mean of the slopes, and of that of their squares.
const DECAYS: (f32, f32) = (0.9, 0.999);
/// Added to the root of the mean square, so that a weight without slopes stays.
const LEAST_ROOT: f32 = 1e-5;

/// Means of the slopes and of their squares, for weights that always come in the same order.
pub(crate) struct Adam {
    means: Vec<(f32, f32)>,
    step: usize,
    of: usize,
}

impl Adam {
    /// For so many weights and steps.
    pub fn new(weights: usize, steps: usize) -> Self {
        Self { means: vec![(0.0, 0.0); weights], step: 0, of: steps }
    }

    /// Moves each weight against its slope, by `first` at the first step and by nothing at the last. Of its own accord a
    /// weight loses `decay` of itself for a step of size one, so that none grows without need.
    #[expect(clippy::cast_precision_loss, reason = "step numbers are small")]
    pub fn step<'a>(
        &mut self,
        weights: impl Iterator<Item = &'a mut f32>,
        slopes: impl Iterator<Item = f32>,
        first: f32,
        decay: f32,
    ) {
        self.step += 1;
        let size = first * (1.0 - self.step as f32 / self.of as f32);
        let power = i32::try_from(self.step.min(100_000)).unwrap_or(i32::MAX);
        let (mean_share, square_share) = (1.0 - DECAYS.0.powi(power), 1.0 - DECAYS.1.powi(power));
        for ((weight, slope), (mean, square)) in weights.zip(slopes).zip(&mut self.means) {
            *mean = DECAYS.0 * *mean + (1.0 - DECAYS.0) * slope;
            *square = DECAYS.1 * *square + (1.0 - DECAYS.1) * slope * slope;
            let root = (*square / square_share).sqrt() + LEAST_ROOT;
            *weight -= size * (*mean / mean_share / root + decay * *weight);
        }
    }
}
