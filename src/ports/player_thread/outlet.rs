//! Where the messages of the player's thread leave: by every wire, with a copy to the sound and one to the recorder.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use crossbeam_channel::Sender;

use super::wire::{MidiOutput, Wire};
use crate::echo::Origin;
use crate::midi::{ShortMessage, TimedMessage};
use crate::ports::cables::MOST;
use crate::ports::{Offset, Routing, Speaker, Wiring};
use crate::status::Status;
use crate::synth::Part;
use crate::take::Happening;
use crate::time::{Clock, SessionTime};

/// Where messages leave.
pub(super) struct Outlet {
    clock: Clock,
    /// That of the earliest port.
    offset: Offset,
    #[expect(clippy::vec_box, reason = "taking one out of its box would give memory back on the player's thread")]
    pub wires: Vec<Box<Wire>>,
    /// When the last message of an answer left.
    pub left: Option<SessionTime>,
    pub routing: Arc<Routing>,
    record: Sender<Happening>,
    pub speaker: Speaker,
    pub status: Arc<Status>,
}

impl Outlet {
    /// With our own port, if there is one.
    pub fn new(output: Option<(Box<dyn MidiOutput>, Offset)>, earliest: Offset, wiring: &mut Wiring) -> Self {
        // With room for all cables, so that the thread takes no memory.
        let mut wires = Vec::with_capacity(MOST + 1);
        wires.extend(output.map(|(output, offset)| Box::new(Wire::new(None, output, offset, earliest))));
        Self {
            clock: wiring.clock,
            offset: earliest,
            wires,
            left: None,
            routing: Arc::clone(&wiring.routing),
            record: wiring.record.clone(),
            speaker: std::mem::take(&mut wiring.speaker),
            status: Arc::clone(&wiring.status),
        }
    }

    /// Sends what the plan wants at the musical time `time`, which is now at the earliest port.
    pub fn send(&mut self, time: SessionTime, message: ShortMessage) {
        self.note_down(time, message);
        let left = self.write(message, Origin::Own, Wire::send);
        if message.is_note_on() {
            self.status.figures.note_left(self.offset.leaves_at(time), left);
        }
        // In musical time, which may be ahead; the sound waits for it.
        self.speaker.play(Part::Ai, time.max(self.offset.leaves_at(time)), message);
    }

    /// Sends at once what ends a note out of turn; it is heard at the musical time `time`.
    pub fn send_at_once(&mut self, time: SessionTime, message: ShortMessage) {
        self.note_down(time, message);
        self.left = Some(self.write(message, Origin::Own, Wire::send_at_once));
        self.speaker.play(Part::Ai, self.clock.now(), message);
    }

    /// Sends a message of a take that is played back; it is not recorded again.
    pub fn replay(&mut self, message: ShortMessage) {
        let now = self.write(message, Origin::Own, Wire::send);
        self.speaker.play(Part::Ai, now, message);
    }

    /// Sends at once what ends something of it.
    pub fn end_replay(&mut self, message: ShortMessage) {
        let now = self.write(message, Origin::Own, Wire::send_at_once);
        self.speaker.play(Part::Ai, now, message);
    }

    /// Passes on what the human played; it is recorded as theirs.
    pub fn pass(&mut self, message: ShortMessage) {
        self.write(message, Origin::Thru, Wire::pass);
    }

    /// Says when it left.
    fn write(
        &mut self,
        message: ShortMessage,
        origin: Origin,
        way: fn(&mut Wire, SessionTime, ShortMessage, &Routing),
    ) -> SessionTime {
        let now = self.clock.now();
        // Before it is sent, so that no echo is quicker.
        if self.wires.iter().any(|wire| wire.is_prompt()) {
            self.routing.echoes.sent(now, message, origin);
        }
        for wire in &mut self.wires {
            way(wire, now, message, &self.routing);
        }
        self.count_refusals();
        self.clock.now()
    }

    /// To be called before the message leaves, as the player's ledger is written before: where a driver panics the record
    /// has an end for each note that it has begun.
    fn note_down(&self, time: SessionTime, message: ShortMessage) {
        self.status.sent(message);
        // Policy when full: the copy is dropped and counted; the sound goes on.
        if self.record.try_send(Happening::Ai(TimedMessage { time, message })).is_err() {
            self.status.record_dropped.fetch_add(1, Relaxed);
        }
    }

    /// The answer on `channel` is over.
    pub fn silence(&mut self, channel: u8) {
        let now = self.clock.now();
        self.wires.iter_mut().for_each(|wire| wire.silence(now, channel, &self.routing));
    }

    /// Sends what is due at later ports, and what was refused before.
    pub fn catch_up(&mut self) {
        let now = self.clock.now();
        self.wires.iter_mut().for_each(|wire| wire.catch_up(now, &self.routing));
        self.count_refusals();
    }

    fn count_refusals(&mut self) {
        let refusals: u64 = self.wires.iter_mut().map(|wire| std::mem::take(&mut wire.refusals)).sum();
        if refusals > 0 {
            self.status.send_failed.fetch_add(refusals, Relaxed);
        }
    }
}
