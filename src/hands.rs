//! What the human holds, as those know it who hear it first: so that nobody believes for ever that a key is down whose
//! note-off found a queue full.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use crate::midi::{MidiEvent, ShortMessage};
use crate::thru::pedal;

/// Pedals that hold notes: sustain and sostenuto.
const PEDALS: usize = 2;

/// Keys and pedals that are down, channel by channel, and who has missed something of it.
///
/// Thread: any. Realtime-safe: yes, each entry is one atomic.
#[derive(Default)]
pub struct Hands {
    keys: [[AtomicU64; 2]; 16],
    pedals: [[AtomicBool; PEDALS]; 16],
    missed_in_a_ring: AtomicBool,
    missed_by_conductor: AtomicBool,
    missed_by_player: AtomicBool,
}

impl Hands {
    /// The human sends this. To be called before anybody else is told.
    pub fn hear(&self, message: ShortMessage) {
        match message.event() {
            MidiEvent::NoteOn { channel, key, .. } => {
                self.word(channel, key).fetch_or(1 << (key & 63), Relaxed);
            }
            MidiEvent::NoteOff { channel, key } => {
                self.word(channel, key).fetch_and(!(1 << (key & 63)), Relaxed);
            }
            MidiEvent::AllNotesOff { channel } => {
                self.keys[usize::from(channel)].iter().for_each(|word| word.store(0, Relaxed));
            }
            MidiEvent::Sustain { .. } | MidiEvent::Other | MidiEvent::Sync(_) => {
                if let (Some((place, down)), Some(channel)) = (pedal(message), message.channel()) {
                    self.pedals[usize::from(channel)][place].store(down, Relaxed);
                }
            }
        }
    }

    /// Whether the key or pedal is down that this message lets go of.
    pub fn holds(&self, message: ShortMessage) -> bool {
        match (message.event(), pedal(message), message.channel()) {
            (MidiEvent::NoteOff { channel, key }, ..) => self.word(channel, key).load(Relaxed) & 1 << (key & 63) != 0,
            (_, Some((place, _)), Some(channel)) => self.pedals[usize::from(channel)][place].load(Relaxed),
            _ => false,
        }
    }

    /// Whether the key is down, on whatever channel.
    pub fn hold_key(&self, key: u8) -> bool {
        (0..16).any(|channel| self.word(channel, key).load(Relaxed) & 1 << (key & 63) != 0)
    }

    fn word(&self, channel: u8, key: u8) -> &AtomicU64 {
        &self.keys[usize::from(channel & 15)][usize::from(key >> 6 & 1)]
    }

    /// A ring on the way to the conductor was full.
    pub fn missed_in_a_ring(&self) {
        self.missed_in_a_ring.store(true, Relaxed);
    }

    /// What was in the ring before has been handed on.
    pub fn ring_is_empty(&self) {
        if self.missed_in_a_ring.load(Relaxed) && self.missed_in_a_ring.swap(false, Relaxed) {
            self.missed_by_conductor();
        }
    }

    /// The conductor's queue was full.
    pub fn missed_by_conductor(&self) {
        self.missed_by_conductor.store(true, Relaxed);
    }

    /// The player's queue was full.
    pub fn missed_by_player(&self) {
        self.missed_by_player.store(true, Relaxed);
    }

    /// Whether the conductor has missed something since it last asked; to be asked when its queue is empty.
    pub fn conductor_missed(&self) -> bool {
        self.missed_by_conductor.load(Relaxed) && self.missed_by_conductor.swap(false, Relaxed)
    }

    /// The same for the player.
    pub fn player_missed(&self) -> bool {
        self.missed_by_player.load(Relaxed) && self.missed_by_player.swap(false, Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_down_is_held_until_it_goes_up() {
        let hands = Hands::default();
        let (off, up) = (ShortMessage::note_off(3, 100), ShortMessage::control_change(3, 66, 0));
        assert!(!hands.holds(off) && !hands.holds(up));
        hands.hear(ShortMessage::note_on(3, 100, 1));
        hands.hear(ShortMessage::control_change(3, 66, 127));
        assert!(hands.holds(off) && hands.holds(up) && hands.hold_key(100) && !hands.hold_key(36));
        assert!(!hands.holds(ShortMessage::note_off(3, 36)) && !hands.holds(ShortMessage::control_change(3, 64, 0)));
        hands.hear(off);
        hands.hear(up);
        assert!(!hands.holds(off) && !hands.holds(up));
        hands.hear(ShortMessage::note_on(3, 100, 1));
        hands.hear(ShortMessage::all_notes_off(3));
        assert!(!hands.holds(off));
    }

    #[test]
    fn what_a_ring_missed_the_conductor_learns_when_the_ring_is_empty() {
        let hands = Hands::default();
        hands.missed_in_a_ring();
        assert!(!hands.conductor_missed());
        hands.ring_is_empty();
        assert!(hands.conductor_missed() && !hands.conductor_missed() && !hands.player_missed());
    }
}
