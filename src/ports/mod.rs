//! Where the program touches the outside world: MIDI systems, and a file that plays the human.

#[cfg(target_os = "linux")]
mod announcements;
#[cfg(test)]
pub(crate) mod by_hand;
mod cables;
mod error;
mod file;
mod held;
mod input;
#[cfg(feature = "jack")]
mod jack;
mod listening;
#[cfg(not(target_os = "linux"))]
mod midir_source;
mod name;
mod name_lock;
mod none;
mod offset;
mod player_thread;
mod realtime;
mod routing;
#[cfg(target_os = "linux")]
mod rtkit;
#[cfg(target_os = "linux")]
mod seq_source;
mod sound;
mod stamps;
mod system;

use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::Sender;

pub use cables::{Cable, CableState, Cables, Direction, Keeper, Ports};
pub use error::PortError;
pub use file::FilePlayer;
pub use input::{Cue, InputSink};
pub use name::PortName;
use name_lock::System;
pub use name_lock::{Holder, NameLock, holders};
pub use offset::{Destination, Offset};
pub use player_thread::{Change, Order, PlayerThread};
#[cfg(all(feature = "engine", target_os = "linux"))]
pub(crate) use realtime::OWN_RIGHT;
#[cfg(feature = "engine")]
pub(crate) use realtime::timing;
pub(crate) use realtime::{raise_conductor, raise_recorder};
pub use routing::Routing;
#[cfg(all(feature = "engine", target_os = "linux"))]
pub(crate) use rtkit::greatest_priority;
pub(crate) use sound::Surroundings;
pub use sound::{Callback, Sound, SoundFigures, SoundSettings, Speaker};

use crate::control::Claims;
use crate::player::PlayerCommand;
use crate::sight::Sight;
use crate::status::Status;
use crate::take::Happening;
use crate::time::{Clock, SessionDuration};

/// The name of clients that only look what there is.
const LOOKING: &str = "antiphon-looks";

/// Which MIDI system to use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Backend {
    /// The operating system's own, else JACK, else none
    #[default]
    Auto,
    /// ALSA sequencer on Linux, CoreMIDI on macOS, WinMM on Windows
    #[value(alias = "alsa", alias = "coremidi", alias = "winmm")]
    System,
    /// JACK, or PipeWire's JACK
    Jack,
    /// No MIDI system: a file or the bundled phrase plays the human, and the session is only recorded
    None,
}

/// Named ports to attach to beside the virtual ones.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attachments {
    /// Ports that send to us.
    pub from: Vec<String>,
    /// Ports that we send to.
    pub to: Vec<Destination>,
    /// When messages leave at our own virtual port.
    pub offset: Offset,
    /// Whether each named port must be there at the beginning; else it is waited for.
    pub required: bool,
}

impl Attachments {
    /// All that are named.
    fn wanted(&self) -> impl Iterator<Item = (Direction, Destination)> + use<'_> {
        let source = |name: &String| Destination { name: name.clone(), offset: Offset::default() };
        let from = self.from.iter().map(move |name| (Direction::From, source(name)));
        from.chain(self.to.iter().map(|to| (Direction::To, to.clone())))
    }

    /// The offset of the port at which messages leave first.
    fn earliest(&self) -> Offset {
        self.to.iter().map(|to| to.offset).chain([self.offset]).min().unwrap_or_default()
    }
}

/// What every backend is given.
pub struct Wiring {
    /// What our ports are called after.
    pub name: PortName,
    /// The session's clock.
    pub clock: Clock,
    /// Where human messages go.
    pub input: InputSink,
    /// Messages that are no music.
    pub controls: Arc<Claims>,
    /// Where a copy of what was sent goes.
    pub record: Sender<Happening>,
    /// Echoes and thru.
    pub routing: Arc<Routing>,
    /// Counters.
    pub status: Arc<Status>,
    /// Where it is shown that ports come and go.
    pub watchers: Sender<Sight>,
    /// Where the player sends what is to sound here.
    pub speaker: Speaker,
}

#[cfg(test)]
impl Wiring {
    /// One that leads nowhere but to the recorder.
    fn in_a_test(record: Sender<Happening>, status: Arc<Status>) -> Self {
        let (to_conductor, _) = crossbeam_channel::bounded(16);
        Self {
            name: PortName::default(),
            clock: Clock::new(),
            input: InputSink::new(to_conductor, Arc::default(), Arc::clone(&status)),
            controls: Arc::default(),
            record,
            routing: Arc::default(),
            status,
            watchers: crossbeam_channel::bounded(16).0,
            speaker: Speaker::default(),
        }
    }
}

