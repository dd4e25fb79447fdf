//! The settings: [`Flags`] is what was typed, [`Config`] what it means.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use antiphon::note_model::Sizes;
use clap::Parser;
use serde::{Deserialize, Serialize};

use crate::commands::Command;
use crate::error::TrainError;

/// Highest learning rate when training starts from an exported model.
const FINE_TUNE_RATE: f32 = 0.0005;

/// What stands behind a `#` is for people; the rest can be typed.
const EXAMPLES: &str = "\
Examples:
  antiphon-train                                       # on mid_songs, if there is no model yet
  antiphon-train mid_songs --retrain --max-minutes 30  # anew, half an hour
  antiphon-train my_songs --from models/antiphon.onnx  # your own songs
  antiphon-train mid_songs --resume                    # where an earlier run stopped
  antiphon-train mid_songs --weights chorale=0.6,folk=0.1 --seed 7";

/// Trains Antiphon's note model on a folder of MIDI files and exports it as one ONNX file.
///
/// The first-level folders are the styles. A style folder with train/, valid/ and test/ inside is split as they say,
/// and test/ is never opened; else about a tenth of the pieces is held out. If the model exists already, it is left
/// alone. With --from it goes on from an exported model, on your own songs or recorded sessions.
///
/// Exit codes: 0 done or nothing to do, 2 usage, 3 not enough data, 4 cannot read or write a file, 5 training diverged,
/// 6 the exported file is wrong, 7 interrupted twice: what was not saved is lost, 130 interrupted after everything was saved.
#[derive(Clone, Debug, Default, Parser)]
#[command(name = "antiphon-train", version, args_conflicts_with_subcommands = true, after_help = EXAMPLES)]
pub struct Flags {
    /// Folder of .mid files, read with its subfolders [default: mid_songs]
    #[arg(value_name = "FOLDER")]
    pub folder: Option<PathBuf>,
    /// A further folder; may be given several times
    #[arg(long = "folder", value_name = "FOLDER")]
    pub more_folders: Vec<PathBuf>,
    /// The model file to write; the checkpoint lies beside it [default: models/antiphon.onnx; with --from
    /// models/FOLDER.onnx]
    #[arg(long, value_name = "FILE")]
    pub model: Option<PathBuf>,
    /// Fine-tune: start from this exported model, with its sizes and styles, and say at the end whether it helped
    #[arg(long, value_name = "FILE")]
    pub from: Option<PathBuf>,
    /// Train anew although the model exists; it is replaced when the new one is ready
    #[arg(long, conflicts_with = "resume")]
    pub retrain: bool,
    /// Go on where an earlier run stopped, from its checkpoint and with its settings
    #[arg(long)]
    pub resume: bool,
    /// Write no loss curve and no HTML report beside the model
    #[arg(long)]
    pub no_report: bool,
    /// Read every file anew instead of taking what has not changed from the user's cache folder
    #[arg(long)]
    pub no_cache: bool,
    /// LSTM layers, 1 to 8 [default: 2]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=8), help_heading = "Network")]
    pub layers: Option<u32>,
    /// Units of each LSTM layer, 8 to 4096 [default: 256]
    #[arg(long, value_parser = clap::value_parser!(u32).range(8..=4096), help_heading = "Network")]
    pub hidden: Option<u32>,
    /// Units of each of the four heads, 8 to 4096 [default: 128]
    #[arg(long, value_parser = clap::value_parser!(u32).range(8..=4096), help_heading = "Network")]
    pub head: Option<u32>,
    /// Notes through which errors are led back (truncated back-propagation), 2 to 4096 [default: 128]
    #[arg(long, value_parser = clap::value_parser!(u32).range(2..=4096), help_heading = "Training")]
    pub sequence: Option<u32>,
    /// Streams trained in parallel, 1 to 4096; best a multiple of 16 times the threads [default: 32]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=4096), help_heading = "Training")]
    pub batch: Option<u32>,
    /// Passes through as many notes as there are to train on, 1 to 100000 [default: as many as make 2 million notes,
    /// 3 to 160; with --max-minutes as many as fit]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=100_000), help_heading = "Training")]
    pub epochs: Option<u32>,
    /// Steps to train for, 1 to 10000000; finer than --epochs
    #[arg(long, conflicts_with = "epochs", value_parser = clap::value_parser!(u32).range(1..=10_000_000), help_heading = "Training")]
    pub steps: Option<u32>,
    /// Highest learning rate, above 0 and up to 1 [default: 0.004; with --from 0.0005]
    #[arg(long, help_heading = "Training")]
    pub rate: Option<f32>,
    /// Seed of everything random: split, first weights, order, augmentation [default: 1]
    #[arg(long, help_heading = "Training")]
    pub seed: Option<u64>,
    /// Share of units dropped between layers while training, 0 to 0.9 [default: 0.15]
    #[arg(long, help_heading = "Network")]
    pub dropout: Option<f32>,
    /// Threads; the result does not depend on it [default: as many as there are cores]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1024), help_heading = "Training")]
    pub threads: Option<u32>,
    /// Stop training after this time, with the rate falling accordingly; the best model is exported
    #[arg(long, value_name = "MINUTES", help_heading = "Training")]
    pub max_minutes: Option<f64>,
    /// Share of the training notes drawn from each style, such as chorale=0.6,folk=0.1; styles not named share the rest
    /// [default: each by its number of notes]
    #[arg(long, value_name = "STYLE=SHARE,...", value_parser = parse_weights, help_heading = "Training")]
    pub weights: Option<BTreeMap<String, f64>>,
    /// Stop when so many looks at the held-out pieces in a row brought nothing better, 1 to 100000 [default: 20]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=100_000), help_heading = "Training")]
    pub patience: Option<u32>,
    /// Export a running average of the weights that keeps this share at each step, 0 (none) to 0.9999 [default: 0]
    #[arg(long, value_name = "DECAY", help_heading = "Training")]
    pub average: Option<f32>,
    /// What to do instead of training.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// The checked settings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Config {
    /// Folders to read.
    pub folders: Vec<PathBuf>,
    /// The model file to write.
    pub model: PathBuf,
    /// The exported model to start from.
    pub from: Option<PathBuf>,
    /// Sizes of the network.
    pub sizes: Sizes,
    /// Notes of a sequence.
    pub sequence: usize,
    /// Parallel streams.
    pub batch: usize,
    /// Passes through the training notes; `None`: chosen by the amount of data, or by the time limit.
    pub epochs: Option<u32>,
    /// Steps to train for; they go before `epochs`.
    #[serde(default)]
    pub steps: Option<u32>,
    /// Highest learning rate.
    pub rate: f32,
    /// Seed of everything random.
    pub seed: u64,
    /// Share of units dropped.
    pub dropout: f32,
    /// Threads.
    pub threads: usize,
    /// Time limit in minutes.
    pub max_minutes: Option<f64>,
    /// Share of each style named.
    pub weights: BTreeMap<String, f64>,
    /// Evaluations without progress before training stops.
    pub patience: u32,
    /// Decay of the average of weights, 0 for none.
    pub average: f32,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            folders: vec!["mid_songs".into()],
            model: "models/antiphon.onnx".into(),
            from: None,
            sizes: Sizes { layers: 2, hidden: 256, head: 128 },
            sequence: 128,
            batch: 32,
            epochs: None,
            steps: None,
            rate: 0.004,
            seed: 1,
            dropout: 0.15,
            threads: std::thread::available_parallelism().map_or(1, usize::from),
            max_minutes: None,
            weights: BTreeMap::new(),
            patience: 20,
            average: 0.0,
        }
    }
}

