//! The session file: all that a session was told, as text, so that `antiphon replay` can play it again.
//!
//! ```text
//! antiphon-session 1                      the format's version
//! antiphon 0.1.0                          the program's
//! engine embedded (tract)
//! model 22cd…5a24 /home/me/antiphon.onnx  SHA-256 and name
//! seed 7
//! channel 1
//! lead 5000                               microseconds, as all times here
//! set mode respond                        one line for each setting
//! begin
//! w 1200 31=9c2e 40                       woken at 1200, 1231 and 1271
//! h 120=77aa 903c46                       heard a message, in hexadecimal
//! c 80 patience 2                         somebody asked for this
//! lead 26333                              from here on: the MIDI system came back with longer periods
//! m 8d01…77fe /home/me/other.onnx         this model was loaded and offered
//! = 0123456789abcdef                      digest of the plan so far
//! lost 12                                 so many calls are missing here
//! e 500                                   the end
//! ```
//! Each time counts from that of the call before it. A mark `=9c2e` says that the call changed the plan: it is the end
//! of the digest after it, so that a replay knows at which call it goes another way.

mod lines;
mod read;

use std::path::{Path, PathBuf};

pub use lines::Lines;
pub use read::{Reader, SessionFileError, Step, What};

use crate::ensemble::Opening;
use crate::model::Origin;
use crate::settings::{Change, SETTINGS, Settings};
use crate::time::SessionDuration;

/// Version of the format. A change of what a line means is a new version.
pub const FORMAT_VERSION: u32 = 1;

/// What a session began with.
#[derive(Clone, Debug, PartialEq)]
pub struct Header {
    /// Version of the program that played.
    pub version: String,
    /// The engine that ran the model, in words.
    pub engine: String,
    /// The model at the beginning.
    pub model: Origin,
    /// Seed of all random choices.
    pub seed: u64,
    /// Where it answers when all players are merged, in `0..16`.
    pub channel: u8,
    /// Least time between planning a note and its onset.
    pub lead: SessionDuration,
    /// All settings.
    changes: Vec<Change>,
}

impl Header {
    /// What a session of this program begins with.
    pub fn new(engine: &str, model: &Origin, opening: &Opening) -> Self {
        let change = |setting: &'static crate::settings::Setting| setting.change(setting.value(&opening.settings));
        Self {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            engine: engine.to_owned(),
            model: model.clone(),
            seed: opening.seed,
            channel: opening.channel,
            lead: SessionDuration::ZERO,
            changes: SETTINGS.iter().filter_map(change).collect(),
        }
    }

    /// What to build the ensemble with, the first time and at each replay: a setting in microseconds may lose one on
    /// its way through its written form, so both take it from here.
    pub fn opening(&self) -> Opening {
        let mut settings = Settings::default();
        self.changes.iter().for_each(|change| change.apply(&mut settings));
        Opening { settings, channel: self.channel, seed: self.seed }
    }
}

/// Where the session file of a take lies: beside it, `AI_generated.session` for `AI_generated.mid`.
pub fn beside(take: &Path) -> PathBuf {
    let session = take.with_extension("session");
    if session != take {
        return session;
    }
    let mut name = take.as_os_str().to_owned();
    name.push(".session");
    name.into()
}

#[cfg(test)]
mod tests;
