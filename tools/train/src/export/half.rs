//! The same graph in half the bytes: weights are kept as floats of 16 bits and widened where they are read. Both engines
//! widen them once, when they load the file.

use antiphon::model::onnx_proto::{self as onnx, element};
use half::f16;

use super::{int, node};

/// What is left of a weight in 16 bits.
pub fn rounded(value: f32) -> f32 {
    f16::from_f32(value).to_f32()
}

/// Keeps the weights of a graph in 16 bits.
pub fn halve(graph: &mut onnx::Graph) {
    let mut halved = Vec::new();
    for tensor in graph.initializer.iter_mut().filter(|tensor| tensor.data_type() == element::FLOAT) {
        let floats = tensor.raw_data.take().unwrap_or_default();
        let halves = floats.as_chunks::<4>().0.iter().map(|bytes| f16::from_f32(f32::from_le_bytes(*bytes)));
        tensor.raw_data = Some(halves.flat_map(f16::to_le_bytes).collect());
        tensor.data_type = Some(element::FLOAT16);
        halved.push(tensor.name().to_owned());
    }
    read_widened(graph, &halved);
    let to_float = || vec![int("to", i64::from(element::FLOAT))];
    let casts = halved.iter().map(|name| node("Cast", &[name], &[&wide(name)], to_float(), "From 16 bits"));
    graph.node.splice(0..0, casts);
}

/// Has the operators of a graph and of its branches read the widened weights.
fn read_widened(graph: &mut onnx::Graph, halved: &[String]) {
    for node in &mut graph.node {
        for input in node.input.iter_mut().filter(|input| halved.contains(input)) {
            *input = wide(input);
        }
        node.attribute.iter_mut().filter_map(|attribute| attribute.g.as_mut()).for_each(|g| read_widened(g, halved));
    }
}

fn wide(name: &str) -> String {
    format!("{name}.wide")
}
