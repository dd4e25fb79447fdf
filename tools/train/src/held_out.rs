//! The result on held-out pieces: a line for each style, and one for all.

use std::fmt::Write as _;

use antiphon::note_model::{BitsPerNote, HeldOut};

use crate::dataset::{Dataset, Piece};
use crate::evaluate::{self, Tally, Told};
use crate::weights::Weights;

/// Bits per note of one style, or of all.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// Name of the style, or `all`.
    pub style: String,
    /// Held-out pieces.
    pub pieces: usize,
    /// Notes in them.
    pub notes: usize,
    /// When the model is told no style.
    pub any: BitsPerNote,
    /// When it is told the piece's own.
    pub own: BitsPerNote,
}

/// The whole table.
#[derive(Clone, Debug, PartialEq)]
pub struct Table {
    /// Styles that have held-out pieces.
    pub styles: Vec<Line>,
    /// All held-out pieces.
    pub all: Line,
}

impl Table {
    /// Measures the weights on all held-out pieces.
    pub fn measure(weights: &Weights, dataset: &Dataset) -> Self {
        let pieces: Vec<&Piece> = dataset.held_out.iter().collect();
        let [any, own] = [Told::Any, Told::Own].map(|told| evaluate::score(weights, &pieces, usize::MAX, told));
        let line = |style: &str, number: Option<usize>| {
            let kept = |tallies: &[Tally]| -> Vec<Tally> {
                let of_style = tallies
                    .iter()
                    .zip(&pieces)
                    .filter(|(_, piece)| number.is_none_or(|number| usize::from(piece.style) == number));
                of_style.map(|(tally, _)| *tally).collect()
            };
            let (any, own) = (kept(&any), kept(&own));
            let (sum, told) = (evaluate::sum(&any), evaluate::sum(&own));
            let (notes, pieces) = (sum.notes[0], any.len());
            Line { style: style.to_owned(), pieces, notes, any: sum.per_note(), own: told.per_note() }
        };
        let styles = dataset.styles.iter().enumerate().map(|(number, style)| line(style, Some(number)));
        Self { styles: styles.filter(|line| line.notes > 0).collect(), all: line("all", None) }
    }

    /// What the model file says of it.
    pub fn result(&self) -> HeldOut {
        HeldOut { pieces: self.all.pieces, notes: self.all.notes, bits_per_note: self.all.any }
    }

    /// The table for people.
    pub fn text(&self) -> String {
        let mut text = "held-out pieces, bits per note (velocity only where a piece has three or more):\n".to_owned();
        for Line { style, notes, any, own, .. } in self.styles.iter().chain([&self.all]) {
            let _ = writeln!(text, "  {style:28} {notes:8} notes  {}; told the style {:.3}", parts(any), own.sum());
        }
        text
    }
}

/// `12.345 bits = shift 3.12 + key 4.20 + duration 3.00 + velocity 2.02`.
pub fn parts(bits: &BitsPerNote) -> String {
    let BitsPerNote { shift, key, duration, velocity } = bits;
    format!(
        "{:.3} bits = shift {shift:.2} + key {key:.2} + duration {duration:.2} + velocity {velocity:.2}",
        bits.sum()
    )
}
