//! The parameters of the network: one flat buffer of floats with named, shaped parts.
//!
//! ```text
//! last note's classes --Gather--> five embeddings, joined: x           (time, batch, 160)
//! x --LSTM x layers--> h_top                                            (time, batch, hidden)
//! context = h_top * context.w + context.b                               (time, batch, 4 x head)
//! for each attribute a in the order shift, key, duration, velocity:
//!   u_a      = tanh(context[a] + sum over b before a of head.a.from_b[next_b])     (time, batch, head)
//!   logits_a = u_a * head.a.w + head.a.b                                (time, batch, classes of a)
//! ```
//! `context[a]` is the a-th quarter of `context`: the LSTM computes what all four heads need once a note, and the heads
//! alone are cheap to ask again. An LSTM layer is ONNX's: gates in the order i, o, f, c; weights (4 x hidden, inputs):
//!
//! ```text
//! i, o, f = sigmoid(W x + R h + b)   g = tanh(W x + R h + b)   c' = f c + i g   h' = o tanh(c')
//! ```

#![expect(clippy::cast_precision_loss, reason = "sizes of layers are far below 2^24")]

use antiphon::note_model::{Attribute, Sizes};

use crate::random::Draws;

/// Widths of the embeddings: shift, key, duration, velocity, style.
pub const EMBEDDING_WIDTHS: [usize; 5] = [32, 64, 32, 16, 16];
/// Width of the five embeddings joined: the input of the first layer.
pub const INPUT_WIDTH: usize = 160;
/// Names of the five embeddings.
pub const EMBEDDING_NAMES: [&str; 5] = ["shift", "key", "duration", "velocity", "style"];

/// Where a matrix (rows, cols) lies in the flat buffer; row-major.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot {
    /// First float.
    pub offset: usize,
    /// Rows.
    pub rows: usize,
    /// Columns.
    pub cols: usize,
}

impl Slot {
    /// Number of floats.
    pub fn len(&self) -> usize {
        self.rows * self.cols
    }

    /// Whether the part holds nothing.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The part in `all`.
    pub fn of<'a>(&self, all: &'a [f32]) -> &'a [f32] {
        &all[self.offset..self.offset + self.len()]
    }

    /// The part in `all`, to write.
    pub fn of_mut<'a>(&self, all: &'a mut [f32]) -> &'a mut [f32] {
        &mut all[self.offset..self.offset + self.len()]
    }
}

/// One LSTM layer.
#[derive(Clone, Copy, Debug)]
pub struct LayerSlots {
    /// From the layer below, (4 x hidden, inputs).
    pub w: Slot,
    /// From the step before, (4 x hidden, hidden).
    pub r: Slot,
    /// Bias, (1, 4 x hidden).
    pub b: Slot,
}

/// One head.
#[derive(Clone, Debug)]
pub struct HeadSlots {
    /// From each attribute before it, in chain-rule order, (classes of that, head).
    pub from: Vec<Slot>,
    /// To the logits, (head, classes).
    pub w: Slot,
    /// Bias of the logits, (1, classes).
    pub b: Slot,
}

/// The parts of the network and where they lie.
#[derive(Clone, Debug)]
pub struct Layout {
    /// Sizes of the network.
    pub sizes: Sizes,
    /// Number of styles, with `any`.
    pub styles: usize,
    /// The five embeddings; those of the note have one row more than classes, for "no note yet".
    pub embeddings: [Slot; 5],
    /// LSTM layers, the lowest first.
    pub layers: Vec<LayerSlots>,
    /// From the top layer to the heads, (hidden, 4 x head).
    pub context_w: Slot,
    /// Bias of it, (1, 4 x head).
    pub context_b: Slot,
    /// The heads in chain-rule order.
    pub heads: [HeadSlots; 4],
    /// Floats in all.
    pub total: usize,
}

