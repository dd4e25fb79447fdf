//! The floods: what is sent, drawn before it is sent, so that it is known to the byte what must have come in.

use jack::Frames;
use rand_chacha::ChaCha8Rng;
use rand_core::{Rng as _, SeedableRng as _};

/// Bytes a second on a MIDI cable: 31.25 kbaud, ten bits a byte.
const CABLE: u32 = 3_125;

/// Bytes of a SysEx message in one event of the port.
const FRAGMENT: usize = 1 << 10;

/// Longest SysEx message that is kept, its first and last byte counted.
const LONGEST_SYSEX: usize = antiphon::sysex::LONGEST;

/// Controllers that are neither pedals nor channel mode messages.
const CONTROLLERS: [u8; 6] = [1, 7, 10, 11, 71, 74];

/// A kind of flood.
pub struct Flood {
    /// For the report.
    pub name: &'static str,
    /// The mode in which Antiphon meets it.
    pub mode: &'static str,
    /// Whether Antiphon plays while it comes, and is listened to then; elsewhere it must answer after it.
    pub plays_meanwhile: bool,
    /// What is sent, for so many frames, at so many frames a second.
    pub score: fn(Frames, Frames) -> Score,
}

/// All of them.
pub const FLOODS: [Flood; 8] = [
    Flood { name: "cable", mode: "respond", plays_meanwhile: false, score: cable },
    Flood { name: "channels", mode: "respond", plays_meanwhile: false, score: channels },
    Flood { name: "sensing", mode: "solo", plays_meanwhile: true, score: sensing },
    Flood { name: "clock", mode: "solo", plays_meanwhile: true, score: clock },
    Flood { name: "sysex", mode: "solo", plays_meanwhile: true, score: sysex },
    Flood { name: "controllers", mode: "solo", plays_meanwhile: true, score: controllers },
    Flood { name: "ten_thousand", mode: "respond", plays_meanwhile: false, score: ten_thousand },
    Flood { name: "bursts", mode: "respond", plays_meanwhile: false, score: bursts },
];

/// What is sent, event by event.
#[derive(Default)]
pub struct Score {
    /// When, in frames after the beginning, and where its bytes end.
    events: Vec<(Frames, usize)>,
    bytes: Vec<u8>,
    /// SysEx messages that are short enough to be kept, and those that are not.
    pub sysex: [u64; 2],
}

impl Score {
    /// How many events there are.
    pub fn len(&self) -> usize {
        self.events.len()
    }

    /// The event of this number.
    pub fn event(&self, number: usize) -> Option<(Frames, &[u8])> {
        let &(frame, end) = self.events.get(number)?;
        let begin = number.checked_sub(1).map_or(0, |before| self.events[before].1);
        Some((frame, &self.bytes[begin..end]))
    }

    /// All events.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        (0..self.len()).filter_map(|number| self.event(number)).map(|(_, bytes)| bytes)
    }

    fn add(&mut self, frame: Frames, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
        self.events.push((frame, self.bytes.len()));
    }
}

/// Frames at which `count` events a second fall, until `frames`.
fn evenly(count: u32, frames: Frames, rate: Frames) -> impl Iterator<Item = Frames> {
    let at = move |number: u64| {
        Frames::try_from(number * u64::from(rate) / u64::from(count)).expect("a flood is no longer than hours")
    };
    (0..).map(at).take_while(move |frame| *frame < frames)
}

/// A hand that does anything on 16 channels, with half of its messages notes, and strikes no key that is down.
struct Hand {
    random: ChaCha8Rng,
    /// Channels and keys.
    down: Vec<[u8; 2]>,
    pedals: [bool; 16],
}

impl Hand {
    fn new() -> Self {
        Self { random: ChaCha8Rng::seed_from_u64(1), down: Vec::new(), pedals: [false; 16] }
    }

    fn below(&mut self, limit: u8) -> u8 {
        u8::try_from(self.random.next_u32() % u32::from(limit)).expect("below a byte")
    }

    /// Any channel message.
    fn anything(&mut self) -> Message {
        let (channel, key) = (self.below(16), self.below(128));
        match self.below(4) {
            0 if !self.down.contains(&[channel, key]) => {
                self.down.push([channel, key]);
                Message([0x90 | channel, key, 1 + self.below(127)])
            }
            0 | 1 if !self.down.is_empty() => {
                let place = self.random.next_u32() as usize % self.down.len();
                let [channel, key] = self.down.swap_remove(place);
                Message([0x80 | channel, key, self.below(128)])
            }
            2 if self.below(4) == 0 => {
                let down = &mut self.pedals[usize::from(channel)];
                *down = !*down;
                Message([0xb0 | channel, 64, if *down { 127 } else { 0 }])
            }
            _ => self.no_key(),
        }
    }

