//! Antiphon, an instrument that answers: it goes on where you stop playing, in time and in your manner.
//!
//! # Layout
//! In the order of the data path, from a key press to the recorder:
//! - [`time`], [`midi`], [`note`]: the values that travel
//! - [`beat`]: MIDI clock to beats and bars
//! - [`sysex`]: messages of any length, on their way to the take
//! - [`listener`]: messages to notes, and whether the human still plays
//! - [`note_model`]: a note as four classes, the definition shared with the trainer
//! - [`model`]: the ONNX file and the engine that runs it
//! - [`sampler`]: logits to a class
//! - [`settings`], [`control`]: what can be set and asked for while it plays
//! - [`limits`], [`repetition`], [`chooser`]: what the answer may play, and the next note inside it
//! - [`continuation`]: what has been played, the model's state after it, the next note
//! - [`conductor`]: whose turn it is between one player and Antiphon, and the plan
//! - [`ensemble`]: the conductors of all players around one model
//! - [`player`]: due order and note debts
//! - [`gate`]: the last check on the way out
//! - [`hands`]: what the human holds, for those who have missed something
//! - [`echo`], [`thru`]: our own output when it comes back; passing on what the human plays
//! - [`transcript`], [`session_file`], [`replay`]: the calls of a session, as a file, and played again
//! - [`synth`]: sound without a synthesiser or a DAW
//! - [`take`], [`recorder`]: what has been played, and both voices to a `.mid` file
//! - [`midi_file`]: `.mid` files to notes and back
//! - [`song_folder`]: folders of songs, shared with the trainer
//! - [`ports`]: MIDI systems, the only place that touches the outside world
//! - [`session`], [`shelf`]: queues and threads of a live session, and the models that it may change to
//! - [`playback`], [`takes`]: takes played back, and where they lie
//! - [`sight`]: what can be watched, and how it reaches everyone who watches
//! - [`surface`]: control and sight from outside: OSC, the page and its HTTP API
//! - [`monitor`]: a running Antiphon watched and steered from a terminal, through that API
//! - [`offline`]: a session under virtual time
//! - [`memory`]: what this session has taught, blended into the model's opinion
//! - [`coincidence`]: what falls together: onsets, keys and releases at the ends of notes that sound
//! - [`markov`]: the rival of the LSTM, notes after what came before them
//! - [`evaluation`]: bits per note, and the manner of what is played
//! - [`config`]: what is set before it plays: flags, environment, file
//! - [`commands`]: what can be typed
//! - `doors`: each way on which foreign bytes come in, for fuzzing; only in tests and with the feature `doors`
//! - [`quote`]: words of somebody else's in a sentence
//! - [`heap`]: memory that was given back
//! - [`life`]: whether the threads that play still turn over
//! - [`status`], [`figures`]: what a person wants to know while it runs, and how well time is kept

pub mod beat;
pub mod chooser;
pub mod coincidence;
#[cfg(feature = "engine")]
pub mod commands;
pub mod conductor;
pub mod config;
pub mod continuation;
pub mod control;
#[cfg(any(test, feature = "doors"))]
pub mod doors;
pub mod echo;
pub mod ensemble;
pub mod evaluation;
mod fault;
pub mod figures;
mod fitting;
pub mod gate;
pub mod hands;
pub mod heap;
pub mod life;
pub mod limits;
pub mod listener;
pub mod markov;
pub mod memory;
pub mod midi;
pub mod midi_file;
pub mod model;
pub mod monitor;
pub mod note;
pub mod note_model;
pub mod offline;
pub mod playback;
pub mod player;
pub mod ports;
pub mod quote;
pub mod recorder;
pub mod repetition;
pub mod replay;
pub mod sampler;
pub mod session;
pub mod session_file;
pub mod settings;
pub mod shelf;
pub mod sight;
pub mod song_folder;
pub mod status;
pub mod surface;
pub mod synth;
pub mod sysex;
pub mod take;
pub mod takes;
pub mod thru;
pub mod time;
pub mod transcript;
