//! The tempo map of a recording: where a clock was followed, the bars of the file are the clock's.
//!
//! What the grid said at each clock is drawn as few straight lines, off by a millisecond at most where the clock
//! is steady. Each becomes a tempo. Free time is filled with as many beats as bring the next run to its place in the bar, at a tempo
//! near the one before it. Notes keep their times to the tick: only the bars are laid around them.

use super::{Follower, seconds};
use crate::midi::SyncMessage;
use crate::midi_file::Tempo;
use crate::time::{SessionDuration, SessionTime};

/// How far a beat in the file may be from where it was followed, in seconds; further where jitter makes that uncertain.
const TOLERANCE: f64 = 0.001;

/// By how many standard deviations a line may be off a beat.
const DEVIATIONS: f64 = 3.0;

/// A tempo is a whole number of microseconds a beat; over this many beats the rounding makes a quarter millisecond.
const LONGEST_LINE: f64 = 512.0;

/// Seconds a beat at 120 bpm, the tempo of free time before any clock.
const FREE: f64 = 0.5;

/// Collects what a clock said, for the tempo map of a take.
#[derive(Clone, Debug)]
pub struct TempoTrail {
    follower: Follower,
    /// The ends of lines that are finished.
    knots: Vec<Knot>,
    line: Option<Line>,
    /// When the file begins, in seconds from the session's beginning.
    origin: f64,
    /// Whether the file begins in mid-run, at its first knot.
    goes_on: bool,
}

/// It is `beat` at `time`, in the run of that number.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Knot {
    /// Seconds from the session's beginning.
    time: f64,
    /// Beats from the song's beginning.
    beat: f64,
    run: u32,
}

/// A line that grows: any of the slopes (seconds a beat) between `least` and `most` passes all its points closely.
#[derive(Clone, Copy, Debug)]
struct Line {
    from: Knot,
    newest: Knot,
    least: f64,
    most: f64,
}

impl Default for TempoTrail {
    /// Bars of four.
    fn default() -> Self {
        Self::new(4)
    }
}

impl TempoTrail {
    /// Nothing heard yet; bars have `beats_per_bar` quarter notes, 0 counts as 1.
    pub fn new(beats_per_bar: u8) -> Self {
        Self { follower: Follower::new(beats_per_bar), knots: Vec::new(), line: None, origin: 0.0, goes_on: false }
    }

    /// Tempi that it has so far, about.
    pub fn knots(&self) -> usize {
        self.knots.len()
    }

    /// When a file begins whose first message is at `at`, and the trail that goes on there. While a clock runs that is
    /// the bar line before `at`, so that the file's bars are the clock's; else `at` itself.
    pub fn go_on_from(&self, at: SessionTime) -> (SessionTime, Self) {
        let fresh = |origin: f64| Self { knots: Vec::new(), line: None, origin, goes_on: false, ..self.clone() };
        let at_itself = seconds(at);
        let ends: Vec<Knot> = self.knots.iter().copied().chain(self.line.map(|line| line.end())).collect();
        let within =
            |place: &[Knot], time: f64| place[0].run == place[1].run && place[0].time <= time && time <= place[1].time;
        let Some(running) = ends.windows(2).find(|place| within(place, at_itself)) else {
            let later = self.knots.iter().filter(|knot| knot.time > at_itself);
            let mut trail = fresh(at_itself);
            trail.knots = later.copied().collect();
            trail.line = self.line.filter(|line| line.from.time > at_itself);
            return (at, trail);
        };
        let beat = |place: &[Knot], time: f64| {
            let slope = (place[1].beat - place[0].beat) / (place[1].time - place[0].time).max(1e-9);
            place[0].beat + (time - place[0].time) * slope
        };
        let (run, bar) = (running[0].run, f64::from(self.beats_per_bar()));
        let bar_line = (beat(running, at_itself) / bar).floor() * bar;
        let holds_bar_line = |place: &&[Knot]| {
            place[0].run == run && place[1].run == run && place[0].beat <= bar_line && bar_line <= place[1].beat
        };
        let first = match ends.windows(2).find(holds_bar_line) {
            Some(place) => {
                let slope = (place[1].time - place[0].time) / (place[1].beat - place[0].beat).max(1e-9);
                Knot { time: place[0].time + (bar_line - place[0].beat) * slope, beat: bar_line, run }
            }
            // The run began in mid-bar, or its last clock is past: the file begins where it may.
            None => Knot { time: at_itself, beat: beat(running, at_itself), run },
        };
        let mut trail = fresh(first.time);
        trail.goes_on = true;
        trail.knots.push(first);
        trail.knots.extend(self.knots.iter().filter(|knot| knot.time > first.time));
        trail.line = self.line.map(|line| {
            if line.from.time > first.time {
                return line;
            }
            let mut rest = Line::from(first);
            rest.take_in(line.end(), TOLERANCE);
            rest
        });
        (SessionTime::ZERO + SessionDuration::from_seconds(first.time), trail)
    }

