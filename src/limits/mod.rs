//! What the answer may play: keys, scale, voices at once, notes a second, velocities, lengths.
//!
//! Limits are plain data that may change between any two notes. They are never contradictory, because it is settled
//! what gives way:
//!
//! | settings | what holds |
//! |---|---|
//! | a lowest above a highest | the two trade places |
//! | a value outside its range | the nearest that is in it; what is not a number, the default |
//! | no key of the scale in the key range | the key range; the scale gives way |
//! | too many voices or notes a second for the time at which a note is wanted | the limit; the note comes later |

mod scale;

use std::ops::RangeInclusive;

pub use scale::{NotAScale, Scale, ScaleMode};

use crate::note::Note;
use crate::time::{SessionDuration, SessionTime};

/// The limits of the answer. The default lets everything through that a pianist plays.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    /// Lowest key, in [`Limits::KEY`].
    pub lowest_key: u8,
    /// Highest key, in [`Limits::KEY`].
    pub highest_key: u8,
    /// Only the keys of this scale.
    pub scale: Option<Scale>,
    /// Most notes of the answer that sound at once, in [`Limits::POLYPHONY`].
    pub polyphony: u8,
    /// Most notes in any second, in [`Limits::NOTES_PER_SECOND`]; below 1, notes lie so much further apart (0.5: two
    /// seconds), above 1 a fraction does not count.
    pub notes_per_second: f32,
    /// Softest velocity, in [`Limits::VELOCITY`].
    pub softest: u8,
    /// Loudest velocity, in [`Limits::VELOCITY`].
    pub loudest: u8,
    /// Exponent that bends velocities between softest and loudest on their way out, in [`Limits::VELOCITY_CURVE`]:
    /// above 1 softer, below 1 louder.
    pub velocity_curve: f32,
    /// Longest note, in [`Limits::NOTE_LENGTH`].
    pub longest_note: SessionDuration,
}

impl Limits {
    /// Keys of MIDI.
    pub const KEY: RangeInclusive<u8> = 0..=127;
    /// Notes that sound at once.
    pub const POLYPHONY: RangeInclusive<u8> = 1..=64;
    /// Notes a second: from one in ten seconds to more than ten fingers play.
    pub const NOTES_PER_SECOND: RangeInclusive<f32> = 0.1..=100.0;
    /// Velocities of a note-on; 0 is a note-off.
    pub const VELOCITY: RangeInclusive<u8> = 1..=127;
    /// Exponents of the velocity curve; 1 is a straight line.
    pub const VELOCITY_CURVE: RangeInclusive<f32> = 0.25..=4.0;
    /// Lengths that may be the longest: 50 ms to 20 s, the longest that the note model knows.
    pub const NOTE_LENGTH: RangeInclusive<SessionDuration> =
        SessionDuration::from_millis(50)..=SessionDuration::from_millis(20_000);
    /// Longest note that takes the last free voice: the music must not wait longer for one.
    pub const LAST_VOICE: SessionDuration = SessionDuration::from_millis(4_000);

    /// The keys that may be struck: bit `n` stands for key `n`. Never empty.
    pub fn keys(&self) -> u128 {
        let (low, high) = ordered(self.lowest_key, self.highest_key);
        let (low, high) = (low.min(127), high.min(127));
        let range = u128::MAX >> (127 - high) & u128::MAX << low;
        let locked = range & self.scale.map_or(u128::MAX, Scale::keys);
        if locked == 0 { range } else { locked }
    }

    /// The velocities that may be chosen.
    pub fn velocities(&self) -> RangeInclusive<u8> {
        let (softest, loudest) = ordered(self.softest, self.loudest);
        let hold = |velocity: u8| velocity.clamp(*Self::VELOCITY.start(), *Self::VELOCITY.end());
        hold(softest)..=hold(loudest)
    }

