//! Live MIDI bytes: the short messages that come in and go out.

use thiserror::Error;

use crate::time::SessionTime;

/// A channel message of two or three bytes, or a [`SyncMessage`] message of one or three, as it travels.
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
    /// MIDI clock and transport; nobody plays these.
    Sync(SyncMessage),
    /// Any other channel message.
    Other,
}

/// The system messages of MIDI clock: they belong to no channel, are no playing and take no turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SyncMessage {
    /// A twenty-fourth of a beat.
    Clock,
    /// The song begins with the next clock.
    Start,
    /// The song goes on with the next clock.
    Continue,
    /// The song stops.
    Stop,
    /// The next clock is the one at this place in the song.
    SongPosition {
        /// Sixteenth notes, 6 clocks each, from the song's beginning; in `0..16_384`.
        sixteenths: u16,
    },
}

/// Bytes that are no message that travels here.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("not a whole MIDI channel or clock message")]
pub struct NotAMessage;

/// The channel of the drums, number 10 for people: its keys are no pitches, and the model never heard them.
pub const DRUMS: u8 = 9;

const NOTE_OFF: u8 = 0x80;
const NOTE_ON: u8 = 0x90;
const CONTROL_CHANGE: u8 = 0xb0;
const PROGRAM_CHANGE: u8 = 0xc0;
const CHANNEL_PRESSURE: u8 = 0xd0;
const SYSTEM: u8 = 0xf0;
const SONG_POSITION: u8 = 0xf2;
const CLOCK: u8 = 0xf8;
const START: u8 = 0xfa;
const CONTINUE: u8 = 0xfb;
const STOP: u8 = 0xfc;

impl ShortMessage {
    /// Takes one whole channel or [`SyncMessage`] message; bytes behind it are left out.
    ///
    /// # Errors
    /// [`NotAMessage`] for anything else: SysEx, active sensing and the like, stray data bytes, cut messages.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, NotAMessage> {
        let &status = bytes.first().ok_or(NotAMessage)?;
        let len: u8 = match (status & 0xf0, status) {
            (_, CLOCK | START | CONTINUE | STOP) => 1,
            (_, SONG_POSITION) => 3,
            (PROGRAM_CHANGE | CHANNEL_PRESSURE, _) => 2,
            (NOTE_OFF..SYSTEM, _) => 3,
            _ => return Err(NotAMessage),
        };
        let data = bytes.get(1..usize::from(len)).ok_or(NotAMessage)?;
        if data.iter().any(|&byte| byte > 127) {
            return Err(NotAMessage);
        }
        let mut whole = [status, 0, 0];
        whole[1..usize::from(len)].copy_from_slice(data);
        Ok(Self { bytes: whole, len })
    }

    /// A clock or transport message. A song position beyond its range is masked into it.
    pub fn sync(message: SyncMessage) -> Self {
        let single = |status| Self { bytes: [status, 0, 0], len: 1 };
        match message {
            SyncMessage::Clock => single(CLOCK),
            SyncMessage::Start => single(START),
            SyncMessage::Continue => single(CONTINUE),
            SyncMessage::Stop => single(STOP),
            SyncMessage::SongPosition { sixteenths } => {
                let [high, low] = (sixteenths << 1).to_be_bytes();
                Self { bytes: [SONG_POSITION, low >> 1, high & 127], len: 3 }
            }
        }
    }

    /// A note-on. Values beyond their range are masked into it; velocity 0, which would mean note-off, becomes 1.
    pub fn note_on(channel: u8, key: u8, velocity: u8) -> Self {
        Self { bytes: [NOTE_ON | (channel & 15), key & 127, (velocity & 127).max(1)], len: 3 }
    }

    /// A note-off with the usual release velocity of 64.
    pub fn note_off(channel: u8, key: u8) -> Self {
        Self { bytes: [NOTE_OFF | (channel & 15), key & 127, 64], len: 3 }
    }

    /// A control change. Values beyond their range are masked into it.
    pub fn control_change(channel: u8, controller: u8, value: u8) -> Self {
        Self { bytes: [CONTROL_CHANGE | (channel & 15), controller & 127, value & 127], len: 3 }
    }

    /// All notes off (CC 123) of a channel.
    pub fn all_notes_off(channel: u8) -> Self {
        Self::control_change(channel, 123, 0)
    }

    /// All sound off (CC 120) of a channel.
    pub fn all_sound_off(channel: u8) -> Self {
        Self::control_change(channel, 120, 0)
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
            SYSTEM => match status {
                CLOCK => MidiEvent::Sync(SyncMessage::Clock),
                START => MidiEvent::Sync(SyncMessage::Start),
                CONTINUE => MidiEvent::Sync(SyncMessage::Continue),
                STOP => MidiEvent::Sync(SyncMessage::Stop),
                _ => {
                    MidiEvent::Sync(SyncMessage::SongPosition { sixteenths: u16::from(second) << 7 | u16::from(first) })
                }
            },
            _ => MidiEvent::Other,
        }
    }

    /// Whether this takes the turn: a key goes down, on any channel but that of the drums.
    pub fn takes_the_turn(&self) -> bool {
        matches!(self.event(), MidiEvent::NoteOn { channel, .. } if channel != DRUMS)
    }

    /// The channel, in `0..16`.
    pub fn channel(&self) -> Option<u8> {
        (self.bytes[0] < 0xf0).then_some(self.bytes[0] & 15)
    }

    /// Whether keys go down or up.
    pub fn moves_a_key(&self) -> bool {
        matches!(self.event(), MidiEvent::NoteOn { .. } | MidiEvent::NoteOff { .. } | MidiEvent::AllNotesOff { .. })
    }

    /// Whether a key goes down.
    pub fn is_note_on(&self) -> bool {
        matches!(self.event(), MidiEvent::NoteOn { .. })
    }
}

