//! Debts that a port did not let the player pay.

use super::{CHANNELS, index};
use crate::midi::{MidiEvent, ShortMessage};
use crate::thru::{PEDALS, pedal};

/// Note-offs and releases of pedals that a port has refused and that it still owes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Owed {
    keys: [u128; CHANNELS],
    pedals: [[bool; PEDALS.len()]; CHANNELS],
}

impl Owed {
    /// Whether nothing is owed.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// This note-off or release is owed; other messages are passed over.
    pub fn add(&mut self, message: ShortMessage) {
        if let MidiEvent::NoteOff { channel, key } = message.event() {
            self.keys[index(channel)] |= 1 << key;
        } else if let (Some((place, false)), Some(channel)) = (pedal(message), message.channel()) {
            self.pedals[index(channel)][place] = true;
        }
    }

    /// Whether the note-off of a key is owed.
    pub fn owes(&self, channel: u8, key: u8) -> bool {
        self.keys[index(channel)] & (1 << key) != 0
    }

    /// The key has been struck anew or the pedal has moved: its old debt is void.
    pub fn forget(&mut self, message: ShortMessage) {
        match message.event() {
            MidiEvent::NoteOn { channel, key, .. } | MidiEvent::NoteOff { channel, key } => {
                self.keys[index(channel)] &= !(1 << key);
            }
            _ => {
                if let (Some((place, _)), Some(channel)) = (pedal(message), message.channel()) {
                    self.pedals[index(channel)][place] = false;
                }
            }
        }
    }

    /// What is owed; nothing is, afterwards.
    pub fn take(&mut self) -> impl Iterator<Item = ShortMessage> + use<> {
        let Self { keys, pedals } = std::mem::take(self);
        (0..16u8).flat_map(move |channel| {
            let (keys, pedals) = (keys[index(channel)], pedals[index(channel)]);
            let note_offs = (0..128u8)
                .filter(move |key| keys & (1 << key) != 0)
                .map(move |key| ShortMessage::note_off(channel, key));
            let down = PEDALS.into_iter().zip(pedals).filter(|(_, owed)| *owed);
            note_offs.chain(down.map(move |(pedal, _)| ShortMessage::control_change(channel, pedal, 0)))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn note_offs_and_pedals_are_owed_until_they_are_paid_or_void() {
        let (off, up) = (ShortMessage::note_off(2, 60), ShortMessage::control_change(2, 64, 0));
        let mut owed = Owed::default();
        for message in [off, up, ShortMessage::note_on(2, 61, 70), ShortMessage::control_change(2, 66, 127)] {
            owed.add(message);
        }
        assert!(owed.owes(2, 60) && !owed.owes(2, 61) && !owed.is_empty());
        let mut other = owed;
        assert_eq!(owed.take().collect::<Vec<_>>(), [off, up]);
        assert!(owed.is_empty());
        other.forget(ShortMessage::control_change(2, 64, 127));
        other.forget(ShortMessage::note_on(2, 60, 1));
        assert!(other.is_empty());
    }
}
