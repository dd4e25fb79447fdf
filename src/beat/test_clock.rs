//! A master for tests: sends clocks under virtual time, late and early as a cable makes them.

use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};

use super::CLOCKS_PER_BEAT;
use crate::midi::SyncMessage;
use crate::time::SessionTime;

/// A master whose clock has sent what is in `sent`.
pub(super) struct Master {
    /// What has been sent, in order of arrival.
    pub(super) sent: Vec<(SessionTime, SyncMessage)>,
    /// The true time of the next clock in seconds.
    pub(super) now: f64,
    jitter: f64,
    random: ChaCha8Rng,
}

pub(super) fn micros(us: f64) -> SessionTime {
    super::at_seconds(us / 1e6)
}

impl Master {
    /// A master whose first clock falls `seconds` after the session's beginning.
    pub(super) fn at(seconds: f64) -> Self {
        Self { sent: Vec::new(), now: seconds, jitter: 0.0, random: ChaCha8Rng::seed_from_u64(7) }
    }

    /// Every clock comes up to that many seconds early or late, all as likely.
    pub(super) fn jitter(mut self, seconds: f64) -> Self {
        self.jitter = seconds;
        self
    }

    /// Sends a transport message a millisecond before the next clock, or with the newest clock if that is later.
    pub(super) fn send(&mut self, message: SyncMessage) {
        self.arrive(self.now - 0.001, message);
    }

    /// Sends no clocks for so many seconds; the next one falls then.
    pub(super) fn rest(&mut self, seconds: f64) {
        self.now += seconds;
    }

    /// Sends the clocks of so many beats at a tempo.
    pub(super) fn beats(&mut self, beats: f64, bpm: f64) {
        self.clocks(beats, |_| bpm);
    }

    /// Sends the clocks of so many beats; `bpm` tells the tempo at each beat from here.
    pub(super) fn clocks(&mut self, beats: f64, bpm: impl Fn(f64) -> f64) {
        let mut clock = 0.0;
        while clock < (beats * CLOCKS_PER_BEAT).round() {
            let random = f64::from(self.random.next_u32()) / f64::from(u32::MAX);
            self.arrive(self.now + self.jitter * (2.0 * random - 1.0), SyncMessage::Clock);
            self.now += 60.0 / bpm(clock / CLOCKS_PER_BEAT) / CLOCKS_PER_BEAT;
            clock += 1.0;
        }
    }

    /// Loses the newest `clocks` clocks on the way.
    pub(super) fn lose(&mut self, clocks: usize) {
        self.sent.truncate(self.sent.len() - clocks);
    }

    /// Holds the newest `clocks` clocks back until the last of them.
    pub(super) fn hold_back(&mut self, clocks: usize) {
        let begin = self.sent.len() - clocks;
        let last = self.sent[self.sent.len() - 1].0;
        self.sent[begin..].iter_mut().for_each(|(time, _)| *time = last);
    }

    /// Sends so many clocks at once that are none.
    pub(super) fn babble(&mut self, clocks: usize) {
        for _ in 0..clocks {
            self.arrive(self.now - 0.0005, SyncMessage::Clock);
        }
    }

    fn arrive(&mut self, seconds: f64, message: SyncMessage) {
        let newest = self.sent.last().map_or(SessionTime::ZERO, |(time, _)| *time);
        self.sent.push((super::at_seconds(seconds).max(newest), message));
    }
}
