//! What a player can ask for at any moment: a setting, the turn, silence. As a line typed, or as a MIDI message that
//! was given that meaning.

mod assignment;
mod claims;
mod lesson;
mod map;

use std::fmt;
use std::sync::Arc;

pub use assignment::Assignment;
pub use claims::Claims;
pub use lesson::{Gesture, Lesson};
pub use map::{ControlMap, Controllers, MapChange};
use thiserror::Error;

use crate::quote::quoted;
use crate::settings::{Change, Setting, SettingError, nearest};

/// Something asked for.
#[derive(Clone, Debug, PartialEq)]
pub enum Control {
    /// Change a setting.
    Set(Change),
    /// Play in the style of this name; which there are is the model's to say.
    Style(Arc<str>),
    /// Antiphon answers now.
    HandOver,
    /// The turn is the human's again; Antiphon waits until they have played.
    TakeBack,
    /// Silence at once, whatever sounds.
    Panic,
    /// What is played from now on goes into another file; the music goes on.
    SplitTake,
    /// This take, or the newest one with a note in it, is played back through the output.
    PlayTake(Option<Arc<str>>),
    /// No take is played back any more.
    StopTake,
    /// The model of this number, in the order in which they were named, from 1, takes over at the next phrase.
    Model(u8),
    /// The same for the model of this file name, beside the first.
    ModelNamed(Arc<str>),
    /// The next MIDI message of its kind has this meaning from now on.
    Learn(Lesson),
    /// No message is waited for any more.
    StopLearning,
    /// This MIDI message, or all that move or ask for this, are music again.
    Forget(Arc<str>),
}

/// Things that are asked for by one word, what they do, and what they are.
pub const WORDS: &[(&str, &str, Control)] = &[
    ("hand-over", "the answer begins at once", Control::HandOver),
    ("take-back", "the answer ends, and there is none until you have played", Control::TakeBack),
    ("panic", "silence everything at once", Control::Panic),
    ("split-take", "what is played from now on goes into another file", Control::SplitTake),
    ("play-take", "the newest take is played back until you play; `play-take NAME` names one", Control::PlayTake(None)),
    ("stop-take", "no take is played back any more", Control::StopTake),
    ("stop-learning", "no MIDI message is waited for any more", Control::StopLearning),
];

/// Why something cannot be asked for.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum ControlError {
    /// The setting or its value.
    #[error(transparent)]
    Setting(#[from] SettingError),
    /// No value was given.
    #[error("{0} needs a value")]
    NoValue(String),
    /// Not a model's number or name.
    #[error("{} is no model: write its number, counted from 1, or the name of its file without a folder", quoted(.0))]
    Model(String),
    /// Not a MIDI message that can be given a meaning.
    #[error(
        "{} is no MIDI message to listen for; write cc20, cc20+52, key36, pc3, pc, bend or pressure, with @CHANNEL behind it for one channel", quoted(.0)
    )]
    Trigger(String),
    /// Not a whole assignment.
    #[error("{} is no assignment; write for example cc20=temperature, cc20=patience:0.5..3 or cc66=hand-over", quoted(.0))]
    Assignment(String),
    /// Not a range or curve.
    #[error("{} is no range or curve; write for example 0.5..3, linear, log, toggle, relative", quoted(.0))]
    Curve(String),
    /// A curve of factors over a range with a zero in it.
    #[error("{} cannot be log: both ends must be above 0", quoted(.0))]
    Log(String),
    /// Nothing has that meaning.
    #[error("no MIDI message is mapped to {}, and it is none that is mapped", quoted(.0))]
    NotMapped(String),
}

