//! Files under an `.onnx` name that a hostile hand could have made: the bundled model, spoilt.

use antiphon::model::BUNDLED_MODEL;
use antiphon::model::onnx_proto::{
    Attribute, Dimension, DimensionValue, Graph, Model, Node, StringStringEntry, Tensor,
};
use antiphon::model::onnx_proto::{Shape, TensorType, Type, ValueInfo, element};
use prost::Message as _;

/// A tensor whose numbers lie at `path`.
fn elsewhere(path: &str) -> Tensor {
    let location = StringStringEntry { key: Some("location".into()), value: Some(path.into()) };
    Tensor {
        name: Some("elsewhere".into()),
        dims: vec![4],
        data_type: Some(element::FLOAT),
        external_data: vec![location],
        data_location: Some(1),
        ..Tensor::default()
    }
}

fn operator(name: &str, input: &str, output: &str) -> Node {
    Node { op_type: Some(name.into()), input: vec![input.into()], output: vec![output.into()], ..Node::default() }
}

/// A model of another program: sound, with other inputs and no description.
fn of_another_program() -> Model {
    let free = Dimension { value: Some(DimensionValue::Param("n".into())) };
    let tensor_type = TensorType { elem_type: Some(element::FLOAT), shape: Some(Shape { dim: vec![free] }) };
    let value = |name: &str| ValueInfo {
        name: Some(name.into()),
        r#type: Some(Type { tensor_type: Some(tensor_type.clone()) }),
        ..ValueInfo::default()
    };
    let graph = Graph {
        node: vec![operator("Tanh", "x", "y")],
        input: vec![value("x")],
        output: vec![value("y")],
        ..Graph::default()
    };
    Model { graph: Some(graph), metadata_props: Vec::new(), ..bundled() }
}

fn bundled() -> Model {
    Model::decode(BUNDLED_MODEL).expect("whole")
}

/// All of them, each with words that its refusal holds.
pub fn files() -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let spoilt = |spoil: &dyn Fn(&mut Model, &mut Graph)| {
        let mut model = bundled();
        let mut graph = model.graph.take().expect("a graph");
        spoil(&mut model, &mut graph);
        model.graph = Some(graph);
        model.encode_to_vec()
    };
    let described = |from: &'static str, to: String| {
        spoilt(&move |model, _| {
            let json = model.metadata_props[0].value.as_mut().expect("JSON");
            *json = json.replacen(from, &to, 1);
        })
    };
    let with_node = |node: Node| spoilt(&move |_, graph| graph.node.push(node.clone()));
    let in_attribute =
        |path: &str| Attribute { name: Some("value".into()), t: Some(elsewhere(path)), ..Attribute::default() };
    let constant = |path: &str| Node { attribute: vec![in_attribute(path)], ..operator("Constant", "", "x") };
    let named = |graph: &mut Graph, name: &str| {
        graph.initializer.iter().position(|tensor| tensor.name() == name).expect("there")
    };
    vec![
        ("empty.onnx", Vec::new(), "not an ONNX file"),
        ("text.onnx", b"a model, honestly".to_vec(), "not an ONNX file"),
        ("cut.onnx", BUNDLED_MODEL[..BUNDLED_MODEL.len() / 2].to_vec(), "not an ONNX file"),
        (
            "operators_without_end.onnx",
            spoilt(&|_, graph| graph.node = vec![Node::default(); 2_000_000]),
            "not an ONNX file",
        ),
        ("of_another_program.onnx", of_another_program().encode_to_vec(), "not one of Antiphon's"),
        (
            "weights_elsewhere.onnx",
            spoilt(&|_, graph| graph.initializer.push(elsewhere("../../secret.bin"))),
            "in another file",
        ),
        ("weights_in_an_attribute.onnx", with_node(constant("/etc/passwd")), "in another file"),
        ("weights_of_a_device.onnx", with_node(constant("/dev/zero")), "in another file"),
        ("hidden_of_a_billion.onnx", described(r#""hidden":"#, r#""hidden":1000000000,"was":"#.into()), "hidden size"),
        ("layers_below_zero.onnx", described(r#""layers":"#, r#""layers":-2,"was":"#.into()), "not one of Antiphon's"),
        ("styles_that_clear_the_screen.onnx", described(r#""any""#, r#""any","\u001b[2J""#.into()), "list of styles"),
        ("lists_in_lists.onnx", described("{", "[".repeat(100_000)), "not one of Antiphon's"),
        (
            "dimensions_of_a_quintillion.onnx",
            spoilt(&|_, graph| graph.initializer[0].dims = vec![1 << 30, 1 << 30]),
            "too many",
        ),
        ("dimensions_below_zero.onnx", spoilt(&|_, graph| graph.initializer[0].dims[0] = -1), "the shape"),
        (
            "weights_that_are_no_numbers.onnx",
            spoilt(&|_, graph| {
                let at = named(graph, "context.w");
                graph.initializer[at].raw_data.as_mut().expect("raw").fill(0xFF);
            }),
            "no numbers",
        ),
        ("a_loop.onnx", with_node(operator("Loop", "h", "x")), "which no model of ours needs"),
        (
            "numbers_that_double_and_double.onnx",
            spoilt(&|_, graph| {
                for n in 0..60 {
                    let name = if n == 0 { "h".to_owned() } else { format!("x{n}") };
                    let twice =
                        Node { input: vec![name.clone(), name], ..operator("Concat", "", &format!("x{}", n + 1)) };
                    graph.node.push(twice);
                }
            }),
            "one note takes more than",
        ),
        ("outputs_missing.onnx", spoilt(&|_, graph| graph.output.truncate(2)), "has no output"),
        (
            "operators_of_the_future.onnx",
            spoilt(&|model, _| model.opset_import[0].version = Some(99)),
            "operator set 99",
        ),
        (
            "branches_in_branches.onnx",
            spoilt(&|_, graph| {
                for _ in 0..500 {
                    let branch = Attribute { g: Some(std::mem::take(graph)), ..Attribute::default() };
                    graph.node = vec![Node { attribute: vec![branch], ..operator("If", "advance", "x") }];
                }
            }),
            "not an ONNX file",
        ),
    ]
}
