//! A whole training run, top to bottom: look, read, train, export, check.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use antiphon::note_model::{BitsPerNote, Boundaries, Description, FORMAT_VERSION, HeldOut};
use serde_json::json;

use crate::checkpoint::{self, Header};
use crate::config::{Config, Flags};
use crate::dataset::{Dataset, Piece};
use crate::error::{Exit, TrainError};
use crate::evaluate::{self, Told};
use crate::network::Layout;
use crate::progress::Progress;
use crate::publish::publish;
use crate::streams::Source;
use crate::trainer::Trainer;
use crate::weights::Weights;

/// Notes that a default run trains on, whatever the amount of data.
const DEFAULT_NOTES: usize = 2_000_000;
/// Notes between two looks at the held-out pieces: at least and at most.
const ROUND_NOTES: (usize, usize) = (50_000, 400_000);
/// Held-out notes looked at while training; at the end all are.
const GLANCE_NOTES: usize = 60_000;
/// Of each piece, as many at most: so that the glance sees many pieces.
const GLANCE_PIECE: usize = 1500;
/// Longest piece that the exported file is checked on.
const CHECK_NOTES: usize = 1000;
/// A checkpoint is written at most so often while all goes well.
const SAVE_EVERY: Duration = Duration::from_secs(60);
/// Lowest learning rate, as a share of the highest.
const FINAL_RATE: f64 = 0.03;
/// Steps of warm-up, or a twentieth of the run if that is less.
const WARM_UP: u64 = 100;

/// Trains as the flags say. `interrupted` asks to save and leave.
///
/// # Errors
/// [`TrainError`], each with the reason and what to do.
pub fn run(flags: &Flags, interrupted: &AtomicBool) -> Result<Exit, TrainError> {
    let typed = Config::default().with(flags)?;
    if typed.model.exists() && !flags.retrain && !flags.resume {
        println!("{} exists already and was left as it is; --retrain makes a new one", typed.model.display());
        return Ok(Exit::Done);
    }
    let checkpoint = typed.checkpoint();
    let resumed = if flags.resume { Some(checkpoint::read(&checkpoint)?) } else { None };
    let config = match &resumed {
        Some((header, _)) => header.config.clone().with(flags)?,
        None => typed,
    };
    if let Some(flag) = resumed.as_ref().and_then(|(header, _)| config.first_difference(&header.config)) {
        return Err(TrainError::Usage(format!("{flag} cannot change with --resume; leave it out, or use --retrain")));
    }
    let pool = rayon::ThreadPoolBuilder::new().num_threads(config.threads).build();
    let pool = pool.map_err(|error| TrainError::Usage(format!("cannot start {} threads: {error}", config.threads)))?;
    pool.install(|| {
        let dataset = Dataset::read(&config.folders, config.seed)?;
        print!("{}", dataset.report());
        if let Some((header, _)) = resumed.as_ref().filter(|(header, _)| header.data_sha256 != dataset.sha256) {
            let why =
                format!("the data have changed since (digest {:.12}, now {:.12})", header.data_sha256, dataset.sha256);
            return Err(TrainError::Checkpoint { path: checkpoint, why });
        }
        let layout = Layout::new(config.sizes, dataset.styles.len());
        let source = Source::new(&dataset, &config.weights, config.seed)?;
        let mut run = Run::new(&config, &dataset, Trainer::new(&config, layout, source));
        if let Some((header, floats)) = &resumed {
            run.best = checkpoint::restore(&checkpoint, header, floats, &mut run.trainer)?;
            run.header = Header { config: config.clone(), ..header.clone() };
        }
        drop(resumed);
        run.train(interrupted)?;
        run.export(interrupted.load(Ordering::Relaxed))
    })
}

/// A run under way.
struct Run<'a> {
    config: &'a Config,
    dataset: &'a Dataset,
    trainer: Trainer<'a>,
    header: Header,
    best: Vec<f32>,
    total_steps: Option<u64>,
    progress: Progress,
}

