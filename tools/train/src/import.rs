//! Back from an exported file to the trainer's weights.

use std::collections::HashMap;
use std::path::Path;

use antiphon::model::ModelFile;
use antiphon::model::onnx_proto::{self as onnx, element};
use antiphon::note_model::Description;
use half::f16;
use prost::Message;

use crate::error::TrainError;
use crate::network::Layout;

/// Reads the weights of a file that [`crate::export`] wrote, with its layout and its description of itself.
///
/// # Errors
/// When the file is none of ours, or a part is missing or of another size.
pub fn weights_from_onnx(path: &Path) -> Result<(Layout, Vec<f32>, Description), TrainError> {
    let wrong = |why: String| TrainError::Weights { path: path.to_owned(), why };
    let ModelFile { description, bytes, .. } = ModelFile::read(path).map_err(TrainError::Unusable)?;
    let model = onnx::Model::decode(bytes.as_slice()).map_err(|error| wrong(error.to_string()))?;
    let graph = model.graph.unwrap_or_default();
    let parts: HashMap<&str, &onnx::Tensor> =
        graph.initializer.iter().filter_map(|tensor| Some((tensor.name.as_deref()?, tensor))).collect();

    let layout = Layout::new(description.sizes, description.styles.len());
    let mut values = vec![0.0; layout.total];
    for (name, slot) in layout.named() {
        let tensor = parts.get(name.as_str()).ok_or_else(|| wrong(format!("it has no `{name}`")))?;
        let data = floats(tensor).ok_or_else(|| wrong(format!("its `{name}` is not of floats of 32 or 16 bits")))?;
        // ONNX adds two bias vectors to an LSTM's gates: ours is the sum, of which the second is written as zero.
        let copies = if name.starts_with("lstm.") && name.ends_with(".b") { 2 } else { 1 };
        if data.len() != copies * slot.len() {
            let (found, expected) = (data.len(), copies * slot.len());
            return Err(wrong(format!("its `{name}` has {found} numbers, {expected} were expected")));
        }
        for copy in data.chunks_exact(slot.len()) {
            for (value, float) in slot.of_mut(&mut values).iter_mut().zip(copy) {
                *value += float;
            }
        }
    }
    Ok((layout, values, description))
}

fn floats(tensor: &onnx::Tensor) -> Option<Vec<f32>> {
    let data = tensor.raw_data.as_deref().unwrap_or_default();
    match tensor.data_type? {
        element::FLOAT => Some(data.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()),
        element::FLOAT16 => {
            Some(data.as_chunks::<2>().0.iter().map(|bytes| f16::from_le_bytes(*bytes).to_f32()).collect())
        }
        _ => None,
    }
}
