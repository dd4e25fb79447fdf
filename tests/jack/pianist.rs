//! JACK clients that play to Antiphon by frame time and note down the answer with its frame stamps.
//!
//! Hands and ears are two clients, so that the server's graph has no loop: what the hands play, Antiphon hears in the
//! same period, and the ears hear its answer in that period too.

use std::collections::BTreeMap;
use std::thread::sleep;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded};
use jack::{AsyncClient, Client, Control, Frames, MidiIn, MidiOut, Port, ProcessHandler, ProcessScope, RawMidi};

use super::server::open_client;

/// The port on which Antiphon listens.
pub const ANTIPHON_IN: &str = "Antiphon:Antiphon In";
/// The port on which Antiphon answers.
pub const ANTIPHON_OUT: &str = "Antiphon:Antiphon Out";

/// A session has a few thousand messages between two looks; a full queue would show as a note without its release.
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
    /// The same by the server's clock: unlike frames, its microseconds go on when the server is overrun.
    #[allow(dead_code, reason = "not everybody who plays asks for it")]
    pub us: jack::Time,
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
    hands: AsyncClient<(), Hands>,
    _ears: AsyncClient<(), Ears>,
    score: Sender<Message>,
    noted: Receiver<Message>,
    /// All that was played and heard, in the order of its arrival.
    pub log: Vec<Message>,
}

impl Pianist {
    /// Sits down at the server and connects both ways to Antiphon.
    pub fn sit_down() -> Self {
        let pianist = Self::sit_down_unplugged();
        let plugs = pianist.client();
        plugs.connect_ports_by_name("hands:out", ANTIPHON_IN).expect("Antiphon has its input port");
        plugs.connect_ports_by_name(ANTIPHON_OUT, "ears:in").expect("Antiphon has its output port");
        pianist
    }

    /// The same without connecting anything.
    pub fn sit_down_unplugged() -> Self {
        let (score, to_play) = bounded(QUEUE);
        let (note, noted) = bounded(QUEUE);
        let ears = seated(|| {
            let ears = open_client("ears");
            let input = ears.register_port("in", MidiIn::default())?;
            ears.activate_async((), Ears { input, noted: note.clone() })
        });
        let hands = seated(|| {
            let hands = open_client("hands");
            let output = hands.register_port("out", MidiOut::default())?;
            let player = Hands { output, to_play: to_play.clone(), next: None, noted: note.clone() };
            hands.activate_async((), player)
        });
        Self { hands, _ears: ears, score, noted, log: Vec::new() }
    }

    /// Plays messages at their frames after the first, which falls about 50 ms from now. Returns the frames of the
    /// first and the last.
    pub fn play(&mut self, mut messages: Vec<(Frames, [u8; 3])>) -> [Frames; 2] {
        messages.sort_by_key(|&(after, _)| after);
        let begin = self.now() + self.rate() / 20;
        for &(after, bytes) in &messages {
            let message = Message { voice: Voice::Human, frame: begin + after, us: 0, bytes };
            self.score.try_send(message).expect("the score has room");
        }
        [begin, messages.last().map_or(begin, |&(after, _)| begin + after)]
    }

    /// The present, in frames.
    pub fn now(&self) -> Frames {
        self.client().frame_time()
    }

    /// Frames per second.
    pub fn rate(&self) -> Frames {
        self.client().sample_rate()
    }

    fn client(&self) -> &Client {
        self.hands.as_client()
    }

    /// Takes in what was played and heard meanwhile.
    pub fn listen(&mut self) {
        self.log.extend(self.noted.try_iter());
    }

    /// Listens until `enough` says so, or the time is over; false then.
    pub fn listen_for(&mut self, limit: Duration, enough: impl Fn(&Self) -> bool) -> bool {
        let begun = Instant::now();
        loop {
            self.listen();
            if enough(self) {
                return true;
            }
            if begun.elapsed() > limit {
                return false;
            }
            sleep(Duration::from_millis(5));
        }
    }

    /// Listens until that frame is past.
    pub fn listen_to(&mut self, frame: Frames) {
        assert!(self.listen_for(Duration::from_secs(30), |pianist| pianist.now() > frame), "the server stands still");
        // What the last period held is on its way.
        sleep(Duration::from_millis(20));
        self.listen();
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

/// A client that plays. A server that is still on its way up on a busy machine may refuse the first ones.
fn seated<C>(sit: impl Fn() -> Result<C, jack::Error>) -> C {
    let begun = Instant::now();
    loop {
        match sit() {
            Ok(client) => return client,
            Err(error) => assert!(begun.elapsed() < Duration::from_secs(15), "no JACK client could play: {error}"),
        }
        sleep(Duration::from_millis(50));
    }
}

impl Drop for Pianist {
    /// JACK's library cancels its threads when a client is closed. One that is in a callback, though its server has gone,
    /// would take the whole process with it.
    fn drop(&mut self) {
        sleep(Duration::from_millis(50));
    }
}

/// Plays, in JACK's real-time thread.
struct Hands {
    output: Port<MidiOut>,
    to_play: Receiver<Message>,
    next: Option<Message>,
    noted: Sender<Message>,
}

impl ProcessHandler for Hands {
    fn process(&mut self, _: &Client, period: &ProcessScope) -> Control {
        let begin = period.last_frame_time();
        let us = times(period);
        let mut writer = self.output.writer(period);
        while let Some(message) = self.next.take().or_else(|| self.to_play.try_recv().ok()) {
            if message.frame >= begin + period.n_frames() {
                self.next = Some(message);
                break;
            }
            // A message that comes late is played at once and noted with the frame at which it was really played.
            let time = message.frame.saturating_sub(begin);
            let is_single = message.bytes[0] >= 0xf8;
            let bytes = if is_single { &message.bytes[..1] } else { &message.bytes };
            if writer.write(&RawMidi { time, bytes }).is_ok() {
                let _ = self.noted.try_send(Message { frame: begin + time, us: us(time), ..message });
            }
        }
        Control::Continue
    }
}

/// The server's microseconds at each frame of the period. In an overrun the next period may begin before this one.
fn times(period: &ProcessScope) -> impl Fn(Frames) -> jack::Time {
    let frames = u64::from(period.n_frames());
    let (begin, end) = period.cycle_times().map_or((0, 0), |times| (times.current_usecs, times.next_usecs));
    move |frame| begin + u64::from(frame) * end.saturating_sub(begin) / frames
}

/// Hears, in JACK's real-time thread.
struct Ears {
    input: Port<MidiIn>,
    noted: Sender<Message>,
}

impl ProcessHandler for Ears {
    fn process(&mut self, _: &Client, period: &ProcessScope) -> Control {
        let begin = period.last_frame_time();
        let us = times(period);
        for event in self.input.iter(period) {
            if let &[status, first, second] = event.bytes {
                let bytes = [status, first, second];
                let _ = self.noted.try_send(Message {
                    voice: Voice::Answer,
                    frame: begin + event.time,
                    us: us(event.time),
                    bytes,
                });
            }
        }
        Control::Continue
    }
}