impl<'a> Run<'a> {
    fn new(config: &'a Config, dataset: &'a Dataset, trainer: Trainer<'a>) -> Self {
        let notes = dataset.training_notes().max(1);
        let epochs = match (config.epochs, config.max_minutes) {
            (Some(epochs), _) => Some(epochs as usize),
            (None, Some(_)) => None,
            (None, None) => Some((DEFAULT_NOTES / notes).clamp(3, 160)),
        };
        let total_steps = epochs.map(|epochs| (epochs * notes).div_ceil(trainer.notes_per_step()) as u64);
        let header = Header {
            config: config.clone(),
            data_sha256: dataset.sha256.clone(),
            steps: 0,
            seconds: 0.0,
            best: None,
            since_best: 0,
            places: Vec::new(),
        };
        Self { config, dataset, trainer, header, best: Vec::new(), total_steps, progress: Progress::new() }
    }

    /// How much of the run is done, in `0.0..`, by steps or by time, whichever is further.
    #[expect(clippy::cast_precision_loss, reason = "numbers of steps are below 2^53")]
    fn fraction(&self, seconds: f64) -> f64 {
        let by_steps = self.total_steps.map_or(0.0, |total| self.trainer.adam.steps as f64 / total.max(1) as f64);
        let by_time = self.config.max_minutes.map_or(0.0, |minutes| seconds / (60.0 * minutes));
        by_steps.max(by_time)
    }

    /// Warm-up, then half a cosine down to [`FINAL_RATE`].
    #[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "a share of the rate")]
    fn rate(&self, fraction: f64) -> f32 {
        let warm_up = self.total_steps.map_or(WARM_UP, |total| WARM_UP.min(total / 20)).max(1);
        let warm = ((self.trainer.adam.steps + 1) as f64 / warm_up as f64).min(1.0);
        let falling = 0.5 * (1.0 + (std::f64::consts::PI * fraction.min(1.0)).cos());
        self.config.rate * (warm * (FINAL_RATE + (1.0 - FINAL_RATE) * falling)) as f32
    }

    fn train(&mut self, interrupted: &AtomicBool) -> Result<(), TrainError> {
        let per_step = self.trainer.notes_per_step();
        let round = self.dataset.training_notes().clamp(ROUND_NOTES.0, ROUND_NOTES.1).div_ceil(per_step) as u64;
        self.progress.say(&self.introduction());
        let begin = Instant::now();
        let before = self.header.seconds;
        let first_step = self.trainer.adam.steps;
        let mut last_saved = Instant::now();
        let mut recent_loss = None;
        while self.fraction(self.header.seconds) < 1.0 && self.header.since_best < self.config.patience {
            if interrupted.load(Ordering::Relaxed) {
                break;
            }
            let rate = self.rate(self.fraction(self.header.seconds));
            let step = self.trainer.step(rate);
            for (what, value) in [("loss", step.sum()), ("gradient", step.norm)] {
                if !value.is_finite() {
                    self.progress.finish();
                    return Err(self.diverged(what, value));
                }
            }
            let bits = step.sum() / std::f64::consts::LN_2;
            let smooth = recent_loss.map_or(bits, |recent: f64| 0.95 * recent + 0.05 * bits);
            recent_loss = Some(smooth);
            let spent = begin.elapsed().as_secs_f64();
            self.header.seconds = before + spent;
            self.show(first_step, spent, smooth);
            if self.trainer.adam.steps.is_multiple_of(round) {
                self.glance(smooth);
                self.header.seconds = before + begin.elapsed().as_secs_f64();
                if last_saved.elapsed() >= SAVE_EVERY {
                    self.save()?;
                    last_saved = Instant::now();
                }
            }
        }
        let stopped = interrupted.load(Ordering::Relaxed);
        if !stopped && !self.trainer.adam.steps.is_multiple_of(round) {
            self.glance(recent_loss.unwrap_or(0.0));
        }
        self.progress.finish();
        if self.trainer.adam.steps > 0 {
            self.save()?;
        }
        if self.header.since_best >= self.config.patience {
            println!("stopped: nothing better in the last {} looks at the held-out pieces", self.header.since_best);
        }
        Ok(())
    }

    fn introduction(&self) -> String {
        let sizes = self.config.sizes;
        let end = match (self.total_steps, self.config.max_minutes) {
            (Some(steps), Some(minutes)) => format!("{steps} steps or {minutes} minutes"),
            (Some(steps), None) => format!("{steps} steps"),
            (None, minutes) => format!("{} minutes", minutes.unwrap_or_default()),
        };
        let start = match self.trainer.adam.steps {
            0 => String::new(),
            steps => format!(", going on from step {steps}"),
        };
        format!(
            "training {} x {} LSTM, heads of {}, {} parameters, on {} threads, {} notes a step, for {end}{start}",
            sizes.layers,
            sizes.hidden,
            sizes.head,
            self.trainer.weights.layout.total,
            self.config.threads,
            self.trainer.notes_per_step(),
        )
    }