    /// The velocity to be sent for one that was chosen: bent by the curve, its range and both ends kept.
    ///
    /// The model must be told the chosen one: told what was sent, it would take the curve for the player's dynamics,
    /// bend it again, and end at one of the ends.
    pub fn sent_velocity(&self, chosen: u8) -> u8 {
        let (softest, loudest) = self.velocities().into_inner();
        let span = f32::from(loudest - softest);
        if span == 0.0 {
            return softest;
        }
        let place = f32::from(chosen.clamp(softest, loudest) - softest) / span;
        let bent = place.powf(in_range(self.velocity_curve, &Self::VELOCITY_CURVE, 1.0));
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "in 0..=126")]
        let above = (bent * span).round() as u8;
        softest + above
    }

    /// The earliest onset that voices and notes a second leave to the next note, after those `played` of the answer,
    /// in order of onset: all that still sound, and those of the last second or as many as that has notes.
    pub fn earliest_onset(&self, played: &[Note]) -> SessionTime {
        self.earliest_by_density(played).max(self.earliest_by_polyphony(played))
    }

    fn earliest_by_density(&self, played: &[Note]) -> SessionTime {
        let rate = in_range(self.notes_per_second, &Self::NOTES_PER_SECOND, Self::default().notes_per_second);
        let notes = rate.floor().max(1.0);
        let span = SessionDuration::from_seconds(1.0 / f64::from(rate.min(1.0)));
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "in 1..=100")]
        let first = played.len().checked_sub(notes as usize);
        first.map_or(SessionTime::ZERO, |first| played[first].onset + span)
    }

    /// No note begins after the next one's onset, so voices only become free: enough are when all but
    /// `polyphony - 1` of the notes have ended.
    fn earliest_by_polyphony(&self, played: &[Note]) -> SessionTime {
        let Some(last) = played.last() else { return SessionTime::ZERO };
        // The latest ends, latest first, as many as there are voices.
        let mut ends = [SessionTime::ZERO; *Self::POLYPHONY.end() as usize];
        let ends = &mut ends[..self.voices()];
        for note in played.iter().filter(|note| note.end() > last.onset) {
            let place = ends.partition_point(|&end| end >= note.end());
            if place < ends.len() {
                ends[place..].rotate_right(1);
                ends[place] = note.end();
            }
        }
        ends[ends.len() - 1]
    }

    /// How long a note may be that is struck while `sounding` other notes of the answer sound.
    pub fn longest_duration(&self, sounding: usize) -> SessionDuration {
        let longest = self.longest_note.clamp(*Self::NOTE_LENGTH.start(), *Self::NOTE_LENGTH.end());
        if sounding + 1 >= self.voices() { longest.min(Self::LAST_VOICE) } else { longest }
    }

    /// Most notes that sound at once.
    fn voices(&self) -> usize {
        usize::from(self.polyphony.clamp(*Self::POLYPHONY.start(), *Self::POLYPHONY.end()))
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            lowest_key: *Self::KEY.start(),
            highest_key: *Self::KEY.end(),
            scale: None,
            polyphony: *Self::POLYPHONY.end(),
            notes_per_second: 50.0,
            softest: *Self::VELOCITY.start(),
            loudest: *Self::VELOCITY.end(),
            velocity_curve: 1.0,
            longest_note: *Self::NOTE_LENGTH.end(),
        }
    }
}

fn ordered(a: u8, b: u8) -> (u8, u8) {
    (a.min(b), a.max(b))
}

