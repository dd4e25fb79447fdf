//! The law of the time classes: 10 ms steps up to 250 ms, then geometric, about 4 % a step.

use std::sync::LazyLock;

use crate::time::SessionDuration;

/// Width of one grid cell. Times are counted in cells, rounded to the nearest.
pub const CELL: SessionDuration = SessionDuration::from_millis(10);

/// The cell that holds a time.
pub fn nearest_cell(time: SessionDuration) -> u64 {
    (time.as_micros() + CELL.as_micros() / 2) / CELL.as_micros()
}

/// Last cell that has a class of its own: 250 ms.
const LAST_SINGLE_CELL: u32 = 25;

/// Ratio of one class boundary to the one before it, past the single cells. 250 ms x 1.04 is one cell more,
/// so the two laws meet without a jump.
const GROWTH: f64 = 1.04;

/// Classes of a time: class `k` holds the cells `first_cell[k] .. first_cell[k + 1]`.
#[derive(Debug, PartialEq, Eq)]
pub struct TimeBins {
    /// First cell of each class, and the first cell past the last class.
    boundaries: Vec<u32>,
}

static SHIFT: LazyLock<TimeBins> = LazyLock::new(|| TimeBins::between(0, 1000));
static DURATION: LazyLock<TimeBins> = LazyLock::new(|| TimeBins::between(1, 2000));

impl TimeBins {
    /// Classes of `shift`: 0 to 10 s. Class 0 is the same onset, a chord.
    pub fn shift() -> &'static Self {
        &SHIFT
    }

    /// Classes of `duration`: 10 ms to 20 s.
    pub fn duration() -> &'static Self {
        &DURATION
    }

    fn between(first: u32, last: u32) -> Self {
        let mut boundaries: Vec<u32> = (first..=LAST_SINGLE_CELL + 1).collect();
        let mut edge = LAST_SINGLE_CELL + 1;
        while edge <= last {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "edges stay below 2100")]
            let grown = (f64::from(edge) * GROWTH).round() as u32;
            edge = grown.max(edge + 1);
            // A narrow rest would make a class that hardly occurs: the last class takes it in.
            if f64::from(edge) * (1.0 + (GROWTH - 1.0) / 2.0) > f64::from(last) {
                edge = last + 1;
            }
            boundaries.push(edge);
        }
        Self { boundaries }
    }

    /// Number of classes.
    pub fn classes(&self) -> usize {
        self.boundaries.len() - 1
    }

    /// First cell of each class, then the first cell past the last class; in cells of 10 ms.
    pub fn boundaries(&self) -> &[u32] {
        &self.boundaries
    }

    /// The class that holds `time`; times outside the range take the nearest class.
    pub fn class_of(&self, time: SessionDuration) -> u8 {
        let cell = u32::try_from(nearest_cell(time)).unwrap_or(u32::MAX);
        let above = self.boundaries.partition_point(|&edge| edge <= cell);
        let class = above.saturating_sub(1).min(self.classes() - 1);
        u8::try_from(class).expect("fewer than 256 time classes")
    }

    /// Width of a class in cells; a class that is `k` cells wide costs `log2 k` bits more on the 10 ms grid.
    pub fn width(&self, class: u8) -> u32 {
        let class = usize::from(class);
        self.boundaries[class + 1] - self.boundaries[class]
    }

    /// Shortest time that falls into the class.
    pub fn shortest(&self, class: u8) -> SessionDuration {
        SessionDuration::from_micros(self.edge_us(usize::from(class)))
    }

    /// Longest time that falls into the class.
    pub fn longest(&self, class: u8) -> SessionDuration {
        SessionDuration::from_micros(self.edge_us(usize::from(class) + 1) - 1)
    }

    /// The time at `position` in `0.0..1.0` of the way through the class, so that nothing sounds stepped.
    ///
    /// The class of the same onset always gives zero: chords stay together. `class_of(at(c, p)) == c` for every `p`.
    pub fn at(&self, class: u8, position: f32) -> SessionDuration {
        if class == 0 && self.boundaries[0] == 0 {
            return SessionDuration::ZERO;
        }
        let first = self.shortest(class).as_micros();
        let last = self.longest(class).as_micros();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
        let inside = ((last - first + 1) as f64 * f64::from(position.clamp(0.0, 1.0))) as u64;
        SessionDuration::from_micros((first + inside).min(last))
    }

    /// Lower edge of a class in microseconds: half a cell below its first cell.
    fn edge_us(&self, class: usize) -> u64 {
        (u64::from(self.boundaries[class]) * CELL.as_micros()).saturating_sub(CELL.as_micros() / 2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn both() -> [&'static TimeBins; 2] {
        [TimeBins::shift(), TimeBins::duration()]
    }

    #[test]
    fn every_position_in_a_class_encodes_to_that_class() {
        for bins in both() {
            for class in 0..bins.classes() {
                let class = u8::try_from(class).expect("fits");
                for position in [0.0, 0.3, 0.999_99, 1.0] {
                    assert_eq!(bins.class_of(bins.at(class, position)), class, "class {class} at {position}");
                }
                assert_eq!(bins.class_of(bins.shortest(class)), class);
                assert_eq!(bins.class_of(bins.longest(class)), class);
            }
        }
    }

    #[test]
    fn classes_are_single_cells_to_250_ms_and_then_grow_by_about_4_percent() {
        for bins in both() {
            for class in 0..bins.classes() - 1 {
                let first = bins.boundaries()[class];
                let width = bins.width(u8::try_from(class).expect("fits"));
                if first <= LAST_SINGLE_CELL {
                    assert_eq!(width, 1);
                } else {
                    let ratio = f64::from(width) / f64::from(first);
                    assert!((0.015..0.065).contains(&ratio), "class {class} starting at cell {first} is {width} wide");
                }
            }
        }
    }

    #[test]
    fn the_ranges_are_those_of_the_design() {
        assert_eq!(TimeBins::shift().boundaries().first(), Some(&0));
        assert_eq!(TimeBins::shift().boundaries().last(), Some(&1001));
        assert_eq!(TimeBins::duration().boundaries().first(), Some(&1));
        assert_eq!(TimeBins::duration().boundaries().last(), Some(&2001));
        let hour = SessionDuration::from_seconds(3600.0);
        assert_eq!(usize::from(TimeBins::shift().class_of(hour)), TimeBins::shift().classes() - 1);
        assert_eq!(TimeBins::duration().class_of(SessionDuration::ZERO), 0);
    }

    #[test]
    fn notes_within_five_milliseconds_are_a_chord() {
        assert_eq!(TimeBins::shift().class_of(SessionDuration::from_micros(4_999)), 0);
        assert_eq!(TimeBins::shift().class_of(SessionDuration::from_micros(5_000)), 1);
        assert_eq!(TimeBins::shift().at(0, 0.9), SessionDuration::ZERO);
    }
}
