//! Live MIDI bytes: the short messages that come in and go out.

use thiserror::Error;

use crate::time::SessionTime;

/// A channel message of two or three bytes, as it travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ShortMessage {
    bytes: [u8; 3],
    len: u8,
}

/// A short message and the moment at which it was, or is to be, on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimedMessage {
    /// When.
    pub time: SessionTime,
    /// What.
    pub message: ShortMessage,
}

/// For tests: milliseconds after the session's beginning, on channel 1, velocity 70.
#[cfg(test)]
impl TimedMessage {
    pub(crate) fn on(ms: u64, key: u8) -> Self {
        Self { time: SessionTime::from_micros(ms * 1000), message: ShortMessage::note_on(0, key, 70) }
    }

    pub(crate) fn off(ms: u64, key: u8) -> Self {
        Self { time: SessionTime::from_micros(ms * 1000), message: ShortMessage::note_off(0, key) }
    }
}

/// What a short message means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MidiEvent {
    /// A key goes down. `channel` in `0..16`, `key` in `0..128`, `velocity` in `1..128`.
    NoteOn {
        /// In `0..16`.
        channel: u8,
        /// In `0..128`.
        key: u8,
        /// In `1..128`.
        velocity: u8,
    },
    /// A key goes up; a note-on of velocity 0 is one too.
    NoteOff {
        /// In `0..16`.
        channel: u8,
        /// In `0..128`.
        key: u8,
    },
    /// The sustain pedal (CC 64) moves; down from value 64 on.
    Sustain {
        /// In `0..16`.
        channel: u8,
        /// Whether the pedal is down.
        down: bool,
    },
    /// All sound off (CC 120) or all notes off (CC 123 to 127).
    AllNotesOff {
        /// In `0..16`.
        channel: u8,
    },
    /// Any other channel message.
    Other,
}

/// Bytes that are no channel message.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("not a whole MIDI channel message")]
pub struct NotAMessage;

/// The channel of the drums, number 10 for people: its keys are no pitches, and the model never heard them.
pub const DRUMS: u8 = 9;

const NOTE_OFF: u8 = 0x80;
const NOTE_ON: u8 = 0x90;
const CONTROL_CHANGE: u8 = 0xb0;
const PROGRAM_CHANGE: u8 = 0xc0;
const CHANNEL_PRESSURE: u8 = 0xd0;

impl ShortMessage {
    /// Takes one whole channel message; bytes behind it are left out.
    ///
    /// # Errors
    /// [`NotAMessage`] for anything else: system messages, stray data bytes, cut messages.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, NotAMessage> {
        let &status = bytes.first().ok_or(NotAMessage)?;
        let len = match status & 0xf0 {
            PROGRAM_CHANGE | CHANNEL_PRESSURE => 2,
            kind if (NOTE_OFF..0xf0).contains(&kind) => 3,
            _ => return Err(NotAMessage),
        };
        let data = bytes.get(1..len).ok_or(NotAMessage)?;
        if data.iter().any(|&byte| byte > 127) {
            return Err(NotAMessage);
        }
        let mut whole = [status, 0, 0];
        whole[1..len].copy_from_slice(data);
        Ok(Self { bytes: whole, len: if len == 2 { 2 } else { 3 } })
    }

    /// A note-on. Values beyond their range are masked into it; velocity 0, which would mean note-off, becomes 1.
    pub fn note_on(channel: u8, key: u8, velocity: u8) -> Self {
        Self { bytes: [NOTE_ON | (channel & 15), key & 127, (velocity & 127).max(1)], len: 3 }
    }

    /// A note-off with the usual release velocity of 64.
    pub fn note_off(channel: u8, key: u8) -> Self {
        Self { bytes: [NOTE_OFF | (channel & 15), key & 127, 64], len: 3 }
    }

    /// All notes off (CC 123) of a channel.
    pub fn all_notes_off(channel: u8) -> Self {
        Self { bytes: [CONTROL_CHANGE | (channel & 15), 123, 0], len: 3 }
    }

    /// The bytes to send.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }

    /// What the message means. Velocity 0 becomes a note-off here, once for the whole program.
    pub fn event(&self) -> MidiEvent {
        let [status, first, second] = self.bytes;
        let channel = status & 15;
        match status & 0xf0 {
            NOTE_ON if second > 0 => MidiEvent::NoteOn { channel, key: first, velocity: second },
            NOTE_ON | NOTE_OFF => MidiEvent::NoteOff { channel, key: first },
            CONTROL_CHANGE => match first {
                64 => MidiEvent::Sustain { channel, down: second >= 64 },
                120 | 123..=127 => MidiEvent::AllNotesOff { channel },
                _ => MidiEvent::Other,
            },
            _ => MidiEvent::Other,
        }
    }

    /// Whether this takes the turn: a key goes down, on any channel but that of the drums.
    pub fn takes_the_turn(&self) -> bool {
        matches!(self.event(), MidiEvent::NoteOn { channel, .. } if channel != DRUMS)
    }

    /// Whether a key goes down.
    pub fn is_note_on(&self) -> bool {
        matches!(self.event(), MidiEvent::NoteOn { .. })
    }
}

/// The name of a key, such as `C4` for 60.
pub fn key_name(key: u8) -> String {
    const NAMES: [&str; 12] = ["C", "C#", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B"];
    format!("{}{}", NAMES[usize::from(key % 12)], i32::from(key / 12) - 1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_note_on_of_velocity_zero_is_a_note_off() {
        let message = ShortMessage::from_bytes(&[0x93, 60, 0]).expect("whole");
        assert_eq!(message.event(), MidiEvent::NoteOff { channel: 3, key: 60 });
    }

    #[test]
    fn what_is_sent_is_read_back() {
        assert_eq!(ShortMessage::note_on(2, 61, 99).event(), MidiEvent::NoteOn { channel: 2, key: 61, velocity: 99 });
        assert_eq!(ShortMessage::note_off(2, 61).event(), MidiEvent::NoteOff { channel: 2, key: 61 });
        assert_eq!(ShortMessage::note_on(0, 60, 0).as_bytes(), &[0x90, 60, 1]);
    }

    #[test]
    fn the_pedal_is_down_from_64_on() {
        let pedal = |value| ShortMessage::from_bytes(&[0xb0, 64, value]).expect("whole").event();
        assert_eq!(pedal(63), MidiEvent::Sustain { channel: 0, down: false });
        assert_eq!(pedal(64), MidiEvent::Sustain { channel: 0, down: true });
    }

    #[test]
    fn middle_c_is_c4() {
        assert_eq!(key_name(60), "C4");
        assert_eq!(key_name(0), "C-1");
    }

    proptest! {
        #[test]
        fn any_bytes_are_taken_whole_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..6)) {
            if let Ok(message) = ShortMessage::from_bytes(&bytes) {
                prop_assert!(bytes.starts_with(message.as_bytes()));
                let _ = message.event();
            }
        }
    }
}
