//! One step of the LSTM note model through `ort`.

use ort::session::Session;
use ort::session::builder::GraphOptimizationLevel;
use ort::value::TensorRef;

use super::engine::Engine;
use super::file::{ModelFile, Numbers, names};
use super::{Logits, ModelError, ModelState, NoteModel, Origin};
use crate::note_model::{ANY_STYLE, Attribute, Description, NoteClasses};

impl From<ort::Error> for ModelError {
    fn from(error: ort::Error) -> Self {
        Self::Run(error.to_string())
    }
}

/// The model in a running engine.
pub struct LstmModel {
    /// The LSTM and the heads behind it.
    whole: Session,
    /// The heads alone.
    heads: Session,
    description: Description,
    numbers: Numbers,
    origin: Origin,
}

/// What goes in: `time` steps of one voice (batch 1).
struct Inputs<'a> {
    last: [&'a [i64]; 4],
    next: [&'a [i64]; 3],
    style: &'a [i64],
    h: &'a [f32],
    c: &'a [f32],
    context: &'a [f32],
}

impl LstmModel {
    /// Hands a checked file to an engine; computing is single-threaded.
    ///
    /// # Errors
    /// [`ModelError::Load`] when the engine does not take the graph.
    pub fn load(file: &ModelFile, engine: &Engine) -> Result<Self, ModelError> {
        let build = |advance: bool| -> Result<Session, ort::Error> {
            // Below Level3 the embedded engine is 35 times slower.
            Session::builder(engine.environment())?
                .with_optimization_level(GraphOptimizationLevel::Level3)?
                .with_intra_threads(1)?
                .commit_from_memory(&file.settled(advance))
        };
        let refused = |error: ort::Error| ModelError::Load {
            path: file.path.display().to_string(),
            engine: engine.name().to_owned(),
            why: error.to_string(),
        };
        let (whole, heads) = (build(true).map_err(refused)?, build(false).map_err(refused)?);
        let (description, numbers) = (file.description.clone(), file.numbers);
        Ok(Self { whole, heads, description, numbers, origin: file.origin() })
    }

    /// What the model says of itself.
    pub fn description(&self) -> &Description {
        &self.description
    }

    /// How its file keeps its weights.
    pub fn numbers(&self) -> Numbers {
        self.numbers
    }

    /// The number of a style by its name; `any` when none is named.
    ///
    /// # Errors
    /// [`ModelError::Style`], which lists the styles there are.
    pub fn style_number(&self, name: Option<&str>) -> Result<usize, ModelError> {
        let wanted = name.unwrap_or(ANY_STYLE);
        self.description
            .style_number(wanted)
            .ok_or_else(|| ModelError::Style { wanted: wanted.to_owned(), known: self.description.styles.clone() })
    }

    /// Logits of every note of a piece, each given the notes before it: one run for the whole piece.
    ///
    /// # Errors
    /// When the engine fails.
    pub fn score(&mut self, notes: &[NoteClasses], style: usize) -> Result<Logits, ModelError> {
        let none = none_classes();
        let last = Attribute::ALL.map(|attribute| {
            let before = notes.split_last().map_or(&[][..], |(_, before)| before);
            let classes = before.iter().map(|note| i64::from(note.of(attribute)));
            std::iter::once(none[attribute.index()]).chain(classes).collect::<Vec<_>>()
        });
        let next = Attribute::ALL.map(|a| notes.iter().map(|note| i64::from(note.of(a))).collect::<Vec<_>>());
        if notes.is_empty() {
            return Ok(Logits::default());
        }
        let (state, context) = (self.zero_state(), vec![0.0; 4 * self.description.sizes.head * notes.len()]);
        let style = vec![as_i64(style); notes.len()];
        let inputs = Inputs {
            last: [&last[0], &last[1], &last[2], &last[3]],
            next: [&next[0], &next[1], &next[2]],
            style: &style,
            h: &state,
            c: &state,
            context: &context,
        };
        let outputs = run(&mut self.whole, &self.description, &inputs)?;
        let mut logits = Logits::default();
        for (table, attribute) in logits.tables.iter_mut().zip(Attribute::ALL) {
            outputs.copy(names::LOGITS[attribute.index()], notes.len() * attribute.classes(), table)?;
        }
        Ok(logits)
    }

    fn zero_state(&self) -> Vec<f32> {
        vec![0.0; self.description.sizes.layers * self.description.sizes.hidden]
    }

    fn step(&mut self, state: &mut ModelState, last: [i64; 4], style: usize) -> Result<(), ModelError> {
        let inputs = Inputs {
            last: [&last[0..1], &last[1..2], &last[2..3], &last[3..4]],
            next: [&[0]; 3],
            style: &[as_i64(style)],
            h: &state.h,
            c: &state.c,
            context: &state.context,
        };
        let outputs = run(&mut self.whole, &self.description, &inputs)?;
        let sizes = self.description.sizes;
        outputs.copy(names::H[1], sizes.layers * sizes.hidden, &mut state.h)?;
        outputs.copy(names::C[1], sizes.layers * sizes.hidden, &mut state.c)?;
        outputs.copy(names::CONTEXT[1], 4 * sizes.head, &mut state.context)?;
        outputs.copy(names::LOGITS[0], Attribute::Shift.classes(), &mut state.shift_logits)
    }
}

impl NoteModel for LstmModel {
    fn origin(&self) -> &Origin {
        &self.origin
    }

    fn styles(&self) -> &[String] {
        &self.description.styles
    }

    fn start(&mut self, style: usize) -> Result<ModelState, ModelError> {
        let zero = self.zero_state();
        let context = vec![0.0; 4 * self.description.sizes.head];
        let mut state = ModelState { h: zero.clone(), c: zero, context, shift_logits: Vec::new() };
        self.step(&mut state, none_classes(), style)?;
        Ok(state)
    }

    fn advance(&mut self, state: &mut ModelState, note: NoteClasses, style: usize) -> Result<(), ModelError> {
        self.step(state, note.0.map(i64::from), style)
    }

    fn logits(
        &mut self,
        state: &ModelState,
        chosen: NoteClasses,
        attribute: Attribute,
        out: &mut Vec<f32>,
    ) -> Result<(), ModelError> {
        if attribute == Attribute::Shift {
            out.clone_from(&state.shift_logits);
            return Ok(());
        }
        let chosen = chosen.0.map(i64::from);
        let inputs = Inputs {
            last: [&[0]; 4],
            next: [&chosen[0..1], &chosen[1..2], &chosen[2..3]],
            style: &[0],
            h: &state.h,
            c: &state.c,
            context: &state.context,
        };
        run(&mut self.heads, &self.description, &inputs)?.copy(
            names::LOGITS[attribute.index()],
            attribute.classes(),
            out,
        )
    }
}

/// The classes that stand for "no note yet": one past the last of each attribute.
fn none_classes() -> [i64; 4] {
    Attribute::ALL.map(|attribute| as_i64(attribute.classes()))
}

fn as_i64(index: usize) -> i64 {
    i64::try_from(index).expect("class and style numbers are small")
}

/// Outputs of a run, copied out by name.
struct Outputs<'s>(ort::session::SessionOutputs<'s>);

