//! A whole training run, top to bottom: look, read, train, export, check, report.

mod finish;

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use std::{fs, io};

use antiphon::note_model::HeldOut;

use crate::checkpoint::{self, Header};
use crate::config::{Config, Flags};
use crate::curve::{self, Point};
use crate::dataset::{Dataset, Piece};
use crate::error::{Exit, TrainError};
use crate::evaluate::{self, Told};
use crate::held_out::parts;
use crate::network::Layout;
use crate::progress::Progress;
use crate::reading::Reader;
use crate::start::Start;
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
    if typed.model.is_file() && !flags.retrain && !flags.resume {
        println!("{} exists already and was left as it is; --retrain makes a new one", typed.model.display());
        return Ok(Exit::Done);
    }
    let checkpoint = typed.checkpoint();
    let resumed = if flags.resume { Some(checkpoint::read(&checkpoint)?) } else { None };
    let mut config = match &resumed {
        Some((header, _)) => header.config.clone().with(flags)?,
        None => typed,
    };
    if let Some(flag) = resumed.as_ref().and_then(|(header, _)| config.first_difference(&header.config)) {
        return Err(TrainError::Usage(format!("{flag} cannot change with --resume; leave it out, or use --retrain")));
    }
    let start = config.from.as_deref().map(Start::read).transpose()?;
    if let Some(start) = &start {
        start.check(flags)?;
        config.sizes = start.description.sizes;
        if resumed.as_ref().is_some_and(|(header, _)| header.from_sha256.as_ref() != Some(&start.sha256)) {
            let why = format!("{} has changed since", start.path.display());
            return Err(TrainError::Checkpoint { path: checkpoint, why });
        }
    }
    let pool = rayon::ThreadPoolBuilder::new().num_threads(config.threads).build();
    let pool = pool.map_err(|error| TrainError::Usage(format!("cannot start {} threads: {error}", config.threads)))?;
    pool.install(|| {
        let known = start.as_ref().map_or(&[][..], |start| &start.description.styles);
        let reader = Reader::of_user(flags.no_cache);
        let dataset = Dataset::read_onto(known, &config.folders, config.seed, &reader)?;
        print!("{}", dataset.report());
        if let Some((header, _)) = resumed.as_ref().filter(|(header, _)| header.data_sha256 != dataset.sha256) {
            let why =
                format!("the data have changed since (digest {:.12}, now {:.12})", header.data_sha256, dataset.sha256);
            return Err(TrainError::Checkpoint { path: checkpoint, why });
        }
        writable(&config.model)?;
        let layout = Layout::new(config.sizes, dataset.styles.len());
        let source = Source::new(&dataset, &config.weights, config.seed)?;
        let mut run = Run::new(&config, &dataset, Trainer::new(&config, layout, source));
        if let Some(start) = start {
            run.start_from(start)?;
        }
        if let Some((header, floats)) = &resumed {
            run.best = checkpoint::restore(&checkpoint, header, floats, &mut run.trainer)?;
            run.header = Header { config: config.clone(), ..header.clone() };
        }
        drop(resumed);
        run.has_report = !flags.no_report;
        run.train(interrupted)?;
        run.finish(interrupted.load(Ordering::Relaxed))
    })
}

/// Found out before anything is trained and not hours after.
fn writable(model: &Path) -> Result<(), TrainError> {
    if fs::metadata(model).is_ok_and(|there| !there.is_file()) {
        let cause = io::Error::new(io::ErrorKind::InvalidInput, "it is no ordinary file");
        return Err(TrainError::File { what: "write", path: model.to_owned(), cause });
    }
    let tried = model.with_added_extension("new");
    checkpoint::write_whole(&tried, &[])?;
    // One that stays behind does no harm.
    let _ = fs::remove_file(&tried);
    Ok(())
}

/// A run under way.
struct Run<'a> {
    config: &'a Config,
    dataset: &'a Dataset,
    trainer: Trainer<'a>,
    header: Header,
    best: Vec<f32>,
    /// The model to start from, with its weights as they are laid out here.
    start: Option<(Start, Vec<f32>)>,
    total_steps: Option<u64>,
    progress: Progress,
    /// Whether curve and report are written.
    has_report: bool,
}

