//! A shard: a fixed group of parallel streams that one thread takes through the network, forward and backward.
//!
//! The batch is cut into shards of [`STREAMS`] streams whatever the number of threads, and the shards' gradients are
//! added in their order: so the result does not depend on how many threads there are.

use crate::batches::Batch;
use crate::heads::{Heads, add};
use crate::matrix::{Packed, View, Workspace, multiply};
use crate::network::{EMBEDDING_WIDTHS, INPUT_WIDTH, Layout};
use crate::random::Draws;
use crate::recurrent::{self, Trace};
use crate::weights::Weights;

/// Streams of a full shard.
pub const STREAMS: usize = 16;

/// Dropout of one step: a unit is dropped when its random byte is below `threshold`.
pub struct Dropout {
    /// Out of 256.
    pub threshold: u8,
    /// Source of the bytes.
    pub draws: Draws,
}

/// Buffers and carried state of one shard. `N` = time x streams rows, time-major.
pub struct Shard {
    streams: usize,
    hidden: usize,
    /// Hidden states carried from one sequence to the next, each layer (streams, hidden).
    pub h: Vec<Vec<f32>>,
    /// Cell states, likewise.
    pub c: Vec<Vec<f32>>,
    /// Embeddings of the last note, joined, (N, 160).
    x: Vec<f32>,
    traces: Vec<Trace>,
    /// Output of each layer with dropped units at zero and the others enlarged, (N, hidden).
    outputs: Vec<Vec<f32>>,
    /// Factor of each unit of each layer's output: 0, or 1 / (1 - dropout); (N, hidden).
    masks: Vec<Vec<f32>>,
    bytes: Vec<u8>,
    /// (N, 4 x head).
    pub context: Vec<f32>,
    /// The heads.
    pub heads: Heads,
    backward: Option<Backward>,
    workspace: Workspace,
}

/// What only training needs.
struct Backward {
    gradient: Vec<f32>,
    dcontext: Vec<f32>,
    /// Gradient of a layer's output, (N, hidden).
    dh: Vec<f32>,
    /// Gradient of the first layer's input, (N, 160).
    dx: Vec<f32>,
    dh_step: Vec<f32>,
    dc_step: Vec<f32>,
    packed: Packed,
}

impl Shard {
    /// A shard of `streams` streams taken through `time` steps at once, with zero state.
    pub fn new(layout: &Layout, streams: usize, time: usize, training: bool) -> Self {
        let (rows, sizes) = (streams * time, layout.sizes);
        let hidden = sizes.hidden;
        let state = || vec![vec![0.0; streams * hidden]; sizes.layers];
        let per_layer = || vec![vec![0.0; rows * hidden]; sizes.layers];
        let backward = training.then(|| Backward {
            gradient: vec![0.0; layout.total],
            dcontext: vec![0.0; rows * 4 * sizes.head],
            dh: vec![0.0; rows * hidden],
            dx: vec![0.0; rows * INPUT_WIDTH],
            dh_step: vec![0.0; streams * hidden],
            dc_step: vec![0.0; streams * hidden],
            packed: Packed::default(),
        });
        Self {
            streams,
            hidden,
            h: state(),
            c: state(),
            x: vec![0.0; rows * INPUT_WIDTH],
            traces: vec![Trace::new(rows, hidden); sizes.layers],
            outputs: per_layer(),
            masks: if training { per_layer() } else { Vec::new() },
            bytes: vec![0; if training { rows * hidden } else { 0 }],
            context: vec![0.0; rows * 4 * sizes.head],
            heads: Heads::new(rows, sizes.head),
            backward,
            workspace: Workspace::default(),
        }
    }

    /// Through the embeddings and the LSTM to the context.
    pub fn forward(&mut self, weights: &Weights, batch: &Batch, mut dropout: Option<Dropout>) {
        let (layout, values) = (&weights.layout, &weights.values);
        let rows = batch.rows();
        self.embed(weights, batch);
        for (index, slots) in layout.layers.iter().enumerate() {
            let (below, here) = self.outputs.split_at_mut(index);
            let input = match below.last() {
                Some(output) => View::new(output, rows, self.hidden),
                None => View::new(&self.x, rows, INPUT_WIDTH),
            };
            let trace = &mut self.traces[index];
            let bias = slots.b.of(values);
            trace.gates.chunks_exact_mut(bias.len()).for_each(|gates| gates.copy_from_slice(bias));
            multiply(&mut trace.gates, input, &weights.input[index].forward, true, &mut self.workspace);
            recurrent::forward(
                trace,
                &weights.recurrent[index].forward,
                self.streams,
                self.hidden,
                &batch.reset,
                &mut self.h[index],
                &mut self.c[index],
                &mut self.workspace,
            );
            let output = &mut here[0];
            output.copy_from_slice(&trace.h);
            if let Some(Dropout { threshold, draws }) = &mut dropout {
                draws.bytes(&mut self.bytes);
                let kept = 256.0 / (256.0 - f32::from(*threshold));
                let mask = &mut self.masks[index];
                for ((output, mask), byte) in output.iter_mut().zip(mask).zip(&self.bytes) {
                    *mask = if *byte < *threshold { 0.0 } else { kept };
                    *output *= *mask;
                }
            }
        }
        let bias = layout.context_b.of(values);
        self.context.chunks_exact_mut(bias.len()).for_each(|context| context.copy_from_slice(bias));
        let top = View::new(&self.outputs[layout.layers.len() - 1], rows, self.hidden);
        multiply(&mut self.context, top, &weights.context.forward, true, &mut self.workspace);
    }

