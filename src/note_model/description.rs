//! What a model file says of itself, and the check that it fits this program.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::{ANY_STYLE, Attribute, CELL, KEYS, TimeBins, VELOCITY_BINS};

/// Version of the model file: graph inputs and outputs, note model, metadata. A change of any is a new version.
pub const FORMAT_VERSION: u32 = 1;

/// Longest name of a style, in characters: that of a folder.
const LONGEST_NAME: usize = 255;

/// The whole self-description, kept as JSON under one metadata key of the ONNX file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Description {
    /// [`FORMAT_VERSION`] of the program that wrote the file.
    pub format_version: u32,
    /// Class boundaries of the note model.
    pub note_model: Boundaries,
    /// Style names; number 0 is `any`, the others are the folders trained on.
    pub styles: Vec<String>,
    /// Sizes of the network.
    pub sizes: Sizes,
    /// The training configuration, as the trainer's flags name it.
    pub training: serde_json::Value,
    /// SHA-256 of the encoded training data, in hexadecimal.
    pub data_sha256: String,
    /// Result on pieces that were never trained on.
    pub held_out: HeldOut,
}

/// Class boundaries as the file states them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Boundaries {
    /// Width of a grid cell in microseconds.
    pub cell_us: u64,
    /// First cell of each shift class, then the first cell past the last.
    pub shift_cells: Vec<u32>,
    /// Number of keys.
    pub keys: usize,
    /// First cell of each duration class, then the first cell past the last.
    pub duration_cells: Vec<u32>,
    /// Number of velocity bins.
    pub velocity_bins: usize,
}

impl Boundaries {
    /// The boundaries of this program.
    pub fn ours() -> Self {
        Self {
            cell_us: CELL.as_micros(),
            shift_cells: TimeBins::shift().boundaries().to_vec(),
            keys: KEYS,
            duration_cells: TimeBins::duration().boundaries().to_vec(),
            velocity_bins: VELOCITY_BINS,
        }
    }
}

/// Sizes of the network, enough to make the state tensors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sizes {
    /// LSTM layers; `h` and `c` are (layers, batch, hidden).
    pub layers: usize,
    /// Units of each layer.
    pub hidden: usize,
    /// Units of each head; `context` is (time, batch, 4 x head).
    pub head: usize,
}

impl Sizes {
    /// Largest sizes that are taken: about 16 times the bundled model in each direction.
    const LIMIT: Self = Self { layers: 8, hidden: 8192, head: 8192 };
}

/// Bits per note, with its four parts in chain-rule order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct BitsPerNote {
    /// Of the shift, on the 10 ms grid.
    pub shift: f64,
    /// Of the key.
    pub key: f64,
    /// Of the duration, on the 10 ms grid.
    pub duration: f64,
    /// Of the velocity, in 32 classes.
    pub velocity: f64,
}

impl BitsPerNote {
    /// The four parts, in chain-rule order.
    pub fn from_parts(parts: [f64; 4]) -> Self {
        let [shift, key, duration, velocity] = parts;
        Self { shift, key, duration, velocity }
    }

    /// The sum of the four parts.
    pub fn sum(&self) -> f64 {
        self.shift + self.key + self.duration + self.velocity
    }
}

/// The result on held-out pieces.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct HeldOut {
    /// Pieces.
    pub pieces: usize,
    /// Notes in them.
    pub notes: usize,
    /// Bits per note.
    pub bits_per_note: BitsPerNote,
}

/// Why a model file does not fit this program.
#[derive(Debug, Error, PartialEq)]
pub enum Mismatch {
    /// Written by another version.
    #[error(
        "it is of model format {found}, this antiphon reads format {FORMAT_VERSION}; train it anew with `antiphon-train --retrain`, or use the antiphon that it came with"
    )]
    Format {
        /// The version in the file.
        found: u32,
    },
    /// Its time, key or velocity classes are others.
    #[error("its {what} differ from this antiphon's; train it anew with `antiphon-train --retrain`")]
    Classes {
        /// Which classes.
        what: &'static str,
    },
    /// The styles make no sense.
    #[error(
        "its list of styles must begin with `{ANY_STYLE}` and hold 1 to 256 names of at most {LONGEST_NAME} characters, \
         none of them a control character; export it anew"
    )]
    Styles,
    /// The digest of the training data is none.
    #[error("its digest of the training data is no hexadecimal number; export it anew")]
    Digest,
    /// A size is zero or beyond reason.
    #[error("its {what} of {found} is outside 1 to {limit}; export it anew")]
    Size {
        /// Which size.
        what: &'static str,
        /// The size in the file.
        found: usize,
        /// The largest that is taken.
        limit: usize,
    },
}