    /// Quarter notes a bar.
    pub fn beats_per_bar(&self) -> u8 {
        self.follower.beats_per_bar()
    }

    /// Takes in a clock or transport message, in time order.
    pub fn hear(&mut self, at: SessionTime, message: SyncMessage) {
        self.follower.hear(at, message);
        if message != SyncMessage::Clock {
            return;
        }
        let Some(grid) = self.follower.grid(at) else { return };
        let point = Knot { time: seconds(at), beat: grid.beat_at(at), run: grid.run() };
        if self.line.is_none_or(|line| line.from.run != point.run) {
            let ended = self.line.take().map(|line| line.end());
            self.knots.extend(ended);
            // The grid is known a little after the first clock of the run; beats went by before.
            let first = Knot { time: seconds(grid.time_of(grid.run_began())), beat: grid.run_began(), run: point.run };
            let is_free = self.knots.last().is_none_or(|last| last.time < first.time);
            let from = if first.time > 0.0 && first.beat < point.beat && is_free { first } else { point };
            self.knots.push(from);
            self.line = Some(Line::from(from));
        }
        if let Some(line) = &mut self.line
            && let Some(knot) = line.take_in(point, TOLERANCE.max(DEVIATIONS * grid.uncertainty()))
        {
            self.knots.push(knot);
        }
    }

    /// The tempo map for a file of `division` ticks a beat; empty when no clock was followed.
    pub fn tempi(&self, division: u16) -> Vec<Tempo> {
        let end = self.line.map(|line| line.end());
        let bar = f64::from(self.beats_per_bar());
        let from_origin = |knot: &Knot| Knot { time: knot.time - self.origin, ..*knot };
        let mut knots = self.knots.iter().chain(&end).map(from_origin).peekable();
        let mut place = Place { division: f64::from(division.max(1)), ..Place::default() };
        if self.goes_on
            && let Some(first) = knots.next()
        {
            place.knot = first;
        }
        knots.filter_map(|knot| place.go_on(&knot, bar)).collect()
    }
}

impl Line {
    fn from(from: Knot) -> Self {
        Self { from, newest: from, least: 0.0, most: f64::INFINITY }
    }

    /// Grows to `point`. If no line passes it closely, this one ends, which is given back, and the next grows from there.
    fn take_in(&mut self, point: Knot, tolerance: f64) -> Option<Knot> {
        let (least, most) = self.slopes_to(point, tolerance)?;
        let (least, most) = (self.least.max(least), self.most.min(most));
        let fits = least <= most && point.beat - self.from.beat <= LONGEST_LINE;
        if fits {
            *self = Self { newest: point, least, most, ..*self };
            return None;
        }
        let end = self.end();
        *self = Self::from(end);
        if let Some((least, most)) = self.slopes_to(point, tolerance) {
            *self = Self { newest: point, least, most, ..*self };
        }
        Some(end)
    }

    /// The slopes of the lines that pass `point` closely; `None` when it adds nothing.
    fn slopes_to(&self, point: Knot, tolerance: f64) -> Option<(f64, f64)> {
        let beats = point.beat - self.from.beat;
        let elapsed = point.time - self.from.time;
        let is_further = beats > 1e-3 && elapsed > tolerance;
        is_further.then(|| ((elapsed - tolerance) / beats, (elapsed + tolerance) / beats))
    }

