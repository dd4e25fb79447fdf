//! A live session: builds the queues and threads, knows the order in which they start and stop.
//!
//! ```text
//! MIDI in --> conductor --> player --> MIDI out
//!                 \------------\--> recorder --> AI_generated.mid
//! ```
//! Stopped from the sources to the sinks. The ports are opened before anything is written.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::thread::{self, JoinHandle};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};
use thiserror::Error;

use crate::conductor::{Action, Conductor};
use crate::midi::TimedMessage;
use crate::model::{ModelError, NoteModel};
use crate::player::{Player, PlayerCommand};
use crate::ports::{self, Attachments, Backend, Cue, FilePlayer, InputSink, OpenPorts, PlayerLink, PortError, Wiring};
use crate::recorder::{RecordError, Recorder};
use crate::status::Status;
use crate::take::{Happening, Take};
use crate::time::{Clock, SessionTime};

/// Human messages that may wait for the conductor: a second of MIDI at its full rate on three cables. When it is
/// full the newest message is dropped and counted.
const INPUT_QUEUE: usize = 4096;

/// Happenings that may wait for the recorder, which looks twenty times a second. When it is full the newest is
/// dropped and counted.
const RECORD_QUEUE: usize = 65_536;

/// What a live session is made of.
#[derive(Clone, Debug)]
pub struct LiveSettings {
    /// Which MIDI system.
    pub backend: Backend,
    /// Named ports to attach to.
    pub attachments: Attachments,
    /// MIDI channel of the answer, in `0..16`.
    pub channel: u8,
    /// Where the take is written.
    pub take: PathBuf,
}

/// Why a session could not start or ended by itself.
#[derive(Debug, Error)]
pub enum SessionError {
    /// The ports.
    #[error(transparent)]
    Port(#[from] PortError),
    /// The take.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// The model.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// A thread.
    #[error("no thread could be started: {0}")]
    Thread(std::io::Error),
    /// The MIDI system stopped while we played.
    #[error("the MIDI system has gone; what was played is in the take")]
    SystemGone,
}

/// A session that runs. [`LiveSession::stop`] ends it in order; so does dropping it.
pub struct LiveSession {
    /// Counters.
    pub status: Arc<Status>,
    /// The MIDI system, in words.
    pub system: String,
    /// How well the player keeps time, in words.
    pub timing: String,
    /// Ports that listen, in words.
    pub listening: Vec<String>,
    /// Ports that we send to, in words.
    pub sending: Vec<String>,
    /// The earlier take of the same name, which was moved here.
    pub moved_aside: Option<PathBuf>,
    clock: Clock,
    // Dropped in this order: sources first.
    file_player: Option<FilePlayer>,
    inputs: Vec<Box<dyn Send>>,
    input: InputSink,
    to_conductor: Sender<Cue>,
    conductor: Option<JoinHandle<Result<(), ModelError>>>,
    output: Option<Box<dyn Send>>,
    recorder: Option<Recorder>,
}

impl LiveSession {
    /// Opens the ports and starts every thread. `clock` has been started by the caller.
    ///
    /// # Errors
    /// When the take cannot be written, a port is missing or the system refuses a thread.
    pub fn start<M: NoteModel + 'static>(
        settings: &LiveSettings,
        clock: Clock,
        conductor: Conductor<M>,
    ) -> Result<Self, SessionError> {
        let status = Arc::new(Status::default());
        let (from_conductor, conducted) = crossbeam_channel::bounded(RECORD_QUEUE);
        let (from_player, played) = crossbeam_channel::bounded(RECORD_QUEUE);
        let (to_conductor, heard) = crossbeam_channel::bounded(INPUT_QUEUE);

        let input = InputSink::new(to_conductor.clone(), Arc::clone(&status));
        let OpenPorts { system, timing, lead, listening, sending, player, inputs, output } = ports::open(
            settings.backend,
            &settings.attachments,
            Wiring {
                clock,
                input: input.clone(),
                player: Player::new(settings.channel),
                record: from_player,
                status: Arc::clone(&status),
            },
        )?;
        // After the ports, so that a wrong port name neither moves an earlier take nor leaves an empty one.
        let recorder = Recorder::start(&settings.take, vec![conducted, played], Arc::clone(&status))?;
        let conductor = conductor.leading_by(lead);
        let desk = Desk { player, unsent: None, record: from_conductor, status: Arc::clone(&status) };
        let stand = Stand { clock, conductor, heard, desk };
        let conductor =
            thread::Builder::new().name("conductor".into()).spawn(move || stand.run()).map_err(SessionError::Thread)?;
        Ok(Self {
            status,
            system,
            timing,
            listening,
            sending,
            moved_aside: recorder.moved_aside.clone(),
            clock,
            file_player: None,
            inputs,
            input,
            to_conductor,
            conductor: Some(conductor),
            output: Some(output),
            recorder: Some(recorder),
        })
    }

