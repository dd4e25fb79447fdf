//! The note model: one note is four classes. The one definition that trainer and daemon share.
//!
//! | attribute | meaning | classes |
//! |---|---|---|
//! | `shift` | time since the previous onset; class 0 is the same onset, a chord | [`TimeBins::shift`] |
//! | `key` | MIDI key number | 128 |
//! | `duration` | time from note-on to note-off | [`TimeBins::duration`] |
//! | `velocity` | MIDI velocity | 32 bins of 4 |

mod description;
mod time_bins;

pub use description::{BitsPerNote, Boundaries, Description, FORMAT_VERSION, HeldOut, Mismatch, Sizes};
pub use time_bins::{CELL, TimeBins, nearest_cell};

use crate::note::Note;
use crate::time::SessionTime;

/// Number of `key` classes.
pub const KEYS: usize = 128;
/// Number of `velocity` classes.
pub const VELOCITY_BINS: usize = 32;
/// MIDI velocities in one `velocity` class.
const VELOCITIES_PER_BIN: u8 = 4;

/// The style that stands for all: its number in every model is 0.
pub const ANY_STYLE: &str = "any";

/// The four attributes of a note, in the order in which the chain rule takes them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Attribute {
    /// Time since the previous onset.
    Shift,
    /// MIDI key number.
    Key,
    /// Time from note-on to note-off.
    Duration,
    /// MIDI velocity.
    Velocity,
}

impl Attribute {
    /// All four, in chain-rule order.
    pub const ALL: [Self; 4] = [Self::Shift, Self::Key, Self::Duration, Self::Velocity];

    /// Position in chain-rule order, in `0..4`.
    pub const fn index(self) -> usize {
        self as usize
    }

    /// The name used in the model file, in reports and in settings.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Shift => "shift",
            Self::Key => "key",
            Self::Duration => "duration",
            Self::Velocity => "velocity",
        }
    }

    /// Number of classes.
    pub fn classes(self) -> usize {
        match self {
            Self::Shift => TimeBins::shift().classes(),
            Self::Key => KEYS,
            Self::Duration => TimeBins::duration().classes(),
            Self::Velocity => VELOCITY_BINS,
        }
    }

    /// Bits that naming the exact 10 ms cell costs inside `class`: `log2` of its width for the two times, else 0.
    pub fn grid_bits(self, class: u8) -> f64 {
        match self {
            Self::Shift => f64::from(TimeBins::shift().width(class)).log2(),
            Self::Duration => f64::from(TimeBins::duration().width(class)).log2(),
            Self::Key | Self::Velocity => 0.0,
        }
    }
}

/// A note as the model sees it: a class for each attribute, indexed by [`Attribute::index`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct NoteClasses(pub [u8; 4]);

impl NoteClasses {
    /// The classes of `note`, which follows an onset at `previous_onset` (`None` for a first note: shift 0).
    pub fn encode(note: &Note, previous_onset: Option<SessionTime>) -> Self {
        let shift = note.onset.since(previous_onset.unwrap_or(note.onset));
        Self([
            TimeBins::shift().class_of(shift),
            note.key.min(127),
            TimeBins::duration().class_of(note.duration),
            Self::velocity_class(note.velocity),
        ])
    }

    /// A note of these classes after `previous_onset`. `dither` places shift, duration and velocity inside their
    /// classes, each in `0.0..1.0`; encoding the note again gives the same classes whatever it is.
    pub fn decode(self, previous_onset: SessionTime, dither: Dither) -> Note {
        let first = self.of(Attribute::Velocity) * VELOCITIES_PER_BIN;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "in 0..4")]
        let inside = (f32::from(VELOCITIES_PER_BIN) * dither.velocity.clamp(0.0, 0.999)) as u8;
        Note {
            onset: previous_onset + TimeBins::shift().at(self.of(Attribute::Shift), dither.shift),
            key: self.of(Attribute::Key),
            duration: TimeBins::duration().at(self.of(Attribute::Duration), dither.duration),
            velocity: (first + inside).max(1),
        }
    }

    /// The class that holds a velocity.
    pub const fn velocity_class(velocity: u8) -> u8 {
        (if velocity > 127 { 127 } else { velocity }) / VELOCITIES_PER_BIN
    }

    /// The class of one attribute.
    pub const fn of(self, attribute: Attribute) -> u8 {
        self.0[attribute.index()]
    }
}

/// Where a decoded note lies inside its classes, each in `0.0..1.0`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Dither {
    /// Place inside the shift class.
    pub shift: f32,
    /// Place inside the duration class.
    pub duration: f32,
    /// Place inside the velocity class.
    pub velocity: f32,
}

impl Dither {
    /// The middle of every class: no dithering.
    pub const CENTRE: Self = Self { shift: 0.5, duration: 0.5, velocity: 0.5 };
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::time::SessionDuration;

    proptest! {
        #[test]
        fn decoding_anywhere_in_the_classes_encodes_back(
            shift in 0..TimeBins::shift().classes(),
            key in 0..KEYS,
            duration in 0..TimeBins::duration().classes(),
            velocity in 0..VELOCITY_BINS,
            a in 0.0f32..1.0, b in 0.0f32..1.0, c in 0.0f32..1.0,
        ) {
            let narrow = |class: usize| u8::try_from(class).expect("fits");
            let classes = NoteClasses([narrow(shift), narrow(key), narrow(duration), narrow(velocity)]);
            let before = SessionTime::from_micros(1_234_567);
            let note = classes.decode(before, Dither { shift: a, duration: b, velocity: c });
            prop_assert!((1..=127).contains(&note.velocity));
            prop_assert_eq!(NoteClasses::encode(&note, Some(before)), classes);
        }
    }

    #[test]
    fn a_first_note_has_no_shift() {
        let note = Note {
            onset: SessionTime::from_micros(9_000_000),
            key: 60,
            duration: SessionDuration::from_millis(500),
            velocity: 64,
        };
        assert_eq!(NoteClasses::encode(&note, None).of(Attribute::Shift), 0);
    }

    #[test]
    fn the_four_attributes_have_the_sizes_of_the_format() {
        let sizes = Attribute::ALL.map(Attribute::classes);
        assert_eq!(sizes[1], 128);
        assert_eq!(sizes[3], 32);
        assert!(sizes.iter().all(|&size| size <= 256), "classes fit a byte: {sizes:?}");
    }
}
