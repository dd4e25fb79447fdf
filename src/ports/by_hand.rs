//! The player's thread and ports that listen, moved by hand under virtual time: for tests of whole sessions.

use std::sync::Arc;

use crossbeam_channel::{Receiver, Sender, TryRecvError};

use super::cables::CableId;
use super::listening::Listening;
use super::player_thread::performance::Performance;
pub(crate) use super::player_thread::wire::MidiOutput;
use super::player_thread::wire::Wire;
use super::player_thread::{Change, ORDERS, Scrap, silence};
use super::{Offset, Order, PlayerLink, Silence, Wiring};
use crate::time::{Clock, SessionTime};

/// What a thread would run.
pub(crate) struct PlayerByHand {
    performance: Performance,
    sender: Sender<Order>,
    orders: Receiver<Order>,
    scrap: Receiver<Scrap>,
    earliest: Offset,
    wiring: Wiring,
}

impl PlayerByHand {
    /// With our own port; `earliest` is the offset of the port at which messages leave first.
    pub(crate) fn new(own: Box<dyn MidiOutput>, offset: Offset, earliest: Offset, mut wiring: Wiring) -> Self {
        let (sender, orders) = crossbeam_channel::bounded(ORDERS);
        let (performance, scrap) = Performance::new(Some((own, offset)), earliest, &mut wiring);
        Self { performance, sender, orders, scrap, earliest, wiring }
    }

    /// How the conductor reaches it.
    pub(crate) fn link(&self) -> PlayerLink {
        PlayerLink::Thread(self.sender.clone())
    }

    /// How anybody calls for silence.
    pub(crate) fn silence(&self) -> Silence {
        silence(self.sender.clone(), Arc::clone(&self.wiring.routing))
    }

    /// A port that listens.
    pub(crate) fn source(&self) -> SourceByHand {
        let sink = self.wiring.input.clone().telling(self.sender.clone(), Arc::clone(&self.wiring.routing));
        SourceByHand { clock: self.wiring.clock, listening: Listening::new(self.wiring.clock, sink) }
    }

    /// Keys that the human is believed to hold, on any channel.
    pub(crate) fn keys_held(&self) -> usize {
        self.performance.keys_held()
    }

    /// Does all that is to be done now; false when it has come to its end.
    pub(crate) fn run(&mut self) -> bool {
        self.scrap.try_iter().for_each(drop);
        loop {
            self.performance.play();
            match self.orders.try_recv() {
                Ok(order) => {
                    if !self.performance.take(order, &self.orders) {
                        return false;
                    }
                }
                Err(TryRecvError::Empty) => return true,
                Err(TryRecvError::Disconnected) => return false,
            }
        }
    }

    /// When there is something to do next, if nobody tells it anything.
    pub(crate) fn next_wake(&self) -> Option<SessionTime> {
        self.performance.next_wake()
    }

    /// A named port has come, or has come back. Like the keeper it makes room first where there is none.
    pub(crate) fn plug(&mut self, cable: CableId, port: Box<dyn MidiOutput>, offset: Offset) {
        self.order(Change::plug(Wire::new(Some(cable), port, offset, self.earliest)));
    }

    /// It has gone.
    pub(crate) fn unplug(&mut self, cable: CableId) {
        self.order(Change::unplug(cable));
    }

    /// It is wanted no longer.
    pub(crate) fn remove(&mut self, cable: CableId) {
        self.order(Change::remove(cable));
    }

    /// Ends as its thread does, after all that was ordered before.
    pub(crate) fn end(mut self) {
        self.order(Order::End);
        assert!(!self.run(), "it goes on");
    }

    /// The keeper waits while the queue is full; here nobody else would empty it.
    fn order(&mut self, order: Order) {
        if self.sender.is_full() {
            self.run();
        }
        self.sender.try_send(order).expect("there is room");
    }
}

/// A port that listens.
pub(crate) struct SourceByHand {
    clock: Clock,
    listening: Listening,
}

impl SourceByHand {
    /// Its driver has this.
    pub(crate) fn hear(&mut self, bytes: &[u8]) {
        self.listening.hear(self.clock.now().as_micros(), bytes);
    }

    /// It has gone.
    pub(crate) fn go(&mut self) {
        self.listening.release();
    }
}