    #[expect(clippy::cast_precision_loss, reason = "numbers of notes are below 2^53")]
    fn show(&mut self, first_step: u64, spent: f64, loss_bits: f64) {
        let steps = (self.trainer.adam.steps - first_step) as f64;
        let notes_per_second = steps * self.trainer.notes_per_step() as f64 / spent.max(1e-9);
        let fraction = self.fraction(self.header.seconds);
        let left_by_steps =
            self.total_steps.map(|total| total.saturating_sub(self.trainer.adam.steps) as f64 * spent / steps.max(1.0));
        let left_by_time = self.config.max_minutes.map(|minutes| 60.0 * minutes - self.header.seconds);
        let left = left_by_steps.into_iter().chain(left_by_time).fold(f64::INFINITY, f64::min);
        let left = Duration::try_from_secs_f64(left.max(0.0)).unwrap_or_default();
        self.progress.show(fraction, notes_per_second, left, loss_bits);
    }

    /// A look at part of the held-out pieces; keeps the weights if they are the best so far.
    fn glance(&mut self, training_bits: f64) {
        let mut notes = 0;
        let pieces: Vec<&Piece> = self
            .dataset
            .held_out
            .iter()
            .take_while(|piece| {
                let goes_on = notes < GLANCE_NOTES;
                notes += piece.notes.len().min(GLANCE_PIECE);
                goes_on
            })
            .collect();
        let average;
        let weights = if self.trainer.average.is_empty() {
            &self.trainer.weights
        } else {
            average = Weights::new(self.trainer.weights.layout.clone(), self.trainer.average.clone());
            &average
        };
        let tally = evaluate::sum(&evaluate::score(weights, &pieces, GLANCE_PIECE, Told::Any));
        let bits = tally.per_note();
        let is_best = self.header.best.is_none_or(|best| bits.sum() < best.bits_per_note.sum());
        if is_best {
            self.header.best = Some(HeldOut { pieces: pieces.len(), notes: tally.notes[0], bits_per_note: bits });
            self.header.since_best = 0;
            self.best.clear();
            self.best.extend_from_slice(self.trainer.values());
        } else {
            self.header.since_best += 1;
        }
        self.progress.say(&format!(
            "step {:6}  {:5.1} min  training loss {training_bits:6.3} bits  held out {}{}",
            self.trainer.adam.steps,
            self.header.seconds / 60.0,
            parts(&bits),
            if is_best { "  best" } else { "" }
        ));
    }

    fn save(&mut self) -> Result<(), TrainError> {
        self.header.steps = self.trainer.adam.steps;
        self.header.places = self.trainer.places();
        if self.best.is_empty() {
            self.best = self.trainer.values().to_vec();
        }
        checkpoint::save(&self.config.checkpoint(), &self.header, &self.trainer, &self.best)
    }

    fn diverged(&self, what: &'static str, value: f64) -> TrainError {
        let checkpoint = self.config.checkpoint();
        let resume = match checkpoint.exists() {
            true => format!(
                "; {} holds the last good state: --resume --rate {}",
                checkpoint.display(),
                self.config.rate / 3.0
            ),
            false => String::new(),
        };
        TrainError::Diverged { what, value, step: self.trainer.adam.steps + 1, rate: self.config.rate, resume }
    }

