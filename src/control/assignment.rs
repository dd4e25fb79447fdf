//! What a MIDI message means: `cc20=patience:0.5..3:log`.

use std::fmt;

use super::{Control, ControlError};
use crate::midi::{MidiEvent, ShortMessage};
use crate::settings::{Setting, Settings};

/// The word that gives a message back to the music, whatever a ready-made map says.
const MUSIC: &str = "music";

/// A MIDI message that is listened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trigger {
    /// A control change of this number.
    Controller(u8),
    /// A control change of 14 bits: the coarse number and the fine one.
    Fine(u8, u8),
    /// A key.
    Key(u8),
    /// A program change to this number, counted from 1.
    Program(u8),
    /// A program change to any number.
    AnyProgram,
    /// Pitch bend.
    Bend,
    /// Channel pressure.
    Pressure,
}

/// A message that is listened for, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Address {
    pub trigger: Trigger,
    /// In `0..16`; `None` is any.
    pub channel: Option<u8>,
}

/// How the way of a knob becomes a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Curve {
    /// Equal turns add equal amounts.
    Linear,
    /// Equal turns multiply by equal factors.
    Log,
    /// Each press goes to the other end.
    Toggle,
    /// An endless knob that says how far it was turned, by two's complement.
    Relative,
    /// The same, around 64.
    RelativeOffset,
    /// The same, with the sign in bit 6.
    RelativeSigned,
}

const CURVES: [(&str, Curve); 6] = [
    ("linear", Curve::Linear),
    ("log", Curve::Log),
    ("toggle", Curve::Toggle),
    ("relative", Curve::Relative),
    ("relative-offset", Curve::RelativeOffset),
    ("relative-signed", Curve::RelativeSigned),
];

/// What a message means.
#[derive(Clone, Debug, PartialEq)]
enum Meaning {
    /// It moves a setting between two values; the first may be the greater one.
    Move { setting: &'static Setting, low: f32, high: f32, curve: Curve },
    /// It asks for this.
    Ask(Control),
    /// It is music.
    Music,
}

/// A message and what it means.
#[derive(Clone, Debug, PartialEq)]
pub struct Assignment {
    pub(super) address: Address,
    meaning: Meaning,
    /// As it was written.
    text: String,
    /// The coarse value that came last.
    coarse: u8,
    /// Whether it is beyond the point from which on it asks for something.
    beyond: bool,
}

impl Assignment {
    /// Takes an assignment as it is written: `cc20=temperature`, `cc20=patience:3..0.5`, `cc20+52=density:0.5..20:log`,
    /// `cc66=hand-over`, `key108=take-back`, `pc3=model 2`, `pc=style`, `bend=memory`, `pressure=density`,
    /// `cc21@16=thru:toggle`, `cc22=patience:relative`, `cc7=music`.
    ///
    /// # Errors
    /// [`ControlError`], with what to do.
    pub fn parse(text: &str) -> Result<Self, ControlError> {
        let (address, meaning) = text.split_once('=').ok_or_else(|| ControlError::Assignment(text.to_owned()))?;
        let address = Address::parse(address)?;
        let text = meaning.to_owned();
        Ok(Self { address, meaning: meaning_of(meaning, address.trigger)?, text, coarse: 0, beyond: false })
    }

    /// The message, as it is written.
    pub fn message(&self) -> String {
        self.address.to_string()
    }

    /// What it means, as it is written.
    pub fn meaning(&self) -> &str {
        &self.text
    }

    /// Whether the message is this assignment's.
    pub(super) fn claims(&self, message: ShortMessage) -> bool {
        self.address.claims(message)
    }

    /// Whether it gives the message back to the music.
    pub(super) fn is_music(&self) -> bool {
        matches!(self.meaning, Meaning::Music)
    }

    /// Whether it is made for something that is pressed, and not for a way between two ends.
    pub(super) fn is_pressed(&self) -> bool {
        !matches!(self.meaning, Meaning::Move { curve, .. } if curve != Curve::Toggle)
    }

    /// Whether a message can be both its own and `other`'s.
    pub fn meets(&self, other: &Self) -> bool {
        self.address.meets(other.address)
    }

    /// Whether every message of `other` is its own too.
    pub fn hides(&self, other: &Self) -> bool {
        self.address.covers(other.address)
    }

    /// Whether a press of it is a panic. Bends and pressures come in crowds: of them only the first asks for anything.
    pub(super) fn panics(&self) -> bool {
        use Trigger::{AnyProgram, Controller, Key, Program};
        let is_press = matches!(self.address.trigger, Controller(_) | Key(_) | Program(_) | AnyProgram);
        is_press && self.meaning == Meaning::Ask(Control::Panic)
    }