impl Control {
    /// Takes a line as it is typed: `patience 2`, `mode solo`, `style folk`, `hand-over`, `model 2`.
    ///
    /// # Errors
    /// [`ControlError`], with what to do.
    pub fn parse(line: &str) -> Result<Self, ControlError> {
        let mut words = line.split([' ', '=', '\t']).filter(|word| !word.is_empty());
        let name = words.next().unwrap_or_default();
        if let ("play-take", Some((_, take))) = (name, line.trim().split_once([' ', '\t'])) {
            return Ok(Self::PlayTake(Some(take.trim().into())));
        }
        if let Some((.., control)) = WORDS.iter().find(|(word, ..)| *word == name) {
            return Ok(control.clone());
        }
        if let ("learn" | "forget", Some((_, what))) = (name, line.trim().split_once([' ', '\t'])) {
            return Self::about_controllers(name, what.trim());
        }
        let value = Some(words.collect::<Vec<_>>().join(" ")).filter(|value| !value.is_empty());
        if let ("learn" | "forget", None) = (name, &value) {
            return Err(ControlError::NoValue(name.to_owned()));
        }
        if name == "model" {
            let value = value.unwrap_or_default();
            return match value.parse() {
                Ok(number @ 1..) => Ok(Self::Model(number)),
                Err(_) if value.parse::<f64>().is_err() && is_file_name(&value) => Ok(Self::ModelNamed(value.into())),
                _ => Err(ControlError::Model(value)),
            };
        }
        if let ("style", Some(style)) = (name, &value)
            && style.parse::<f32>().is_err()
        {
            return Ok(Self::Style(Arc::from(style.as_str())));
        }
        let setting = Setting::find(name).map_err(|error| with_words(error, name))?;
        let value = value.ok_or_else(|| ControlError::NoValue(name.to_owned()))?;
        Ok(Self::Set(setting.parse(&value)?))
    }
}

impl Control {
    fn about_controllers(name: &str, what: &str) -> Result<Self, ControlError> {
        if name == "forget" {
            return Ok(Self::Forget(what.into()));
        }
        Ok(Self::Learn(Lesson::parse(what)?))
    }
}

/// Whether it names a file and leads into no folder.
fn is_file_name(name: &str) -> bool {
    !name.is_empty() && !name.starts_with('.') && !name.contains(['/', '\\', ':'])
}

/// The nearest name may be one of the words.
fn with_words(error: SettingError, name: &str) -> SettingError {
    match error {
        SettingError::Unknown { name: wanted, nearest: setting } => {
            let all = WORDS.iter().map(|(word, ..)| *word).chain([setting, "model", "learn", "forget"]);
            SettingError::Unknown { name: wanted, nearest: nearest(name, all).unwrap_or(setting) }
        }
        other => other,
    }
}

