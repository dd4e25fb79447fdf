//! What can be set while it plays: one table, each row with its name, meaning, unit, range and default.
//!
//! Everything that changes a setting (a flag, a line typed, a knob, a recorded session) goes through a [`Change`],
//! so a value out of its range never gets in.

mod nearest;
mod table;

use std::fmt;

pub use nearest::{near, nearest};
use serde_json::{Value, json};
pub use table::SETTINGS;
use thiserror::Error;

use crate::beat::Entry;
use crate::gate::GateSettings;
use crate::limits::Limits;
use crate::quote::quoted;
use crate::sampler::Sampling;
use crate::synth::Gains;
use crate::time::SessionDuration;

/// When Antiphon plays.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Call and response: answers when the human rests.
    #[default]
    Respond,
    /// Plays while the human plays, after what they just did and never on a key that they hold.
    Accompany,
    /// Begins on its own and goes on by itself; a human may still join in and take over.
    Solo,
    /// Hears and records, and never plays.
    Listen,
}

/// What a human note does to an answer that plays.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BargeIn {
    /// Ends it: what sounds is released.
    #[default]
    On,
    /// Nothing: the answer plays on, with what it hears.
    Off,
    /// The answer plays on softly until the human rests.
    Duck,
}

/// Who the human is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Players {
    /// All channels are one player, answered on one channel.
    #[default]
    Merged,
    /// Each channel is a player of its own, answered on the channel that they play on.
    Apart,
}

/// What becomes of Antiphon's own output when it comes back as input.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Feedback {
    /// It is not heard.
    #[default]
    Suppress,
    /// It is heard like a human.
    Hear,
}

/// Everything that can be set while it plays.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// When it plays.
    pub mode: Mode,
    /// What a human note does to an answer.
    pub barge_in: BargeIn,
    /// Who the human is.
    pub players: Players,
    /// How long the human may be silent before it is Antiphon's turn, as a multiple of the time in which the model
    /// expects their next note.
    pub patience: f32,
    /// Patience is at least this.
    pub patience_floor: SessionDuration,
    /// Patience is at most this.
    pub patience_ceiling: SessionDuration,
    /// Longest answer; `None`: until the human plays.
    pub longest_answer: Option<SessionDuration>,
    /// Where an answer begins while a MIDI clock runs.
    pub begin_on: Entry,
    /// How far notes are drawn onto the grid of a MIDI clock, in `0.0..=1.0`.
    pub snap: f32,
    /// Grid points a beat.
    pub snap_per_beat: u8,
    /// Quarter notes a bar.
    pub beats_per_bar: u8,
    /// Number of the model's style.
    pub style: u8,
    /// How freely notes are drawn.
    pub sampling: Sampling,
    /// How much what was played tonight has to say in what comes next, in `0.0..=1.0`.
    pub memory: f32,
    /// How hard the answer is led away from loops, in `0.0..=1.0`.
    pub repetition_guard: f32,
    /// What the answer may play.
    pub limits: Limits,
    /// Key note of the scale, as a pitch class in `0..12`; kept while no scale is set.
    pub scale_root: u8,
    /// What may leave, whatever was planned.
    pub gate: GateSettings,
    /// What becomes of Antiphon's own output when it comes back as input.
    pub feedback: Feedback,
    /// Whether what the human plays is passed on to the output.
    pub thru: bool,
    /// How loud human and Antiphon are in the sound of `--synth`.
    pub gains: Gains,
}

impl Default for Settings {
    fn default() -> Self {
        let mut settings = Self {
            mode: Mode::default(),
            barge_in: BargeIn::default(),
            players: Players::default(),
            patience: 0.0,
            patience_floor: SessionDuration::ZERO,
            patience_ceiling: SessionDuration::ZERO,
            longest_answer: None,
            begin_on: Entry::default(),
            snap: 0.0,
            snap_per_beat: 4,
            beats_per_bar: 4,
            style: 0,
            sampling: Sampling::default(),
            memory: 1.0,
            repetition_guard: 1.0,
            limits: Limits::default(),
            scale_root: 0,
            gate: GateSettings::default(),
            feedback: Feedback::default(),
            thru: false,
            gains: Gains::default(),
        };
        for setting in SETTINGS {
            (setting.put)(&mut settings, setting.default);
        }
        settings
    }
}