    /// What it moves or asks for.
    pub(super) fn is_for(&self, name: &str) -> bool {
        match &self.meaning {
            Meaning::Move { setting, .. } => setting.name == name,
            Meaning::Ask(control) => control.to_string() == name,
            Meaning::Music => false,
        }
    }

    /// What its message asks for: an action at a press, from half way on; a value at any place. `settings` are what is set
    /// now.
    pub(super) fn control(&mut self, message: ShortMessage, settings: &Settings) -> Option<Control> {
        let (at, raw) = self.place(message)?;
        let pressed = match self.address.trigger {
            Trigger::Key(_) => message.is_note_on(),
            Trigger::Program(_) | Trigger::AnyProgram => true,
            Trigger::Controller(_) => at > 0.5,
            // These come in crowds: the first one beyond the point counts.
            Trigger::Fine(..) | Trigger::Bend | Trigger::Pressure => {
                let before = std::mem::replace(&mut self.beyond, at >= 0.75);
                self.beyond && !before
            }
        };
        match &self.meaning {
            Meaning::Music => None,
            Meaning::Ask(control) => pressed.then(|| control.clone()),
            &Meaning::Move { setting, low, high, curve } => {
                let now = setting.value(settings);
                let change = match curve {
                    _ if matches!(self.address.trigger, Trigger::Key(_)) && !pressed => return None,
                    Curve::Toggle if !pressed => return None,
                    Curve::Toggle => setting.between(low, high, if now == high { 0.0 } else { 1.0 }),
                    Curve::Linear if self.address.trigger == Trigger::AnyProgram => {
                        setting.change(low + f32::from(raw))?
                    }
                    Curve::Linear => setting.between(low, high, at),
                    Curve::Log => setting.between(low * (high / low).powf(at), high, 0.0),
                    Curve::Relative => {
                        stepped(setting, now, low, high, if raw < 64 { raw.into() } else { i16::from(raw) - 128 })
                    }
                    Curve::RelativeOffset => stepped(setting, now, low, high, i16::from(raw) - 64),
                    Curve::RelativeSigned => {
                        let steps = i16::from(raw & 63);
                        stepped(setting, now, low, high, if raw < 64 { steps } else { -steps })
                    }
                };
                Some(Control::Set(change))
            }
        }
    }

    /// How far its message is between its ends, and the byte that says so.
    fn place(&mut self, message: ShortMessage) -> Option<(f32, u8)> {
        let of_14_bits = |coarse: u8, fine: u8| f32::from(u16::from(coarse) << 7 | u16::from(fine)) / 16_383.0;
        let (first, second) = match *message.as_bytes() {
            [_, first] => (first, first),
            [_, first, second] => (first, second),
            _ => return None,
        };
        Some(match self.address.trigger {
            Trigger::Fine(coarse, _) if first == coarse => {
                self.coarse = second;
                (of_14_bits(second, 0), second)
            }
            Trigger::Fine(..) => (of_14_bits(self.coarse, second), second),
            Trigger::Bend => (of_14_bits(second, first), second),
            _ => (f32::from(second) / 127.0, second),
        })
    }
}

impl fmt::Display for Assignment {
    /// As it is written.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.address, self.text)
    }
}

/// A setting so many steps of an endless knob further; 127 steps are the whole range, and one step is at least one of what
/// is counted.
fn stepped(setting: &'static Setting, now: f32, low: f32, high: f32, steps: i16) -> crate::settings::Change {
    let step = setting.least_step((high - low) / 127.0);
    let (least, greatest) = (low.min(high), low.max(high));
    setting.between((now + step * f32::from(steps)).clamp(least, greatest), high, 0.0)
}

impl Address {
    /// Takes a message as it is written: `cc20`, `cc20+52`, `key36`, `pc3`, `pc`, `bend` or `pressure`, with @CHANNEL
    /// behind it for one channel.
    pub fn parse(text: &str) -> Result<Self, ControlError> {
        let wrong = || ControlError::Trigger(text.to_owned());
        let (message, channel) = match text.split_once('@') {
            None => (text, None),
            Some((before, channel)) => {
                let channel: u8 = channel.parse().ok().filter(|c| (1..=16).contains(c)).ok_or_else(wrong)?;
                (before, Some(channel - 1))
            }
        };
        let digits = message.trim_start_matches(|c: char| c.is_ascii_alphabetic());
        let number = |digits: &str| digits.parse().ok().filter(|number: &u8| *number < 128).ok_or_else(wrong);
        let trigger = match (&message[..message.len() - digits.len()], digits) {
            ("bend", "") => Trigger::Bend,
            ("pressure", "") => Trigger::Pressure,
            ("pc", "") => Trigger::AnyProgram,
            ("cc", digits) => match digits.split_once('+') {
                Some((coarse, fine)) => Trigger::Fine(number(coarse)?, number(fine)?),
                None => Trigger::Controller(number(digits)?),
            },
            ("key", digits) => Trigger::Key(number(digits)?),
            // People count programs from 1 to 128.
            ("pc", digits) => {
                Trigger::Program(digits.parse().ok().filter(|n| (1..=128).contains(n)).ok_or_else(wrong)?)
            }
            _ => return Err(wrong()),
        };
        Ok(Self { trigger, channel })
    }

