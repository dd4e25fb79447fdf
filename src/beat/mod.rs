//! Beats out of a MIDI clock: where the beat is, where the next one falls, and a recording whose bars are the clock's.
//!
//! Pure: each clock and transport message comes with its time. A beat is a quarter note, 24 clocks.
//!
//! ```text
//! clock, Start, Stop, ... --> Follower --> Grid: time <-> beats, snap, next beat or bar
//!                             TempoTrail --> the tempo map of the take
//! ```
//! Without a clock, after Stop, and when the clock stays away, there is no grid: time is free.

mod follower;
mod grid;
mod pulse;
mod tempo_trail;
#[cfg(test)]
mod test_clock;

pub use follower::Follower;
pub use grid::{Entry, Grid};
pub use tempo_trail::TempoTrail;

use crate::time::{SessionDuration, SessionTime};

/// Clocks a beat, by the standard.
const CLOCKS_PER_BEAT: f64 = 24.0;

/// Seconds since the session's beginning.
fn seconds(time: SessionTime) -> f64 {
    time.since(SessionTime::ZERO).as_seconds()
}

/// The time that many seconds after the session's beginning; the beginning for negative ones.
fn at_seconds(seconds: f64) -> SessionTime {
    SessionTime::ZERO + SessionDuration::from_seconds(seconds)
}
