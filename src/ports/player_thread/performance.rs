//! The performance: what the player's thread does each time it wakes, and all that it may touch for that.
//!
//! On JACK the same is done in each period (`ports/jack/performance.rs`).

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::thread;
use std::time::Instant;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};

use super::outlet::Outlet;
use super::wire::MidiOutput;
use super::{Change, Order, Replug, Scrap};
use crate::fault;
use crate::life::BEAT_EVERY;
use crate::midi::{ShortMessage, TimedMessage};
use crate::playback::Tape;
use crate::player::{Player, PlayerCommand};
use crate::ports::cables::MOST;
use crate::ports::{Offset, Wiring};
use crate::synth::Part;
use crate::thru::Thru;
use crate::time::{Clock, SessionDuration, SessionTime};

/// How soon a note-off that a port refused is sent again.
const RETRY_AFTER: SessionDuration = SessionDuration::from_millis(5);

/// How often that is tried at the end: the way out waits for half a second.
const LAST_TRIES: usize = 80;

/// What the thread is done with and may not drop itself, since closing a port takes its time. When it is full, which
/// takes hundreds of ports within a quarter of a second, the thread drops it all the same.
const SCRAP: usize = 4 * MOST;

/// Everything that the player's thread may touch.
pub(in crate::ports) struct Performance {
    clock: Clock,
    /// That of the earliest port. The player lives in musical time.
    offset: Offset,
    player: Player,
    thru: Thru,
    /// A take that is played back.
    tape: Tape,
    outlet: Outlet,
    throw_away: Sender<Scrap>,
}

impl Performance {
    /// With our own port, if there is one; and what it is done with.
    pub fn new(
        output: Option<(Box<dyn MidiOutput>, Offset)>,
        earliest: Offset,
        wiring: &mut Wiring,
    ) -> (Self, Receiver<Scrap>) {
        let (throw_away, scrap) = crossbeam_channel::bounded(SCRAP);
        let performance = Self {
            clock: wiring.clock,
            offset: earliest,
            player: Player::default(),
            thru: Thru::default(),
            tape: Tape::default(),
            outlet: Outlet::new(output, earliest, wiring),
            throw_away,
        };
        (performance, scrap)
    }

    /// What the thread runs, until it is told to end.
    pub fn run(mut self, orders: &Receiver<Order>) {
        loop {
            self.outlet.status.life.player.beat();
            self.play();
            // It does not sleep for so long that it seems to hang.
            let beat = Instant::now() + BEAT_EVERY;
            let wake = self.next_wake().map_or(beat, |wake| beat.min(self.clock.instant(wake)));
            let order = orders.recv_deadline(wake);
            fault::point("player");
            let goes_on = match order {
                Ok(order) => self.take(order, orders),
                Err(RecvTimeoutError::Timeout) => true,
                Err(RecvTimeoutError::Disconnected) => false,
            };
            if !goes_on {
                return;
            }
        }
    }

    /// Sends what is due.
    pub fn play(&mut self) {
        let now = self.offset.musical(self.clock.now());
        self.player.play(now, |time, message| self.outlet.send(time, message));
        self.tape.play(now, |_, message| self.outlet.replay(message));
        self.outlet.catch_up();
    }

    /// When there is something to send, if no order comes before.
    pub fn next_wake(&self) -> Option<SessionTime> {
        let wires = &self.outlet.wires;
        let retry_at = wires.iter().any(|wire| wire.owes()).then(|| self.clock.now() + RETRY_AFTER);
        let planned = self.player.next_due().into_iter().chain(self.tape.next_due()).min();
        let planned = planned.map(|due| self.offset.leaves_at(due));
        planned.into_iter().chain(wires.iter().filter_map(|wire| wire.next_due())).chain(retry_at).min()
    }

    /// Takes an order from the queue `orders`; false when it is to end.
    pub fn take(&mut self, order: Order, orders: &Receiver<Order>) -> bool {
        self.outlet.status.figures.player_queue.saw(orders.len());
        if !self.follow(order) {
            return false;
        }
        if orders.is_empty() && self.outlet.routing.hands.player_missed() {
            self.mend();
        }
        !self.outlet.routing.takes_call_for_silence() || self.fall_silent(orders)
    }

    /// Does what an order says; false when it is to end. Dropping the performance then releases what sounds.
    fn follow(&mut self, order: Order) -> bool {
        match order {
            Order::Command(command) => self.obey(command),
            Order::Ports(Change(change)) => self.change(change),
            Order::Look => {}
            Order::End => return false,
        }
        true
    }

