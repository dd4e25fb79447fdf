//! `antiphon eval`: bits per note on pieces that the model was not trained on, beside a unigram and a Markov model.

mod baselines;
mod continuations;
mod files;
mod pieces;
mod report;

use std::collections::{BTreeSet, HashSet};
use std::num::NonZero;
use std::ops::{Deref, DerefMut};
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use clap::{Args, value_parser};
use continuations::Drawing;
use files::StyleFiles;
use pieces::Piece;
use report::Cost;

use super::values::{engine, probability, temperature};
use super::{Exit, Failure, examples, print_line};
use crate::evaluation::{Passages, Tally, class_bits, coinciding, figures, remembering};
use crate::markov::{Training, fingerprint, in_parallel};
use crate::memory::Memory;
use crate::model::{Engine, EngineChoice, LstmModel, ModelError, ModelFile};
use crate::sampler::Sampling;

/// Threads unless told otherwise, at most.
const MOST_THREADS: usize = 8;
/// Figures behind a place of the training pieces that are told apart when looking for copies.
const LONGEST_COPY: usize = 128;

#[derive(Debug, Args)]
#[command(after_help = examples::EVAL)]
pub(super) struct EvalFlags {
    /// Model file
    #[arg(value_name = "MODEL")]
    pub model: PathBuf,

    /// Pieces to evaluate on: a folder with one folder for each style; of a style with train/ and test/, test/ is taken
    #[arg(value_name = "FOLDER")]
    pub folder: PathBuf,

    /// Pieces that the baselines learn from; of a style with train/, that part; may be given several times
    /// [default: the train/ beside each test/ that is taken]
    #[arg(long, value_name = "FOLDER")]
    pub train: Vec<PathBuf>,

    /// As JSON: one line for each piece, then one for all
    #[arg(long)]
    pub json: bool,

    /// What runs the model: `auto`, `embedded`, or the path of an ONNX Runtime library
    #[arg(long, value_name = "ENGINE", default_value = "auto", value_parser = engine)]
    pub engine: EngineChoice,

    /// Tell the model each piece's style, where it knows it; otherwise it is told `any`
    #[arg(long)]
    pub style_told: bool,

    /// Most training notes that the baselines of a style learn from, 1000 to 100000000
    #[arg(long, value_name = "N", default_value_t = 1_500_000, value_parser = value_parser!(u32).range(1000..=100_000_000))]
    pub training_notes: u32,

    /// How much the piece itself has to say in what comes next, 0 to 1: 0 is the model alone
    #[arg(long, value_name = "M", default_value_t = 1.0, value_parser = probability)]
    pub memory: f32,

    /// Continue so many of the pieces, 0 to 10000, and compare the continuations with what people wrote
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = value_parser!(u32).range(0..=10_000))]
    pub generate: u32,

    /// How bold the continuations are: 0.01 to 4
    #[arg(long, value_name = "T", default_value_t = 1.0, value_parser = temperature)]
    pub temperature: f32,

    /// Continuations draw only from the likeliest choices that together have this probability: 0 to 1
    #[arg(long, value_name = "P", default_value_t = 0.97, value_parser = probability)]
    pub top_p: f32,

    /// Seed of the continuations
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,

    /// Threads to work on, 1 to 64 [default: as many as there are processors, 8 at most]
    #[arg(long, value_name = "N", value_parser = value_parser!(u8).range(1..=64))]
    pub threads: Option<u8>,
}

/// A style that is evaluated.
struct Style {
    name: String,
    /// The number that the model is told.
    told: usize,
    from: StyleFiles,
    pieces: Vec<Piece>,
    costs: Vec<Cost>,
}

pub(super) fn run(flags: &EvalFlags) -> Result<(), Failure> {
    let threads =
        flags.threads.map_or_else(processors, |threads| NonZero::new(threads.into()).unwrap_or(NonZero::<usize>::MIN));
    let found = files::find(&flags.folder, "test")?;
    let models = load(flags, threads)?;
    let training_files = training_files(flags)?;
    let mut styles = read(found, flags, &models, threads);
    if styles.is_empty() {
        let sentence = format!("no file in {} could be read; see the lines above", flags.folder.display());
        return Err(Failure::new(Exit::MidiFile, sentence));
    }
    let evaluated: HashSet<u64> =
        styles.iter().flat_map(|style| &style.pieces).map(|piece| fingerprint(&piece.classes)).collect();

    let mut heard = BTreeSet::new();
    for style in &mut styles {
        let started = Instant::now();
        style.costs = score(&models, style, flags.memory, threads)?;
        eprintln!("{}: scored in {:.1} s", style.name, started.elapsed().as_secs_f64());
        let sources = sources(style, training_files.as_deref());
        heard.extend(sources.iter().flat_map(|source| source.files.iter().cloned()));
        add_baselines(style, &sources, &evaluated, flags.training_notes as usize, threads);
    }
    let comparison = match flags.generate as usize {
        0 => None,
        count => Some(compare(flags, count, &models, &styles, &training_figures(heard, &evaluated, threads), threads)?),
    };
    print(flags, &styles, comparison);
    Ok(())
}

