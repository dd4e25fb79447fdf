//! Ticks to microseconds and back, exactly.

use crate::time::SessionTime;

/// Microseconds a quarter note lasts until the file says otherwise: 120 bpm.
pub(super) const DEFAULT_TEMPO_US: u32 = 500_000;

/// The law that gives each absolute tick its time.
///
/// Elapsed time is kept as a whole number of `1 / denominator` microseconds: every tempo change falls on a tick, so this is exact
/// and the only rounding is that of a result.
#[derive(Clone, Debug)]
pub(super) struct TempoMap {
    denominator: u64,
    has_tempo: bool,
    segments: Vec<Segment>,
}

/// From `tick` on, each tick lasts `per_tick`.
#[derive(Clone, Copy, Debug)]
struct Segment {
    tick: u64,
    /// At `tick`, in microseconds times the denominator.
    elapsed: u128,
    /// In microseconds times the denominator.
    per_tick: u64,
}

impl TempoMap {
    /// 120 bpm at `division` ticks a quarter note; `None` when `division` is zero.
    pub(super) fn metrical(division: u16) -> Option<Self> {
        (division > 0).then(|| Self::starting(u64::from(division), DEFAULT_TEMPO_US.into(), true))
    }

    /// Time code: `frames` a second, `division` ticks a frame; `None` when either is zero.
    ///
    /// 29 stands for the 30000/1001 frames a second of colour television.
    pub(super) fn time_code(frames: u8, division: u8) -> Option<Self> {
        let division = u64::from(division);
        match (frames, division) {
            (0, _) | (_, 0) => None,
            (29, _) => Some(Self::starting(30_000 * division, 1_001_000_000, false)),
            (frames, _) => Some(Self::starting(u64::from(frames) * division, 1_000_000, false)),
        }
    }

    fn starting(denominator: u64, per_tick: u64, has_tempo: bool) -> Self {
        Self { denominator, has_tempo, segments: vec![Segment { tick: 0, elapsed: 0, per_tick }] }
    }

    /// From `tick` on a quarter note lasts `us` microseconds. Ticks must come in order; an earlier one is taken as the last.
    ///
    /// Zero, with which time would stand still, and tempi in time code, where they mean nothing, are ignored.
    pub(super) fn set_tempo(&mut self, tick: u64, us: u32) {
        if us == 0 || !self.has_tempo {
            return;
        }
        let last = self.last();
        let per_tick = u64::from(us);
        if last.per_tick == per_tick {
            return;
        }
        let tick = tick.max(last.tick);
        let segment = Segment { tick, elapsed: last.elapsed_at(tick), per_tick };
        if tick == last.tick {
            self.segments.pop();
        }
        self.segments.push(segment);
    }

    /// When `tick` falls, rounded to a microsecond.
    pub(super) fn time_of(&self, tick: u64) -> SessionTime {
        self.time_in(&self.segment(|segment| segment.tick <= tick), tick)
    }

    /// [`Self::time_of`] for ticks that come in order: nothing is searched for.
    pub(super) fn times(&self) -> impl FnMut(u64) -> SessionTime {
        let mut place = 0;
        let mut last = (0, self.time_of(0));
        move |tick| {
            if tick != last.0 {
                while self.segments.get(place + 1).is_some_and(|next| next.tick <= tick) {
                    place += 1;
                }
                last = (tick, self.time_in(&self.segments[place], tick));
            }
            last.1
        }
    }

    fn time_in(&self, segment: &Segment, tick: u64) -> SessionTime {
        let half = self.denominator / 2;
        let elapsed = segment.elapsed_at(tick) + u128::from(half);
        // All but absurd times fit the narrow division, which is several times as fast.
        let us = match u64::try_from(elapsed) {
            Ok(elapsed) => elapsed / self.denominator,
            Err(_) => u64::try_from(elapsed / u128::from(self.denominator)).unwrap_or(u64::MAX),
        };
        SessionTime::from_micros(us)
    }

