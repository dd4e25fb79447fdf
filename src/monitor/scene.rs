//! How things stand over there, as far as it has been told.

use std::time::{Duration, Instant};

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::link::{List, Word};
use super::roll::{Planned, Roll, Voice};
use super::wire::{Batch, Described, Knobs, Model, Notes, OwnPorts, Seen, State, Take};
use crate::figures::Report;
use crate::ports::Ports;

/// How long a sentence about something that went wrong stays.
const TROUBLE_STAYS: Duration = Duration::from_secs(12);

/// How fast the two machines' clocks may part, in seconds a second: the truest sight of the other clock ages so fast.
const DRIFT: f64 = 2e-4;

/// How the connection stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Connection {
    /// It has not been there yet.
    New,
    Up,
    /// Why it is not there.
    Down(String),
}

/// How things stand.
pub struct Scene {
    pub(super) connection: Connection,
    pub(super) turn: String,
    pub(super) model: String,
    pub(super) styles: Vec<String>,
    pub(super) settings: Vec<Described>,
    pub(super) knobs: Knobs,
    pub(super) ports: Ports,
    pub(super) own_ports: OwnPorts,
    pub(super) notes: Notes,
    pub(super) take: String,
    pub(super) takes: Vec<Take>,
    /// Those that can be chosen.
    pub(super) models: Vec<Model>,
    /// The take that is played back.
    pub(super) playing: Option<String>,
    pub(super) figures: Option<Report>,
    pub(super) losses: String,
    pub(super) roll: Roll,
    trouble: Option<(Instant, String)>,
    clock: Option<OtherClock>,
}

/// The session's time, seen from here.
struct OtherClock {
    /// The session's time at `seen`.
    at: f64,
    seen: Instant,
}

impl OtherClock {
    fn now(&self, here: Instant) -> f64 {
        self.at + here.saturating_duration_since(self.seen).as_secs_f64()
    }
}

impl Default for Scene {
    fn default() -> Self {
        Self {
            connection: Connection::New,
            turn: String::new(),
            model: String::new(),
            styles: Vec::new(),
            settings: Vec::new(),
            knobs: Knobs::default(),
            ports: Ports::default(),
            own_ports: OwnPorts::default(),
            notes: Notes::default(),
            take: String::new(),
            takes: Vec::new(),
            models: Vec::new(),
            playing: None,
            figures: None,
            losses: String::new(),
            roll: Roll::default(),
            trouble: None,
            clock: None,
        }
    }
}

impl Scene {
    /// Takes in what the connection says. Gives back what is to be looked up again.
    pub fn take_in(&mut self, here: Instant, word: Word) -> Vec<List> {
        match word {
            Word::State(value) => match read::<State>(value) {
                Ok(state) => return self.begin(here, state),
                Err(why) => self.complain(here, &format!("what it says is not understood here: {why}")),
            },
            Word::Sights(value) => match read::<Batch>(value) {
                Ok(batch) => return self.go_on(here, batch),
                Err(why) => self.complain(here, &format!("what it says is not understood here: {why}")),
            },
            Word::Settings(value) => self.settings = read(value).unwrap_or_default(),
            Word::Takes(value) => self.takes = read(value).unwrap_or_default(),
            Word::Models(value) => self.models = read(value).unwrap_or_default(),
            Word::Down(why) => {
                self.connection = Connection::Down(why);
                self.roll = Roll::default();
            }
            Word::Refused(why) => self.complain(here, &why),
        }
        Vec::new()
    }

    fn begin(&mut self, here: Instant, state: State) -> Vec<List> {
        self.connection = Connection::Up;
        self.clock = Some(OtherClock { at: state.now, seen: here });
        self.roll = Roll::default();
        self.turn = state.turn;
        self.model = state.model;
        self.styles = state.styles;
        self.knobs = state.controllers;
        self.ports = state.ports;
        self.own_ports = state.own_ports;
        self.notes = state.notes;
        self.take = state.take;
        self.losses = state.losses;
        self.figures = None;
        self.playing = state.playing.map(|playing| playing.take);
        for seen in state.recent {
            // They are counted already.
            match seen {
                Seen::HumanOn(on) => self.roll.on(Voice::Human, on),
                Seen::AiOn(on) => self.roll.on(Voice::Ai, on),
                other => {
                    self.see(here, other);
                }
            }
        }
        vec![List::Settings, List::Takes, List::Models]
    }

