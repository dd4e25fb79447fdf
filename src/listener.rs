//! The listener: what the human plays, as notes, and whether they still play.

use crate::midi::{DRUMS, MidiEvent, ShortMessage};
use crate::note::Note;
use crate::time::{SessionDuration, SessionTime};

/// A held key counts as playing for this long; then its note-off is taken for lost. The longest duration class.
const LONGEST_HOLD: SessionDuration = SessionDuration::from_millis(20_000);

/// With no key down, a pedal held down counts as playing for this long after the last key event: the time in which
/// a held chord on a piano fades.
const LONGEST_PEDAL: SessionDuration = SessionDuration::from_millis(4_000);

/// What the listener makes of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// A key went down; the note's duration is not known yet.
    Onset {
        /// When.
        onset: SessionTime,
        /// In `0..128`.
        key: u8,
        /// In `1..128`.
        velocity: u8,
    },
    /// A note that began earlier has ended.
    Finished(Note),
}

/// Follows keys and pedals of all channels but that of the drums.
pub struct Listener {
    channels: [Channel; 16],
    /// The last moment at which a key or pedal moved.
    last_moved: Option<SessionTime>,
}

struct Channel {
    /// The note on each key, until it has ended.
    open: [Option<Open>; 128],
    pedal_down: bool,
}

#[derive(Clone, Copy)]
struct Open {
    onset: SessionTime,
    velocity: u8,
    /// Whether the key is still down; if not, the pedal holds the note.
    key_down: bool,
}

impl Default for Listener {
    fn default() -> Self {
        Self { channels: std::array::from_fn(|_| Channel { open: [None; 128], pedal_down: false }), last_moved: None }
    }
}

impl Listener {
    /// Takes a message in and tells what it means for the notes.
    ///
    /// A note ends when its key is up and the pedal too; a key struck again ends the note that sounded on it. Gives
    /// back whether a key or pedal moved.
    pub fn hear(&mut self, at: SessionTime, event: MidiEvent, mut tell: impl FnMut(Heard)) -> bool {
        match event {
            MidiEvent::NoteOn { channel: DRUMS, .. }
            | MidiEvent::NoteOff { channel: DRUMS, .. }
            | MidiEvent::Sustain { channel: DRUMS, .. }
            | MidiEvent::AllNotesOff { channel: DRUMS }
            | MidiEvent::Sync(_)
            | MidiEvent::Other => return false,
            // A pedal that only trembles is at rest.
            MidiEvent::Sustain { channel, down } if self.channel(channel).pedal_down == down => return false,
            MidiEvent::NoteOn { channel, key, velocity } => {
                self.end(channel, at, |open_key, _| open_key == key, &mut tell);
                self.channel(channel).open[usize::from(key)] = Some(Open { onset: at, velocity, key_down: true });
                tell(Heard::Onset { onset: at, key, velocity });
            }
            MidiEvent::NoteOff { channel, key } => {
                if self.channel(channel).pedal_down {
                    if let Some(open) = &mut self.channel(channel).open[usize::from(key)] {
                        open.key_down = false;
                    }
                } else {
                    self.end(channel, at, |open_key, _| open_key == key, &mut tell);
                }
            }
            MidiEvent::Sustain { channel, down } => {
                self.channel(channel).pedal_down = down;
                if !down {
                    self.end(channel, at, |_, open| !open.key_down, &mut tell);
                }
            }
            MidiEvent::AllNotesOff { channel } => {
                self.channel(channel).pedal_down = false;
                self.end(channel, at, |_, _| true, &mut tell);
            }
        }
        self.last_moved = Some(at);
        true
    }

    /// Keys that are down, on any channel: bit `k` for key `k`.
    pub fn keys_down(&self) -> u128 {
        let open = self.channels.iter().flat_map(|channel| (0..).zip(&channel.open));
        let down = open.filter(|(_, open)| open.is_some_and(|open| open.key_down));
        down.fold(0, |keys, (key, _): (u32, _)| keys | 1 << key)
    }

    /// Tells what would let go of each key and pedal that is down.
    pub fn held(&self, mut tell: impl FnMut(ShortMessage)) {
        for (number, channel) in (0u8..).zip(&self.channels) {
            for (key, _) in (0u8..).zip(&channel.open).filter(|(_, open)| open.is_some_and(|open| open.key_down)) {
                tell(ShortMessage::note_off(number, key));
            }
            if channel.pedal_down {
                tell(ShortMessage::control_change(number, 64, 0));
            }
        }
    }