    /// Lets a file play the human from now on; its messages are in time order on the session's clock.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn play_as_human(&mut self, messages: Vec<TimedMessage>) -> Result<(), SessionError> {
        let player = FilePlayer::start(self.clock, messages, self.input.clone()).map_err(SessionError::Thread)?;
        self.file_player = Some(player);
        Ok(())
    }

    /// The session's time now.
    pub fn now(&self) -> SessionTime {
        self.clock.now()
    }

    /// Ends the session: stops listening, releases what sounds, closes the take.
    ///
    /// # Errors
    /// When the model or the MIDI system failed on the way, or the take could not be written; the rest has been done
    /// all the same.
    pub fn stop(mut self) -> Result<Take, SessionError> {
        let conducted = self.close();
        let take = self.recorder.take().map_or_else(|| Ok(Take::default()), Recorder::finish)?;
        conducted?;
        if self.status.failed.load(Relaxed) {
            return Err(SessionError::SystemGone);
        }
        Ok(take)
    }

    /// Everything but the recorder, from the sources to the sinks.
    fn close(&mut self) -> Result<(), SessionError> {
        self.file_player = None;
        self.inputs.clear();
        // Waits while the queue is full: the conductor empties it, or has ended already.
        let _ = self.to_conductor.send(Cue::Stop);
        let conducted = self.conductor.take().map(JoinHandle::join);
        // Nothing new is planned any more: the player releases what sounds and ends.
        self.output = None;
        match conducted {
            Some(Ok(result)) => Ok(result?),
            Some(Err(panic)) => std::panic::resume_unwind(panic),
            None => Ok(()),
        }
    }
}

impl Drop for LiveSession {
    fn drop(&mut self) {
        // Whoever wants to know how it went calls `stop`.
        let _ = self.close();
    }
}

/// Everything that the conductor's thread may touch.
struct Stand<M> {
    clock: Clock,
    conductor: Conductor<M>,
    heard: Receiver<Cue>,
    desk: Desk,
}

impl<M: NoteModel> Stand<M> {
    /// Runs until it is told to stop.
    fn run(mut self) -> Result<(), ModelError> {
        loop {
            let now = self.clock.now();
            let heard = match self.conductor.next_wake(now) {
                None => self.heard.recv().map_err(|_| RecvTimeoutError::Disconnected),
                // What the human does comes before any planning.
                Some(wake) => self.heard.recv_deadline(self.clock.instant(wake.max(now))),
            };
            match heard {
                Ok(Cue::Human(timed)) => {
                    self.conductor.hear(timed.time, timed.message, |action| self.desk.act(action));
                    self.desk.record(Happening::Human(timed));
                }
                Ok(Cue::Stop) | Err(RecvTimeoutError::Disconnected) => return Ok(()),
                Err(RecvTimeoutError::Timeout) => {
                    let woken = self.conductor.wake(self.clock.now(), |action| self.desk.act(action));
                    if let Err(error) = woken {
                        self.desk.status.failed.store(true, Relaxed);
                        return Err(error);
                    }
                }
            }
        }
    }
}

/// Passes on what the conductor wants done.
struct Desk {
    player: PlayerLink,
    /// A cancellation for which the player's queue had no place.
    unsent: Option<PlayerCommand>,
    record: Sender<Happening>,
    status: Arc<Status>,
}

impl Desk {
    fn act(&mut self, action: Action) {
        match action {
            Action::Tell(command) => self.tell(command),
            Action::Turn { at, turn } => {
                self.status.set_turn(turn);
                self.record(Happening::Turn { at, turn });
            }
            Action::Late => {
                self.status.late.fetch_add(1, Relaxed);
            }
        }
    }

    /// Hands a command to the player. A cancellation is never lost: it goes before the next command that has a place.
    fn tell(&mut self, command: PlayerCommand) {
        self.unsent.take_if(|cancel| self.player.send(*cancel));
        if self.unsent.is_none() && self.player.send(command) {
            return;
        }
        match command {
            PlayerCommand::Cancel { .. } => self.unsent = Some(command),
            PlayerCommand::Play(_) | PlayerCommand::Interrupt => {
                self.status.plan_dropped.fetch_add(1, Relaxed);
            }
        }
    }

    fn record(&self, happening: Happening) {
        if self.record.try_send(happening).is_err() {
            self.status.record_dropped.fetch_add(1, Relaxed);
        }
    }
}

impl Drop for Desk {
    /// A session whose conductor has panicked is over.
    fn drop(&mut self) {
        if thread::panicking() {
            self.status.failed.store(true, Relaxed);
        }
    }
}
