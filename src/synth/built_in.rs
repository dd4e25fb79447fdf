//! The instrument that is always there: an electric piano with a few drums, made from sines and noise.
//!
//! Each channel has its pedals, volume, expression, place, pitch bend and modulation (a tremolo that goes from side to
//! side). Programs are not told apart.

use super::Instrument;
use super::drum::Drum;
use super::limiter::share;
use super::room::Room;
use super::sine::{Sines, phase};
use super::tine::Tine;
use crate::midi::{DRUMS, MidiEvent, ShortMessage};

/// Notes that sound at once. One more takes the place of the softest.
pub const POLYPHONY: usize = 64;

/// Notes beyond those that may be on their way out, so that taking a place is no click.
const LEAVING: usize = 16;

/// Seconds after which a third of a note is left: when its key is let go, when the key is struck anew, when its place is
/// taken or all sound is to be off.
const RELEASE: f32 = 0.07;
const RESTRIKE: f32 = 0.02;
const TAKEN: f32 = 0.002;

/// How soon volume and place follow what is set, in seconds.
const FOLLOWS: f32 = 0.006;

/// Turns a second of the tremolo.
const TREMOLO: f32 = 5.0;

/// A released note this soft is over.
const OVER: f32 = 1e-5;

/// See above.
pub struct BuiltIn {
    rate: f32,
    sines: &'static Sines,
    channels: [Channel; 16],
    notes: [Note; POLYPHONY + LEAVING],
    struck: u64,
    tremolo: u32,
    room: Room,
}

/// What a channel's controllers say.
#[derive(Clone, Copy)]
struct Channel {
    volume: u8,
    expression: u8,
    place: u8,
    modulation: u8,
    pedal: bool,
    /// Turned up or down so much, in `-1.0..=1.0`, of so many semitones.
    bend: f32,
    bend_range: f32,
    /// The registered parameter that data entry sets: 0 is the range of the pitch bend.
    parameter: [u8; 2],
}

impl Channel {
    const FRESH: Self = Self {
        volume: 100,
        expression: 127,
        place: 64,
        modulation: 0,
        pedal: false,
        bend: 0.0,
        bend_range: 2.0,
        parameter: [127; 2],
    };

    /// What controllers say after Reset All Controllers: volume and place stay.
    fn reset(&mut self) {
        *self = Self { volume: self.volume, place: self.place, bend_range: self.bend_range, ..Self::FRESH };
    }

    /// How loud each side is; as General MIDI says, with the square of the controllers.
    fn sides(&self, key: u8, swing: f32) -> [f32; 2] {
        let loud = f32::from(self.volume) * f32::from(self.expression) / (127.0 * 127.0);
        // Low keys sit on the left, as at a piano, high ones on the right.
        let seat = (f32::from(key) - 64.0) / 260.0;
        let place = ((f32::from(self.place) - 64.0) / 126.0 + 0.5 + seat).clamp(0.0, 1.0);
        let (right, left) = (place * std::f32::consts::FRAC_PI_2).sin_cos();
        let depth = 0.5 * f32::from(self.modulation) / 127.0;
        let loud = loud * loud * std::f32::consts::SQRT_2;
        [loud * left * (1.0 - depth + depth * swing), loud * right * (1.0 - depth - depth * swing)]
    }
}

/// One note.
#[derive(Clone, Copy)]
struct Note {
    source: Source,
    channel: u8,
    key: u8,
    /// Counts up: later notes have higher numbers.
    number: u64,
    /// Whether the key is down, and whether the sostenuto pedal holds it.
    down: bool,
    held: bool,
    /// What is left since it was let go, and what of it stays each frame.
    left: f32,
    stays: f32,
    /// Its place is free as soon as it is over; it counts no more.
    leaving: bool,
    sides: [f32; 2],
}

#[derive(Clone, Copy)]
enum Source {
    Silence,
    Tine(Tine),
    Drum(Drum),
}

