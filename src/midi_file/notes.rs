//! Channel messages to notes: which note-off ends which note, and what the pedal adds.

use std::collections::VecDeque;

use super::read::{FileEvent, Pattern};
use crate::note::Note;
use crate::time::{SessionDuration, SessionTime};

/// What a note of no length lasts, and the least any note does.
pub const SHORTEST_NOTE: SessionDuration = SessionDuration::from_millis(1);
/// The most a note lasts that no note-off ends.
pub const LONGEST_UNTERMINATED: SessionDuration = SessionDuration::from_millis(20_000);

/// Channel 10, counted from 0: its keys are drums, not pitches.
const DRUM_CHANNEL: u8 = 9;

/// The notes of all patterns, ordered by onset, then key.
pub(super) fn from_patterns(patterns: &[Pattern]) -> Vec<Note> {
    let mut pairing = Pairing::new();
    for pattern in patterns {
        for event in &pattern.events {
            pairing.hear(event);
        }
        pairing.end_pattern(pattern.end);
    }
    let mut notes = pairing.notes;
    // Stable: doubled notes (same onset and key) stay in file order.
    notes.sort_by_key(|note| (note.onset, note.key));
    notes
}

/// One channel: what sounds there.
struct Channel {
    is_pedal_down: bool,
    /// By key: the notes whose key is down, oldest first. Indices into `Pairing::notes`.
    down: Vec<VecDeque<usize>>,
    /// By key: the notes whose key is up and which only the pedal holds.
    held: Vec<Vec<usize>>,
    /// Bit `key` is set where `held` may have notes: a pedal that flutters must not search 128 keys each time.
    held_keys: u128,
}

struct Pairing {
    channels: Vec<Channel>,
    notes: Vec<Note>,
}

impl Pairing {
    fn new() -> Self {
        let channel = || Channel {
            is_pedal_down: false,
            down: vec![VecDeque::new(); 128],
            held: vec![Vec::new(); 128],
            held_keys: 0,
        };
        Self { channels: (0..16).map(|_| channel()).collect(), notes: Vec::new() }
    }

    fn hear(&mut self, event: &FileEvent) {
        let [status, first, second] = event.bytes;
        let number = status & 0x0F;
        if number == DRUM_CHANNEL {
            return;
        }
        let channel = &mut self.channels[usize::from(number)];
        let notes = &mut self.notes;
        match (status >> 4, first) {
            (0x9, key) if second > 0 => {
                channel.end_held(key, event.time, notes);
                channel.down[usize::from(key)].push_back(notes.len());
                notes.push(Note { onset: event.time, key, duration: SHORTEST_NOTE, velocity: second });
            }
            (0x8 | 0x9, key) => channel.release(key, event.time, notes),
            (0xB, 64) if second >= 64 => channel.is_pedal_down = true,
            (0xB, 64 | 121) => channel.lift_pedal(event.time, notes),
            (0xB, 120) => {
                channel.release_all(event.time, notes);
                channel.end_all_held(event.time, notes);
            }
            (0xB, 123..) => channel.release_all(event.time, notes),
            _ => {}
        }
    }

    /// Ends what still sounds; the next pattern begins in silence.
    fn end_pattern(&mut self, end: SessionTime) {
        for channel in &mut self.channels {
            channel.lift_pedal(end, &mut self.notes);
            for index in channel.down.iter_mut().flat_map(|queue| queue.drain(..)) {
                let latest = self.notes[index].onset + LONGEST_UNTERMINATED;
                end_note(&mut self.notes[index], end.min(latest));
            }
        }
    }
}

impl Channel {
    /// A note-off: ends the oldest note of `key`, or hands it to the pedal. Without such a note it means nothing.
    fn release(&mut self, key: u8, time: SessionTime, notes: &mut [Note]) {
        let Some(index) = self.down[usize::from(key)].pop_front() else { return };
        if self.is_pedal_down {
            self.held[usize::from(key)].push(index);
            self.held_keys |= 1 << key;
        } else {
            end_note(&mut notes[index], time);
        }
    }

    fn release_all(&mut self, time: SessionTime, notes: &mut [Note]) {
        for key in 0..128 {
            while !self.down[usize::from(key)].is_empty() {
                self.release(key, time, notes);
            }
        }
    }

