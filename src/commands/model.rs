//! `antiphon model`, and how the commands load a model.

use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::Args;
use serde_json::{Value, json};

use super::flags::{ConfigFlags, PlayingFlags};
use super::values::engine;
use super::{Failure, examples, print_line};
use crate::config::Effective;
use crate::continuation::Continuation;
use crate::model::{
    BUNDLED_MODEL, Engine, EngineChoice, LstmModel, ModelError, ModelFile, ModelFileError, NoteModel as _, Numbers,
    Origin,
};
use crate::note_model::Description;
use crate::sampler::{Sampler, Sampling};
use crate::settings::Settings;

/// Where `antiphon-train` writes unless told otherwise.
pub(super) const TRAINED: &str = "models/antiphon.onnx";

/// Notes sampled to measure the speed.
const MEASURED_NOTES: usize = 200;

#[derive(Debug, Args)]
#[command(after_help = examples::MODEL)]
pub(super) struct ModelFlags {
    /// Model file [default: as for jam]
    #[arg(value_name = "FILE")]
    pub model: Option<PathBuf>,

    /// As JSON
    #[arg(long)]
    pub json: bool,

    #[command(flatten)]
    pub config: ConfigFlags,

    /// What runs the model: `auto`, `embedded`, or the path of an ONNX Runtime library
    #[arg(long, value_name = "ENGINE", default_value = "auto", value_parser = engine)]
    pub engine: EngineChoice,
}

/// A loaded model, and what to tell about it.
pub(super) struct Loaded {
    pub model: LstmModel,
    pub described: String,
    /// The engine that runs it, in words.
    pub engine: String,
}

/// Loads the model that the flags name.
pub(super) fn load(path: Option<&Path>, choice: &EngineChoice) -> Result<Loaded, Failure> {
    let file = find(path)?;
    let engine = Engine::start(choice)?;
    let model = LstmModel::load(&file, &engine)?;
    let described = format!("{} on {}", file.path.display(), engine.name());
    Ok(Loaded { model, described, engine: engine.name().to_owned() })
}

fn find(path: Option<&Path>) -> Result<ModelFile, ModelFileError> {
    match path {
        Some(path) => ModelFile::read(path),
        None if Path::new(TRAINED).exists() => ModelFile::read(Path::new(TRAINED)),
        None => ModelFile::from_bytes(Path::new(Origin::BUNDLED), BUNDLED_MODEL.to_vec()),
    }
}

/// The settings as the model can play them: with the number of the style.
pub(super) fn settings(effective: &Effective, model: &Description) -> Result<Settings, Failure> {
    let mut settings = effective.settings;
    let style = match &effective.style {
        Some(name) => name.to_string(),
        None if usize::from(settings.style) < model.styles.len() => return Ok(settings),
        None => settings.style.to_string(),
    };
    let known = || ModelError::Style { wanted: style.clone(), known: model.styles.clone() };
    let number = model.style_number(&style).ok_or_else(known)?;
    settings.style = u8::try_from(number).map_err(|_| known())?;
    Ok(settings)
}

/// Says whether the model can be read and knows the style; runs nothing.
pub(super) fn check(path: Option<&Path>, effective: &Effective) -> Result<Settings, Failure> {
    settings(effective, &find(path)?.description)
}

/// The seed asked for, else one that differs from session to session.
pub(super) fn seed(flags: &PlayingFlags) -> u64 {
    flags.seed.unwrap_or_else(|| {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        since.map_or(0, |since| since.as_secs() ^ u64::from(since.subsec_nanos()))
    })
}

/// What a model file holds, and how fast it runs here.
struct Measured {
    path: String,
    engine: String,
    description: Description,
    numbers: Numbers,
    loaded_ms: u128,
    /// Microseconds for a whole note: the median, and the 99th of a hundred.
    note_us: [u128; 2],
}

pub(super) fn run(flags: &ModelFlags) -> Result<(), Failure> {
    let started = Instant::now();
    let Loaded { model, engine, .. } = load(flags.model.as_deref(), &flags.engine)?;
    let loaded_ms = started.elapsed().as_millis();
    let (path, description, numbers) = (model.origin().name.clone(), model.description().clone(), model.numbers());
    let mut note = note_times(model)?;
    note.sort_unstable();
    let note_us = [note[note.len() / 2], note[note.len() * 99 / 100]];
    let measured = Measured { path, engine, description, numbers, loaded_ms, note_us };
    if flags.json {
        print_line(measured.to_json())
    } else {
        measured.print()
    }
    Ok(())
}

impl Measured {
    fn print(&self) {
        let Self { path, engine, description, numbers, loaded_ms, note_us: [median, slow] } = self;
        print_line(format_args!("{path} on {engine}"));
        print_line(format_args!("styles: {}", description.styles.join(", ")));
        let sizes = description.sizes;
        let numbers = numbers.name();
        print_line(format_args!(
            "LSTM: {} layers of {} units, heads of {}, weights in {numbers}",
            sizes.layers, sizes.hidden, sizes.head
        ));
        let held_out = description.held_out;
        let bits = held_out.bits_per_note;
        print_line(format_args!(
            "held out: {:.2} bits per note = shift {:.2} + key {:.2} + duration {:.2} + velocity {:.2}, {} notes of {} pieces",
            bits.sum(),
            bits.shift,
            bits.key,
            bits.duration,
            bits.velocity,
            held_out.notes,
            held_out.pieces
        ));
        print_line(format_args!("data: sha256 {}", description.data_sha256));
        print_line(format_args!("training: {}", description.training));
        print_line(format_args!("loaded in {loaded_ms} ms; a whole note takes {median} us (p50), {slow} us (p99)"));
    }

    fn to_json(&self) -> Value {
        let Self { path, engine, description, numbers, loaded_ms, note_us: [median, slow] } = self;
        let (sizes, held_out) = (description.sizes, description.held_out);
        let bits = held_out.bits_per_note;
        json!({
            "model": path, "engine": engine, "styles": description.styles,
            "layers": sizes.layers, "hidden": sizes.hidden, "head": sizes.head, "weights": numbers.name(),
            "held_out": {
                "bits_per_note": bits.sum(), "shift": bits.shift, "key": bits.key, "duration": bits.duration,
                "velocity": bits.velocity, "notes": held_out.notes, "pieces": held_out.pieces,
            },
            "data_sha256": description.data_sha256, "training": description.training,
            "loaded_ms": loaded_ms, "note_us": { "p50": median, "p99": slow },
        })
    }
}

/// Microseconds that each of some notes took.
pub(super) fn note_times(mut model: LstmModel) -> Result<Vec<u128>, Failure> {
    use crate::continuation::Window;
    use crate::time::{SessionDuration, SessionTime};

    let mut continuation = Continuation::new(&mut model, 0, Sampler::new(Sampling::default(), 1))?;
    let mut from = SessionTime::ZERO;
    let mut times = Vec::with_capacity(MEASURED_NOTES);
    for _ in 0..MEASURED_NOTES {
        let started = Instant::now();
        let window = Window { from, to: from + SessionDuration::from_millis(1000) };
        from = continuation.next_note(&mut model, window)?.onset;
        times.push(started.elapsed().as_micros());
    }
    Ok(times)
}