    fn go_on(&mut self, here: Instant, batch: Batch) -> Vec<List> {
        self.tell_time(here, batch.now);
        if let Some(figures) = batch.figures {
            self.figures = read(figures).ok();
        }
        if let Some(losses) = batch.losses {
            self.losses = losses;
        }
        let mut again = Vec::new();
        for seen in batch.sights {
            again.extend_from_slice(self.see(here, seen));
        }
        self.roll.pass_time(self.now(here));
        again
    }

    /// Takes in what has happened. Gives back what is to be looked up again.
    fn see(&mut self, here: Instant, seen: Seen) -> &'static [List] {
        match seen {
            Seen::HumanOn(on) => {
                self.notes.human += 1;
                self.roll.on(Voice::Human, on);
            }
            Seen::AiOn(on) => {
                self.notes.ai += 1;
                self.roll.on(Voice::Ai, on);
            }
            Seen::HumanOff(off) => self.roll.off(Voice::Human, off),
            Seen::AiOff(off) => self.roll.off(Voice::Ai, off),
            Seen::ReplayedOn(on) => self.roll.on(Voice::Take, on),
            Seen::ReplayedOff(off) => self.roll.off(Voice::Take, off),
            Seen::Planned { channel, onset, key, duration } => {
                self.roll.plan(Planned { channel, key, onset, duration });
            }
            Seen::Forgotten { channel, after } => self.roll.drop_plan(channel, after),
            Seen::Turn { turn } => self.turn = turn,
            Seen::Control { control } => {
                let (name, value) = control.split_once(' ').unwrap_or((&control, ""));
                if let Some(row) = self.settings.iter_mut().find(|row| row.name == name) {
                    value.clone_into(&mut row.value);
                    // One setting may move others.
                    return &[List::Settings];
                }
            }
            Seen::Model { model, styles, .. } => {
                (self.model, self.styles) = (model, styles);
                return &[List::Settings, List::Models];
            }
            Seen::Controllers(knobs) => self.knobs = knobs,
            Seen::Ports(ports) => self.ports = ports,
            Seen::Playback { at, take } => {
                if take.is_none() {
                    self.roll.cut(Voice::Take, at);
                }
                self.playing = take;
            }
            Seen::Part {} => return &[List::Takes],
            Seen::Trouble { why } => self.complain(here, &why),
            Seen::Behind {} => self.roll.lose_track(self.now(here)),
            Seen::Other => {}
        }
        &[]
    }

    /// The session's time now, in seconds.
    pub(super) fn now(&self, here: Instant) -> f64 {
        self.clock.as_ref().map_or(0.0, |clock| clock.now(here))
    }

    /// Takes a word about the session's time. Words come late, never early: the one that came fastest is the truest.
    fn tell_time(&mut self, here: Instant, now: f64) {
        let Some(clock) = &mut self.clock else {
            self.clock = Some(OtherClock { at: now, seen: here });
            return;
        };
        let age = here.saturating_duration_since(clock.seen).as_secs_f64();
        let believed = clock.now(here) - age * DRIFT;
        // A second off is another clock: that machine slept.
        let at = if now > believed || believed - now > 1.0 { now } else { believed };
        *clock = OtherClock { at, seen: here };
    }

    /// Shows a sentence for a while.
    pub(super) fn complain(&mut self, here: Instant, why: &str) {
        self.trouble = Some((here, why.trim().to_owned()));
    }

    /// What went wrong lately.
    pub(super) fn trouble(&self, here: Instant) -> Option<&str> {
        let (since, why) = self.trouble.as_ref()?;
        (here.saturating_duration_since(*since) < TROUBLE_STAYS).then_some(why)
    }

    /// A setting's value in words: a style by its name.
    pub(super) fn shown<'a>(&'a self, row: &'a Described) -> &'a str {
        row.shown(&self.styles)
    }

    /// What the setting of this name is set to, in words.
    pub(super) fn setting(&self, name: &str) -> Option<&str> {
        self.settings.iter().find(|row| row.name == name).map(|row| self.shown(row))
    }
}

fn read<T: DeserializeOwned>(value: Value) -> Result<T, serde_json::Error> {
    serde_json::from_value(value)
}

#[cfg(test)]
pub(super) mod tests {
    use serde_json::json;

    use super::*;
    use crate::settings::SETTINGS;

