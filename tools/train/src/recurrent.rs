//! The recurrent part of an LSTM layer: what happens from one time step to the next, forward and backward.
//!
//! This is the kernel that decides the speed. It takes a shard of parallel streams through a sequence; the product with
//! the layer's input is done before, for all time steps at once, and stands in `gates` already.
//!
//! Rows are time-major: row `t * streams + s` is stream `s` at time `t`.

#![expect(clippy::too_many_arguments, reason = "the kernel's operands are named one by one")]

use crate::activation::{sigmoid, tanh};
use crate::matrix::{Packed, View, Workspace, multiply};
use crate::simd;

/// What the forward pass keeps of one layer for the backward pass; rows are (time x streams).
#[derive(Clone, Debug)]
pub struct Trace {
    /// Gates i, o, f, c after their activation, (rows, 4 x hidden). The backward pass turns them into gradients.
    pub gates: Vec<f32>,
    /// Hidden state that each step began with, (rows, hidden).
    pub h_in: Vec<f32>,
    /// Cell state that each step began with, (rows, hidden).
    pub c_in: Vec<f32>,
    /// `tanh` of the cell state after the step, (rows, hidden).
    pub tanh_c: Vec<f32>,
    /// Hidden state after the step, (rows, hidden).
    pub h: Vec<f32>,
}

impl Trace {
    /// Room for `rows` steps.
    pub fn new(rows: usize, hidden: usize) -> Self {
        let state = || vec![0.0; rows * hidden];
        Self { gates: vec![0.0; rows * 4 * hidden], h_in: state(), c_in: state(), tanh_c: state(), h: state() }
    }
}

/// Forward: `gates` holds `W x + b` and becomes the activated gates. `h` and `c` (streams, hidden) are carried in and
/// out; a stream whose `reset` is true at a step begins that step with zeros.
pub fn forward(
    trace: &mut Trace,
    recurrent: &Packed, // (hidden, 4 x hidden)
    streams: usize,
    hidden: usize,
    reset: &[bool],
    h: &mut [f32],
    c: &mut [f32],
    workspace: &mut Workspace,
) {
    let wide = 4 * hidden * streams;
    let narrow = hidden * streams;
    for (t, reset) in reset.chunks_exact(streams).enumerate() {
        for (stream, _) in reset.iter().enumerate().filter(|(_, reset)| **reset) {
            h[stream * hidden..(stream + 1) * hidden].fill(0.0);
            c[stream * hidden..(stream + 1) * hidden].fill(0.0);
        }
        let now = t * narrow..(t + 1) * narrow;
        trace.h_in[now.clone()].copy_from_slice(h);
        trace.c_in[now.clone()].copy_from_slice(c);
        let gates = &mut trace.gates[t * wide..(t + 1) * wide];
        multiply(gates, View::new(h, streams, hidden), recurrent, true, workspace);
        let tanh_c = &mut trace.tanh_c[now.clone()];
        simd::widest(
            #[inline(always)]
            || {
                let rows = gates.chunks_exact_mut(4 * hidden).zip(h.chunks_exact_mut(hidden));
                let states = c.chunks_exact_mut(hidden).zip(tanh_c.chunks_exact_mut(hidden));
                for ((gates, h), (c, tanh_c)) in rows.zip(states) {
                    cell_forward(gates, h, c, tanh_c);
                }
            },
        );
        trace.h[now].copy_from_slice(h);
    }
}

/// Units that are computed at once: a block of each operand is read into registers before any is written, so that the
/// compiler need not ask whether the slices overlap, which left these loops scalar.
const LANES: usize = 16;

#[expect(clippy::inline_always, reason = "compiled for the instructions of the caller")]
#[inline(always)]
fn load(from: &[f32]) -> [f32; LANES] {
    match from.first_chunk::<LANES>() {
        Some(block) => *block,
        None => std::array::from_fn(|j| from.get(j).copied().unwrap_or(0.0)),
    }
}

#[expect(clippy::inline_always, reason = "compiled for the instructions of the caller")]
#[inline(always)]
fn store(to: &mut [f32], block: [f32; LANES]) {
    match to.first_chunk_mut::<LANES>() {
        Some(place) => *place = block,
        None => to.iter_mut().zip(block).for_each(|(to, value)| *to = value),
    }
}

