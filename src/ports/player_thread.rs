//! The player on a thread of its own, for MIDI systems that are sent to at the deadline.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};

use super::offset::Offset;
use super::realtime;
use super::routing::Routing;
use super::wire::{Outlet, Wire, earliest};
use super::{PortError, Release};
use crate::echo::Origin;
use crate::midi::{ShortMessage, TimedMessage};
use crate::player::{self, Player, PlayerCommand};
use crate::status::Status;
use crate::take::Happening;
use crate::thru::Thru;
use crate::time::{Clock, SessionTime};

/// Orders that may wait: a whole plan, and as much again for cancellations.
const ORDERS: usize = 2 * player::CAPACITY;

/// How soon a note-off that a port refused is sent again.
const RETRY_AFTER: Duration = Duration::from_millis(5);

/// What reaches the player's thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// For the player.
    Command(PlayerCommand),
    /// Release what sounds and end.
    End,
}

/// The running thread. Dropping it ends the thread; then what sounds has been released.
pub struct PlayerThread {
    orders: Sender<Order>,
    /// Nothing comes here; it closes when the thread has ended.
    ended: Receiver<()>,
    thread: Option<JoinHandle<()>>,
}

impl PlayerThread {
    /// Starts the thread, and says in words how well it keeps time.
    pub(super) fn start(
        clock: Clock,
        outlets: Vec<Outlet>,
        routing: Arc<Routing>,
        record: Sender<Happening>,
        status: Arc<Status>,
    ) -> Result<(Sender<Order>, Self, String), PortError> {
        let (sender, orders) = crossbeam_channel::bounded(ORDERS);
        let (at_the_end, ended) = crossbeam_channel::bounded(0);
        let (tell_priority, priority) = crossbeam_channel::bounded(1);
        let offset = earliest(&outlets);
        let wires = outlets.into_iter().map(|outlet| Wire::new(outlet, offset)).collect();
        let wires = Wires { clock, offset, wires, left: None, routing, record, status };
        let performance = Performance { clock, offset, player: Player::default(), thru: Thru::default(), wires };
        let thread = thread::Builder::new()
            .name("player".into())
            .spawn(move || {
                let _ = tell_priority.send(realtime::raise());
                performance.run(&orders);
                drop(at_the_end);
            })
            .map_err(|error| PortError::Unavailable { system: "the player's thread", why: error.to_string() })?;
        let timing = priority.recv().unwrap_or_default();
        Ok((sender.clone(), Self { orders: sender, ended, thread: Some(thread) }, timing))
    }
}

impl PlayerThread {
    /// Ends the thread from any other one.
    pub(super) fn release(&self) -> Release {
        let (orders, ended) = (self.orders.clone(), self.ended.clone());
        Arc::new(move |within| {
            let until = Instant::now() + within;
            // An error is a thread that has ended already, or one whose queue stays full.
            let _ = orders.send_deadline(Order::End, until);
            matches!(ended.recv_deadline(until), Err(RecvTimeoutError::Disconnected))
        })
    }
}

impl Drop for PlayerThread {
    fn drop(&mut self) {
        // Waits while the queue is full: the thread empties it, or has ended already.
        let _ = self.orders.send(Order::End);
        if let Some(thread) = self.thread.take() {
            // A panic in the thread has released the notes on its way out, and is reported by the panic hook.
            let _ = thread.join();
        }
    }
}

/// Everything that the player's thread may touch.
struct Performance {
    clock: Clock,
    /// That of the earliest port. The player lives in musical time.
    offset: Offset,
    player: Player,
    thru: Thru,
    wires: Wires,
}

/// Where messages leave.
struct Wires {
    clock: Clock,
    /// That of the earliest port.
    offset: Offset,
    wires: Vec<Wire>,
    /// When the last message of an answer left.
    left: Option<SessionTime>,
    routing: Arc<Routing>,
    record: Sender<Happening>,
    status: Arc<Status>,
}

impl Wires {
    /// Sends what the plan wants at the musical time `time`, which is now at the earliest port.
    fn send(&mut self, time: SessionTime, message: ShortMessage) {
        let left = self.write(message, Origin::Own, Wire::send);
        if message.is_note_on() {
            self.status.figures.note_left(self.offset.leaves_at(time), left);
        }
        self.note_down(time, message);
    }

    /// Sends at once what ends a note out of turn; it is heard at the musical time `time`.
    fn send_at_once(&mut self, time: SessionTime, message: ShortMessage) {
        self.left = Some(self.write(message, Origin::Own, Wire::send_at_once));
        self.note_down(time, message);
    }

    /// Passes on what the human played; it is recorded as theirs.
    fn pass(&mut self, message: ShortMessage) {
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
        if self.wires.iter().any(Wire::is_prompt) {
            self.routing.echoes.sent(now, message, origin);
        }
        for wire in &mut self.wires {
            way(wire, now, message, &self.routing);
        }
        self.count_refusals();
        self.clock.now()
    }

    fn note_down(&self, time: SessionTime, message: ShortMessage) {
        self.status.sent(message);
        // Policy when full: the copy is dropped and counted; the sound goes on.
        if self.record.try_send(Happening::Ai(TimedMessage { time, message })).is_err() {
            self.status.record_dropped.fetch_add(1, Relaxed);
        }
    }

