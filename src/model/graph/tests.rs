use std::path::Path;

use prost::Message as _;

use super::*;
use crate::model::{BUNDLED_MODEL, ModelFile};

fn bundled() -> onnx::Model {
    onnx::Model::decode(BUNDLED_MODEL).expect("whole")
}

/// What is said of the bundled model after `spoil`, by the check alone and by whoever reads the file.
fn said(spoil: impl FnOnce(&mut onnx::Graph)) -> String {
    said_of_model(|model| spoil(model.graph.as_mut().expect("a graph")))
}

fn said_of_model(spoil: impl FnOnce(&mut onnx::Model)) -> String {
    let mut model = bundled();
    spoil(&mut model);
    let read = ModelFile::from_bytes(Path::new("a.onnx"), model.encode_to_vec());
    let sentence = read.err().expect("refused").to_string();
    assert!(!sentence.contains(['\n', '\u{1b}']) && sentence.len() < 400, "{sentence}");
    sentence
}

fn branch<'a>(graph: &'a mut onnx::Graph, name: &str) -> &'a mut onnx::Graph {
    let node = graph.node.iter_mut().find(|node| node.op_type() == "If").expect("there");
    let attributes = &mut node.attribute;
    let branch = attributes.iter_mut().find(|attribute| attribute.name() == name).expect("there");
    branch.g.as_mut().expect("a graph")
}

fn outside() -> onnx::Tensor {
    let location = onnx::StringStringEntry { key: Some("location".into()), value: Some("../../etc/passwd".into()) };
    onnx::Tensor {
        name: Some("outside".into()),
        dims: vec![1],
        data_type: Some(onnx::element::FLOAT),
        external_data: vec![location],
        data_location: Some(1),
        ..onnx::Tensor::default()
    }
}

fn tensor(dims: &[i64], raw: usize) -> onnx::Tensor {
    onnx::Tensor {
        name: Some("more".into()),
        dims: dims.to_vec(),
        data_type: Some(onnx::element::FLOAT),
        raw_data: Some(vec![0; raw]),
        ..onnx::Tensor::default()
    }
}

fn operator(name: &str, inputs: &[&str], outputs: &[&str]) -> onnx::Node {
    let names = |list: &[&str]| list.iter().map(|&name| name.to_owned()).collect();
    onnx::Node { op_type: Some(name.into()), input: names(inputs), output: names(outputs), ..onnx::Node::default() }
}

#[test]
fn the_bundled_model_passes() {
    let file = ModelFile::from_bytes(Path::new("bundled"), BUNDLED_MODEL.to_vec()).expect("ours");
    assert_eq!(check(&bundled(), &file.description), Ok(file.numbers));
}

#[test]
fn weights_in_another_file_are_refused_wherever_they_hide() {
    let elsewhere = "it keeps weights in another file";
    assert!(said(|graph| graph.initializer.push(outside())).contains(elsewhere));
    assert!(said(|graph| branch(graph, "else_branch").initializer.push(outside())).contains(elsewhere));
    let attribute = || onnx::Attribute { name: Some("value".into()), t: Some(outside()), ..onnx::Attribute::default() };
    assert!(said(|graph| graph.node[3].attribute.push(attribute())).contains(elsewhere));
    assert!(said(|graph| branch(graph, "then_branch").node[2].attribute.push(attribute())).contains(elsewhere));
    assert!(said(|graph| graph.initializer[0].data_location = Some(1)).contains(elsewhere));
}

#[test]
fn tensors_that_are_not_what_they_say_are_refused() {
    for dims in [&[-1][..], &[0], &[1 << 40, 1 << 40], &[i64::MIN], &[1 << 29], &[1, 1, 1, 1, 1]] {
        assert!(said(|graph| graph.initializer.push(tensor(dims, 4))).contains("more"), "{dims:?}");
    }
    assert!(said(|graph| graph.initializer.push(tensor(&[2], 4))).contains("not as many as their shape [2] says"));
    assert!(said(|graph| graph.initializer[0].dims[0] += 1).contains("not as many"));
    assert!(said(|graph| graph.initializer[0].data_type = Some(16)).contains("element type 16"));
    assert!(said(|graph| graph.initializer[0].float_data.push(1.0)).contains("not as many"));
    let not_a_number = f32::NAN.to_le_bytes();
    let spoil = |graph: &mut onnx::Graph| {
        graph.initializer[0].raw_data.as_mut().expect("raw")[40..44].copy_from_slice(&not_a_number);
    };
    assert!(said(spoil).contains("are no numbers"));
}

