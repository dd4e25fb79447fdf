//! Running the note model: the file, the engine that computes it, and one step of it.

#[cfg(feature = "engine")]
pub mod engine;
mod error;
pub mod file;
mod graph;
#[cfg(feature = "engine")]
mod lstm;
pub mod onnx_proto;
mod skeleton;
#[cfg(any(test, feature = "doors"))]
pub(crate) mod toy;
#[cfg(feature = "engine")]
mod type_info;

#[cfg(feature = "engine")]
pub use engine::{Engine, EngineChoice};
pub use error::ModelError;
pub use file::{ModelFile, ModelFileError, Numbers};
#[cfg(feature = "engine")]
pub use lstm::LstmModel;

use crate::note_model::{Attribute, NoteClasses};

/// The model that comes with the program, so that one file is all that is needed.
pub const BUNDLED_MODEL: &[u8] = include_bytes!("../../models/antiphon.onnx");

/// What a model remembers after the notes that it has taken in.
///
/// Plain data: a kept copy is a point to return to.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelState {
    /// Hidden state, (layers, hidden).
    pub h: Vec<f32>,
    /// Cell state, (layers, hidden).
    pub c: Vec<f32>,
    /// What the LSTM gives to the four heads, (4 x head).
    pub context: Vec<f32>,
    /// Logits of the next note's shift, which depend on nothing chosen later.
    pub shift_logits: Vec<f32>,
}

/// Logits of each note of a sequence, one flat (notes, classes) table for each attribute.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Logits {
    /// In chain-rule order.
    pub tables: [Vec<f32>; 4],
}

/// What tells a model from every other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// Where it came from: an absolute path, or [`Origin::BUNDLED`].
    pub name: String,
    /// SHA-256 of the whole model file, in hexadecimal.
    pub sha256: String,
}

impl Origin {
    /// The name of the model inside the program.
    pub const BUNDLED: &str = "the bundled model";
}

/// A model of the next note given the notes before.
pub trait NoteModel: Send {
    /// What tells it from other models.
    fn origin(&self) -> &Origin;

    /// Names of the styles that it knows, by their numbers.
    fn styles(&self) -> &[String];

    /// The state before any note.
    ///
    /// # Errors
    /// When the engine fails.
    fn start(&mut self, style: usize) -> Result<ModelState, ModelError>;

    /// Takes one note in.
    ///
    /// # Errors
    /// When the engine fails; `state` is then as it was.
    fn advance(&mut self, state: &mut ModelState, note: NoteClasses, style: usize) -> Result<(), ModelError>;

    /// Logits of one attribute of the next note, given the classes chosen for the attributes before it in
    /// chain-rule order; the classes in `chosen` from `attribute` on are not read.
    ///
    /// # Errors
    /// When the engine fails.
    fn logits(
        &mut self,
        state: &ModelState,
        chosen: NoteClasses,
        attribute: Attribute,
        out: &mut Vec<f32>,
    ) -> Result<(), ModelError>;
}

/// A model that is lent out, so that several continuations can use one in turn.
impl<M: NoteModel + ?Sized> NoteModel for &mut M {
    fn origin(&self) -> &Origin {
        (**self).origin()
    }

    fn styles(&self) -> &[String] {
        (**self).styles()
    }

    fn start(&mut self, style: usize) -> Result<ModelState, ModelError> {
        (**self).start(style)
    }

    fn advance(&mut self, state: &mut ModelState, note: NoteClasses, style: usize) -> Result<(), ModelError> {
        (**self).advance(state, note, style)
    }

    fn logits(
        &mut self,
        state: &ModelState,
        chosen: NoteClasses,
        attribute: Attribute,
        out: &mut Vec<f32>,
    ) -> Result<(), ModelError> {
        (**self).logits(state, chosen, attribute, out)
    }
}
