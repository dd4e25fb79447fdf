//! A MIDI file that plays the human, in real time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::InputSink;
use crate::midi::TimedMessage;
use crate::time::Clock;

/// Longest sleep, so that stopping in a long rest is noticed soon.
const LONGEST_SLEEP: Duration = Duration::from_millis(50);

/// Plays messages into the input at their times. Dropping it stops it.
pub struct FilePlayer {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl FilePlayer {
    /// Starts to play; `messages` are in time order, on the session's clock.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn start(clock: Clock, messages: Vec<TimedMessage>, input: InputSink) -> std::io::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = thread::Builder::new().name("file player".into()).spawn(move || {
            for TimedMessage { time, message } in messages {
                while let now = clock.now()
                    && now < time
                {
                    if stopped.load(Relaxed) {
                        return;
                    }
                    thread::sleep(LONGEST_SLEEP.min(time.since(now).into()));
                }
                input.push(time, message.as_bytes());
            }
        })?;
        Ok(Self { stop, thread: Some(thread) })
    }
}

impl Drop for FilePlayer {
    fn drop(&mut self) {
        self.stop.store(true, Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
