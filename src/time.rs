//! Time as integer microseconds on one monotonic clock.
//!
//! [`SessionTime`] is a point, [`SessionDuration`] a length; only the sums that mean something compile.

use std::fmt;
use std::ops::{Add, AddAssign, Sub};
#[cfg(test)]
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// A point in time: microseconds since the session began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionTime(u64);

/// A length of time in microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionDuration(u64);

impl SessionTime {
    /// The moment at which the session began.
    pub const ZERO: Self = Self(0);
    /// Later than every other time.
    pub const MAX: Self = Self(u64::MAX);

    /// `us` microseconds after the session began.
    pub const fn from_micros(us: u64) -> Self {
        Self(us)
    }

    /// Microseconds since the session began.
    pub const fn as_micros(self) -> u64 {
        self.0
    }

    /// The time that has passed since `earlier`; zero when `earlier` is in fact later.
    pub const fn since(self, earlier: Self) -> SessionDuration {
        SessionDuration(self.0.saturating_sub(earlier.0))
    }
}

impl SessionDuration {
    /// No time at all.
    pub const ZERO: Self = Self(0);

    /// `us` microseconds.
    pub const fn from_micros(us: u64) -> Self {
        Self(us)
    }

    /// `ms` milliseconds.
    pub const fn from_millis(ms: u64) -> Self {
        Self(ms * 1000)
    }

    /// `seconds` seconds, rounded to a microsecond; negative and non-finite values become zero.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped: `as` saturates, NaN gives 0")]
    pub fn from_seconds(seconds: f64) -> Self {
        Self((seconds * 1e6).round().max(0.0) as u64)
    }

    /// Length in microseconds.
    pub const fn as_micros(self) -> u64 {
        self.0
    }

    /// Length in seconds.
    #[expect(clippy::cast_precision_loss, reason = "exact below 2^53 microseconds, 285 years")]
    pub fn as_seconds(self) -> f64 {
        self.0 as f64 / 1e6
    }
}

impl Add<SessionDuration> for SessionTime {
    type Output = Self;
    fn add(self, span: SessionDuration) -> Self {
        Self(self.0.saturating_add(span.0))
    }
}

impl AddAssign<SessionDuration> for SessionTime {
    fn add_assign(&mut self, span: SessionDuration) {
        *self = *self + span;
    }
}

impl Sub<SessionDuration> for SessionTime {
    type Output = Self;
    /// Saturates at the session's beginning.
    fn sub(self, span: SessionDuration) -> Self {
        Self(self.0.saturating_sub(span.0))
    }
}

impl Add for SessionDuration {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl From<SessionDuration> for Duration {
    fn from(span: SessionDuration) -> Self {
        Self::from_micros(span.0)
    }
}

impl fmt::Display for SessionTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.3} s", SessionDuration(self.0).as_seconds())
    }
}

/// The session's clock: counts from its creation on the operating system's monotonic clock.
///
/// Thread: any. Realtime-safe: yes (one vDSO call). Pure stages never hold one: they are told the time.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    origin: Instant,
    /// In tests under virtual time: what it shows.
    #[cfg(test)]
    shown: Option<&'static AtomicU64>,
}

impl Clock {
    /// Starts the session's time at zero.
    #[expect(clippy::new_without_default, reason = "starting a clock is an act, not a default value")]
    pub fn new() -> Self {
        Self {
            origin: Instant::now(),
            #[cfg(test)]
            shown: None,
        }
    }

    /// A clock that stands still until it is set.
    #[cfg(test)]
    pub(crate) fn by_hand() -> Self {
        // It lives as long as the threads of a real one could.
        Self { shown: Some(Box::leak(Box::default())), ..Self::new() }
    }

    /// Sets a clock that stands still.
    #[cfg(test)]
    pub(crate) fn set(&self, now: SessionTime) {
        self.shown.expect("a clock by hand").store(now.0, Relaxed);
    }

    /// The time now.
    pub fn now(&self) -> SessionTime {
        #[cfg(test)]
        if let Some(shown) = self.shown {
            return SessionTime(shown.load(Relaxed));
        }
        SessionTime(u64::try_from(self.origin.elapsed().as_micros()).unwrap_or(u64::MAX))
    }

    /// The operating system's instant for `time`, for waiting until a deadline.
    pub fn instant(&self, time: SessionTime) -> Instant {
        // A deadline centuries away overflows some platforms' Instant: a day is as good as never for one wait.
        const DAY_US: u64 = 86_400_000_000;
        let now = self.now();
        let capped = time.0.min(now.0 + DAY_US);
        self.origin + Duration::from_micros(capped)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_saturate_instead_of_wrapping() {
        let early = SessionTime::from_micros(5);
        let late = SessionTime::from_micros(9);
        assert_eq!(late.since(early), SessionDuration::from_micros(4));
        assert_eq!(early.since(late), SessionDuration::ZERO);
        assert_eq!(early - SessionDuration::from_millis(1), SessionTime::ZERO);
    }

    #[test]
    fn seconds_that_make_no_sense_become_zero() {
        assert_eq!(SessionDuration::from_seconds(-1.0), SessionDuration::ZERO);
        assert_eq!(SessionDuration::from_seconds(f64::NAN), SessionDuration::ZERO);
        assert_eq!(SessionDuration::from_seconds(0.25).as_micros(), 250_000);
    }

    #[test]
    fn a_deadline_that_never_comes_can_still_be_waited_for() {
        let clock = Clock::new();
        assert!(clock.instant(SessionTime::MAX) > Instant::now());
    }
}