/// Open ports and the player behind them.
pub struct OpenPorts {
    /// The MIDI system, in words.
    pub system: String,
    /// How well the player keeps time, in words.
    pub timing: String,
    /// Least time between planning a note and its onset, so that it is not late at the port.
    pub lead: SessionDuration,
    /// Our own port that listens, in words.
    pub listening: Option<String>,
    /// Our own port that we send by, in words.
    pub sending: Option<String>,
    /// How to reach the player; for the conductor.
    pub player: PlayerLink,
    /// Who looks after the ports that are attached to by name. Dropped first; then they stay as they are.
    pub keeper: Keeper,
    /// Dropping them stops listening, so that nothing new comes in.
    pub inputs: Vec<Box<dyn Send>>,
    /// Dropping it releases what sounds and closes the port.
    pub output: Box<dyn Send>,
    /// Releases what sounds from any thread, whatever the others do.
    pub release: Release,
    /// Calls for silence from any thread, whatever the others do.
    pub silence: Silence,
    /// Keeps others from the name; `None` where there are no ports of ours.
    pub name_lock: Option<NameLock>,
}

/// Releases what sounds and plays nothing any more; waits no longer than that. False when not all of it has left by then.
pub type Release = Arc<dyn Fn(Duration) -> bool + Send + Sync>;

/// Has the player end everything that sounds, on every port, and forget what is planned; waits for nobody. The conductor
/// does not know of it, and may plan anew.
pub type Silence = Arc<dyn Fn() + Send + Sync>;

/// How the conductor reaches the player.
pub enum PlayerLink {
    /// A thread that sleeps until told or until a note is due.
    Thread(Sender<Order>),
    /// JACK's process callback.
    #[cfg(feature = "jack")]
    Ring(rtrb::Producer<PlayerCommand>),
}

impl PlayerLink {
    /// Hands a command over; false when the queue is full.
    pub fn send(&mut self, command: PlayerCommand) -> bool {
        match self {
            Self::Thread(sender) => sender.try_send(Order::Command(command)).is_ok(),
            #[cfg(feature = "jack")]
            Self::Ring(producer) => producer.push(command).is_ok(),
        }
    }
}

/// Opens the virtual ports and attaches to the named ones; those that are not there are waited for, unless they are
/// required.
///
/// # Errors
/// When the system asked for is not there, our name is taken, a name is ambiguous, or a port that is required is missing.
pub fn open(backend: Backend, attachments: &Attachments, wiring: Wiring) -> Result<OpenPorts, PortError> {
    let backend = backend.resolved();
    let system = System::of(backend, if backend == Backend::Jack { JACK } else { system::NAME });
    // First, so that nobody sees two of the same name, not even for a moment.
    let name_lock = system.map(|system| NameLock::take(&wiring.name, &system)).transpose()?;
    let opened = match backend {
        Backend::System => system::open(attachments, wiring),
        Backend::Jack => open_jack(attachments, wiring),
        Backend::None | Backend::Auto => none::open(attachments, wiring),
    };
    Ok(OpenPorts { name_lock, ..opened? })
}

/// JACK's name, whether it is built in or not.
const JACK: &str = "JACK";

impl Backend {
    /// What `Auto` comes to on this machine at this moment: never `Auto`.
    pub fn resolved(self) -> Self {
        match self {
            Self::Auto if system::probe().is_ok() => Self::System,
            Self::Auto if jack_runs() => Self::Jack,
            Self::Auto => Self::None,
            named => named,
        }
    }
}

#[cfg(feature = "jack")]
use jack::{is_running as jack_runs, open as open_jack};

#[cfg(not(feature = "jack"))]
fn jack_runs() -> bool {
    false
}

#[cfg(not(feature = "jack"))]
fn open_jack(_: &Attachments, _: Wiring) -> Result<OpenPorts, PortError> {
    Err(PortError::Unavailable { system: JACK, why: NO_JACK.into() })
}

#[cfg(not(feature = "jack"))]
const NO_JACK: &str = "this antiphon was built without it; install libjack-jackd2-dev and build with --features jack";

/// The ports of one MIDI system.
#[derive(Clone, Debug)]
pub struct SystemPorts {
    /// The system's name.
    pub system: &'static str,
    /// Ports that can send to us and ports that we can send to; or why the system is not there.
    pub ports: Result<[Vec<String>; 2], String>,
}

/// What is there, system by system.
pub fn list() -> Vec<SystemPorts> {
    let mut systems = vec![SystemPorts {
        system: system::NAME,
        ports: system::list().map_err(|error| match error {
            PortError::Unavailable { why, .. } => why,
            other => other.to_string(),
        }),
    }];
    #[cfg(feature = "jack")]
    systems.push(SystemPorts { system: JACK, ports: jack::list() });
    #[cfg(not(feature = "jack"))]
    systems.push(SystemPorts { system: JACK, ports: Err(NO_JACK.into()) });
    systems
}
