//! Endless streams of notes to train on: pieces are drawn by the shares of their styles and walked through.

use std::collections::BTreeMap;

use antiphon::note_model::NoteClasses;

use crate::augment::{encode, vary};
use crate::batches::Batch;
use crate::dataset::{Dataset, Piece};
use crate::error::TrainError;
use crate::random::Draws;

/// Longest walk through one piece, in notes: a longer piece is entered at a random place, so that the streams do not
/// dwell on a few long pieces.
const LONGEST_WALK: usize = 2048;
/// How often the entrance is the piece's beginning nevertheless.
const FROM_THE_BEGINNING: f32 = 0.25;
/// How often the style is hidden: most players choose none.
const STYLE_DROPPED: f32 = 0.5;
/// Streams of random numbers below this are kept for other purposes.
const FIRST_NUMBER: u64 = 1 << 32;

/// The pieces to draw from.
pub struct Source<'a> {
    pieces: &'a [Piece],
    /// For each piece, the sum of the draw weights up to it.
    cumulative: Vec<f64>,
    seed: u64,
}

impl<'a> Source<'a> {
    /// Draws from the training pieces. `shares` gives the share of notes of the styles it names; the others share the
    /// rest by their numbers of notes.
    ///
    /// # Errors
    /// [`TrainError::Usage`] when a style is unknown.
    #[expect(clippy::cast_precision_loss, reason = "numbers of notes are below 2^53")]
    pub fn new(dataset: &'a Dataset, shares: &BTreeMap<String, f64>, seed: u64) -> Result<Self, TrainError> {
        if let Some(unknown) = shares.keys().find(|name| !dataset.styles.contains(name)) {
            let known = dataset.styles.join(", ");
            return Err(TrainError::Usage(format!("--weights names the style {unknown}; there are: {known}")));
        }
        let mut notes = vec![0.0; dataset.styles.len()];
        for piece in &dataset.training {
            notes[usize::from(piece.style)] += piece.notes.len() as f64;
        }
        let named = |style: usize| shares.get(&dataset.styles[style]).copied();
        let unnamed: f64 = (0..notes.len()).filter(|&style| named(style).is_none()).map(|style| notes[style]).sum();
        let rest = (1.0 - shares.values().sum::<f64>()).max(0.0);
        let share = |style: usize| match named(style) {
            Some(share) => share,
            None if unnamed > 0.0 => rest * notes[style] / unnamed,
            None => 0.0,
        };
        // A piece is drawn as often as its notes need walks, so that every note of a style is met equally often.
        let mut sum = 0.0;
        let cumulative = dataset.training.iter().map(|piece| {
            let style = usize::from(piece.style);
            let walks = piece.notes.len() as f64 / piece.notes.len().min(LONGEST_WALK) as f64;
            // Notes of a walk x draws = share: the style's draws per note cancel out but for the walk's length.
            sum += share(style) / notes[style] * walks;
            sum
        });
        let cumulative: Vec<f64> = cumulative.collect();
        if sum <= 0.0 {
            return Err(TrainError::Usage("--weights leaves no notes to train on; give some style a share".into()));
        }
        Ok(Self { pieces: &dataset.training, cumulative, seed })
    }

    fn draw(&self, draws: &mut Draws) -> &'a Piece {
        let all = self.cumulative.last().copied().unwrap_or_default();
        let lot = f64::from(draws.unit()) * all;
        let index = self.cumulative.partition_point(|&sum| sum <= lot);
        &self.pieces[index.min(self.pieces.len() - 1)]
    }
}

/// One stream. Where it stands is given by two numbers: the piece is drawn again when training is resumed.
pub struct Stream {
    number: u64,
    /// Pieces drawn so far.
    pub drawn: u64,
    /// Notes of the present piece that are done.
    pub done: usize,
    notes: Vec<NoteClasses>,
    style: u8,
    counted: [bool; 4],
}

impl Stream {
    /// Stream `number`, at the beginning of its first piece.
    pub fn new(source: &Source<'_>, number: u64) -> Self {
        Self::at(source, number, 1, 0)
    }

    /// Stream `number`, after `done` notes of its piece number `drawn`.
    pub fn at(source: &Source<'_>, number: u64, drawn: u64, done: usize) -> Self {
        let mut stream = Self { number, drawn, done, notes: Vec::new(), style: 0, counted: [true; 4] };
        stream.take(source);
        stream
    }

    /// Takes up piece number `drawn`.
    fn take(&mut self, source: &Source<'_>) {
        let mut draws = Draws::new(source.seed, FIRST_NUMBER + (self.number << 40) + self.drawn);
        let piece = source.draw(&mut draws);
        let from = match piece.notes.len() {
            len if len > LONGEST_WALK && !draws.chance(FROM_THE_BEGINNING) => draws.below(len - LONGEST_WALK / 2),
            _ => 0,
        };
        let walk = &piece.notes[from..piece.notes.len().min(from + LONGEST_WALK)];
        let style_is_dropped = draws.chance(STYLE_DROPPED);
        self.style = if style_is_dropped { 0 } else { piece.style };
        self.counted = [true, true, true, piece.character.has_dynamics];
        self.notes = encode(&vary(walk, piece.character, &mut draws));
    }

    /// Writes the next notes into column `column` of the batch.
    pub fn fill(&mut self, source: &Source<'_>, batch: &mut Batch, column: usize) {
        for row in (column..batch.rows()).step_by(batch.streams) {
            if self.done >= self.notes.len() {
                self.drawn += 1;
                self.done = 0;
                self.take(source);
            }
            let last = self.done.checked_sub(1).map(|before| self.notes[before]);
            batch.set(row, last, self.notes[self.done], self.style, self.counted);
            self.done += 1;
        }
    }
}