    /// Does what the player is told, and passes on what the human played.
    fn obey(&mut self, command: PlayerCommand) {
        let now = self.offset.musical(self.clock.now());
        self.outlet.left = None;
        if let PlayerCommand::Human(timed) = command {
            self.outlet.speaker.play(Part::Human, timed.time, timed.message);
        }
        self.player.command(command, now, |time, message| self.outlet.send_at_once(time, message));
        self.tape.command(command, |message| self.outlet.end_replay(message));
        match command {
            PlayerCommand::Human(timed) if timed.message.takes_the_turn() => {
                let figures = &self.outlet.status.figures;
                figures.human_struck();
                self.outlet.left.into_iter().for_each(|left| figures.barge_in.add(left.since(timed.time)));
            }
            _ => {}
        }
        match command {
            PlayerCommand::Human(timed) if self.thru.passes(timed.message, self.outlet.routing.thru()) => {
                self.outlet.pass(timed.message);
            }
            PlayerCommand::Panic => {
                self.thru.release(|message| self.outlet.pass(message));
                self.outlet.speaker.silence_human(self.clock.now());
            }
            _ => {}
        }
        if !self.tape.plays() {
            (0..16).filter(|channel| !self.player.answers(*channel)).for_each(|channel| self.outlet.silence(channel));
        }
        self.outlet.status.plan_refused.store(self.player.refused() + self.tape.refused(), Relaxed);
        self.outlet.status.gated.store(self.player.gated(), Relaxed);
    }

    /// A port comes or goes.
    fn change(&mut self, change: Replug) {
        let wires = &mut self.outlet.wires;
        let mut of = |cable| wires.iter_mut().position(|wire| wire.cable == Some(cable));
        let scrap = match change {
            Replug::Plug(mut wire) => match wire.cable.and_then(&mut of) {
                Some(place) => {
                    wire.inherit(&mut wires[place]);
                    Some(Scrap::Wire(std::mem::replace(&mut wires[place], wire)))
                }
                // The keeper lets no more cables be wanted than there is room for.
                None if wires.len() < wires.capacity() => {
                    wires.push(wire);
                    None
                }
                None => Some(Scrap::Wire(wire)),
            },
            Replug::Unplug(cable) => of(cable).and_then(|place| wires[place].unplug()).map(Scrap::Output),
            Replug::Remove(cable) => of(cable).map(|place| {
                let mut wire = wires.swap_remove(place);
                wire.release();
                Scrap::Wire(wire)
            }),
        };
        if let Some(scrap) = scrap {
            let _ = self.throw_away.try_send(scrap);
        }
    }

    /// A queue was full: whatever the human is believed to hold and does not hold goes up.
    fn mend(&mut self) {
        let now = self.clock.now();
        let (player, mut thru) = (&self.player, self.thru.clone());
        let mut gone = Thru::default();
        let routing = Arc::clone(&self.outlet.routing);
        // Keys and pedals: the ledger of what is passed on holds both.
        let mut note = |message: ShortMessage| {
            if !routing.hands.holds(message) {
                let down = match *message.as_bytes() {
                    [status @ 0xb0..=0xbf, pedal, _] => ShortMessage::control_change(status & 15, pedal, 127),
                    _ => ShortMessage::note_on(message.channel().unwrap_or(0), message.as_bytes()[1], 64),
                };
                gone.passes(down, true);
            }
        };
        player.held(&mut note);
        thru.release(&mut note);
        gone.release(|message| self.obey(PlayerCommand::Human(TimedMessage { time: now, message })));
    }

    /// Silence, after all that was planned before it was called for; false when it is to end.
    fn fall_silent(&mut self, orders: &Receiver<Order>) -> bool {
        let before = orders.len();
        let goes_on = orders.try_iter().take(before).all(|order| self.follow(order));
        self.obey(PlayerCommand::Panic);
        goes_on
    }

    /// How many keys the human is believed to hold.
    #[cfg(test)]
    pub fn keys_held(&self) -> usize {
        let mut count = 0;
        self.player.held(|_| count += 1);
        count
    }
}

impl Drop for Performance {
    /// Releases what sounds, also when the thread panics; then the session is over.
    fn drop(&mut self) {
        if thread::panicking() {
            self.outlet.status.failed.store(true, Relaxed);
        }
        let now = self.offset.musical(self.clock.now());
        self.player.release(now, |time, message| self.outlet.send_at_once(time, message));
        self.tape.stop(|message| self.outlet.end_replay(message));
        (0..16).for_each(|channel| self.outlet.silence(channel));
        self.thru.release(|message| self.outlet.pass(message));
        // A panic may have come between a ledger and its port.
        self.outlet.wires.iter_mut().for_each(|wire| wire.owe_all());
        self.outlet.catch_up();
        // A port that is busy gets some time; nothing else is to be done any more.
        for _ in 0..LAST_TRIES {
            if !self.outlet.wires.iter().any(|wire| wire.owes()) {
                return;
            }
            thread::sleep(RETRY_AFTER.into());
            self.outlet.catch_up();
        }
    }
}
