//! Where takes are read and put on: on the conductor's thread, but for the reading.

use std::sync::Arc;
use std::thread;

use crossbeam_channel::{Receiver, Sender};

use super::{Recording, Reel};
use crate::ports::Cue;
use crate::time::SessionTime;

/// Reads the take of this name, or the newest one with a note in it; or says why not. Called on a thread of its own,
/// since reading takes time.
pub type Library = Arc<dyn Fn(Option<&str>) -> Result<Recording, String> + Send + Sync>;

/// Plays takes back, one at a time.
pub struct Deck {
    library: Library,
    to_conductor: Sender<Cue>,
    /// Number of the newest wish; an older one that has been read meanwhile is not put on.
    wish: u32,
    /// Whether that is still wanted.
    wanted: bool,
    read: Receiver<(u32, Result<Recording, String>)>,
    tell_read: Sender<(u32, Result<Recording, String>)>,
    reel: Option<Reel>,
    /// Number of the reel that was put on last.
    number: u32,
}

impl Deck {
    /// An empty deck; [`Cue::TakeRead`] goes to the conductor when a take has been read.
    pub fn new(library: Library, to_conductor: Sender<Cue>) -> Self {
        let (tell_read, read) = crossbeam_channel::unbounded();
        Self { library, to_conductor, wish: 0, wanted: false, read, tell_read, reel: None, number: 0 }
    }

    /// Begins to read; what plays goes on until it has been read.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn read(&mut self, name: Option<Arc<str>>) -> std::io::Result<()> {
        self.wish += 1;
        self.wanted = true;
        let (wish, library) = (self.wish, Arc::clone(&self.library));
        let (tell_read, to_conductor) = (self.tell_read.clone(), self.to_conductor.clone());
        let read = move || {
            // Nobody waits any more: the session is over.
            let _ = tell_read.send((wish, library(name.as_deref())));
            let _ = to_conductor.send(Cue::TakeRead);
        };
        thread::Builder::new().name("take reader".into()).spawn(read).map(drop)
    }

    /// What was read, if it is still wanted.
    pub fn take_read(&mut self) -> Option<Result<Recording, String>> {
        let wish = self.wish;
        let read = self.read.try_iter().filter(|(number, _)| *number == wish).last()?.1;
        std::mem::take(&mut self.wanted).then_some(read)
    }

    /// Lets a recording begin at `begins`.
    ///
    /// # Errors
    /// Says that there is no note in it.
    pub fn put_on(&mut self, recording: Recording, begins: SessionTime) -> Result<&Reel, String> {
        let name = Arc::clone(&recording.name);
        let reel = Reel::new(recording, begins).ok_or_else(|| format!("there is no note in {name}"))?;
        self.number += 1;
        Ok(self.reel.insert(reel))
    }

    /// What plays.
    pub fn reel(&mut self) -> Option<&mut Reel> {
        self.reel.as_mut()
    }

    /// The number of what plays or was put on last.
    pub fn number(&self) -> u32 {
        self.number
    }

    /// Nothing plays or is wanted any more; whether something was.
    pub fn take_off(&mut self) -> bool {
        self.wanted = false;
        self.reel.take().is_some()
    }
}
