//! Shapes, from operator to operator.

use std::collections::HashMap;

use super::weights::Weights;
use super::{onnx, quoted};

/// Most operators of a graph and its branches; the bundled model has some 50.
const MOST_OPERATORS: usize = 1000;

/// Most numbers that one step may make, all operators together; the bundled model makes some 20,000.
const MOST_NUMBERS: usize = 1 << 24;

/// What is known of a value.
#[derive(Clone, Debug, PartialEq)]
struct Known {
    shape: Vec<usize>,
    kind: Kind,
}

#[derive(Clone, Debug, PartialEq)]
enum Kind {
    Floats,
    /// Floats of 16 bits: nothing but a cast takes them.
    Halves,
    /// A truth value.
    Flag,
    /// Integers of which none is larger than this.
    Upto(usize),
    /// These integers.
    Integers(Vec<i64>),
}

/// A walk through a graph, with what is known so far.
#[derive(Clone, Default)]
pub(super) struct Walk<'a> {
    known: HashMap<&'a str, Known>,
    operators: usize,
    numbers: usize,
}

/// Why an operator makes no sense: one sentence's half.
type Wrong = String;

impl<'a> Walk<'a> {
    /// An input that holds one index from 0 to `largest`.
    pub fn index(&mut self, name: &'a str, largest: usize) {
        self.known.insert(name, Known { shape: vec![1, 1], kind: Kind::Upto(largest) });
    }

    /// An input that is true or false.
    pub fn flag(&mut self, name: &'a str) {
        self.known.insert(name, Known { shape: Vec::new(), kind: Kind::Flag });
    }

    /// An input of floats.
    pub fn floats(&mut self, name: &'a str, shape: Vec<usize>) {
        self.known.insert(name, Known { shape, kind: Kind::Floats });
    }

    /// The shape of a value.
    pub fn shape(&self, name: &str) -> Option<&Vec<usize>> {
        self.known.get(name).filter(|known| known.kind == Kind::Floats).map(|known| &known.shape)
    }

    /// Goes through the weights and operators of a graph.
    pub fn through(&mut self, graph: &'a onnx::Graph) -> Result<(), Wrong> {
        for tensor in &graph.initializer {
            let Weights { shape, element, integers } = Weights::check(tensor)?;
            let kind = match element {
                onnx::element::FLOAT => Kind::Floats,
                onnx::element::FLOAT16 => Kind::Halves,
                _ => Kind::Integers(integers),
            };
            self.learn(tensor.name(), Known { shape, kind })?;
        }
        graph.node.iter().try_for_each(|node| self.node(node))
    }

    fn learn(&mut self, name: &'a str, known: Known) -> Result<(), Wrong> {
        if name.is_empty() || self.known.insert(name, known).is_some() {
            return Err(format!("it makes the value {} twice", quoted(name)));
        }
        Ok(())
    }

    fn node(&mut self, node: &'a onnx::Node) -> Result<(), Wrong> {
        self.operators += 1;
        if self.operators > MOST_OPERATORS {
            return Err(format!("it has more than {MOST_OPERATORS} operators"));
        }
        let operator = node.op_type();
        if !matches!(node.domain(), "" | "ai.onnx") {
            return Err(format!("it uses {} of {}", quoted(operator), quoted(node.domain())));
        }
        for attribute in &node.attribute {
            if let Some(tensor) = &attribute.t {
                Weights::check(tensor)?;
            }
            if (attribute.g.is_some() && operator != "If") || attribute.t.is_some() {
                return Err(format!("its {} has an attribute that it cannot have", quoted(operator)));
            }
        }
        let made = if operator == "If" { self.branches(node)? } else { self.made(node)? };
        if made.len() < node.output.len() {
            return Err(format!("its {} has {} outputs", quoted(operator), node.output.len()));
        }
        for (name, known) in node.output.iter().zip(made) {
            let numbers = known.shape.iter().try_fold(1usize, |count, &size| count.checked_mul(size));
            let numbers = numbers.and_then(|numbers| self.numbers.checked_add(numbers));
            let numbers = numbers.filter(|numbers| *numbers <= MOST_NUMBERS);
            self.numbers = numbers.ok_or_else(|| format!("one note takes more than {MOST_NUMBERS} numbers"))?;
            if !name.is_empty() {
                self.learn(name, known)?;
            }
        }
        Ok(())
    }