    /// Where the line ends if it grows no more.
    fn end(&self) -> Knot {
        let beats = self.newest.beat - self.from.beat;
        let slope = if self.most.is_finite() { (self.least + self.most) / 2.0 } else { 0.0 };
        Knot { time: self.from.time + slope * beats, ..self.newest }
    }
}

/// A place in the file while its tempo map is laid, and the tempo before it.
///
/// Ticks and tempi are whole numbers; each line starts from where the rounded ones before it really led, so that
/// nothing adds up.
struct Place {
    division: f64,
    knot: Knot,
    /// Ticks from the file's beginning.
    tick: f64,
    /// When that tick falls.
    time: f64,
    /// Beats from the file's beginning, not rounded.
    beats: f64,
    /// Seconds a beat.
    tempo: f64,
}

impl Default for Place {
    fn default() -> Self {
        let knot = Knot { time: 0.0, beat: 0.0, run: 0 };
        Self { division: 1.0, knot, tick: 0.0, time: 0.0, beats: 0.0, tempo: FREE }
    }
}

impl Place {
    /// The tempo that leads from here to `knot`, if it is a tick or more away.
    fn go_on(&mut self, knot: &Knot, bar: f64) -> Option<Tempo> {
        let elapsed = knot.time - self.knot.time;
        let beats = if knot.run == self.knot.run {
            knot.beat - self.knot.beat
        } else {
            beats_between(knot.beat - self.knot.beat, elapsed, bar, self.tempo)
        };
        self.beats += beats;
        self.knot = *knot;
        let ticks = (self.beats * self.division).round() - self.tick;
        if ticks < 1.0 {
            return None;
        }
        let us = ((knot.time - self.time) * 1e6 * self.division / ticks).round().clamp(1.0, 16_777_215.0);
        let begin = self.time;
        self.tick += ticks;
        self.time += ticks * us / self.division / 1e6;
        self.tempo = us / 1e6;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "whole and clamped")]
        let us_per_quarter = us as u32;
        Some(Tempo { time: SessionTime::ZERO + SessionDuration::from_seconds(begin), us_per_quarter })
    }
}

/// How many beats free time of `elapsed` seconds gets: as many as `shift` and whole bars, nearest to the `tempo` before.
fn beats_between(shift: f64, elapsed: f64, bar: f64, tempo: f64) -> f64 {
    let rest = shift.rem_euclid(bar);
    let wanted = elapsed / tempo;
    let bars = ((wanted - rest) / bar).floor().max(0.0);
    let [fewer, more] = [rest + bars * bar, rest + (bars + 1.0) * bar];
    // Nearest as a ratio, as tempi are heard; no beats at all, or hardly any, cannot fill the time.
    if fewer > 0.02 && wanted * wanted < fewer * more { fewer } else { more }
}

#[cfg(test)]
mod tests {
    use super::super::test_clock::{Master, micros};
    use super::*;
    use crate::midi_file::{Score, Track, read_notes_from_bytes, write};
    use crate::note::Note;

    const DIVISION: u16 = 960;

    fn heard(messages: &[(SessionTime, SyncMessage)]) -> TempoTrail {
        let mut trail = TempoTrail::new(4);
        for &(time, message) in messages {
            trail.hear(time, message);
        }
        trail
    }

    /// Ticks at a time, by the plainest reading of a tempo map.
    fn tick_at(tempi: &[Tempo], time: SessionTime) -> f64 {
        let (mut tick, mut since, mut us_per_quarter) = (0.0, 0.0, 500_000.0);
        for tempo in tempi.iter().take_while(|tempo| tempo.time <= time) {
            let begin = seconds(tempo.time);
            tick = f64::round(tick + (begin - since) * 1e6 / us_per_quarter * f64::from(DIVISION));
            (since, us_per_quarter) = (begin, f64::from(tempo.us_per_quarter));
        }
        tick + (seconds(time) - since) * 1e6 / us_per_quarter * f64::from(DIVISION)
    }

