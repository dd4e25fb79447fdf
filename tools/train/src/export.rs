//! The trained network as one self-describing ONNX file.
//!
//! All that the LSTM does stands in the `then` branch of an `If(advance)`; its `else` branch hands context and state
//! through. The heads stand behind it, so that asking them again costs a small product. See [`crate::network`] for the
//! formulas.

#![expect(clippy::cast_possible_wrap, reason = "tensor sizes fit an i64")]

pub mod half;

use antiphon::model::Numbers;
use antiphon::model::file::{DESCRIPTION_KEY, names};
use antiphon::model::onnx_proto::{self as onnx, AttributeType, element};
use antiphon::note_model::{Attribute, Description};
use prost::Message;

use crate::network::{EMBEDDING_NAMES, Layout};

/// Operator set: LSTM of opset 14, tensors as axes of Squeeze and Unsqueeze; both engines know it.
const OPSET: i64 = 17;
const IR_VERSION: i64 = 9;

const GRAPH_DOC: &str = "Antiphon's note model: an LSTM whose one step is one note. A note is four classes: shift (time \
since the previous onset; 0 is a chord), key, duration, velocity. If `advance` is true, the LSTM takes in the last note \
and gives state and context anew; if false, the given context is used again, so that the heads can be asked one after \
the other as the next note's attributes are chosen. Chain rule: p(shift | context) p(key | context, shift) p(duration | \
context, shift, key) p(velocity | context, shift, key, duration). A piece begins with h = c = 0 and, as last note, the \
class count of each attribute, which stands for `no note yet`. The metadata entry `antiphon` holds class boundaries, \
styles, sizes, training settings and the held-out result as JSON. Time and batch are free: 1 x 1 steps live, N x 1 \
scores a piece.";

/// The file's bytes, with the weights kept as `numbers`.
pub fn to_onnx(layout: &Layout, values: &[f32], description: &Description, numbers: Numbers) -> Vec<u8> {
    let mut graph = graph(layout, values);
    if numbers == Numbers::Half {
        half::halve(&mut graph);
    }
    let json = serde_json::to_string(description).expect("a description is plain data");
    let model = onnx::Model {
        ir_version: Some(IR_VERSION),
        producer_name: Some("antiphon-train".into()),
        producer_version: Some(env!("CARGO_PKG_VERSION").into()),
        doc_string: Some(GRAPH_DOC.into()),
        graph: Some(graph),
        opset_import: vec![onnx::OperatorSet { domain: Some(String::new()), version: Some(OPSET) }],
        metadata_props: vec![onnx::StringStringEntry { key: Some(DESCRIPTION_KEY.into()), value: Some(json) }],
    };
    model.encode_to_vec()
}

fn graph(layout: &Layout, values: &[f32]) -> onnx::Graph {
    let advance = advance_branch(layout);
    let outputs = [names::CONTEXT[1], names::H[1], names::C[1]];
    let mut nodes = vec![node(
        "If",
        &[names::ADVANCE],
        &outputs,
        vec![branch("then_branch", advance), branch("else_branch", keep_branch())],
        "Takes the last note into the LSTM, or hands context and state through",
    )];
    nodes.extend(head_nodes());
    onnx::Graph {
        node: nodes,
        name: Some("antiphon".into()),
        initializer: initializers(layout, values),
        doc_string: Some(GRAPH_DOC.into()),
        input: inputs(layout),
        output: graph_outputs(layout),
        ..onnx::Graph::default()
    }
}

/// The LSTM: embeddings, layers, context.
fn advance_branch(layout: &Layout) -> onnx::Graph {
    let mut nodes = Vec::new();
    let hidden = vec![int("hidden_size", layout.sizes.hidden as i64), string("direction", "forward")];
    for (name, index) in EMBEDDING_NAMES.into_iter().zip(names::LAST.into_iter().chain([names::STYLE])) {
        let doc = format!("Embedding of the last note's {name}");
        nodes.push(node("Gather", &[&format!("embedding.{name}"), index], &[&format!("{name}_x")], axis(0), &doc));
    }
    let joined = EMBEDDING_NAMES.map(|name| format!("{name}_x"));
    nodes.push(node("Concat", &joined.each_ref().map(String::as_str), &["x0"], axis(2), "(time, batch, 160)"));
    let layers = layout.layers.len();
    let (mut all_h, mut all_c) = (Vec::new(), Vec::new());
    for layer in 0..layers {
        let (x, y, out) = (format!("x{layer}"), format!("y{layer}"), format!("x{}", layer + 1));
        let (h, c) = (format!("h{layer}"), format!("c{layer}"));
        let (h_next, c_next) = (format!("h{layer}_next"), format!("c{layer}_next"));
        // A Gather with a one-element index keeps the dimension: (1, batch, hidden), as the LSTM wants it.
        let number = format!("layer.{layer}");
        nodes.push(node("Gather", &[names::H[0], &number], &[&h], axis(0), "State of this layer"));
        nodes.push(node("Gather", &[names::C[0], &number], &[&c], axis(0), "State of this layer"));
        let [w, r, b] = ["w", "r", "b"].map(|part| format!("lstm.{layer}.{part}"));
        let operands = [x.as_str(), &w, &r, &b, "", &h, &c];
        nodes.push(node("LSTM", &operands, &[&y, &h_next, &c_next], hidden.clone(), "Gates in the order i, o, f, c"));
        nodes.push(node("Squeeze", &[&y, "axis.direction"], &[&out], Vec::new(), "(time, batch, hidden)"));
        all_h.push(h_next);
        all_c.push(c_next);
    }
    let refs = |list: &[String]| list.to_vec();
    for (list, name) in [(refs(&all_h), "h_advanced"), (refs(&all_c), "c_advanced")] {
        let list: Vec<&str> = list.iter().map(String::as_str).collect();
        nodes.push(node("Concat", &list, &[name], axis(0), "(layers, batch, hidden)"));
    }
    let top = format!("x{layers}");
    nodes.push(node("MatMul", &[&top, "context.w"], &["context_product"], Vec::new(), ""));
    nodes.push(node(
        "Add",
        &["context_product", "context.b"],
        &["context_advanced"],
        Vec::new(),
        "(time, batch, 4 x head)",
    ));
    onnx::Graph {
        node: nodes,
        name: Some("advance".into()),
        output: ["context_advanced", "h_advanced", "c_advanced"]
            .map(|name| value(name, element::FLOAT, None, ""))
            .into(),
        ..onnx::Graph::default()
    }
}

