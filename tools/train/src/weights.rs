//! The weights of one training step, packed once for all the products that read them.

use rayon::prelude::*;

use crate::matrix::{Packed, View};
use crate::network::{Layout, Slot};

/// A matrix packed for the forward and for the backward product.
#[derive(Clone, Debug, Default)]
pub struct Both {
    /// For `out = in x m`.
    pub forward: Packed,
    /// For `d_in = d_out x m^T`.
    pub backward: Packed,
}

/// Everything that a step reads and does not change.
pub struct Weights {
    /// Where the parts lie.
    pub layout: Layout,
    /// All parameters.
    pub values: Vec<f32>,
    /// From the layer below, each layer: (inputs, 4 x hidden).
    pub input: Vec<Both>,
    /// From the step before, each layer: (hidden, 4 x hidden).
    pub recurrent: Vec<Both>,
    /// From the top layer: (hidden, 4 x head).
    pub context: Both,
    /// To the logits, each head: (head, classes).
    pub heads: [Both; 4],
}

impl Weights {
    /// Takes parameters over and packs them.
    pub fn new(layout: Layout, values: Vec<f32>) -> Self {
        assert_eq!(values.len(), layout.total, "as many parameters as the layout has");
        let layers = layout.layers.len();
        let mut weights = Self {
            layout,
            values,
            input: vec![Both::default(); layers],
            recurrent: vec![Both::default(); layers],
            context: Both::default(),
            heads: Default::default(),
        };
        weights.pack();
        weights
    }

    /// Packs anew, after the parameters have changed.
    pub fn pack(&mut self) {
        let (layout, values) = (&self.layout, &self.values);
        // ONNX keeps LSTM weights as (outputs, inputs), the others stand as (inputs, outputs).
        let mut work: Vec<(&mut Packed, View<'_>)> = Vec::new();
        let view = |slot: Slot| View::new(slot.of(values), slot.rows, slot.cols);
        let layers = layout.layers.iter().zip(self.input.iter_mut().zip(&mut self.recurrent));
        for (slots, (input, recurrent)) in layers {
            work.push((&mut input.forward, view(slots.w).transposed()));
            work.push((&mut input.backward, view(slots.w)));
            work.push((&mut recurrent.forward, view(slots.r).transposed()));
            work.push((&mut recurrent.backward, view(slots.r)));
        }
        let heads = layout.heads.iter().map(|head| head.w).zip(&mut self.heads);
        for (slot, both) in heads.chain([(layout.context_w, &mut self.context)]) {
            work.push((&mut both.forward, view(slot)));
            work.push((&mut both.backward, view(slot).transposed()));
        }
        work.into_par_iter().for_each(|(packed, view)| packed.pack(view));
    }
}