/// Adds what the baselines of a style pay for its pieces; says so where there is nothing to learn from.
fn add_baselines(
    style: &mut Style,
    sources: &[StyleFiles],
    evaluated: &HashSet<u64>,
    most_notes: usize,
    threads: NonZero<usize>,
) {
    let started = Instant::now();
    let read = |files: Vec<PathBuf>| pieces::read_classes(&files, threads);
    let training = sources.iter().flat_map(|source| source.files.iter().cloned()).collect();
    let valid = sources.iter().flat_map(|source| source.beside("valid")).collect();
    let training = Training::new(read(training), read(valid), evaluated, most_notes);
    let (name, notes) = (&style.name, training.notes());
    if training.leaked > 0 {
        eprintln!("{name}: {} pieces are evaluated and not learnt from", training.leaked);
    }
    if training.counted.is_empty() {
        eprintln!("{name}: no training pieces, no baselines; name some with --train");
        return;
    }
    for (cost, baseline) in style.costs.iter_mut().zip(baselines::score(&training, &style.pieces, threads)) {
        cost.baselines = Some(baseline);
    }
    eprintln!("{name}: baselines from {notes} notes in {:.1} s", started.elapsed().as_secs_f64());
}

fn processors() -> NonZero<usize> {
    let all = std::thread::available_parallelism().map_or(1, NonZero::get);
    NonZero::new(all.min(MOST_THREADS)).unwrap_or(NonZero::<usize>::MIN)
}

/// A model for each thread.
fn load(flags: &EvalFlags, threads: NonZero<usize>) -> Result<Mutex<Vec<LstmModel>>, Failure> {
    let file = ModelFile::read(&flags.model)?;
    let engine = Engine::start(&flags.engine)?;
    let models: Result<Vec<LstmModel>, ModelError> =
        (0..threads.get()).map(|_| LstmModel::load(&file, &engine)).collect();
    eprintln!("{} on {}, {threads} threads", file.path.display(), engine.name());
    Ok(Mutex::new(models?))
}

/// The training files that were named; none when none were.
fn training_files(flags: &EvalFlags) -> Result<Option<Vec<StyleFiles>>, Failure> {
    let found: Result<Vec<_>, Failure> = flags.train.iter().map(|folder| files::find(folder, "train")).collect();
    Ok(Some(found?.concat()).filter(|all| !all.is_empty()))
}

/// What the baselines of a style learn from: of the folders named, its own style, else all of them; without any, the
/// train/ beside it.
fn sources(style: &Style, named: Option<&[StyleFiles]>) -> Vec<StyleFiles> {
    let Some(named) = named else {
        let files = style.from.beside("train");
        return if files.is_empty() { Vec::new() } else { vec![StyleFiles { files, ..style.from.clone() }] };
    };
    let own: Vec<StyleFiles> = named.iter().filter(|source| source.style == style.name).cloned().collect();
    if own.is_empty() { named.to_vec() } else { own }
}

/// Reads the pieces of all styles and says which files were taken.
fn read(
    found: Vec<StyleFiles>,
    flags: &EvalFlags,
    models: &Mutex<Vec<LstmModel>>,
    threads: NonZero<usize>,
) -> Vec<Style> {
    let description = Lent::from(models).description().clone();
    let mut styles = Vec::new();
    for from in found {
        let pieces = pieces::read(&from.files, threads);
        eprintln!("{}: {} of {} files of {}", from.style, pieces.len(), from.files.len(), from.from.display());
        let known = description.style_number(&from.style);
        if flags.style_told && known.is_none() {
            eprintln!("{}: the model does not know this style, it is told `any`", from.style);
        }
        let told = known.filter(|_| flags.style_told).unwrap_or(0);
        if !pieces.is_empty() {
            styles.push(Style { name: from.style.clone(), told, from, pieces, costs: Vec::new() });
        }
    }
    styles
}

