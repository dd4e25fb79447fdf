//! One line that is drawn over and over on a terminal; elsewhere, a line for each change of turn.

use std::fmt::Display;
use std::io::{IsTerminal as _, Write as _, stderr};

use crate::commands::log::Log;
use crate::conductor::Turn;
use crate::status::Status;
use crate::time::SessionTime;

/// See above.
pub(super) struct LiveLine {
    log: Log,
    on_terminal: bool,
    quiet: bool,
    turn: Option<Turn>,
    /// Where the answer goes, as the end of the line.
    to: String,
    shown: String,
}

impl LiveLine {
    pub(super) fn new(log: Log, quiet: bool, sending: &[String]) -> Self {
        let on_terminal = log.is_for_people() && stderr().is_terminal();
        let mut line = Self { log, on_terminal, quiet, turn: None, to: String::new(), shown: String::new() };
        line.sends_to(sending);
        line
    }

    /// Where the answer goes from now on.
    pub(super) fn sends_to(&mut self, sending: &[String]) {
        self.to = if sending.is_empty() { String::new() } else { format!(" -> {}", sending.join(", ")) };
    }

    /// Whether a person sees it, and with it what was lost.
    pub(super) fn is_seen(&self) -> bool {
        self.on_terminal && !self.quiet
    }

    pub(super) fn draw(&mut self, now: SessionTime, status: &Status) {
        if self.quiet {
            return;
        }
        if self.on_terminal {
            let seconds = now.as_micros() / 1_000_000;
            let line = format!("[{:02}:{:02}] {status}{}", seconds / 60, seconds % 60, self.to);
            if line != self.shown {
                // A terminal that has gone must not end the music.
                let _ = write!(stderr(), "\r\x1b[2K{line}");
                self.shown = line;
            }
        } else if self.turn != Some(status.turn()) {
            self.turn = Some(status.turn());
            self.log.info(format_args!("[{now}] {status}{}", self.to));
        }
    }

    /// A line of its own, above the one that is drawn over.
    pub(super) fn say(&mut self, sentence: impl Display) {
        self.close();
        self.log.info(sentence);
    }

    /// The same for what did not work.
    pub(super) fn warn(&mut self, sentence: impl Display) {
        self.close();
        self.log.warning(sentence);
    }

    /// Ends the line; drawing goes on below.
    pub(super) fn close(&mut self) {
        if self.on_terminal && !self.shown.is_empty() {
            let _ = writeln!(stderr());
            self.shown.clear();
        }
    }
}
