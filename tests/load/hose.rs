//! A JACK client that sends a flood, as much in a period as is due and as the port's buffer takes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};

use jack::{
    AsyncClient, Client, Control, Frames, MidiOut, NotificationHandler, Port, ProcessHandler, ProcessScope, RawMidi,
};

use crate::floods::Score;
use crate::pianist::ANTIPHON_IN;
use crate::server::open_client;

/// What JACK's threads tell.
#[derive(Default)]
struct Told {
    open: AtomicBool,
    sent: AtomicUsize,
    /// Periods in which the buffer was full.
    full: AtomicU64,
    overruns: AtomicU64,
}

/// See above.
pub struct Hose {
    _client: AsyncClient<Overruns, Valve>,
    told: Arc<Told>,
    length: usize,
}

impl Hose {
    /// Takes the score and connects to Antiphon.
    pub fn screw_on(score: &Arc<Score>) -> Self {
        let told = Arc::<Told>::default();
        let client = open_client("hose");
        let output = client.register_port("out", MidiOut::default()).expect("an output port");
        let valve = Valve { output, score: Arc::clone(score), next: 0, began: None, told: Arc::clone(&told) };
        let client = client.activate_async(Overruns(Arc::clone(&told)), valve).expect("it can be activated");
        let there = client.as_client().connect_ports_by_name("hose:out", ANTIPHON_IN);
        there.expect("Antiphon has its input port");
        Self { _client: client, told, length: score.len() }
    }

    /// Lets it run.
    pub fn open(&self) {
        self.told.open.store(true, Relaxed);
    }

    /// Events that have been sent.
    pub fn sent(&self) -> usize {
        self.told.sent.load(Relaxed)
    }

    /// Whether all has been sent.
    pub fn is_empty(&self) -> bool {
        self.sent() == self.length
    }

    /// Periods in which more was due than the port's buffer took.
    pub fn full(&self) -> u64 {
        self.told.full.load(Relaxed)
    }

    /// Periods that the server had no time for: what was sent in them may be lost.
    pub fn overruns(&self) -> u64 {
        self.told.overruns.load(Relaxed)
    }
}

/// Sends, in JACK's real-time thread.
struct Valve {
    output: Port<MidiOut>,
    score: Arc<Score>,
    next: usize,
    began: Option<Frames>,
    told: Arc<Told>,
}

impl ProcessHandler for Valve {
    fn process(&mut self, _: &Client, period: &ProcessScope) -> Control {
        let mut writer = self.output.writer(period);
        if !self.told.open.load(Relaxed) {
            return Control::Continue;
        }
        let now = period.last_frame_time();
        let now = now - *self.began.get_or_insert(now);
        while let Some((frame, bytes)) = self.score.event(self.next)
            && frame < now + period.n_frames()
        {
            // What is late leaves at once.
            if writer.write(&RawMidi { time: frame.saturating_sub(now), bytes }).is_err() {
                self.told.full.fetch_add(1, Relaxed);
                break;
            }
            self.next += 1;
        }
        self.told.sent.store(self.next, Relaxed);
        Control::Continue
    }
}

/// Counts overruns.
struct Overruns(Arc<Told>);

impl NotificationHandler for Overruns {
    fn xrun(&mut self, _: &Client) -> Control {
        self.0.overruns.fetch_add(1, Relaxed);
        Control::Continue
    }
}