/// What each piece costs the model, with a memory of this strength and without.
fn score(
    models: &Mutex<Vec<LstmModel>>,
    style: &Style,
    strength: f32,
    threads: NonZero<usize>,
) -> Result<Vec<Cost>, ModelError> {
    let costs = in_parallel(&style.pieces, threads, |piece| {
        let logits = Lent::from(models).score(&piece.classes, style.told)?;
        let tally = |bits| Tally::of_piece(&piece.classes, bits, piece.is_flat);
        let alone = tally(class_bits(&piece.classes, &logits));
        let played = coinciding(&piece.notes, remembering(&piece.classes, &logits, Memory::new(strength)));
        let model = tally(class_bits(&piece.classes, &played));
        Ok(Cost { model, alone, baselines: None })
    });
    costs.into_iter().collect()
}

/// The figures of all training pieces that are not evaluated: in them copies are looked for.
fn training_figures(files: BTreeSet<PathBuf>, evaluated: &HashSet<u64>, threads: NonZero<usize>) -> Passages {
    let files: Vec<PathBuf> = files.into_iter().collect();
    let mut training = pieces::read_classes(&files, threads);
    training.retain(|classes| !evaluated.contains(&fingerprint(classes)));
    let training: Vec<Vec<u16>> = training.iter().map(|classes| figures(classes)).collect();
    Passages::of(&training, LONGEST_COPY)
}

fn compare(
    flags: &EvalFlags,
    count: usize,
    models: &Mutex<Vec<LstmModel>>,
    styles: &[Style],
    passages: &Passages,
    threads: NonZero<usize>,
) -> Result<continuations::Comparison, Failure> {
    let started = Instant::now();
    let pieces: Vec<(&Piece, usize)> =
        styles.iter().flat_map(|style| style.pieces.iter().map(|piece| (piece, style.told))).collect();
    let sampling = Sampling { temperature: [flags.temperature; 4], top_p: flags.top_p, ..Sampling::default() };
    let drawing = Drawing { count, sampling, memory: flags.memory, seed: flags.seed };
    let comparison = continuations::compare(models, &pieces, drawing, passages, threads)?;
    eprintln!("continued {} pieces in {:.1} s", comparison.passages, started.elapsed().as_secs_f64());
    Ok(comparison)
}

fn print(flags: &EvalFlags, styles: &[Style], comparison: Option<continuations::Comparison>) {
    let sums: Vec<(String, Cost)> =
        styles.iter().map(|style| (style.name.clone(), Cost::sum(style.costs.iter()))).collect();
    let total = Cost::sum(styles.iter().flat_map(|style| &style.costs));
    if !flags.json {
        print!("{}", report::table(&sums, &total));
        if let Some(comparison) = comparison {
            print!("{}", report::comparison_table(&comparison));
        }
        return;
    }
    for style in styles {
        for (piece, cost) in style.pieces.iter().zip(&style.costs) {
            let mut line = report::json(cost);
            line.insert("style".into(), style.name.clone().into());
            line.insert("file".into(), piece.path.display().to_string().into());
            print_line(serde_json::Value::Object(line));
        }
    }
    let mut line = report::json(&total);
    line.insert("pieces".into(), total.model.pieces.into());
    let of_styles = sums.iter().map(|(name, cost)| {
        let mut object = report::json(cost);
        object.insert("pieces".into(), cost.model.pieces.into());
        (name.clone(), serde_json::Value::Object(object))
    });
    line.insert("styles".into(), of_styles.collect());
    if let Some(comparison) = comparison {
        line.insert("continuations".into(), report::comparison_json(&comparison));
    }
    print_line(serde_json::Value::Object(line));
}

/// A model out of those that wait, given back when it goes. There is one for each thread.
struct Lent<'a> {
    model: Option<LstmModel>,
    home: &'a Mutex<Vec<LstmModel>>,
}

impl<'a> From<&'a Mutex<Vec<LstmModel>>> for Lent<'a> {
    fn from(home: &'a Mutex<Vec<LstmModel>>) -> Self {
        Self { model: home.lock().unwrap_or_else(PoisonError::into_inner).pop(), home }
    }
}

impl Deref for Lent<'_> {
    type Target = LstmModel;
    fn deref(&self) -> &LstmModel {
        self.model.as_ref().expect("there is one for each thread")
    }
}

impl DerefMut for Lent<'_> {
    fn deref_mut(&mut self) -> &mut LstmModel {
        self.model.as_mut().expect("there is one for each thread")
    }
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        self.home.lock().unwrap_or_else(PoisonError::into_inner).extend(self.model.take());
    }
}
