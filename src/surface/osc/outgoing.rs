//! What happens, and how things stand, as messages.

use rosc::{OscMessage, OscMidiMessage, OscType};
use serde_json::Value;

use crate::control::MapChange;
use crate::figures::Report;
use crate::midi::{MidiEvent, TimedMessage};
use crate::settings::{SETTINGS, Setting, Settings, Values};
use crate::sight::{Sight, View};
use crate::time::SessionTime;

/// What is told, with its types and meaning, in the order of the list.
pub(super) const TOLD: &[(&str, &str, &str)] = &[
    ("turn", "s", "whose turn it is now: human, ai or both"),
    ("human/note", "i i i", "you moved a key: key, velocity (0: it went up), channel from 1"),
    ("human/midi", "m", "you sent something else: a MIDI message"),
    ("ai/note", "i i i", "Antiphon moved a key; told up to 50 ms after it left, plan/note tells it before"),
    ("ai/midi", "m", "Antiphon sent something else"),
    ("plan/note", "f i i f i", "a note is planned: seconds from now, key, velocity, length in seconds, channel"),
    ("plan/forget", "f i", "planned notes later than so many seconds from now are not played: seconds, channel"),
    ("setting/NAME", "f, i or s", "a setting has this value now: a number, a whole number, or a choice by its name"),
    ("control", "s", "somebody asked for this, as it is typed, and it was done"),
    ("model", "s", "the model that plays"),
    ("style", "s", "the style that it plays in"),
    ("styles", "s ...", "the styles that it knows"),
    (
        "learning",
        "s s",
        "what a MIDI message is waited for to mean, and which are taken for it; empty: none is waited for",
    ),
    ("learnt", "s s", "a MIDI message has been learnt, and its meaning"),
    ("music-again", "s ...", "these MIDI messages mean nothing any more"),
    ("port", "s", "a port that is wanted by name, or the MIDI system, has come or gone, in a sentence"),
    ("part", "s", "a part of the take has ended: its file; what is played now goes into another"),
    ("playback", "s", "the take that is played back from now on; empty: none any more"),
    ("sound", "s", "the sound of --synth is there again, in a sentence"),
    ("trouble", "s", "something did not work; the music goes on"),
    ("figures/...", "i", "one count or time of how well time is kept, as an answer to get/figures"),
    ("subscribed", "i", "you are subscribed for so many seconds"),
    ("ended", "", "Antiphon ends"),
];

/// A message under our root.
pub(super) fn message(path: &str, arguments: Vec<OscType>) -> OscMessage {
    OscMessage { addr: format!("/antiphon/{path}"), args: arguments }
}

/// Text, which in OSC ends at its first zero byte.
fn text(text: &str) -> OscType {
    OscType::String(text.replace('\0', " "))
}

fn int(number: impl Into<i32>) -> OscType {
    OscType::Int(number.into())
}

/// Seconds from `at` to `time`, negative when it is earlier.
#[expect(clippy::cast_possible_truncation, reason = "OSC's floats have 24 bits, enough for seconds of a plan")]
fn seconds_from(at: SessionTime, time: SessionTime) -> OscType {
    OscType::Float((time.since(at).as_seconds() - at.since(time).as_seconds()) as f32)
}

/// A key or another message of one of the two voices.
fn played(voice: &str, timed: TimedMessage) -> OscMessage {
    let note = |channel: u8, key: u8, velocity: u8| {
        message(&format!("{voice}/note"), vec![int(key), int(velocity), int(channel + 1)])
    };
    match timed.message.event() {
        MidiEvent::NoteOn { channel, key, velocity } => note(channel, key, velocity),
        MidiEvent::NoteOff { channel, key } => note(channel, key, 0),
        _ => {
            let mut bytes = timed.message.as_bytes().iter().copied();
            let mut next = || bytes.next().unwrap_or(0);
            let midi = OscMidiMessage { port: 0, status: next(), data1: next(), data2: next() };
            message(&format!("{voice}/midi"), vec![OscType::Midi(midi)])
        }
    }
}