impl Note {
    const SILENT: Self = Self {
        source: Source::Silence,
        channel: 0,
        key: 0,
        number: 0,
        down: false,
        held: false,
        left: 1.0,
        stays: 1.0,
        leaving: false,
        sides: [0.0; 2],
    };

    fn sounds(&self) -> bool {
        !matches!(self.source, Source::Silence)
    }

    fn is_of(&self, channel: u8, key: u8) -> bool {
        self.sounds() && self.channel == channel && self.key == key
    }

    fn level(&self) -> f32 {
        let level = match &self.source {
            Source::Silence => 0.0,
            Source::Tine(tine) => tine.level(),
            Source::Drum(drum) => drum.level(),
        };
        level * self.left
    }

    /// Dies away, so that a third is left after `seconds`. Never more slowly than before.
    fn fade(&mut self, seconds: f32, rate: f32) {
        self.stays = self.stays.min(1.0 - share(seconds, rate));
    }

    /// The key is up: the damper falls, unless a pedal keeps it away. Drums have none.
    fn let_go(&mut self, pedal: bool, rate: f32) {
        if !self.down && !self.held && !pedal && matches!(self.source, Source::Tine(_)) {
            // Long strings take longer to damp.
            let low = 1.0 + (60.0 - f32::from(self.key)).max(0.0) / 24.0;
            self.fade(RELEASE * low, rate);
        }
    }
}

impl BuiltIn {
    /// The instrument at `rate` frames a second.
    pub fn new(rate: u32) -> Self {
        #[expect(clippy::cast_precision_loss, reason = "rates are far below 2^24")]
        let rate = rate as f32;
        Self {
            rate,
            sines: Sines::table(),
            channels: [Channel::FRESH; 16],
            notes: [Note::SILENT; POLYPHONY + LEAVING],
            struck: 0,
            tremolo: 0,
            room: Room::new(rate),
        }
    }

    /// Notes that sound and have not lost their place.
    pub fn sounding(&self) -> usize {
        self.notes.iter().filter(|note| note.sounds() && !note.leaving).count()
    }

    fn strike(&mut self, channel: u8, key: u8, velocity: u8) {
        let rate = self.rate;
        let source = if channel == DRUMS {
            Source::Drum(Drum::strike(key, velocity, rate))
        } else {
            for note in self.notes.iter_mut().filter(|note| note.is_of(channel, key)) {
                note.down = false;
                note.fade(RESTRIKE, rate);
            }
            Source::Tine(Tine::strike(key, velocity, rate))
        };
        if self.sounding() >= POLYPHONY
            && let Some(softest) = softest(self.notes.iter_mut().filter(|note| note.sounds() && !note.leaving))
        {
            softest.leaving = true;
            softest.fade(TAKEN, rate);
        }
        // Where even those on their way out fill all places, the one that is nearest to its end makes room.
        let free = self.notes.iter().position(|note| !note.sounds());
        let place = match free {
            Some(place) => Some(&mut self.notes[place]),
            None => softest(self.notes.iter_mut().filter(|note| note.leaving)),
        };
        let Some(place) = place else { return };
        self.struck += 1;
        *place = Note {
            source,
            channel,
            key,
            number: self.struck,
            down: true,
            sides: self.channels[usize::from(channel)].sides(key, 0.0),
            ..Note::SILENT
        };
    }

    fn release(&mut self, channel: u8, keys: impl Fn(u8) -> bool) {
        let pedal = self.channels[usize::from(channel)].pedal;
        for note in self.notes.iter_mut().filter(|note| note.sounds() && note.channel == channel && keys(note.key)) {
            note.down = false;
            note.let_go(pedal, self.rate);
        }
    }

