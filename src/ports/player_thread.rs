//! The player on a thread of its own, for MIDI systems that are sent to at the deadline.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};

use super::PortError;
use super::realtime;
use crate::midi::{MidiEvent, ShortMessage, TimedMessage};
use crate::player::{self, Player, PlayerCommand};
use crate::status::Status;
use crate::take::Happening;
use crate::time::{Clock, SessionTime};

/// Orders that may wait: a whole plan, and as much again for cancellations.
const ORDERS: usize = 2 * player::CAPACITY;

/// How soon a note-off that a port refused is sent again.
const RETRY_AFTER: Duration = Duration::from_millis(5);

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
        let channel = player.channel();
        let wires = outputs.into_iter().map(|output| Wire { output, channel, owed: 0 }).collect();
        let performance = Performance { clock, player, wires: Wires { wires, record, status } };
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

/// One port, and the note-offs that it still owes because it refused them: bit `k` for key `k`.
struct Wire {
    output: Box<dyn MidiOutput>,
    channel: u8,
    owed: u128,
}

impl Wire {
    /// Sends now; a refused note-off is owed. False when the port refused.
    fn send(&mut self, message: ShortMessage) -> bool {
        let sent = self.output.send(message);
        match message.event() {
            MidiEvent::NoteOff { key, .. } if !sent => self.owed |= 1 << key,
            MidiEvent::NoteOn { key, .. } if sent => self.owed &= !(1 << key),
            _ => {}
        }
        sent
    }

    /// Sends what is owed.
    fn retry(&mut self) {
        let owed = self.owed;
        for key in (0..128u8).filter(|key| owed & (1 << key) != 0) {
            if self.output.send(ShortMessage::note_off(self.channel, key)) {
                self.owed &= !(1 << key);
            }
        }
    }
}

/// Where messages leave.
struct Wires {
    wires: Vec<Wire>,
    record: Sender<Happening>,
    status: Arc<Status>,
}

impl Wires {
    fn owe(&self) -> bool {
        self.wires.iter().any(|wire| wire.owed != 0)
    }

    fn retry(&mut self) {
        self.wires.iter_mut().filter(|wire| wire.owed != 0).for_each(Wire::retry);
    }

    /// Sends now what was due at `time`.
    fn send(&mut self, time: SessionTime, message: ShortMessage) {
        for wire in &mut self.wires {
            if !wire.send(message) {
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
            self.wires.retry();
            let retry_at = self.wires.owe().then(|| Instant::now() + RETRY_AFTER);
            let due = self.player.next_due().map(|due| self.clock.instant(due));
            let order = match due.into_iter().chain(retry_at).min() {
                Some(wake) => orders.recv_deadline(wake),
                None => orders.recv().map_err(|_| RecvTimeoutError::Disconnected),
            };
            match order {
                Ok(Order::Command(command)) => {
                    self.player.command(command, self.clock.now(), |time, message| self.wires.send(time, message));
                    self.wires.status.plan_refused.store(self.player.refused(), Relaxed);
                }
                Err(RecvTimeoutError::Timeout) => {}
                // Dropping the performance releases what sounds.
                Ok(Order::End) | Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }
}

impl Drop for Performance {
    /// Releases what sounds, also when the thread panics; then the session is over.
    fn drop(&mut self) {
        if thread::panicking() {
            self.wires.status.failed.store(true, Relaxed);
        }
        self.player.release(self.clock.now(), |time, message| self.wires.send(time, message));
        self.wires.retry();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::note::Note;
    use crate::player::PlannedNote;
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
        let (orders, thread, _) =
            PlayerThread::start(clock, Player::new(3), vec![port], record, Arc::clone(&status)).expect("started");
        let note = Note { onset: clock.now(), key: 60, duration: SessionDuration::from_millis(5), velocity: 80 };
        orders.send(Order::Command(PlayerCommand::Play(PlannedNote { epoch: 1, note }))).expect("listening");
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
