//! The loss curve of a run: kept in the checkpoint, written beside the model as a table and as a picture.

#![expect(clippy::cast_precision_loss, reason = "numbers of steps are below 2^52")]

use std::fmt::Write as _;
use std::path::Path;

use antiphon::note_model::BitsPerNote;
use serde::{Deserialize, Serialize};

use crate::checkpoint::write_whole;
use crate::error::TrainError;
use crate::picture::{Line, Panel, alone, plot};

/// A look at the held-out pieces.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// Steps taken.
    pub step: u64,
    /// Seconds trained.
    pub seconds: f64,
    /// Notes trained on.
    pub notes: u64,
    /// Training loss in bits, smoothed; `None` before the first step.
    pub training: Option<f64>,
    /// Bits per note of the held-out pieces looked at.
    pub held_out: BitsPerNote,
    /// Learning rate.
    pub rate: f32,
    /// The best so far.
    pub is_best: bool,
}

/// The curve as a table, one line for each look.
pub fn csv(points: &[Point]) -> String {
    let mut text = "step,minutes,notes,training_bits,shift,key,duration,velocity,sum,rate\n".to_owned();
    for Point { step, seconds, notes, training, held_out, rate, .. } in points {
        let training = training.map_or(String::new(), |bits| format!("{bits:.4}"));
        let BitsPerNote { shift, key, duration, velocity } = held_out;
        let _ = writeln!(
            text,
            "{step},{:.3},{notes},{training},{shift:.4},{key:.4},{duration:.4},{velocity:.4},{:.4},{rate:.3e}",
            seconds / 60.0,
            held_out.sum()
        );
    }
    text
}

/// The curve as a picture: held-out sum and training loss above, the four parts below.
pub fn picture(points: &[Point]) -> String {
    let along = |value: &dyn Fn(&Point) -> Option<f64>| -> Vec<(f64, f64)> {
        let finite = |point: &Point| value(point).filter(|bits| bits.is_finite());
        points.iter().filter_map(|point| finite(point).map(|bits| (point.step as f64, bits))).collect()
    };
    let line = |name: &str, colour: u8, value: &dyn Fn(&Point) -> Option<f64>| Line {
        name: name.to_owned(),
        colour,
        points: along(value),
        ring: None,
    };
    let best = points.iter().rev().find(|point| point.is_best && point.held_out.sum().is_finite());
    let sum = Line {
        ring: best.map(|point| (point.step as f64, point.held_out.sum())),
        ..line("held out", 0, &|point| Some(point.held_out.sum()))
    };
    let above = Panel {
        title: "Bits per note: held-out pieces (the ring is the best) and training loss".into(),
        height: 220.0,
        lines: vec![sum, line("training", 1, &|point| point.training)],
    };
    let below = Panel {
        title: "The four parts, held out".into(),
        height: 160.0,
        lines: vec![
            line("shift", 2, &|point| Some(point.held_out.shift)),
            line("key", 3, &|point| Some(point.held_out.key)),
            line("duration", 4, &|point| Some(point.held_out.duration)),
            line("velocity", 5, &|point| Some(point.held_out.velocity)),
        ],
    };
    plot(&[above, below], "steps")
}

/// Writes table and picture beside the model: `NAME-curve.csv`, `NAME-curve.svg`.
///
/// # Errors
/// When one cannot be written.
pub fn write(model: &Path, points: &[Point]) -> Result<(), TrainError> {
    let beside = |ending: &str| {
        let mut name = model.file_stem().unwrap_or_default().to_owned();
        name.push(ending);
        model.with_file_name(name)
    };
    write_whole(&beside("-curve.csv"), csv(points).as_bytes())?;
    write_whole(&beside("-curve.svg"), alone(&picture(points)).as_bytes())
}
