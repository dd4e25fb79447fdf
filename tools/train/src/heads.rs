//! The four heads: from the context to the loss of each attribute, and back.
//!
//! Each head sees the true classes of the attributes before it (teacher forcing), as the chain rule asks:
//! `p(note) = p(shift) p(key | shift) p(duration | shift, key) p(velocity | shift, key, duration)`.

use antiphon::note_model::Attribute;

use crate::activation::{exp, tanh};
use crate::batches::Batch;
use crate::matrix::{Packed, View, Workspace, multiply};
use crate::network::HeadSlots;
use crate::simd;
use crate::weights::Weights;

/// Room for one head at a time; rows are (time x streams).
#[derive(Clone, Debug)]
pub struct Heads {
    /// Units after `tanh`, (rows, head).
    u: Vec<f32>,
    /// Their gradient, (rows, head).
    du: Vec<f32>,
    /// Logits, then their gradient, (rows, classes).
    pub logits: Vec<f32>,
    /// Negative log-likelihood in nats, each attribute, (rows); zero where nothing is counted.
    pub nll: [Vec<f32>; 4],
    packed: Packed,
}

impl Heads {
    /// Room for `rows` notes.
    pub fn new(rows: usize, head: usize) -> Self {
        let widest = Attribute::ALL.map(Attribute::classes).into_iter().max().unwrap_or(0);
        Self {
            u: vec![0.0; rows * head],
            du: vec![0.0; rows * head],
            logits: vec![0.0; rows * widest],
            nll: [const { Vec::new() }; 4].map(|_: Vec<f32>| vec![0.0; rows]),
            packed: Packed::default(),
        }
    }

    /// Logits of one attribute from `context` (rows, 4 x head).
    pub fn forward(
        &mut self,
        attribute: usize,
        weights: &Weights,
        context: &[f32],
        batch: &Batch,
        workspace: &mut Workspace,
    ) {
        let head = weights.layout.sizes.head;
        let slots = &weights.layout.heads[attribute];
        for (row, u) in self.u.chunks_exact_mut(head).enumerate() {
            let start = row * 4 * head + attribute * head;
            u.copy_from_slice(&context[start..start + head]);
            for (table, next) in slots.from.iter().zip(&batch.next) {
                let class = usize::from(next[row]);
                add(u, &table.of(&weights.values)[class * head..(class + 1) * head]);
            }
        }
        simd::widest(
            #[inline(always)]
            || self.u.iter_mut().for_each(|u| *u = tanh(*u)),
        );
        let classes = slots.w.cols;
        let rows = batch.rows();
        for logits in self.logits[..rows * classes].chunks_exact_mut(classes) {
            logits.copy_from_slice(slots.b.of(&weights.values));
        }
        let u = View::new(&self.u, rows, head);
        multiply(&mut self.logits, u, &weights.heads[attribute].forward, true, workspace);
    }

    /// Turns the logits into negative log-likelihoods and into their own gradient, times `scale`.
    pub fn losses(&mut self, attribute: usize, classes: usize, batch: &Batch, scale: f32) {
        let rows = batch.rows();
        let nll = &mut self.nll[attribute];
        for (row, logits) in self.logits[..rows * classes].chunks_exact_mut(classes).enumerate() {
            if !batch.counted[attribute][row] {
                logits.fill(0.0);
                nll[row] = 0.0;
                continue;
            }
            let class = usize::from(batch.next[attribute][row]);
            nll[row] = simd::widest(
                #[inline(always)]
                || softmax_loss(logits, class, scale),
            );
        }
    }

    /// Gradients of one head: into `gradient` (all parameters) and `dcontext` (rows, 4 x head), whose quarter is set.
    pub fn backward(
        &mut self,
        attribute: usize,
        weights: &Weights,
        batch: &Batch,
        gradient: &mut [f32],
        dcontext: &mut [f32],
        workspace: &mut Workspace,
    ) {
        let head = weights.layout.sizes.head;
        let slots: &HeadSlots = &weights.layout.heads[attribute];
        let (rows, classes) = (batch.rows(), slots.w.cols);
        let dlogits = View::new(&self.logits, rows, classes);
        self.packed.pack(dlogits);
        let u = View::new(&self.u, rows, head);
        multiply(slots.w.of_mut(gradient), u.transposed(), &self.packed, true, workspace);
        for line in self.logits[..rows * classes].chunks_exact(classes) {
            add(slots.b.of_mut(gradient), line);
        }
        multiply(&mut self.du, dlogits, &weights.heads[attribute].backward, false, workspace);
        simd::widest(
            #[inline(always)]
            || self.du.iter_mut().zip(&self.u).for_each(|(du, u)| *du *= 1.0 - u * u),
        );
        for (row, du) in self.du.chunks_exact(head).enumerate() {
            let start = row * 4 * head + attribute * head;
            dcontext[start..start + head].copy_from_slice(du);
            for (table, next) in slots.from.iter().zip(&batch.next) {
                let class = usize::from(next[row]);
                add(&mut table.of_mut(gradient)[class * head..(class + 1) * head], du);
            }
        }
    }
}

/// `to += from`.
pub fn add(to: &mut [f32], from: &[f32]) {
    to.iter_mut().zip(from).for_each(|(to, from)| *to += from);
}

/// Softmax and cross-entropy: the loss of `class` in nats; `logits` become `(p - onehot) * scale`.
#[expect(clippy::inline_always, reason = "compiled for the instructions of the caller")]
#[inline(always)]
fn softmax_loss(logits: &mut [f32], class: usize, scale: f32) -> f32 {
    let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let own = logits[class];
    let mut sum = [0.0f32; 16];
    for block in logits.chunks_mut(16) {
        for (value, sum) in block.iter_mut().zip(&mut sum) {
            *value = exp(*value - largest);
            *sum += *value;
        }
    }
    let sum: f32 = sum.iter().sum();
    let factor = scale / sum;
    logits.iter_mut().for_each(|value| *value *= factor);
    logits[class] -= scale;
    sum.ln() + largest - own
}
