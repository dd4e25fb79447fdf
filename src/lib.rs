//! Antiphon, an instrument that answers: it goes on where you stop playing, in time and in your manner.
//!
//! # Layout
//! In the order of the data path:
//! - [`time`], [`note`]: microseconds on one clock, and the note
//! - [`midi_file`]: `.mid` files to notes and back
//! - [`note_model`]: a note as four classes, the definition shared with the trainer
//! - [`model`]: the ONNX file and the engine that runs it

pub mod midi_file;
pub mod model;
pub mod note;
pub mod note_model;
pub mod time;
