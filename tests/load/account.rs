//! What was sent, what the daemon says of it, what is in the take: it must add up.

use std::path::Path;
use std::time::Duration;

use antiphon::figures::Report;
use antiphon::sysex::LONGEST;
use antiphon::take::HUMAN_TRACK;
use jack::Frames;
use midly::{MetaMessage, Smf, TrackEventKind};
use serde_json::{Value, json};

use crate::floods::Score;
use crate::hose::Hose;
use crate::pianist::{Pianist, Voice};

/// The human's tracks of a take's parts, in the order in which they were played.
#[derive(Default)]
pub struct Played {
    parts: usize,
    messages: Vec<Vec<u8>>,
    sysex: Vec<Vec<u8>>,
}

impl Played {
    /// Reads all takes in a folder by a reader that is not ours; `None` where one cannot be read.
    pub fn read(folder: &Path) -> Option<Self> {
        let entries = std::fs::read_dir(folder).ok()?.map(|entry| entry.map(|entry| entry.path()));
        let mut parts = entries.collect::<Result<Vec<_>, _>>().ok()?;
        parts.retain(|path| path.extension().is_some_and(|ending| ending == "mid"));
        // The one that was played last has the plain name, the others their time behind it.
        parts.sort_by_key(|path| (!path.to_string_lossy().contains("generated-"), path.clone()));
        let mut played = Self { parts: parts.len(), ..Self::default() };
        parts.iter().try_for_each(|path| played.add(&std::fs::read(path).ok()?))?;
        Some(played)
    }

    fn add(&mut self, bytes: &[u8]) -> Option<()> {
        let file = Smf::parse(bytes).ok()?;
        let name = TrackEventKind::Meta(MetaMessage::TrackName(HUMAN_TRACK.as_bytes()));
        let track = file.tracks.iter().find(|track| track.iter().any(|event| event.kind == name))?;
        for event in track {
            match event.kind {
                TrackEventKind::Midi { .. } => {
                    let mut message = Vec::new();
                    event.kind.as_live_event()?.write_std(&mut message).ok()?;
                    self.messages.push(message);
                }
                TrackEventKind::SysEx(inside) => self.sysex.push([&[0xf0], inside].concat()),
                _ => {}
            }
        }
        Some(())
    }

    /// Whether it has all that was sent but `echoes` messages, in that order, and nothing else. Where a part ends, notes
    /// end that are not struck anew in the next, and pedals go up and down.
    fn is(&self, sent: &Score, echoes: u64) -> bool {
        let is_channel = |bytes: &&[u8]| (0x80..0xf0).contains(&bytes[0]);
        let is_pedal = |bytes: &[u8]| bytes[0] & 0xf0 == 0xb0 && bytes[1] == 64;
        let is_note_off = |bytes: &[u8]| matches!(bytes, [0x80..0x90, ..] | [0x90..0xa0, _, 0]);
        let count = |all: &mut dyn Iterator<Item = &[u8]>| all.filter(|bytes| !is_pedal(bytes)).count() as u64;
        let (mut here, mut there) = (self.messages.iter().map(Vec::as_slice), sent.iter().filter(is_channel));
        let all_are_here = count(&mut here) + echoes == count(&mut there);
        let mut there = sent.iter().filter(is_channel);
        let mut here = self.messages.iter().filter(|message| !is_pedal(message) && !is_note_off(message));
        all_are_here && here.all(|message| there.any(|bytes| bytes == message))
    }
}

/// What a daemon leaves behind.
pub struct Told {
    /// Its figures.
    pub report: Report,
    /// Memory at its end.
    pub resident_mb: f64,
    /// Its take, if it can be read.
    pub take: Option<Played>,
}

/// What came of one flood.
pub struct Account {
    sent: u64,
    overruns: u64,
    full: u64,
    report: Report,
    resident_mb: f64,
    stuck: usize,
    failures: Vec<String>,
}