fn keep_branch() -> onnx::Graph {
    let kept = [names::CONTEXT[0], names::H[0], names::C[0]].map(|name| (name, format!("{name}_kept")));
    onnx::Graph {
        node: kept.iter().map(|(from, to)| node("Identity", &[from], &[to], Vec::new(), "")).collect(),
        name: Some("keep".into()),
        output: kept.iter().map(|(_, to)| value(to, element::FLOAT, None, "")).collect(),
        ..onnx::Graph::default()
    }
}

fn head_nodes() -> Vec<onnx::Node> {
    let mut nodes = Vec::new();
    let parts: Vec<String> = Attribute::ALL.iter().map(|attribute| format!("{}_context", attribute.name())).collect();
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    let doc = "One quarter of the context for each head";
    nodes.push(node("Split", &[names::CONTEXT[1], "head.sizes"], &parts, axis(2), doc));
    for (attribute, logits) in Attribute::ALL.into_iter().zip(names::LOGITS) {
        let name = attribute.name();
        let mut sum = format!("{name}_context");
        for before in &Attribute::ALL[..attribute.index()] {
            let table = format!("head.{name}.from_{}", before.name());
            let seen = format!("{name}_seen_{}", before.name());
            let doc = format!("What the {} chosen means for the {name}", before.name());
            nodes.push(node("Gather", &[&table, names::NEXT[before.index()]], &[&seen], axis(0), &doc));
            let next = format!("{name}_after_{}", before.name());
            nodes.push(node("Add", &[&sum, &seen], &[&next], Vec::new(), ""));
            sum = next;
        }
        let (u, product) = (format!("{name}_u"), format!("{name}_product"));
        nodes.push(node("Tanh", &[&sum], &[&u], Vec::new(), "(time, batch, head)"));
        nodes.push(node("MatMul", &[&u, &format!("head.{name}.w")], &[&product], Vec::new(), ""));
        nodes.push(node("Add", &[&product, &format!("head.{name}.b")], &[logits], Vec::new(), ""));
    }
    nodes
}

fn initializers(layout: &Layout, values: &[f32]) -> Vec<onnx::Tensor> {
    let mut tensors = Vec::new();
    for (name, slot) in layout.named() {
        let data = slot.of(values);
        let (rows, cols) = (slot.rows as i64, slot.cols as i64);
        tensors.push(match (name.starts_with("lstm."), name.ends_with(".b")) {
            // ONNX adds two bias vectors (Wb, Rb); ours is the first, the second is zero.
            (true, true) => floats(&name, &[1, 2 * cols], data.iter().copied().chain(vec![0.0; data.len()])),
            (true, false) => floats(&name, &[1, rows, cols], data.iter().copied()),
            (false, true) => floats(&name, &[cols], data.iter().copied()),
            (false, false) => floats(&name, &[rows, cols], data.iter().copied()),
        });
    }
    for layer in 0..layout.layers.len() {
        tensors.push(integers(&format!("layer.{layer}"), &[layer as i64]));
    }
    tensors.push(integers("axis.direction", &[1]));
    tensors.push(integers("head.sizes", &[layout.sizes.head as i64; 4]));
    tensors
}

