//! Which MIDI messages are control and no music, as all who hear messages may ask at any moment.

use std::sync::atomic::{AtomicU8, AtomicU64, Ordering::Relaxed};

use super::Gesture;
use crate::midi::ShortMessage;

/// No message is waited for.
const NOTHING: u8 = 0;

/// Words of 64 bits for the controllers, keys and programs of a channel, and one for pitch bend and pressure.
const WORDS: usize = 7;

/// A fixed table of bits: one for each controller, key and program of each channel, one for its pitch bend, one for
/// its pressure.
///
/// Thread: any. Realtime-safe: yes, a question reads one word.
pub struct Claims {
    bits: [[AtomicU64; WORDS]; 16],
    /// Those of them that mean a panic, which waits for nobody.
    panics: [[AtomicU64; WORDS]; 16],
    /// The [`Gesture`] that is waited for.
    learning: AtomicU8,
}

impl Default for Claims {
    fn default() -> Self {
        let none = || std::array::from_fn(|_| std::array::from_fn(|_| AtomicU64::new(0)));
        Self { bits: none(), panics: none(), learning: AtomicU8::new(NOTHING) }
    }
}

impl Claims {
    /// Whether the message is control and not music. While a message is waited for, the first one of its kind is it, and
    /// is claimed from now on.
    pub fn claims(&self, message: ShortMessage) -> bool {
        let Some((channel, bit)) = place(message) else { return false };
        let word = &self.bits[channel][bit / 64];
        let mask = 1 << (bit % 64);
        if word.load(Relaxed) & mask != 0 {
            return true;
        }
        let waits = self.learning.load(Relaxed);
        let taken = Gesture::of(waits).is_some_and(|gesture| gesture.is(message))
            && self.learning.compare_exchange(waits, NOTHING, Relaxed, Relaxed).is_ok();
        if taken {
            word.fetch_or(mask, Relaxed);
        }
        taken
    }

    /// Whether the message, which is claimed, is the press of what means a panic.
    pub fn calls_for_panic(&self, message: ShortMessage) -> bool {
        place(message).is_some_and(|(channel, bit)| {
            self.panics[channel][bit / 64].load(Relaxed) & (1 << (bit % 64)) != 0 && is_a_press(message)
        })
    }

    /// Waits for a message that is to be learnt, or waits no longer.
    pub(super) fn wait_for(&self, gesture: Option<Gesture>) {
        self.learning.store(gesture.map_or(NOTHING, |gesture| gesture as u8), Relaxed);
    }

    /// Claims what `claimed` says and nothing else; of that, what `panics` says means a panic.
    pub(super) fn publish(&self, claimed: impl Fn(ShortMessage) -> bool, panics: impl Fn(ShortMessage) -> bool) {
        store(&self.panics, panics);
        store(&self.bits, claimed);
    }
}

fn store(table: &[[AtomicU64; WORDS]; 16], is_meant: impl Fn(ShortMessage) -> bool) {
    for (channel, words) in (0..16u8).zip(table) {
        let mut bits = [0u64; WORDS];
        for message in messages(channel).filter(|message| is_meant(*message)) {
            if let Some((_, bit)) = place(message) {
                bits[bit / 64] |= 1 << (bit % 64);
            }
        }
        for (word, bits) in words.iter().zip(bits) {
            word.store(bits, Relaxed);
        }
    }
}

/// Whether a controller, key or program is pressed, and not let go: a controller from half way on.
fn is_a_press(message: ShortMessage) -> bool {
    match *message.as_bytes() {
        [status, _, value] if status & 0xf0 == 0xb0 => value >= 64,
        [status, ..] if status & 0xf0 == 0xc0 => true,
        _ => message.is_note_on(),
    }
}

/// The channel and the bit of a message.
fn place(message: ShortMessage) -> Option<(usize, usize)> {
    let channel = usize::from(message.channel()?);
    let [status, first, ..] = *message.as_bytes() else { return None };
    let first = usize::from(first);
    let bit = match status & 0xf0 {
        0xb0 => first,
        0x80 | 0x90 => 128 + first,
        0xc0 => 256 + first,
        0xe0 => 384,
        0xd0 => 385,
        _ => return None,
    };
    Some((channel, bit))
}

/// One message for each bit of a channel.
fn messages(channel: u8) -> impl Iterator<Item = ShortMessage> {
    let one = move |status: u8, first: u8| ShortMessage::from_bytes(&[status | channel, first, 64]).ok();
    let numbered = (0..128).flat_map(move |number| [one(0xb0, number), one(0x90, number), one(0xc0, number)]);
    numbered.chain([one(0xe0, 0), one(0xd0, 0)]).flatten()
}