impl Account {
    /// Adds up, beside what has failed before.
    pub fn new(score: &Score, hose: &Hose, pianist: &Pianist, told: Told, mut failures: Vec<String>) -> Self {
        let Told { report, resident_mb, take } = told;
        let stuck = pianist.sounding_at(Frames::MAX).len();
        let wire = pianist.log.iter().filter(|message| message.voice == Voice::Answer && message.is_note_on());
        let wire = wire.count() as u64;
        let (heard, dropped, notes) = (report.heard, report.dropped, report.notes);
        let mut expect = |is_so: bool, what: String| {
            if !is_so {
                failures.push(what);
            }
        };
        expect(stuck == 0, format!("{stuck} notes go on sounding"));
        expect(wire == notes.on_time + notes.late, format!("{wire} notes on the wires, by its figures {notes:?}"));

        let is_channel = |bytes: &&[u8]| (0x80..0xf0).contains(&bytes[0]);
        let short = score.iter().filter(|bytes| is_channel(bytes) || bytes[0] >= 0xf8).count() as u64;
        let came = heard.messages + heard.echoes + heard.passed_over;
        // What an overrun of the server swallowed never came.
        expect(came <= short, format!("{short} messages were sent and {came} came"));
        expect(came == short || hose.overruns() > 0, format!("{short} messages were sent and only {came} came"));
        let kept = heard.recorded + heard.clock + heard.control + dropped.input;
        let missing = (heard.messages + heard.mended).checked_sub(kept);
        expect(
            missing.is_some_and(|missing| missing <= dropped.record),
            format!("these do not add up: {heard:?}, {dropped:?}"),
        );
        let [kept, too_long] = score.sysex;
        if hose.overruns() == 0 && dropped.sysex_pieces == 0 {
            let seen = [heard.sysex, dropped.sysex];
            expect(seen == [kept, too_long], format!("{seen:?} SysEx messages kept and lost, not {:?}", score.sysex));
        }
        match take {
            None => expect(false, "the take cannot be read".to_owned()),
            Some(take) => {
                let in_figures = [heard.recorded, heard.sysex];
                let in_take = [take.messages.len() as u64, take.sysex.len() as u64];
                expect(
                    in_take == in_figures || take.parts > 1 && in_take[1] == in_figures[1],
                    format!("{in_take:?} messages and SysEx messages in the take, by the figures {in_figures:?}"),
                );
                expect(
                    dropped.input > 0 || heard.mended > 0 || hose.overruns() > 0 || take.is(score, heard.echoes),
                    "the take is not what was sent".to_owned(),
                );
                let is_whole = |sysex: &Vec<u8>| sysex.len() == LONGEST && sysex.ends_with(&[0xf7]);
                expect(take.sysex.iter().all(is_whole), "a SysEx message in the take is not whole".to_owned());
            }
        }
        Self { sent: short, overruns: hose.overruns(), full: hose.full(), report, resident_mb, stuck, failures }
    }

    /// Whether all is as it must be.
    pub fn is_sound(&self) -> bool {
        self.failures.is_empty()
    }

    fn on_time_rate(notes: [u64; 3]) -> Option<f64> {
        let [on_time, late, missed] = notes;
        #[expect(clippy::cast_precision_loss, reason = "below 2^53")]
        let rate = |part: u64, whole: u64| part as f64 / whole as f64;
        let all = on_time + late + missed;
        (all > 0).then(|| rate(on_time, all))
    }

    /// For programs.
    pub fn figures(&self) -> Value {
        let Report { heard, dropped, notes, .. } = &self.report;
        json!({
            "sent": self.sent, "received": heard.messages, "recorded": heard.recorded, "clock": heard.clock,
            "passed_over": heard.passed_over, "echoes": heard.echoes, "mended": heard.mended,
            "sysex": heard.sysex, "dropped": dropped, "notes": notes,
            "on_time_rate": Self::on_time_rate([notes.on_time, notes.late, notes.missed]),
            "resident_mb": self.resident_mb.round(), "planned_to_sent_p99_us": self.report.planned_to_sent.p99_us,
            "full_periods": self.full, "overruns": self.overruns, "stuck_notes": self.stuck, "failures": self.failures,
        })
    }
}

/// All floods together.
#[derive(Default)]
pub struct Sum(Vec<(&'static str, Account)>);

impl Sum {
    /// Adds one.
    pub fn add(&mut self, name: &'static str, account: Account) {
        self.0.push((name, account));
    }

    /// How much was not as it must be.
    pub fn failures(&self) -> usize {
        self.0.iter().map(|(_, account)| account.failures.len()).sum()
    }

    /// One line for programs.
    pub fn line(&self, took: Duration) -> Value {
        let sum = |of: fn(&Account) -> u64| self.0.iter().map(|(_, account)| of(account)).sum::<u64>();
        let notes: [fn(&Account) -> u64; 3] =
            [|a| a.report.notes.on_time, |a| a.report.notes.late, |a| a.report.notes.missed];
        let floods: Value = self.0.iter().map(|(name, account)| (name.to_string(), account.figures())).collect();
        json!({
            "load": floods, "seconds": took.as_secs(), "sent": sum(|a| a.sent),
            "received": sum(|a| a.report.heard.messages + a.report.heard.echoes + a.report.heard.passed_over),
            "dropped": sum(|a| a.report.dropped.input + a.report.dropped.record),
            "skipped": sum(|a| a.report.dropped.model),
            "on_time_rate": Account::on_time_rate(notes.map(sum)),
            "stuck_notes": sum(|a| a.stuck as u64), "failures": self.failures(),
        })
    }
}
