//! Writes what the PyTorch trainer must compute too: a batch, its logits, losses and gradients, and three steps of the
//! optimiser. `parity OUT.safetensors`; read by `tools/train-distributed/test_parity.py`.

use std::path::PathBuf;

use antiphon::note_model::{Attribute, NoteClasses, Sizes, TimeBins};
use antiphon::time::SessionDuration;
use antiphon_train::adam::Adam;
use antiphon_train::batches::Batch;
use antiphon_train::network::Layout;
use antiphon_train::random::Draws;
use antiphon_train::shard::Shard;
use antiphon_train::tensors::Tensors;
use antiphon_train::weights::Weights;
use anyhow::Context;
use serde_json::json;

const SIZES: Sizes = Sizes { layers: 2, hidden: 48, head: 32 };
const STYLES: usize = 3;
const STREAMS: usize = 6;
const TIME: usize = 40;
const STEPS: usize = 3;
const RATE: f32 = 0.004;
/// The loss is enlarged by this, so that the first gradients are clipped and the later ones less.
const SCALE: f32 = 2.0;

fn main() -> anyhow::Result<()> {
    let out: PathBuf = std::env::args_os().nth(1).context("usage: parity OUT.safetensors")?.into();
    let layout = Layout::new(SIZES, STYLES);
    let mut draws = Draws::new(7, 7);
    // Weights larger than the first ones, so that no gate and no head is idle.
    let values = layout.initial(7).iter().map(|value| value + draws.between(-0.1, 0.1)).collect();
    let mut weights = Weights::new(layout.clone(), values);
    let batch = random_batch(&mut draws);
    let (h, c) = (carried_state(&mut draws, 0.9), carried_state(&mut draws, 2.0));

    let mut tensors = Tensors::default();
    write_batch(&mut tensors, &batch);
    for (name, state) in [("h", &h), ("c", &c)] {
        tensors.floats(name, &[SIZES.layers, STREAMS, SIZES.hidden], &state.concat());
    }
    tensors.network("weights.0.", &layout, &weights.values);

    let scale = SCALE / f32::from(u16::try_from(batch.rows())?);
    let mut adam = Adam::new(layout.total);
    let mut sum = vec![0.0; layout.total];
    for step in 1..=STEPS {
        let mut shard = Shard::new(&layout, STREAMS, TIME, true);
        (shard.h, shard.c) = (h.clone(), c.clone());
        shard.forward(&weights, &batch, None);
        if step == 1 {
            for attribute in Attribute::ALL {
                let logits = shard.logits(&weights, &batch, attribute.index());
                let shape = [TIME, STREAMS, attribute.classes()];
                tensors.floats(format!("logits.{}", attribute.name()), &shape, logits);
            }
        }
        shard.backward(&weights, &batch, scale, false);
        let losses: f32 = shard.heads.nll.iter().flatten().sum();
        tensors.floats(format!("loss.{step}"), &[1], &[losses * scale]);
        tensors.network(&format!("gradients.{step}."), &layout, shard.gradient());
        let norm = adam.step(&mut weights.values, &[shard.gradient()], &mut sum, RATE);
        println!("step {step}: loss {:.6}, norm of the gradient {norm:.6}", losses * scale);
        weights.pack();
        tensors.network(&format!("weights.{step}."), &layout, &weights.values);
    }
    write_classes(&mut tensors, &mut draws);
    let settings = json!({
        "layers": SIZES.layers, "hidden": SIZES.hidden, "head": SIZES.head, "styles": STYLES,
        "classes": Attribute::ALL.map(Attribute::classes), "rate": RATE, "scale": scale, "steps": STEPS,
        "shift_cells": TimeBins::shift().boundaries(), "duration_cells": TimeBins::duration().boundaries(),
    });
    tensors.save(&out, settings.to_string())?;
    Ok(())
}

/// Pieces that begin at the beginning, in the middle and not at all; some velocities do not count.
fn random_batch(draws: &mut Draws) -> Batch {
    let mut batch = Batch::new(STREAMS, TIME);
    let note = |draws: &mut Draws| {
        NoteClasses(
            Attribute::ALL
                .map(|attribute| u8::try_from(draws.below(attribute.classes())).expect("at most 256 classes")),
        )
    };
    for stream in 0..STREAMS {
        let mut last = (stream % 2 == 0).then(|| note(draws));
        let style = u8::try_from(draws.below(STYLES)).expect("few styles");
        for row in (stream..batch.rows()).step_by(STREAMS) {
            let next = note(draws);
            batch.set(row, last, next, style, [true, true, true, stream != 1]);
            last = (!draws.chance(0.1)).then_some(next);
        }
    }
    batch
}

fn carried_state(draws: &mut Draws, limit: f32) -> Vec<Vec<f32>> {
    let mut layer = || (0..STREAMS * SIZES.hidden).map(|_| draws.between(-limit, limit)).collect();
    (0..SIZES.layers).map(|_| layer()).collect()
}

/// All (time, streams), the four attributes in front.
fn write_batch(tensors: &mut Tensors, batch: &Batch) {
    let one = [TIME, STREAMS];
    let four = [4, TIME, STREAMS];
    tensors.integers("batch.last", &four, batch.last.iter().flatten().map(|&class| i64::from(class)));
    tensors.integers("batch.next", &four, batch.next.iter().flatten().map(|&class| i64::from(class)));
    tensors.integers("batch.style", &one, batch.style.iter().map(|&style| i64::from(style)));
    tensors.bytes("batch.reset", &one, batch.reset.iter().map(|&reset| u8::from(reset)));
    tensors.bytes("batch.counted", &four, batch.counted.iter().flatten().map(|&counted| u8::from(counted)));
}

/// Times, those at the edges of classes among them, with their classes.
fn write_classes(tensors: &mut Tensors, draws: &mut Draws) {
    let edges = (0..2100).flat_map(|cell: u64| [cell * 10_000 + 4_999, cell * 10_000 + 5_000]);
    let times: Vec<u64> = edges.chain((0..2000).map(|_| draws.below(25_000_000) as u64)).collect();
    let count = [times.len()];
    tensors.integers("times_us", &count, times.iter().map(|&us| i64::try_from(us).unwrap_or(i64::MAX)));
    for (name, bins) in [("shift_of_times", TimeBins::shift()), ("duration_of_times", TimeBins::duration())] {
        tensors.bytes(name, &count, times.iter().map(|&us| bins.class_of(SessionDuration::from_micros(us))));
    }
}
