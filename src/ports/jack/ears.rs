//! What the human plays in a period of JACK's: it goes to the player at once, and to the conductor by a ring.

use std::sync::atomic::Ordering::Relaxed;

use rtrb::Producer;

use super::placer::Placer;
use crate::control::Claims;
use crate::midi::{ShortMessage, TimedMessage};
use crate::playback::Tape;
use crate::player::{Player, PlayerCommand};
use crate::ports::Routing;
use crate::ports::held::Held;
use crate::status::Status;
use crate::synth::Part;
use crate::sysex::{Piece, Slicer};
use crate::thru::Thru;
use crate::time::SessionTime;

/// What has to do with the human's messages in a period.
pub(super) struct Ears<'a> {
    pub player: &'a mut Player,
    pub thru: &'a mut Thru,
    pub tape: &'a mut Tape,
    pub held: &'a mut Held,
    pub heard: &'a mut Producer<TimedMessage>,
    pub slicer: &'a mut Slicer,
    pub pieces: &'a mut Producer<Piece>,
    pub routing: &'a Routing,
    pub controls: &'a Claims,
    pub status: &'a Status,
}

impl Ears<'_> {
    /// The port has this, which may be a message of the human, or an echo of ours.
    pub fn meet(&mut self, time: SessionTime, bytes: &[u8], out: &mut Placer<'_>) {
        let Ok(message) = ShortMessage::from_bytes(bytes) else {
            self.status.passed_over.fetch_add(1, Relaxed);
            return;
        };
        if self.routing.echoes.is_echo(time, message, &self.routing.hands) {
            self.status.echoes.fetch_add(1, Relaxed);
            return;
        }
        self.held.hear(message);
        self.hear(TimedMessage { time, message }, out);
    }

    /// A part of SysEx goes to the recorder.
    pub fn keep(&mut self, piece: Piece) {
        if self.pieces.push(piece).is_err() {
            self.status.sysex_dropped.fetch_add(1, Relaxed);
        }
    }

    /// The human sends this.
    fn hear(&mut self, timed: TimedMessage, out: &mut Placer<'_>) {
        let TimedMessage { time, message } = timed;
        self.status.received.fetch_add(1, Relaxed);
        self.routing.hands.hear(message);
        if self.controls.claims(message) {
            // Heard of in the next period.
            if self.controls.calls_for_panic(message) {
                self.routing.call_for_silence();
            }
        } else {
            let now = out.latency.musical(time);
            out.speaker.play(Part::Human, time, message);
            self.player.play(now, |time, message| out.send(time, message));
            self.tape.play(now, |time, message| out.pass_own(time, message));
            out.left = None;
            self.player.command(PlayerCommand::Human(timed), now, |time, message| out.send(time, message));
            self.tape.command(PlayerCommand::Human(timed), |message| out.pass_own(now, message));
            if message.takes_the_turn() {
                self.status.figures.human_struck();
                out.left.into_iter().for_each(|left| self.status.figures.barge_in.add(left.since(time)));
            }
            if self.thru.passes(message, self.routing.thru()) {
                out.pass(now, message);
            }
        }
        if self.heard.push(timed).is_err() {
            self.status.input_dropped.fetch_add(1, Relaxed);
            self.routing.hands.missed_in_a_ring();
        }
    }

    /// A source has gone: what the human held goes up, and a SysEx message that will not go on ends.
    pub fn let_go(&mut self, now: SessionTime, out: &mut Placer<'_>) {
        self.slicer.break_off().into_iter().for_each(|end| self.keep(end));
        std::mem::take(self.held).release(|message| self.hear(TimedMessage { time: now, message }, out));
    }
}
