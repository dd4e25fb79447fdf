//! Passing on what the human plays, and the debts that this leaves.
//!
//! What was passed on is owed an end, whatever happens to the human's own: keys that sound and pedals that are down.

use crate::midi::{MidiEvent, ShortMessage};

/// Pedals that hold notes: sustain and sostenuto.
pub(crate) const PEDALS: [u8; 2] = [64, 66];

/// The ledger of what was passed on.
///
/// Thread: any one at a time. Realtime-safe: yes.
#[derive(Clone, Debug, Default)]
pub struct Thru {
    /// Keys that sound, channel by channel.
    keys: [u128; 16],
    /// Pedals that are down, channel by channel, in the order of `PEDALS`.
    pedals: [[bool; PEDALS.len()]; 16],
}

impl Thru {
    /// Whether this is to be passed on: all channel messages while thru is `on`, afterwards only what ends the rest.
    pub fn passes(&mut self, message: ShortMessage, on: bool) -> bool {
        let channel = usize::from(message.channel().unwrap_or(0));
        match message.event() {
            MidiEvent::NoteOn { key, .. } => {
                if on {
                    self.keys[channel] |= 1 << key;
                }
                on
            }
            MidiEvent::NoteOff { key, .. } => {
                let sounded = self.keys[channel] & (1 << key) != 0;
                self.keys[channel] &= !(1 << key);
                on || sounded
            }
            MidiEvent::AllNotesOff { .. } => {
                let sounded = self.keys[channel] != 0;
                self.keys[channel] = 0;
                on || sounded
            }
            // A clock has its own way through a studio.
            MidiEvent::Sync(_) => false,
            MidiEvent::Sustain { .. } | MidiEvent::Other => {
                let Some((pedal, down)) = pedal(message) else { return on };
                let owed = &mut self.pedals[channel][pedal];
                let was_owed = *owed;
                // A pedal tells more than once that it is down: a debt stays until it is up.
                *owed = down && (on || was_owed);
                on || (was_owed && !down)
            }
        }
    }

    /// Whether this would end something.
    pub fn owes(&self, end: ShortMessage) -> bool {
        let channel = usize::from(end.channel().unwrap_or(0));
        match end.event() {
            MidiEvent::NoteOff { key, .. } => self.keys[channel] & (1 << key) != 0,
            _ => pedal(end).is_some_and(|(pedal, down)| !down && self.pedals[channel][pedal]),
        }
    }

    /// Gives the note-offs and pedal releases that are owed to `send`; nothing is, afterwards.
    pub fn release(&mut self, mut send: impl FnMut(ShortMessage)) {
        for (channel, (keys, pedals)) in (0u8..).zip(self.keys.iter_mut().zip(&mut self.pedals)) {
            for (controller, down) in PEDALS.iter().zip(pedals) {
                if std::mem::take(down) {
                    send(ShortMessage::control_change(channel, *controller, 0));
                }
            }
            let sounding = std::mem::take(keys);
            for key in (0..128u8).filter(|key| sounding & (1 << key) != 0) {
                send(ShortMessage::note_off(channel, key));
            }
        }
    }
}

/// The pedal that moves, by its place in `PEDALS`, and whether it is down then.
pub(crate) fn pedal(message: ShortMessage) -> Option<(usize, bool)> {
    let &[status, controller, value] = message.as_bytes() else { return None };
    let pedal = PEDALS.iter().position(|pedal| *pedal == controller).filter(|_| status & 0xf0 == 0xb0)?;
    Some((pedal, value >= 64))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pedal_message(value: u8) -> ShortMessage {
        ShortMessage::control_change(2, 64, value)
    }

    #[test]
    fn everything_passes_while_it_is_on_and_nothing_while_it_is_off() {
        let mut thru = Thru::default();
        let bend = ShortMessage::from_bytes(&[0xe2, 1, 64]).expect("whole");
        for message in [ShortMessage::note_on(2, 60, 70), ShortMessage::note_off(2, 60), pedal_message(127), bend] {
            assert!(!Thru::default().passes(message, false), "{message:?}");
            assert!(thru.passes(message, true), "{message:?}");
        }
    }

    #[test]
    fn what_sounded_when_it_was_turned_off_still_ends() {
        let mut thru = Thru::default();
        thru.passes(ShortMessage::note_on(2, 60, 70), true);
        thru.passes(pedal_message(127), true);
        assert!(!thru.passes(ShortMessage::note_off(2, 61), false));
        assert!(thru.passes(ShortMessage::note_off(2, 60), false));
        assert!(!thru.passes(pedal_message(90), false), "further down");
        assert!(thru.passes(pedal_message(0), false), "it is still owed");
        assert!(!thru.passes(pedal_message(0), false));
        thru.release(|message| panic!("nothing is owed, but {message:?}"));
    }

    #[test]
    fn keys_and_pedals_that_are_down_are_released_once() {
        let mut thru = Thru::default();
        thru.passes(ShortMessage::note_on(2, 60, 70), true);
        thru.passes(ShortMessage::note_on(15, 127, 70), true);
        thru.passes(pedal_message(127), true);
        let mut released = Vec::new();
        thru.release(|message| released.push(message));
        let wanted = [pedal_message(0), ShortMessage::note_off(2, 60), ShortMessage::note_off(15, 127)];
        assert_eq!(released, wanted);
        thru.release(|message| panic!("nothing is owed, but {message:?}"));
    }
}