    /// Any channel message that moves neither key nor pedal.
    fn no_key(&mut self) -> Message {
        let (channel, first, second) = (self.below(16), self.below(128), self.below(128));
        let controller = CONTROLLERS[usize::from(first) % CONTROLLERS.len()];
        Message(match self.below(5) {
            0 => [0xa0 | channel, first, second],
            1 => [0xc0 | channel, first, 0],
            2 => [0xd0 | channel, first, 0],
            3 => [0xe0 | channel, first, second],
            _ => [0xb0 | channel, controller, second],
        })
    }

    /// Lets go of all.
    fn rest(self, frame: Frames, score: &mut Score) {
        self.down.into_iter().for_each(|[channel, key]| score.add(frame, &[0x80 | channel, key, 64]));
        let down = (0..).zip(self.pedals).filter(|(_, down)| *down);
        down.for_each(|(channel, _)| score.add(frame, &[0xb0 | channel, 64, 0]));
    }
}

/// A channel message.
struct Message([u8; 3]);

impl Message {
    fn bytes(&self) -> &[u8] {
        let is_short = matches!(self.0[0] & 0xf0, 0xc0 | 0xd0);
        if is_short { &self.0[..2] } else { &self.0 }
    }
}

/// What a hand draws at these frames.
fn drawn(draw: fn(&mut Hand) -> Message, at: impl Iterator<Item = Frames>, end: Frames) -> Score {
    let (mut hand, mut score) = (Hand::new(), Score::default());
    at.for_each(|frame| score.add(frame, draw(&mut hand).bytes()));
    hand.rest(end, &mut score);
    score
}

/// Notes of one channel as fast as a cable takes them with running status: two bytes each, note-ons of velocity 0 among
/// them. JACK hands each on with its status.
fn cable(frames: Frames, rate: Frames) -> Score {
    let mut score = Score::default();
    let keys = (36..96).step_by(7).cycle();
    for (frame, key) in evenly(CABLE / 2 / 2, frames, rate).zip(keys) {
        score.add(frame, &[0x90, key, 80]);
        score.add(frame + rate * 2 / CABLE, &[0x90, key, 0]);
    }
    score
}

/// All kinds of channel messages on 16 channels, as fast as a cable takes them.
fn channels(frames: Frames, rate: Frames) -> Score {
    drawn(Hand::anything, evenly(CABLE / 3, frames, rate), frames)
}

/// Active sensing, as fast as a cable takes it.
fn sensing(frames: Frames, rate: Frames) -> Score {
    let mut score = Score::default();
    evenly(CABLE, frames, rate).for_each(|frame| score.add(frame, &[0xfe]));
    score
}

/// A clock of 300 beats a minute.
fn clock(frames: Frames, rate: Frames) -> Score {
    let mut score = Score::default();
    score.add(0, &[0xfa]);
    evenly(300 * 24 / 60, frames, rate).for_each(|frame| score.add(frame, &[0xf8]));
    score.add(frames, &[0xfc]);
    score
}

/// SysEx of a mebibyte in a second, fragment by fragment; the last is one byte longer than what is kept.
fn sysex(frames: Frames, rate: Frames) -> Score {
    let mut score = Score::default();
    let whole = usize::try_from(frames / rate).expect("few").max(1);
    for number in 0..=whole {
        let length = if number == whole { LONGEST_SYSEX + 1 } else { LONGEST_SYSEX };
        let begins = Frames::try_from(number).expect("few") * rate;
        let inside = (0..).map(|place: usize| u8::try_from(place % 128).expect("seven bits")).take(length - 2);
        let message: Vec<u8> = std::iter::once(0xf0).chain(inside).chain([0xf7]).collect();
        let fragments = length.div_ceil(FRAGMENT);
        for (fragment, bytes) in message.chunks(FRAGMENT).enumerate() {
            let after = u64::from(rate) * fragment as u64 / fragments as u64;
            score.add(begins + Frames::try_from(after).expect("less than a second"), bytes);
        }
        score.sysex[usize::from(number == whole)] += 1;
    }
    score
}

/// Wheels, pressure, programs and knobs on 16 channels, 10,000 a second.
fn controllers(frames: Frames, rate: Frames) -> Score {
    drawn(Hand::no_key, evenly(10_000, frames, rate), frames)
}

/// All kinds of channel messages on 16 channels, 10,000 a second.
fn ten_thousand(frames: Frames, rate: Frames) -> Score {
    drawn(Hand::anything, evenly(10_000, frames, rate), frames)
}

/// Ten times a second more than a port's buffer takes in a period.
fn bursts(frames: Frames, rate: Frames) -> Score {
    let at = evenly(10, frames, rate).flat_map(|frame| std::iter::repeat_n(frame, 4_000));
    drawn(Hand::anything, at, frames)
}
