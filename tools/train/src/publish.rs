//! From trained weights to the model file: written beside its place, checked through the same reader and engine as the
//! instrument uses, and only then moved to its place.

use std::path::Path;

use antiphon::model::{Engine, EngineChoice, LstmModel, ModelFile, NoteModel, Numbers};
use antiphon::note_model::{Attribute, Description, NoteClasses};

use crate::checkpoint::write_whole;
use crate::error::TrainError;
use crate::evaluate;
use crate::export::{half, to_onnx};
use crate::weights::Weights;

/// Largest difference of a logit between the trainer and the exported file.
pub const TOLERANCE: f32 = 1e-4;

/// What the check found.
#[derive(Clone, Debug)]
pub struct Checked {
    /// Name of the engine.
    pub engine: String,
    /// Notes compared.
    pub notes: usize,
    /// Largest difference of a logit over the whole piece.
    pub whole: f32,
    /// Largest difference of a logit, note by note.
    pub stepwise: f32,
    /// Size of the file.
    pub bytes: usize,
}

/// Writes the model to `path`, its weights kept as `numbers`, after checking it on a piece: that it computes what the
/// trainer computes with the weights that are in it.
///
/// # Errors
/// When the file cannot be written, or does not compute what the trainer computes; `path` is then as it was.
pub fn publish(
    path: &Path,
    weights: &Weights,
    description: &Description,
    numbers: Numbers,
    notes: &[NoteClasses],
    style: u8,
) -> Result<Checked, TrainError> {
    let bytes = to_onnx(&weights.layout, &weights.values, description, numbers);
    let temporary = path.with_added_extension("new");
    write_whole(&temporary, &bytes)?;
    let result = match numbers {
        Numbers::Float => check(&temporary, weights, notes, style),
        Numbers::Half => {
            let values = weights.values.iter().copied().map(half::rounded).collect();
            check(&temporary, &Weights::new(weights.layout.clone(), values), notes, style)
        }
    };
    match result {
        Ok(checked) => {
            std::fs::rename(&temporary, path).map_err(|cause| TrainError::File {
                what: "write",
                path: path.to_owned(),
                cause,
            })?;
            Ok(checked)
        }
        Err(error) => {
            let _ = std::fs::remove_file(&temporary);
            Err(error)
        }
    }
}

/// Compares the file at `path` with the trainer's own forward pass.
///
/// # Errors
/// When it cannot be run or differs by more than [`TOLERANCE`].
pub fn check(path: &Path, weights: &Weights, notes: &[NoteClasses], style: u8) -> Result<Checked, TrainError> {
    let file = ModelFile::read(path)?;
    let engine = Engine::start(&engine_choice())?;
    let mut model = LstmModel::load(&file, &engine)?;
    let own = evaluate::logits(weights, notes, style);
    let mut checked = Checked {
        engine: engine.name().into(),
        notes: notes.len(),
        whole: 0.0,
        stepwise: 0.0,
        bytes: file.bytes.len(),
    };

    let scored = model.score(notes, usize::from(style))?;
    for (own, theirs) in own.iter().zip(&scored.tables) {
        checked.whole = checked.whole.max(difference(own, theirs));
    }
    let mut state = model.start(usize::from(style))?;
    let mut logits = Vec::new();
    for (row, note) in notes.iter().enumerate() {
        for attribute in Attribute::ALL {
            model.logits(&state, *note, attribute, &mut logits)?;
            let classes = attribute.classes();
            let own = &own[attribute.index()][row * classes..(row + 1) * classes];
            checked.stepwise = checked.stepwise.max(difference(own, &logits));
        }
        model.advance(&mut state, *note, usize::from(style))?;
    }
    if checked.whole.max(checked.stepwise) > TOLERANCE {
        return Err(TrainError::WrongExport(format!(
            "its logits differ from the trainer's by {:e} over a whole piece and {:e} note by note, {TOLERANCE:e} is allowed",
            checked.whole, checked.stepwise
        )));
    }
    Ok(checked)
}

/// The embedded engine, which every player has, unless the usual variable of ONNX Runtime names a library.
pub fn engine_choice() -> EngineChoice {
    std::env::var_os("ORT_DYLIB_PATH")
        .filter(|path| !path.is_empty())
        .map_or(EngineChoice::Embedded, |path| EngineChoice::OnnxRuntime(path.into()))
}

/// Largest difference; infinite when a number is none or the lengths differ.
fn difference(a: &[f32], b: &[f32]) -> f32 {
    if a.len() != b.len() {
        return f32::INFINITY;
    }
    let worst = |worst: f32, (a, b): (&f32, &f32)| {
        let difference = (a - b).abs();
        if difference.is_nan() { f32::INFINITY } else { worst.max(difference) }
    };
    a.iter().zip(b).fold(0.0, worst)
}
