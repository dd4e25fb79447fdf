//! Checks a graph before an engine sees it: that it is one of ours, and that nothing in it leads out of the file, makes
//! an engine take memory without end or stumble. An engine gets only what was decoded and checked here
//! ([`ModelFile`](super::ModelFile) encodes it anew), so whatever else a file holds reaches none.
//!
//! Its shapes are followed through all operators for a single step, one note of one voice. So the operators are few:
//! those that shape rules are written for, and none that repeats, calls or generates.

mod shapes;
mod weights;

use shapes::Walk;

use super::file::{Numbers, names};
use super::onnx_proto as onnx;
use crate::note_model::{Attribute, Description};
use crate::quote::quoted;

/// Operator sets that both engines know and that mean the same by our operators.
const OPSETS: std::ops::RangeInclusive<i64> = 14..=24;

/// Checks the graph of a model with this description, and says how it keeps its weights.
///
/// # Errors
/// What is wrong: one sentence's half, without the file's name.
pub(super) fn check(model: &onnx::Model, description: &Description) -> Result<Numbers, String> {
    let graph = model.graph.as_ref().ok_or("it has no graph")?;
    check_opset(model)?;
    let inputs = [names::STYLE, names::ADVANCE, names::H[0], names::C[0], names::CONTEXT[0]];
    let expected: Vec<&str> = names::LAST.into_iter().chain(names::NEXT).chain(inputs).collect();
    for name in &expected {
        find(&graph.input, name).ok_or_else(|| format!("its graph has no input `{name}`"))?;
    }
    if let Some(other) = graph.input.iter().map(|input| input.name()).find(|name| !expected.contains(name)) {
        return Err(format!("its graph has an input {}, which nobody knows", quoted(other)));
    }
    let sizes = description.sizes;
    let state = [(0, sizes.layers), (2, sizes.hidden)];
    let fixed = |name: &str, [(first, size), (second, other)]: [(usize, usize); 2]| {
        let found = dimensions(find(&graph.input, name));
        let fits = |place: usize, size: usize| found.get(place).copied().flatten() == i64::try_from(size).ok();
        let fits = found.len() == 3 && fits(first, size) && fits(second, other);
        if fits { Ok(()) } else { Err(format!("its input `{name}` is not of the sizes in its metadata")) }
    };
    fixed(names::H[0], state)?;
    fixed(names::C[0], state)?;
    let context = 4 * sizes.head;
    fixed(names::CONTEXT[0], [(2, context), (2, context)])?;

    let mut walk = Walk::default();
    for (name, classes) in names::LAST.into_iter().zip(description.classes()) {
        // One past the last class stands for "no note yet".
        walk.index(name, classes);
    }
    for (name, attribute) in names::NEXT.into_iter().zip(Attribute::ALL) {
        walk.index(name, attribute.classes() - 1);
    }
    walk.index(names::STYLE, description.styles.len() - 1);
    walk.flag(names::ADVANCE);
    let state = vec![sizes.layers, 1, sizes.hidden];
    walk.floats(names::H[0], state.clone());
    walk.floats(names::C[0], state.clone());
    walk.floats(names::CONTEXT[0], vec![1, 1, context]);
    walk.through(graph)?;

    let logits =
        names::LOGITS.into_iter().zip(description.classes()).map(|(name, classes)| (name, vec![1, 1, classes]));
    let states = [(names::H[1], state.clone()), (names::C[1], state), (names::CONTEXT[1], vec![1, 1, context])];
    for (name, shape) in logits.chain(states) {
        find(&graph.output, name).ok_or_else(|| format!("its graph has no output `{name}`"))?;
        let found = walk.shape(name).ok_or_else(|| format!("nothing in its graph makes its output `{name}`"))?;
        if *found != shape {
            return Err(format!("its output `{name}` is {found:?} for one note, not {shape:?}"));
        }
    }
    let is_half = graph.initializer.iter().any(|tensor| tensor.data_type() == onnx::element::FLOAT16);
    Ok(if is_half { Numbers::Half } else { Numbers::Float })
}

/// The one operator set that a graph of ours names.
fn check_opset(model: &onnx::Model) -> Result<(), String> {
    let [set] = &model.opset_import[..] else {
        return Err(format!("it names {} sets of operators instead of one", model.opset_import.len()));
    };
    if !matches!(set.domain(), "" | "ai.onnx") {
        return Err(format!("it needs the operators of {}", quoted(set.domain())));
    }
    let (version, first, last) = (set.version(), OPSETS.start(), OPSETS.end());
    if OPSETS.contains(&version) {
        return Ok(());
    }
    Err(format!("it needs operator set {version}, and {first} to {last} are known here"))
}

fn find<'a>(list: &'a [onnx::ValueInfo], name: &str) -> Option<&'a onnx::ValueInfo> {
    list.iter().find(|value| value.name() == name)
}

/// The dimensions that are declared; `None` for one that is free.
fn dimensions(value: Option<&onnx::ValueInfo>) -> Vec<Option<i64>> {
    let tensor_type = value.and_then(|value| value.r#type.as_ref()?.tensor_type.as_ref());
    let shape = tensor_type.and_then(|tensor_type| tensor_type.shape.as_ref());
    let size = |dimension: &onnx::Dimension| match dimension.value.as_ref()? {
        onnx::DimensionValue::Value(size) => Some(*size),
        onnx::DimensionValue::Param(_) => None,
    };
    shape.into_iter().flat_map(|shape| &shape.dim).map(size).collect()
}

#[cfg(test)]
mod tests;
