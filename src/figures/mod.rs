//! How well time is kept: histograms and counts that every thread adds to while it plays.

mod progress;

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use histogram::{AtomicHistogram, Config};
use serde::{Deserialize, Serialize};

pub use progress::{Progress, Woken};

use crate::status::Status;
use crate::time::{SessionDuration, SessionTime};

/// A note-on that leaves within this of the moment for which it was planned is on time: a tenth of what a trained ear
/// can tell from being together.
pub const ON_TIME: SessionDuration = SessionDuration::from_millis(1);

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

/// All figures of a session, for people ([`fmt::Display`]) and for programs (JSON, by `serde`).
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Report {
    /// See [`Figures::note_to_state`].
    pub note_to_state: Summary,
    /// See [`Figures::plan_revised`].
    pub plan_revised: Summary,
    /// See [`Figures::note_sampled`].
    pub note_sampled: Summary,
    /// See [`Figures::planned_to_sent`].
    pub planned_to_sent: Summary,
    /// See [`Figures::first_note`].
    pub first_note: Summary,
    /// See [`Figures::barge_in`].
    pub barge_in: Summary,
    /// See [`Figures::system_away`].
    pub system_away: Summary,
    /// What became of the notes of the answers.
    pub notes: Notes,
    /// What came in, and where it went.
    #[serde(default)]
    pub heard: Heard,
    /// The deepest that each queue has been.
    pub deepest: Deepest,
    /// What was lost elsewhere.
    pub dropped: Dropped,
    /// The sound of `--synth`, once a device has been open.
    #[serde(default)]
    pub sound: Option<SoundReport>,
}

/// How the sound is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SoundReport {
    /// Frames a second; 0 while no device is open.
    pub rate: u32,
    /// Frames a block.
    pub frames: u32,
    /// From a key to the loudspeaker, as far as the device tells, in microseconds: a block, and what the device holds.
    pub latency_us: u64,
    /// Blocks that came too late.
    pub dropouts: u64,
    /// Times at which the device has gone.
    #[serde(default)]
    pub lost: u64,
}

/// What became of the notes of the answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notes {
    /// Left within [`ON_TIME`] of the moment for which they were planned.
    pub on_time: u64,
    /// Left, but not within it.
    pub late: u64,
    /// Never left: a full queue, or a port that refused.
    pub missed: u64,
    /// Held back by the gate.
    pub gated: u64,
    /// Times at which the plan had run dry and was started again from the clock.
    pub plan_ran_dry: u64,
}

/// What came in, and where it went. `messages` and `mended` together are `recorded`, `clock`, `control`, and what was
/// dropped on the way in or to the recorder.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heard {
    /// See [`Status::received`].
    pub messages: u64,
    /// See [`Status::mended`].
    pub mended: u64,
    /// See [`Status::recorded`].
    pub recorded: u64,
    /// See [`Status::clock_recorded`].
    pub clock: u64,
    /// See [`Status::control`].
    pub control: u64,
    /// SysEx messages in the take.
    pub sysex: u64,
    /// Messages of our own that came back and were not heard.
    pub echoes: u64,
    /// See [`Status::passed_over`].
    pub passed_over: u64,
}

/// The most that was seen waiting in each queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deepest {
    /// See [`Figures::input_queue`].
    pub input: u64,
    /// See [`Figures::player_queue`].
    pub player: u64,
    /// See [`Figures::record_queue`].
    pub record: u64,
}

/// What was lost because a queue was full or more came at once than hands can play.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dropped {
    /// On the way in.
    pub input: u64,
    /// See [`Status::input_overruns`].
    #[serde(default)]
    pub input_overruns: u64,
    /// On the way to the recorder.
    pub record: u64,
    /// Notes that the model never heard: see [`Status::unheard`].
    #[serde(default)]
    pub model: u64,
    /// Pieces of SysEx on the way to the recorder.
    #[serde(default)]
    pub sysex_pieces: u64,
    /// SysEx messages that are not in the take: a piece was dropped, or they were too long.
    #[serde(default)]
    pub sysex: u64,
}