    /// Both branches, which must come to the same.
    fn branches(&mut self, node: &'a onnx::Node) -> Result<Vec<Known>, Wrong> {
        let condition = node.input.first().and_then(|name| self.known.get(name.as_str()));
        if condition.is_none_or(|condition| condition.kind != Kind::Flag) {
            return Err("its If does not ask whether to advance".into());
        }
        let mut ends = Vec::new();
        for name in ["then_branch", "else_branch"] {
            let branch = node.attribute.iter().find(|attribute| attribute.name() == name);
            let branch = branch.and_then(|branch| branch.g.as_ref());
            let branch = branch.ok_or_else(|| format!("its If has no {name}"))?;
            if !branch.input.is_empty() {
                return Err(format!("its {name} has inputs"));
            }
            let mut inside = self.clone();
            inside.through(branch)?;
            (self.operators, self.numbers) = (inside.operators, inside.numbers);
            let end = |output: &onnx::ValueInfo| {
                let known = inside.known.get(output.name()).cloned();
                known.ok_or_else(|| format!("nothing makes {} in its {name}", quoted(output.name())))
            };
            ends.push(branch.output.iter().map(end).collect::<Result<Vec<Known>, Wrong>>()?);
        }
        let (then, otherwise) = (ends.swap_remove(0), ends.swap_remove(0));
        if then == otherwise { Ok(then) } else { Err("its two branches do not come to the same".into()) }
    }

    /// What an operator makes of its inputs.
    fn made(&self, node: &onnx::Node) -> Result<Vec<Known>, Wrong> {
        let operator = node.op_type();
        let misfit = || format!("what its {} gets does not fit together", quoted(operator));
        let inputs: Option<Vec<Option<&Known>>> = node
            .input
            .iter()
            .map(|name| if name.is_empty() { Some(None) } else { self.known.get(name.as_str()).map(Some) })
            .collect();
        let inputs = inputs.ok_or_else(|| format!("its {} gets what nothing makes", quoted(operator)))?;
        let known = |place: usize| inputs.get(place).copied().flatten();
        let floats =
            |place: usize| known(place).filter(|known| known.kind == Kind::Floats).map(|known| &known.shape[..]);
        let axis = |size: usize| {
            let axis = integer(node, "axis").unwrap_or(0);
            let axis = if axis < 0 { axis + i64::try_from(size).ok()? } else { axis };
            usize::try_from(axis).ok().filter(|axis| *axis < size)
        };
        let one = |shape: Vec<usize>| vec![Known { shape, kind: Kind::Floats }];
        let taken = match operator {
            "Identity" => known(0).map(|known| vec![known.clone()]),
            "Tanh" | "Sigmoid" | "Relu" => floats(0).map(|shape| one(shape.to_vec())),
            "Add" | "Mul" | "Sub" => floats(0).zip(floats(1)).and_then(|(a, b)| broadcast(a, b)).map(one),
            "MatMul" => floats(0).zip(floats(1)).and_then(|(a, b)| product(a, b)).map(one),
            "Cast" => {
                let to_floats = integer(node, "to") == Some(i64::from(onnx::element::FLOAT));
                known(0).filter(|known| to_floats && known.kind == Kind::Halves).map(|known| one(known.shape.clone()))
            }
            "Concat" => {
                let shapes: Option<Vec<&[usize]>> = (0..inputs.len()).map(floats).collect();
                shapes.and_then(|shapes| joined(&shapes, axis(shapes.first()?.len())?)).map(one)
            }
            "Gather" => floats(0).zip(known(1)).and_then(|(data, index)| {
                let axis = axis(data.len())?;
                let within = match &index.kind {
                    Kind::Upto(largest) => *largest < data[axis],
                    Kind::Integers(all) => {
                        !all.is_empty() && all.iter().all(|&index| usize::try_from(index).is_ok_and(|i| i < data[axis]))
                    }
                    _ => false,
                };
                within.then(|| one([&data[..axis], &index.shape, &data[axis + 1..]].concat()))
            }),
            "Split" => floats(0).zip(known(1)).and_then(|(data, sizes)| {
                let axis = axis(data.len())?;
                let Kind::Integers(sizes) = &sizes.kind else { return None };
                let sizes: Vec<usize> = sizes.iter().map(|&size| usize::try_from(size).ok()).collect::<Option<_>>()?;
                let whole =
                    !sizes.contains(&0) && sizes.iter().try_fold(0usize, |sum, &s| sum.checked_add(s))? == data[axis];
                let part = |size| one([&data[..axis], &[size], &data[axis + 1..]].concat());
                whole.then(|| sizes.into_iter().flat_map(part).collect())
            }),
            "Squeeze" => floats(0).zip(known(1)).and_then(|(data, axes)| {
                let Kind::Integers(axes) = &axes.kind else { return None };
                let [axis] = axes[..] else { return None };
                let axis = usize::try_from(axis).ok().filter(|&axis| data.get(axis) == Some(&1))?;
                Some(one([&data[..axis], &data[axis + 1..]].concat()))
            }),
            "LSTM" => {
                let plain = |attribute: &onnx::Attribute| match attribute.name() {
                    "hidden_size" => true,
                    "direction" => attribute.s.as_deref() == Some(b"forward"),
                    _ => false,
                };
                let plain = node.attribute.iter().all(plain) && known(4).is_none() && inputs.len() <= 7;
                plain
                    .then(|| lstm(integer(node, "hidden_size"), [0, 1, 2, 3, 5, 6].map(floats)))
                    .flatten()
                    .map(|shapes| shapes.into_iter().map(|shape| Known { shape, kind: Kind::Floats }).collect())
            }
            other => return Err(format!("it uses the operator {}, which no model of ours needs", quoted(other))),
        };
        taken.ok_or_else(misfit)
    }
}

