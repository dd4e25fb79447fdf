//! The state of a training run and one step of it.

use rayon::prelude::*;

use crate::adam::Adam;
use crate::batches::Batch;
use crate::config::Config;
use crate::network::Layout;
use crate::random::Draws;
use crate::shard::{Dropout, STREAMS, Shard};
use crate::streams::{Source, Stream};
use crate::weights::Weights;

/// Random numbers for dropout begin at this stream; those of the pieces are below.
const DROPOUT_STREAM: u64 = 1 << 60;

/// Everything that changes from step to step.
pub struct Trainer<'a> {
    source: Source<'a>,
    sequence: usize,
    batch: usize,
    seed: u64,
    dropout_threshold: u8,
    /// Decay of the running average, 0 for none.
    decay: f32,
    /// Parameters, packed.
    pub weights: Weights,
    /// The optimiser's state.
    pub adam: Adam,
    /// Running average of the parameters; empty without one.
    pub average: Vec<f32>,
    /// Shards with their streams, in the order in which gradients are added.
    pub lanes: Vec<Lane>,
    sum: Vec<f32>,
}

/// A shard and what feeds it.
pub struct Lane {
    /// The network's buffers and carried state.
    pub shard: Shard,
    /// Its streams.
    pub streams: Vec<Stream>,
    batch: Batch,
}

/// What a step came to.
#[derive(Clone, Copy, Debug)]
pub struct Step {
    /// Mean loss of a note in nats, each attribute over the notes that count for it.
    pub loss: [f64; 4],
    /// Norm of the gradient before clipping.
    pub norm: f64,
}

impl Step {
    /// Sum of the four losses in nats.
    pub fn sum(&self) -> f64 {
        self.loss.iter().sum()
    }
}

impl<'a> Trainer<'a> {
    /// Before the first step.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "dropout is at most 0.9")]
    pub fn new(config: &Config, layout: Layout, source: Source<'a>) -> Self {
        let values = layout.initial(config.seed);
        let average = if config.average > 0.0 { values.clone() } else { Vec::new() };
        let mut lanes = Vec::new();
        for first in (0..config.batch).step_by(STREAMS) {
            let streams = STREAMS.min(config.batch - first);
            lanes.push(Lane {
                shard: Shard::new(&layout, streams, config.sequence, true),
                streams: (first..first + streams).map(|number| Stream::new(&source, number as u64)).collect(),
                batch: Batch::new(streams, config.sequence),
            });
        }
        Self {
            source,
            sequence: config.sequence,
            batch: config.batch,
            seed: config.seed,
            dropout_threshold: (config.dropout * 256.0).round() as u8,
            decay: config.average,
            adam: Adam::new(layout.total),
            sum: vec![0.0; layout.total],
            weights: Weights::new(layout, values),
            average,
            lanes,
        }
    }

    /// Starts from these parameters instead of random ones.
    pub fn start_from(&mut self, values: &[f32]) {
        self.weights.values.copy_from_slice(values);
        self.weights.pack();
        if !self.average.is_empty() {
            self.average.copy_from_slice(values);
        }
    }

    /// Notes of a step.
    pub fn notes_per_step(&self) -> usize {
        self.batch * self.sequence
    }

    /// Where each stream stands: pieces drawn, notes done.
    pub fn places(&self) -> Vec<(u64, usize)> {
        self.lanes.iter().flat_map(|lane| &lane.streams).map(|stream| (stream.drawn, stream.done)).collect()
    }

    /// Puts the streams where they stood.
    pub fn set_places(&mut self, places: &[(u64, usize)]) {
        let streams = self.lanes.iter_mut().flat_map(|lane| &mut lane.streams);
        for (number, (stream, &(drawn, done))) in streams.zip(places).enumerate() {
            *stream = Stream::at(&self.source, number as u64, drawn, done);
        }
    }

    /// One step: each shard reads on, forward and backward; the gradients are added in order; Adam moves the weights.
    /// When loss or gradient are not finite, the weights stay as they were.
    #[expect(clippy::cast_precision_loss, reason = "numbers of notes are far below 2^24")]
    pub fn step(&mut self, rate: f32) -> Step {
        let scale = 1.0 / self.notes_per_step() as f32;
        let shards = self.lanes.len() as u64;
        let (source, weights) = (&self.source, &self.weights);
        let (seed, threshold, steps) = (self.seed, self.dropout_threshold, self.adam.steps);
        self.lanes.par_iter_mut().enumerate().for_each(|(index, lane)| {
            for (column, stream) in lane.streams.iter_mut().enumerate() {
                stream.fill(source, &mut lane.batch, column);
            }
            let dropout = (threshold > 0).then(|| Dropout {
                threshold,
                draws: Draws::new(seed, DROPOUT_STREAM + steps * shards + index as u64),
            });
            lane.shard.forward(weights, &lane.batch, dropout);
            lane.shard.backward(weights, &lane.batch, scale, threshold > 0);
        });
        let loss = [0, 1, 2, 3].map(|attribute: usize| self.loss(attribute));
        let gradients: Vec<&[f32]> = self.lanes.iter().map(|lane| lane.shard.gradient()).collect();
        let norm = if loss.iter().all(|loss| loss.is_finite()) {
            self.adam.step(&mut self.weights.values, &gradients, &mut self.sum, rate)
        } else {
            f64::NAN
        };
        if norm.is_finite() {
            self.weights.pack();
            for (average, value) in self.average.iter_mut().zip(&self.weights.values) {
                *average = self.decay * *average + (1.0 - self.decay) * value;
            }
        }
        Step { loss, norm }
    }

    /// Mean loss of one attribute over the notes that count.
    #[expect(clippy::cast_precision_loss, reason = "numbers of notes are far below 2^53")]
    fn loss(&self, attribute: usize) -> f64 {
        let (mut sum, mut count) = (0.0, 0);
        for lane in &self.lanes {
            sum += lane.shard.heads.nll[attribute].iter().map(|nll| f64::from(*nll)).sum::<f64>();
            count += lane.batch.counted[attribute].iter().filter(|counted| **counted).count();
        }
        sum / count.max(1) as f64
    }

    /// The parameters to evaluate and export: the average if there is one.
    pub fn values(&self) -> &[f32] {
        if self.average.is_empty() { &self.weights.values } else { &self.average }
    }
}
