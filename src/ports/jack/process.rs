//! A client of the server: its callbacks, and the two ports.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender};
use jack::{
    AsyncClient, Client, ClientStatus, Control, MidiIn, MidiOut, NotificationHandler, Port, PortId, ProcessHandler,
    ProcessScope,
};

use super::performance::Performance;
use crate::ports::cables::Bell;

/// So long after the last callback JACK's threads are in its library again, on a busy machine too.
const STILL_FOR: Duration = Duration::from_millis(30);

/// A client that the server calls.
pub(super) type Active = AsyncClient<Notifications, Process>;

/// What JACK's threads and ours tell each other.
#[derive(Default)]
pub(super) struct Signals {
    /// The session ends: what sounds is to be released.
    pub stopping: AtomicBool,
    /// Periods since the last note-offs were written.
    pub released: AtomicU32,
    /// A source of what the human plays has gone: what they hold is let go.
    pub human_gone: AtomicBool,
    /// How often ports have come or gone.
    pub turnover: AtomicU64,
    /// How often two ports have been connected.
    pub connections: AtomicU32,
    /// How often a period was late, ours or somebody else's.
    pub xruns: AtomicU32,
    /// The server has gone, or calls us no longer.
    pub gone: AtomicBool,
    /// The client is about to be closed: nothing is played any more.
    leaving: AtomicBool,
    /// Callbacks that run at this moment, and how often one was called.
    inside: AtomicU32,
    calls: AtomicU32,
    /// How often a period was played.
    pub periods: AtomicU32,
}

impl Signals {
    /// There is a new client.
    pub fn join(&self) {
        self.gone.store(false, Relaxed);
        self.inside.store(0, SeqCst);
        self.leaving.store(false, SeqCst);
    }

    /// Waits until the client may be closed; false when that lasts longer than `within`.
    ///
    /// JACK's library cancels its threads when a client is closed, wherever they are. In a callback that is the end of the
    /// whole process, since no cancellation gets through Rust's frames. So nobody may be in one; and whoever has just come
    /// out, or was called by a server on its way out, gets the time to be in the library again.
    pub fn leave(&self, within: Duration) -> bool {
        let until = Instant::now() + within;
        self.leaving.store(true, SeqCst);
        let mut calls = self.calls.load(Relaxed);
        let mut still_since = Instant::now();
        while Instant::now() < until {
            let is_still = self.inside.load(SeqCst) == 0 && self.calls.load(Relaxed) == calls;
            if is_still && still_since.elapsed() >= STILL_FOR {
                return true;
            }
            if !is_still {
                (calls, still_since) = (self.calls.load(Relaxed), Instant::now());
            }
            thread::sleep(Duration::from_millis(1));
        }
        // A server that is there still calls on; there is nothing to wait for then.
        self.inside.load(SeqCst) == 0
    }

    /// Runs what a callback does.
    fn called(&self, does: impl FnOnce()) {
        self.inside.fetch_add(1, SeqCst);
        self.calls.fetch_add(1, Relaxed);
        does();
        self.inside.fetch_sub(1, SeqCst);
    }
}

/// Where the performance is left by whoever has had it, for the one that is to have it: a client's `process()`, or the
/// keeper while there is no server.
pub(super) type Foyer = (Sender<Box<Performance>>, Receiver<Box<Performance>>);

/// Everything that JACK's thread may touch.
pub(super) struct Process {
    pub input: Port<MidiIn>,
    pub output: Port<MidiOut>,
    /// Comes through the foyer when the client is active, and goes back there with its end.
    pub performance: Option<Box<Performance>>,
    pub foyer: Foyer,
    pub signals: Arc<Signals>,
}

impl ProcessHandler for Process {
    /// Thread: JACK's. Realtime-safe: yes.
    fn process(&mut self, client: &Client, scope: &ProcessScope) -> Control {
        let Self { input, output, performance, foyer: (_, foyer), signals } = self;
        signals.called(|| {
            signals.periods.fetch_add(1, Relaxed);
            if performance.is_none() {
                *performance = foyer.try_recv().ok();
            }
            match performance {
                Some(performance) if !signals.leaving.load(SeqCst) => {
                    // The crate would close the port on a panic, with notes sounding.
                    let period = AssertUnwindSafe(|| performance.period(client, scope, input, output));
                    if catch_unwind(period).is_err() {
                        performance.breaks();
                    }
                }
                // What is in the port's buffer would be heard.
                _ => drop(output.writer(scope)),
            }
        });
        Control::Continue
    }
}

impl Drop for Process {
    /// The client is closed: its thread has ended.
    fn drop(&mut self) {
        if let Some(performance) = self.performance.take() {
            // There is place: it is the only one.
            let _ = self.foyer.0.try_send(performance);
        }
    }
}

/// Hears that the server has gone, that periods were late, and that ports come and go.
pub(super) struct Notifications {
    pub signals: Arc<Signals>,
    pub bell: Bell,
}

impl NotificationHandler for Notifications {
    // The keeper finds out when it looks next: a bell must not be rung from a signal handler.
    #[expect(unsafe_code, reason = "the trait demands it: JACK may call this from a signal handler")]
    unsafe fn shutdown(&mut self, _status: ClientStatus, _reason: &str) {
        self.signals.called(|| self.signals.gone.store(true, Relaxed));
    }

    fn port_registration(&mut self, _: &Client, _: PortId, _registered: bool) {
        self.signals.called(|| {
            self.signals.turnover.fetch_add(1, Relaxed);
            self.bell.ring();
        });
    }

    fn xrun(&mut self, _: &Client) -> Control {
        self.signals.called(|| {
            self.signals.xruns.fetch_add(1, Relaxed);
        });
        Control::Continue
    }

    fn ports_connected(&mut self, _: &Client, _: PortId, _: PortId, connected: bool) {
        self.signals.called(|| {
            self.signals.connections.fetch_add(u32::from(connected), Relaxed);
            self.bell.ring();
        });
    }
}
