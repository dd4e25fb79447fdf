//! Our part of `make bench-train`: trains a few steps each time when it is told to.
//!
//! `train_speed LAYERS HIDDEN HEAD BATCH SEQUENCE THREADS`; first it says
//! `{"flop_per_note":…,"parameters":…,"classes":[…]}`. A line with a number of steps asks to train them, the line `peak` to multiply
//! large matrices; the answers are `{"seconds":…,"rss_mb":…}` and `{"gflops":…}`.

#![expect(clippy::cast_precision_loss, reason = "counts of floating-point operations, to three digits")]

use std::io::BufRead as _;
use std::time::Instant;

use antiphon::note::Note;
use antiphon::note_model::{Attribute, Sizes};
use antiphon::time::{SessionDuration, SessionTime};
use antiphon_train::config::Config;
use antiphon_train::dataset::{Dataset, Piece};
use antiphon_train::matrix::{Packed, View, Workspace, multiply};
use antiphon_train::network::Layout;
use antiphon_train::random::Draws;
use antiphon_train::streams::Source;
use antiphon_train::trainer::Trainer;
use anyhow::{Context, bail};
use rayon::prelude::*;
use serde_json::json;

/// Side of the large matrices of which the peak is measured, and how often each thread multiplies them.
const SIDE: usize = 1024;
const TIMES: usize = 3;

fn main() -> anyhow::Result<()> {
    let numbers: Result<Vec<usize>, _> = std::env::args().skip(1).map(|number| number.parse()).collect();
    let Ok([layers, hidden, head, batch, sequence, threads]) = numbers.as_deref() else {
        bail!("usage: train_speed LAYERS HIDDEN HEAD BATCH SEQUENCE THREADS")
    };
    let sizes = Sizes { layers: *layers, hidden: *hidden, head: *head };
    let config = Config { sizes, sequence: *sequence, batch: *batch, threads: *threads, ..Config::default() };
    let pool = rayon::ThreadPoolBuilder::new().num_threads(config.threads).build()?;
    pool.install(|| answer(&config))
}

fn answer(config: &Config) -> anyhow::Result<()> {
    let dataset = random_pieces();
    let layout = Layout::new(config.sizes, dataset.styles.len());
    let source = Source::new(&dataset, &config.weights, config.seed)?;
    let classes = Attribute::ALL.map(Attribute::classes);
    let flop_per_note = flop_per_note(&layout);
    println!("{}", json!({ "flop_per_note": flop_per_note, "parameters": layout.total, "classes": classes }));
    let mut trainer = Trainer::new(config, layout, source);
    for line in std::io::stdin().lock().lines() {
        match line?.trim() {
            "peak" => println!("{}", json!({ "gflops": peak_gflops(config.threads) })),
            steps => {
                let steps: usize = steps.parse().context("expected: peak, or a number of steps")?;
                let begin = Instant::now();
                for _ in 0..steps {
                    let step = trainer.step(config.rate);
                    anyhow::ensure!(step.sum().is_finite(), "the training has diverged");
                }
                println!("{}", json!({ "seconds": begin.elapsed().as_secs_f64(), "rss_mb": peak_memory_mb() }));
            }
        }
    }
    Ok(())
}

/// Each weight of a matrix is multiplied and added once forward, once for its own gradient and once for its input's.
fn flop_per_note(layout: &Layout) -> usize {
    let layers = layout.layers.iter().flat_map(|layer| [layer.w, layer.r]);
    let matrices = layers.chain([layout.context_w]).chain(layout.heads.iter().map(|head| head.w));
    matrices.map(|matrix| 6 * matrix.len()).sum()
}

/// Notes of all kinds; what they are does not change the speed.
fn random_pieces() -> Dataset {
    let mut draws = Draws::new(1, 1);
    let mut piece = |number: usize| {
        let mut onset = 0;
        let notes = (0..3000).map(|_| {
            onset += draws.below(400_000) as u64;
            Note {
                onset: SessionTime::from_micros(onset),
                key: u8::try_from(30 + draws.below(60)).unwrap_or(60),
                duration: SessionDuration::from_micros(1000 + draws.below(1_000_000) as u64),
                velocity: u8::try_from(20 + draws.below(100)).unwrap_or(64),
            }
        });
        Piece::from_notes(format!("{number}.mid").into(), 1, notes.collect())
    };
    let training = (0..64).map(&mut piece).collect();
    Dataset { styles: vec!["any".into(), "random".into()], training, ..Dataset::default() }
}

/// Large matrices on all threads, in 10^9 operations a second.
fn peak_gflops(threads: usize) -> f64 {
    let operand = vec![0.5f32; SIDE * SIDE];
    let view = View::new(&operand, SIDE, SIDE);
    let mut packed = Packed::default();
    packed.pack(view);
    let mut rooms: Vec<_> = (0..threads).map(|_| (vec![0.0f32; SIDE * SIDE], Workspace::default())).collect();
    let ours = |(out, workspace): &mut (Vec<f32>, Workspace)| {
        (0..TIMES).for_each(|_| multiply(out, view, &packed, false, workspace));
    };
    let begin = Instant::now();
    rooms.par_iter_mut().for_each(ours);
    let operations = (2 * TIMES * threads * SIDE * SIDE * SIDE) as f64;
    operations / begin.elapsed().as_secs_f64() / 1e9
}

/// The most memory that this process has had so far; 0 where the system does not say.
fn peak_memory_mb() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
    kilobytes.unwrap_or(0.0) / 1024.0
}
