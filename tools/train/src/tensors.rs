//! Safetensors files: what goes to the PyTorch trainer and comes back from it.
//!
//! A file of weights holds the parts of [`Layout::named`] under their names, 32-bit floats, matrices as (rows, columns)
//! and biases as (columns), gates in the order i, o, f, c; its metadata entry `antiphon` is the model file's
//! [`Description`] as JSON.

use std::collections::HashMap;
use std::path::Path;

use antiphon::model::file::DESCRIPTION_KEY;
use antiphon::note_model::Description;
use safetensors::tensor::{Dtype, SafeTensors, TensorView, serialize};

use crate::checkpoint::write_whole;
use crate::error::TrainError;
use crate::network::{Layout, Slot};

/// Named arrays on their way to a file.
#[derive(Clone, Debug, Default)]
pub struct Tensors(Vec<Tensor>);

#[derive(Clone, Debug)]
struct Tensor {
    name: String,
    dtype: Dtype,
    shape: Vec<usize>,
    data: Vec<u8>,
}

impl Tensors {
    /// Adds 32-bit floats.
    pub fn floats(&mut self, name: impl Into<String>, shape: &[usize], values: &[f32]) {
        let data = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.add(name.into(), Dtype::F32, shape, data);
    }

    /// Adds 64-bit integers.
    pub fn integers(&mut self, name: impl Into<String>, shape: &[usize], values: impl Iterator<Item = i64>) {
        self.add(name.into(), Dtype::I64, shape, values.flat_map(i64::to_le_bytes).collect());
    }

    /// Adds bytes.
    pub fn bytes(&mut self, name: impl Into<String>, shape: &[usize], values: impl Iterator<Item = u8>) {
        self.add(name.into(), Dtype::U8, shape, values.collect());
    }

    /// Adds all parts of a network, each name with a prefix.
    pub fn network(&mut self, prefix: &str, layout: &Layout, values: &[f32]) {
        for (name, slot) in layout.named() {
            self.floats(format!("{prefix}{name}"), &shape(&name, slot), slot.of(values));
        }
    }

    fn add(&mut self, name: String, dtype: Dtype, shape: &[usize], data: Vec<u8>) {
        self.0.push(Tensor { name, dtype, shape: shape.to_vec(), data });
    }

    /// Writes the file; `description` becomes its metadata entry `antiphon`.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn save(&self, path: &Path, description: String) -> Result<(), TrainError> {
        let views = self.0.iter().map(|tensor| {
            let view = TensorView::new(tensor.dtype, tensor.shape.clone(), &tensor.data);
            (tensor.name.as_str(), view.expect("as many numbers as the shape says"))
        });
        let metadata = HashMap::from([(DESCRIPTION_KEY.to_owned(), description)]);
        let bytes = serialize(views, &Some(metadata)).expect("a header of plain names and shapes");
        write_whole(path, &bytes)
    }
}

/// Biases have one dimension, matrices two.
fn shape(name: &str, slot: Slot) -> Vec<usize> {
    if name.ends_with(".b") { vec![slot.cols] } else { vec![slot.rows, slot.cols] }
}

/// Writes weights with the description of their model.
///
/// # Errors
/// When the file cannot be written.
pub fn save_weights(path: &Path, layout: &Layout, values: &[f32], description: &Description) -> Result<(), TrainError> {
    let mut tensors = Tensors::default();
    tensors.network("", layout, values);
    tensors.save(path, serde_json::to_string(description).expect("a description is plain data"))
}

/// Reads weights with the description of their model.
///
/// # Errors
/// When the file cannot be read, describes a model of another kind, or a part is missing, of another shape or not finite.
pub fn load_weights(path: &Path) -> Result<(Layout, Vec<f32>, Description), TrainError> {
    let wrong = |why: String| TrainError::Weights { path: path.to_owned(), why };
    let bytes = std::fs::read(path).map_err(|cause| TrainError::File { what: "read", path: path.to_owned(), cause })?;
    let no_tensors = |error| wrong(format!("it is no safetensors file ({error})"));
    let (_, header) = SafeTensors::read_metadata(&bytes).map_err(no_tensors)?;
    let json = header.metadata().as_ref().and_then(|metadata| metadata.get(DESCRIPTION_KEY));
    let json = json.ok_or_else(|| wrong(format!("its metadata has no `{DESCRIPTION_KEY}`")))?;
    let description: Description =
        serde_json::from_str(json).map_err(|error| wrong(format!("its description of the model is odd: {error}")))?;
    description.check().map_err(|mismatch| wrong(mismatch.to_string()))?;

    let layout = Layout::new(description.sizes, description.styles.len());
    let tensors = SafeTensors::deserialize(&bytes).map_err(no_tensors)?;
    let mut values = vec![0.0; layout.total];
    for (name, slot) in layout.named() {
        let tensor = tensors.tensor(&name).map_err(|_| wrong(format!("it has no `{name}`")))?;
        let expected = shape(&name, slot);
        if tensor.dtype() != Dtype::F32 || tensor.shape() != expected {
            let (dtype, found) = (tensor.dtype(), tensor.shape());
            return Err(wrong(format!("its `{name}` is {dtype:?} {found:?}, F32 {expected:?} was expected")));
        }
        for (value, bytes) in slot.of_mut(&mut values).iter_mut().zip(tensor.data().as_chunks::<4>().0) {
            *value = f32::from_le_bytes(*bytes);
        }
        if slot.of(&values).iter().any(|value| !value.is_finite()) {
            return Err(wrong(format!("its `{name}` holds numbers that are none")));
        }
    }
    Ok((layout, values, description))
}
