//! What must always hold in the room, or at its rests.

use super::Room;
use crate::figures::{Heard, Report};
use crate::midi::MidiEvent;
use crate::take::Happening;

impl Room {
    /// Looks for what may never be.
    pub fn look(&mut self) -> Result<(), String> {
        for (number, port) in self.ports.iter().enumerate() {
            if let Some(fault) = port.synth.state().faults.pop() {
                return Err(format!("at port {number} {fault}"));
            }
        }
        let human = self.recorded[0].try_iter().filter(|happening| matches!(happening, Happening::Human(_)));
        self.recorded_messages += human.count() as u64;
        while let Ok(happening) = self.recorded[1].try_recv() {
            let Happening::Ai(timed) = happening else { continue };
            let (MidiEvent::NoteOn { channel, key, .. } | MidiEvent::NoteOff { channel, key }) = timed.message.event()
            else {
                continue;
            };
            let (keys, bit) = (&mut self.recorded_keys[usize::from(channel)], 1 << key);
            let is_on = timed.message.is_note_on();
            if (*keys & bit != 0) == is_on {
                return Err(format!(
                    "by the record, key {channel}:{key} is {}",
                    if is_on { "struck twice" } else { "released twice" }
                ));
            }
            *keys ^= bit;
        }
        Ok(())
    }

    /// Nothing sounds at any port that is there and takes what it is sent.
    pub fn all_silent(&self, when: &str) -> Result<(), String> {
        for (number, port) in self.ports.iter().enumerate().filter(|(_, port)| port.plugged) {
            let state = port.synth.state();
            let sounding = state.sounding();
            if state.refuses == 0 && !state.refused_lately && !sounding.is_empty() {
                return Err(format!("{when}, at {}, port {number} still sounds: {sounding}", self.now()));
            }
        }
        Ok(())
    }

    /// Neither the conductor nor the player believes that the human holds anything.
    pub fn no_key_is_believed_in(&self) -> Result<(), String> {
        let mut held = Vec::new();
        self.stand.as_ref().expect("it plays").ensemble.held(|message| held.push(message));
        if !held.is_empty() {
            return Err(format!("the conductor believes that these are held: {held:?}"));
        }
        let keys = self.player.as_ref().expect("it plays").keys_held();
        if keys != 0 {
            return Err(format!("the player believes that {keys} keys are held"));
        }
        Ok(())
    }

    /// All that came in was recorded, was control, or was dropped.
    pub fn all_accounted_for(&self) -> Result<(), String> {
        let report = Report::new(&self.status);
        let Heard { messages, mended, control, .. } = report.heard;
        let went = self.recorded_messages + control + report.dropped.input + report.dropped.record;
        if messages + mended != went {
            let recorded = self.recorded_messages;
            return Err(format!(
                "{recorded} recorded messages do not add up: {:?}, {:?}",
                report.heard, report.dropped
            ));
        }
        Ok(())
    }

    /// Nothing sounds, neither at the ports nor by the record.
    pub fn all_ended(&mut self, when: &str) -> Result<(), String> {
        self.look()?;
        if let Some(channel) = self.recorded_keys.iter().position(|keys| *keys != 0) {
            return Err(format!("{when} keys of channel {channel} still sound by the record"));
        }
        self.all_silent(when)
    }
}