impl fmt::Display for Control {
    /// As it is typed.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Set(change) => change.fmt(f),
            Self::Style(name) => write!(f, "style {name}"),
            Self::PlayTake(Some(name)) => write!(f, "play-take {name}"),
            Self::Model(number) => write!(f, "model {number}"),
            Self::ModelNamed(name) => write!(f, "model {name}"),
            Self::Learn(lesson) => write!(f, "learn {lesson}"),
            Self::Forget(what) => write!(f, "forget {what}"),
            word => {
                let name = WORDS.iter().find(|(.., control)| control == word).map_or("", |(name, ..)| name);
                f.write_str(name)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::midi::ShortMessage;
    use crate::settings::Settings;

    fn map(assignments: &[&str]) -> ControlMap {
        ControlMap::new(vec![assignments.iter().map(|text| Assignment::parse(text).expect("well formed")).collect()])
    }

    fn message(bytes: &[u8]) -> ShortMessage {
        ShortMessage::from_bytes(bytes).expect("whole")
    }

    fn all_asked(map: &mut ControlMap, bytes: &[u8], settings: &Settings) -> Vec<String> {
        map.ask(message(bytes), settings).iter().map(ToString::to_string).collect()
    }

    fn asked(map: &mut ControlMap, bytes: &[u8]) -> Option<String> {
        all_asked(map, bytes, &Settings::default()).pop()
    }

    #[test]
    fn what_is_typed_is_shown_the_same() {
        for line in [
            "patience 2",
            "mode solo",
            "hand-over",
            "take-back",
            "panic",
            "split-take",
            "model 2",
            "model antiphon-2.onnx",
            "play-take",
            "play-take AI_generated-20261125-101500.mid",
            "stop-take",
            "style folk song",
            "learn patience:0.5..3",
            "learn key panic",
            "forget cc74@1",
            "stop-learning",
        ] {
            assert_eq!(Control::parse(line).expect("known").to_string(), line);
        }
        assert_eq!(Control::parse(" patience = 2 "), Control::parse("patience 2"));
    }

    #[test]
    fn nonsense_gets_one_sentence() {
        for (line, says) in [
            ("hand-ovr", "hand-over"),
            ("patience", "needs a value"),
            ("patience -3", "from 0 to 10"),
            ("model ../secret.onnx", "without a folder"),
            ("model 300", "counted from 1"),
            ("model 0", "counted from 1"),
            ("", "nearest"),
        ] {
            let error = Control::parse(line).expect_err("nonsense").to_string();
            assert!(error.contains(says), "{line}: {error}");
        }
        for text in [
            "cc20",
            "cc200=mode",
            "knob3=mode",
            "cc20@17=mode",
            "pc0=panic",
            "cc20=volume",
            "cc20=patience:3",
            "cc20=memory:log",
            "bend3=mode",
        ] {
            assert!(Assignment::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn knobs_keys_and_programs_have_their_meaning() {
        let mut map = map(&[
            "cc20=patience:0.5..2.5",
            "cc66=hand-over",
            "key108@2=take-back",
            "pc3=model 2",
            "cc21=mode",
            "pc9=style waltz",
        ]);
        assert_eq!(asked(&mut map, &[0xb0, 20, 0]).as_deref(), Some("patience 0.5"));
        assert_eq!(asked(&mut map, &[0xb5, 20, 127]).as_deref(), Some("patience 2.5"));
        assert_eq!(asked(&mut map, &[0xb0, 66, 127]).as_deref(), Some("hand-over"));
        assert_eq!(asked(&mut map, &[0xb0, 66, 0]), None, "the pedal goes up");
        assert_eq!(asked(&mut map, &[0x91, 108, 70]).as_deref(), Some("take-back"));
        assert_eq!(asked(&mut map, &[0x90, 108, 70]), None, "another channel");
        assert_eq!(asked(&mut map, &[0xc0, 2]).as_deref(), Some("model 2"));
        assert_eq!(asked(&mut map, &[0xc0, 8]).as_deref(), Some("style waltz"));
        assert_eq!(asked(&mut map, &[0xb0, 21, 127]).as_deref(), Some("mode listen"));
        let claims = |bytes: &[u8]| map.claims().claims(message(bytes));
        assert!(claims(&[0x81, 108, 0]), "the release of a control key is no music either");
        assert!(!claims(&[0x90, 60, 70]) && !claims(&[0xb0, 64, 127]));
    }

    #[test]
    fn ranges_may_be_turned_round_and_bent() {
        let mut map =
            map(&["cc1=patience:3..0.5", "cc2=density:0.5..50:log", "cc3+35=memory", "bend=memory", "pressure=panic"]);
        assert_eq!(asked(&mut map, &[0xb0, 1, 0]).as_deref(), Some("patience 3"));
        assert_eq!(asked(&mut map, &[0xb0, 1, 127]).as_deref(), Some("patience 0.5"));
        let value = |text: Option<String>| -> f32 {
            text.expect("asked").split(' ').next_back().expect("a value").parse().expect("a number")
        };
        let half = value(asked(&mut map, &[0xb0, 2, 64]));
        assert!((half - 5.0).abs() < 0.2, "half way is ten times the least: {half}");
        assert!((value(asked(&mut map, &[0xb0, 2, 127])) - 50.0).abs() < 1e-3);
        let coarse = value(asked(&mut map, &[0xb0, 3, 64]));
        let fine = value(asked(&mut map, &[0xb0, 35, 127]));
        assert!(coarse < fine && fine - coarse < 0.008, "{coarse} {fine}");
        assert_eq!(asked(&mut map, &[0xe0, 127, 127]).as_deref(), Some("memory 1"));
        assert_eq!(asked(&mut map, &[0xd0, 100]).as_deref(), Some("panic"));
        assert_eq!(asked(&mut map, &[0xd0, 110]), None, "once, until it is let go");
        assert_eq!(asked(&mut map, &[0xd0, 10]), None);
        assert_eq!(asked(&mut map, &[0xd0, 100]).as_deref(), Some("panic"));
    }

    #[test]
    fn presses_toggle_and_endless_knobs_step_from_where_it_stands() {
        let mut map = map(&[
            "cc1=thru:toggle",
            "cc2=mode:relative",
            "cc3=patience:relative-offset",
            "cc4=style:relative-signed",
            "pc=mode",
        ]);
        let mut settings = Settings::default();
        let mut turn = |bytes: &[u8]| {
            let controls = map.ask(message(bytes), &settings);
            for control in &controls {
                let Control::Set(change) = control else { panic!("{control}") };
                change.apply(&mut settings);
            }
            controls.first().map(ToString::to_string)
        };
        assert_eq!(turn(&[0xb0, 1, 127]).as_deref(), Some("thru on"));
        assert_eq!(turn(&[0xb0, 1, 0]), None, "a release");
        assert_eq!(turn(&[0xb0, 1, 127]).as_deref(), Some("thru off"));
        assert_eq!(turn(&[0xb0, 2, 1]).as_deref(), Some("mode accompany"));
        assert_eq!(turn(&[0xb0, 2, 127]).as_deref(), Some("mode respond"), "one back");
        assert_eq!(turn(&[0xb0, 2, 127]).as_deref(), Some("mode respond"), "no further");
        let patience = turn(&[0xb0, 3, 66]).expect("moved");
        let value: f32 = patience.trim_start_matches("patience ").parse().expect("a number");
        assert!((value - 1.5 - 20.0 / 127.0).abs() < 1e-3, "two steps of 127 over a range of 10: {value}");
        assert_eq!(turn(&[0xb0, 4, 3]).as_deref(), Some("style 6"), "two a step: 255 of them in 127 steps");
        assert_eq!(turn(&[0xb0, 4, 65]).as_deref(), Some("style 4"));
        assert_eq!(turn(&[0xc0, 2]).as_deref(), Some("mode solo"), "the third");
        assert_eq!(turn(&[0xc0, 9]), None, "there is none");
    }

    #[test]
    fn one_message_may_mean_several_things_and_the_first_layer_that_knows_it_decides() {
        let layer = |texts: &[&str]| texts.iter().map(|text| Assignment::parse(text).expect("well formed")).collect();
        let mut map = ControlMap::new(vec![
            layer(&["cc20@1=memory", "cc20@1=hand-over", "cc7=music"]),
            layer(&["cc20=patience", "cc7=density"]),
        ]);
        let settings = Settings::default();
        assert_eq!(all_asked(&mut map, &[0xb0, 20, 127], &settings), ["memory 1", "hand-over"]);
        assert_eq!(all_asked(&mut map, &[0xb1, 20, 127], &settings), ["patience 10"], "another channel");
        assert!(!map.claims().claims(message(&[0xb0, 7, 1])), "given back to the music");
    }

    #[test]
    fn a_map_that_is_read_anew_is_all_there_is_but_what_is_waited_for_is_waited_for() {
        let mut map = map(&["cc9=panic"]);
        let claims = map.claims();
        map.obey(&Control::parse("learn memory").expect("known"));
        let (knob, other) = (message(&[0xb0, 74, 127]), message(&[0xb0, 75, 127]));
        assert!(claims.claims(knob) && map.hear(knob).is_some());
        map.obey(&Control::parse("learn snap").expect("known"));
        let state = map.replace(vec![vec![Assignment::parse("cc21=patience").expect("well formed")]]);
        assert_eq!(state.change, Some(MapChange::Replaced));
        assert_eq!(state.map, [("cc21".to_owned(), "patience".to_owned())]);
        assert!(claims.claims(message(&[0xb0, 21, 127])));
        assert!(claims.claims(other) && map.hear(other).is_some(), "it was waited for");
        assert!(!claims.claims(message(&[0xb0, 9, 127])), "music again");
        assert!(!claims.claims(knob), "what was learnt before is music again");
    }

    #[test]
    fn a_message_is_learnt_by_moving_it_and_claimed_at_once() {
        let mut map = map(&["cc9=panic"]);
        let claims = map.claims();
        let learn = Control::parse("learn temperature:0.5..1.5").expect("known");
        let state = map.obey(&learn).expect("about controllers").expect("done");
        let lesson = Lesson { meaning: "temperature:0.5..1.5".into(), gesture: Gesture::Turn };
        assert_eq!(state.learning, Some(lesson));
        for rest in [&[0x80, 60, 0][..], &[0xe0, 0, 64], &[0xd0, 5], &[0xf8], &[0xb0, 123, 0]] {
            assert!(!claims.claims(message(rest)), "no gesture: {rest:x?}");
        }
        for played in [&[0x90, 60, 90][..], &[0xb0, 64, 127], &[0xd0, 100], &[0xc0, 3]] {
            assert!(!claims.claims(message(played)), "it was played: {played:x?}");
        }
        assert!(claims.claims(message(&[0xb0, 9, 127])), "this one means panic");
        assert_eq!(asked(&mut map, &[0xb0, 9, 127]).as_deref(), Some("panic"));
        let knob = message(&[0xb0, 74, 127]);
        assert!(claims.claims(knob), "it is no music");
        assert!(!claims.claims(message(&[0xb0, 75, 127])), "only the first");
        assert!(claims.claims(knob), "and so is the next, before anybody else has seen the first");
        let state = map.hear(knob).expect("it was waited for");
        let learnt = MapChange::Learnt { message: "cc74@1".into(), meaning: "temperature:0.5..1.5".into() };
        assert_eq!((state.learning, state.change), (None, Some(learnt)));
        assert_eq!(state.map[0], ("cc74@1".to_owned(), "temperature:0.5..1.5".to_owned()));
        assert_eq!(map.hear(knob), None);
        assert_eq!(asked(&mut map, &[0xb0, 74, 127]).as_deref(), Some("temperature 1.5"));
        assert_eq!(asked(&mut map, &[0xb0, 9, 127]).as_deref(), Some("panic"), "the others stay");

        let forget = |what: &str| Control::parse(&format!("forget {what}")).expect("known");
        let state = map.obey(&forget("temperature")).expect("about controllers").expect("done");
        assert_eq!(state.change, Some(MapChange::Forgotten(vec!["cc74@1".into()])));
        assert!(!claims.claims(knob), "music again");
        assert!(map.obey(&forget("temperature")).expect("about controllers").is_err());
        assert!(map.obey(&forget("cc9")).expect("about controllers").is_ok());
        map.obey(&learn);
        map.obey(&Control::StopLearning);
        assert!(!claims.claims(knob), "nobody waits");
        assert_eq!(map.obey(&Control::Panic), None);
    }

    #[test]
    fn an_action_is_learnt_by_what_is_pressed_and_a_key_where_one_is_asked_for() {
        for (line, taken, left) in [
            ("learn hand-over", &[0x90, 36, 90][..], &[0xb0, 64, 0][..]),
            ("learn hand-over", &[0xb0, 64, 127], &[0xb0, 64, 10]),
            ("learn mode solo", &[0xc0, 3], &[0xd0, 10]),
            ("learn thru:toggle", &[0x90, 36, 90], &[0x80, 36, 0]),
            ("learn key panic", &[0x90, 36, 90], &[0xb0, 20, 127]),
            ("learn key memory:0.2..0.9", &[0x90, 36, 90], &[0xe0, 0, 127]),
            ("learn mode", &[0xb0, 20, 3], &[0x90, 36, 90]),
            ("learn memory:relative", &[0xb0, 20, 1], &[0xc0, 3]),
            ("learn memory", &[0xe0, 0, 127], &[0x90, 36, 90]),
        ] {
            let mut map = map(&["key36@2=panic"]);
            let claims = map.claims();
            map.obey(&Control::parse(line).expect("known"));
            assert!(!claims.claims(message(left)), "{line}: {left:x?} is music");
            assert_eq!(map.hear(message(left)), None, "{line}: {left:x?}");
            assert!(claims.claims(message(taken)), "{line}: {taken:x?}");
            let state = map.hear(message(taken)).expect("waited for");
            assert!(state.learning.is_none() && state.change.is_some(), "{line}: {taken:x?}");
        }
        for nonsense in ["learn key memory", "learn key", "learn key mode", "learn keys panic"] {
            assert!(Control::parse(nonsense).is_err(), "{nonsense}");
        }
    }

    #[test]
    fn a_map_that_comes_later_says_only_what_nobody_has_said_before() {
        let mut map = map(&["cc20=memory"]);
        let claims = map.claims();
        map.obey(&Control::parse("learn density").expect("known"));
        assert!(map.hear(message(&[0xb0, 21, 1])).is_some());
        let layer = ["cc20=patience", "cc21=patience", "cc22=patience"]
            .map(|text| Assignment::parse(text).expect("well formed"));
        let state = map.put_behind(layer.into());
        assert_eq!(state.change, Some(MapChange::Replaced));
        assert!(claims.claims(message(&[0xb0, 22, 1])));
        let asked = |map: &mut ControlMap, number| asked(map, &[0xb0, number, 127]).expect("it moves something");
        assert_eq!(asked(&mut map, 20), "memory 1");
        assert_eq!(asked(&mut map, 21), "density 100", "what was learnt stays");
        assert_eq!(asked(&mut map, 22), "patience 10");
    }
}