    /// The message that was heard, on its channel.
    pub fn of(message: ShortMessage) -> Option<Self> {
        let [status, first, ..] = *message.as_bytes() else { return None };
        let trigger = match status & 0xf0 {
            0xb0 => Trigger::Controller(first),
            0x90 => Trigger::Key(first),
            0xc0 => Trigger::Program(first + 1),
            0xd0 => Trigger::Pressure,
            0xe0 => Trigger::Bend,
            _ => return None,
        };
        Some(Self { trigger, channel: message.channel() })
    }

    /// Whether `other` is this message, on this channel where one is named.
    pub fn covers(self, other: Self) -> bool {
        self.trigger == other.trigger && (self.channel.is_none() || self.channel == other.channel)
    }

    /// Whether a message can be both.
    fn meets(self, other: Self) -> bool {
        let on_one_channel = self.channel.is_none() || other.channel.is_none() || self.channel == other.channel;
        let controllers = |trigger| match trigger {
            Trigger::Controller(number) => Some([number, number]),
            Trigger::Fine(coarse, fine) => Some([coarse, fine]),
            _ => None,
        };
        on_one_channel
            && match (self.trigger, other.trigger) {
                (Trigger::AnyProgram, Trigger::Program(_)) | (Trigger::Program(_), Trigger::AnyProgram) => true,
                (one, another) => match (controllers(one), controllers(another)) {
                    (Some(own), Some(others)) => own.iter().any(|number| others.contains(number)),
                    _ => one == another,
                },
            }
    }

    fn claims(self, message: ShortMessage) -> bool {
        let [status, first, ..] = *message.as_bytes() else { return false };
        let fits = match self.trigger {
            Trigger::Controller(number) => status & 0xf0 == 0xb0 && first == number,
            Trigger::Fine(coarse, fine) => status & 0xf0 == 0xb0 && (first == coarse || first == fine),
            Trigger::Program(number) => status & 0xf0 == 0xc0 && first + 1 == number,
            Trigger::AnyProgram => status & 0xf0 == 0xc0,
            Trigger::Bend => status & 0xf0 == 0xe0,
            Trigger::Pressure => status & 0xf0 == 0xd0,
            Trigger::Key(key) => match message.event() {
                MidiEvent::NoteOn { key: played, .. } | MidiEvent::NoteOff { key: played, .. } => played == key,
                _ => false,
            },
        };
        fits && self.channel.is_none_or(|channel| status & 15 == channel)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.trigger {
            Trigger::Controller(number) => write!(f, "cc{number}")?,
            Trigger::Fine(coarse, fine) => write!(f, "cc{coarse}+{fine}")?,
            Trigger::Key(key) => write!(f, "key{key}")?,
            Trigger::Program(number) => write!(f, "pc{number}")?,
            Trigger::AnyProgram => f.write_str("pc")?,
            Trigger::Bend => f.write_str("bend")?,
            Trigger::Pressure => f.write_str("pressure")?,
        }
        self.channel.map_or(Ok(()), |channel| write!(f, "@{}", channel + 1))
    }
}

fn meaning_of(text: &str, trigger: Trigger) -> Result<Meaning, ControlError> {
    if text == MUSIC {
        return Ok(Meaning::Music);
    }
    let mut parts = text.split(':');
    let name = parts.next().unwrap_or_default();
    let moves = !matches!(trigger, Trigger::Key(_) | Trigger::Program(_)) || text.contains(':');
    let setting = match Setting::find(name) {
        Ok(setting) if moves => setting,
        Err(error) if text.contains(':') => return Err(error.into()),
        _ => return Ok(Meaning::Ask(Control::parse(text)?)),
    };
    let ((mut low, mut high), mut curve) = (setting.range(), Curve::Linear);
    for part in parts {
        if let Some((from, to)) = part.split_once("..") {
            // Parsed as the setting's own values, so that choices go by their names.
            let end = |end: &str| setting.parse(end).map(|change| change.value());
            (low, high) = (end(from)?, end(to)?);
        } else {
            let named = CURVES.iter().find(|(name, _)| *name == part);
            curve = named.ok_or_else(|| ControlError::Curve(part.to_owned()))?.1;
        }
    }
    if curve == Curve::Log && low.min(high) <= 0.0 {
        return Err(ControlError::Log(text.to_owned()));
    }
    Ok(Meaning::Move { setting, low, high, curve })
}
