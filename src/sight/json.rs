//! Sights and views as JSON: the lines of `jam --json`, the messages of the WebSocket.

use serde_json::{Map, Value, json};

use super::{Sight, View};
use crate::control::{Controllers, MapChange};
use crate::midi::{MidiEvent, TimedMessage};
use crate::playback::Playing;
use crate::settings::SETTINGS;
use crate::time::SessionTime;

fn seconds(time: SessionTime) -> f64 {
    time.since(SessionTime::ZERO).as_seconds()
}

/// `human_on`, `human_off` or `human` with the bytes; the same with `ai` and `replayed`.
fn message(voice: &str, timed: TimedMessage) -> Value {
    let at = seconds(timed.time);
    match timed.message.event() {
        MidiEvent::NoteOn { channel, key, velocity } => json!({
            "event": format!("{voice}_on"), "at": at, "channel": channel + 1, "key": key, "velocity": velocity,
        }),
        MidiEvent::NoteOff { channel, key } => json!({
            "event": format!("{voice}_off"), "at": at, "channel": channel + 1, "key": key,
        }),
        _ => json!({ "event": voice, "at": at, "bytes": timed.message.as_bytes() }),
    }
}

impl Sight {
    /// As one JSON object with its kind under `event`; times in seconds since the session began, channels from 1.
    pub fn to_json(&self) -> Value {
        match self {
            Self::Human(timed) => message("human", *timed),
            Self::Ai(timed) => message("ai", *timed),
            Self::Replayed(timed) => message("replayed", *timed),
            Self::Turn { at, turn } => json!({ "event": "turn", "at": seconds(*at), "turn": turn.name() }),
            Self::Planned { at, planned } => json!({
                "event": "planned", "at": seconds(*at), "channel": planned.channel + 1, "answer": planned.epoch,
                "onset": seconds(planned.note.onset), "key": planned.note.key, "velocity": planned.note.velocity,
                "duration": planned.note.duration.as_seconds(),
            }),
            Self::Forgotten { at, channel, after } => json!({
                "event": "forgotten", "at": seconds(*at), "channel": channel + 1, "after": seconds(*after),
            }),
            Self::Control { at, control } => {
                json!({ "event": "control", "at": seconds(*at), "control": control.to_string() })
            }
            Self::Model { at, name, styles, style } => json!({
                "event": "model", "at": seconds(*at), "model": name, "styles": styles,
                "style": styles.get(usize::from(*style)),
            }),
            Self::Controllers(controllers) => {
                let mut whole = controllers.to_json();
                whole["event"] = json!("controllers");
                whole["change"] = match &controllers.change {
                    None => Value::Null,
                    Some(MapChange::Learnt { message, meaning }) => {
                        json!({ "kind": "learnt", "message": message, "meaning": meaning })
                    }
                    Some(MapChange::Forgotten(messages)) => json!({ "kind": "forgotten", "messages": messages }),
                    Some(MapChange::Replaced) => json!({ "kind": "replaced" }),
                };
                whole
            }
            Self::Ports { at, ports, news } => {
                let mut line = json!(**ports);
                line["event"] = json!("ports");
                line["at"] = json!(seconds(*at));
                line["news"] = json!(news);
                line
            }
            Self::Part { at, kept } => {
                json!({ "event": "part", "at": seconds(*at), "kept": kept.display().to_string() })
            }
            Self::Playback { at, playing } => {
                let mut line = playing.as_ref().map_or_else(|| json!({ "take": null }), Playing::to_json);
                line["event"] = json!("playback");
                line["at"] = json!(seconds(*at));
                line
            }
            Self::Sound { at, news } => json!({ "event": "sound", "at": seconds(*at), "news": news }),
            Self::Trouble(why) => json!({ "event": "trouble", "why": why }),
        }
    }
}

impl Playing {
    /// As one JSON object: `take`, its name, `begins`, when its first note sounds, and `seconds`, its length from there.
    pub fn to_json(&self) -> Value {
        json!({ "take": *self.name, "begins": seconds(self.begins), "seconds": self.length.as_seconds() })
    }
}

impl Controllers {
    /// As one JSON object: `learning`, what the next message will mean, `waits_for`, which messages are taken for it, in
    /// words, and `map`, each message with its meaning.
    pub fn to_json(&self) -> Value {
        let map = self.map.iter().map(|(message, meaning)| json!({ "message": message, "meaning": meaning }));
        let lesson = self.learning.as_ref();
        json!({
            "learning": lesson.map(|lesson| &*lesson.meaning),
            "waits_for": lesson.map(|lesson| lesson.gesture.to_string()),
            "map": map.collect::<Vec<_>>(),
        })
    }
}

impl View {
    /// As one JSON object: `turn`, `model`, `styles`, `controllers`, `ports`, `playing`, the take that is played back, and `settings` by name, each as it is typed.
    pub fn to_json(&self) -> Value {
        let shown = SETTINGS
            .iter()
            .map(|setting| (setting.name.to_owned(), Value::from(setting.show(setting.value(&self.settings)))));
        json!({
            "turn": self.turn.name(), "model": self.model, "styles": self.styles,
            "controllers": self.controllers.to_json(), "ports": *self.ports, "playing": self.playing.as_ref().map(Playing::to_json),
            "settings": shown.collect::<Map<_, _>>(),
        })
    }
}