    fn lift_pedal(&mut self, time: SessionTime, notes: &mut [Note]) {
        self.is_pedal_down = false;
        self.end_all_held(time, notes);
    }

    fn end_all_held(&mut self, time: SessionTime, notes: &mut [Note]) {
        while self.held_keys != 0 {
            // At most 127, as the mask is not zero.
            let key = u8::try_from(self.held_keys.trailing_zeros()).unwrap_or(0);
            self.end_held(key, time, notes);
        }
    }

    fn end_held(&mut self, key: u8, time: SessionTime, notes: &mut [Note]) {
        for index in self.held[usize::from(key)].drain(..) {
            end_note(&mut notes[index], time);
        }
        self.held_keys &= !(1 << key);
    }
}

fn end_note(note: &mut Note, time: SessionTime) {
    note.duration = time.since(note.onset).max(SHORTEST_NOTE);
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::super::read_notes_from_bytes;
    use super::super::test_file::{file, milliseconds};

    /// Onset in ms, key, duration in ms of the notes of a track whose tick is a millisecond.
    fn notes(track: &[u8]) -> Vec<(u64, u8, u64)> {
        notes_of(&milliseconds(track))
    }

    fn notes_of(bytes: &[u8]) -> Vec<(u64, u8, u64)> {
        let notes = read_notes_from_bytes(bytes).unwrap();
        let ms = |us: u64| us / 1000;
        notes.iter().map(|note| (ms(note.onset.as_micros()), note.key, ms(note.duration.as_micros()))).collect()
    }

    #[test]
    fn a_note_lasts_from_note_on_to_note_off() {
        assert_eq!(notes(&[5, 0x90, 60, 64, 10, 0x80, 60, 0]), [(5, 60, 10)]);
    }

    #[test]
    fn a_note_on_with_velocity_zero_ends_the_note() {
        assert_eq!(notes(&[0, 0x90, 60, 64, 10, 60, 0, 10, 60, 64, 5, 60, 0]), [(0, 60, 10), (20, 60, 5)]);
    }

    #[test]
    fn overlapping_notes_of_one_key_end_first_in_first_out() {
        let track = [0, 0x90, 60, 1, 1, 60, 2, 1, 60, 3, 10, 60, 0, 10, 60, 0, 10, 60, 0];
        assert_eq!(notes(&track), [(0, 60, 12), (1, 60, 21), (2, 60, 30)]);
    }

    #[test]
    fn a_note_off_without_a_note_means_nothing() {
        assert_eq!(notes(&[0, 0x80, 60, 0, 5, 0x90, 60, 64, 5, 0x80, 60, 0, 5, 0x80, 60, 0]), [(5, 60, 5)]);
    }

    #[test]
    fn a_note_without_a_note_off_ends_with_the_file() {
        assert_eq!(notes(&[0, 0x90, 60, 64, 100, 0xB0, 1, 0]), [(0, 60, 100)]);
    }

    #[test]
    fn a_note_without_a_note_off_ends_after_20_seconds_at_the_latest() {
        // 0x83 0xD0 0x40: 60,000 ticks.
        assert_eq!(notes(&[0, 0x90, 60, 64, 0x83, 0xD4, 0x60, 0xB0, 1, 0]), [(0, 60, 20_000)]);
    }

    #[test]
    fn a_note_of_no_length_lasts_a_millisecond() {
        assert_eq!(notes(&[0, 0x90, 60, 64, 0, 60, 0, 9, 60, 64, 0, 60, 0]), [(0, 60, 1), (9, 60, 1)]);
    }

    #[test]
    fn a_note_on_written_before_the_note_off_of_the_same_tick_strikes_anew() {
        assert_eq!(notes(&[0, 0x90, 60, 64, 10, 60, 65, 0, 60, 0, 5, 60, 0]), [(0, 60, 10), (10, 60, 5)]);
    }

    #[test]
    fn the_pedal_extends_notes_until_it_is_released() {
        let track = [0, 0xB0, 64, 64, 0, 0x90, 60, 64, 10, 60, 0, 10, 0xB0, 64, 63, 5, 0x90, 60, 9, 5, 60, 0];
        assert_eq!(notes(&track), [(0, 60, 20), (25, 60, 5)]);
    }

    #[test]
    fn a_key_held_longer_than_the_pedal_ends_with_its_note_off() {
        let track = [0, 0xB0, 64, 127, 0, 0x90, 60, 64, 10, 0xB0, 64, 0, 10, 0x80, 60, 0];
        assert_eq!(notes(&track), [(0, 60, 20)]);
    }

    #[test]
    fn a_key_struck_again_ends_the_note_that_only_the_pedal_holds() {
        let track = [0, 0xB0, 64, 127, 0, 0x90, 60, 64, 10, 60, 0, 10, 60, 64, 5, 60, 0, 20, 0xB0, 64, 0];
        assert_eq!(notes(&track), [(0, 60, 20), (20, 60, 25)]);
    }

    #[test]
    fn a_pedal_that_is_never_released_ends_with_the_file() {
        let track = [0, 0xB0, 64, 127, 0, 0x90, 60, 64, 10, 60, 0, 90, 0xFF, 1, 0];
        assert_eq!(notes(&track), [(0, 60, 100)]);
    }

    #[test]
    fn the_pedal_holds_only_its_own_channel() {
        let track = [0, 0xB1, 64, 127, 0, 0x90, 60, 64, 10, 60, 0, 10, 0xB1, 64, 0];
        assert_eq!(notes(&track), [(0, 60, 10)]);
    }

    #[test]
    fn a_pedal_that_flutters_leaves_the_keys_that_are_down() {
        let mut track = vec![0, 0x90, 60, 64];
        track.extend([1, 0xB0, 64, 127, 1, 0xB0, 64, 0].repeat(10));
        track.extend([1, 0x80, 60, 0]);
        assert_eq!(notes(&track), [(0, 60, 21)]);
    }

    #[test]
    fn all_sound_off_ends_even_what_the_pedal_holds() {
        let track = [0, 0xB0, 64, 127, 0, 0x90, 60, 64, 0, 62, 64, 5, 60, 0, 5, 0xB0, 120, 0, 9, 64, 0];
        assert_eq!(notes(&track), [(0, 60, 10), (0, 62, 10)]);
    }

    #[test]
    fn all_notes_off_leaves_the_pedal_in_charge() {
        let track = [0, 0x90, 60, 64, 10, 0xB0, 123, 0, 10, 0x90, 62, 64, 0, 0xB0, 64, 127, 5, 123, 0, 5, 64, 0];
        assert_eq!(notes(&track), [(0, 60, 10), (20, 62, 10)]);
    }

    #[test]
    fn resetting_the_controllers_releases_the_pedal() {
        let track = [0, 0xB0, 64, 127, 0, 0x90, 60, 64, 5, 60, 0, 5, 0xB0, 121, 0, 9, 1, 0];
        assert_eq!(notes(&track), [(0, 60, 10)]);
    }

    #[test]
    fn a_note_of_no_length_after_all_notes_off_is_still_ended() {
        let track = [0, 0x90, 60, 64, 5, 0xB0, 123, 0, 5, 0x90, 60, 64, 0, 60, 0, 50, 0xFF, 1, 0];
        assert_eq!(notes(&track), [(0, 60, 5), (10, 60, 1)]);
    }

    #[test]
    fn channel_10_is_left_out() {
        assert_eq!(notes(&[0, 0x99, 36, 64, 1, 36, 0, 0, 0x98, 60, 64, 1, 60, 0]), [(1, 60, 1)]);
    }

    #[test]
    fn each_pattern_of_a_type_2_file_begins_in_silence_where_the_one_before_ended() {
        // 500 ticks a quarter note of 500 ms.
        let pattern: &[u8] = &[0, 0xB0, 64, 127, 0, 0x90, 60, 64, 10, 60, 0, 90, 62, 64];
        assert_eq!(
            notes_of(&file(2, [1, 0xF4], &[pattern, pattern])),
            [(0, 60, 100), (100, 60, 100), (100, 62, 1), (200, 62, 1)]
        );
    }

    #[test]
    fn notes_at_one_onset_are_ordered_by_key() {
        let found = notes(&[0, 0x90, 64, 64, 0, 60, 64, 0, 62, 64, 9, 60, 0, 0, 62, 0, 0, 64, 0]);
        assert_eq!(found, [(0, 60, 9), (0, 62, 9), (0, 64, 9)]);
    }
}
