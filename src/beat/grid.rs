//! The beat grid: session time to beats and back.

use super::pulse::Newest;
use super::{CLOCKS_PER_BEAT, at_seconds, seconds};
use crate::time::SessionTime;

/// A grid that has been given out eases into a better one over this many beats, so that its beats never jump.
const EASING_BEATS: f64 = 6.0 / CLOCKS_PER_BEAT;

/// A time this close behind a grid point, in seconds, counts as at it: times are rounded to a microsecond.
const AT_THE_POINT: f64 = 2e-6;

/// Where an answer may begin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Entry {
    /// At any time
    #[default]
    Free,
    /// On the beat
    Beat,
    /// On the bar
    Bar,
}

/// The clock's beats as they are known now: every past and future time has a place in beats.
///
/// A value: it does not follow what comes later. Beat 0 is the song's beginning, or the first clock of a master whose
/// song position is not known; bars are counted from it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Grid {
    /// Which run this is; see [`Grid::run`].
    run: u32,
    /// Where the run began, in beats.
    from: f64,
    beats_per_bar: f64,
    /// Seconds since the session's beginning.
    anchor: f64,
    /// Where the clock is at `anchor`, in beats.
    beat: f64,
    seconds_per_beat: f64,
    /// By how many beats this grid is ahead of the clock at `anchor`: what earlier grids said.
    ahead: f64,
    /// Seconds in which `ahead` fades to nothing.
    easing: f64,
    /// Standard deviation of its beats, in seconds.
    uncertainty: f64,
}

impl Grid {
    /// A grid on which it is `beat` at `anchor`, in a run that began at the beat `from`.
    pub(super) fn new(run: u32, from: f64, beats_per_bar: u8, anchor: SessionTime, beat: f64, newest: Newest) -> Self {
        Self {
            run,
            from,
            beats_per_bar: f64::from(beats_per_bar.max(1)),
            anchor: seconds(anchor),
            beat,
            seconds_per_beat: newest.period * CLOCKS_PER_BEAT,
            ahead: 0.0,
            easing: 1.0,
            uncertainty: newest.uncertainty,
        }
    }

    /// This grid, but at its anchor where `earlier` was, easing from there into itself.
    pub(super) fn eased_from(mut self, earlier: &Self) -> Self {
        self.run = earlier.run;
        self.from = earlier.from;
        self.ahead = earlier.beat_of(self.anchor) - self.beat;
        // Never slower than half the tempo, so that beats go forward only.
        self.easing = self.seconds_per_beat * EASING_BEATS.max(2.0 * self.ahead.abs());
        self
    }

    /// How many beats lie between where earlier grids said the clock was and where it is.
    pub(super) fn error(&self) -> f64 {
        self.ahead.abs()
    }

    /// Standard deviation of its beats, in seconds.
    pub(super) fn uncertainty(&self) -> f64 {
        self.uncertainty
    }

    /// Which run of the clock this is: another number means that the song was started or moved to another place, so
    /// that beats of earlier grids mean nothing any more. Within a run, beats go forward only.
    pub fn run(&self) -> u32 {
        self.run
    }

    /// Where the run began, in beats.
    pub fn run_began(&self) -> f64 {
        self.from
    }

    /// Beats a minute.
    pub fn bpm(&self) -> f64 {
        60.0 / self.seconds_per_beat
    }

    /// Where `time` falls, in beats from the song's beginning; later times by the present tempo.
    pub fn beat_at(&self, time: SessionTime) -> f64 {
        self.beat_of(seconds(time))
    }

    /// When `beat` falls, to the microsecond.
    pub fn time_of(&self, beat: f64) -> SessionTime {
        let beats = beat - self.beat;
        let elapsed = if beats <= self.ahead {
            (beats - self.ahead) * self.seconds_per_beat
        } else {
            let beats_per_second = 1.0 / self.seconds_per_beat - self.ahead / self.easing;
            let eased = (beats - self.ahead) / beats_per_second;
            if eased < self.easing { eased } else { beats * self.seconds_per_beat }
        };
        at_seconds(self.anchor + elapsed)
    }

    /// Moves `time` towards the nearest of `per_beat` points a beat (1: beats, 4: sixteenths, 3: triplets; 0 counts as
    /// 1) by `strength`, in `0.0..=1.0`, else clamped: 0 leaves it, 1 puts it onto the point.
    pub fn snap(&self, time: SessionTime, per_beat: u8, strength: f64) -> SessionTime {
        let per_beat = f64::from(per_beat.max(1));
        let point = self.time_of((self.beat_at(time) * per_beat).round() / per_beat);
        let strength = if strength.is_nan() { 0.0 } else { strength.clamp(0.0, 1.0) };
        at_seconds(seconds(time) + (seconds(point) - seconds(time)) * strength)
    }

