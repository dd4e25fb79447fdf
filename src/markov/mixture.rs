//! How the predictions of many contexts become one: a weighted mean, each weight by how well its context is known.
//!
//! The weight of a context's prediction is `exp(a + b + ...)`, normalised over the contexts that were seen. `a` belongs
//! to the context and to a class of confidence: how often the context was seen and how many different classes came in
//! it, the two counts that Witten and Bell (1991) use. Each `b` belongs to the context and to a class of situation: how
//! many of a memory's contexts (those of the training pieces, those of the piece) were seen at all, so that long
//! contexts rule where they exist. All are fitted by stochastic gradient descent on the bits of pieces that the counts do
//! not hold; for a mean of this form the gradient is `weight - responsibility`. This is Jelinek-Mercer interpolation
//! (1980) with weights tied by confidence, over several chains of contexts at once.

use super::table::Seen;

/// Classes of confidence: 12 of the total by 6 of the kinds.
const BUCKETS: usize = 72;
/// Classes of situation: 8 of the share of a memory's earlier contexts that were seen, by 8 of its later ones.
const SITUATIONS: usize = 64;
/// Passes over the pieces that the weights are fitted on.
const PASSES: u8 = 4;
/// Step of the first pass; it halves with each pass.
const FIRST_STEP: f32 = 0.06;
/// Step with which the weights go on learning along a piece that is scored.
const LIVE_STEP: f32 = 0.01;

/// What one context says of the class that came.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Opinion {
    /// Probability of the class, in `0.0..=1.0`.
    probability: f32,
    /// Class of confidence; [`UNSEEN`] for a context that never came.
    bucket: u8,
}

/// The bucket of a context that was never seen: it has no say.
const UNSEEN: u8 = u8::MAX;

impl Opinion {
    /// From counts: the share of the class.
    #[expect(clippy::cast_precision_loss, reason = "counts are below 2^24")]
    pub fn from_counts(seen: Seen) -> Self {
        if seen.total == 0 {
            return Self { probability: 0.0, bucket: UNSEEN };
        }
        Self { probability: seen.count as f32 / seen.total as f32, bucket: bucket(seen) }
    }

    /// From a probability that is always to be trusted alike.
    pub fn certain(probability: f32) -> Self {
        Self { probability, bucket: 0 }
    }
}

fn bucket(seen: Seen) -> u8 {
    let total = seen.total.ilog2().min(11);
    let kinds = match seen.kinds {
        0 | 1 => 0,
        2 => 1,
        3..=4 => 2,
        5..=8 => 3,
        9..=16 => 4,
        _ => 5,
    };
    u8::try_from(total * 6 + kinds).unwrap_or(UNSEEN - 1)
}

/// Weights of the contexts of one attribute.
#[derive(Clone, Debug)]
pub struct Mixture {
    /// `a`, (opinions, [`BUCKETS`]).
    log_weights: Vec<f32>,
    /// Contexts of one memory.
    contexts: usize,
    /// `b`, (opinions, memories, [`SITUATIONS`]).
    offsets: Vec<f32>,
    /// Kept likewise: the class of situation of each memory.
    situations: Vec<usize>,
    /// Kept so that mixing takes no new memory.
    weights: Vec<f32>,
}

impl Mixture {
    /// Weights before anything was fitted, Witten and Bell's, `total / (total + kinds)`, for one opinion that is always
    /// there and behind it those of some memories, each of so many contexts.
    #[expect(clippy::cast_precision_loss, reason = "small numbers")]
    pub fn new(contexts: usize, memories: usize) -> Self {
        let of_bucket = |bucket: usize| {
            let (total, kinds) = ((1u32 << (bucket / 6)) as f32, [1.0, 2.0, 3.5, 6.5, 12.0, 30.0][bucket % 6]);
            (total / (total + kinds)).ln() * 3.0
        };
        let one: Vec<f32> = (0..BUCKETS).map(of_bucket).collect();
        let opinions = 1 + contexts * memories;
        Self {
            log_weights: one.repeat(opinions),
            contexts,
            offsets: vec![0.0; opinions * memories * SITUATIONS],
            situations: Vec::with_capacity(memories),
            weights: Vec::with_capacity(opinions),
        }
    }

    /// The mixed probability of the class that the opinions are about.
    pub fn probability(&mut self, opinions: &[Opinion]) -> f32 {
        let weights = self.weigh(opinions);
        weights.iter().zip(opinions).map(|(weight, opinion)| weight * opinion.probability).sum()
    }

