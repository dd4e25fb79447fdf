//! The simulated player: every kind of message that a take keeps, each to be told apart from all others.

use midly::live::LiveEvent;
use midly::num::{u15, u28};
use midly::{Format, Header, MetaMessage, Timing, TrackEvent, TrackEventKind};
use rand_chacha::ChaCha8Rng;
use rand_core::{Rng as _, SeedableRng as _};

/// Ticks of the file: half a millisecond each.
const TICKS_A_SECOND: f64 = 2000.0;

/// What is sent: when, in seconds, and the bytes.
pub struct Performance(Vec<(f64, Vec<u8>)>);

/// Whether the message can be told apart: note-offs may fall away where a take is split.
pub fn is_told_apart(bytes: &[u8]) -> bool {
    bytes[0] & 0xf0 != 0x80
}

impl Performance {
    /// Plays for so long: notes, knobs, the wheel, pressure, programs and SysEx, with a rest of 1.3 s every 4.
    pub fn of_seconds(seconds: u32, seed: u64) -> Self {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let mut sent = Vec::new();
        let mut now = 0.0;
        let mut number = 0u32;
        while now < f64::from(seconds) {
            // Two digits in base 126, so that no two messages of a kind are alike.
            let digit = |place: u32| u8::try_from(1 + (number / 126u32.pow(place)) % 126).expect("small");
            let (low, high) = (digit(0), digit(1));
            match number % 9 {
                0..4 => {
                    let key = 30 + low % 60;
                    let channel = u8::try_from(number % 3).expect("small");
                    let velocity = 1 + (3 * high + low / 60) % 126;
                    sent.push((now, vec![0x90 | channel, key, velocity]));
                    sent.push((now + 0.11, vec![0x80 | channel, key, low]));
                }
                4 => sent.push((now, vec![0xb0, 16 + high, low])),
                5 => sent.push((now, vec![0xe1, low, high])),
                6 => sent.push((now, vec![0xa2, low, high])),
                7 if number.is_multiple_of(2) => sent.push((now, vec![0xc0 | (high & 15), low])),
                7 => sent.push((now, vec![0xd0 | (high & 15), low])),
                _ => {
                    let length = usize::try_from(random.next_u32() % 400).expect("small");
                    let content = (0..length).map(|place| u8::try_from(place % 128).expect("small"));
                    sent.push((now, [0xf0, 0x7d, low, high].into_iter().chain(content).chain([0xf7]).collect()));
                }
            }
            number += 1;
            now += 0.004 + 0.03 * f64::from(random.next_u32()) / f64::from(u32::MAX);
            if now % 4.0 > 2.7 {
                now += 4.0 - now % 4.0;
            }
        }
        sent.sort_by(|a, b| a.0.total_cmp(&b.0));
        Self(sent)
    }

    /// When and what.
    pub fn sent(&self) -> impl Iterator<Item = (f64, Vec<u8>)> {
        self.0.iter().cloned()
    }

    /// When the first channel message is sent.
    pub fn first(&self) -> f64 {
        self.0.iter().find(|(_, bytes)| bytes[0] < 0xf0).map_or(0.0, |first| first.0)
    }

    /// As a file, written by midly.
    pub fn to_midi(&self) -> Vec<u8> {
        let mut track = Vec::new();
        let mut tick = 0;
        for (time, bytes) in &self.0 {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "minutes")]
            let at = (time * TICKS_A_SECOND).round() as u32;
            let kind = match bytes.as_slice() {
                [0xf0, content @ ..] => TrackEventKind::SysEx(content),
                short => match LiveEvent::parse(short) {
                    Ok(LiveEvent::Midi { channel, message }) => TrackEventKind::Midi { channel, message },
                    other => panic!("{other:?}"),
                },
            };
            track.push(TrackEvent { delta: u28::new(at - tick), kind });
            tick = at;
        }
        track.push(TrackEvent { delta: u28::new(0), kind: TrackEventKind::Meta(MetaMessage::EndOfTrack) });
        let header = Header::new(Format::SingleTrack, Timing::Metrical(u15::new(1000)));
        let mut file = Vec::new();
        midly::write(&header, [&track], &mut file).expect("to memory");
        file
    }
}