impl Layout {
    /// Lays a network of these sizes out.
    pub fn new(sizes: Sizes, styles: usize) -> Self {
        let mut total = 0;
        let mut slot = |rows: usize, cols: usize| {
            let slot = Slot { offset: total, rows, cols };
            total += rows * cols;
            slot
        };
        let classes = Attribute::ALL.map(Attribute::classes);
        let rows = [classes[0] + 1, classes[1] + 1, classes[2] + 1, classes[3] + 1, styles];
        let embeddings = [0, 1, 2, 3, 4].map(|index: usize| slot(rows[index], EMBEDDING_WIDTHS[index]));
        let Sizes { layers, hidden, head } = sizes;
        let layers = (0..layers)
            .map(|layer| LayerSlots {
                w: slot(4 * hidden, if layer == 0 { INPUT_WIDTH } else { hidden }),
                r: slot(4 * hidden, hidden),
                b: slot(1, 4 * hidden),
            })
            .collect();
        let (context_w, context_b) = (slot(hidden, 4 * head), slot(1, 4 * head));
        let heads = [0, 1, 2, 3].map(|a: usize| HeadSlots {
            from: classes[..a].iter().map(|&classes| slot(classes, head)).collect(),
            w: slot(head, classes[a]),
            b: slot(1, classes[a]),
        });
        Self { sizes, styles, embeddings, layers, context_w, context_b, heads, total }
    }

    /// Every part with its name, as the exported file has them.
    pub fn named(&self) -> Vec<(String, Slot)> {
        let mut named = Vec::new();
        for (name, slot) in EMBEDDING_NAMES.into_iter().zip(self.embeddings) {
            named.push((format!("embedding.{name}"), slot));
        }
        for (index, layer) in self.layers.iter().enumerate() {
            named.push((format!("lstm.{index}.w"), layer.w));
            named.push((format!("lstm.{index}.r"), layer.r));
            named.push((format!("lstm.{index}.b"), layer.b));
        }
        named.push(("context.w".into(), self.context_w));
        named.push(("context.b".into(), self.context_b));
        for (attribute, head) in Attribute::ALL.into_iter().zip(&self.heads) {
            let name = attribute.name();
            for (before, slot) in Attribute::ALL.into_iter().zip(&head.from) {
                named.push((format!("head.{name}.from_{}", before.name()), *slot));
            }
            named.push((format!("head.{name}.w"), head.w));
            named.push((format!("head.{name}.b"), head.b));
        }
        named
    }

    /// First weights. The heads begin near zero, so that the first loss is near the logarithm of the class counts;
    /// forget gates begin open (bias 1), so that memory is the rule (Jozefowicz et al. 2015).
    pub fn initial(&self, seed: u64) -> Vec<f32> {
        let mut draws = Draws::new(seed, 0);
        let mut all = vec![0.0; self.total];
        let mut fill = |slot: &Slot, limit: f32| {
            for value in slot.of_mut(&mut all) {
                *value = draws.between(-limit, limit);
            }
        };
        // Uniform with deviation 1 / sqrt(inputs): a product is then about as large as what goes in. Embeddings have
        // deviation 1, and what an LSTM layer gives, which is about a third, is enlarged: else the layers above hear
        // hardly anything at first, and training stands still for hundreds of steps.
        const GAIN: f32 = 3.0;
        let fan = |inputs: usize| (3.0 / inputs as f32).sqrt();
        self.embeddings.iter().for_each(|slot| fill(slot, fan(1)));
        for (index, layer) in self.layers.iter().enumerate() {
            fill(&layer.w, fan(layer.w.cols) * if index == 0 { 1.0 } else { GAIN });
            fill(&layer.r, fan(layer.r.cols));
        }
        fill(&self.context_w, GAIN * fan(self.sizes.hidden));
        for head in &self.heads {
            head.from.iter().for_each(|slot| fill(slot, 0.5));
            fill(&head.w, 0.2 * fan(self.sizes.head));
        }
        let hidden = self.sizes.hidden;
        for layer in &self.layers {
            layer.b.of_mut(&mut all)[2 * hidden..3 * hidden].fill(1.0);
        }
        all
    }
}
