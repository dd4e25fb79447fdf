//! The model file: one ONNX file whose metadata says all that is needed to run it.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use prost::Message;
use sha2::{Digest as _, Sha256};
use thiserror::Error;

use super::{Origin, graph, onnx_proto as onnx, skeleton};
use crate::note_model::{Description, FORMAT_VERSION, Mismatch};

/// Metadata key under which the [`Description`] stands as JSON.
pub const DESCRIPTION_KEY: &str = "antiphon";

/// Files larger than this are refused unread: the bundled model is below 20 MB.
const LARGEST_FILE: u64 = 1 << 30;

/// Most bytes beside the weights; the bundled model has some 30,000.
const MOST_BESIDE_WEIGHTS: usize = 2 << 20;

/// Longest description, in bytes.
const LONGEST_DESCRIPTION: usize = 1 << 20;

/// Names of the graph's inputs and outputs. Shapes are (time, batch) unless stated.
pub mod names {
    /// Classes of the last note, int64; a class count as index stands for "no note yet".
    pub const LAST: [&str; 4] = ["shift", "key", "duration", "velocity"];
    /// Classes chosen so far for the next note, int64; read by the heads that come after.
    pub const NEXT: [&str; 3] = ["next_shift", "next_key", "next_duration"];
    /// Style number, int64.
    pub const STYLE: &str = "style";
    /// Whether the LSTM takes the last note in (true), or the heads alone run on `context`; bool scalar.
    pub const ADVANCE: &str = "advance";
    /// Hidden state in and out, float (layers, batch, hidden).
    pub const H: [&str; 2] = ["h", "h_out"];
    /// Cell state in and out, float (layers, batch, hidden).
    pub const C: [&str; 2] = ["c", "c_out"];
    /// Context in and out, float (time, batch, 4 x head): what the LSTM gives to the four heads.
    pub const CONTEXT: [&str; 2] = ["context", "context_out"];
    /// Logits, float (time, batch, classes), in chain-rule order.
    pub const LOGITS: [&str; 4] = ["shift_logits", "key_logits", "duration_logits", "velocity_logits"];
}

/// Why a model file was refused.
#[derive(Debug, Error)]
pub enum ModelFileError {
    /// The file could not be read.
    #[error("cannot read the model {path}: {cause}; name another with --model, or train one with `antiphon-train`", path = .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        cause: std::io::Error,
    },
    /// Larger than any model of ours.
    #[error("{path} is {bytes} bytes, a model is at most {LARGEST_FILE}; is it the right file?", path = .path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Its size.
        bytes: u64,
    },
    /// Not an ONNX file.
    #[error("{path} is not an ONNX file; name a model made by `antiphon-train`", path = .path.display())]
    NotOnnx {
        /// The file.
        path: PathBuf,
    },
    /// An ONNX file made by something else.
    #[error("{path} is an ONNX file but not one of Antiphon's: {why}; name a model made by `antiphon-train`", path = .path.display())]
    NotOurs {
        /// The file.
        path: PathBuf,
        /// What is missing.
        why: String,
    },
    /// Ours, but it does not fit this program.
    #[error("{path} does not fit: {mismatch}", path = .path.display())]
    Mismatch {
        /// The file.
        path: PathBuf,
        /// What differs.
        mismatch: Mismatch,
    },
}

/// How a file keeps its weights; engines compute with 32 bits in any case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Numbers {
    /// Floats of 32 bits, as the trainer has them.
    Float,
    /// Floats of 16 bits: half the size.
    Half,
}

impl Numbers {
    /// The name for people and for scripts.
    pub fn name(self) -> &'static str {
        match self {
            Self::Float => "f32",
            Self::Half => "f16",
        }
    }
}

/// A model file that has passed all checks that need no engine.
pub struct ModelFile {
    /// Where it came from.
    pub path: PathBuf,
    /// What it says of itself.
    pub description: Description,
    /// How it keeps its weights.
    pub numbers: Numbers,
    /// The whole file.
    pub bytes: Vec<u8>,
}