    fn control(&mut self, channel: u8, controller: u8, value: u8) {
        let rate = self.rate;
        let notes = self.notes.iter_mut().filter(|note| note.sounds() && note.channel == channel);
        let state = &mut self.channels[usize::from(channel)];
        match controller {
            1 => state.modulation = value,
            6 if state.parameter == [0, 0] => state.bend_range = f32::from(value.min(24)),
            7 => state.volume = value,
            10 => state.place = value,
            11 => state.expression = value,
            64 => {
                state.pedal = value >= 64;
                notes.for_each(|note| note.let_go(state.pedal, rate));
            }
            66 => notes.for_each(|note| {
                note.held = value >= 64 && (note.down || note.held);
                note.let_go(state.pedal, rate);
            }),
            // A parameter that is not registered is none of ours.
            98 | 99 => state.parameter = [127; 2],
            100 => state.parameter[1] = value,
            101 => state.parameter[0] = value,
            120 => notes.for_each(|note| {
                note.leaving = true;
                note.fade(TAKEN, rate);
            }),
            121 => {
                state.reset();
                notes.for_each(|note| {
                    note.held = false;
                    note.let_go(false, rate);
                });
            }
            123..=127 => self.release(channel, |_| true),
            _ => {}
        }
    }
}

/// The softest of them; of equals the oldest.
fn softest<'a>(notes: impl Iterator<Item = &'a mut Note>) -> Option<&'a mut Note> {
    notes.min_by(|one, other| one.level().total_cmp(&other.level()).then(one.number.cmp(&other.number)))
}

impl Instrument for BuiltIn {
    fn play(&mut self, message: ShortMessage) {
        match (message.event(), message.as_bytes()) {
            (MidiEvent::NoteOn { channel, key, velocity }, _) => self.strike(channel, key, velocity),
            (MidiEvent::NoteOff { channel, key }, _) => self.release(channel, |one| one == key),
            (_, &[status @ 0xb0..=0xbf, controller, value]) => self.control(status & 15, controller, value),
            (_, &[status @ 0xe0..=0xef, low, high]) => {
                let bend = f32::from(u16::from(high) << 7 | u16::from(low)) - 8192.0;
                self.channels[usize::from(status & 15)].bend = bend / 8192.0;
            }
            _ => {}
        }
    }

    fn render(&mut self, left: &mut [f32], right: &mut [f32]) {
        left.fill(0.0);
        right.fill(0.0);
        let follow = share(FOLLOWS, self.rate);
        let swing = self.sines.at(self.tremolo);
        let bends = self.channels.map(|channel| 2f32.powf(channel.bend * channel.bend_range / 12.0));
        for note in self.notes.iter_mut().filter(|note| note.sounds()) {
            let channel = usize::from(note.channel);
            let target = self.channels[channel].sides(note.key, swing);
            let (mut sides, mut remaining) = (note.sides, note.left);
            let mut mix = |sound: f32, to_left: &mut f32, to_right: &mut f32| {
                remaining *= note.stays;
                for (side, target) in sides.iter_mut().zip(target) {
                    *side += (target - *side) * follow;
                }
                *to_left += sound * remaining * sides[0];
                *to_right += sound * remaining * sides[1];
            };
            let frames = left.iter_mut().zip(right.iter_mut());
            let over = match &mut note.source {
                Source::Silence => true,
                Source::Tine(tine) => {
                    let step = tine.step(bends[channel]);
                    frames.for_each(|(left, right)| mix(tine.next(self.sines, step), left, right));
                    tine.is_over()
                }
                Source::Drum(drum) => {
                    frames.for_each(|(left, right)| mix(drum.next(self.sines), left, right));
                    drum.is_over()
                }
            };
            (note.sides, note.left) = (sides, remaining);
            if over || remaining < OVER {
                *note = Note::SILENT;
            }
        }
        self.room.add(left, right);
        #[expect(clippy::cast_precision_loss, reason = "some hundred frames")]
        let frames = left.len() as f32;
        self.tremolo = self.tremolo.wrapping_add(phase(TREMOLO * frames / self.rate));
    }
}
