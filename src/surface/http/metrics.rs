//! Counters and figures in Prometheus' text format, version 0.0.4.

use std::fmt::Write as _;
use std::sync::atomic::Ordering::Relaxed;

use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;

use super::Desk;
use crate::conductor::Turn;
use crate::figures::{Report, Summary};
use crate::status::Status;

pub(super) async fn show(State(desk): State<Desk>) -> impl IntoResponse {
    ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text(&desk.status))
}

fn text(status: &Status) -> String {
    let report = Report::new(status);
    let [human, ai] = status.notes();
    let mut text = String::new();
    let mut family = |name: &str, kind: &str, about: &str, samples: &[(&str, f64)]| {
        // Writing to a string never fails.
        let _ = writeln!(text, "# HELP antiphon_{name} {about}\n# TYPE antiphon_{name} {kind}");
        for (labels, value) in samples {
            let _ = writeln!(text, "antiphon_{name}{labels} {value}");
        }
    };
    family(
        "notes_total",
        "counter",
        "Note-ons heard and played.",
        &[("{voice=\"human\"}", float(human)), ("{voice=\"ai\"}", float(ai))],
    );
    let answers = f64::from(u8::from(status.turn() != Turn::Human));
    family("answering", "gauge", "1 while Antiphon plays.", &[("", answers)]);
    let replaying = f64::from(u8::from(status.replaying.load(Relaxed)));
    family("playing_back", "gauge", "1 while a take is played back.", &[("", replaying)]);
    family(
        "answer_notes_total",
        "counter",
        "Notes of the answers by what became of them.",
        &[
            ("{fate=\"on_time\"}", float(report.notes.on_time)),
            ("{fate=\"late\"}", float(report.notes.late)),
            ("{fate=\"missed\"}", float(report.notes.missed)),
            ("{fate=\"gated\"}", float(report.notes.gated)),
        ],
    );
    family(
        "heard_messages_total",
        "counter",
        "Messages that came in, by where they went.",
        &[
            ("{to=\"take\"}", float(report.heard.recorded)),
            ("{to=\"tempo\"}", float(report.heard.clock)),
            ("{to=\"control\"}", float(report.heard.control)),
            ("{to=\"sysex\"}", float(report.heard.sysex)),
            ("{to=\"echo\"}", float(report.heard.echoes)),
            ("{to=\"nothing\"}", float(report.heard.passed_over)),
        ],
    );
    family(
        "lost_total",
        "counter",
        "What was lost, by where.",
        &[
            ("{where=\"input\"}", float(status.input_dropped.load(Relaxed))),
            ("{where=\"system\"}", float(status.input_overruns.load(Relaxed))),
            ("{where=\"player\"}", float(status.player_missed.load(Relaxed))),
            ("{where=\"model\"}", float(status.unheard.load(Relaxed))),
            ("{where=\"plan\"}", float(status.plan_dropped.load(Relaxed))),
            ("{where=\"send\"}", float(status.send_failed.load(Relaxed))),
            ("{where=\"record\"}", float(status.record_dropped.load(Relaxed))),
            ("{where=\"sysex\"}", float(status.sysex_lost.load(Relaxed))),
            ("{where=\"session_file\"}", float(status.session_dropped.load(Relaxed))),
            ("{where=\"take\"}", float(status.write_failed.load(Relaxed))),
            ("{where=\"sound\"}", float(status.sound.dropped.load(Relaxed))),
        ],
    );
    let away = f64::from(u8::from(status.system_away.load(Relaxed)));
    family("midi_system_away", "gauge", "1 while the MIDI system is away.", &[("", away)]);
    family(
        "midi_system_lost_total",
        "counter",
        "Times at which the MIDI system has gone.",
        &[("", float(status.systems_lost.load(Relaxed)))],
    );
    family(
        "xruns_total",
        "counter",
        "Xruns that JACK told of: periods that were late, ours or somebody else's.",
        &[("", float(report.xruns))],
    );
    family(
        "sound_dropouts_total",
        "counter",
        "Blocks of the sound of --synth that came too late to be heard whole.",
        &[("", float(status.sound.dropouts.load(Relaxed)))],
    );
    family(
        "sound_latency_seconds",
        "gauge",
        "From a key to the loudspeaker, as far as the sound device tells; 0 without --synth.",
        &[("", float(status.sound.latency_us.load(Relaxed)) / 1e6)],
    );
    family(
        "sound_lost_total",
        "counter",
        "Times at which the sound device has gone.",
        &[("", float(status.sound.lost.load(Relaxed)))],
    );
    family(
        "plan_ran_dry_total",
        "counter",
        "Times at which the plan had run dry.",
        &[("", float(report.notes.plan_ran_dry))],
    );
    for (name, about, summary) in [
        ("note_to_state_seconds", "From a human note to the model's state after it.", &report.note_to_state),
        ("plan_revised_seconds", "From a human note to a plan that knows it.", &report.plan_revised),
        ("note_sampled_seconds", "Choosing one note.", &report.note_sampled),
        ("planned_to_sent_seconds", "From a note's planned moment to its leaving.", &report.planned_to_sent),
        ("first_note_seconds", "The same for the first note of an answer.", &report.first_note),
        ("barge_in_seconds", "From a human note-on to silence.", &report.barge_in),
        ("system_away_seconds", "From the MIDI system's going to its coming back.", &report.system_away),
    ] {
        quantiles(&mut text, name, about, summary);
    }
    text
}

fn quantiles(text: &mut String, name: &str, about: &str, summary: &Summary) {
    let _ = writeln!(text, "# HELP antiphon_{name} {about}\n# TYPE antiphon_{name} summary");
    for (quantile, us) in [("0.5", summary.p50_us), ("0.99", summary.p99_us), ("0.999", summary.p999_us)] {
        let _ = writeln!(text, "antiphon_{name}{{quantile=\"{quantile}\"}} {}", float(us) / 1e6);
    }
    let _ = writeln!(text, "antiphon_{name}_count {}", summary.count);
}

#[expect(clippy::cast_precision_loss, reason = "counts beyond 2^53 would take centuries")]
fn float(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::midi::ShortMessage;

    #[test]
    fn every_sample_belongs_to_a_family_with_help_and_type() {
        let status = Status::default();
        status.heard(ShortMessage::note_on(0, 60, 80));
        let text = text(&status);
        let mut families = Vec::new();
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("# TYPE ") {
                families.push(rest.split(' ').next().expect("a name").to_owned());
            } else if !line.starts_with('#') {
                let (name, value) = line.rsplit_once(' ').expect("a value");
                assert!(value.parse::<f64>().is_ok(), "{line}");
                let name = name.split('{').next().expect("a name");
                let family = name.strip_suffix("_count").unwrap_or(name);
                assert_eq!(families.last().map(String::as_str), Some(family), "{line}");
            }
        }
        assert!(families.len() >= 11, "{families:?}");
        assert!(text.contains("antiphon_notes_total{voice=\"human\"} 1\n"), "{text}");
    }
}