#[test]
fn operators_that_run_on_or_lead_out_are_refused() {
    for name in ["Loop", "Scan", "Range", "Expand", "Tile", "ConstantOfShape", "RandomNormal", "\u{1b}[2J"] {
        let said = said(|graph| graph.node.push(operator(name, &["h"], &["x"])));
        assert!(said.contains("which no model of ours needs"), "{said}");
    }
    let foreign = onnx::Node { domain: Some("com.example".into()), ..operator("Tanh", &["h"], &["x"]) };
    assert!(said(|graph| graph.node.push(foreign)).contains("com.example"));
    let doubled = |graph: &mut onnx::Graph| {
        let name = |n: usize| if n == 0 { "h".to_owned() } else { format!("doubled{n}") };
        (0..40).for_each(|n| graph.node.push(operator("Concat", &[&name(n), &name(n)], &[&name(n + 1)])));
    };
    assert!(said(doubled).contains("one note takes more than"));
    let many = |graph: &mut onnx::Graph| {
        (0..2000).for_each(|n| graph.node.push(operator("Tanh", &["h"], &[&format!("t{n}")])));
    };
    assert!(said(many).contains("more than 1000 operators"));
    assert!(said(|graph| graph.node.push(operator("Tanh", &["nowhere"], &["x"]))).contains("what nothing makes"));
    assert!(said(|graph| graph.node.push(operator("Add", &["h", "context"], &["x"]))).contains("does not fit"));
    assert!(said(|graph| graph.node.push(operator("Tanh", &["h"], &["context_out"]))).contains("twice"));
}

/// A weight of 16 bits, as it should be, and the cast that widens it.
fn half(graph: &mut onnx::Graph) {
    let raw_data = Some([0x00, 0x3C].repeat(6));
    let data_type = Some(onnx::element::FLOAT16);
    graph.initializer.push(onnx::Tensor { raw_data, data_type, ..tensor(&[2, 3], 0) });
    let to = onnx::Attribute {
        name: Some("to".into()),
        i: Some(i64::from(onnx::element::FLOAT)),
        ..onnx::Attribute::default()
    };
    graph.node.push(onnx::Node { attribute: vec![to], ..operator("Cast", &["more"], &["wide"]) });
}

#[test]
fn weights_of_16_bits_are_known_and_said() {
    let mut model = bundled();
    half(model.graph.as_mut().expect("a graph"));
    let file = ModelFile::from_bytes(Path::new("a.onnx"), model.encode_to_vec()).expect("nothing is wrong with it");
    assert_eq!(file.numbers, Numbers::Half);
}

#[test]
fn weights_of_16_bits_that_make_no_sense_are_refused() {
    let spoilt = |spoil: &dyn Fn(&mut onnx::Tensor, &mut onnx::Node)| {
        said(|graph| {
            half(graph);
            spoil(graph.initializer.last_mut().expect("there"), graph.node.last_mut().expect("there"));
        })
    };
    let no_fit = "\"Cast\" gets does not fit";
    assert!(spoilt(&|_, cast| cast.attribute.clear()).contains(no_fit));
    assert!(spoilt(&|_, cast| cast.attribute[0].i = Some(10)).contains(no_fit));
    assert!(spoilt(&|_, cast| cast.input[0] = "h".into()).contains(no_fit));
    assert!(spoilt(&|_, cast| cast.op_type = Some("Tanh".into())).contains("\"Tanh\" gets does not fit"));
    assert!(spoilt(&|tensor, _| tensor.dims[0] = 3).contains("not as many"));
    let listed = spoilt(&|tensor, _| {
        tensor.raw_data = None;
        tensor.int32_data = vec![1; 6];
    });
    assert!(listed.contains("not as many"), "{listed}");
    for none in [0x7C00u16, 0xFC00, 0x7E00, 0xFFFF] {
        let said =
            spoilt(&|tensor, _| tensor.raw_data.as_mut().expect("raw")[4..6].copy_from_slice(&none.to_le_bytes()));
        assert!(said.contains("are no numbers"), "{none:x}: {said}");
    }
}

