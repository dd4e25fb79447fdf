//! The commands beside training: to and from the PyTorch trainer, and to a file of half the size.

use std::path::{Path, PathBuf};

use antiphon::model::Numbers;
use antiphon::note_model::{Attribute, Boundaries, NoteClasses};
use clap::Subcommand;
use serde::Serialize;

use crate::dataset::{Dataset, Piece};
use crate::error::{Exit, TrainError};
use crate::import::weights_from_onnx;
use crate::publish::publish;
use crate::random::Draws;
use crate::reading::Reader;
use crate::tensors::{Tensors, load_weights, save_weights};
use crate::weights::Weights;

/// Version of the encoded data set: its tensors and its metadata. A change of either is a new version.
pub const NOTES_VERSION: u32 = 1;
/// Notes that an exported file is checked on.
const CHECK_NOTES: usize = 256;

/// What else `antiphon-train` does. A folder of one of these names is trained on as `./encode`.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Write the data set of some folders as one safetensors file, for tools/train-distributed
    #[command(
        after_help = "Examples:\n  antiphon-train encode mid_songs --out notes.safetensors\n  antiphon-train encode mid_songs my_songs --out notes.safetensors --seed 7"
    )]
    Encode {
        /// Folders of .mid files, read and split as for training
        #[arg(required = true, value_name = "FOLDER")]
        folders: Vec<PathBuf>,
        /// The file to write
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
        /// Seed of the split
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// Read every file anew instead of taking what has not changed from the user's cache folder
        #[arg(long)]
        no_cache: bool,
    },
    /// Turn weights from tools/train-distributed, or those of a model file, into a model file, checked before it is put
    /// in its place
    #[command(
        after_help = "Examples:\n  antiphon-train export weights.safetensors --model models/new.onnx\n  antiphon-train export models/mine.onnx --half --model models/half.onnx"
    )]
    Export {
        /// The safetensors file, or a model file (.onnx)
        #[arg(value_name = "WEIGHTS")]
        weights: PathBuf,
        /// The model file to write; one that is there is replaced
        #[arg(long, value_name = "FILE")]
        model: PathBuf,
        /// Keep the weights in 16 bits instead of 32: half the size, as fast, and bits per note that differ by some
        /// thousandths of a percent
        #[arg(long)]
        half: bool,
    },
    /// Write the weights of a model file as safetensors, for tools/train-distributed to start from
    #[command(after_help = "Examples:\n  antiphon-train weights models/antiphon.onnx --out weights.safetensors")]
    Weights {
        /// The model file
        #[arg(value_name = "MODEL")]
        model: PathBuf,
        /// The file to write
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
}

/// Does what the command says.
///
/// # Errors
/// [`TrainError`], each with the reason and what to do.
pub fn run(command: &Command) -> Result<Exit, TrainError> {
    match command {
        Command::Encode { folders, out, seed, no_cache } => encode(folders, out, *seed, *no_cache)?,
        Command::Export { weights, model, half } => {
            export(weights, model, if *half { Numbers::Half } else { Numbers::Float })?;
        }
        Command::Weights { model, out } => {
            let (layout, values, description) = weights_from_onnx(model)?;
            save_weights(out, &layout, &values, &description)?;
            println!("wrote {}: {} weights of {}", out.display(), layout.total, model.display());
        }
    }
    Ok(Exit::Done)
}

/// What an encoded data set says of itself.
#[derive(Serialize)]
struct NotesDescription<'a> {
    /// `notes`, so that a file of weights is not taken for one.
    content: &'static str,
    format_version: u32,
    note_model: Boundaries,
    styles: &'a [String],
    data_sha256: &'a str,
    seed: u64,
    trainer: &'static str,
}