impl<'a> Run<'a> {
    fn new(config: &'a Config, dataset: &'a Dataset, trainer: Trainer<'a>) -> Self {
        let notes = dataset.training_notes().max(1);
        let of_epochs = |epochs: usize| (epochs * notes).div_ceil(trainer.notes_per_step()) as u64;
        let total_steps = match (config.steps, config.epochs, config.max_minutes) {
            (Some(steps), ..) => Some(u64::from(steps)),
            (None, Some(epochs), _) => Some(of_epochs(epochs as usize)),
            (None, None, Some(_)) => None,
            (None, None, None) => Some(of_epochs((DEFAULT_NOTES / notes).clamp(3, 160))),
        };
        let header = Header { config: config.clone(), data_sha256: dataset.sha256.clone(), ..Header::default() };
        let progress = Progress::new();
        Self {
            config,
            dataset,
            trainer,
            header,
            best: Vec::new(),
            start: None,
            total_steps,
            progress,
            has_report: true,
        }
    }

    fn start_from(&mut self, start: Start) -> Result<(), TrainError> {
        let values = start.values(&self.trainer.weights.layout);
        self.trainer.start_from(&values);
        self.header.from_sha256 = Some(start.sha256.clone());
        self.start = Some((start, values));
        Ok(())
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
        if self.start.is_some() && self.trainer.adam.steps == 0 {
            self.glance(None, 0.0);
        }
        let begin = Instant::now();
        let before = self.header.seconds;
        let first_step = self.trainer.adam.steps;
        let mut last_saved = Instant::now();
        let mut recent_loss = None;
        let mut last_rate = 0.0;
        while self.fraction(self.header.seconds) < 1.0 && self.header.since_best < self.config.patience {
            if interrupted.load(Ordering::Relaxed) {
                break;
            }
            let rate = self.rate(self.fraction(self.header.seconds));
            let step = self.trainer.step(rate);
            last_rate = rate;
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
                self.glance(Some(smooth), rate);
                self.header.seconds = before + begin.elapsed().as_secs_f64();
                if last_saved.elapsed() >= SAVE_EVERY {
                    self.save()?;
                    last_saved = Instant::now();
                }
            }
        }
        let stopped = interrupted.load(Ordering::Relaxed);
        if !stopped && !self.trainer.adam.steps.is_multiple_of(round) {
            self.glance(recent_loss, last_rate);
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
            0 => self
                .start
                .as_ref()
                .map_or(String::new(), |(start, _)| format!(", starting from {}", start.path.display())),
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
    fn glance(&mut self, training_bits: Option<f64>, rate: f32) {
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
        let is_best =
            bits.sum().is_finite() && self.header.best.is_none_or(|best| bits.sum() < best.bits_per_note.sum());
        if is_best {
            self.header.best = Some(HeldOut { pieces: pieces.len(), notes: tally.notes[0], bits_per_note: bits });
            self.header.since_best = 0;
            self.best.clear();
            self.best.extend_from_slice(self.trainer.values());
        } else {
            self.header.since_best += 1;
        }
        self.header.history.push(Point {
            step: self.trainer.adam.steps,
            seconds: self.header.seconds,
            notes: self.trainer.adam.steps * self.trainer.notes_per_step() as u64,
            training: training_bits,
            held_out: bits,
            rate,
            is_best,
        });
        let training =
            training_bits.map_or_else(|| "as it starts".into(), |bits| format!("training loss {bits:6.3} bits"));
        self.progress.say(&format!(
            "step {:6}  {:5.1} min  {training}  held out {}{}",
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
        checkpoint::save(&self.config.checkpoint(), &self.header, &self.trainer, &self.best)?;
        if self.has_report && !self.header.history.is_empty() {
            curve::write(&self.config.model, &self.header.history)?;
        }
        Ok(())
    }

    fn diverged(&self, what: &'static str, value: f64) -> TrainError {
        let checkpoint = self.config.checkpoint();
        let resume = match checkpoint.exists() {
            true => format!(
                "; {} holds the last good state: go on from it with --resume --rate {:.1e}",
                checkpoint.display(),
                self.config.rate / 3.0
            ),
            false => String::new(),
        };
        TrainError::Diverged { what, value, step: self.trainer.adam.steps + 1, rate: self.config.rate, resume }
    }
}
