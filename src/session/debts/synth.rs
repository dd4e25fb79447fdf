//! What is at the other end of a port: an instrument that sounds, refuses and breaks.

use std::panic::resume_unwind;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::midi::{MidiEvent, ShortMessage};
use crate::ports::by_hand::MidiOutput;

/// Pedals that hold notes.
const PEDALS: [u8; 2] = [64, 66];

/// A way to an instrument that goes on sounding while its cable is out.
#[derive(Clone, Default)]
pub(super) struct Synth {
    state: Arc<Mutex<State>>,
    /// Whether nothing has come yet by a cable that is in again.
    is_back: bool,
}

#[derive(Default)]
pub(super) struct State {
    keys: [u128; 16],
    pedals: [[bool; PEDALS.len()]; 16],
    /// Keys that were struck here.
    struck: [u128; 16],
    /// Keys that may be released though they are silent: after a gap it cannot be known what has arrived.
    again: [u128; 16],
    /// Whether a key that sounds may not be struck, and one that is silent not be released. Not where the human's own keys
    /// come by as well.
    pub strict: bool,
    /// Messages that it will refuse.
    pub refuses: u32,
    /// Whether it has refused something since this was last put back.
    pub refused_lately: bool,
    /// Whether its driver panics at the next message.
    pub panics: bool,
    /// What was wrong.
    pub faults: Vec<String>,
    /// Messages that came and have not been led back.
    pub came: Vec<ShortMessage>,
    /// Note-ons so far.
    pub notes: u64,
}

impl Synth {
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// By a cable that is in again.
    pub(super) fn back(&self) -> Self {
        Self { is_back: true, ..self.clone() }
    }
}

impl State {
    /// What sounds, in words: keys and pedals by channel. Empty when it is silent.
    pub(super) fn sounding(&self) -> String {
        let mut sounding = Vec::new();
        for (channel, (keys, pedals)) in self.keys.iter().zip(&self.pedals).enumerate() {
            let keys = (0..128u8).filter(|key| keys & (1 << key) != 0).map(|key| format!("{channel}:{key}"));
            let pedals = PEDALS.iter().zip(pedals).filter(|(_, down)| **down);
            sounding.extend(keys.chain(pedals.map(|(pedal, _)| format!("{channel}:pedal {pedal}"))));
        }
        sounding.join(" ")
    }

    fn take(&mut self, message: ShortMessage) {
        match message.event() {
            MidiEvent::NoteOn { channel, key, .. } => {
                self.notes += 1;
                let keys = &mut self.keys[usize::from(channel)];
                if self.strict && *keys & (1 << key) != 0 {
                    self.faults.push(format!("key {channel}:{key} is struck while it sounds"));
                }
                *keys |= 1 << key;
                self.struck[usize::from(channel)] |= 1 << key;
                self.again[usize::from(channel)] &= !(1 << key);
            }
            MidiEvent::NoteOff { channel, key } => {
                let keys = &mut self.keys[usize::from(channel)];
                let again = &mut self.again[usize::from(channel)];
                if self.strict && (*keys | *again) & (1 << key) == 0 {
                    self.faults.push(format!("key {channel}:{key} is released though it is silent"));
                }
                *keys &= !(1 << key);
                *again &= !(1 << key);
            }
            // Not every instrument knows this; where all keys are Antiphon's it must do without.
            MidiEvent::AllNotesOff { .. } if self.strict => {}
            MidiEvent::AllNotesOff { channel } => self.keys[usize::from(channel)] = 0,
            _ => {
                if let &[status @ 0xb0..=0xbf, controller, value] = message.as_bytes()
                    && let Some(pedal) = PEDALS.iter().position(|pedal| *pedal == controller)
                {
                    self.pedals[usize::from(status & 15)][pedal] = value >= 64;
                }
            }
        }
        self.came.push(message);
    }
}

impl MidiOutput for Synth {
    fn send(&mut self, message: ShortMessage) -> bool {
        let is_back = std::mem::take(&mut self.is_back);
        let mut state = self.state();
        if is_back {
            // Whoever sends may have heard of it just now.
            state.again = state.struck;
        }
        if std::mem::take(&mut state.panics) {
            drop(state);
            // Without the words on standard error.
            resume_unwind(Box::new("the driver panics"));
        }
        if state.refuses > 0 {
            state.refuses -= 1;
            state.refused_lately = true;
            return false;
        }
        state.take(message);
        true
    }
}