impl Outputs<'_> {
    /// Copies `count` numbers; anything else than so many numbers is an error, whatever the graph says of itself.
    fn copy(&self, name: &str, count: usize, out: &mut Vec<f32>) -> Result<(), ModelError> {
        let output = self.0.get(name).ok_or_else(|| ModelError::Run(format!("it gives no `{name}`")))?;
        let (_, values) = output.try_extract_tensor::<f32>()?;
        if values.len() != count {
            return Err(ModelError::Run(format!("its `{name}` are {} numbers, not {count}", values.len())));
        }
        if !values.iter().all(|value| value.is_finite()) {
            return Err(ModelError::Run(format!("some of its `{name}` are no numbers")));
        }
        out.clear();
        out.extend_from_slice(values);
        Ok(())
    }
}

fn run<'s>(
    session: &'s mut Session,
    description: &Description,
    inputs: &Inputs<'_>,
) -> Result<Outputs<'s>, ModelError> {
    let sizes = description.sizes;
    let sequence = [as_i64(inputs.style.len()), 1]; // (time, batch)
    let state = [as_i64(sizes.layers), 1, as_i64(sizes.hidden)]; // (layers, batch, hidden)
    let context = [sequence[0], 1, as_i64(4 * sizes.head)]; // (time, batch, 4 x head)
    let outputs = session.run(ort::inputs![
        names::LAST[0] => TensorRef::from_array_view((sequence, inputs.last[0]))?,
        names::LAST[1] => TensorRef::from_array_view((sequence, inputs.last[1]))?,
        names::LAST[2] => TensorRef::from_array_view((sequence, inputs.last[2]))?,
        names::LAST[3] => TensorRef::from_array_view((sequence, inputs.last[3]))?,
        names::NEXT[0] => TensorRef::from_array_view((sequence, inputs.next[0]))?,
        names::NEXT[1] => TensorRef::from_array_view((sequence, inputs.next[1]))?,
        names::NEXT[2] => TensorRef::from_array_view((sequence, inputs.next[2]))?,
        names::STYLE => TensorRef::from_array_view((sequence, inputs.style))?,
        names::H[0] => TensorRef::from_array_view((state, inputs.h))?,
        names::C[0] => TensorRef::from_array_view((state, inputs.c))?,
        names::CONTEXT[0] => TensorRef::from_array_view((context, inputs.context))?,
    ])?;
    Ok(Outputs(outputs))
}
