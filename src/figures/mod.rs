//! How well time is kept: histograms and counts that every thread adds to while it plays.

mod progress;
mod report;
mod spread;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

pub use progress::{Progress, Woken};
pub use report::{Deepest, Dropped, Heard, Notes, Report, SoundReport};
pub use spread::{Heading, Spread, Summary};

use crate::time::{SessionDuration, SessionTime};

/// A note-on that leaves within this of the moment for which it was planned is on time: a tenth of what a trained ear
/// can tell from being together.
pub const ON_TIME: SessionDuration = SessionDuration::from_millis(1);

/// The deepest that a queue has been.
#[derive(Debug, Default)]
pub struct Depth(AtomicU64);

impl Depth {
    /// So many waited just now.
    pub fn saw(&self, waiting: usize) {
        // Most looks find nothing new: reading alone leaves the other threads' caches in peace.
        let waiting = waiting as u64;
        if waiting > self.0.load(Relaxed) {
            self.0.fetch_max(waiting, Relaxed);
        }
    }

    /// The most that was seen.
    pub fn deepest(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// What is measured.
///
/// Thread: any. Realtime-safe: adding is.
#[derive(Debug, Default)]
pub struct Figures {
    /// From a human note-on to the model's state after it.
    pub note_to_state: Spread,
    /// From something that the human did to a continuation that takes it into account.
    pub plan_revised: Spread,
    /// Choosing one whole note: its four attributes, and the state after it.
    pub note_sampled: Spread,
    /// How far from the moment for which it was planned a note-on left, on either side.
    pub planned_to_sent: Spread,
    /// The same for the first note after the human has struck a key.
    pub first_note: Spread,
    /// From a human note-on to the last note-off of what it cut off.
    pub barge_in: Spread,
    /// From the MIDI system's going to its coming back: time without sound.
    pub system_away: Spread,
    answer_expected: AtomicBool,
    on_time: AtomicU64,
    late: AtomicU64,
    /// What the human sent, on its way to the conductor.
    pub input_queue: Depth,
    /// Commands to the player.
    pub player_queue: Depth,
    /// What happened, on its way to the recorder.
    pub record_queue: Depth,
}

impl Figures {
    /// The human has struck a key: the next note-on is the first of an answer.
    pub fn human_struck(&self) {
        self.answer_expected.store(true, Relaxed);
    }

    /// A note-on that was `planned` has left.
    pub fn note_left(&self, planned: SessionTime, left: SessionTime) {
        let off = left.since(planned).max(planned.since(left));
        self.planned_to_sent.add(off);
        if self.answer_expected.swap(false, Relaxed) {
            self.first_note.add(off);
        }
        let count = if off <= ON_TIME { &self.on_time } else { &self.late };
        count.fetch_add(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_is_on_time_within_a_millisecond_on_either_side() {
        let figures = Figures::default();
        let planned = SessionTime::from_micros(50_000);
        for left in [49_000, 50_007, 51_000, 51_001] {
            if left == 50_007 {
                figures.human_struck();
            }
            figures.note_left(planned, SessionTime::from_micros(left));
        }
        assert_eq!((figures.on_time.load(Relaxed), figures.late.load(Relaxed)), (3, 1));
        assert_eq!(figures.planned_to_sent.summary().max_us, 1_001);
        assert_eq!((figures.first_note.summary().count, figures.first_note.summary().max_us), (1, 7));
    }
}