impl Config {
    /// The settings that the flags mean, on top of `self` (the defaults, or a checkpoint's).
    ///
    /// # Errors
    /// [`TrainError::Usage`] for a value out of range.
    pub fn with(mut self, flags: &Flags) -> Result<Self, TrainError> {
        let folders: Vec<PathBuf> = flags.folder.iter().chain(&flags.more_folders).cloned().collect();
        if !folders.is_empty() {
            self.folders = folders;
        }
        if let Some(from) = &flags.from {
            if self.from.is_none() {
                self.rate = FINE_TUNE_RATE;
            }
            self.from = Some(from.clone());
            self.model = self.fine_tuned_model();
        }
        set(&mut self.model, flags.model.clone());
        set(&mut self.sizes.layers, flags.layers.map(wide));
        set(&mut self.sizes.hidden, flags.hidden.map(wide));
        set(&mut self.sizes.head, flags.head.map(wide));
        set(&mut self.sequence, flags.sequence.map(wide));
        set(&mut self.batch, flags.batch.map(wide));
        if flags.epochs.is_some() || flags.steps.is_some() {
            // What is typed takes the place of what the checkpoint's run was to last.
            (self.epochs, self.steps) = (flags.epochs, flags.steps);
        }
        set(&mut self.rate, flags.rate);
        set(&mut self.seed, flags.seed);
        set(&mut self.dropout, flags.dropout);
        set(&mut self.threads, flags.threads.map(wide));
        self.max_minutes = flags.max_minutes.or(self.max_minutes);
        set(&mut self.weights, flags.weights.clone());
        set(&mut self.patience, flags.patience);
        set(&mut self.average, flags.average);
        self.check()?;
        Ok(self)
    }