fn integer(node: &onnx::Node, name: &str) -> Option<i64> {
    node.attribute.iter().find(|attribute| attribute.name() == name)?.i
}

/// The shape of an operator that goes element by element.
fn broadcast(a: &[usize], b: &[usize]) -> Option<Vec<usize>> {
    let (long, short) = if a.len() >= b.len() { (a, b) } else { (b, a) };
    let mut shape = long.to_vec();
    for (size, &other) in shape[long.len() - short.len()..].iter_mut().zip(short) {
        *size = match (*size, other) {
            (size, other) if size == other || other == 1 => size,
            (1, other) => other,
            _ => return None,
        };
    }
    Some(shape)
}

/// Rows times a matrix.
fn product(a: &[usize], b: &[usize]) -> Option<Vec<usize>> {
    let (&inner, rows) = a.split_last()?;
    let [height, width] = *b else { return None };
    (inner == height && !rows.is_empty()).then(|| [rows, &[width]].concat())
}

/// Shapes that are the same but along `axis`.
fn joined(shapes: &[&[usize]], axis: usize) -> Option<Vec<usize>> {
    let mut sum = shapes.first()?.to_vec();
    sum[axis] = 0;
    for shape in shapes {
        let same = shape.len() == sum.len() && (0..sum.len()).all(|place| place == axis || shape[place] == sum[place]);
        sum[axis] = same.then(|| sum[axis].checked_add(shape[axis])).flatten()?;
    }
    Some(sum)
}

/// Outputs of a one-way LSTM: all states, the last one, and the last cell.
fn lstm(hidden: Option<i64>, [x, w, r, b, h, c]: [Option<&[usize]>; 6]) -> Option<Vec<Vec<usize>>> {
    let hidden = usize::try_from(hidden?).ok().filter(|hidden| (1..1 << 20).contains(hidden))?;
    let [time, batch, width] = *x? else { return None };
    let state = [1, batch, hidden];
    let fits = w? == [1, 4 * hidden, width] && r? == [1, 4 * hidden, hidden] && b? == [1, 8 * hidden];
    (fits && h? == state && c? == state).then(|| vec![vec![time, 1, batch, hidden], state.into(), state.into()])
}
