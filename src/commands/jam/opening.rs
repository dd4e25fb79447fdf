//! What a jam begins with: settings, the session file's header, the models, a file that plays the human.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::commands::jam_flags::JamFlags;
use crate::commands::model::{Loaded, TRAINED, load, seed};
use crate::commands::{Exit, Failure};
use crate::ensemble::Opening;
use crate::midi::{ShortMessage, TimedMessage};
use crate::midi_file::{FileEvent, read_events, read_events_from_bytes, read_sysex};
use crate::model::{LstmModel, NoteModel as _};
use crate::session::Library;
use crate::session_file::Header;
use crate::settings::Settings;
use crate::shelf::ModelChoice;
use crate::sysex::SysEx;
use crate::time::{SessionDuration, SessionTime};

/// What plays the human where there is no MIDI system and no file is named.
const BUNDLED_PHRASE: &[u8] = include_bytes!("../../../assets/phrase.mid");

/// Longest answer to a file unless told otherwise: a file does not interrupt at its end.
pub(super) const ANSWER_TO_A_FILE: SessionDuration = SessionDuration::from_millis(20_000);

/// What the session begins with. The ensemble is built from its header, so that a replay has the very same.
pub(super) fn header(flags: &JamFlags, settings: Settings, loaded: &Loaded) -> Header {
    let opening = Opening { settings, channel: flags.channel - 1, seed: seed(&flags.playing) };
    Header::new(&loaded.engine, loaded.model.origin(), &opening)
}

/// The models that can be chosen while it plays: the first is the one that it begins with.
#[derive(Clone)]
pub(super) struct Models(Arc<Mutex<ModelChoice>>);

impl Models {
    pub(super) fn named(flags: &JamFlags) -> Self {
        Self(Arc::new(Mutex::new(Self::of(flags))))
    }

    fn of(flags: &JamFlags) -> ModelChoice {
        ModelChoice::new(flags.playing.model.clone(), flags.more_model.clone(), Path::new(TRAINED))
    }

    /// Has those of other flags from now on; false when they are the same.
    pub(super) fn rename(&self, flags: &JamFlags) -> bool {
        let named = Self::of(flags);
        let mut models = self.lock();
        let changed = *models != named;
        *models = named;
        changed
    }

    /// How many were named.
    pub(super) fn count(&self) -> usize {
        self.lock().count()
    }

    /// Those that can be chosen now.
    pub(super) fn now(&self) -> ModelChoice {
        self.lock().clone()
    }

    /// Where the session takes them from.
    pub(super) fn library(&self, flags: &JamFlags) -> Library<LstmModel> {
        let (models, engine) = (self.clone(), flags.playing.engine.clone());
        Arc::new(move |wish| {
            let model = models.now().find(wish)?;
            load(model.as_deref(), &engine).map(|loaded| loaded.model).map_err(|failure| failure.sentence)
        })
    }

    /// The list is whole between any two calls.
    fn lock(&self) -> MutexGuard<'_, ModelChoice> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a file that plays the human sends.
#[derive(Default)]
pub(super) struct Human {
    pub messages: Vec<TimedMessage>,
    pub sysex: Vec<SysEx>,
}

pub(super) fn read_human(path: &Path) -> Result<Human, Failure> {
    let read = |path| Ok(Human { messages: messages(&read_events(path)?), sysex: read_sysex(path)? });
    read(path).map_err(|error| Failure::midi_file(path, &error))
}

/// The bundled phrase.
pub(super) fn bundled_human() -> Result<Human, Failure> {
    let events = read_events_from_bytes(BUNDLED_PHRASE).map_err(|error| Failure::new(Exit::Failed, error))?;
    Ok(Human { messages: messages(&events), sysex: Vec::new() })
}

fn messages(events: &[FileEvent]) -> Vec<TimedMessage> {
    let whole = |event: &FileEvent| {
        let message = ShortMessage::from_bytes(event.bytes()).ok()?;
        Some(TimedMessage { time: event.time, message })
    };
    let mut messages: Vec<TimedMessage> = events.iter().filter_map(whole).collect();
    // What the file holds down for ever would count as playing.
    let end = messages.last().map_or(SessionTime::ZERO, |last| last.time);
    let channels: BTreeSet<u8> =
        messages.iter().filter_map(|timed| timed.message.as_bytes().first()).map(|status| status & 15).collect();
    messages.extend(
        channels.into_iter().map(|channel| TimedMessage { time: end, message: ShortMessage::all_notes_off(channel) }),
    );
    messages
}

/// When a session with this input is over: the last answer may be heard out.
pub(super) fn end_of(input: &[TimedMessage], settings: &Settings) -> Option<SessionTime> {
    let last = input.last()?.time;
    Some(last + settings.patience_ceiling + settings.longest_answer.unwrap_or(ANSWER_TO_A_FILE))
}