    fn embed(&mut self, weights: &Weights, batch: &Batch) {
        let mut first = 0;
        for (index, (slot, width)) in weights.layout.embeddings.iter().zip(EMBEDDING_WIDTHS).enumerate() {
            let table = slot.of(&weights.values);
            for (row, x) in self.x.chunks_exact_mut(INPUT_WIDTH).enumerate() {
                let class = batch.input_class(index, row);
                x[first..first + width].copy_from_slice(&table[class * width..(class + 1) * width]);
            }
            first += width;
        }
    }

    /// After [`Self::forward`]: the losses of all notes, without gradients.
    pub fn score(&mut self, weights: &Weights, batch: &Batch) {
        for attribute in 0..4 {
            self.heads.forward(attribute, weights, &self.context, batch, &mut self.workspace);
            self.heads.losses(attribute, weights.layout.heads[attribute].w.cols, batch, 0.0);
        }
    }

    /// After [`Self::forward`]: the logits of one attribute, (rows, classes).
    pub fn logits(&mut self, weights: &Weights, batch: &Batch, attribute: usize) -> &[f32] {
        self.heads.forward(attribute, weights, &self.context, batch, &mut self.workspace);
        &self.heads.logits[..batch.rows() * weights.layout.heads[attribute].w.cols]
    }

    /// After [`Self::forward`]: losses, and the gradient of `scale` times their sum. `dropped` says whether units were.
    ///
    /// # Panics
    /// When the shard was not made for training.
    pub fn backward(&mut self, weights: &Weights, batch: &Batch, scale: f32, dropped: bool) {
        let layout = &weights.layout;
        let rows = batch.rows();
        let Backward { gradient, dcontext, dh, dx, dh_step, dc_step, packed } =
            self.backward.as_mut().expect("a shard made for training");
        gradient.fill(0.0);
        for attribute in 0..4 {
            self.heads.forward(attribute, weights, &self.context, batch, &mut self.workspace);
            self.heads.losses(attribute, layout.heads[attribute].w.cols, batch, scale);
            self.heads.backward(attribute, weights, batch, gradient, dcontext, &mut self.workspace);
        }
        let top = layout.layers.len() - 1;
        let dcontext_view = View::new(dcontext, rows, layout.context_w.cols);
        packed.pack(dcontext_view);
        let output = View::new(&self.outputs[top], rows, self.hidden).transposed();
        multiply(layout.context_w.of_mut(gradient), output, packed, false, &mut self.workspace);
        for line in dcontext.chunks_exact(layout.context_w.cols) {
            add(layout.context_b.of_mut(gradient), line);
        }
        multiply(dh, dcontext_view, &weights.context.backward, false, &mut self.workspace);
        for (index, slots) in layout.layers.iter().enumerate().rev() {
            if dropped {
                dh.iter_mut().zip(&self.masks[index]).for_each(|(dh, mask)| *dh *= mask);
            }
            let trace = &mut self.traces[index];
            let recurrent = &weights.recurrent[index].backward;
            let (streams, hidden) = (self.streams, self.hidden);
            let workspace = &mut self.workspace;
            recurrent::backward(trace, recurrent, streams, hidden, &batch.reset, dh, dh_step, dc_step, workspace);

            let dgates = View::new(&trace.gates, rows, 4 * hidden);
            for line in trace.gates.chunks_exact(4 * hidden) {
                add(slots.b.of_mut(gradient), line);
            }
            packed.pack(View::new(&trace.h_in, rows, hidden));
            multiply(slots.r.of_mut(gradient), dgates.transposed(), packed, false, workspace);
            let (input, width) = if index == 0 { (&self.x, INPUT_WIDTH) } else { (&self.outputs[index - 1], hidden) };
            packed.pack(View::new(input, rows, width));
            multiply(slots.w.of_mut(gradient), dgates.transposed(), packed, false, workspace);
            let below = if index == 0 { &mut *dx } else { &mut *dh };
            multiply(below, dgates, &weights.input[index].backward, false, workspace);
        }
        scatter_embeddings(layout, batch, dx, gradient);
    }

    /// The gradient of all parameters that [`Self::backward`] left.
    pub fn gradient(&self) -> &[f32] {
        self.backward.as_ref().map_or(&[], |backward| &backward.gradient)
    }
}

fn scatter_embeddings(layout: &Layout, batch: &Batch, dx: &[f32], gradient: &mut [f32]) {
    let mut first = 0;
    for (index, (slot, width)) in layout.embeddings.iter().zip(EMBEDDING_WIDTHS).enumerate() {
        let table = slot.of_mut(gradient);
        for (row, dx) in dx.chunks_exact(INPUT_WIDTH).enumerate() {
            let class = batch.input_class(index, row);
            add(&mut table[class * width..(class + 1) * width], &dx[first..first + width]);
        }
        first += width;
    }
}