/// Names of the twelve pitch classes, from C upwards.
pub const PITCH_CLASSES: [&str; 12] = ["C", "C#", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B"];

/// The name of a key, such as `C4` for 60.
pub fn key_name(key: u8) -> String {
    format!("{}{}", PITCH_CLASSES[usize::from(key % 12)], i32::from(key / 12) - 1)
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
    fn clock_and_transport_travel_and_other_system_messages_do_not() {
        let sync =
            [SyncMessage::Clock, SyncMessage::Start, SyncMessage::Continue, SyncMessage::Stop].map(ShortMessage::sync);
        assert_eq!(sync.map(|message| message.as_bytes().to_vec()), [[0xf8], [0xfa], [0xfb], [0xfc]]);
        for message in sync {
            assert_eq!(ShortMessage::from_bytes(message.as_bytes()), Ok(message));
            assert!(matches!(message.event(), MidiEvent::Sync(_)) && !message.takes_the_turn());
        }
        for status in [0xf0, 0xf1, 0xf3, 0xf4, 0xf5, 0xf6, 0xf7, 0xf9, 0xfd, 0xfe, 0xff] {
            assert_eq!(ShortMessage::from_bytes(&[status, 1, 1]), Err(NotAMessage), "{status:x}");
        }
        assert_eq!(ShortMessage::from_bytes(&[0xf2, 1]), Err(NotAMessage), "cut");
    }

    #[test]
    fn a_song_position_is_two_times_seven_bits() {
        let message = ShortMessage::from_bytes(&[0xf2, 0x08, 0x01]).expect("whole");
        assert_eq!(message.event(), MidiEvent::Sync(SyncMessage::SongPosition { sixteenths: 136 }));
        for sixteenths in [0, 1, 127, 128, 300, 16_383] {
            let message = ShortMessage::sync(SyncMessage::SongPosition { sixteenths });
            assert_eq!(message.event(), MidiEvent::Sync(SyncMessage::SongPosition { sixteenths }));
            assert_eq!(ShortMessage::from_bytes(message.as_bytes()), Ok(message));
        }
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
