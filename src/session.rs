//! A live session: builds the queues and threads, knows the order in which they start and stop.
//!
//! ```text
//! MIDI in --> conductor's thread --> player --> MIDI out
//!                 \---------------------\--> recorder --> AI_generated.mid, AI_generated.session
//! ```
//! Stopped from the sources to the sinks. The ports are opened before anything is written.

#[cfg(test)]
mod debts;
mod desk;
mod replaying;
mod stand;
#[cfg(test)]
mod tests;
mod way_out;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::thread::{self, JoinHandle};

use crossbeam_channel::Sender;
use desk::{Desk, Unsent};
use stand::Stand;
use thiserror::Error;
pub use way_out::{WayOut, WayTaken};

use crate::control::{Assignment, Control, ControlMap};
use crate::ensemble::Ensemble;
use crate::figures::Progress;
use crate::midi::TimedMessage;
use crate::model::{ModelError, NoteModel};
use crate::playback::{self, Deck};
use crate::ports::{
    self, Attachments, Backend, Cables, Cue, FilePlayer, InputSink, Keeper, NameLock, OpenPorts, PortError, PortName,
    Release, Routing, Silence, Sound, SoundSettings, Speaker, Surroundings, Wiring,
};
use crate::recorder::{RecordError, Recorder, Sources, Splits};
use crate::session_file::Header;
use crate::shelf::Shelf;
pub use crate::shelf::{Library, Wish};
use crate::sight::{Feed, View};
use crate::status::Status;
use crate::sysex::SysEx;
use crate::take::Take;
use crate::time::{Clock, SessionTime};

/// Human messages that may wait for the conductor: a second of MIDI at its full rate on three cables. When it is
/// full the newest message is dropped and counted.
const INPUT_QUEUE: usize = 4096;

/// Happenings that may wait for the recorder, which looks twenty times a second. When it is full the newest is
/// dropped and counted.
const RECORD_QUEUE: usize = 65_536;

/// Pieces of SysEx that may wait for the recorder: 1.9 MB. When it is full the newest is dropped and counted, and its
/// message is not recorded.
const SYSEX_QUEUE: usize = 8192;

/// Calls that may wait for the session file: a minute and a half of planning without a pause. When it is full the
/// newest is dropped and counted, and the file says that it is not whole.
const SESSION_QUEUE: usize = 16_384;

/// Sights that may wait for the feed. When it is full the newest is dropped.
const WATCHED: usize = 8192;

/// What a live session is made of.
#[derive(Clone)]
pub struct LiveSettings {
    /// Which MIDI system.
    pub backend: Backend,
    /// What our ports are called after.
    pub name: PortName,
    /// Named ports to attach to.
    pub attachments: Attachments,
    /// MIDI messages that are no music, in layers: the first one that knows a message decides.
    pub controls: Vec<Vec<Assignment>>,
    /// Where the take is written.
    pub take: PathBuf,
    /// When the take is split into parts, besides when it is asked for and when it has become long.
    pub splits: Splits,
    /// Where takes come from that are played back.
    pub takes: playback::Library,
    /// Sound of our own; `None`: none.
    pub sound: Option<SoundSettings>,
    /// What the session file beside it begins with; `None`: there is none.
    pub session_file: Option<Header>,
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
    /// No sound device, where one had to be there.
    #[error("there is no sound: {0}; name a device with --audio-device")]
    NoSound(String),
    /// A thread.
    #[error("no thread could be started: {0}")]
    Thread(std::io::Error),
    /// The conductor's thread panicked.
    #[error("the conductor has panicked; what was played is in the take")]
    Panicked,
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
    /// Our own port that listens, in words.
    pub listening: Option<String>,
    /// Our own port that we send by, in words.
    pub sending: Option<String>,
    /// The earlier take of the same name, which was moved here.
    pub moved_aside: Option<PathBuf>,
    /// What can be watched while it plays.
    pub feed: Feed,
    /// Where our own sound sounds, or why nowhere; `None` where none is wanted.
    pub sounding: Option<Result<String, String>>,
    clock: Clock,
    // Dropped in this order: sources first.
    file_player: Option<FilePlayer>,
    cables: Cables,
    keeper: Option<Keeper>,
    inputs: Vec<Box<dyn Send>>,
    /// Where a file that plays the human plays to.
    input: InputSink,
    to_conductor: Sender<Cue>,
    conductor: Option<JoinHandle<Result<(), ModelError>>>,
    output: Option<Box<dyn Send>>,
    sound: Option<Sound>,
    release: Release,
    silence: Silence,
    /// Given back when all ports are closed.
    name_lock: Option<NameLock>,
    recorder: Option<Recorder>,
}