/// What values a setting takes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Values {
    /// A number from `low` to `high`.
    Number {
        /// Least.
        low: f32,
        /// Greatest.
        high: f32,
        /// Its unit, or empty.
        unit: &'static str,
    },
    /// A whole number from `low` to `high`.
    Whole {
        /// Least.
        low: u16,
        /// Greatest.
        high: u16,
        /// Its unit, or empty.
        unit: &'static str,
    },
    /// One of these, by its name; the value is its place.
    Choice(&'static [&'static str]),
}

/// One row of the table.
pub struct Setting {
    /// How it is called, everywhere.
    pub name: &'static str,
    /// What it does.
    pub about: &'static str,
    /// What values it takes.
    pub values: Values,
    /// The value at the beginning.
    pub default: f32,
    get: fn(&Settings) -> f32,
    put: fn(&mut Settings, f32),
}

/// A setting and a value inside its range.
#[derive(Clone, Copy)]
pub struct Change {
    setting: &'static Setting,
    value: f32,
}

/// Why a setting cannot be set so.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum SettingError {
    /// No such setting.
    #[error("there is no setting {}; the nearest is {nearest:?}", quoted(.name))]
    Unknown {
        /// What was asked for.
        name: String,
        /// The likeliest that was meant.
        nearest: &'static str,
    },
    /// No such value.
    #[error("{setting} cannot be {}; it takes {takes}", quoted(.value))]
    Value {
        /// The setting.
        setting: &'static str,
        /// What was asked for.
        value: String,
        /// What it takes, in words.
        takes: String,
    },
}

impl Setting {
    /// The setting of that name.
    ///
    /// # Errors
    /// [`SettingError::Unknown`], with the nearest known name.
    pub fn find(name: &str) -> Result<&'static Self, SettingError> {
        SETTINGS.iter().find(|setting| setting.name == name).ok_or_else(|| SettingError::Unknown {
            name: name.to_owned(),
            nearest: nearest(name, SETTINGS.iter().map(|setting| setting.name)).unwrap_or("mode"),
        })
    }

    /// What it is and takes, as one JSON object: `name`, `about`, `kind` (number, whole or choice), `unit`, `low`, `high`,
    /// `choices`, `default`.
    pub fn to_json(&self) -> Value {
        let (low, high) = self.range();
        let (kind, unit, choices) = match self.values {
            Values::Number { unit, .. } => ("number", unit, None),
            Values::Whole { unit, .. } => ("whole", unit, None),
            Values::Choice(names) => ("choice", "", Some(names)),
        };
        json!({
            "name": self.name, "about": self.about, "kind": kind, "unit": unit, "low": low, "high": high,
            "choices": choices, "default": self.show(self.default),
        })
    }

    /// Its value in `settings`.
    pub fn value(&self, settings: &Settings) -> f32 {
        (self.get)(settings)
    }

    /// A change to `text`.
    ///
    /// # Errors
    /// [`SettingError::Value`] when the setting does not take it.
    pub fn parse(&'static self, text: &str) -> Result<Change, SettingError> {
        let value = match self.values {
            Values::Choice(names) => {
                let text = text.replace(' ', "-");
                names.iter().zip(0u8..).find(|(name, _)| **name == text).map(|(_, place)| f32::from(place))
            }
            Values::Number { .. } | Values::Whole { .. } => text.parse().ok(),
        };
        value.and_then(|value| self.change(value)).ok_or_else(|| SettingError::Value {
            setting: self.name,
            value: text.to_owned(),
            takes: self.values.to_string(),
        })
    }

    /// A change to `value`; `None` when it is out of range.
    pub fn change(&'static self, value: f32) -> Option<Change> {
        let (low, high) = self.range();
        let fits = match self.values {
            Values::Number { .. } => true,
            Values::Whole { .. } | Values::Choice(_) => value.fract() == 0.0,
        };
        (fits && (low..=high).contains(&value)).then_some(Change { setting: self, value })
    }

    /// A change to the place `fraction` in `0.0..=1.0` of the range from `low` to `high`, as a knob wants it.
    pub fn between(&'static self, low: f32, high: f32, fraction: f32) -> Change {
        let (least, greatest) = self.range();
        let value = (low + (high - low) * fraction.clamp(0.0, 1.0)).clamp(least, greatest);
        let value = if matches!(self.values, Values::Number { .. }) { value } else { value.round() };
        Change { setting: self, value }
    }

    /// A step of `step`, or one of what is counted where that is more.
    pub fn least_step(&self, step: f32) -> f32 {
        if matches!(self.values, Values::Number { .. }) { step } else { step.signum() * step.abs().round().max(1.0) }
    }

    /// Least and greatest value.
    pub fn range(&self) -> (f32, f32) {
        match self.values {
            Values::Number { low, high, .. } => (low, high),
            Values::Whole { low, high, .. } => (f32::from(low), f32::from(high)),
            Values::Choice(names) => (0.0, u8::try_from(names.len().saturating_sub(1)).map_or(0.0, f32::from)),
        }
    }

    /// `value` in words.
    pub fn show(&self, value: f32) -> String {
        match self.values {
            Values::Choice(names) => names.get(place(value)).copied().unwrap_or("?").to_owned(),
            Values::Number { .. } | Values::Whole { .. } => format!("{value}"),
        }
    }
}

