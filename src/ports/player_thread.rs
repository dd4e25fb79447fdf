//! The player on a thread of its own, for MIDI systems that are sent to at the deadline.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::thread::{self, JoinHandle};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};

use super::PortError;
use crate::midi::{ShortMessage, TimedMessage};
use crate::player::{self, Player, PlayerCommand};
use crate::recorder::Happening;
use crate::status::Status;
use crate::time::{Clock, SessionTime};

/// Commands that may wait: a whole plan, and as much again for cancellations.
const COMMANDS: usize = 2 * player::CAPACITY;

/// An open port that messages are sent to.
pub(super) trait MidiOutput: Send {
    /// Sends now; false when the port refused.
    fn send(&mut self, message: ShortMessage) -> bool;
}

/// The running thread. Dropping it waits for the thread, which ends once nobody can command it any more; then what
/// sounds has been released.
pub struct PlayerThread {
    thread: Option<JoinHandle<()>>,
}

impl PlayerThread {
    /// Starts the thread; it ends when all clones of the sender are gone.
    pub(super) fn start(
        clock: Clock,
        player: Player,
        outputs: Vec<Box<dyn MidiOutput>>,
        record: Sender<Happening>,
        status: Arc<Status>,
    ) -> Result<(Sender<PlayerCommand>, Self), PortError> {
        let (sender, commands) = crossbeam_channel::bounded(COMMANDS);
        let performance = Performance { clock, player, wires: Wires { outputs, record, status } };
        let thread = thread::Builder::new()
            .name("player".into())
            .spawn(move || performance.run(&commands))
            .map_err(|error| PortError::Unavailable { system: "the player's thread", why: error.to_string() })?;
        Ok((sender, Self { thread: Some(thread) }))
    }
}

impl Drop for PlayerThread {
    fn drop(&mut self) {
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
    fn run(mut self, commands: &Receiver<PlayerCommand>) {
        loop {
            self.player.play(self.clock.now(), |time, message| self.wires.send(time, message));
            let command = match self.player.next_due() {
                Some(due) => commands.recv_deadline(self.clock.instant(due)),
                None => commands.recv().map_err(|_| RecvTimeoutError::Disconnected),
            };
            match command {
                Ok(command) => {
                    self.player.command(command, self.clock.now(), |time, message| self.wires.send(time, message));
                    self.status_of_queue();
                }
                Err(RecvTimeoutError::Timeout) => {}
                // Dropping the performance releases what sounds.
                Err(RecvTimeoutError::Disconnected) => return,
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
