//! The analytic gradients against finite differences of a slow reference in double precision.

use antiphon::note_model::{Attribute, NoteClasses, Sizes};
use antiphon_train::batches::Batch;
use antiphon_train::network::{Layout, Slot};
use antiphon_train::random::Draws;
use antiphon_train::shard::Shard;
use antiphon_train::weights::Weights;

/// The network in plain loops, for one batch: the sum of all losses that count, in nats.
fn reference_loss(layout: &Layout, p: &[f64], batch: &Batch) -> f64 {
    let at = |slot: &Slot, row: usize, col: usize| p[slot.offset + row * slot.cols + col];
    let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
    let (hidden, head) = (layout.sizes.hidden, layout.sizes.head);
    let zero = vec![vec![0.0; hidden]; layout.layers.len()];
    let mut loss = 0.0;
    for stream in 0..batch.streams {
        let (mut h, mut c) = (zero.clone(), zero.clone());
        for row in (stream..batch.rows()).step_by(batch.streams) {
            if batch.reset[row] {
                (h, c) = (zero.clone(), zero.clone());
            }
            let mut x = Vec::new();
            for (index, slot) in layout.embeddings.iter().enumerate() {
                x.extend((0..slot.cols).map(|col| at(slot, batch.input_class(index, row), col)));
            }
            for (index, layer) in layout.layers.iter().enumerate() {
                let gate = |g: usize| -> f64 {
                    let below: f64 = x.iter().enumerate().map(|(i, x)| at(&layer.w, g, i) * x).sum();
                    let before: f64 = h[index].iter().enumerate().map(|(i, h)| at(&layer.r, g, i) * h).sum();
                    below + before + at(&layer.b, 0, g)
                };
                let gates: Vec<f64> = (0..4 * hidden).map(gate).collect();
                for j in 0..hidden {
                    let (i, o, f, g) = (gates[j], gates[hidden + j], gates[2 * hidden + j], gates[3 * hidden + j]);
                    c[index][j] = sigmoid(f) * c[index][j] + sigmoid(i) * g.tanh();
                    h[index][j] = sigmoid(o) * c[index][j].tanh();
                }
                x = h[index].clone();
            }
            let context: Vec<f64> = (0..4 * head)
                .map(|k| {
                    at(&layout.context_b, 0, k) + (0..hidden).map(|j| x[j] * at(&layout.context_w, j, k)).sum::<f64>()
                })
                .collect();
            for (a, slots) in layout.heads.iter().enumerate().filter(|(a, _)| batch.counted[*a][row]) {
                let u: Vec<f64> = (0..head)
                    .map(|k| {
                        let seen = slots.from.iter().zip(&batch.next);
                        let seen: f64 = seen.map(|(table, next)| at(table, usize::from(next[row]), k)).sum();
                        (context[a * head + k] + seen).tanh()
                    })
                    .collect();
                let logits: Vec<f64> = (0..slots.w.cols)
                    .map(|class| at(&slots.b, 0, class) + (0..head).map(|k| u[k] * at(&slots.w, k, class)).sum::<f64>())
                    .collect();
                let sum: f64 = logits.iter().map(|logit| logit.exp()).sum();
                loss += sum.ln() - logits[usize::from(batch.next[a][row])];
            }
        }
    }
    loss
}

fn random_note(draws: &mut Draws) -> NoteClasses {
    NoteClasses(Attribute::ALL.map(|a| u8::try_from(draws.below(a.classes())).expect("a class fits a byte")))
}

/// Three streams of five notes; pieces begin in the middle, and some velocities do not count.
fn small_batch() -> Batch {
    let mut draws = Draws::new(5, 1);
    let mut batch = Batch::new(3, 5);
    let mut last: [Option<NoteClasses>; 3] = [None; 3];
    for row in 0..batch.rows() {
        let (stream, time) = (row % 3, row / 3);
        if (stream, time) == (1, 2) {
            last[stream] = None;
        }
        let next = random_note(&mut draws);
        batch.set(row, last[stream], next, u8::from(stream == 2), [true, true, true, stream != 0]);
        last[stream] = Some(next);
    }
    batch
}

#[test]
fn every_group_of_parameters_has_the_gradient_of_finite_differences() {
    const SIZES: Sizes = Sizes { layers: 2, hidden: 7, head: 5 };
    let layout = Layout::new(SIZES, 2);
    // Larger weights than the first ones, so that every nonlinearity is felt.
    let mut draws = Draws::new(11, 0);
    let values: Vec<f32> = (0..layout.total).map(|_| draws.between(-0.5, 0.5)).collect();
    let batch = small_batch();
    let weights = Weights::new(layout.clone(), values.clone());
    let mut shard = Shard::new(&layout, 3, 5, true);
    shard.forward(&weights, &batch, None);
    shard.backward(&weights, &batch, 1.0, false);
    let gradient = shard.gradient();

    let mut exact: Vec<f64> = values.iter().map(|value| f64::from(*value)).collect();
    let own: f64 = shard.heads.nll.iter().flatten().map(|nll| f64::from(*nll)).sum();
    let reference = reference_loss(&layout, &exact, &batch);
    assert!((own - reference).abs() < 1e-4 * reference, "loss {own}, reference {reference}");

    for (name, slot) in layout.named() {
        let part = slot.of(gradient);
        let largest = part.iter().fold(0.0f32, |largest, g| largest.max(g.abs()));
        assert!(largest > 0.0, "{name} has no gradient at all");
        let mut order: Vec<usize> = (0..slot.len()).collect();
        order.sort_by(|&a, &b| part[b].abs().total_cmp(&part[a].abs()));
        // The ten steepest, and ten anywhere: among these are rows that no note touched, with gradient zero.
        order.truncate(10);
        order.extend((0..10).map(|_| draws.below(slot.len())));
        for index in order {
            const STEP: f64 = 1e-5;
            let place = slot.offset + index;
            let value = exact[place];
            exact[place] = value + STEP;
            let above = reference_loss(&layout, &exact, &batch);
            exact[place] = value - STEP;
            let below = reference_loss(&layout, &exact, &batch);
            exact[place] = value;
            let expected = (above - below) / (2.0 * STEP);
            let found = f64::from(part[index]);
            let allowed = 1e-3 * expected.abs().max(f64::from(largest) * 0.05);
            assert!((found - expected).abs() < allowed, "{name}[{index}]: {found}, not {expected}");
        }
    }
}