impl ModelFile {
    /// Reads and checks a model file.
    ///
    /// # Errors
    /// [`ModelFileError`], each with the path and what to do.
    pub fn read(path: &Path) -> Result<Self, ModelFileError> {
        let unreadable = |cause| ModelFileError::Unreadable { path: path.to_owned(), cause };
        let metadata = std::fs::metadata(path).map_err(unreadable)?;
        if !metadata.is_file() {
            // Opening a pipe would wait for a writer for ever, and a device need not end.
            return Err(unreadable(io::Error::other("it is no regular file")));
        }
        if metadata.len() > LARGEST_FILE {
            return Err(ModelFileError::TooLarge { path: path.to_owned(), bytes: metadata.len() });
        }
        let mut bytes = Vec::with_capacity(usize::try_from(metadata.len()).unwrap_or_default());
        File::open(path).map_err(unreadable)?.take(LARGEST_FILE).read_to_end(&mut bytes).map_err(unreadable)?;
        Self::from_bytes(path, bytes)
    }

    /// What tells it from other models.
    pub fn origin(&self) -> Origin {
        let sha256 = Sha256::digest(&self.bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        let bundled = self.path == Path::new(Origin::BUNDLED);
        let path =
            if bundled { self.path.clone() } else { std::path::absolute(&self.path).unwrap_or(self.path.clone()) };
        Origin { name: path.display().to_string(), sha256 }
    }

    /// The model with `advance` settled: with it the LSTM always runs, without it only the heads are left.
    ///
    /// The embedded engine plans the branches of an `If` anew at each run and does not optimise them; told the answer
    /// beforehand, it puts the branch in the place of the `If`, which makes a note ten times as fast.
    #[cfg(feature = "engine")]
    pub(super) fn settled(&self, advance: bool) -> Vec<u8> {
        let Ok(mut model) = onnx::Model::decode(self.bytes.as_slice()) else { return self.bytes.clone() };
        if let Some(graph) = &mut model.graph {
            graph.input.retain(|input| input.name.as_deref() != Some(names::ADVANCE));
            graph.initializer.push(onnx::Tensor {
                data_type: Some(onnx::element::BOOL),
                name: Some(names::ADVANCE.to_owned()),
                raw_data: Some(vec![u8::from(advance)]),
                ..onnx::Tensor::default()
            });
        }
        model.encode_to_vec()
    }

    /// Checks the content of a model file; `path` is for messages.
    ///
    /// # Errors
    /// As [`ModelFile::read`].
    pub fn from_bytes(path: &Path, bytes: Vec<u8>) -> Result<Self, ModelFileError> {
        let beside = skeleton::bytes_without_weights(&bytes);
        if beside > MOST_BESIDE_WEIGHTS {
            // No model of ours, and perhaps made to take a hundred times its size when it is decoded.
            return Err(ModelFileError::NotOnnx { path: path.to_owned() });
        }
        let model = onnx::Model::decode(bytes.as_slice())
            .ok()
            .filter(|model| model.graph.is_some() && model.ir_version.is_some())
            .ok_or_else(|| ModelFileError::NotOnnx { path: path.to_owned() })?;
        let not_ours = |why: String| ModelFileError::NotOurs { path: path.to_owned(), why };
        let json = model
            .metadata_props
            .iter()
            .find(|entry| entry.key.as_deref() == Some(DESCRIPTION_KEY))
            .and_then(|entry| entry.value.as_deref())
            .ok_or_else(|| not_ours(format!("its metadata has no `{DESCRIPTION_KEY}`")))?;
        if json.len() > LONGEST_DESCRIPTION {
            return Err(not_ours(format!("its description is longer than {LONGEST_DESCRIPTION} bytes")));
        }
        let mismatch = |mismatch| ModelFileError::Mismatch { path: path.to_owned(), mismatch };

        // The version is read before the rest, whose shape another version may have changed.
        let value: serde_json::Value = serde_json::from_str(json).map_err(|error| not_ours(error.to_string()))?;
        let version = value.get("format_version").and_then(serde_json::Value::as_u64);
        if let Some(found) = version.and_then(|v| u32::try_from(v).ok()).filter(|&v| v != FORMAT_VERSION) {
            return Err(mismatch(Mismatch::Format { found }));
        }
        let description: Description = serde_json::from_value(value).map_err(|error| not_ours(error.to_string()))?;
        description.check().map_err(mismatch)?;
        let numbers = graph::check(&model, &description).map_err(not_ours)?;
        Ok(Self { path: path.to_owned(), description, numbers, bytes })
    }
}