    /// By how many milliseconds at most the song's bars are off the file's bars. `bars`: when they fell.
    fn worst_bar_ms(tempi: &[Tempo], bars: &[f64], seconds_per_beat: f64) -> f64 {
        let bar = 4.0 * f64::from(DIVISION);
        let off = bars.iter().map(|&time| {
            let tick = tick_at(tempi, micros(time * 1e6));
            (tick / bar - (tick / bar).round()).abs() * 4.0 * seconds_per_beat * 1000.0
        });
        off.fold(0.0, f64::max)
    }

    #[test]
    fn without_a_clock_there_is_no_tempo_map() {
        assert_eq!(heard(&[]).tempi(DIVISION), []);
        assert_eq!(heard(&[(micros(5.0), SyncMessage::Start)]).tempi(DIVISION), []);
    }

    #[test]
    fn a_steady_clock_makes_one_tempo_and_free_time_another() {
        let mut master = Master::at(3.3);
        master.send(SyncMessage::Start);
        master.beats(200.0, 97.0);
        let tempi = heard(&master.sent).tempi(DIVISION);
        assert_eq!(tempi.len(), 2, "{tempi:?}");
        assert!(tempi[1].us_per_quarter.abs_diff(618_557) <= 2, "{tempi:?}");
        let bars: Vec<_> = (0..50).map(|bar| 3.3 + f64::from(bar) * 4.0 * 60.0 / 97.0).collect();
        assert!(worst_bar_ms(&tempi, &bars, 0.6) < 1.0);
    }

    #[test]
    fn hours_of_clock_stay_on_the_bar() {
        let mut master = Master::at(1.0);
        master.beats(20_000.0, 121.7);
        let tempi = heard(&master.sent).tempi(DIVISION);
        assert!(tempi.len() < 60, "{}", tempi.len());
        let bars: Vec<_> = (0..5000).map(|bar| 1.0 + f64::from(bar) * 4.0 * 60.0 / 121.7).collect();
        assert!(worst_bar_ms(&tempi, &bars, 0.5) < 1.3);
    }

    #[test]
    fn a_stop_and_a_continue_keep_the_bar_and_a_start_begins_one() {
        let mut master = Master::at(2.0);
        master.send(SyncMessage::Start);
        master.beats(8.0, 120.0);
        master.beats(2.5, 120.0);
        master.send(SyncMessage::Stop);
        master.rest(2.2);
        master.send(SyncMessage::Continue);
        let continued = master.now;
        master.beats(9.5, 120.0);
        master.send(SyncMessage::Stop);
        master.rest(0.7);
        master.send(SyncMessage::Start);
        let started = master.now;
        master.beats(8.0, 120.0);
        let tempi = heard(&master.sent).tempi(DIVISION);
        let bars = [2.0, 4.0, 6.0, continued + 0.75, continued + 2.75, started, started + 2.0];
        assert!(worst_bar_ms(&tempi, &bars, 0.5) < 1.5, "{tempi:?}");
        assert!(tempi.iter().all(|tempo| (100_000..2_000_000).contains(&tempo.us_per_quarter)), "{tempi:?}");
    }

    #[test]
    fn notes_keep_their_times_through_jitter_and_tempo_changes() {
        let mut master = Master::at(0.4).jitter(0.005);
        master.send(SyncMessage::Start);
        for bpm in [90.0, 140.0, 60.0, 61.0, 200.0] {
            master.beats(16.0, bpm);
        }
        let tempi = heard(&master.sent).tempi(DIVISION);
        println!("80 beats at five tempi, 5 ms of jitter: {} tempo events", tempi.len());
        assert!(tempi.len() < 60, "{}", tempi.len());
        let length = SessionDuration::from_millis(40);
        let notes: Vec<_> = (0..600_u32)
            .map(|n| Note { onset: micros(f64::from(n) * 87_654.0), key: 60, duration: length, velocity: 64 })
            .collect();
        let tracks = vec![Track::of_notes("AI", &notes, 0)];
        let bytes = write(Score { tempi: &tempi, tracks, ..Score::default() }).expect("short");
        for (found, note) in read_notes_from_bytes(&bytes).expect("whole").iter().zip(&notes) {
            // Half a tick at 30 bpm, the slowest that the grid goes while it eases into 60.
            assert!(found.onset.as_micros().abs_diff(note.onset.as_micros()) <= 1042, "{found:?} {note:?}");
        }
    }
}
