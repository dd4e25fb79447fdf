//! What the daemon says, as its JSON has it. What a newer one says more is passed over.

use serde::Deserialize;

use crate::ports::Ports;

/// How things stand, when the connection begins.
#[derive(Debug, Deserialize)]
pub(super) struct State {
    pub turn: String,
    pub model: String,
    pub styles: Vec<String>,
    pub controllers: Knobs,
    pub ports: Ports,
    pub own_ports: OwnPorts,
    pub notes: Notes,
    pub take: String,
    pub losses: String,
    pub now: f64,
    pub version: String,
    /// The take that is played back.
    pub playing: Option<Playback>,
    /// The last notes.
    #[serde(default)]
    pub recent: Vec<Seen>,
}

/// The ports that the daemon has made.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct OwnPorts {
    pub listening: Option<String>,
    pub answering: Option<String>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
pub(super) struct Notes {
    pub human: u64,
    pub ai: u64,
}

/// A take that is played back.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Playback {
    pub take: String,
}

/// What MIDI messages mean.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct Knobs {
    pub learning: Option<String>,
    /// Which messages are taken for it.
    #[serde(default)]
    pub waits_for: Option<String>,
    pub map: Vec<Knob>,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct Knob {
    pub message: String,
    pub meaning: String,
}

/// A setting with what it takes.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Described {
    pub name: String,
    pub about: String,
    pub kind: Kind,
    pub unit: String,
    pub low: f64,
    pub high: f64,
    pub choices: Option<Vec<String>>,
    pub default: String,
    pub value: String,
}

impl Described {
    /// The value in words: a style by its name.
    pub(super) fn shown<'a>(&'a self, styles: &'a [String]) -> &'a str {
        let style = (self.name == "style").then(|| self.value.parse().ok()).flatten();
        style.and_then(|number: usize| styles.get(number)).unwrap_or(&self.value)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Kind {
    Number,
    Whole,
    Choice,
}

/// A recorded take.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Take {
    pub name: String,
    pub notes: u64,
    pub milliseconds: u64,
    pub modified: i64,
    pub recording: bool,
}

/// A model that can be chosen.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Model {
    pub name: String,
    /// The line that chooses it.
    pub control: String,
    pub playing: bool,
}

/// What has happened since the last message.
#[derive(Debug, Deserialize)]
pub(super) struct Batch {
    pub now: f64,
    pub sights: Vec<Seen>,
    pub figures: Option<serde_json::Value>,
    pub losses: Option<String>,
}

/// One thing that has happened. Times in seconds since the session began, channels from 1.
#[derive(Debug, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub(super) enum Seen {
    HumanOn(On),
    HumanOff(Off),
    AiOn(On),
    AiOff(Off),
    ReplayedOn(On),
    ReplayedOff(Off),
    Planned {
        channel: u8,
        onset: f64,
        key: u8,
        duration: f64,
    },
    Forgotten {
        channel: u8,
        after: f64,
    },
    Turn {
        turn: String,
    },
    Control {
        control: String,
    },
    Model {
        model: String,
        styles: Vec<String>,
    },
    Controllers(Knobs),
    Ports(Ports),
    Playback {
        at: f64,
        take: Option<String>,
    },
    Part {},
    Trouble {
        why: String,
    },
    Behind {},
    #[serde(other)]
    Other,
}

#[derive(Clone, Copy, Debug, Deserialize)]
pub(super) struct On {
    pub at: f64,
    pub channel: u8,
    pub key: u8,
}

#[derive(Clone, Copy, Debug, Deserialize)]
pub(super) struct Off {
    pub at: f64,
    pub channel: u8,
    pub key: u8,
}
