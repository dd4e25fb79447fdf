//! JACK's time on the session's clock: its microseconds, and the frames of a period.

use jack::Frames;

use crate::time::{SessionDuration, SessionTime};

/// Two readings of our clock further apart than this say little about JACK's between them: the thread was held up.
const CLOSE: SessionDuration = SessionDuration::from_micros(20);

/// A difference between the clocks is followed by a microsecond in so many: twice as fast as a clock is ever slewed.
const FOLLOWS_ONE_IN: i64 = 1_000;

/// Session time minus JACK's time. The two are different clocks, which drift by some tens of microseconds a second.
#[derive(Debug, Default)]
pub(super) struct JackOffset {
    us: Option<i64>,
    /// How close the readings were from which it is known.
    within: SessionDuration,
    last_jack_us: u64,
}

impl JackOffset {
    /// Takes in that JACK's clock showed `jack_us` between two readings of ours. Follows slowly, so that the periods
    /// stay side by side and no note falls between two of them.
    pub fn measured(&mut self, before: SessionTime, jack_us: u64, after: SessionTime) {
        let middle = signed(before.as_micros().midpoint(after.as_micros()));
        let measured = middle - signed(jack_us);
        let most = signed(jack_us.saturating_sub(self.last_jack_us)) / FOLLOWS_ONE_IN + 1;
        let within = after.since(before);
        match self.us {
            Some(kept) if within <= CLOSE && self.within <= CLOSE => {
                self.us = Some(kept + ((measured - kept) / 8).clamp(-most, most));
            }
            // Held up so far: the best that there is counts at once.
            Some(_) if within >= self.within => {}
            Some(_) | None => (self.us, self.within) = (Some(measured), within),
        }
        self.last_jack_us = jack_us;
    }

    /// Session time of JACK's `jack_us`.
    pub fn session_time(&self, jack_us: u64) -> SessionTime {
        SessionTime::from_micros(u64::try_from(signed(jack_us) + self.us.unwrap_or(0)).unwrap_or(0))
    }
}

fn signed(us: u64) -> i64 {
    i64::try_from(us).unwrap_or(i64::MAX)
}

/// One period: which frame is when.
#[derive(Clone, Copy, Debug)]
pub(super) struct Period {
    /// The time of the first frame.
    pub begin: SessionTime,
    /// How many frames, at least one.
    frames: Frames,
    /// How long they last: from the beginning of this period to that of the next.
    us: u64,
}

impl Period {
    /// A period of `frames` that lasts `us` microseconds by JACK's clock, if that is near to what `rate` says.
    pub fn new(begin: SessionTime, frames: Frames, rate: Frames, us: Option<u64>) -> Self {
        let frames = frames.max(1);
        let nominal = (u64::from(frames) * 1_000_000 / u64::from(rate.max(1))).max(1);
        let us = us.filter(|us| (nominal / 2..=nominal * 2).contains(us)).unwrap_or(nominal);
        Self { begin, frames, us }
    }

    /// The time of a frame, to the nearest microsecond. [`Period::nearest`] leads back to that frame.
    pub fn time_of(&self, frame: Frames) -> SessionTime {
        let frames = u64::from(self.frames);
        self.begin + SessionDuration::from_micros((u64::from(frame) * self.us + frames / 2) / frames)
    }

    /// The frame of this period that is nearest to `time`.
    pub fn nearest(&self, time: SessionTime) -> Frames {
        let frame = (time.since(self.begin).as_micros().saturating_mul(u64::from(self.frames)) + self.us / 2) / self.us;
        Frames::try_from(frame).unwrap_or(Frames::MAX).min(self.frames - 1)
    }

    /// The latest time that is nearer to a frame of this period than to the next period's first.
    pub fn last_due(&self) -> SessionTime {
        let frames = u64::from(self.frames);
        self.begin + SessionDuration::from_micros(((2 * frames - 1) * self.us - 1) / (2 * frames))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(us: u64) -> SessionTime {
        SessionTime::from_micros(us)
    }

    #[test]
    fn the_offset_follows_slowly_and_passes_over_what_was_held_up() {
        let mut offset = JackOffset::default();
        offset.measured(at(1000), 500, at(1002));
        assert_eq!(offset.session_time(600), at(1101));
        offset.measured(at(1300), 700, at(1400));
        assert_eq!(offset.session_time(600), at(1101), "held up between the readings");
        offset.measured(at(1400), 800, at(1402));
        assert_eq!(offset.session_time(600), at(1102));
        for us in 1..200 {
            offset.measured(at(1400 + us), 800 + us, at(1402 + us));
        }
        assert!(offset.session_time(600).since(at(1190)) <= SessionDuration::from_micros(20));
    }

    #[test]
    fn a_first_measurement_that_was_held_up_gives_way_to_a_better_one() {
        let mut offset = JackOffset::default();
        offset.measured(at(1000), 600, at(91_000));
        offset.measured(at(92_000), 91_500, at(94_000));
        assert_eq!(offset.session_time(91_500), at(93_000), "closer");
        offset.measured(at(95_000), 94_600, at(99_000));
        assert_eq!(offset.session_time(91_500), at(93_000), "no closer than that");
        offset.measured(at(100_000), 99_500, at(100_002));
        assert_eq!(offset.session_time(99_500), at(100_001));
    }

    #[test]
    fn a_length_that_cannot_be_is_not_believed() {
        let length = |us| Period::new(at(0), 64, 48_000, us).time_of(64).as_micros();
        assert_eq!([length(None), length(Some(1340)), length(Some(0)), length(Some(50_000))], [1333, 1340, 1333, 1333]);
    }

    proptest! {
        #[test]
        fn every_frame_has_a_time_that_leads_back_to_it(frames in 16u32..2048, stretch in 0u64..20) {
            let nominal = u64::from(frames) * 1_000_000 / 48_000;
            let period = Period::new(at(7_000), frames, 48_000, Some(nominal - 10 + stretch));
            for frame in 0..frames {
                prop_assert_eq!(period.nearest(period.time_of(frame)), frame);
            }
        }

        #[test]
        fn every_time_is_in_one_period_and_leaves_within_half_a_frame(due in 7_000u64..12_000, stretch in 0u64..20) {
            let first = Period::new(at(7_000), 64, 48_000, Some(1323 + stretch));
            let mut period = first;
            while period.last_due() < at(due) {
                period = Period::new(period.time_of(64), 64, 48_000, Some(1323 + stretch));
            }
            let left = period.time_of(period.nearest(at(due)));
            let off = left.since(at(due)).max(at(due).since(left));
            prop_assert!(off <= SessionDuration::from_micros(11), "{off:?}");
        }
    }
}