fn encode(folders: &[PathBuf], out: &Path, seed: u64, no_cache: bool) -> Result<(), TrainError> {
    let dataset = Dataset::read_onto(&[], folders, seed, &Reader::of_user(no_cache))?;
    print!("{}", dataset.report());
    let description = NotesDescription {
        content: "notes",
        format_version: NOTES_VERSION,
        note_model: Boundaries::ours(),
        styles: &dataset.styles,
        data_sha256: &dataset.sha256,
        seed,
        trainer: env!("CARGO_PKG_VERSION"),
    };
    let description = serde_json::to_string(&description).expect("a description is plain data");
    let tensors = notes_as_tensors(&dataset);
    tensors.save(out, description)?;
    let (training, held_out) = (dataset.training.len(), dataset.held_out.len());
    println!("wrote {}: {training} pieces to train on, {held_out} held out", out.display());
    Ok(())
}

/// Training pieces first, then those held out. Notes stand as they were read, in microseconds: they are augmented while
/// training, and classes are computed afterwards.
fn notes_as_tensors(dataset: &Dataset) -> Tensors {
    let pieces: Vec<&Piece> = dataset.training.iter().chain(&dataset.held_out).collect();
    let notes = || pieces.iter().flat_map(|piece| &piece.notes);
    let signed = |us: u64| i64::try_from(us).unwrap_or(i64::MAX);
    let count = [notes().count()];
    let mut tensors = Tensors::default();
    tensors.integers("onset_us", &count, notes().map(|note| signed(note.onset.as_micros())));
    tensors.integers("duration_us", &count, notes().map(|note| signed(note.duration.as_micros())));
    tensors.bytes("key", &count, notes().map(|note| note.key));
    tensors.bytes("velocity", &count, notes().map(|note| note.velocity));

    let ends = pieces.iter().scan(0, |end, piece| {
        *end += piece.notes.len() as u64;
        Some(signed(*end))
    });
    let count = [pieces.len()];
    tensors.integers("piece_start", &[pieces.len() + 1], [0].into_iter().chain(ends));
    tensors.bytes("piece_style", &count, pieces.iter().map(|piece| piece.style));
    let is_held_out = (0..pieces.len()).map(|index| u8::from(index >= dataset.training.len()));
    tensors.bytes("piece_is_held_out", &count, is_held_out);
    tensors.bytes("piece_has_dynamics", &count, pieces.iter().map(|piece| u8::from(piece.character.has_dynamics)));
    tensors.bytes("piece_is_rigid", &count, pieces.iter().map(|piece| u8::from(piece.character.is_rigid)));
    tensors
}

fn export(path: &Path, model: &Path, numbers: Numbers) -> Result<(), TrainError> {
    let is_model = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("onnx"));
    let (layout, values, description) = if is_model { weights_from_onnx(path) } else { load_weights(path) }?;
    let style = layout.styles - 1;
    let weights = Weights::new(layout, values);
    let checked = publish(model, &weights, &description, numbers, &notes_to_check(), u8::try_from(style).unwrap_or(0))?;
    let held_out = description.held_out;
    println!(
        "wrote {} ({:.1} MB): {:.3} bits per note on {} held-out notes, as its trainer says; checked on {} notes with the {} engine, logits differ by {:.1e} whole and {:.1e} stepwise at most",
        model.display(),
        f64::from(u32::try_from(checked.bytes).unwrap_or(u32::MAX)) / 1e6,
        held_out.bits_per_note.sum(),
        held_out.notes,
        checked.notes,
        checked.engine,
        checked.whole,
        checked.stepwise,
    );
    Ok(())
}

/// Notes of all classes: the weights come without the pieces that they were trained on.
#[expect(clippy::cast_possible_truncation, reason = "there are at most 256 classes")]
fn notes_to_check() -> Vec<NoteClasses> {
    let mut draws = Draws::new(0, 0);
    let mut note = || NoteClasses(Attribute::ALL.map(|attribute| draws.below(attribute.classes()) as u8));
    (0..CHECK_NOTES).map(|_| note()).collect()
}
