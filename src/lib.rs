//! Antiphon, an instrument that answers: it goes on where you stop playing, in time and in your manner.
//!
//! # Layout
//! In the order of the data path, from a key press to the recorder:
//! - [`time`], [`midi`], [`note`]: the values that travel
//! - [`listener`]: messages to notes, and whether the human still plays
//! - [`note_model`]: a note as four classes, the definition shared with the trainer
//! - [`model`]: the ONNX file and the engine that runs it
//! - [`sampler`]: logits to a class
//! - [`continuation`]: what has been played, the model's state after it, the next note
//! - [`conductor`]: whose turn it is, and the plan
//! - [`player`]: due order and note debts
//! - [`take`], [`recorder`]: what has been played, and both voices to a `.mid` file
//! - [`midi_file`]: `.mid` files to notes and back
//! - [`song_folder`]: folders of songs, shared with the trainer
//! - [`ports`]: MIDI systems, the only place that touches the outside world
//! - [`session`]: queues and threads of a live session
//! - [`offline`]: a session under virtual time
//! - [`markov`]: the rival of the LSTM, notes after what came before them
//! - [`evaluation`]: bits per note, and the manner of what is played
//! - [`commands`]: what can be typed
//! - [`status`]: what a person wants to know while it runs

pub mod commands;
pub mod conductor;
pub mod continuation;
pub mod evaluation;
pub mod listener;
pub mod markov;
pub mod midi;
pub mod midi_file;
pub mod model;
pub mod note;
pub mod note_model;
pub mod offline;
pub mod player;
pub mod ports;
pub mod recorder;
pub mod sampler;
pub mod session;
pub mod song_folder;
pub mod status;
pub mod take;
pub mod time;