#[expect(clippy::inline_always, reason = "compiled for the instructions of the caller")]
#[inline(always)]
fn cell_forward(gates: &mut [f32], h: &mut [f32], c: &mut [f32], tanh_c: &mut [f32]) {
    let hidden = h.len();
    let (i_all, rest) = gates.split_at_mut(hidden);
    let (o_all, rest) = rest.split_at_mut(hidden);
    let (f_all, g_all) = rest.split_at_mut(hidden);
    for j in (0..hidden).step_by(LANES) {
        let [mut i, mut o, mut f, mut g] = [load(&i_all[j..]), load(&o_all[j..]), load(&f_all[j..]), load(&g_all[j..])];
        let (mut c_new, mut t, mut h_new) = (load(&c[j..]), [0.0; LANES], [0.0; LANES]);
        for k in 0..LANES {
            i[k] = sigmoid(i[k]);
            o[k] = sigmoid(o[k]);
            f[k] = sigmoid(f[k]);
            g[k] = tanh(g[k]);
            c_new[k] = f[k] * c_new[k] + i[k] * g[k];
            t[k] = tanh(c_new[k]);
            h_new[k] = o[k] * t[k];
        }
        store(&mut i_all[j..], i);
        store(&mut o_all[j..], o);
        store(&mut f_all[j..], f);
        store(&mut g_all[j..], g);
        store(&mut c[j..], c_new);
        store(&mut tanh_c[j..], t);
        store(&mut h[j..], h_new);
    }
}

/// Backward through the sequence: `dh` (rows, hidden) is the gradient from above; `trace.gates` becomes the gradient of
/// the gates before their activation. `dh_step` and `dc_step` (streams, hidden) are room for the gradient from the later
/// step; nothing flows in from beyond the sequence's end (truncated back-propagation), nor through a reset.
pub fn backward(
    trace: &mut Trace,
    recurrent: &Packed, // (4 x hidden, hidden)
    streams: usize,
    hidden: usize,
    reset: &[bool],
    dh: &[f32],
    dh_step: &mut [f32],
    dc_step: &mut [f32],
    workspace: &mut Workspace,
) {
    let wide = 4 * hidden * streams;
    let narrow = hidden * streams;
    dh_step.fill(0.0);
    dc_step.fill(0.0);
    for (t, reset) in reset.chunks_exact(streams).enumerate().rev() {
        let now = t * narrow..(t + 1) * narrow;
        let gates = &mut trace.gates[t * wide..(t + 1) * wide];
        let (c_in, tanh_c, dh) = (&trace.c_in[now.clone()], &trace.tanh_c[now.clone()], &dh[now]);
        simd::widest(
            #[inline(always)]
            || {
                let rows = gates.chunks_exact_mut(4 * hidden).zip(dc_step.chunks_exact_mut(hidden));
                let states = c_in.chunks_exact(hidden).zip(tanh_c.chunks_exact(hidden));
                let above = dh.chunks_exact(hidden).zip(dh_step.chunks_exact(hidden));
                for (((gates, dc), (c_in, tanh_c)), (dh, dh_step)) in rows.zip(states).zip(above) {
                    cell_backward(gates, dc, c_in, tanh_c, dh, dh_step);
                }
            },
        );
        multiply(dh_step, View::new(gates, streams, 4 * hidden), recurrent, false, workspace);
        for (stream, _) in reset.iter().enumerate().filter(|(_, reset)| **reset) {
            dh_step[stream * hidden..(stream + 1) * hidden].fill(0.0);
            dc_step[stream * hidden..(stream + 1) * hidden].fill(0.0);
        }
    }
}

#[expect(clippy::inline_always, reason = "compiled for the instructions of the caller")]
#[inline(always)]
fn cell_backward(gates: &mut [f32], dc: &mut [f32], c_in: &[f32], tanh_c: &[f32], dh: &[f32], dh_step: &[f32]) {
    let hidden = dc.len();
    let (i, rest) = gates.split_at_mut(hidden);
    let (o, rest) = rest.split_at_mut(hidden);
    let (f, g) = rest.split_at_mut(hidden);
    for j in (0..hidden).step_by(LANES) {
        let [mut i_b, mut o_b, mut f_b, mut g_b] = [load(&i[j..]), load(&o[j..]), load(&f[j..]), load(&g[j..])];
        let (c_b, t_b) = (load(&c_in[j..]), load(&tanh_c[j..]));
        let (above, later, mut dc_b) = (load(&dh[j..]), load(&dh_step[j..]), load(&dc[j..]));
        for k in 0..LANES {
            let dh = above[k] + later[k];
            let total = dc_b[k] + dh * o_b[k] * (1.0 - t_b[k] * t_b[k]);
            dc_b[k] = total * f_b[k];
            let (di, df, dg) = (total * g_b[k], total * c_b[k], total * i_b[k]);
            o_b[k] = dh * t_b[k] * o_b[k] * (1.0 - o_b[k]);
            i_b[k] = di * i_b[k] * (1.0 - i_b[k]);
            f_b[k] = df * f_b[k] * (1.0 - f_b[k]);
            g_b[k] = dg * (1.0 - g_b[k] * g_b[k]);
        }
        store(&mut dc[j..], dc_b);
        store(&mut i[j..], i_b);
        store(&mut o[j..], o_b);
        store(&mut f[j..], f_b);
        store(&mut g[j..], g_b);
    }
}
