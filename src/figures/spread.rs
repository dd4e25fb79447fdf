//! How long something took, over and over: a histogram that any thread may add to, and what it comes to.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use histogram::{AtomicHistogram, Config};
use serde::{Deserialize, Serialize};

use crate::time::SessionDuration;

/// Two values of a histogram that differ by less than one part in two to this power may be counted as the same. Below
/// 128 microseconds every microsecond has its own count.
const PRECISION: u8 = 6;

/// The longest time that a histogram tells from longer ones: two to this power, 67 seconds in microseconds.
const RANGE: u8 = 26;

/// Which times are counted as the same.
const CLASSES: Config = match Config::new(PRECISION, RANGE) {
    Ok(classes) => classes,
    Err(_) => panic!("the precision is below the range"),
};

/// How long something took, over and over: a histogram from a microsecond to 67 seconds, off by 1.6 % at most.
///
/// Thread: any. Realtime-safe: adding is; reading takes memory.
#[derive(Debug)]
pub struct Spread {
    counts: AtomicHistogram,
    max_us: AtomicU64,
}

impl Default for Spread {
    fn default() -> Self {
        Self { counts: AtomicHistogram::with_config(&CLASSES), max_us: AtomicU64::new(0) }
    }
}

impl Spread {
    /// Adds one.
    pub fn add(&self, took: SessionDuration) {
        let us = took.as_micros();
        // Longer than the range counts as its end, so this never fails.
        let _ = self.counts.increment(us.min((1 << RANGE) - 1));
        self.max_us.fetch_max(us, Relaxed);
    }

    /// What has been added so far.
    pub fn summary(&self) -> Summary {
        let counts = self.counts.load();
        let max_us = self.max_us.load(Relaxed);
        let at = |share: f64| {
            let found = counts.quantile(share).ok().flatten();
            let bucket = found.as_ref().and_then(|found| found.entries().values().next());
            bucket.map_or(0, |bucket| bucket.end().min(max_us))
        };
        let count = counts.as_slice().iter().sum();
        Summary { count, p50_us: at(0.5), p99_us: at(0.99), p999_us: at(0.999), max_us }
    }
}

/// A spread in five numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// How many were added.
    pub count: u64,
    /// Half took no longer than this, in microseconds.
    pub p50_us: u64,
    /// 99 of 100 took no longer than this.
    pub p99_us: u64,
    /// 999 of 1000 took no longer than this.
    pub p999_us: u64,
    /// The longest.
    pub max_us: u64,
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>11}", self.count)?;
        for us in [self.p50_us, self.p99_us, self.p999_us, self.max_us] {
            write!(f, "{:>11.3}", SessionDuration::from_micros(us).as_seconds() * 1000.0)?;
        }
        Ok(())
    }
}

/// The line above summaries: what their columns are.
pub struct Heading;

impl fmt::Display for Heading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let columns = ["count", "p50 ms", "p99 ms", "p99.9 ms", "max ms"];
        write!(f, "{:<24}", "")?;
        columns.iter().try_for_each(|column| write!(f, "{column:>11}"))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn us(us: u64) -> SessionDuration {
        SessionDuration::from_micros(us)
    }

    fn summary(values: &[u64]) -> Summary {
        let spread = Spread::default();
        values.iter().for_each(|&value| spread.add(us(value)));
        spread.summary()
    }

    #[test]
    fn short_times_are_counted_to_the_microsecond() {
        let summary = summary(&(1..=100).collect::<Vec<_>>());
        assert_eq!(summary, Summary { count: 100, p50_us: 50, p99_us: 99, p999_us: 100, max_us: 100 });
    }

    #[test]
    fn nothing_added_is_nothing() {
        assert_eq!(summary(&[]), Summary { count: 0, p50_us: 0, p99_us: 0, p999_us: 0, max_us: 0 });
    }

    #[test]
    fn a_time_beyond_the_range_is_still_the_longest() {
        let summary = summary(&[3, 900_000_000]);
        assert_eq!((summary.count, summary.p50_us, summary.max_us), (2, 3, 900_000_000));
    }

    #[test]
    fn threads_that_add_at_the_same_time_lose_nothing() {
        let spread = Spread::default();
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let spread = &spread;
                scope.spawn(move || (0..10_000).for_each(|value| spread.add(us(value + thread))));
            }
        });
        assert_eq!((spread.summary().count, spread.summary().max_us), (40_000, 10_002));
    }

    proptest! {
        #[test]
        fn a_percentile_is_off_by_two_per_cent_at_most(values in proptest::collection::vec(0u64..60_000_000, 1..300)) {
            let summary = summary(&values);
            let mut sorted = values;
            sorted.sort_unstable();
            for (share, told) in [(0.5, summary.p50_us), (0.99, summary.p99_us), (0.999, summary.p999_us)] {
                #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss,
                    reason = "a rank among 300")]
                let rank = (share * sorted.len() as f64).ceil() as usize;
                let exact = sorted[rank - 1];
                prop_assert!(told >= exact && told <= exact + exact / 64 + 1, "{share}: {told} for {exact}");
            }
            prop_assert_eq!(summary.max_us, sorted[sorted.len() - 1]);
        }
    }
}
