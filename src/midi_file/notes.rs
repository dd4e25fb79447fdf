//! Channel messages to notes: which note-off ends which note, and what the pedal adds.

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
    // Patterns and their events come in time order, so only the notes of a chord are out of order.
    for chord in notes.chunk_by_mut(|a, b| a.onset == b.onset) {
        // Stable: doubled notes (same onset and key) stay in file order.
        chord.sort_by_key(|note| note.key);
    }
    notes
}

/// No note.
const NONE: u32 = u32::MAX;

/// One channel: what sounds there. Notes of a key are chained by `Pairing::next`; the numbers are indices of notes.
#[derive(Clone)]
struct Channel {
    is_pedal_down: bool,
    /// By key: the first and the last of the notes whose key is down, oldest first.
    down: [(u32, u32); 128],
    /// By key: the first of the notes whose key is up and which only the pedal holds.
    held: [u32; 128],
    /// Bit `key` is set where `down` has notes: most files need few keys of few channels.
    down_keys: u128,
    /// Bit `key` is set where `held` has notes: a pedal that flutters must not search 128 keys each time.
    held_keys: u128,
}

struct Pairing {
    channels: Vec<Channel>,
    notes: Vec<Note>,
    /// The note behind each note in its chain.
    next: Vec<u32>,
}

impl Pairing {
    fn new() -> Self {
        let silent =
            Channel { is_pedal_down: false, down: [(NONE, NONE); 128], held: [NONE; 128], down_keys: 0, held_keys: 0 };
        Self { channels: vec![silent; 16], notes: Vec::new(), next: Vec::new() }
    }

    fn hear(&mut self, event: &FileEvent) {
        let [status, first, second] = event.bytes;
        let number = status & 0x0F;
        if number == DRUM_CHANNEL {
            return;
        }
        let channel = &mut self.channels[usize::from(number)];
        let (notes, next) = (&mut self.notes, &mut self.next);
        match (status >> 4, first) {
            (0x9, key) if second > 0 => {
                channel.end_held(key, event.time, notes, next);
                // There are MAX_NOTES notes at most.
                channel.begin(key, u32::try_from(notes.len()).unwrap_or(NONE), next);
                notes.push(Note { onset: event.time, key, duration: SHORTEST_NOTE, velocity: second });
            }
            (0x8 | 0x9, key) => channel.release(key, event.time, notes, next),
            (0xB, 64) if second >= 64 => channel.is_pedal_down = true,
            (0xB, 64 | 121) => channel.lift_pedal(event.time, notes, next),
            (0xB, 120) => {
                channel.release_all(event.time, notes, next);
                channel.end_all_held(event.time, notes, next);
            }
            (0xB, 123..) => channel.release_all(event.time, notes, next),
            _ => {}
        }
    }

    /// Ends what still sounds; the next pattern begins in silence.
    fn end_pattern(&mut self, end: SessionTime) {
        for channel in &mut self.channels {
            channel.lift_pedal(end, &mut self.notes, &self.next);
            while let Some(key) = lowest(channel.down_keys) {
                while let Some(index) = channel.take_oldest(key, &self.next) {
                    let latest = self.notes[index].onset + LONGEST_UNTERMINATED;
                    end_note(&mut self.notes[index], end.min(latest));
                }
            }
        }
    }
}

impl Channel {
    /// A note-on: note `index` is the youngest of `key`.
    fn begin(&mut self, key: u8, index: u32, next: &mut Vec<u32>) {
        next.push(NONE);
        let (first, last) = &mut self.down[usize::from(key)];
        if *first == NONE {
            *first = index;
        } else {
            next[*last as usize] = index;
        }
        *last = index;
        self.down_keys |= 1 << key;
    }

    /// Takes the oldest note of `key` whose key is down.
    fn take_oldest(&mut self, key: u8, next: &[u32]) -> Option<usize> {
        let (first, _) = &mut self.down[usize::from(key)];
        let index = *first;
        if index == NONE {
            return None;
        }
        *first = next[index as usize];
        if *first == NONE {
            self.down_keys &= !(1 << key);
        }
        Some(index as usize)
    }

    /// A note-off: ends the oldest note of `key`, or hands it to the pedal. Without such a note it means nothing.
    fn release(&mut self, key: u8, time: SessionTime, notes: &mut [Note], next: &mut [u32]) {
        let Some(index) = self.take_oldest(key, next) else { return };
        if self.is_pedal_down {
            let first = &mut self.held[usize::from(key)];
            // It came from a chain, whose numbers are 32 bits wide.
            next[index] = std::mem::replace(first, u32::try_from(index).unwrap_or(NONE));
            self.held_keys |= 1 << key;
        } else {
            end_note(&mut notes[index], time);
        }
    }

    fn release_all(&mut self, time: SessionTime, notes: &mut [Note], next: &mut [u32]) {
        while let Some(key) = lowest(self.down_keys) {
            self.release(key, time, notes, next);
        }
    }

    fn lift_pedal(&mut self, time: SessionTime, notes: &mut [Note], next: &[u32]) {
        self.is_pedal_down = false;
        self.end_all_held(time, notes, next);
    }

    fn end_all_held(&mut self, time: SessionTime, notes: &mut [Note], next: &[u32]) {
        while let Some(key) = lowest(self.held_keys) {
            self.end_held(key, time, notes, next);
        }
    }

    fn end_held(&mut self, key: u8, time: SessionTime, notes: &mut [Note], next: &[u32]) {
        let mut index = std::mem::replace(&mut self.held[usize::from(key)], NONE);
        while index != NONE {
            end_note(&mut notes[index as usize], time);
            index = next[index as usize];
        }
        self.held_keys &= !(1 << key);
    }
}

/// The lowest key of a set.
fn lowest(keys: u128) -> Option<u8> {
    // At most 127, as the set is not empty.
    (keys != 0).then(|| u8::try_from(keys.trailing_zeros()).unwrap_or(0))
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
