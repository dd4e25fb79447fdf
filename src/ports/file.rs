//! A MIDI file that plays the human, in real time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::InputSink;
use super::realtime::raise_input;
use crate::fault;
use crate::midi::TimedMessage;
use crate::sysex::SysEx;
use crate::time::{Clock, SessionTime};

/// Longest sleep, so that stopping in a long rest is noticed soon.
const LONGEST_SLEEP: Duration = Duration::from_millis(50);

/// Plays messages into the input at their times. Dropping it stops it.
pub struct FilePlayer {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl FilePlayer {
    /// Starts to play; `messages` and `sysex` are in time order, on the session's clock.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn start(
        clock: Clock,
        messages: Vec<TimedMessage>,
        sysex: Vec<SysEx>,
        input: InputSink,
    ) -> std::io::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        // Waits until then; false when told to stop.
        let wait_for = move |time: SessionTime| {
            while let now = clock.now()
                && now < time
            {
                if stopped.load(Relaxed) {
                    return false;
                }
                thread::sleep(LONGEST_SLEEP.min(time.since(now).into()));
            }
            true
        };
        let play = move || {
            raise_input();
            let mut slicer = input.slicer();
            let mut sysex = sysex.into_iter().peekable();
            let mut messages = messages.into_iter().peekable();
            loop {
                fault::point("file player");
                let next = messages.peek().map(|next| next.time);
                if let Some(long) = sysex.next_if(|long| next.is_none_or(|next| long.time <= next)) {
                    if !wait_for(long.time) {
                        return;
                    }
                    input.hear(&mut slicer, long.time, &long.bytes, |_| {});
                } else if let Some(TimedMessage { time, message }) = messages.next() {
                    if !wait_for(time) {
                        return;
                    }
                    input.push(time, message.as_bytes());
                } else {
                    return;
                }
            }
        };
        let thread = thread::Builder::new().name("file player".into()).spawn(play)?;
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
