//! From logits to a class: temperature, top-p, and what is allowed.

use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};

use crate::note_model::Dither;

/// How freely classes are drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sampling {
    /// Divides the logits, in `0.01..=4.0`: below 1 plays safer, above 1 bolder.
    pub temperature: f32,
    /// Only the likeliest classes that together have this share of the probability are drawn from, in `0.0..=1.0`.
    pub top_p: f32,
}

impl Default for Sampling {
    fn default() -> Self {
        Self { temperature: 1.0, top_p: 0.97 }
    }
}

/// Draws classes; the same seed gives the same draws on every machine.
pub struct Sampler {
    /// How freely it draws; may be changed between two draws.
    pub sampling: Sampling,
    random: ChaCha8Rng,
    /// Classes and their probabilities, kept so that drawing takes no new memory.
    ranked: Vec<(u8, f32)>,
}

impl Sampler {
    /// A sampler that starts from `seed`.
    pub fn new(sampling: Sampling, seed: u64) -> Self {
        Self { sampling, random: ChaCha8Rng::seed_from_u64(seed), ranked: Vec::with_capacity(256) }
    }

    /// Draws a class among those allowed; `None` when none is. Logits that are not numbers are never drawn.
    pub fn draw(&mut self, logits: &[f32], allowed: impl Fn(u8) -> bool) -> Option<u8> {
        self.ranked.clear();
        let classes = (0..=u8::MAX).zip(logits).filter(|(class, logit)| logit.is_finite() && allowed(*class));
        self.ranked.extend(classes.map(|(class, &logit)| (class, logit / self.sampling.temperature)));
        let highest = self.ranked.iter().map(|&(_, logit)| logit).fold(f32::NEG_INFINITY, f32::max);
        for (_, weight) in &mut self.ranked {
            *weight = (*weight - highest).exp();
        }
        // Equal weights keep their class order, so that the draw does not depend on how sorting is done.
        self.ranked.sort_by(|a, b| b.1.total_cmp(&a.1));

        let total: f32 = self.ranked.iter().map(|&(_, weight)| weight).sum();
        let mut kept = 0.0;
        let nucleus = self.ranked.iter().take_while(|(_, weight)| {
            let wanted = kept < total * self.sampling.top_p;
            kept += weight;
            wanted
        });
        let nucleus = nucleus.count().max(1).min(self.ranked.len());
        let ranked = &self.ranked[..nucleus];
        let kept: f32 = ranked.iter().map(|&(_, weight)| weight).sum();

        let mut left = uniform(&mut self.random) * kept;
        for &(class, weight) in ranked {
            left -= weight;
            if left < 0.0 {
                return Some(class);
            }
        }
        ranked.last().map(|&(class, _)| class)
    }

    /// A place inside the classes of a note.
    pub fn dither(&mut self) -> Dither {
        let mut draw = || uniform(&mut self.random);
        Dither { shift: draw(), duration: draw(), velocity: draw() }
    }
}

/// A number in `0.0..1.0` with 24 random bits, all that an `f32` holds.
#[expect(clippy::cast_precision_loss, reason = "24 bits are exact in an f32")]
fn uniform(random: &mut ChaCha8Rng) -> f32 {
    (random.next_u32() >> 8) as f32 / (1 << 24) as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(sampling: Sampling, logits: &[f32], allowed: impl Fn(u8) -> bool + Copy) -> Vec<usize> {
        let mut sampler = Sampler::new(sampling, 7);
        let mut counts = vec![0; logits.len()];
        for _ in 0..20_000 {
            counts[usize::from(sampler.draw(logits, allowed).expect("something is allowed"))] += 1;
        }
        counts
    }

    #[test]
    fn classes_are_drawn_as_often_as_their_probability_says() {
        let logits = [0.5f32.ln(), 0.3f32.ln(), 0.2f32.ln()];
        let counts = counts(Sampling { temperature: 1.0, top_p: 1.0 }, &logits, |_| true);
        for (count, share) in counts.iter().zip([0.5, 0.3, 0.2]) {
            assert!((f64::from(u32::try_from(*count).expect("fits")) / 20_000.0 - share).abs() < 0.02, "{counts:?}");
        }
    }

    #[test]
    fn a_low_temperature_draws_the_likeliest() {
        let counts = counts(Sampling { temperature: 0.01, top_p: 1.0 }, &[1.0, 1.5, 0.0], |_| true);
        assert_eq!(counts, [0, 20_000, 0]);
    }

    #[test]
    fn top_p_leaves_out_the_tail() {
        let logits = [0.6f32.ln(), 0.3f32.ln(), 0.1f32.ln()];
        let counts = counts(Sampling { temperature: 1.0, top_p: 0.85 }, &logits, |_| true);
        assert_eq!(counts[2], 0);
        assert!(counts[1] > 5_000);
    }

    #[test]
    fn what_is_not_allowed_is_never_drawn() {
        assert_eq!(counts(Sampling::default(), &[9.0, 0.0, f32::NAN], |class| class != 0)[1], 20_000);
        let mut sampler = Sampler::new(Sampling::default(), 1);
        assert_eq!(sampler.draw(&[1.0, 2.0], |_| false), None);
    }

    #[test]
    fn the_same_seed_draws_the_same() {
        let draws = |seed| {
            let mut sampler = Sampler::new(Sampling::default(), seed);
            (0..50).map(|_| sampler.draw(&[0.0; 128], |_| true)).collect::<Vec<_>>()
        };
        assert_eq!(draws(3), draws(3));
        assert_ne!(draws(3), draws(4));
    }
}