#[test]
fn the_first_loss_is_near_that_of_knowing_nothing() {
    let layout = Layout::new(Sizes { layers: 2, hidden: 64, head: 32 }, 2);
    let weights = Weights::new(layout.clone(), layout.initial(1));
    let batch = small_batch();
    let mut shard = Shard::new(&layout, 3, 5, false);
    shard.forward(&weights, &batch, None);
    shard.score(&weights, &batch);
    for attribute in Attribute::ALL {
        let nll = &shard.heads.nll[attribute.index()];
        let counted = nll.iter().filter(|nll| **nll > 0.0);
        let mean = counted.clone().sum::<f32>() / f32::from(u16::try_from(counted.count()).expect("few"));
        let ignorance = f32::from(u16::try_from(attribute.classes()).expect("few")).ln();
        assert!((mean - ignorance).abs() < 0.1, "{attribute:?}: {mean}, not {ignorance}");
    }
}

#[test]
fn a_sequence_at_once_equals_its_notes_one_by_one() {
    let layout = Layout::new(Sizes { layers: 2, hidden: 40, head: 16 }, 2);
    let weights = Weights::new(layout.clone(), layout.initial(3));
    let batch = small_batch();
    let mut whole = Shard::new(&layout, 3, 5, false);
    whole.forward(&weights, &batch, None);
    let mut stepwise = Shard::new(&layout, 3, 1, false);
    for time in 0..5 {
        let mut one = Batch::new(3, 1);
        let rows = time * 3..(time + 1) * 3;
        for a in 0..4 {
            one.last[a].copy_from_slice(&batch.last[a][rows.clone()]);
            one.next[a].copy_from_slice(&batch.next[a][rows.clone()]);
        }
        one.style.copy_from_slice(&batch.style[rows.clone()]);
        one.reset.copy_from_slice(&batch.reset[rows.clone()]);
        stepwise.forward(&weights, &one, None);
        let width = 4 * 16;
        let part = &whole.context[rows.start * width..rows.end * width];
        let difference = part.iter().zip(&stepwise.context).fold(0.0f32, |worst, (a, b)| worst.max((a - b).abs()));
        assert!(difference < 1e-6, "time {time}: {difference}");
    }
}

#[test]
fn at_full_size_the_loss_rises_along_the_gradient_as_it_says() {
    let layout = Layout::new(Sizes { layers: 2, hidden: 320, head: 48 }, 2);
    let mut values = layout.initial(4);
    let mut draws = Draws::new(6, 0);
    let mut batch = Batch::new(16, 24);
    let mut last = [None; 16];
    for row in 0..batch.rows() {
        let next = random_note(&mut draws);
        batch.set(row, last[row % 16], next, 1, [true; 4]);
        last[row % 16] = Some(next);
    }
    let mut weights = Weights::new(layout.clone(), values.clone());
    let mut shard = Shard::new(&layout, 16, 24, true);
    shard.forward(&weights, &batch, None);
    shard.backward(&weights, &batch, 1.0, false);
    let gradient = shard.gradient().to_vec();
    // Each group on its own, so that a large one does not hide a small one.
    for (name, slot) in layout.named() {
        let part = slot.of(&gradient);
        let norm = part.iter().map(|g| f64::from(*g) * f64::from(*g)).sum::<f64>().sqrt();
        #[expect(clippy::cast_possible_truncation, reason = "a small step")]
        let step = (0.05 / norm) as f32;
        let mut losses = [0.0f64; 2];
        for (loss, sign) in losses.iter_mut().zip([step, -step]) {
            for (index, g) in part.iter().enumerate() {
                values[slot.offset + index] += sign * g;
            }
            weights.values.copy_from_slice(&values);
            weights.pack();
            let mut fresh = Shard::new(&layout, 16, 24, false);
            fresh.forward(&weights, &batch, None);
            fresh.score(&weights, &batch);
            *loss = fresh.heads.nll.iter().flatten().map(|nll| f64::from(*nll)).sum();
            for (index, g) in part.iter().enumerate() {
                values[slot.offset + index] -= sign * g;
            }
        }
        let slope = (losses[0] - losses[1]) / (2.0 * f64::from(step));
        assert!((slope / (norm * norm) - 1.0).abs() < 0.03, "{name}: slope {slope}, gradient {}", norm * norm);
    }
}
