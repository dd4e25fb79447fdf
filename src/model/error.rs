//! Why a model could not be computed.

use thiserror::Error;

/// Why the model could not be computed.
#[derive(Debug, Error)]
pub enum ModelError {
    /// The engine does not take the graph.
    #[error("{path}: the {engine} engine does not take this model: {why}")]
    Load {
        /// The model file.
        path: String,
        /// The engine's name.
        engine: String,
        /// What it said.
        why: String,
    },
    /// A step failed.
    #[error("the model failed while running: {0}")]
    Run(String),
    /// No such style.
    #[error("the model knows no style {wanted:?}; it knows {}", .known.join(", "))]
    Style {
        /// What was asked for.
        wanted: String,
        /// What there is.
        known: Vec<String>,
    },
}
