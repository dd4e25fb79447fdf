//! The tensors that a graph holds: all in the file, as large as they say, and numbers.

use super::{onnx, quoted};

/// Most numbers of one tensor: 16 times the largest of a model with the largest sizes that are taken.
const MOST: usize = 1 << 28;

/// A checked tensor.
pub(super) struct Weights {
    /// Its shape.
    pub shape: Vec<usize>,
    /// What it holds: one of [`onnx::element`].
    pub element: i32,
    /// Its integers, where they are few enough to be shapes or indices.
    pub integers: Vec<i64>,
}

/// Integers of a tensor that are read.
const MOST_INTEGERS: usize = 64;

impl Weights {
    /// Checks a tensor.
    ///
    /// # Errors
    /// One sentence's half.
    pub fn check(tensor: &onnx::Tensor) -> Result<Self, String> {
        let name = quoted(tensor.name());
        if !tensor.external_data.is_empty() || tensor.data_location() != 0 {
            return Err("it keeps weights in another file".into());
        }
        let dims: Option<Vec<usize>> = tensor.dims.iter().map(|&size| usize::try_from(size).ok()).collect();
        let shape = dims.filter(|dims| dims.len() <= 4 && !dims.contains(&0));
        let shape = shape.ok_or_else(|| format!("its weights {name} have the shape {:.80?}", tensor.dims))?;
        let count =
            shape.iter().try_fold(1usize, |count, &size| count.checked_mul(size)).filter(|count| *count <= MOST);
        let count = count.ok_or_else(|| format!("its weights {name} are too many: {shape:?}"))?;
        let raw = tensor.raw_data.as_deref().unwrap_or_default();
        let element = tensor.data_type();
        let (width, listed) = match element {
            onnx::element::FLOAT => (4, tensor.float_data.len()),
            // Their list is one of integers: nobody needs it.
            onnx::element::FLOAT16 => (2, 0),
            onnx::element::INT64 => (8, tensor.int64_data.len()),
            onnx::element::BOOL => (1, tensor.int32_data.len()),
            other => return Err(format!("its weights {name} are of element type {other}, which no model of ours has")),
        };
        let lists = [tensor.float_data.len(), tensor.int64_data.len(), tensor.int32_data.len()];
        let in_lists: usize = lists.iter().sum();
        let whole = if raw.is_empty() { listed == count } else { in_lists == 0 && raw.len() == count * width };
        if !whole || in_lists != listed {
            return Err(format!("its weights {name} are not as many as their shape {shape:?} says"));
        }
        let mut floats = raw.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes));
        // With all bits of its exponent set a float of 16 bits is infinite or none.
        let mut halves = raw.as_chunks::<2>().0.iter().map(|bytes| u16::from_le_bytes(*bytes) & 0x7C00);
        let all_numbers = match element {
            onnx::element::FLOAT => {
                floats.all(f32::is_finite) && tensor.float_data.iter().all(|float| float.is_finite())
            }
            onnx::element::FLOAT16 => halves.all(|exponent| exponent != 0x7C00),
            _ => true,
        };
        if !all_numbers {
            return Err(format!("some of its weights {name} are no numbers"));
        }
        let integers = raw.chunks_exact(8).filter_map(|bytes| Some(i64::from_le_bytes(bytes.try_into().ok()?)));
        let integers = integers.chain(tensor.int64_data.iter().copied());
        let few = element == onnx::element::INT64 && count <= MOST_INTEGERS;
        Ok(Self { shape, element, integers: if few { integers.collect() } else { Vec::new() } })
    }
}