/// A setting's value.
pub(super) fn setting(setting: &Setting, settings: &Settings) -> OscMessage {
    let value = setting.value(settings);
    #[expect(clippy::cast_possible_truncation, reason = "a whole number of at most 16 bits")]
    let argument = match setting.values {
        Values::Number { .. } => OscType::Float(value),
        Values::Whole { .. } => OscType::Int(value as i32),
        Values::Choice(_) => text(&setting.show(value)),
    };
    message(&format!("setting/{}", setting.name), vec![argument])
}

/// Whose turn it is.
pub(super) fn turn(view: &View) -> OscMessage {
    message("turn", vec![text(view.turn.name())])
}

/// The model, its style, its styles.
pub(super) fn model(view: &View) -> Vec<OscMessage> {
    let styles = view.styles.iter().map(|style| text(style)).collect();
    vec![message("model", vec![text(&view.model)]), style(view), message("styles", styles)]
}

fn style(view: &View) -> OscMessage {
    let style = view.styles.get(usize::from(view.settings.style)).map_or("any", String::as_str);
    message("style", vec![text(style)])
}

/// How things stand.
pub(super) fn all(view: &View) -> Vec<OscMessage> {
    let settings = SETTINGS.iter().map(|one| setting(one, &view.settings));
    std::iter::once(turn(view)).chain(model(view)).chain(settings).collect()
}

/// What is told of `sight`; `view` is how things stood before it and then how they stand after it.
pub(super) fn happened(sight: &Sight, view: &mut View) -> Vec<OscMessage> {
    let before = view.settings;
    view.take_in(sight);
    match sight {
        Sight::Human(timed) => vec![played("human", *timed)],
        Sight::Ai(timed) => vec![played("ai", *timed)],
        Sight::Turn { .. } => vec![turn(view)],
        Sight::Planned { at, planned } => {
            let note = planned.note;
            #[expect(clippy::cast_possible_truncation, reason = "OSC's floats have 24 bits")]
            let length = note.duration.as_seconds() as f32;
            let (key, velocity) = (int(note.key), int(note.velocity));
            let channel = int(planned.channel + 1);
            let arguments = vec![seconds_from(*at, note.onset), key, velocity, OscType::Float(length), channel];
            vec![message("plan/note", arguments)]
        }
        Sight::Forgotten { at, channel, after } => {
            vec![message("plan/forget", vec![seconds_from(*at, *after), int(channel + 1)])]
        }
        Sight::Control { control, .. } => {
            // One setting may move others: the temperature moves those of all attributes.
            let moved = SETTINGS.iter().filter(|setting| setting.value(&before) != setting.value(&view.settings));
            let mut told = vec![message("control", vec![text(&control.to_string())])];
            told.extend(moved.map(|one| setting(one, &view.settings)));
            if before.style != view.settings.style {
                told.push(style(view));
            }
            told
        }
        Sight::Model { .. } => model(view),
        Sight::Controllers(controllers) => {
            let lesson = controllers.learning.as_ref();
            let (meaning, kind) =
                lesson.map(|lesson| (lesson.meaning.to_string(), lesson.gesture.to_string())).unwrap_or_default();
            let mut told = vec![message("learning", vec![text(&meaning), text(&kind)])];
            match &controllers.change {
                Some(MapChange::Learnt { message: learnt, meaning }) => {
                    told.push(message("learnt", vec![text(learnt), text(meaning)]));
                }
                Some(MapChange::Forgotten(messages)) => {
                    told.push(message("music-again", messages.iter().map(|message| text(message)).collect()));
                }
                Some(MapChange::Replaced) | None => {}
            }
            told
        }
        Sight::Ports { news, .. } => news.iter().map(|news| message("port", vec![text(news)])).collect(),
        Sight::Part { kept, .. } => vec![message("part", vec![text(&kept.to_string_lossy())])],
        // Lights follow who plays now.
        Sight::Replayed(_) => Vec::new(),
        Sight::Playback { playing, .. } => {
            vec![message("playback", vec![text(playing.as_ref().map_or("", |playing| &*playing.name))])]
        }
        Sight::Sound { news, .. } => vec![message("sound", vec![text(news)])],
        Sight::Trouble(why) => vec![message("trouble", vec![text(why)])],
    }
}

/// The figures, one number a message.
pub(super) fn figures(report: &Report) -> Vec<OscMessage> {
    let mut told = Vec::new();
    flatten("figures", &serde_json::to_value(report).unwrap_or_default(), &mut told);
    told
}

