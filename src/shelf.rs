//! Models that a session may change to: loaded and tried out beside the music, one at a time.

mod choice;

use std::fmt;
use std::sync::Arc;
use std::thread;

pub use choice::{ModelChoice, Offered};
use crossbeam_channel::{Receiver, Sender};

use crate::fault;
use crate::model::{ModelError, NoteModel};
use crate::note_model::{Attribute, NoteClasses};
use crate::ports::Cue;

/// Which model is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wish {
    /// By its number, counted from 1.
    Number(u8),
    /// By the name of its file.
    Named(Arc<str>),
}

/// Where models come from: gives the one that is wanted, or says why not. Called on a thread of its own, since loading
/// takes time.
pub type Library<M> = Arc<dyn Fn(&Wish) -> Result<M, String> + Send + Sync>;

impl fmt::Display for Wish {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::Named(name) => name.fmt(f),
        }
    }
}

/// Wishes that may wait while a model is loaded; only the newest is fulfilled. When it is full the newest is dropped,
/// as it came too fast to be meant.
const WISHES: usize = 64;

/// Loads models beside the music, one at a time.
pub(crate) struct Shelf<M> {
    library: Library<M>,
    to_conductor: Sender<Cue>,
    /// To the loader's thread, once there is one.
    wishes: Option<Sender<Wish>>,
    loaded: Receiver<Result<M, String>>,
    tell_loaded: Sender<Result<M, String>>,
}

impl<M: NoteModel + 'static> Shelf<M> {
    pub(crate) fn new(library: Library<M>, to_conductor: Sender<Cue>) -> Self {
        let (tell_loaded, loaded) = crossbeam_channel::bounded(1);
        Self { library, to_conductor, wishes: None, loaded, tell_loaded }
    }

    /// Begins to load; [`Cue::ModelLoaded`] then says that the model, or why there is none, is in [`Shelf::loaded`].
    pub(crate) fn load(&mut self, wish: Wish) {
        if self.wishes.is_none() {
            let (sender, wishes) = crossbeam_channel::bounded(WISHES);
            let loader = Loader {
                library: Arc::clone(&self.library),
                wishes,
                tell_loaded: self.tell_loaded.clone(),
                to_conductor: self.to_conductor.clone(),
            };
            // Without a thread the model that plays goes on, and the next wish tries again.
            let started = thread::Builder::new().name("model loader".into()).spawn(move || loader.run());
            self.wishes = started.is_ok().then_some(sender);
        }
        let _ = self.wishes.as_ref().map(|wishes| wishes.try_send(wish));
    }

    /// What was loaded last, if it has not been taken.
    pub(crate) fn loaded(&self) -> Option<Result<M, String>> {
        self.loaded.try_recv().ok()
    }
}

/// Everything that the loader's thread may touch.
struct Loader<M> {
    library: Library<M>,
    wishes: Receiver<Wish>,
    tell_loaded: Sender<Result<M, String>>,
    to_conductor: Sender<Cue>,
}

impl<M: NoteModel> Loader<M> {
    /// Runs until the session is over.
    fn run(self) {
        while let Ok(wish) = self.wishes.recv() {
            let wish = self.wishes.try_iter().last().unwrap_or(wish);
            // A graph that makes the engine panic must not end the music.
            let tried = fault::tried(|| {
                let mut model = (self.library)(&wish)?;
                try_out(&mut model).map_err(|error| error.to_string())?;
                Ok(model)
            });
            let loaded = tried.unwrap_or_else(|| Err(format!("model {wish} makes the engine panic")));
            if self.tell_loaded.send(loaded).is_err() || self.to_conductor.send(Cue::ModelLoaded).is_err() {
                return;
            }
        }
    }
}

/// One note, so that a model that loads but does not run is found out before it plays.
fn try_out(model: &mut impl NoteModel) -> Result<(), ModelError> {
    let note = NoteClasses([0; 4]);
    for style in [0, model.styles().len().saturating_sub(1)] {
        let mut state = model.start(style)?;
        model.advance(&mut state, note, style)?;
        let mut logits = Vec::new();
        for attribute in Attribute::ALL {
            model.logits(&state, note, attribute, &mut logits)?;
        }
    }
    Ok(())
}
