//! Signals that reach the daemon: an end in order, an end at once, a reload, the figures, silence.

use std::fs::{self, File};
use std::io;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};

use super::log::Log;
use crate::session::WayOut;

/// What has been signalled. Elsewhere than on Unix only Ctrl-C exists, and a second one ends the program as the system
/// does it.
pub(super) struct Signals {
    stop: Arc<AtomicBool>,
    figures: Arc<AtomicBool>,
    hang_up: Arc<AtomicBool>,
    panic: Arc<AtomicBool>,
    /// Whether the session ends with its terminal.
    ends_with_terminal: bool,
    /// Once a session plays: what an end at once must not leave undone.
    way_out: Arc<OnceLock<WayOut>>,
}

/// What a SIGHUP means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HungUp {
    /// Read the configuration and the model anew: somebody has asked for it, who left the terminal in its place or found
    /// none.
    Reload,
    /// Of a program in a terminal: the terminal is gone, so end.
    TerminalGone,
}

impl Signals {
    /// Listens from now on.
    ///
    /// The first signal to end (INT, TERM, QUIT) asks for an end in order; a second one, or an end that takes too long,
    /// ends the program at once, with [`super::Exit::AtOnce`]. USR2 silences what sounds from its own thread, so that it
    /// does so whatever the rest is at.
    pub(super) fn listen(log: Log) -> io::Result<Self> {
        let signals = Self {
            stop: Arc::default(),
            figures: Arc::default(),
            hang_up: Arc::default(),
            panic: Arc::default(),
            // As under nohup.
            ends_with_terminal: has_terminal() && !is_ignored(),
            way_out: Arc::default(),
        };
        #[cfg(unix)]
        {
            use signal_hook::consts::{SIGHUP, SIGUSR1};
            signal_hook::flag::register(SIGUSR1, Arc::clone(&signals.figures))?;
            signal_hook::flag::register(SIGHUP, Arc::clone(&signals.hang_up))?;
            own_thread::listen(
                Arc::clone(&signals.stop),
                Arc::clone(&signals.panic),
                Arc::clone(&signals.way_out),
                log,
            )?;
        }
        #[cfg(not(unix))]
        for &signal in signal_hook::consts::TERM_SIGNALS {
            let _ = log;
            // In this order: the first signal finds the flag still down.
            signal_hook::flag::register_conditional_default(signal, Arc::clone(&signals.stop))?;
            signal_hook::flag::register(signal, Arc::clone(&signals.stop))?;
        }
        Ok(signals)
    }

    /// Says what an end at once must not leave undone from now on.
    pub(super) fn a_session_plays(&self, way_out: WayOut) {
        // One session for each program: a second one would find the first one's way out.
        let _ = self.way_out.set(way_out);
    }

    /// Whether somebody wants it to end.
    pub(super) fn to_end(&self) -> bool {
        self.stop.load(Relaxed)
    }

    /// Whether somebody wants to see the figures: true once for each signal USR1.
    pub(super) fn figures_wanted(&self) -> bool {
        self.figures.swap(false, Relaxed)
    }

    /// Whether a signal USR2 has come that did not reach the conductor: true once. What sounded is silent by then.
    pub(super) fn panic_wanted(&self) -> bool {
        self.panic.swap(false, Relaxed)
    }

    /// Whether a SIGHUP has come that nobody has taken.
    pub(super) fn has_hung_up(&self) -> bool {
        self.hang_up.load(Relaxed)
    }

    /// Takes a SIGHUP that has come.
    pub(super) fn hung_up(&self) -> Option<HungUp> {
        if !self.hang_up.swap(false, Relaxed) {
            return None;
        }
        // The system takes a terminal away before it sends the signal.
        let gone = self.ends_with_terminal && !has_terminal();
        Some(if gone { HungUp::TerminalGone } else { HungUp::Reload })
    }
}

/// Whether a terminal controls this program, wherever what it says is led. A service has none.
fn has_terminal() -> bool {
    File::open("/dev/tty").is_ok()
}

/// Whether the signal HUP was to be ignored by whoever started this program. Known on Linux; elsewhere it is not.
fn is_ignored() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask & 1 == 1)
}

/// The thread that takes the signals to end and the one for silence. It waits for nobody else's lock or queue, so that a
/// second signal is heard however stuck the rest may be.
#[cfg(unix)]
mod own_thread {
    use std::io;
    use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
    use std::sync::{Arc, OnceLock};
    use std::thread;
    use std::time::Duration;

    use signal_hook::consts::{SIGUSR2, TERM_SIGNALS};
    use signal_hook::iterator::Signals;

    use crate::commands::Exit;
    use crate::commands::log::Log;
    use crate::session::WayOut;

    /// How long an end in order may take: a long take on a slow card, and more.
    const IN_ORDER_WITHIN: Duration = Duration::from_secs(20);

    pub(super) fn listen(
        stop: Arc<AtomicBool>,
        panic: Arc<AtomicBool>,
        way_out: Arc<OnceLock<WayOut>>,
        log: Log,
    ) -> io::Result<()> {
        let mut signals = Signals::new(TERM_SIGNALS.iter().chain([&SIGUSR2]))?;
        let take = move || {
            for signal in signals.forever() {
                if signal == SIGUSR2 {
                    if way_out.get().is_some_and(|way_out| !way_out.panic()) {
                        panic.store(true, Relaxed);
                    }
                    continue;
                }
                if stop.swap(true, Relaxed) {
                    at_once(&way_out, log, "a second signal to end");
                }
                let way_out = Arc::clone(&way_out);
                let watch = move || {
                    thread::sleep(IN_ORDER_WITHIN);
                    at_once(&way_out, log, "the end in order took too long");
                };
                // Without the thread a second signal is still heard.
                let _ = thread::Builder::new().name("end".into()).spawn(watch);
            }
        };
        thread::Builder::new().name("signals".into()).spawn(take).map(drop)
    }

    /// Releases what sounds, closes the take and ends the program, whatever its other threads do.
    fn at_once(way_out: &OnceLock<WayOut>, log: Log, why: &str) -> ! {
        if let Some(way_out) = way_out.get() {
            let done = way_out.take();
            let notes =
                if done.released { "what sounded was released" } else { "the ports did not take the note-offs" };
            let take = if done.recorded { "the take is closed" } else { "the take lacks its last second" };
            log.warning(format_args!("{why}: ended at once; {notes}, {take}"));
        } else {
            log.warning(format_args!("{why}: ended at once"));
        }
        signal_hook::low_level::exit(i32::from(Exit::AtOnce as u8))
    }
}