#[test]
fn branches_in_branches_without_end_are_refused() {
    let deep = |graph: &mut onnx::Graph| {
        for _ in 0..200 {
            let inner = std::mem::take(graph);
            let branch =
                onnx::Attribute { name: Some("then_branch".into()), g: Some(inner), ..onnx::Attribute::default() };
            graph.node = vec![onnx::Node { attribute: vec![branch], ..operator("If", &["advance"], &["x"]) }];
        }
    };
    assert!(said(deep).contains("is not an ONNX file"));
    let few = |graph: &mut onnx::Graph| {
        let inner = branch(graph, "else_branch").clone();
        let attributes = ["then_branch", "else_branch"].map(|name| onnx::Attribute {
            name: Some(name.into()),
            g: Some(inner.clone()),
            ..onnx::Attribute::default()
        });
        graph.node.push(onnx::Node { attribute: attributes.into(), ..operator("If", &["style"], &["x"]) });
    };
    assert!(said(few).contains("whether to advance"));
}

#[test]
fn what_does_not_fit_the_metadata_is_refused() {
    let widths = |graph: &mut onnx::Graph, name: &str, size: i64| {
        let all = graph.input.iter_mut().chain(&mut graph.output);
        let value = all.into_iter().find(|value| value.name() == name).expect("there");
        let shape = value.r#type.as_mut().expect("typed").tensor_type.as_mut().expect("a tensor").shape.as_mut();
        let last = shape.expect("a shape").dim.last_mut().expect("a dimension");
        last.value = Some(onnx::DimensionValue::Value(size));
    };
    assert!(said(|graph| widths(graph, "h", 1_000_000_000)).contains("input `h` is not of the sizes"));
    assert!(said(|graph| widths(graph, "context", -4)).contains("input `context` is not of the sizes"));
    assert!(said(|graph| graph.output.retain(|output| output.name() != "c_out")).contains("no output `c_out`"));
    assert!(said(|graph| graph.input.retain(|input| input.name() != "style")).contains("no input `style`"));
    assert!(said(|graph| graph.node.truncate(1)).contains("nothing in its graph makes"));
    let extra = onnx::ValueInfo { name: Some("more\u{1b}".into()), ..onnx::ValueInfo::default() };
    assert!(said(|graph| graph.input.push(extra)).contains("which nobody knows"));
    // The tables of the embeddings have a row for each class, or an index would lead out of them.
    let narrow = |graph: &mut onnx::Graph| {
        let table = graph.initializer.iter_mut().find(|tensor| tensor.name() == "embedding.key").expect("there");
        let rows = usize::try_from(table.dims[0]).expect("small");
        table.dims[0] -= 1;
        let raw = table.raw_data.as_mut().expect("raw");
        raw.truncate(raw.len() / rows * (rows - 1));
    };
    assert!(said(narrow).contains("\"Gather\" gets does not fit"));
}

#[test]
fn operator_sets_of_the_future_and_of_others_are_refused() {
    for version in [i64::MIN, 0, 13, 25, i64::MAX] {
        let said = said_of_model(|model| model.opset_import[0].version = Some(version));
        assert!(said.contains("and 14 to 24 are known here"), "{said}");
    }
    let other = onnx::OperatorSet { domain: Some("com.microsoft".into()), version: Some(1) };
    assert!(said_of_model(|model| model.opset_import.push(other)).contains("2 sets of operators"));
    assert!(said_of_model(|model| model.opset_import.clear()).contains("0 sets"));
}

#[test]
fn a_description_that_is_absurd_is_refused() {
    let described = |from: &str, to: &str| {
        said_of_model(|model| {
            let json = model.metadata_props[0].value.as_mut().expect("JSON");
            assert!(json.contains(from), "{json}");
            *json = json.replacen(from, to, 1);
        })
    };
    assert!(
        described(r#""hidden":"#, r#""hidden":1000000000,"was":"#).contains("hidden size of 1000000000 is outside")
    );
    assert!(described(r#""layers":"#, r#""layers":-1,"was":"#).contains("not one of Antiphon's"));
    assert!(described(r#""any""#, r#""any","\u001b[2J""#).contains("list of styles"));
    assert!(described("{", &"[".repeat(100_000)).contains("not one of Antiphon's"));
    assert!(described("{", &format!("{}{{", " ".repeat(2 << 20))).contains("is not an ONNX file"));
    assert!(described("{", &format!("{}{{", " ".repeat(1 << 20))).contains("longer than"));
}