impl Report {
    /// The figures so far.
    pub fn new(status: &Status) -> Self {
        let figures = &status.figures;
        let count = |counter: &AtomicU64| counter.load(Relaxed);
        Self {
            note_to_state: figures.note_to_state.summary(),
            plan_revised: figures.plan_revised.summary(),
            note_sampled: figures.note_sampled.summary(),
            planned_to_sent: figures.planned_to_sent.summary(),
            first_note: figures.first_note.summary(),
            barge_in: figures.barge_in.summary(),
            system_away: figures.system_away.summary(),
            notes: Notes {
                on_time: count(&figures.on_time),
                late: count(&figures.late),
                missed: count(&status.plan_dropped) + count(&status.plan_refused) + count(&status.send_failed),
                gated: count(&status.gated),
                plan_ran_dry: count(&status.late),
            },
            heard: Heard {
                messages: count(&status.received),
                mended: count(&status.mended),
                recorded: count(&status.recorded),
                clock: count(&status.clock_recorded),
                control: count(&status.control),
                sysex: count(&status.sysex_recorded),
                echoes: count(&status.echoes),
                passed_over: count(&status.passed_over),
            },
            deepest: Deepest {
                input: figures.input_queue.deepest(),
                player: figures.player_queue.deepest(),
                record: figures.record_queue.deepest(),
            },
            dropped: Dropped {
                input: count(&status.input_dropped),
                input_overruns: count(&status.input_overruns),
                record: count(&status.record_dropped),
                model: count(&status.unheard),
                sysex_pieces: count(&status.sysex_dropped),
                sysex: count(&status.sysex_lost),
            },
            sound: (count(&status.sound.blocks) > 0).then(|| SoundReport {
                rate: status.sound.rate.load(Relaxed),
                frames: status.sound.frames.load(Relaxed),
                latency_us: count(&status.sound.latency_us),
                dropouts: count(&status.sound.dropouts),
                lost: count(&status.sound.lost),
            }),
        }
    }
}

impl fmt::Display for Report {
    /// A table of the times in milliseconds, and three lines of counts.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rows = [
            ("note heard to state", &self.note_to_state),
            ("plan revised", &self.plan_revised),
            ("whole note sampled", &self.note_sampled),
            ("planned to sent", &self.planned_to_sent),
            ("first note of an answer", &self.first_note),
            ("barge-in to silence", &self.barge_in),
            ("MIDI system away", &self.system_away),
        ];
        writeln!(f, "{}", Heading)?;
        for (name, summary) in rows {
            writeln!(f, "{name:<24}{summary}")?;
        }
        let Notes { on_time, late, missed, gated, plan_ran_dry } = self.notes;
        write!(f, "notes: {on_time} within {} us, {late} late, {missed} missed, ", ON_TIME.as_micros())?;
        write!(f, "{gated} held back by the gate")?;
        writeln!(f, "; the plan ran dry {plan_ran_dry} times")?;
        let Heard { messages, recorded, clock, control, sysex, echoes, passed_over, .. } = self.heard;
        write!(f, "heard: {messages} messages, {recorded} in the take, {clock} of a clock, {control} control; ")?;
        writeln!(f, "{sysex} SysEx in the take, {echoes} of its own, {passed_over} passed over")?;
        let Deepest { input, player, record } = self.deepest;
        let dropped = self.dropped;
        write!(f, "deepest queues: input {input} ({} dropped), ", dropped.input)?;
        write!(f, "player {player}, record {record} ({} dropped); ", dropped.record)?;
        write!(f, "{} notes never heard by the model", dropped.model)?;
        let Some(SoundReport { rate, frames, latency_us, dropouts, lost }) = self.sound else { return Ok(()) };
        if rate == 0 {
            f.write_str("\nsound: no device is open, ")?;
        } else {
            let latency = SessionDuration::from_micros(latency_us).as_seconds() * 1000.0;
            write!(f, "\nsound: {rate} Hz, {frames} frames a block, {latency:.1} ms from key to loudspeaker, ")?;
        }
        write!(f, "{dropouts} dropouts")?;
        if lost > 0 { write!(f, ", the device has gone {lost} times") } else { Ok(()) }
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

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>11}", self.count)?;
        for us in [self.p50_us, self.p99_us, self.p999_us, self.max_us] {
            write!(f, "{:>11.3}", SessionDuration::from_micros(us).as_seconds() * 1000.0)?;
        }
        Ok(())
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

    #[test]
    fn the_report_reads_as_a_table_and_as_json() {
        let status = Status::default();
        status.figures.note_sampled.add(us(1_500));
        status.figures.player_queue.saw(31);
        status.figures.player_queue.saw(7);
        status.send_failed.fetch_add(2, Relaxed);
        let report = Report::new(&status);
        let table = report.to_string();
        let line = |begins: &str| table.lines().find(|line| line.starts_with(begins)).unwrap_or_default().to_owned();
        assert_eq!(
            line("whole note").split_whitespace().collect::<Vec<_>>(),
            ["whole", "note", "sampled", "1", "1.500", "1.500", "1.500", "1.500"]
        );
        assert!(line("notes:").contains("2 missed"), "{table}");
        let widths: Vec<usize> = table.lines().take(8).map(str::len).collect();
        assert!(widths.iter().all(|width| *width == widths[0]), "{table}");
        let json = serde_json::to_value(&report).expect("plain numbers");
        assert_eq!(json["note_sampled"]["p99_us"], 1_500);
        assert_eq!(json["deepest"]["player"], 31);
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