    /// Measures the best weights on all held-out pieces, writes and checks the model.
    fn export(mut self, interrupted: bool) -> Result<Exit, TrainError> {
        let checkpoint = self.config.checkpoint();
        if interrupted && self.header.best.is_none() {
            match self.trainer.adam.steps {
                0 => println!("interrupted before the first step; nothing was written"),
                steps => println!(
                    "interrupted at step {steps}; saved {}, --resume goes on; no model was written yet",
                    checkpoint.display()
                ),
            }
            return Ok(Exit::Interrupted);
        }
        let weights = Weights::new(self.trainer.weights.layout.clone(), std::mem::take(&mut self.best));
        // Whoever interrupts does not want to wait for the whole measurement: the last glance must do.
        let held_out = match self.header.best.filter(|_| interrupted) {
            Some(glance) => glance,
            None => self.measure(&weights),
        };
        let description = self.description(held_out);
        let piece = self.piece_to_check();
        let notes = &piece.classes[..piece.classes.len().min(CHECK_NOTES)];
        let checked = publish(&self.config.model, &weights, &description, notes, piece.style)?;
        println!(
            "wrote {} ({:.1} MB): {} held out; checked on {} notes with the {} engine, logits differ by {:.1e} whole and {:.1e} stepwise at most",
            self.config.model.display(),
            f64::from(u32::try_from(checked.bytes).unwrap_or(u32::MAX)) / 1e6,
            parts(&held_out.bits_per_note),
            checked.notes,
            checked.engine,
            checked.whole,
            checked.stepwise,
        );
        if interrupted {
            println!(
                "interrupted at step {}; saved {}, --resume goes on",
                self.trainer.adam.steps,
                checkpoint.display()
            );
            return Ok(Exit::Interrupted);
        }
        Ok(Exit::Done)
    }

    /// Bits per note of all held-out pieces, with a line for each style.
    fn measure(&self, weights: &Weights) -> HeldOut {
        let pieces: Vec<&Piece> = self.dataset.held_out.iter().collect();
        let any = evaluate::score(weights, &pieces, usize::MAX, Told::Any);
        let own = evaluate::score(weights, &pieces, usize::MAX, Told::Own);
        println!("held-out pieces, bits per note (velocity only where a piece has three or more):");
        for (number, style) in self.dataset.styles.iter().enumerate() {
            let of_style = |tallies: &[evaluate::Tally]| {
                let kept = tallies.iter().zip(&pieces).filter(|(_, piece)| usize::from(piece.style) == number);
                evaluate::sum(&kept.map(|(tally, _)| *tally).collect::<Vec<_>>())
            };
            let (any, own) = (of_style(&any), of_style(&own));
            if any.notes[0] > 0 {
                let (notes, any, own) = (any.notes[0], any.per_note(), own.per_note());
                println!("  {style:28} {notes:8} notes  {}; told the style {:.3}", parts(&any), own.sum());
            }
        }
        let (any, own) = (evaluate::sum(&any), evaluate::sum(&own));
        println!(
            "  {:28} {:8} notes  {}; told the style {:.3}",
            "all",
            any.notes[0],
            parts(&any.per_note()),
            own.per_note().sum()
        );
        HeldOut { pieces: pieces.len(), notes: any.notes[0], bits_per_note: any.per_note() }
    }

    fn description(&self, held_out: HeldOut) -> Description {
        let config = self.config;
        let training = json!({
            "layers": config.sizes.layers, "hidden": config.sizes.hidden, "head": config.sizes.head,
            "sequence": config.sequence, "batch": config.batch, "rate": config.rate, "seed": config.seed,
            "dropout": config.dropout, "average": config.average, "weights": config.weights,
            "epochs": config.epochs, "max_minutes": config.max_minutes,
            "steps": self.trainer.adam.steps, "minutes": (self.header.seconds / 6.0).round() / 10.0,
            "training_pieces": self.dataset.training.len(), "training_notes": self.dataset.training_notes(),
            "trainer": env!("CARGO_PKG_VERSION"),
        });
        Description {
            format_version: FORMAT_VERSION,
            note_model: Boundaries::ours(),
            styles: self.dataset.styles.clone(),
            sizes: config.sizes,
            training,
            data_sha256: self.dataset.sha256.clone(),
            held_out,
        }
    }

    /// The longest held-out piece that is not too long, else the first.
    fn piece_to_check(&self) -> &Piece {
        let held_out = &self.dataset.held_out;
        let fitting = held_out.iter().filter(|piece| piece.notes.len() <= CHECK_NOTES);
        fitting.max_by_key(|piece| piece.notes.len()).unwrap_or(&held_out[0])
    }
}

/// `12.345 = shift 3.1 + key 4.2 + duration 3.0 + velocity 2.0`.
fn parts(bits: &BitsPerNote) -> String {
    let BitsPerNote { shift, key, duration, velocity } = bits;
    format!(
        "{:.3} bits = shift {shift:.2} + key {key:.2} + duration {duration:.2} + velocity {velocity:.2}",
        bits.sum()
    )
}
