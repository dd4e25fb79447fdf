//! The plan: the notes of an answer that have been chosen, and how far it has come.

use crate::note::Note;
use crate::time::{SessionDuration, SessionTime};

/// Notes that are ready at any moment while the human plays: the beginning of an answer.
const BEGINNING: usize = 4;

/// How long before its first note a plan that waits grows to its full length.
const GROWS_BEFORE: SessionDuration = SessionDuration::from_millis(250);

/// An answer, planned or playing.
pub(super) struct Plan {
    /// When it begins: the onset of its first note.
    pub begins: SessionTime,
    /// When it would begin without a MIDI clock.
    pub due: SessionTime,
    /// Whether it has begun.
    pub begun: bool,
    /// Whether the player has its notes. Not while the human holds keys, for then nobody knows when it begins.
    pub sent: bool,
    /// Its notes, until it has begun.
    pub notes: Vec<Note>,
    /// Onset of its last note; `None` when the next note is free to fall anywhere from now on.
    pub planned_to: Option<SessionTime>,
    /// When a first note is looked for again, as no key was free.
    pub again_at: Option<SessionTime>,
}

impl Plan {
    /// A plan without notes.
    pub fn new(begins: SessionTime, due: SessionTime, sent: bool) -> Self {
        Self { begins, due, begun: false, sent, notes: Vec::with_capacity(BEGINNING), planned_to: None, again_at: None }
    }

    /// Whether enough of it is there to begin with.
    pub fn has_a_beginning(&self) -> bool {
        self.begun || self.notes.len() >= BEGINNING
    }

    /// Until when it has to wait for a free key, if it does.
    pub fn waits_for_a_key(&self, now: SessionTime) -> Option<SessionTime> {
        self.again_at.filter(|at| !self.begun && *at > now)
    }

    /// When it begins to grow to its full length.
    pub fn grows_at(&self) -> SessionTime {
        self.begins - GROWS_BEFORE
    }

    /// Moves all of it so that it begins at `begins`.
    pub fn move_to(&mut self, begins: SessionTime) {
        let (later, earlier) = (begins.since(self.begins), self.begins.since(begins));
        for note in &mut self.notes {
            note.onset = note.onset + later - earlier;
        }
        self.planned_to = self.planned_to.map(|to| to + later - earlier);
        self.begins = begins;
    }
}
