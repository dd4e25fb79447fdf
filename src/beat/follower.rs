//! Follows a MIDI clock and its transport.

use super::pulse::Pulse;
use super::{CLOCKS_PER_BEAT, Grid};
use crate::midi::SyncMessage;
use crate::time::{SessionDuration, SessionTime};

/// Without a clock for this long, and for a beat, time is free.
const PATIENCE: SessionDuration = SessionDuration::from_millis(500);

/// A grid that is wrong by more beats than this is not eased into the right one: a new run begins.
const LARGEST_ERROR: f64 = 1.0;

/// Turns clock and transport messages into a [`Grid`].
///
/// Drift and changes of tempo are followed, jitter is averaged out, what comes late in a bunch or not at all is glided
/// over. Tempi from 20 to 400 bpm. A clock that never said Start counts as running: its first clock is beat 0.
///
/// Thread: any. Realtime-safe: yes; being `Copy` it cannot own memory.
#[derive(Clone, Copy, Debug)]
pub struct Follower {
    beats_per_bar: u8,
    pulse: Pulse,
    transport: Transport,
    /// Where the newest clock is, in clocks from the song's beginning.
    position: f64,
    /// Where the next clock is, if the master has said so.
    next_position: Option<f64>,
    newest_clock: Option<SessionTime>,
    grid: Option<Grid>,
    run: u32,
    /// Where the present run began, in beats, while it has no grid yet.
    run_began: Option<f64>,
    /// The latest time that a grid was given out for.
    asked: SessionTime,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Transport {
    Running,
    /// The next clock is the first one.
    Starting,
    Stopped,
}

impl Follower {
    /// Follows a clock whose bars have `beats_per_bar` quarter notes; 0 counts as 1.
    pub fn new(beats_per_bar: u8) -> Self {
        Self {
            beats_per_bar: beats_per_bar.max(1),
            pulse: Pulse::default(),
            transport: Transport::Running,
            position: -1.0,
            next_position: None,
            newest_clock: None,
            grid: None,
            run: 0,
            run_began: None,
            asked: SessionTime::ZERO,
        }
    }

    /// Quarter notes a bar.
    pub fn beats_per_bar(&self) -> u8 {
        self.beats_per_bar
    }

    /// From the next clock on, bars have `beats_per_bar` quarter notes; 0 counts as 1.
    pub fn set_beats_per_bar(&mut self, beats_per_bar: u8) {
        self.beats_per_bar = beats_per_bar.max(1);
    }

    /// Takes in a message that came at `at`; messages come in time order.
    pub fn hear(&mut self, at: SessionTime, message: SyncMessage) {
        match message {
            SyncMessage::Clock => self.clock(at),
            SyncMessage::Start => {
                self.next_position = Some(0.0);
                self.begin();
            }
            SyncMessage::Continue => self.begin(),
            SyncMessage::Stop => {
                self.transport = Transport::Stopped;
                self.grid = None;
            }
            SyncMessage::SongPosition { sixteenths } => {
                self.next_position = Some(f64::from(sixteenths) * CLOCKS_PER_BEAT / 4.0);
            }
        }
    }

    /// The grid at `now`; `None` when time is free: no clock, too few clocks yet, stopped, or the clock has stayed away.
    pub fn grid(&mut self, now: SessionTime) -> Option<Grid> {
        self.asked = self.asked.max(now);
        let newest = self.newest_clock?;
        self.grid.filter(|_| now.since(newest) <= self.patience())
    }

    fn begin(&mut self) {
        self.transport = Transport::Starting;
        self.grid = None;
    }

    fn clock(&mut self, at: SessionTime) {
        let stayed_away = self.newest_clock.is_some_and(|newest| at.since(newest) > self.patience());
        let is_first = self.newest_clock.replace(at).is_none();
        match self.transport {
            Transport::Stopped => {
                // Many masters send clocks all the time: the tempo is known before the song starts.
                self.pulse.hear(at);
            }
            Transport::Starting => {
                self.transport = Transport::Running;
                self.pulse.restart(at);
                self.position = self.next_position.take().unwrap_or(self.position + 1.0);
                self.begin_run();
                self.show(at);
            }
            Transport::Running => {
                self.position += 1.0 + self.pulse.hear(at);
                let moved = self.next_position.take();
                self.position = moved.unwrap_or(self.position);
                if stayed_away {
                    self.grid = None;
                    self.run_began = None;
                }
                if is_first || moved.is_some() || (stayed_away && self.pulse.newest().is_none()) {
                    self.begin_run();
                }
                // A clock that has stayed away must first show that it is the old one.
                if self.grid.is_some() || moved.is_some() || self.pulse.is_steady() {
                    self.show(at);
                }
            }
        }
    }

    fn begin_run(&mut self) {
        self.grid = None;
        self.run_began = Some(self.position / CLOCKS_PER_BEAT);
    }

    /// Draws the grid through the newest clock.
    fn show(&mut self, at: SessionTime) {
        let Some(newest) = self.pulse.newest() else {
            self.grid = None;
            return;
        };
        // From the latest time that someone asked for on, so that nobody sees a beat go back.
        let anchor = at.max(self.asked);
        let beat = (self.position + (super::seconds(anchor) - newest.time) / newest.period) / CLOCKS_PER_BEAT;
        let fresh = |run, from| Grid::new(run, from, self.beats_per_bar, anchor, beat, newest);
        let eased = self.grid.map(|earlier| fresh(0, 0.0).eased_from(&earlier));
        self.grid = eased.filter(|eased| eased.error() <= LARGEST_ERROR).or_else(|| {
            self.run += 1;
            Some(fresh(self.run, self.run_began.take().unwrap_or(beat)))
        });
    }

    /// How long a clock may stay away.
    fn patience(&self) -> SessionDuration {
        let beat = self.pulse.newest().map_or(0.0, |newest| newest.period * CLOCKS_PER_BEAT);
        PATIENCE.max(SessionDuration::from_seconds(beat))
    }
}

#[cfg(test)]
mod tests;