fn inputs(layout: &Layout) -> Vec<onnx::ValueInfo> {
    let mut inputs = Vec::new();
    let sequence = || Some(vec![free("time"), free("batch")]);
    for (attribute, name) in Attribute::ALL.into_iter().zip(names::LAST) {
        let count = attribute.classes();
        let doc = format!("Class of the last note's {name}, 0 to {}; {count} if there is no note yet", count - 1);
        inputs.push(value(name, element::INT64, sequence(), &doc));
    }
    for (attribute, name) in Attribute::ALL.into_iter().zip(names::NEXT) {
        let doc = format!("Class chosen for the next note's {}; read by the heads after it only", attribute.name());
        inputs.push(value(name, element::INT64, sequence(), &doc));
    }
    let doc = format!("Style number, 0 to {}; 0 is any; names are in the metadata", layout.styles - 1);
    inputs.push(value(names::STYLE, element::INT64, sequence(), &doc));
    let doc = "True: the LSTM takes the last note in. False: only the heads run, on `context`";
    inputs.push(value(names::ADVANCE, element::BOOL, Some(Vec::new()), doc));
    for (name, shape, doc) in state_values(layout, [names::CONTEXT[0], names::H[0], names::C[0]]) {
        inputs.push(value(name, element::FLOAT, Some(shape), doc));
    }
    inputs
}

fn graph_outputs(layout: &Layout) -> Vec<onnx::ValueInfo> {
    let mut outputs = Vec::new();
    for (attribute, name) in Attribute::ALL.into_iter().zip(names::LOGITS) {
        let shape = vec![free("time"), free("batch"), fixed(attribute.classes())];
        let doc = format!("Logits of the next note's {}", attribute.name());
        outputs.push(value(name, element::FLOAT, Some(shape), &doc));
    }
    for (name, shape, doc) in state_values(layout, [names::CONTEXT[1], names::H[1], names::C[1]]) {
        outputs.push(value(name, element::FLOAT, Some(shape), doc));
    }
    outputs
}

type Shape = Vec<onnx::Dimension>;

fn state_values<'a>(layout: &Layout, names: [&'a str; 3]) -> [(&'a str, Shape, &'static str); 3] {
    let sizes = layout.sizes;
    let context = vec![free("time"), free("batch"), fixed(4 * sizes.head)];
    let state = || vec![fixed(sizes.layers), free("batch"), fixed(sizes.hidden)];
    [
        (names[0], context, "What the LSTM gives to the four heads; a quarter for each. Read if advance is false"),
        (names[1], state(), "Hidden state of the LSTM layers; zeros at a piece's beginning"),
        (names[2], state(), "Cell state of the LSTM layers; zeros at a piece's beginning"),
    ]
}

fn node(operator: &str, inputs: &[&str], outputs: &[&str], attribute: Vec<onnx::Attribute>, doc: &str) -> onnx::Node {
    let names = |list: &[&str]| list.iter().map(|&name| name.to_owned()).collect();
    onnx::Node {
        input: names(inputs),
        output: names(outputs),
        name: Some(format!("{operator}:{}", outputs[0])),
        op_type: Some(operator.into()),
        attribute,
        doc_string: Some(doc.into()),
        ..onnx::Node::default()
    }
}

fn axis(axis: i64) -> Vec<onnx::Attribute> {
    vec![int("axis", axis)]
}

fn int(name: &str, i: i64) -> onnx::Attribute {
    onnx::Attribute {
        name: Some(name.into()),
        i: Some(i),
        r#type: Some(AttributeType::Int as i32),
        ..onnx::Attribute::default()
    }
}

fn string(name: &str, s: &str) -> onnx::Attribute {
    onnx::Attribute {
        name: Some(name.into()),
        s: Some(s.into()),
        r#type: Some(AttributeType::String as i32),
        ..onnx::Attribute::default()
    }
}

fn branch(name: &str, graph: onnx::Graph) -> onnx::Attribute {
    onnx::Attribute {
        name: Some(name.into()),
        g: Some(graph),
        r#type: Some(AttributeType::Graph as i32),
        ..onnx::Attribute::default()
    }
}

fn tensor(name: &str, dims: &[i64], data_type: i32, raw_data: Vec<u8>) -> onnx::Tensor {
    onnx::Tensor {
        dims: dims.to_vec(),
        data_type: Some(data_type),
        name: Some(name.into()),
        raw_data: Some(raw_data),
        ..onnx::Tensor::default()
    }
}

fn floats(name: &str, dims: &[i64], data: impl Iterator<Item = f32>) -> onnx::Tensor {
    tensor(name, dims, element::FLOAT, data.flat_map(f32::to_le_bytes).collect())
}

fn integers(name: &str, data: &[i64]) -> onnx::Tensor {
    tensor(name, &[data.len() as i64], element::INT64, data.iter().flat_map(|value| value.to_le_bytes()).collect())
}

fn free(name: &str) -> onnx::Dimension {
    onnx::Dimension { value: Some(onnx::DimensionValue::Param(name.into())) }
}

fn fixed(size: usize) -> onnx::Dimension {
    onnx::Dimension { value: Some(onnx::DimensionValue::Value(size as i64)) }
}

fn value(name: &str, elem_type: i32, shape: Option<Shape>, doc: &str) -> onnx::ValueInfo {
    let tensor_type = onnx::TensorType { elem_type: Some(elem_type), shape: shape.map(|dim| onnx::Shape { dim }) };
    onnx::ValueInfo {
        name: Some(name.into()),
        r#type: Some(onnx::Type { tensor_type: Some(tensor_type) }),
        doc_string: Some(doc.into()),
    }
}
