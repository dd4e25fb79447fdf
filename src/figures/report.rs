//! All figures of a session at one moment, for people and for programs.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use serde::{Deserialize, Serialize};

use super::{Figures, Heading, ON_TIME, Summary};
use crate::status::Status;
use crate::time::SessionDuration;

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
    /// See [`Status::xruns`].
    #[serde(default)]
    pub xruns: u64,
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
        let figures: &Figures = &status.figures;
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
            xruns: count(&status.xruns),
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
    /// A table of the times in milliseconds, and three lines of counts; more where there is more to tell.
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
        if dropped.input_overruns > 0 {
            write!(f, "\nthe MIDI system lost what came in {} times", dropped.input_overruns)?;
        }
        if self.xruns > 0 {
            write!(f, "\nxruns of JACK: {}", self.xruns)?;
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_report_reads_as_a_table_and_as_json() {
        let status = Status::default();
        status.figures.note_sampled.add(SessionDuration::from_micros(1_500));
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
}
