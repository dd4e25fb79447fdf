//! What has been set by controllers, so that another instrument can be set the same.

use super::Part;
use crate::midi::ShortMessage;

/// Marks a controller that has not been moved.
const UNMOVED: u8 = 255;

const BANK: u8 = 0;
const DATA_ENTRY: u8 = 6;
const BANK_FINE: u8 = 32;
const PARAMETER_FINE: u8 = 100;
const PARAMETER: u8 = 101;
const RESET: u8 = 121;

/// What stays after Reset All Controllers: bank, volume, place.
const STAYS: [u8; 6] = [BANK, BANK_FINE, 7, 39, 10, 42];

/// Controllers, program and pitch bend of each channel of each part.
///
/// Thread: any one at a time. Realtime-safe: yes.
#[derive(Clone)]
pub(super) struct Controllers([[Channel; 16]; 2]);

#[derive(Clone, Copy)]
struct Channel {
    controllers: [u8; 120],
    program: u8,
    bend: [u8; 2],
    /// Semitones, where the range of the bend was set.
    bend_range: u8,
}

impl Default for Controllers {
    fn default() -> Self {
        let fresh = Channel { controllers: [UNMOVED; 120], program: UNMOVED, bend: [0, 64], bend_range: UNMOVED };
        Self([[fresh; 16]; 2])
    }
}

impl Controllers {
    /// Takes note of a message.
    pub fn hear(&mut self, part: Part, message: ShortMessage) {
        let &[status, first, ref rest @ ..] = message.as_bytes() else { return };
        let Some(channel) = message.channel() else { return };
        let channel = &mut self.0[part as usize][usize::from(channel)];
        match (status & 0xf0, rest) {
            (0xb0, &[_]) if first == RESET => {
                for (controller, value) in (0u8..).zip(&mut channel.controllers) {
                    if !STAYS.contains(&controller) {
                        *value = UNMOVED;
                    }
                }
                channel.bend = [0, 64];
            }
            (0xb0, &[value]) => {
                let parameter = [PARAMETER, PARAMETER_FINE].map(|which| channel.controllers[usize::from(which)]);
                if first == DATA_ENTRY && parameter == [0, 0] {
                    channel.bend_range = value;
                } else if let Some(place) = channel.controllers.get_mut(usize::from(first)) {
                    *place = value;
                }
            }
            (0xc0, []) => channel.program = first,
            (0xe0, &[high]) => channel.bend = [first, high],
            _ => {}
        }
    }

    /// Gives the messages that set another instrument the same.
    pub fn tell(&self, mut play: impl FnMut(Part, ShortMessage)) {
        for part in [Part::Human, Part::Ai] {
            for (number, channel) in (0u8..).zip(&self.0[part as usize]) {
                let mut set = |controller, value| {
                    play(part, ShortMessage::control_change(number, controller, value));
                };
                if channel.bend_range != UNMOVED {
                    set(PARAMETER, 0);
                    set(PARAMETER_FINE, 0);
                    set(DATA_ENTRY, channel.bend_range);
                }
                // The bank, which is among them, counts for the program that follows.
                for (controller, value) in (0u8..).zip(channel.controllers) {
                    if value != UNMOVED && controller != DATA_ENTRY {
                        set(controller, value);
                    }
                }
                let [low, high] = channel.bend;
                let program = (channel.program != UNMOVED).then_some([0xc0 | number, channel.program, 0]);
                let bend = (channel.bend != [0, 64]).then_some([0xe0 | number, low, high]);
                let messages = program.into_iter().chain(bend);
                messages
                    .filter_map(|bytes| ShortMessage::from_bytes(&bytes).ok())
                    .for_each(|message| play(part, message));
            }
        }
    }
}
