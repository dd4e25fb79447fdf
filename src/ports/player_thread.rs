//! The player on a thread of its own, for MIDI systems that are sent to at the deadline.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::thread::{self, JoinHandle};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};

use super::PortError;
use super::realtime;
use crate::midi::{ShortMessage, TimedMessage};
use crate::player::{self, Player, PlayerCommand};
use crate::recorder::Happening;
use crate::status::Status;
use crate::time::{Clock, SessionTime};

/// Orders that may wait: a whole plan, and as much again for cancellations.
const ORDERS: usize = 2 * player::CAPACITY;

/// An open port that messages are sent to.
pub(super) trait MidiOutput: Send {
    /// Sends now; false when the port refused.
    fn send(&mut self, message: ShortMessage) -> bool;
}

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
    thread: Option<JoinHandle<()>>,
}

impl PlayerThread {
    /// Starts the thread, and says in words how well it keeps time.
    pub(super) fn start(
        clock: Clock,
        player: Player,
        outputs: Vec<Box<dyn MidiOutput>>,
        record: Sender<Happening>,
        status: Arc<Status>,
    ) -> Result<(Sender<Order>, Self, String), PortError> {
        let (sender, orders) = crossbeam_channel::bounded(ORDERS);
        let (tell_priority, priority) = crossbeam_channel::bounded(1);
        let performance = Performance { clock, player, wires: Wires { outputs, record, status } };
        let thread = thread::Builder::new()
            .name("player".into())
            .spawn(move || {
                let _ = tell_priority.send(realtime::raise());
                performance.run(&orders);
            })
            .map_err(|error| PortError::Unavailable { system: "the player's thread", why: error.to_string() })?;
        let timing = priority.recv().unwrap_or_default();
        Ok((sender.clone(), Self { orders: sender, thread: Some(thread) }, timing))
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
    player: Player,
    wires: Wires,
}

/// Where messages leave.
struct Wires {
    outputs: Vec<Box<dyn MidiOutput>>,
    record: Sender<Happening>,
    status: Arc<Status>,
}

impl Wires {
    /// Sends now what was due at `time`.
    fn send(&mut self, time: SessionTime, message: ShortMessage) {
        for output in &mut self.outputs {
            if !output.send(message) {
                self.status.send_failed.fetch_add(1, Relaxed);
            }
        }
        self.status.sent(message);
        // Policy when full: the copy is dropped and counted; the sound goes on.
        if self.record.try_send(Happening::Ai(TimedMessage { time, message })).is_err() {
            self.status.record_dropped.fetch_add(1, Relaxed);
        }
    }
}

impl Performance {
    fn run(mut self, orders: &Receiver<Order>) {
        loop {
            self.player.play(self.clock.now(), |time, message| self.wires.send(time, message));
            let order = match self.player.next_due() {
                Some(due) => orders.recv_deadline(self.clock.instant(due)),
                None => orders.recv().map_err(|_| RecvTimeoutError::Disconnected),
            };
            match order {
                Ok(Order::Command(command)) => {
                    self.player.command(command, self.clock.now(), |time, message| self.wires.send(time, message));
                    self.status_of_queue();
                }
                Err(RecvTimeoutError::Timeout) => {}
                // Dropping the performance releases what sounds.
                Ok(Order::End) | Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn status_of_queue(&self) {
        self.wires.status.plan_dropped.store(self.player.refused(), Relaxed);
    }
}

impl Drop for Performance {
    /// Releases what sounds, also when the thread panics.
    fn drop(&mut self) {
        self.player.release(self.clock.now(), |time, message| self.wires.send(time, message));
    }
}
