//! What was copied from the training pieces: the longest passages that stand there too, in whatever key.

use crate::note_model::{Attribute, NoteClasses, TimeBins};

/// Upper edges of the coarse steps of a shift, in cells of 10 ms: same onset, then doubling from 60 ms.
const STEP_EDGES: [u32; 7] = [0, 5, 11, 23, 47, 95, 191];

/// A note as it is compared: its step in one of eight coarse lengths and its interval from the note before.
///
/// So a passage is found again in another key and with a slightly different timing; its durations and velocities are
/// not compared.
pub fn figures(notes: &[NoteClasses]) -> Vec<u16> {
    let edges = TimeBins::shift().boundaries();
    let pairs = notes.windows(2).map(|pair| {
        let cell = edges[usize::from(pair[1].of(Attribute::Shift))];
        let step = STEP_EDGES.partition_point(|&edge| edge < cell);
        let interval = pair[1].of(Attribute::Key).wrapping_sub(pair[0].of(Attribute::Key));
        u16::from(interval) << 3 | u16::try_from(step).unwrap_or(7)
    });
    pairs.collect()
}

/// Ends a piece: no figure has this value.
const END: u16 = u16::MAX;

/// All passages of some pieces, in a suffix array.
#[derive(Debug, Default)]
pub struct Passages {
    text: Vec<u16>,
    /// Places in the text, in the order of what follows them.
    order: Vec<u32>,
}

impl Passages {
    /// Of pieces given as [`figures`]; `longest` figures behind a place are told apart.
    pub fn of(pieces: &[Vec<u16>], longest: usize) -> Self {
        let mut text = Vec::new();
        for piece in pieces {
            text.extend_from_slice(piece);
            text.push(END);
        }
        let mut order: Vec<u32> = (0..u32::try_from(text.len()).unwrap_or(u32::MAX)).collect();
        order.sort_unstable_by(|&a, &b| behind(&text, a, longest).cmp(behind(&text, b, longest)).then(a.cmp(&b)));
        Self { text, order }
    }

    /// How many of the first figures stand somewhere in the pieces in the same order.
    pub fn longest_start(&self, figures: &[u16]) -> usize {
        let place = self.order.partition_point(|&at| behind(&self.text, at, figures.len()) < figures);
        let common = |index: usize| {
            let at = self.order.get(index).map_or(&[][..], |&at| behind(&self.text, at, figures.len()));
            at.iter().zip(figures).take_while(|(a, b)| a == b).count()
        };
        common(place).max(place.checked_sub(1).map_or(0, common))
    }

    /// The longest passage of the figures that stands in the pieces, in notes (one more than figures; 0 when none).
    pub fn longest(&self, figures: &[u16]) -> usize {
        let longest = (0..figures.len()).map(|from| self.longest_start(&figures[from..])).max().unwrap_or(0);
        if longest == 0 { 0 } else { longest + 1 }
    }

    /// Passages of so many notes: how many there are, and how many of them stand in the pieces.
    pub fn copied(&self, figures: &[u16], notes: usize) -> (usize, usize) {
        let windows = figures.windows(notes.saturating_sub(1).max(1));
        let all = windows.len();
        (all, windows.filter(|window| self.longest_start(window) == window.len()).count())
    }
}

fn behind(text: &[u16], at: u32, longest: usize) -> &[u16] {
    let rest = &text[at as usize..];
    &rest[..rest.len().min(longest)]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tune(keys: &[u8], shift: u8) -> Vec<NoteClasses> {
        keys.iter().map(|&key| NoteClasses([shift, key, 10, 16])).collect()
    }

    #[test]
    fn a_passage_is_found_in_another_key() {
        let training = figures(&tune(&[60, 62, 64, 65, 67, 60, 72, 71], 20));
        let passages = Passages::of(&[figures(&tune(&[1, 100, 3], 3)), training], 64);
        let copied = figures(&tune(&[30, 90, 65, 67, 69, 70, 72, 20, 90], 20));
        assert_eq!(passages.longest(&copied), 5, "the first five notes of the tune, a fourth higher");
        assert_eq!(passages.copied(&copied, 5), (5, 1));
        assert_eq!(passages.copied(&copied, 6), (4, 0));
    }

    #[test]
    fn a_passage_in_another_rhythm_is_none() {
        let passages = Passages::of(&[figures(&tune(&[60, 62, 64, 65], 20))], 64);
        assert_eq!(passages.longest(&figures(&tune(&[60, 62, 64, 65], 0))), 0);
        assert_eq!(Passages::default().longest(&figures(&tune(&[60, 62, 64], 20))), 0);
    }
}
