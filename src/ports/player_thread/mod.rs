//! The player on a thread of its own, for MIDI systems that are sent to at the deadline.

mod outlet;
pub(super) mod performance;
pub(super) mod wire;

use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Instant;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};
use performance::Performance;
use wire::{MidiOutput, Wire};

use super::cables::CableId;
use super::offset::Offset;
use super::realtime;
use super::routing::Routing;
use super::{PortError, Release, Silence, Wiring};
use crate::player::{self, PlayerCommand};

/// Orders that may wait: a whole plan, and as much again for cancellations.
pub(super) const ORDERS: usize = 2 * player::CAPACITY;

/// What reaches the player's thread.
pub enum Order {
    /// For the player.
    Command(PlayerCommand),
    /// A change of its ports.
    Ports(Change),
    /// Silence has been called for.
    Look,
    /// Release what sounds and end.
    End,
}

/// A change of the ports that messages leave by. Made elsewhere, so that the player's thread neither waits nor takes
/// memory.
pub struct Change(Replug);

enum Replug {
    /// Messages leave by this as well from now on. It takes over the debts of the wire of the same cable.
    Plug(Box<Wire>),
    /// The port at the end of this cable has gone.
    Unplug(CableId),
    /// The cable is wanted no longer.
    Remove(CableId),
}

/// What the player's thread is done with.
pub(super) enum Scrap {
    Wire(#[expect(dead_code, reason = "only to be dropped")] Box<Wire>),
    Output(#[expect(dead_code, reason = "only to be dropped")] Box<dyn MidiOutput>),
}

impl Change {
    pub(super) fn plug(wire: Wire) -> Order {
        Order::Ports(Self(Replug::Plug(Box::new(wire))))
    }

    pub(super) fn unplug(cable: CableId) -> Order {
        Order::Ports(Self(Replug::Unplug(cable)))
    }

    pub(super) fn remove(cable: CableId) -> Order {
        Order::Ports(Self(Replug::Remove(cable)))
    }
}

/// A thread that plays, and how to reach it.
pub(super) struct Started {
    pub orders: Sender<Order>,
    pub thread: PlayerThread,
    /// How well it keeps time, in words.
    pub timing: String,
    /// What it is done with: to be emptied, and dropped, by a thread that may wait.
    pub scrap: Receiver<Scrap>,
}

/// The running thread. Dropping it ends the thread; then what sounds has been released.
pub struct PlayerThread {
    orders: Sender<Order>,
    /// Nothing comes here; it closes when the thread has ended.
    ended: Receiver<()>,
    thread: Option<JoinHandle<()>>,
}

impl PlayerThread {
    /// Starts the thread with our own port, if there is one. The player lives in musical time; `earliest` is the offset
    /// of the port at which messages leave first.
    pub(super) fn start(
        output: Option<(Box<dyn MidiOutput>, Offset)>,
        earliest: Offset,
        wiring: &mut Wiring,
    ) -> Result<Started, PortError> {
        let (sender, orders) = crossbeam_channel::bounded(ORDERS);
        let (at_the_end, ended) = crossbeam_channel::bounded(0);
        let (tell_priority, priority) = crossbeam_channel::bounded(1);
        let (performance, scrap) = Performance::new(output, earliest, wiring);
        let thread = thread::Builder::new()
            .name("player".into())
            .spawn(move || {
                let _ = tell_priority.send(realtime::raise());
                performance.run(&orders);
                drop(at_the_end);
            })
            .map_err(|error| PortError::Unavailable { system: "the player's thread", why: error.to_string() })?;
        let timing = priority.recv().unwrap_or_default();
        let thread = Self { orders: sender.clone(), ended, thread: Some(thread) };
        Ok(Started { orders: sender, thread, timing, scrap })
    }

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

    /// Calls for silence from any other thread. The call has a place of its own, so that no full queue stops it.
    pub(super) fn silence(&self, routing: &Arc<Routing>) -> Silence {
        silence(self.orders.clone(), Arc::clone(routing))
    }
}

/// Calls for silence at the other end of the queue `orders`.
pub(super) fn silence(orders: Sender<Order>, routing: Arc<Routing>) -> Silence {
    Arc::new(move || {
        routing.call_for_silence();
        // A thread whose queue is full is awake.
        let _ = orders.try_send(Order::Look);
    })
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

#[cfg(test)]
mod tests;
