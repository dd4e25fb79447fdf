//! The way out at once: what must not be left undone, done from any thread, whatever the session's own threads do.

use std::time::Duration;

use super::Controller;
use crate::ports::Release;
use crate::recorder::Closer;

/// How long the note-offs may take to leave: many periods of any server.
const RELEASE_WITHIN: Duration = Duration::from_millis(500);

/// How long writing the take may take.
const CLOSE_WITHIN: Duration = Duration::from_secs(3);

/// Releases what sounds and closes the take, after which the session is over; or only silences what sounds.
#[derive(Clone)]
pub struct WayOut {
    pub(super) release: Release,
    pub(super) controller: Controller,
    pub(super) recorder: Closer,
}

/// What could be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WayTaken {
    /// Every note-off that was owed has left.
    pub released: bool,
    /// The take and its session file are written to their end.
    pub recorded: bool,
}

impl WayOut {
    /// Silences what sounds, as [`Controller::panic`] does; the session goes on.
    pub fn panic(&self) -> bool {
        self.controller.panic()
    }

    /// Takes it; waits no longer than some seconds.
    pub fn take(&self) -> WayTaken {
        // In this order, so that the note-offs are in the take.
        let released = (self.release)(RELEASE_WITHIN);
        WayTaken { released, recorded: self.recorder.close(CLOSE_WITHIN) }
    }
}
