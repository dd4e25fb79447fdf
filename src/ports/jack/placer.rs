//! What leaves in a period of JACK's, to the frame.

use std::sync::atomic::Ordering::Relaxed;

use jack::{Frames, MidiWriter, RawMidi};
use rtrb::Producer;

use super::frames::Period;
use super::stranded::Stranded;
use crate::echo::Origin;
use crate::midi::{ShortMessage, TimedMessage};
use crate::player::Owed;
use crate::ports::{Offset, Routing, Speaker};
use crate::status::Status;
use crate::synth::Part;
use crate::take::Happening;
use crate::time::SessionTime;

/// Writes messages into the period at their frames, which JACK wants in order.
pub(super) struct Placer<'a> {
    pub writer: MidiWriter<'a>,
    pub period: Period,
    pub latency: Offset,
    pub frame: Frames,
    /// The time of the frame at which the last message left.
    pub left: Option<SessionTime>,
    pub sent: &'a mut Producer<Happening>,
    pub routing: &'a Routing,
    pub speaker: &'a mut Speaker,
    pub owed: &'a mut Owed,
    pub stranded: &'a mut Stranded,
    pub status: &'a Status,
}

impl Placer<'_> {
    /// Writes what is owed.
    pub fn pay(&mut self) {
        for note_off in self.owed.take() {
            self.write(note_off);
        }
    }

    fn write(&mut self, message: ShortMessage) {
        if self.writer.write(&RawMidi { time: self.frame, bytes: message.as_bytes() }).is_err() {
            self.status.send_failed.fetch_add(1, Relaxed);
            self.owed.add(message);
        }
    }

    /// Antiphon plays this.
    pub fn send(&mut self, time: SessionTime, message: ShortMessage) {
        let left = self.place(time, message, Origin::Own);
        self.left = Some(left);
        if message.is_note_on() {
            self.status.figures.note_left(self.latency.leaves_at(time), left);
        }
        self.speaker.play(Part::Ai, left, message);
        // What was late is recorded where it sounded.
        let time = time.max(self.latency.musical(self.period.begin));
        note_down(TimedMessage { time, message }, self.sent, self.status);
    }

    /// A take that is played back has this; it is not recorded again.
    pub fn pass_own(&mut self, time: SessionTime, message: ShortMessage) {
        let left = self.place(time, message, Origin::Own);
        self.speaker.play(Part::Ai, left, message);
    }

    /// The human played this; it is recorded as theirs.
    pub fn pass(&mut self, time: SessionTime, message: ShortMessage) {
        self.place(time, message, Origin::Thru);
    }

    /// Writes an end once more that may have reached nobody.
    pub fn say_again(&mut self, end: ShortMessage) {
        self.routing.echoes.sent(self.period.begin, end, Origin::Thru);
        self.write(end);
    }

    /// Writes at the frame nearest to the musical time `time`, and says when that is.
    fn place(&mut self, time: SessionTime, message: ShortMessage, origin: Origin) -> SessionTime {
        self.frame = self.period.nearest(self.latency.leaves_at(time)).max(self.frame);
        let left = self.period.time_of(self.frame);
        self.routing.echoes.sent(left, message, origin);
        self.stranded.sent(left, message);
        self.write(message);
        left
    }
}

/// Antiphon has played this. Policy when full: the copy is dropped and counted; the sound goes on.
pub(super) fn note_down(played: TimedMessage, sent: &mut Producer<Happening>, status: &Status) {
    status.sent(played.message);
    if sent.push(Happening::Ai(played)).is_err() {
        status.record_dropped.fetch_add(1, Relaxed);
    }
}