    /// The first time at or after `after` at which `entry` lets an answer begin.
    pub fn next(&self, after: SessionTime, entry: Entry) -> SessionTime {
        let unit = match entry {
            Entry::Free => return after,
            Entry::Beat => 1.0,
            Entry::Bar => self.beats_per_bar,
        };
        let beat = self.beat_at(after) - AT_THE_POINT / self.seconds_per_beat;
        self.time_of((beat / unit).ceil() * unit).max(after)
    }

    fn beat_of(&self, seconds: f64) -> f64 {
        let elapsed = seconds - self.anchor;
        let still_ahead = (1.0 - elapsed.max(0.0) / self.easing).max(0.0);
        self.beat + elapsed / self.seconds_per_beat + self.ahead * still_ahead
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(ms: u64) -> SessionTime {
        SessionTime::from_micros(ms * 1000)
    }

    fn newest(bpm: f64) -> Newest {
        Newest { time: 0.0, period: 2.5 / bpm, uncertainty: 0.0 }
    }

    /// Beat 3 falls at 2 s, at 120 bpm.
    fn grid() -> Grid {
        Grid::new(1, 0.0, 4, at(2000), 3.0, newest(120.0))
    }

    #[test]
    fn beats_and_times_follow_from_one_another() {
        assert!((grid().beat_at(at(2250)) - 3.5).abs() < 1e-9);
        assert!((grid().bpm() - 120.0).abs() < 1e-9);
        assert_eq!(grid().time_of(3.5), at(2250));
        assert_eq!(grid().time_of(0.0), at(500));
        assert_eq!(grid().time_of(-9.0), SessionTime::ZERO, "before the session");
    }

    #[test]
    fn an_answer_begins_on_the_beat_or_the_bar_at_or_after() {
        assert_eq!(grid().next(at(2100), Entry::Free), at(2100));
        assert_eq!(grid().next(at(2100), Entry::Beat), at(2500));
        assert_eq!(grid().next(at(2500), Entry::Beat), at(2500));
        assert_eq!(grid().next(at(2501), Entry::Beat), at(3000));
        assert_eq!(grid().next(at(2100), Entry::Bar), at(2500), "beat 4");
        assert_eq!(grid().next(at(2501), Entry::Bar), at(4500), "beat 8");
        assert_eq!(Grid { beats_per_bar: 3.0, ..grid() }.next(at(2100), Entry::Bar), at(3500), "beat 6");
    }

    #[test]
    fn times_snap_by_their_strength() {
        assert_eq!(grid().snap(at(2110), 4, 1.0), at(2125));
        assert_eq!(grid().snap(at(2110), 4, 0.5), SessionTime::from_micros(2_117_500));
        assert_eq!(grid().snap(at(2110), 4, 0.0), at(2110));
        assert_eq!(grid().snap(at(2110), 4, f64::NAN), at(2110));
        assert_eq!(grid().snap(at(2140), 1, 2.0), at(2000));
        assert_eq!(grid().snap(at(2140), 3, 1.0), SessionTime::from_micros(2_166_667));
    }

    proptest! {
        #[test]
        fn a_grid_that_eases_goes_forward_and_can_be_turned_round(
            ahead in -3.0..3.0_f64, bpm in 20.0..400.0_f64, ms in 0..20_000_u64, later_ms in 1..3000_u64, beat in 0.0..50.0_f64,
        ) {
            let earlier = Grid::new(1, 0.0, 4, at(5000), 10.0 + ahead, newest(120.0));
            let grid = Grid::new(1, 0.0, 4, at(5000), 10.0, newest(bpm)).eased_from(&earlier);
            prop_assert!((grid.beat_at(at(5000)) - earlier.beat_at(at(5000))).abs() < 1e-9, "no jump");
            prop_assert!(grid.beat_at(at(ms + later_ms)) > grid.beat_at(at(ms)));
            let time = grid.time_of(beat);
            // A microsecond at twice 400 bpm.
            prop_assert!(time == SessionTime::ZERO || (grid.beat_at(time) - beat).abs() < 2e-5);
            for entry in [Entry::Beat, Entry::Bar] {
                let next = grid.next(at(ms), entry);
                prop_assert!(next >= at(ms) && grid.next(next, entry) == next);
            }
        }
    }
}
