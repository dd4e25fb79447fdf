//! Sound through the machine's own sound system, by `cpal`.
//!
//! The player sends copies of what is played over a [`Line`], and the device's callback makes sound of them. A thread that
//! keeps no time opens the device, and opens it again when it has gone or has become another.

mod callback;
mod device;
mod keeper;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::thread::JoinHandle;

pub use callback::Callback;
use crossbeam_channel::Sender;
use keeper::Keeper;

use super::Routing;
use crate::midi::ShortMessage;
use crate::sight::Sight;
use crate::status::Status;
use crate::synth::{Line, Part, Sounding, Timbre};
use crate::time::{Clock, SessionTime};

/// What is to sound, and where.
#[derive(Clone)]
pub struct SoundSettings {
    /// What is played on.
    pub timbre: Timbre,
    /// Whether through JACK instead of the machine's own sound system.
    pub through_jack: bool,
    /// The device, by its name or a part of it; `None`: the system's default.
    pub device: Option<String>,
    /// Frames a block that the device is asked for; it may take others.
    pub frames: u32,
    /// Whether a device must be there at the beginning; else it is waited for.
    pub required: bool,
}

/// What is known of the sound.
///
/// Thread: any. Realtime-safe: yes, each is one atomic.
#[derive(Debug, Default)]
pub struct SoundFigures {
    /// Frames a second; 0 while no device is open.
    pub rate: AtomicU32,
    /// Frames of the last block.
    pub frames: AtomicU32,
    /// From a key to the loudspeaker, as far as the device tells: in microseconds.
    pub latency_us: AtomicU64,
    /// Blocks that came too late to be heard whole.
    pub dropouts: AtomicU64,
    /// Messages for which the line to the device had no place.
    pub dropped: AtomicU64,
    /// Times at which the device has gone.
    pub lost: AtomicU64,
    /// Blocks so far.
    pub(crate) blocks: AtomicU64,
    /// Whether the SoundFont's player has broken down.
    pub(super) broken: AtomicBool,
}

/// Where the player sends what is to sound.
///
/// Thread: the player's. Realtime-safe: yes.
#[derive(Default)]
pub struct Speaker(Option<(Line, Arc<Status>)>);

impl Speaker {
    /// What `part` plays at the moment `at`.
    pub(super) fn play(&mut self, part: Part, at: SessionTime, message: ShortMessage) {
        let Some((line, status)) = &mut self.0 else { return };
        if message.channel().is_some() && !line.send(Sounding { at, part, message }) {
            status.sound.dropped.fetch_add(1, Relaxed);
        }
    }

    /// Ends what the human's part sounds, now.
    pub(super) fn silence_human(&mut self, at: SessionTime) {
        (0..16).for_each(|channel| self.play(Part::Human, at, ShortMessage::all_sound_off(channel)));
    }
}

/// The sound of a session. Dropping it fades out and closes the device.
pub struct Sound {
    /// Where it sounds, in words; or why nowhere, until a device is there.
    pub opened: Result<String, String>,
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// What the sound needs from the session.
pub(crate) struct Surroundings {
    pub clock: Clock,
    pub routing: Arc<Routing>,
    pub status: Arc<Status>,
    pub watchers: Sender<Sight>,
}

impl Sound {
    /// Opens the device. Where that fails, it is tried again and again, and the music goes on without sound.
    ///
    /// # Errors
    /// When no thread can be started.
    pub(crate) fn start(settings: SoundSettings, around: Surroundings) -> std::io::Result<(Self, Speaker)> {
        let (line, resting) = Line::new();
        let speaker = Speaker(Some((line, Arc::clone(&around.status))));
        let (stop, stopped) = crossbeam_channel::bounded(0);
        let (tell, told) = crossbeam_channel::bounded(1);
        let thread = std::thread::Builder::new()
            .name("sound".into())
            .spawn(move || Keeper::new(settings, around).run(resting, &tell, &stopped))?;
        let opened = told.recv().unwrap_or_else(|_| Err("its thread has ended".to_owned()));
        Ok((Self { opened, stop: Some(stop), thread: Some(thread) }, speaker))
    }
}

impl Drop for Sound {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            // A panic there is reported by the panic hook.
            let _ = thread.join();
        }
    }
}
