//! From logits to a class: temperature, top-p, min-p, and what is allowed.

use std::ops::RangeInclusive;

use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};

use crate::note_model::{Attribute, Dither};

/// How freely classes are drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sampling {
    /// Divides the logits of each attribute, in [`Sampling::TEMPERATURE`], indexed by [`Attribute::index`]: below 1
    /// plays safer, above 1 bolder.
    pub temperature: [f32; 4],
    /// Only the likeliest classes that together have this share of the probability are drawn from, in
    /// [`Sampling::SHARE`]; 1 leaves nothing out.
    pub top_p: f32,
    /// Only classes at least this times as likely as the likeliest are drawn from, in [`Sampling::SHARE`]; 0 leaves
    /// nothing out, 1 draws the likeliest.
    pub min_p: f32,
}

impl Sampling {
    /// Temperatures that are obeyed; one outside counts as the nearest of them.
    pub const TEMPERATURE: RangeInclusive<f32> = 0.01..=4.0;
    /// Shares of probability.
    pub const SHARE: RangeInclusive<f32> = 0.0..=1.0;

    /// The divisor for one attribute; what is not a number counts as 1.
    fn divisor(&self, attribute: Attribute) -> f32 {
        let temperature = self.temperature[attribute.index()];
        if temperature.is_nan() { 1.0 } else { temperature.clamp(*Self::TEMPERATURE.start(), *Self::TEMPERATURE.end()) }
    }
}

impl Default for Sampling {
    fn default() -> Self {
        Self { temperature: [1.0; 4], top_p: 0.97, min_p: 0.0 }
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

    /// Draws a class of `attribute` among those allowed; `None` when none is. Logits that are not finite numbers are
    /// never drawn. What is allowed is known before anything is left out, so that it shares the whole probability.
    pub fn draw(&mut self, attribute: Attribute, logits: &[f32], allowed: impl Fn(u8) -> bool) -> Option<u8> {
        self.ranked.clear();
        let classes = (0..=u8::MAX).zip(logits).filter(|(class, logit)| logit.is_finite() && allowed(*class));
        self.ranked.extend(classes.map(|(class, &logit)| (class, logit)));
        let highest = self.ranked.iter().map(|&(_, logit)| logit).fold(f32::NEG_INFINITY, f32::max);
        let temperature = self.sampling.divisor(attribute);
        // The difference comes first: it is never positive, so that nothing overflows, however large the logits are.
        for (_, weight) in &mut self.ranked {
            *weight = ((*weight - highest) / temperature).exp();
        }
        // The likeliest weighs 1, so min-p bounds the weights themselves.
        let least = if self.sampling.min_p.is_nan() { 0.0 } else { self.sampling.min_p.min(1.0) };
        self.ranked.retain(|&(_, weight)| weight >= least);
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

    const KEY: Attribute = Attribute::Key;
    const ALL: Sampling = Sampling { temperature: [1.0; 4], top_p: 1.0, min_p: 0.0 };

    fn counts(sampling: Sampling, logits: &[f32], allowed: impl Fn(u8) -> bool + Copy) -> Vec<usize> {
        let mut sampler = Sampler::new(sampling, 7);
        let mut counts = vec![0; logits.len()];
        for _ in 0..20_000 {
            counts[usize::from(sampler.draw(KEY, logits, allowed).expect("something is allowed"))] += 1;
        }
        counts
    }

    #[test]
    fn classes_are_drawn_as_often_as_their_probability_says() {
        let logits = [0.5f32.ln(), 0.3f32.ln(), 0.2f32.ln()];
        let counts = counts(ALL, &logits, |_| true);
        for (count, share) in counts.iter().zip([0.5, 0.3, 0.2]) {
            assert!((f64::from(u32::try_from(*count).expect("fits")) / 20_000.0 - share).abs() < 0.02, "{counts:?}");
        }
    }

    #[test]
    fn a_low_temperature_draws_the_likeliest_of_its_own_attribute() {
        let mut temperature = [1.0; 4];
        temperature[KEY.index()] = 0.01;
        let sampling = Sampling { temperature, ..ALL };
        assert_eq!(counts(sampling, &[1.0, 1.5, 0.0], |_| true), [0, 20_000, 0]);
        let mut sampler = Sampler::new(sampling, 7);
        let drawn = (0..100).filter_map(|_| sampler.draw(Attribute::Velocity, &[1.0, 1.5, 0.0], |_| true));
        assert!(drawn.collect::<std::collections::BTreeSet<_>>().len() > 1);
    }

    #[test]
    fn top_p_leaves_out_the_tail() {
        let logits = [0.6f32.ln(), 0.3f32.ln(), 0.1f32.ln()];
        let counts = counts(Sampling { top_p: 0.85, ..ALL }, &logits, |_| true);
        assert_eq!(counts[2], 0);
        assert!(counts[1] > 5_000);
    }

    #[test]
    fn min_p_leaves_out_what_is_far_less_likely_than_the_likeliest() {
        let logits = [0.6f32.ln(), 0.3f32.ln(), 0.1f32.ln()];
        let counted = counts(Sampling { min_p: 0.4, ..ALL }, &logits, |_| true);
        assert_eq!(counted[2], 0);
        assert!(counted[1] > 5_000);
        assert_eq!(counts(Sampling { min_p: 1.0, ..ALL }, &logits, |_| true), [20_000, 0, 0]);
    }

    #[test]
    fn what_is_not_allowed_is_never_drawn() {
        assert_eq!(counts(Sampling::default(), &[9.0, 0.0, f32::NAN], |class| class != 0)[1], 20_000);
        let mut sampler = Sampler::new(Sampling::default(), 1);
        assert_eq!(sampler.draw(KEY, &[1.0, 2.0], |_| false), None);
    }

    #[test]
    fn settings_and_logits_out_of_range_still_draw_something_allowed() {
        for odd in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, -1.0, 0.0, f32::MAX] {
            let mut sampler = Sampler::new(Sampling { temperature: [odd; 4], top_p: odd, min_p: odd }, 3);
            for logits in [[f32::MAX, f32::MIN, 0.0], [0.0; 3], [f32::MIN; 3], [f32::INFINITY, f32::NAN, 1.0]] {
                let class = sampler.draw(KEY, &logits, |class| class != 1);
                assert!(matches!(class, Some(0 | 2)), "{odd} {logits:?}: {class:?}");
            }
        }
    }

    #[test]
    fn the_same_seed_draws_the_same() {
        let draws = |seed| {
            let mut sampler = Sampler::new(Sampling::default(), seed);
            (0..50).map(|_| sampler.draw(KEY, &[0.0; 128], |_| true)).collect::<Vec<_>>()
        };
        assert_eq!(draws(3), draws(3));
        assert_ne!(draws(3), draws(4));
    }
}