fn flatten(path: &str, value: &Value, told: &mut Vec<OscMessage>) {
    match value {
        Value::Object(members) => {
            members.iter().for_each(|(name, value)| {
                flatten(&format!("{path}/{}", name.replace('_', "-")), value, told);
            });
        }
        // OSC's usual whole numbers end at 2^31: 36 minutes in microseconds.
        number => {
            let number = number.as_u64().map_or(i32::MAX, |number| i32::try_from(number).unwrap_or(i32::MAX));
            told.push(message(path, vec![OscType::Int(number)]));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::Control;
    use crate::midi::ShortMessage;
    use crate::note::Note;
    use crate::player::PlannedNote;
    use crate::status::Status;
    use crate::time::SessionDuration;

    fn shown(messages: &[OscMessage]) -> Vec<String> {
        messages.iter().map(ToString::to_string).collect()
    }

    fn told(sight: &Sight) -> Vec<String> {
        shown(&happened(sight, &mut View::sample()))
    }

    const AT: SessionTime = SessionTime::from_micros(2_000_000);

    #[test]
    fn keys_are_told_with_velocity_and_channel() {
        let timed = |message| TimedMessage { time: AT, message };
        assert_eq!(
            told(&Sight::Human(timed(ShortMessage::note_on(0, 60, 64)))),
            ["/antiphon/human/note, (i) 60, (i) 64, (i) 1"]
        );
        assert_eq!(told(&Sight::Ai(timed(ShortMessage::note_off(3, 61)))), ["/antiphon/ai/note, (i) 61, (i) 0, (i) 4"]);
        assert_eq!(
            told(&Sight::Human(timed(ShortMessage::control_change(0, 64, 127)))),
            ["/antiphon/human/midi, (m) {port:0, status:0xB0, data:0x407F}"]
        );
    }

    #[test]
    fn the_plan_is_told_ahead() {
        let note = Note {
            onset: AT + SessionDuration::from_millis(250),
            key: 67,
            velocity: 80,
            duration: SessionDuration::from_millis(500),
        };
        let planned = PlannedNote { note, epoch: 1, channel: 0 };
        assert_eq!(
            told(&Sight::Planned { at: AT, planned }),
            ["/antiphon/plan/note, (f) 0.25, (i) 67, (i) 80, (f) 0.5, (i) 1"]
        );
        let after = AT - SessionDuration::from_millis(500);
        assert_eq!(told(&Sight::Forgotten { at: AT, channel: 1, after }), ["/antiphon/plan/forget, (f) -0.5, (i) 2"]);
    }

    #[test]
    fn a_change_is_told_with_all_that_it_moves() {
        let control = |line| Sight::Control { at: AT, control: Control::parse(line).expect("known") };
        assert_eq!(
            told(&control("mode solo")),
            ["/antiphon/control, (s) mode solo", "/antiphon/setting/mode, (s) solo"]
        );
        assert_eq!(told(&control("temperature 0.5")).len(), 1 + 5);
        assert_eq!(
            told(&control("style folk")),
            ["/antiphon/control, (s) style folk", "/antiphon/setting/style, (i) 1", "/antiphon/style, (s) folk"]
        );
        assert_eq!(told(&control("panic")), ["/antiphon/control, (s) panic"]);
    }

    #[test]
    fn a_newcomer_is_told_everything_once() {
        let mut all: Vec<_> = all(&View::sample()).into_iter().map(|message| message.addr).collect();
        assert_eq!(all.len(), 4 + SETTINGS.len());
        all.sort();
        all.dedup();
        assert_eq!(all.len(), 4 + SETTINGS.len());
    }

    #[test]
    fn figures_are_told_one_by_one() {
        let status = Status::default();
        status.figures.note_sampled.add(SessionDuration::from_micros(1500));
        let told = shown(&figures(&Report::new(&status)));
        assert!(told.contains(&"/antiphon/figures/note-sampled/p99-us, (i) 1500".into()), "{told:?}");
        assert!(told.contains(&"/antiphon/figures/notes/late, (i) 0".into()), "{told:?}");
    }

    #[test]
    fn text_ends_where_osc_ends_it() {
        assert_eq!(told(&Sight::Trouble("a\0b".into())), ["/antiphon/trouble, (s) a b"]);
    }
}