    /// The tick nearest to `time`.
    pub(super) fn tick_at(&self, time: SessionTime) -> u64 {
        let elapsed = u128::from(time.as_micros()) * u128::from(self.denominator);
        let segment = self.segment(|segment| segment.elapsed <= elapsed);
        let per_tick = u128::from(segment.per_tick);
        let ticks = (elapsed.saturating_sub(segment.elapsed) + per_tick / 2) / per_tick;
        segment.tick.saturating_add(u64::try_from(ticks).unwrap_or(u64::MAX))
    }

    /// The last segment for which `has_begun` holds.
    fn segment(&self, has_begun: impl Fn(&Segment) -> bool) -> Segment {
        let begun = self.segments.partition_point(has_begun);
        self.segments[begun.saturating_sub(1)]
    }

    fn last(&self) -> Segment {
        self.segments[self.segments.len() - 1]
    }
}

impl Segment {
    fn elapsed_at(&self, tick: u64) -> u128 {
        self.elapsed + u128::from(tick.saturating_sub(self.tick)) * u128::from(self.per_tick)
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    fn us(map: &TempoMap, tick: u64) -> u64 {
        map.time_of(tick).as_micros()
    }

    #[test]
    fn without_a_tempo_event_a_file_plays_at_120_bpm() {
        let map = TempoMap::metrical(480).unwrap();
        assert_eq!(us(&map, 480), 500_000);
        assert_eq!(us(&map, 1), 1042, "1041.67 us");
    }

    #[test]
    fn a_thousand_tempo_changes_do_not_add_up_their_rounding() {
        // A third of a microsecond a tick: rounding at each change would lose 333 us.
        let mut map = TempoMap::metrical(3).unwrap();
        for tick in 0..1000 {
            map.set_tempo(tick, if tick % 2 == 0 { 1 } else { 4 });
        }
        assert_eq!(us(&map, 1000), 833, "2500 / 3");
    }

    #[test]
    fn two_tempi_at_one_tick_leave_the_later_one() {
        let mut map = TempoMap::metrical(100).unwrap();
        map.set_tempo(100, 9);
        map.set_tempo(100, 1_000_000);
        assert_eq!(us(&map, 200), 1_500_000);
    }

    #[test]
    fn a_tempo_of_zero_is_ignored() {
        let mut map = TempoMap::metrical(100).unwrap();
        map.set_tempo(0, 0);
        assert_eq!(us(&map, 100), 500_000);
    }

    #[test]
    fn time_code_counts_frames_and_knows_no_tempo() {
        let mut map = TempoMap::time_code(25, 40).unwrap();
        map.set_tempo(0, 1);
        assert_eq!(us(&map, 1000), 1_000_000);
        let drop_frame = TempoMap::time_code(29, 100).unwrap();
        assert_eq!(us(&drop_frame, 3000), 1_001_000);
    }

    #[test]
    fn a_division_of_zero_is_no_unit_of_time() {
        assert!(TempoMap::metrical(0).is_none());
        assert!(TempoMap::time_code(25, 0).is_none());
        assert!(TempoMap::time_code(0, 25).is_none());
    }

    #[test]
    fn ticks_far_beyond_any_music_saturate() {
        let mut map = TempoMap::metrical(1).unwrap();
        map.set_tempo(0, 0xFF_FFFF);
        assert_eq!(map.time_of(u64::MAX), SessionTime::MAX);
        map.set_tempo(u64::MAX, 1);
        assert_eq!(map.tick_at(SessionTime::MAX), u64::MAX / 0xFF_FFFF);
    }

    #[test]
    fn every_tick_is_found_again_from_its_time() {
        let mut map = TempoMap::metrical(960).unwrap();
        map.set_tempo(1001, 612_345);
        map.set_tempo(5003, 298_765);
        for tick in 0..9000 {
            assert_eq!(map.tick_at(map.time_of(tick)), tick);
        }
    }
}