impl PartialEq for Setting {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl fmt::Debug for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl fmt::Display for Values {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (low, high, unit) = match *self {
            Self::Choice(names) => return f.write_str(&names.join(", ")),
            Self::Number { low, high, unit } => (low, high, unit),
            Self::Whole { low, high, unit } => (f32::from(low), f32::from(high), unit),
        };
        write!(f, "a number from {low} to {high}")?;
        if unit.is_empty() { Ok(()) } else { write!(f, " {unit}") }
    }
}

impl Change {
    /// Makes it so.
    pub fn apply(self, settings: &mut Settings) {
        (self.setting.put)(settings, self.value);
    }

    /// What is set.
    pub fn setting(self) -> &'static Setting {
        self.setting
    }

    /// To what.
    pub fn value(self) -> f32 {
        self.value
    }
}

impl PartialEq for Change {
    fn eq(&self, other: &Self) -> bool {
        self.setting == other.setting && self.value == other.value
    }
}

impl fmt::Debug for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl fmt::Display for Change {
    /// As it is typed: name and value.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.setting.name, self.setting.show(self.value))
    }
}

/// The place in a list of choices that a value stands for.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "`as` saturates")]
fn place(value: f32) -> usize {
    value.round() as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_default_is_inside_its_range_and_is_read_back() {
        let settings = Settings::default();
        for setting in SETTINGS {
            assert!(setting.change(setting.default).is_some(), "{}", setting.name);
            assert_eq!(setting.value(&settings), setting.default, "{}", setting.name);
            let (low, high) = setting.range();
            for value in [low, high] {
                let mut changed = settings;
                setting.change(value).expect("in range").apply(&mut changed);
                assert!((setting.value(&changed) - value).abs() <= 1e-3 * value.abs(), "{}", setting.name);
                let typed = setting.parse(&setting.show(value)).expect("as it is shown");
                assert_eq!(typed, setting.change(value).expect("in range"));
            }
        }
    }

    #[test]
    fn scales_go_by_their_names() {
        for mode in crate::limits::ScaleMode::ALL {
            let mut settings = Settings::default();
            Setting::find("scale-root").expect("known").parse("D").expect("known").apply(&mut settings);
            Setting::find("scale").expect("known").parse(mode.name()).expect("known").apply(&mut settings);
            assert_eq!(settings.limits.scale, Some(crate::limits::Scale::new(2, mode)));
        }
    }

    #[test]
    fn nonsense_is_refused_with_what_to_do() {
        let error = Setting::find("pateince").expect_err("unknown").to_string();
        assert!(error.contains("\"patience\""), "{error}");
        for (name, value) in
            [("mode", "loud"), ("patience", "-1"), ("patience", "NaN"), ("style", "1.5"), ("style", "")]
        {
            let error = Setting::find(name).expect("known").parse(value).expect_err("refused").to_string();
            assert!(error.contains(name) && error.contains("takes"), "{error}");
        }
    }

    #[test]
    fn a_knob_reaches_both_ends_and_every_choice() {
        let mode = Setting::find("mode").expect("known");
        let (low, high) = mode.range();
        let seen: Vec<String> = [0.0, 0.4, 0.7, 1.0].map(|x| mode.between(low, high, x).to_string()).to_vec();
        assert_eq!(seen, ["mode respond", "mode accompany", "mode solo", "mode listen"]);
    }
}