    /// The state that a daemon tells first.
    pub fn state() -> Value {
        json!({
            "event": "state", "turn": "human", "model": "antiphon.onnx", "styles": ["any", "folk", "chorale"],
            "controllers": { "learning": null, "map": [{ "message": "cc20", "meaning": "temperature" }] },
            "ports": { "system": "ALSA", "runs": true, "from": ["Keystation"], "to": ["FLUID Synth", "Juno"], "cables": [
                { "direction": "from", "name": "Key", "state": "attached", "port": "Keystation", "why": null },
                { "direction": "to", "name": "Nord", "state": "waiting", "port": null, "why": null },
            ] },
            "own_ports": { "listening": "Antiphon In", "answering": "Antiphon Out" },
            "notes": { "human": 12, "ai": 34 }, "take": "AI_generated.mid", "losses": "", "now": 100.0,
            "version": "0.1.0", "playing": null, "recent": [
                { "event": "human_on", "at": 90.0, "channel": 1, "key": 60, "velocity": 70 },
                { "event": "human_off", "at": 90.5, "channel": 1, "key": 60 },
            ],
        })
    }

    /// The settings of this very program.
    pub fn settings() -> Value {
        let described = SETTINGS.iter().map(|setting| {
            let mut described = setting.to_json();
            described["value"] = described["default"].clone();
            described
        });
        described.collect()
    }

    /// Two models; the first one plays.
    pub fn models() -> Value {
        json!([
            { "name": "antiphon.onnx", "control": "model 1", "playing": true },
            { "name": "jazz.onnx", "control": "model jazz.onnx", "playing": false },
        ])
    }

    pub fn sights(now: f64, sights: Value) -> Word {
        Word::Sights(json!({ "event": "sights", "now": now, "sights": sights }))
    }

    /// A scene a second after its beginning, with these sights.
    pub fn scene(here: Instant, seen: Value) -> Scene {
        let mut scene = Scene::default();
        scene.take_in(here, Word::State(state()));
        scene.take_in(here, Word::Settings(settings()));
        scene.take_in(here, Word::Models(models()));
        scene.take_in(here, sights(100.0, seen));
        scene
    }

    #[test]
    fn what_is_told_is_how_things_stand() {
        let here = Instant::now();
        let mut scene = Scene::default();
        assert_eq!(scene.take_in(here, Word::State(state())), [List::Settings, List::Takes, List::Models]);
        scene.take_in(here, Word::Settings(settings()));
        let again = scene.take_in(
            here,
            sights(100.5, json!([
                { "event": "human_on", "at": 100.2, "channel": 1, "key": 60, "velocity": 70 },
                { "event": "turn", "at": 100.4, "turn": "ai" },
                { "event": "planned", "at": 100.4, "channel": 1, "answer": 3, "onset": 101.0, "key": 64, "velocity": 70, "duration": 0.5 },
                { "event": "control", "at": 100.4, "control": "style 2" },
                { "event": "something new", "at": 100.4 },
            ])),
        );
        assert_eq!(again, [List::Settings]);
        assert_eq!((scene.turn.as_str(), scene.notes.human, scene.setting("style")), ("ai", 13, Some("chorale")));
        assert_eq!((scene.roll.played().len(), scene.roll.planned().len()), (2, 1), "with one that was played before");
        scene.take_in(here, Word::Down("gone".into()));
        assert!(scene.roll.played().is_empty() && scene.connection == Connection::Down("gone".into()));
    }

    #[test]
    fn the_fastest_word_about_time_counts_and_a_jump_is_another_clock() {
        let here = Instant::now();
        let mut scene = scene(here, json!([]));
        let later = |seconds: f64| here + Duration::from_secs_f64(seconds);
        scene.take_in(later(1.0), sights(100.7, json!([])));
        assert!((scene.now(later(1.0)) - 101.0).abs() < 0.001, "that word was on its way for 300 ms");
        scene.take_in(later(2.0), sights(102.4, json!([])));
        assert!((scene.now(later(2.0)) - 102.4).abs() < 0.001);
        scene.take_in(later(3.0), sights(7.0, json!([])));
        assert!((scene.now(later(3.5)) - 7.5).abs() < 0.001);
    }

    #[test]
    fn what_went_wrong_is_said_for_a_while_and_what_is_not_understood_is_no_panic() {
        let here = Instant::now();
        let mut scene = scene(here, json!([{ "event": "trouble", "why": "no disk" }]));
        assert_eq!(scene.trouble(here), Some("no disk"));
        assert_eq!(scene.trouble(here + TROUBLE_STAYS), None);
        for nonsense in [json!({}), json!({ "now": "late", "sights": 3 }), json!([1])] {
            scene.take_in(here, Word::Sights(nonsense.clone()));
            scene.take_in(here, Word::State(nonsense.clone()));
            assert!(scene.trouble(here).is_some_and(|why| why.contains("not understood")), "{nonsense}");
            scene.take_in(here, Word::Settings(nonsense.clone()));
            scene.take_in(here, Word::Takes(nonsense.clone()));
            scene.take_in(here, Word::Models(nonsense));
        }
    }
}
