//! The model file: one ONNX file whose metadata says all that is needed to run it.

use std::path::{Path, PathBuf};

use prost::Message;
use sha2::{Digest as _, Sha256};
use thiserror::Error;

use super::{Origin, onnx_proto as onnx};
use crate::note_model::{Description, FORMAT_VERSION, Mismatch};

/// Metadata key under which the [`Description`] stands as JSON.
pub const DESCRIPTION_KEY: &str = "antiphon";

/// Files larger than this are refused unread: the bundled model is below 20 MB.
const LARGEST_FILE: u64 = 1 << 30;

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

/// A model file that has passed all checks that need no engine.
pub struct ModelFile {
    /// Where it came from.
    pub path: PathBuf,
    /// What it says of itself.
    pub description: Description,
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
        let size = std::fs::metadata(path).map_err(unreadable)?.len();
        if size > LARGEST_FILE {
            return Err(ModelFileError::TooLarge { path: path.to_owned(), bytes: size });
        }
        Self::from_bytes(path, std::fs::read(path).map_err(unreadable)?)
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
        let mismatch = |mismatch| ModelFileError::Mismatch { path: path.to_owned(), mismatch };

        // The version is read before the rest, whose shape another version may have changed.
        let value: serde_json::Value = serde_json::from_str(json).map_err(|error| not_ours(error.to_string()))?;
        let version = value.get("format_version").and_then(serde_json::Value::as_u64);
        if let Some(found) = version.and_then(|v| u32::try_from(v).ok()).filter(|&v| v != FORMAT_VERSION) {
            return Err(mismatch(Mismatch::Format { found }));
        }
        let description: Description = serde_json::from_value(value).map_err(|error| not_ours(error.to_string()))?;
        description.check().map_err(mismatch)?;
        check_graph(&model, &description).map_err(not_ours)?;
        Ok(Self { path: path.to_owned(), description, bytes })
    }
}

/// Checks that the graph has our inputs and outputs and keeps its weights inside the file.
fn check_graph(model: &onnx::Model, description: &Description) -> Result<(), String> {
    let graph = model.graph.as_ref().ok_or("it has no graph")?;
    let has = |list: &[onnx::ValueInfo], name: &str| list.iter().any(|value| value.name.as_deref() == Some(name));
    let inputs = [names::STYLE, names::ADVANCE, names::H[0], names::C[0], names::CONTEXT[0]];
    for name in names::LAST.into_iter().chain(names::NEXT).chain(inputs) {
        if !has(&graph.input, name) {
            return Err(format!("its graph has no input `{name}`"));
        }
    }
    for name in names::LOGITS.into_iter().chain([names::H[1], names::C[1], names::CONTEXT[1]]) {
        if !has(&graph.output, name) {
            return Err(format!("its graph has no output `{name}`"));
        }
    }
    for (name, classes) in names::LOGITS.into_iter().zip(description.classes()) {
        let declared = graph.output.iter().find(|value| value.name.as_deref() == Some(name)).and_then(last_dimension);
        if declared != i64::try_from(classes).ok() {
            return Err(format!("its output `{name}` is not {classes} classes wide"));
        }
    }
    let mut graphs = vec![graph];
    while let Some(graph) = graphs.pop() {
        if graph.initializer.iter().any(|t| !t.external_data.is_empty() || t.data_location.unwrap_or(0) != 0) {
            return Err("it keeps weights in another file".into());
        }
        graphs.extend(graph.node.iter().flat_map(|node| &node.attribute).filter_map(|attribute| attribute.g.as_ref()));
    }
    Ok(())
}

fn last_dimension(value: &onnx::ValueInfo) -> Option<i64> {
    match value.r#type.as_ref()?.tensor_type.as_ref()?.shape.as_ref()?.dim.last()?.value.as_ref()? {
        onnx::DimensionValue::Value(size) => Some(*size),
        onnx::DimensionValue::Param(_) => None,
    }
}
