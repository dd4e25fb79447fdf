//! One of the two voices of a take, and what it holds down.

use crate::midi::{MidiEvent, ShortMessage, TimedMessage};
use crate::time::SessionTime;

/// Pedals that hold notes: sustain and sostenuto.
const PEDALS: [u8; 2] = [64, 66];

/// The messages of one voice, by time; of one time, in the order in which they came.
#[derive(Clone, Debug, Default)]
pub(super) struct Voice {
    pub messages: Vec<TimedMessage>,
    held: Held,
    /// Keys that an earlier part ended: their note-offs, which come later, are in it already.
    ended: Keys,
}

/// A set of keys, channel by channel.
type Keys = [u128; 16];

/// What is held down.
#[derive(Clone, Debug)]
struct Held {
    /// Note-ons whose note-off has not come, by channel and key: keyboards may strike a key twice.
    owed: [[u8; 128]; 16],
    /// Keys that sound.
    sounding: Keys,
    /// By channel, in the order of `PEDALS`: the value of a pedal that is down, else 0.
    pedals: [[u8; PEDALS.len()]; 16],
}

impl Default for Held {
    fn default() -> Self {
        Self { owed: [[0; 128]; 16], sounding: [0; 16], pedals: [[0; PEDALS.len()]; 16] }
    }
}

impl Held {
    fn hear(&mut self, message: ShortMessage) {
        match message.event() {
            MidiEvent::NoteOn { channel, key, .. } => {
                let owed = &mut self.owed[usize::from(channel)][usize::from(key)];
                *owed = owed.saturating_add(1);
                self.sounding[usize::from(channel)] |= 1 << key;
            }
            MidiEvent::NoteOff { channel, key } => {
                let owed = &mut self.owed[usize::from(channel)][usize::from(key)];
                *owed = owed.saturating_sub(1);
                self.sounding[usize::from(channel)] &= !(1 << key);
            }
            // Their note-offs are owed to the file all the same: not every reader knows this message.
            MidiEvent::AllNotesOff { channel } => self.sounding[usize::from(channel)] = 0,
            MidiEvent::Sustain { .. } | MidiEvent::Other => {
                if let &[status, controller, value] = message.as_bytes()
                    && status & 0xf0 == 0xb0
                    && let Some(pedal) = PEDALS.iter().position(|pedal| *pedal == controller)
                {
                    self.pedals[usize::from(status & 15)][pedal] = if value < 64 { 0 } else { value };
                }
            }
            MidiEvent::Sync(_) => {}
        }
    }

    /// The messages that let go of it all.
    fn releases(&self) -> impl Iterator<Item = ShortMessage> {
        let keys = (0u8..16).zip(&self.owed).flat_map(|(channel, keys)| {
            let owed = (0u8..128).zip(keys).filter(|(_, owed)| **owed > 0);
            owed.flat_map(move |(key, owed)| (0..*owed).map(move |_| ShortMessage::note_off(channel, key)))
        });
        keys.chain(self.pedals().map(|(channel, pedal, _)| ShortMessage::control_change(channel, pedal, 0)))
    }

    /// Pedals that are down: channel, controller, value.
    fn pedals(&self) -> impl Iterator<Item = (u8, u8, u8)> {
        (0u8..16).zip(&self.pedals).flat_map(|(channel, values)| {
            let down = PEDALS.iter().zip(values).filter(|(_, value)| **value > 0);
            down.map(move |(pedal, value)| (channel, *pedal, *value))
        })
    }
}

impl Voice {
    /// Adds a message; a note-off that an earlier part has is passed over.
    pub fn add(&mut self, timed: TimedMessage) {
        match timed.message.event() {
            MidiEvent::NoteOff { channel, key } if self.ended[usize::from(channel)] & (1 << key) != 0 => {
                self.ended[usize::from(channel)] &= !(1 << key);
                return;
            }
            MidiEvent::NoteOn { channel, key, .. } => self.ended[usize::from(channel)] &= !(1 << key),
            _ => {}
        }
        self.put(timed);
    }

    fn put(&mut self, timed: TimedMessage) {
        self.held.hear(timed.message);
        // Nearly always the end.
        let behind =
            self.messages.iter().rposition(|earlier| earlier.time <= timed.time).map_or(0, |before| before + 1);
        self.messages.insert(behind, timed);
    }

    /// Whether no key sounds.
    pub fn rests(&self) -> bool {
        self.held.sounding.iter().all(|keys| *keys == 0)
    }

    pub fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    /// What came before `at` and what has come since. Note-offs of notes from before stay with them.
    pub fn split(&self, at: SessionTime) -> Halves {
        let mut messages = self.messages.clone();
        let later = messages.split_off(messages.partition_point(|timed| timed.time < at));
        let (mut earlier, mut next) = (Self::default(), Self::default());
        messages.into_iter().for_each(|timed| earlier.put(timed));
        let pedals: Vec<_> = earlier.held.pedals().collect();
        for &(channel, pedal, value) in &pedals {
            next.held.hear(ShortMessage::control_change(channel, pedal, value));
        }
        for timed in later {
            let is_of_before = match timed.message.event() {
                // Where a key was struck again since, its note-off is that of the newer note.
                MidiEvent::NoteOff { channel, key } => {
                    let owed = |held: &Held| held.owed[usize::from(channel)][usize::from(key)] > 0;
                    owed(&earlier.held) && !owed(&next.held)
                }
                _ => false,
            };
            if is_of_before { &mut earlier } else { &mut next }.put(timed);
        }
        for ((ended, known), owed) in next.ended.iter_mut().zip(self.ended).zip(&earlier.held.owed) {
            *ended = known;
            for key in (0..128usize).filter(|key| owed[*key] > 0) {
                *ended |= 1 << key;
            }
        }
        Halves { earlier, pedals, later: next }
    }

    /// The messages that let go at `end` of what is still held then.
    pub fn releases(&self, end: SessionTime) -> Vec<TimedMessage> {
        self.held.releases().map(|message| TimedMessage { time: end, message }).collect()
    }
}

/// A voice that was split.
pub(super) struct Halves {
    pub earlier: Voice,
    /// Pedals that were down at the split: channel, controller, value.
    pedals: Vec<(u8, u8, u8)>,
    pub later: Voice,
}

impl Halves {
    /// When the later half begins, if anything is in it.
    pub fn begins(&self) -> Option<SessionTime> {
        self.later.messages.first().map(|first| first.time)
    }

    /// The later half begins at `time` with the pedals that were down.
    pub fn put_pedals_down(&mut self, time: SessionTime) {
        let down = self.pedals.iter().map(|&(channel, pedal, value)| TimedMessage {
            time,
            message: ShortMessage::control_change(channel, pedal, value),
        });
        self.later.messages.splice(0..0, down);
    }
}