    /// The answer on `channel` is over.
    fn silence(&mut self, channel: u8) {
        let now = self.clock.now();
        self.wires.iter_mut().for_each(|wire| wire.silence(now, channel, &self.routing));
    }

    fn catch_up(&mut self) {
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

impl Performance {
    fn run(mut self, orders: &Receiver<Order>) {
        loop {
            let now = self.offset.musical(self.clock.now());
            self.player.play(now, |time, message| self.wires.send(time, message));
            self.wires.catch_up();
            let order = self.next_order(orders);
            self.wires.status.figures.player_queue.saw(orders.len());
            match order {
                Ok(Order::Command(command)) => self.take(command),
                Err(RecvTimeoutError::Timeout) => {}
                // Dropping the performance releases what sounds.
                Ok(Order::End) | Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    /// Sleeps until there is an order or something to send.
    fn next_order(&self, orders: &Receiver<Order>) -> Result<Order, RecvTimeoutError> {
        let wires = &self.wires.wires;
        let retry_at = wires.iter().any(Wire::owes).then(|| Instant::now() + RETRY_AFTER);
        let planned = self.player.next_due().map(|due| self.offset.leaves_at(due));
        let due = planned.into_iter().chain(wires.iter().filter_map(Wire::next_due)).min();
        match due.map(|due| self.clock.instant(due)).into_iter().chain(retry_at).min() {
            Some(wake) => orders.recv_deadline(wake),
            None => orders.recv().map_err(|_| RecvTimeoutError::Disconnected),
        }
    }

    fn take(&mut self, command: PlayerCommand) {
        let now = self.offset.musical(self.clock.now());
        self.wires.left = None;
        self.player.command(command, now, |time, message| self.wires.send_at_once(time, message));
        match command {
            PlayerCommand::Human(timed) if timed.message.takes_the_turn() => {
                let figures = &self.wires.status.figures;
                figures.human_struck();
                self.wires.left.into_iter().for_each(|left| figures.barge_in.add(left.since(timed.time)));
            }
            _ => {}
        }
        match command {
            PlayerCommand::Human(timed) if self.thru.passes(timed.message, self.wires.routing.thru()) => {
                self.wires.pass(timed.message);
            }
            PlayerCommand::Panic => self.thru.release(|message| self.wires.pass(message)),
            _ => {}
        }
        (0..16).filter(|channel| !self.player.answers(*channel)).for_each(|channel| self.wires.silence(channel));
        self.wires.status.plan_refused.store(self.player.refused(), Relaxed);
        self.wires.status.gated.store(self.player.gated(), Relaxed);
    }
}

impl Drop for Performance {
    /// Releases what sounds, also when the thread panics; then the session is over.
    fn drop(&mut self) {
        if thread::panicking() {
            self.wires.status.failed.store(true, Relaxed);
        }
        let now = self.offset.musical(self.clock.now());
        self.player.release(now, |time, message| self.wires.send_at_once(time, message));
        (0..16).for_each(|channel| self.wires.silence(channel));
        self.thru.release(|message| self.wires.pass(message));
        self.wires.catch_up();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::note::Note;
    use crate::player::PlannedNote;
    use crate::ports::wire::MidiOutput;
    use crate::time::SessionDuration;

    /// A port that refuses its first note-offs, and remembers what it took.
    struct Reluctant {
        refusals: usize,
        took: Arc<Mutex<Vec<ShortMessage>>>,
    }

    impl MidiOutput for Reluctant {
        fn send(&mut self, message: ShortMessage) -> bool {
            if !message.is_note_on() && self.refusals > 0 {
                self.refusals -= 1;
                return false;
            }
            self.took.lock().expect("not poisoned").push(message);
            true
        }
    }

    /// What a port that refuses that many note-offs has taken of one short note, and the failures counted.
    fn played(refusals: usize) -> (Vec<ShortMessage>, u64) {
        let took = Arc::new(Mutex::new(Vec::new()));
        let status = Arc::new(Status::default());
        let (record, _recorded) = crossbeam_channel::bounded(16);
        let port = Box::new(Reluctant { refusals, took: Arc::clone(&took) });
        let clock = Clock::new();
        let outlets = vec![Outlet { output: port, offset: Offset::default() }];
        let (orders, thread, _) =
            PlayerThread::start(clock, outlets, Arc::default(), record, Arc::clone(&status)).expect("started");
        let note = Note { onset: clock.now(), key: 60, duration: SessionDuration::from_millis(5), velocity: 80 };
        orders
            .send(Order::Command(PlayerCommand::Play(PlannedNote { epoch: 1, channel: 3, note })))
            .expect("listening");
        let begun = Instant::now();
        while took.lock().expect("not poisoned").len() < 2 && begun.elapsed() < Duration::from_secs(10) {
            thread::sleep(Duration::from_millis(1));
        }
        drop(thread);
        let took = took.lock().expect("not poisoned").clone();
        (took, status.send_failed.load(Relaxed))
    }

    #[test]
    fn a_note_off_that_the_port_refused_is_sent_again() {
        let whole = vec![ShortMessage::note_on(3, 60, 80), ShortMessage::note_off(3, 60)];
        assert_eq!(played(0), (whole.clone(), 0));
        assert_eq!(played(3), (whole, 1));
    }
}
