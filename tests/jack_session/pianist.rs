//! A JACK client that plays to Antiphon by frame time and notes down the answer with its frame stamps.

use std::collections::BTreeMap;
use std::thread::sleep;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded};
use jack::{Control, Frames, MidiIn, MidiOut, Port, ProcessHandler, ProcessScope, RawMidi};

use crate::server::open_client;

/// Frames per millisecond: the server runs at 48 kHz.
pub const MILLISECOND: Frames = 48;

/// A session has a few hundred messages; a full queue would show as a note without its release.
const QUEUE: usize = 1 << 16;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Voice {
    Human,
    Answer,
}

#[derive(Clone, Copy, Debug)]
pub struct Message {
    pub voice: Voice,
    pub frame: Frames,
    pub bytes: [u8; 3],
}

impl Message {
    pub fn key(&self) -> u8 {
        self.bytes[1]
    }

    pub fn is_note_on(&self) -> bool {
        self.bytes[0] & 0xf0 == 0x90 && self.bytes[2] > 0
    }

    pub fn is_note_off(&self) -> bool {
        self.bytes[0] & 0xf0 == 0x80 || (self.bytes[0] & 0xf0 == 0x90 && self.bytes[2] == 0)
    }
}

pub struct Pianist {
    client: jack::AsyncClient<(), Hands>,
    score: Sender<Message>,
    ears: Receiver<Message>,
    /// All that was played and heard, in the order of its arrival.
    pub log: Vec<Message>,
}

impl Pianist {
    /// Sits down at the server and connects both ways to Antiphon.
    pub fn sit_down() -> Self {
        let client = open_client("pianist");
        assert_eq!(client.sample_rate(), 48_000);
        let output = client.register_port("out", MidiOut::default()).expect("an output port");
        let input = client.register_port("in", MidiIn::default()).expect("an input port");
        let (score, to_play) = bounded(QUEUE);
        let (noted, ears) = bounded(QUEUE);
        let hands = Hands { output, input, to_play, next: None, noted };
        let client = client.activate_async((), hands).expect("the client can be activated");
        let plugs = client.as_client();
        plugs.connect_ports_by_name("pianist:out", "Antiphon:Antiphon In").expect("Antiphon has its input port");
        plugs.connect_ports_by_name("Antiphon:Antiphon Out", "pianist:in").expect("Antiphon has its output port");
        Self { client, score, ears, log: Vec::new() }
    }

    /// Plays notes (key, frames after the first, length in frames), the first of them about 50 ms from now.
    /// Returns the frame at which the last one is released.
    pub fn play(&mut self, notes: &[(u8, Frames, Frames)]) -> Frames {
        let begin = self.now() + 50 * MILLISECOND;
        let mut messages: Vec<Message> = Vec::new();
        for &(key, after, length) in notes {
            let frame = begin + after;
            messages.push(Message { voice: Voice::Human, frame, bytes: [0x90, key, 80] });
            messages.push(Message { voice: Voice::Human, frame: frame + length, bytes: [0x80, key, 64] });
        }
        messages.sort_by_key(|message| message.frame);
        let end = messages.last().map_or(begin, |message| message.frame);
        for message in messages {
            self.score.try_send(message).expect("the score has room");
        }
        end
    }

    /// The present, in frames.
    pub fn now(&self) -> Frames {
        self.client.as_client().frame_time()
    }

    /// Listens until `enough` says so. What is missing at the limit is named in the message of the failure.
    pub fn listen_until(&mut self, limit: Duration, what: &str, enough: impl Fn(&Self) -> bool) {
        let begun = Instant::now();
        loop {
            self.log.extend(self.ears.try_iter());
            if enough(self) {
                return;
            }
            assert!(begun.elapsed() < limit, "waited {limit:?} in vain for {what}; heard: {:?}", self.log);
            sleep(Duration::from_millis(1));
        }
    }

    /// Listens until that frame is past.
    pub fn listen_to(&mut self, frame: Frames) {
        self.listen_until(Duration::from_secs(30), "a later frame", |pianist| pianist.now() > frame);
        // What the last period held is on its way.
        sleep(Duration::from_millis(20));
        self.log.extend(self.ears.try_iter());
    }

    pub fn note_ons(&self, voice: Voice) -> Vec<Message> {
        self.log.iter().filter(|message| message.voice == voice && message.is_note_on()).copied().collect()
    }

    /// The answer's notes that sound just after `frame`: (channel, key) and how often it was struck.
    pub fn sounding_at(&self, frame: Frames) -> BTreeMap<(u8, u8), u32> {
        let mut sounding = BTreeMap::new();
        for message in self.log.iter().filter(|message| message.voice == Voice::Answer && message.frame <= frame) {
            let note = (message.bytes[0] & 0x0f, message.key());
            if message.is_note_on() {
                *sounding.entry(note).or_insert(0) += 1;
            } else if message.is_note_off() {
                match sounding.get_mut(&note) {
                    Some(times) if *times > 1 => *times -= 1,
                    _ => drop(sounding.remove(&note)),
                }
            }
        }
        sounding
    }
}

/// What runs in JACK's real-time thread.
struct Hands {
    output: Port<MidiOut>,
    input: Port<MidiIn>,
    to_play: Receiver<Message>,
    next: Option<Message>,
    noted: Sender<Message>,
}

impl ProcessHandler for Hands {
    fn process(&mut self, _: &jack::Client, period: &ProcessScope) -> Control {
        let begin = period.last_frame_time();
        let mut writer = self.output.writer(period);
        while let Some(message) = self.next.take().or_else(|| self.to_play.try_recv().ok()) {
            if message.frame >= begin + period.n_frames() {
                self.next = Some(message);
                break;
            }
            // A message that comes late is played at once and noted with the frame at which it was really played.
            let time = message.frame.saturating_sub(begin);
            if writer.write(&RawMidi { time, bytes: &message.bytes }).is_ok() {
                let _ = self.noted.try_send(Message { frame: begin + time, ..message });
            }
        }
        for event in self.input.iter(period) {
            if let &[status, first, second] = event.bytes {
                let bytes = [status, first, second];
                let _ = self.noted.try_send(Message { voice: Voice::Answer, frame: begin + event.time, bytes });
            }
        }
        Control::Continue
    }
}
