//! The pump between JACK's thread and the others.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rtrb::Consumer;

use super::NAME;
use crate::fault;
use crate::midi::TimedMessage;
use crate::ports::realtime::raise_input;
use crate::ports::{InputSink, PortError};
use crate::status::Status;
use crate::sysex::Piece;
use crate::take::Happening;

/// How often the pump looks into the rings. A human note-on silences an answer inside `process()`, so this only
/// delays what is learnt from it.
pub(super) const PUMP_EVERY: Duration = Duration::from_millis(1);

/// Hands on what JACK's thread heard and sent.
pub(super) struct Pump {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Pump {
    pub fn start(
        input: InputSink,
        mut heard: Consumer<TimedMessage>,
        mut pieces: Consumer<Piece>,
        mut sent: Consumer<Happening>,
        record: crossbeam_channel::Sender<Happening>,
        status: Arc<Status>,
    ) -> Result<Self, PortError> {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let broken = Arc::clone(&status);
        let mut look = move || {
            fault::point("jack pump");
            status.figures.input_queue.saw(heard.slots());
            status.figures.record_queue.saw(sent.slots());
            while let Ok(TimedMessage { time, message }) = heard.pop() {
                input.push(time, message.as_bytes());
            }
            input.routing().hands.ring_is_empty();
            while let Ok(piece) = pieces.pop() {
                input.push_piece(piece);
            }
            while let Ok(happening) = sent.pop() {
                if record.try_send(happening).is_err() {
                    status.record_dropped.fetch_add(1, Relaxed);
                }
            }
        };
        let pump = move || {
            raise_input();
            loop {
                let stopping = stopped.load(Relaxed);
                // After a panic the session is over; what is played until it has ended belongs into the take all the same.
                if catch_unwind(AssertUnwindSafe(&mut look)).is_err() {
                    broken.failed.store(true, Relaxed);
                }
                if stopping {
                    return;
                }
                thread::sleep(PUMP_EVERY);
            }
        };
        let thread = thread::Builder::new()
            .name("jack pump".into())
            .spawn(pump)
            .map_err(|error| PortError::Unavailable { system: NAME, why: error.to_string() })?;
        Ok(Self { stop, thread: Some(thread) })
    }
}

impl Drop for Pump {
    fn drop(&mut self) {
        self.stop.store(true, Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
