//! Messages that carry a time, put into the frames that a device asks for.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use rtrb::{Consumer, Producer, RingBuffer};

use super::controllers::Controllers;
use super::timeline::Timeline;
use super::{Gains, Mixer, Sounding};
use crate::midi::MidiEvent;
use crate::time::SessionTime;

/// Messages that may wait for the device: what three MIDI cables carry in a second. When it is full the newest is
/// dropped and counted, and all that sounds is ended, since a note-off may be among them.
const WAITING: usize = 4096;

/// Messages that may wait for their moment: the player sends ahead where a port wants its notes early. When it is full
/// the earliest sounds early.
const AHEAD: usize = 1024;

/// The way from whoever plays to the device.
///
/// Thread: the player's. Realtime-safe: yes.
pub struct Line {
    messages: Producer<Sounding>,
    missed: Arc<AtomicBool>,
}

impl Line {
    /// A line, and its other end.
    pub fn new() -> (Self, Resting) {
        let (sender, messages) = RingBuffer::new(WAITING);
        let missed = Arc::new(AtomicBool::new(false));
        let line = Self { messages: sender, missed: Arc::clone(&missed) };
        (line, Resting { messages, missed, controllers: Controllers::default() })
    }

    /// Sends a message; false when there was no place for it.
    pub fn send(&mut self, sounding: Sounding) -> bool {
        let sent = self.messages.push(sounding).is_ok();
        if !sent {
            self.missed.store(true, Relaxed);
        }
        sent
    }
}

/// The far end of a [`Line`] while no device is open: it keeps what controllers say, and nothing sounds.
pub struct Resting {
    messages: Consumer<Sounding>,
    missed: Arc<AtomicBool>,
    controllers: Controllers,
}

impl Resting {
    /// Takes in what has come. Of notes nothing is kept: what was not heard is over.
    pub fn catch_up(&mut self) {
        while let Ok(sounding) = self.messages.pop() {
            self.controllers.hear(sounding.part, sounding.message);
        }
        self.missed.store(false, Relaxed);
    }

    /// Whether nothing has come since.
    pub fn is_caught_up(&self) -> bool {
        self.messages.is_empty()
    }

    /// Begins to sound on `mixer`, with controllers as they are set.
    pub fn wake(mut self, mut mixer: Mixer) -> Playback {
        self.catch_up();
        self.controllers.tell(|part, message| mixer.play(part, message));
        let timeline = Timeline::new(mixer.rate());
        Playback { resting: self, ahead: VecDeque::with_capacity(AHEAD), mixer, timeline }
    }
}

/// Plays what comes over a [`Line`].
///
/// Thread: the audio callback's. Realtime-safe: yes.
pub struct Playback {
    resting: Resting,
    /// What has come and is not due yet, in time order.
    ahead: VecDeque<Sounding>,
    mixer: Mixer,
    timeline: Timeline,
}

impl Playback {
    /// Frames a second.
    pub fn rate(&self) -> u32 {
        self.mixer.rate()
    }

    /// Whether the SoundFont's player has broken down.
    pub fn is_broken(&self) -> bool {
        self.mixer.is_broken()
    }

    /// The next frames, for which the device asks `now`. A message waits as long as this block lasts.
    pub fn fill(&mut self, now: SessionTime, gains: Gains, frames: &mut [[f32; 2]]) {
        let block = self.timeline.block(now, frames.len());
        if self.resting.missed.swap(false, Relaxed) {
            self.resting.catch_up();
            self.ahead.clear();
            self.mixer.silence();
        }
        while let Ok(sounding) = self.resting.messages.pop() {
            self.line_up(sounding);
        }
        let mut done = 0;
        while let Some(sounding) = self.ahead.front().copied() {
            let Some(frame) = block.frame_of(sounding.at) else { break };
            if frame > done {
                self.mixer.render(gains, &mut frames[done..frame]);
                done = frame;
            }
            self.ahead.pop_front();
            self.play(sounding);
        }
        self.mixer.render(gains, &mut frames[done..]);
    }

    /// Puts a message in its place in time; of the same time, what came first is first.
    fn line_up(&mut self, sounding: Sounding) {
        if let MidiEvent::NoteOff { channel, key } = sounding.message.event() {
            // A note that ends before it begins was taken back.
            self.ahead.retain(|waiting| {
                waiting.at <= sounding.at
                    || waiting.part != sounding.part
                    || !matches!(waiting.message.event(),
                        MidiEvent::NoteOn { channel: c, key: k, .. } if (c, k) == (channel, key))
            });
        }
        if self.ahead.len() == AHEAD
            && let Some(earliest) = self.ahead.pop_front()
        {
            self.play(earliest);
        }
        let place = self.ahead.partition_point(|waiting| waiting.at <= sounding.at);
        self.ahead.insert(place, sounding);
    }

    fn play(&mut self, sounding: Sounding) {
        self.resting.controllers.hear(sounding.part, sounding.message);
        self.mixer.play(sounding.part, sounding.message);
    }

    /// Ends: what sounds is over, and the line rests.
    pub fn rest(self) -> Resting {
        self.resting
    }
}
