//! Debts that a port did not let the player pay.

use super::{CHANNELS, index};
use crate::midi::{MidiEvent, ShortMessage};

/// Note-offs that a port has refused and that it still owes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Owed([u128; CHANNELS]);

impl Owed {
    /// Whether nothing is owed.
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(|keys| *keys == 0)
    }

    /// This note-off is owed; other messages are passed over.
    pub fn add(&mut self, message: ShortMessage) {
        if let MidiEvent::NoteOff { channel, key } = message.event() {
            self.0[index(channel)] |= 1 << key;
        }
    }

    /// The key has been struck anew: its old debt is void.
    pub fn forget(&mut self, channel: u8, key: u8) {
        self.0[index(channel)] &= !(1 << key);
    }

    /// What is owed; nothing is, afterwards.
    pub fn take(&mut self) -> impl Iterator<Item = ShortMessage> + use<> {
        let owed = std::mem::take(&mut self.0);
        (0..16u8).flat_map(move |channel| {
            (0..128u8)
                .filter(move |key| owed[index(channel)] & (1 << key) != 0)
                .map(move |key| ShortMessage::note_off(channel, key))
        })
    }
}