fn in_range(value: f32, range: &RangeInclusive<f32>, default: f32) -> f32 {
    if value.is_nan() { default } else { value.clamp(*range.start(), *range.end()) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn note(onset_ms: u64, length_ms: u64) -> Note {
        Note {
            onset: SessionTime::from_micros(onset_ms * 1000),
            key: 60,
            duration: SessionDuration::from_millis(length_ms),
            velocity: 64,
        }
    }

    fn earliest_ms(limits: Limits, played: &[Note]) -> u64 {
        limits.earliest_onset(played).as_micros() / 1000
    }

    #[test]
    fn keys_lie_in_the_range_and_in_the_scale() {
        assert_eq!(Limits::default().keys(), u128::MAX);
        let limits = Limits { lowest_key: 60, highest_key: 72, scale: "C major".parse().ok(), ..Limits::default() };
        assert_eq!(limits.keys() >> 60, 0b1_1010_1011_0101);
        assert_eq!(limits.keys().trailing_zeros(), 60);
    }

    #[test]
    fn of_contradictions_something_playable_remains() {
        let swapped = Limits { lowest_key: 72, highest_key: 60, ..Limits::default() };
        assert_eq!(swapped.keys(), Limits { lowest_key: 60, highest_key: 72, ..Limits::default() }.keys());
        let outside = Limits { lowest_key: 200, highest_key: 255, ..Limits::default() };
        assert_eq!(outside.keys(), 1 << 127);
        let black_key = Limits { lowest_key: 61, highest_key: 61, scale: "C major".parse().ok(), ..Limits::default() };
        assert_eq!(black_key.keys(), 1 << 61, "the scale gives way to the range");
        let silent = Limits { softest: 0, loudest: 0, ..Limits::default() };
        assert_eq!(silent.velocities(), 1..=1);
        assert_eq!(silent.sent_velocity(90), 1);
    }

    #[test]
    fn the_curve_bends_between_softest_and_loudest() {
        let limits = |velocity_curve| Limits { softest: 20, loudest: 100, velocity_curve, ..Limits::default() };
        for curve in [0.25, 1.0, 4.0, f32::NAN] {
            assert_eq!(limits(curve).sent_velocity(20), 20);
            assert_eq!(limits(curve).sent_velocity(100), 100);
        }
        assert_eq!(limits(1.0).sent_velocity(60), 60);
        assert_eq!(limits(2.0).sent_velocity(60), 40);
        assert_eq!(limits(0.5).sent_velocity(40), 60);
    }

    #[test]
    fn notes_wait_until_the_second_has_room() {
        let played = [note(0, 10), note(100, 10), note(200, 10)];
        let at_most = |notes_per_second| Limits { notes_per_second, ..Limits::default() };
        assert_eq!(earliest_ms(at_most(4.0), &played), 0);
        assert_eq!(earliest_ms(at_most(3.0), &played), 1000);
        assert_eq!(earliest_ms(at_most(2.5), &played), 1100, "2 notes in a second");
        assert_eq!(earliest_ms(at_most(0.5), &played), 2200, "1 note in 2 s");
        assert_eq!(earliest_ms(at_most(f32::NAN), &played), 0);
        assert_eq!(earliest_ms(at_most(0.0), &played), 10_200);
    }

    #[test]
    fn notes_wait_until_a_voice_is_free() {
        let played = [note(0, 1000), note(10, 400), note(20, 700), note(30, 50)];
        let voices = |polyphony| Limits { polyphony, ..Limits::default() };
        assert_eq!(earliest_ms(voices(1), &played), 1000);
        assert_eq!(earliest_ms(voices(2), &played), 720);
        assert_eq!(earliest_ms(voices(3), &played), 410);
        assert_eq!(earliest_ms(voices(4), &played), 80);
        assert_eq!(earliest_ms(voices(5), &played), 0);
        assert_eq!(earliest_ms(voices(0), &played), 1000, "never fewer than one voice");
        assert_eq!(voices(3).longest_duration(2), Limits::LAST_VOICE);
        assert_eq!(voices(3).longest_duration(1), SessionDuration::from_millis(20_000));
    }

    proptest! {
        #[test]
        fn at_the_earliest_onset_there_is_room_for_one_note_more(
            steps in proptest::collection::vec((0u64..300, 1u64..2000), 0..100),
            polyphony in 0u8..=70,
            notes_per_second in 0.0f32..20.0,
        ) {
            let limits = Limits { polyphony, notes_per_second, ..Limits::default() };
            let mut played: Vec<Note> = Vec::new();
            for (wait, length) in steps {
                let last = played.last().map_or(SessionTime::ZERO, |note| note.onset);
                let onset = (last + SessionDuration::from_millis(wait)).max(limits.earliest_onset(&played));
                played.push(Note { onset, ..note(0, length) });
                let sounding = played.iter().filter(|note| note.end() > onset).count();
                prop_assert!(sounding <= limits.voices(), "{} of {}", sounding, limits.voices());
                let second = played.iter().filter(|note| onset.since(note.onset) < SessionDuration::from_millis(1000));
                prop_assert!(f32::from(u8::try_from(second.count()).expect("few")) <= notes_per_second.max(1.0));
            }
        }
    }
}
