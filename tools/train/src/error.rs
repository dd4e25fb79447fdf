//! What can go wrong, in sentences that say what to do, and the exit code of each.

use std::path::PathBuf;

use antiphon::model::{ModelError, ModelFileError, engine::EngineError};
use thiserror::Error;

/// Exit codes of `antiphon-train`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Trained, or there was nothing to do.
    Done = 0,
    /// The flags make no sense together.
    Usage = 2,
    /// There is not enough to learn from.
    NoData = 3,
    /// A file could not be read or written.
    Files = 4,
    /// The training came to numbers that are none.
    Training = 5,
    /// The exported file does not compute what was trained.
    WrongExport = 6,
    /// A second Ctrl-C: what was not saved yet is lost.
    AtOnce = 7,
    /// Ctrl-C: everything was saved before.
    Interrupted = 130,
}

/// Why there is no new model.
#[derive(Debug, Error)]
pub enum TrainError {
    /// Flags that do not go together.
    #[error("{0}")]
    Usage(String),
    /// The folder is not there or cannot be opened.
    #[error("cannot read the folder {folder}: {cause}; name a folder of .mid files: antiphon-train FOLDER", folder = .folder.display())]
    Folder {
        /// The folder.
        folder: PathBuf,
        /// What the system said.
        cause: std::io::Error,
    },
    /// Too little to learn from.
    #[error(
        "only {found} valid notes in {place}, at least {needed} are needed ({files} MIDI files found, {} rejected); put more .mid files there or name another folder{}", .rejects.len(), list(.rejects)
    )]
    TooFewNotes {
        /// Notes found.
        found: usize,
        /// Notes needed.
        needed: usize,
        /// The folders.
        place: String,
        /// Files with a MIDI name.
        files: usize,
        /// Of these, those that could not be used, with the reason.
        rejects: Vec<String>,
    },
    /// A file could not be read or written.
    #[error("cannot {what} {path}: {cause}", path = .path.display())]
    File {
        /// What was tried.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        cause: std::io::Error,
    },
    /// The checkpoint is of no use.
    #[error("cannot go on from {path}: {why}; name the model of that run with --model, or train anew with --retrain", path = .path.display())]
    Checkpoint {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// A model file whose weights were wanted is of no use.
    #[error(transparent)]
    Unusable(ModelFileError),
    /// A file of weights is of no use.
    #[error("cannot take the weights of {path}: {why}", path = .path.display())]
    Weights {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// Infinite or undefined numbers.
    #[error(
        "the {what} became {value} at step {step}: the training has diverged and was stopped, no model was written; try a lower --rate (it was {rate}){resume}"
    )]
    Diverged {
        /// Which number.
        what: &'static str,
        /// What it became.
        value: f64,
        /// The step.
        step: u64,
        /// The learning rate.
        rate: f32,
        /// How to go on from the last good checkpoint, if there is one.
        resume: String,
    },
    /// The file does not say what the trainer says.
    #[error("the exported file was not kept: {0}; please report this")]
    WrongExport(String),
    /// The program's own reader refuses the exported file.
    #[error("the exported file was not kept: {0}")]
    ModelFile(#[from] ModelFileError),
    /// The engine does not run it.
    #[error("the exported file was not kept: {0}")]
    Model(#[from] ModelError),
    /// No engine.
    #[error("cannot check the exported file: {0}")]
    Engine(#[from] EngineError),
}

impl TrainError {
    /// The exit code that goes with it.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Usage(_) => Exit::Usage,
            Self::Folder { .. } | Self::TooFewNotes { .. } => Exit::NoData,
            Self::File { .. } | Self::Checkpoint { .. } | Self::Unusable(_) | Self::Weights { .. } => Exit::Files,
            Self::Diverged { .. } => Exit::Training,
            Self::WrongExport(_) | Self::ModelFile(_) | Self::Model(_) | Self::Engine(_) => Exit::WrongExport,
        }
    }
}

/// A line for each.
fn list(rejects: &[String]) -> String {
    rejects.iter().map(|reject| format!("\n  rejected: {reject}")).collect()
}