impl LiveSession {
    /// Opens the ports and starts every thread. `clock` has been started by the caller.
    ///
    /// # Errors
    /// When the take cannot be written, a port is missing or the system refuses a thread.
    pub fn start<M: NoteModel + 'static>(
        settings: LiveSettings,
        clock: Clock,
        ensemble: Ensemble<M>,
        library: Library<M>,
    ) -> Result<Self, SessionError> {
        let status = Arc::new(Status::default());
        let (from_conductor, conducted) = crossbeam_channel::bounded(RECORD_QUEUE);
        let (from_player, played) = crossbeam_channel::bounded(RECORD_QUEUE);
        let (to_conductor, heard) = crossbeam_channel::bounded(INPUT_QUEUE);

        let (tell_watchers, watched) = crossbeam_channel::bounded(WATCHED);
        let controls = ControlMap::new(settings.controls);
        let routing = Arc::new(Routing::default());
        routing.follow(ensemble.settings());
        let around = Surroundings {
            clock,
            routing: Arc::clone(&routing),
            status: Arc::clone(&status),
            watchers: tell_watchers.clone(),
        };
        let (sound, speaker) = match settings.sound {
            None => (None, Speaker::default()),
            Some(wanted) => {
                let required = wanted.required;
                let (sound, speaker) = Sound::start(wanted, around).map_err(SessionError::Thread)?;
                if let Err(why) = sound.opened.as_ref()
                    && required
                {
                    return Err(SessionError::NoSound(why.clone()));
                }
                (Some(sound), speaker)
            }
        };
        let (from_ports, pieces) = crossbeam_channel::bounded(SYSEX_QUEUE);
        let input = InputSink::new(to_conductor.clone(), controls.claims(), Arc::clone(&status))
            .keeping_sysex(from_ports)
            .routed(Arc::clone(&routing));
        let OpenPorts {
            system,
            timing,
            lead,
            listening,
            sending,
            player,
            keeper,
            inputs,
            output,
            release,
            silence,
            name_lock,
        } = ports::open(
            settings.backend,
            &settings.attachments,
            Wiring {
                name: settings.name,
                clock,
                input: input.clone(),
                controls: controls.claims(),
                record: from_player,
                routing: Arc::clone(&routing),
                status: Arc::clone(&status),
                watchers: tell_watchers.clone(),
                speaker,
            },
        )?;
        // After the ports, so that a wrong port name neither moves an earlier take nor leaves an empty one.
        let mut ensemble = ensemble.leading_by(lead);
        let mut calls = None;
        if let Some(mut header) = settings.session_file {
            header.lead = lead;
            let (sender, receiver) = crossbeam_channel::bounded(SESSION_QUEUE);
            calls = Some((header, receiver));
            let status = Arc::clone(&status);
            ensemble = ensemble.transcribed(move |entry| {
                if sender.try_send(entry).is_err() {
                    status.session_dropped.fetch_add(1, Relaxed);
                }
            });
        }
        let take = Take::in_bars_of(ensemble.settings().beats_per_bar);
        let sources = Sources { happenings: vec![conducted, played], pieces, session: calls };
        let (watchers, counters) = (tell_watchers.clone(), Arc::clone(&status));
        let recorder = Recorder::start(&settings.take, take, settings.splits, sources, watchers, clock, counters)?;
        let view = View {
            turn: status.turn(),
            settings: *ensemble.settings(),
            model: ensemble.model().origin().name.clone(),
            styles: ensemble.model().styles().to_vec(),
            controllers: controls.controllers(None),
            ports: keeper.cables.ports(),
            playing: None,
        };
        let feed = Feed::start(view, watched).map_err(SessionError::Thread)?;
        let desk = Desk {
            clock,
            player,
            unsent: Unsent::default(),
            offered: None,
            record: from_conductor,
            watchers: tell_watchers,
            status: Arc::clone(&status),
        };
        let shelf = Shelf::new(library, to_conductor.clone());
        let deck = Deck::new(settings.takes, to_conductor.clone());
        let (progress, retry_at) = (Progress::default(), SessionTime::ZERO);
        let stand = Stand { clock, ensemble, heard, controls, shelf, deck, lead, retry_at, routing, desk, progress };
        let conductor =
            thread::Builder::new().name("conductor".into()).spawn(move || stand.run()).map_err(SessionError::Thread)?;
        Ok(Self {
            status,
            system,
            timing,
            listening,
            sending,
            moved_aside: recorder.moved_aside.clone(),
            feed,
            sounding: sound.as_ref().map(|sound| sound.opened.clone()),
            clock,
            file_player: None,
            cables: keeper.cables.clone(),
            keeper: Some(keeper),
            inputs,
            input: input.from_a_file(),
            to_conductor,
            conductor: Some(conductor),
            output: Some(output),
            sound,
            release,
            silence,
            name_lock,
            recorder: Some(recorder),
        })
    }

    /// Lets a file play the human from now on; its messages and SysEx are in time order on the session's clock.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn play_as_human(&mut self, messages: Vec<TimedMessage>, sysex: Vec<SysEx>) -> Result<(), SessionError> {
        let player =
            FilePlayer::start(self.clock, messages, sysex, self.input.clone()).map_err(SessionError::Thread)?;
        self.file_player = Some(player);
        Ok(())
    }

    /// Asks for something, as if from a control.
    pub fn controller(&self) -> Controller {
        let silence = Arc::clone(&self.silence);
        Controller { clock: self.clock, to_conductor: self.to_conductor.clone(), silence }
    }

    /// What an end at once must not leave undone.
    pub fn way_out(&self) -> WayOut {
        let recorder = self.recorder.as_ref().expect("there until the session is stopped").closer();
        WayOut { release: Arc::clone(&self.release), controller: self.controller(), recorder }
    }

    /// The ports, and a way to attach and detach while it plays.
    pub fn cables(&self) -> Cables {
        self.cables.clone()
    }

    /// What keeps others from the name of our ports; `None` where we have none.
    pub fn name_lock(&self) -> Option<&NameLock> {
        self.name_lock.as_ref()
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
        self.keeper = None;
        self.inputs.clear();
        // Waits while the queue is full: the conductor empties it, or has ended already.
        let _ = self.to_conductor.send(Cue::Stop);
        let conducted = self.conductor.take().map(JoinHandle::join);
        // Nothing new is planned any more: the player releases what sounds and ends.
        self.output = None;
        self.sound = None;
        match conducted {
            Some(Ok(result)) => Ok(result?),
            Some(Err(_)) => Err(SessionError::Panicked),
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

/// A way to ask a session for something from any thread.
#[derive(Clone)]
pub struct Controller {
    clock: Clock,
    to_conductor: Sender<Cue>,
    silence: Silence,
}

impl Controller {
    /// Asks now. Nothing happens when the session is over.
    pub fn ask(&self, control: Control) {
        if control == Control::Panic {
            (self.silence)();
        }
        let _ = self.to_conductor.send(Cue::Control { at: self.clock.now(), control });
    }

    /// Ends what sounds at once, on every port, whatever keeps the conductor; who then forgets its plan and waits for the
    /// human. Waits for nobody: false when the conductor's queue was full, and it must be asked again.
    pub fn panic(&self) -> bool {
        (self.silence)();
        let cue = Cue::Control { at: self.clock.now(), control: Control::Panic };
        !self.to_conductor.try_send(cue).is_err_and(|error| error.is_full())
    }

    /// Gives MIDI messages their meanings anew, in layers; what was learnt must be among them to stay.
    pub fn replace_map(&self, layers: Vec<Vec<Assignment>>) {
        let _ = self.to_conductor.send(Cue::Controllers(layers));
    }

    /// Gives more MIDI messages a meaning: those of which nobody has said anything yet.
    pub fn add_to_map(&self, layer: Vec<Assignment>) {
        let _ = self.to_conductor.send(Cue::MoreControllers(layer));
    }
}