    /// The weights of the opinions, which sum to one; they are the same whatever the class.
    pub fn weigh(&mut self, opinions: &[Opinion]) -> &[f32] {
        self.weights.clear();
        self.situations.clear();
        self.situations.extend(opinions[1..].chunks(self.contexts).map(situation));
        let mut sum = 0.0;
        for (index, opinion) in opinions.iter().enumerate() {
            let weight = if opinion.bucket == UNSEEN {
                0.0
            } else {
                let a = self.log_weights[place(index, opinion.bucket)];
                let offsets = self.places_of_offsets(index).map(|place| self.offsets[place]);
                (a + offsets.sum::<f32>()).exp()
            };
            sum += weight;
            self.weights.push(weight);
        }
        for weight in &mut self.weights {
            *weight /= sum;
        }
        &self.weights
    }

    /// Bits of the class that came.
    pub fn bits(&mut self, opinions: &[Opinion]) -> f64 {
        -f64::from(self.probability(opinions)).log2()
    }

    /// Bits of the class that came; then moves the weights towards those that knew.
    pub fn bits_then_learn(&mut self, opinions: &[Opinion]) -> f64 {
        self.learn(opinions, LIVE_STEP)
    }

    fn learn(&mut self, opinions: &[Opinion], step: f32) -> f64 {
        let mixed = self.probability(opinions);
        for (index, opinion) in opinions.iter().enumerate() {
            let weight = self.weights[index];
            if weight > 0.0 {
                let responsibility = weight * opinion.probability / mixed;
                let change = step * (responsibility - weight);
                let moved = |log_weight: f32| (log_weight + change).clamp(-12.0, 12.0);
                let a = &mut self.log_weights[place(index, opinion.bucket)];
                *a = moved(*a);
                for memory in 0..self.situations.len() {
                    let b = &mut self.offsets[offset_place(&self.situations, index, memory)];
                    *b = moved(*b);
                }
            }
        }
        -f64::from(mixed).log2()
    }

    fn places_of_offsets(&self, index: usize) -> impl Iterator<Item = usize> + '_ {
        (0..self.situations.len()).map(move |memory| offset_place(&self.situations, index, memory))
    }

    /// Fits the weights; each row holds the opinions about one note.
    pub fn fit<'a>(&mut self, rows: impl Iterator<Item = &'a [Opinion]> + Clone) {
        for pass in 0..PASSES {
            for row in rows.clone() {
                self.learn(row, FIRST_STEP / f32::from(1u8 << pass));
            }
        }
    }
}

/// The class of situation of a memory's opinions: how many of each half have something to say.
fn situation(opinions: &[Opinion]) -> usize {
    let seen = |opinions: &[Opinion]| {
        let seen = opinions.iter().filter(|opinion| opinion.bucket != UNSEEN).count();
        seen * 7 / opinions.len().max(1)
    };
    let (earlier, later) = opinions.split_at(opinions.len() / 2);
    seen(earlier) * 8 + seen(later)
}

fn offset_place(situations: &[usize], index: usize, memory: usize) -> usize {
    (index * situations.len() + memory) * SITUATIONS + situations[memory]
}

fn place(index: usize, bucket: u8) -> usize {
    index * BUCKETS + usize::from(bucket)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mean_lies_where_the_weights_say() {
        let mut mixture = Mixture::new(1, 1);
        let opinions = [Opinion::certain(0.25), Opinion::certain(0.75)];
        assert!((mixture.probability(&opinions) - 0.5).abs() < 1e-6, "equal weights");
        mixture.log_weights[place(1, 0)] += 3.0f32.ln();
        assert!((mixture.probability(&opinions) - 0.625).abs() < 1e-6, "three to one");
    }

    #[test]
    fn contexts_that_were_never_seen_have_no_say() {
        let mut mixture = Mixture::new(1, 1);
        let opinions = [Opinion::certain(0.25), Opinion::from_counts(Seen::default())];
        assert!((mixture.probability(&opinions) - 0.25).abs() < 1e-6);
    }

    #[test]
    fn fitting_finds_the_context_that_knows() {
        let mut mixture = Mixture::new(1, 1);
        let rows = [Opinion::certain(0.01), Opinion::certain(0.9)].repeat(2000);
        mixture.fit(rows.chunks_exact(2));
        assert!(mixture.probability(&rows[..2]) > 0.85);
    }
}
