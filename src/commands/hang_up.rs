//! SIGHUP: of a daemon it asks to read the model anew; of a program in a terminal it says that the terminal is gone.

use std::io::{IsTerminal as _, stderr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// Listens for SIGHUP; elsewhere than on Unix it never comes.
pub(super) struct HangUp {
    sent: Arc<AtomicBool>,
    had_terminal: bool,
}

/// What a SIGHUP means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HungUp {
    /// Read the model anew.
    Reload,
    /// The terminal is gone: end.
    TerminalGone,
}

impl HangUp {
    /// Listens from now on.
    pub(super) fn listen() -> std::io::Result<Self> {
        let sent = Arc::new(AtomicBool::new(false));
        #[cfg(unix)]
        signal_hook::flag::register(signal_hook::consts::SIGHUP, Arc::clone(&sent))?;
        Ok(Self { sent, had_terminal: stderr().is_terminal() })
    }

    /// Whether one has come that nobody has taken.
    pub(super) fn was_sent(&self) -> bool {
        self.sent.load(Relaxed)
    }

    /// Takes one that has come.
    pub(super) fn take(&self) -> Option<HungUp> {
        if !self.sent.swap(false, Relaxed) {
            return None;
        }
        // The system takes a terminal away before it sends the signal.
        let gone = self.had_terminal && !stderr().is_terminal();
        Some(if gone { HungUp::TerminalGone } else { HungUp::Reload })
    }
}
