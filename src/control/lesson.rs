//! What is to be learnt, and what kind of message it waits for.

use std::fmt;
use std::sync::Arc;

use super::{Assignment, ControlError};
use crate::midi::ShortMessage;

/// The word in front of a meaning that only a key shall have.
const BY_KEY: &str = "key";

/// The sustain pedal: it goes down and up all the time while somebody plays.
const SUSTAIN: u8 = 64;

/// From this number on a control change is a channel mode message.
const CHANNEL_MODE: u8 = 120;

/// From this value on a controller is pressed.
const PRESSED: u8 = 64;

/// Which messages are taken for the one that is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Gesture {
    /// Something with a way between two ends: a controller or the pitch wheel. What is played meanwhile is music.
    Turn = 1,
    /// Anything that is pressed: a key, a pedal, a button, a program; also a knob that is turned up.
    Press = 2,
    /// A key.
    Key = 3,
}

impl Gesture {
    /// The gesture that is [`as u8`](Self) this.
    pub(super) fn of(number: u8) -> Option<Self> {
        [Self::Turn, Self::Press, Self::Key].into_iter().find(|gesture| *gesture as u8 == number)
    }

    /// Whether the message is one, made on purpose: a bend away from its rest, a firm pressure, no release.
    pub(super) fn is(self, message: ShortMessage) -> bool {
        let is_key = message.is_note_on();
        let &[status, first, ref rest @ ..] = message.as_bytes() else { return false };
        match (self, status & 0xf0) {
            (Self::Key, _) => is_key,
            (_, 0xb0) if first >= CHANNEL_MODE => false,
            (Self::Turn, 0xb0) => first != SUSTAIN,
            (Self::Press, 0xb0) => rest.first().is_some_and(|value| *value >= PRESSED),
            (_, 0xe0) => rest.first().is_some_and(|high| !(48..80).contains(high)),
            (Self::Turn, _) => false,
            (Self::Press, 0xd0) => first >= PRESSED,
            (Self::Press, 0xc0) => true,
            (Self::Press, _) => is_key,
        }
    }
}

impl fmt::Display for Gesture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Turn => "a knob, a fader or the pitch wheel",
            Self::Press => "a key, a pedal, a button or a knob",
            Self::Key => "a key",
        })
    }
}

/// What is to be learnt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lesson {
    /// What the message will mean, as behind `--map`.
    pub meaning: Arc<str>,
    /// Which messages are taken.
    pub gesture: Gesture,
}

impl Lesson {
    /// Takes what stands behind `learn`: a meaning, such as `temperature:0.5..1.5` or `hand-over`. A setting that moves
    /// between two values waits for something that can be turned, so that what is played meanwhile is not taken for it;
    /// an action, or a setting that is switched, for anything that is pressed; with `key` in front for a key.
    ///
    /// # Errors
    /// [`ControlError`], when nothing can mean that.
    pub fn parse(text: &str) -> Result<Self, ControlError> {
        let (meaning, by_key) = match text.split_once([' ', '\t']) {
            Some((BY_KEY, meaning)) => (meaning.trim(), true),
            _ => (text, false),
        };
        let message = if by_key { "key0" } else { "cc0" };
        let is_pressed = Assignment::parse(&format!("{message}={meaning}"))?.is_pressed();
        let gesture = match (by_key, is_pressed) {
            (true, _) => Gesture::Key,
            (false, true) => Gesture::Press,
            (false, false) => Gesture::Turn,
        };
        Ok(Self { meaning: meaning.into(), gesture })
    }
}

impl fmt::Display for Lesson {
    /// As it is typed behind `learn`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.gesture == Gesture::Key {
            write!(f, "{BY_KEY} ")?;
        }
        f.write_str(&self.meaning)
    }
}