    /// When the human's rest begins if they do nothing more: when no key is down, and no pedal either. `None` before
    /// they have played at all.
    pub fn rests_from(&self) -> Option<SessionTime> {
        let last_moved = self.last_moved?;
        let held = self.channels.iter().flat_map(|channel| channel.open.iter().flatten());
        let newest_held = held.filter(|open| open.key_down).map(|open| open.onset + LONGEST_HOLD).max();
        let pedal = self.channels.iter().any(|channel| channel.pedal_down).then(|| last_moved + LONGEST_PEDAL);
        Some(newest_held.into_iter().chain(pedal).fold(last_moved, SessionTime::max))
    }

    fn channel(&mut self, channel: u8) -> &mut Channel {
        &mut self.channels[usize::from(channel & 15)]
    }

    fn end(&mut self, channel: u8, at: SessionTime, which: impl Fn(u8, &Open) -> bool, tell: &mut impl FnMut(Heard)) {
        for (key, slot) in (0..).zip(&mut self.channel(channel).open) {
            if let Some(Open { onset, velocity, .. }) = slot.take_if(|open| which(key, open)) {
                tell(Heard::Finished(Note { onset, key, duration: at.since(onset), velocity }));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::midi::SyncMessage;

    fn at(ms: u64) -> SessionTime {
        SessionTime::from_micros(ms * 1000)
    }

    fn on(key: u8) -> MidiEvent {
        MidiEvent::NoteOn { channel: 0, key, velocity: 70 }
    }

    fn off(key: u8) -> MidiEvent {
        MidiEvent::NoteOff { channel: 0, key }
    }

    fn pedal(down: bool) -> MidiEvent {
        MidiEvent::Sustain { channel: 0, down }
    }

    /// The finished notes as (onset ms, key, duration ms), and the listener afterwards.
    fn finished(events: &[(u64, MidiEvent)]) -> (Vec<(u64, u8, u64)>, Listener) {
        let mut listener = Listener::default();
        let mut notes = Vec::new();
        for &(ms, event) in events {
            listener.hear(at(ms), event, |heard| {
                if let Heard::Finished(note) = heard {
                    notes.push((note.onset.as_micros() / 1000, note.key, note.duration.as_micros() / 1000));
                }
            });
        }
        (notes, listener)
    }

    #[test]
    fn a_note_lasts_from_key_down_to_key_up() {
        assert_eq!(finished(&[(10, on(60)), (250, off(60))]).0, [(10, 60, 240)]);
    }

    #[test]
    fn the_pedal_lengthens_notes_whose_keys_are_up() {
        let (notes, _) = finished(&[(0, pedal(true)), (10, on(60)), (20, on(64)), (50, off(60)), (300, pedal(false))]);
        assert_eq!(notes, [(10, 60, 290)], "64 is still held by its key");
    }

    #[test]
    fn a_key_struck_again_ends_the_note_on_it() {
        let (notes, _) = finished(&[(0, on(60)), (100, on(60)), (150, off(60)), (160, off(60))]);
        assert_eq!(notes, [(0, 60, 100), (100, 60, 50)]);
    }

    #[test]
    fn held_keys_and_pedal_count_as_playing() {
        let rests_from = |events: &[(u64, MidiEvent)]| finished(events).1.rests_from();
        assert_eq!(rests_from(&[(0, on(60)), (100, off(60))]), Some(at(100)));
        assert_eq!(rests_from(&[(0, on(60))]), Some(at(20_000)), "a note-off that never came does not block");
        assert_eq!(rests_from(&[(0, pedal(true)), (0, on(60)), (100, off(60))]), Some(at(4_100)));
        assert_eq!(rests_from(&[]), None);
    }

    #[test]
    fn a_pedal_that_trembles_is_at_rest() {
        let trembling = (0..50).map(|step| (200 + 100 * step, pedal(false)));
        let (_, listener) = finished(&[(0, on(60)), (100, off(60))].into_iter().chain(trembling).collect::<Vec<_>>());
        assert_eq!(listener.rests_from(), Some(at(100)));
    }

    #[test]
    fn a_clock_that_runs_is_no_playing() {
        let clock = (1..50).map(|tick| (100 + 20 * tick, MidiEvent::Sync(SyncMessage::Clock)));
        let (_, listener) = finished(&[(0, on(60)), (100, off(60))].into_iter().chain(clock).collect::<Vec<_>>());
        assert_eq!(listener.rests_from(), Some(at(100)));
    }

    #[test]
    fn drums_are_not_listened_to() {
        let (notes, listener) = finished(&[
            (0, MidiEvent::NoteOn { channel: DRUMS, key: 36, velocity: 90 }),
            (50, MidiEvent::NoteOff { channel: DRUMS, key: 36 }),
        ]);
        assert_eq!((notes, listener.rests_from()), (vec![], None));
    }

    #[test]
    fn note_offs_without_note_on_do_no_harm() {
        assert_eq!(finished(&[(5, off(60)), (6, MidiEvent::AllNotesOff { channel: 3 })]).0, []);
    }
}