    fn check(&self) -> Result<(), TrainError> {
        let usage = |text: String| Err(TrainError::Usage(text));
        if !(self.rate > 0.0 && self.rate <= 1.0) {
            return usage(format!("--rate is {}; it must be above 0 and at most 1", self.rate));
        }
        if !(0.0..=0.9).contains(&self.dropout) {
            return usage(format!("--dropout is {}; it must be 0 to 0.9", self.dropout));
        }
        if !(0.0..=0.9999).contains(&self.average) {
            return usage(format!("--average is {}; it must be 0 to 0.9999", self.average));
        }
        if let Some(from) = self.from.as_deref().filter(|from| is_same_file(from, &self.model)) {
            return usage(format!(
                "{} is the model to start from and is not overwritten; name another file with --model",
                from.display()
            ));
        }
        if self.max_minutes.is_some_and(|minutes| !(minutes > 0.0 && minutes.is_finite())) {
            return usage("--max-minutes must be above 0".into());
        }
        Ok(())
    }

    /// The first setting that differs from `other` and decides what is computed: a run cannot go on with another.
    pub fn first_difference(&self, other: &Self) -> Option<&'static str> {
        let same = [
            ("--from", self.from == other.from),
            ("--layers", self.sizes.layers == other.sizes.layers),
            ("--hidden", self.sizes.hidden == other.sizes.hidden),
            ("--head", self.sizes.head == other.sizes.head),
            ("--sequence", self.sequence == other.sequence),
            ("--batch", self.batch == other.batch),
            ("--seed", self.seed == other.seed),
            ("--weights", self.weights == other.weights),
            ("--average", (self.average > 0.0) == (other.average > 0.0)),
        ];
        same.into_iter().find(|(_, same)| !same).map(|(flag, _)| flag)
    }

    /// `models/NAME.onnx`, after the first folder.
    fn fine_tuned_model(&self) -> PathBuf {
        let folder = self.folders.first().map(|folder| folder.canonicalize().unwrap_or_else(|_| folder.clone()));
        let name = folder.as_deref().and_then(Path::file_name).unwrap_or("fine-tuned".as_ref());
        let mut file = name.to_owned();
        file.push(".onnx");
        Path::new("models").join(file)
    }

    /// Where training goes on after a stop: beside the model, `antiphon.onnx` -> `antiphon.checkpoint`.
    pub fn checkpoint(&self) -> PathBuf {
        self.model.with_extension("checkpoint")
    }
}

/// Whether two paths lead to one file.
fn is_same_file(a: &Path, b: &Path) -> bool {
    a == b || a.canonicalize().is_ok_and(|a| b.canonicalize().is_ok_and(|b| a == b))
}

fn set<T>(place: &mut T, typed: Option<T>) {
    if let Some(value) = typed {
        *place = value;
    }
}

fn wide(number: u32) -> usize {
    number as usize
}

fn parse_weights(text: &str) -> Result<BTreeMap<String, f64>, String> {
    let mut weights = BTreeMap::new();
    for part in text.split(',').filter(|part| !part.is_empty()) {
        let (style, share) = part.split_once('=').ok_or_else(|| format!("{part:?} is not STYLE=SHARE"))?;
        let share: f64 = share.parse().map_err(|_| format!("{share:?} is not a number"))?;
        if !(0.0..=1.0).contains(&share) {
            return Err(format!("the share of {style} is {share}; it must be 0 to 1"));
        }
        if weights.insert(style.to_owned(), share).is_some() {
            return Err(format!("{style} is named twice"));
        }
    }
    let sum: f64 = weights.values().sum();
    if sum > 1.000_001 {
        return Err(format!("the shares add up to {sum}; they must not exceed 1"));
    }
    Ok(weights)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn every_help_ends_with_examples_that_can_be_typed() {
        let mut all = Flags::command();
        all.build();
        let mut asked: Vec<clap::Command> =
            all.get_subcommands().filter(|one| one.get_name() != "help").cloned().collect();
        assert_eq!(asked.len(), 3);
        asked.push(all);
        for mut command in asked {
            let help = command.render_long_help().to_string();
            let examples = help.split("\nExamples:\n").nth(1).unwrap_or_else(|| panic!("no examples: {help}"));
            for line in examples.lines() {
                let words = line.split_whitespace().take_while(|word| *word != "#");
                assert!(line.starts_with("  antiphon-train"), "they are the end: {help}");
                Flags::command().try_get_matches_from(words).unwrap_or_else(|error| panic!("`{line}`: {error}"));
            }
        }
    }
}
