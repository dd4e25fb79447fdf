//! What a player can ask for at any moment: a setting, the turn, silence. As a line typed, or as a MIDI message that
//! was given that meaning.

use std::fmt;
use std::sync::Arc;

use thiserror::Error;

use crate::midi::{MidiEvent, ShortMessage};
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
    /// The model of this number, in the order in which they were named, from 1, takes over at the next phrase.
    Model(u8),
}

/// Things that are asked for by one word, what they do, and what they are.
pub const WORDS: &[(&str, &str, Control)] = &[
    ("hand-over", "the answer begins at once", Control::HandOver),
    ("take-back", "the answer ends, and there is none until you have played", Control::TakeBack),
    ("panic", "silence everything at once", Control::Panic),
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
    /// Not a model's number.
    #[error("{0:?} is no number of a model; they are counted from 1")]
    Model(String),
    /// Not a MIDI message that can be given a meaning.
    #[error(
        "{0:?} is no MIDI message to listen for; write cc20, key36 or pc3, with @CHANNEL behind it for one channel"
    )]
    Trigger(String),
    /// Not a whole assignment.
    #[error("{0:?} is no assignment; write for example cc20=temperature, cc20=patience:0.5..3 or cc66=hand-over")]
    Assignment(String),
}

impl Control {
    /// Takes a line as it is typed: `patience 2`, `mode solo`, `style folk`, `hand-over`, `model 2`.
    ///
    /// # Errors
    /// [`ControlError`], with what to do.
    pub fn parse(line: &str) -> Result<Self, ControlError> {
        let mut words = line.split([' ', '=', '\t']).filter(|word| !word.is_empty());
        let name = words.next().unwrap_or_default();
        if let Some((.., control)) = WORDS.iter().find(|(word, ..)| *word == name) {
            return Ok(control.clone());
        }
        let value = Some(words.collect::<Vec<_>>().join(" ")).filter(|value| !value.is_empty());
        if name == "model" {
            let value = value.unwrap_or_default();
            return match value.parse() {
                Ok(number @ 1..) => Ok(Self::Model(number)),
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

/// The nearest name may be one of the words.
fn with_words(error: SettingError, name: &str) -> SettingError {
    match error {
        SettingError::Unknown { name: wanted, nearest: setting } => {
            let all = WORDS.iter().map(|(word, ..)| *word).chain([setting, "model"]);
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
            Self::Model(number) => write!(f, "model {number}"),
            word => {
                let name = WORDS.iter().find(|(.., control)| control == word).map_or("", |(name, ..)| name);
                f.write_str(name)
            }
        }
    }
}

/// A MIDI message that is listened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trigger {
    /// A control change of this number.
    Controller(u8),
    /// A key.
    Key(u8),
    /// A program change to this number, counted from 1.
    Program(u8),
}

/// What a message means.
#[derive(Clone, Debug)]
enum Meaning {
    /// It moves a setting between two values.
    Move { setting: &'static Setting, low: f32, high: f32 },
    /// It asks for this.
    Ask(Control),
}

/// A message and what it means.
#[derive(Clone, Debug)]
pub struct Assignment {
    trigger: Trigger,
    /// In `0..16`; `None` is any.
    channel: Option<u8>,
    meaning: Meaning,
}

impl Assignment {
    /// Takes an assignment as it is written: `cc20=temperature`, `cc20=patience:0.5..3`, `cc66=hand-over`,
    /// `key108=take-back`, `pc3=model 2`, `cc21@16=mode`.
    ///
    /// # Errors
    /// [`ControlError`], with what to do.
    pub fn parse(text: &str) -> Result<Self, ControlError> {
        let whole = || ControlError::Assignment(text.to_owned());
        let (trigger, meaning) = text.split_once('=').ok_or_else(whole)?;
        let wrong = || ControlError::Trigger(trigger.to_owned());
        let (trigger_text, channel) = match trigger.split_once('@') {
            None => (trigger, None),
            Some((before, channel)) => {
                let channel: u8 = channel.parse().ok().filter(|c| (1..=16).contains(c)).ok_or_else(wrong)?;
                (before, Some(channel - 1))
            }
        };
        let digits = trigger_text.trim_start_matches(|c: char| c.is_ascii_alphabetic());
        let kind = &trigger_text[..trigger_text.len() - digits.len()];
        let number: u8 = digits.parse().ok().filter(|number| *number < 128).ok_or_else(wrong)?;
        let trigger = match kind {
            "cc" => Trigger::Controller(number),
            "key" => Trigger::Key(number),
            "pc" if number > 0 => Trigger::Program(number),
            _ => return Err(wrong()),
        };
        Ok(Self { trigger, channel, meaning: meaning_of(meaning, trigger)? })
    }

    /// Whether the message is this assignment's, so that it is not music.
    fn claims(&self, message: ShortMessage) -> bool {
        let [status, first, ..] = *message.as_bytes() else { return false };
        let fits = match self.trigger {
            Trigger::Controller(number) => status & 0xf0 == 0xb0 && first == number,
            Trigger::Program(number) => status & 0xf0 == 0xc0 && first + 1 == number,
            Trigger::Key(key) => match message.event() {
                MidiEvent::NoteOn { key: played, .. } | MidiEvent::NoteOff { key: played, .. } => played == key,
                _ => false,
            },
        };
        fits && self.channel.is_none_or(|channel| status & 15 == channel)
    }

    /// What the message asks for; a controller asks for an action from value 64 on, a key when it goes down.
    fn control(&self, message: ShortMessage) -> Option<Control> {
        let value = match self.trigger {
            Trigger::Program(_) => 127,
            Trigger::Controller(_) | Trigger::Key(_) => message.as_bytes().get(2).copied().unwrap_or(0),
        };
        let pressed = match self.trigger {
            Trigger::Key(_) => message.is_note_on(),
            Trigger::Controller(_) | Trigger::Program(_) => value >= 64,
        };
        match &self.meaning {
            &Meaning::Move { setting, low, high } => {
                let moves = !matches!(self.trigger, Trigger::Key(_)) || pressed;
                moves.then(|| Control::Set(setting.between(low, high, f32::from(value) / 127.0)))
            }
            Meaning::Ask(control) => pressed.then(|| control.clone()),
        }
    }
}

fn meaning_of(text: &str, trigger: Trigger) -> Result<Meaning, ControlError> {
    let (name, range) = text.split_once(':').map_or((text, None), |(name, range)| (name, Some(range)));
    if let Some(range) = range {
        let setting = Setting::find(name)?;
        let (low, high) = range.split_once("..").ok_or_else(|| ControlError::Assignment(text.to_owned()))?;
        // Parsed as the setting's own values, so that choices go by their names.
        let end = |end: &str| setting.parse(end).map(|change| change.value());
        return Ok(Meaning::Move { setting, low: end(low)?, high: end(high)? });
    }
    if let (Ok(setting), Trigger::Controller(_)) = (Setting::find(text), trigger) {
        let (low, high) = setting.range();
        return Ok(Meaning::Move { setting, low, high });
    }
    Ok(Meaning::Ask(Control::parse(text)?))
}

/// Which MIDI messages are not music but control.
#[derive(Clone, Default)]
pub struct ControlMap {
    assignments: Vec<Assignment>,
}

impl ControlMap {
    /// A map of these; where two want the same message, the first has it.
    pub fn new(assignments: Vec<Assignment>) -> Self {
        Self { assignments }
    }

    /// Whether the message is control and not music. Realtime-safe: yes.
    pub fn claims(&self, message: ShortMessage) -> bool {
        self.assignments.iter().any(|assignment| assignment.claims(message))
    }

    /// What the message asks for; `None` when it is music, or a release. Realtime-safe: yes.
    pub fn control(&self, message: ShortMessage) -> Option<Control> {
        self.assignments.iter().find(|assignment| assignment.claims(message))?.control(message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(assignments: &[&str]) -> ControlMap {
        ControlMap::new(assignments.iter().map(|text| Assignment::parse(text).expect("well formed")).collect())
    }

    fn asked(map: &ControlMap, bytes: &[u8]) -> Option<String> {
        map.control(ShortMessage::from_bytes(bytes).expect("whole")).map(|control| control.to_string())
    }

    #[test]
    fn what_is_typed_is_shown_the_same() {
        for line in ["patience 2", "mode solo", "hand-over", "take-back", "panic", "model 2", "style folk song"] {
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
            ("model none", "counted from 1"),
            ("model 0", "counted from 1"),
            ("", "nearest"),
        ] {
            let error = Control::parse(line).expect_err("nonsense").to_string();
            assert!(error.contains(says), "{line}: {error}");
        }
        for text in ["cc20", "cc200=mode", "knob3=mode", "cc20@17=mode", "pc0=panic", "cc20=volume", "cc20=patience:3"]
        {
            assert!(Assignment::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn knobs_keys_and_programs_have_their_meaning() {
        let map = map(&[
            "cc20=patience:0.5..2.5",
            "cc66=hand-over",
            "key108@2=take-back",
            "pc3=model 2",
            "cc21=mode",
            "pc9=style waltz",
        ]);
        assert_eq!(asked(&map, &[0xb0, 20, 0]).as_deref(), Some("patience 0.5"));
        assert_eq!(asked(&map, &[0xb5, 20, 127]).as_deref(), Some("patience 2.5"));
        assert_eq!(asked(&map, &[0xb0, 66, 127]).as_deref(), Some("hand-over"));
        assert_eq!(asked(&map, &[0xb0, 66, 0]), None, "the pedal goes up");
        assert_eq!(asked(&map, &[0x91, 108, 70]).as_deref(), Some("take-back"));
        assert_eq!(asked(&map, &[0x90, 108, 70]), None, "another channel");
        assert_eq!(asked(&map, &[0xc0, 2]).as_deref(), Some("model 2"));
        assert_eq!(asked(&map, &[0xc0, 8]).as_deref(), Some("style waltz"));
        assert_eq!(asked(&map, &[0xb0, 21, 127]).as_deref(), Some("mode listen"));
        let claims = |bytes: &[u8]| map.claims(ShortMessage::from_bytes(bytes).expect("whole"));
        assert!(claims(&[0x81, 108, 0]), "the release of a control key is no music either");
        assert!(!claims(&[0x90, 60, 70]) && !claims(&[0xb0, 64, 127]));
    }
}
