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
        let &[status, first, second] = event.padded();
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