impl Description {
    /// Checks that a model with this description can be run by this program.
    ///
    /// # Errors
    /// The first [`Mismatch`], in the order version, classes, styles, sizes.
    pub fn check(&self) -> Result<(), Mismatch> {
        if self.format_version != FORMAT_VERSION {
            return Err(Mismatch::Format { found: self.format_version });
        }
        let ours = Boundaries::ours();
        let classes = [
            ("time grid", self.note_model.cell_us == ours.cell_us),
            ("shift classes", self.note_model.shift_cells == ours.shift_cells),
            ("key classes", self.note_model.keys == ours.keys),
            ("duration classes", self.note_model.duration_cells == ours.duration_cells),
            ("velocity classes", self.note_model.velocity_bins == ours.velocity_bins),
        ];
        if let Some((what, _)) = classes.into_iter().find(|(_, same)| !same) {
            return Err(Mismatch::Classes { what });
        }
        let is_name = |name: &String| name.chars().count() <= LONGEST_NAME && !name.contains(char::is_control);
        let known = self.styles.first().is_some_and(|first| first == ANY_STYLE);
        if !known || self.styles.len() > 256 || !self.styles.iter().all(is_name) {
            return Err(Mismatch::Styles);
        }
        if self.data_sha256.len() > 64 || !self.data_sha256.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(Mismatch::Digest);
        }
        let (sizes, limit) = (self.sizes, Sizes::LIMIT);
        for (what, found, limit) in [
            ("number of layers", sizes.layers, limit.layers),
            ("hidden size", sizes.hidden, limit.hidden),
            ("head size", sizes.head, limit.head),
        ] {
            if !(1..=limit).contains(&found) {
                return Err(Mismatch::Size { what, found, limit });
            }
        }
        Ok(())
    }

    /// The number of a style by its name.
    pub fn style_number(&self, name: &str) -> Option<usize> {
        self.styles.iter().position(|style| style == name)
    }

    /// Number of classes of each attribute, in chain-rule order.
    pub fn classes(&self) -> [usize; 4] {
        Attribute::ALL.map(Attribute::classes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> Description {
        Description {
            format_version: FORMAT_VERSION,
            note_model: Boundaries::ours(),
            styles: vec!["any".into(), "folk".into()],
            sizes: Sizes { layers: 2, hidden: 64, head: 32 },
            training: serde_json::json!({}),
            data_sha256: String::new(),
            held_out: HeldOut::default(),
        }
    }

    #[test]
    fn a_description_of_ours_passes() {
        assert_eq!(good().check(), Ok(()));
        assert_eq!(good().style_number("folk"), Some(1));
    }

    #[test]
    fn each_mismatch_is_named() {
        let mut other = good();
        other.format_version = 99;
        assert_eq!(other.check(), Err(Mismatch::Format { found: 99 }));

        let mut other = good();
        other.note_model.duration_cells[40] += 1;
        assert_eq!(other.check(), Err(Mismatch::Classes { what: "duration classes" }));

        let mut other = good();
        other.styles.remove(0);
        assert_eq!(other.check(), Err(Mismatch::Styles));

        for name in ["x".repeat(LONGEST_NAME + 1), "\u{1b}[2J".into(), "two\nlines".into()] {
            let mut other = good();
            other.styles.push(name);
            assert_eq!(other.check(), Err(Mismatch::Styles));
        }

        let mut other = good();
        other.data_sha256 = "\u{1b}[2J".into();
        assert_eq!(other.check(), Err(Mismatch::Digest));

        let mut other = good();
        other.sizes.hidden = 1 << 40;
        assert!(matches!(other.check(), Err(Mismatch::Size { what: "hidden size", .. })));
    }
}
