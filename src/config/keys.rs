//! The keys of the configuration file: the flags of `antiphon jam` that make sense to keep.
//!
//! The flags are the table. A flag that is added is a key and an environment variable too, documented by its help.

use std::any::TypeId;
use std::error::Error as _;
use std::path::PathBuf;

use clap::builder::BoolishValueParser;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, ArgAction, Command};

use super::place::with_home;
use crate::ports::Offset;
use crate::settings::Setting;

/// Flags that are for one session only, and those that have a table of their own in the file.
const ONLY_TYPED: &[&str] = &[
    "check",
    "config",
    "headless",
    "help",
    "input",
    "json",
    "map",
    "once",
    "seconds",
    "set",
    "version",
    "virtual-time",
];

/// What the template shows for a key that has no default.
const EXAMPLES: &[(&str, &str)] = &[
    ("audio-device", "USB"),
    ("connect-from", "Keystation"),
    ("connect-to", "FLUID@-20ms"),
    ("controller", "auto"),
    ("http", "0.0.0.0:7272"),
    ("model", "models/antiphon.onnx"),
    ("more-model", "models/antiphon.onnx"),
    ("osc-to", "192.168.1.20:9000"),
    ("seed", "7"),
    ("split-every", "30"),
    ("split-silence", "20"),
    ("soundfont", "/usr/share/sounds/sf2/default-GM.sf2"),
    ("token", "play-it-again"),
];

/// What a key takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Words.
    Text,
    /// A number.
    Number,
    /// `true` or `false`.
    Switch,
}

/// All keys outside the tables `[settings]` and `[map]`.
pub struct Keys {
    jam: Command,
    keys: Vec<Key>,
}

/// One key.
pub struct Key {
    /// Its name, which is the flag's.
    pub name: String,
    /// What it takes.
    pub kind: Kind,
    /// Whether it takes several values.
    pub several: bool,
    arg: Arg,
    is_path: bool,
}

impl Keys {
    /// The keys that `jam`, the command with its flags, has.
    pub fn of(jam: &Command) -> Self {
        let keys = jam.get_arguments().filter_map(Key::of).collect();
        Self { jam: jam.clone(), keys }
    }

    /// All keys, in the order of the flags.
    pub fn iter(&self) -> impl Iterator<Item = &Key> {
        self.keys.iter()
    }

    /// The key of that name.
    pub fn find(&self, name: &str) -> Option<&Key> {
        self.keys.iter().find(|key| key.name == name)
    }

    /// Whether the key takes these values: else what is wrong, in words.
    pub fn check(&self, key: &Key, values: &[String]) -> Result<(), String> {
        let flags = values.iter().map(|value| format!("--{}={value}", key.name));
        let parsed =
            self.jam.clone().try_get_matches_from(std::iter::once(self.jam.get_name().to_owned()).chain(flags));
        let Err(error) = parsed else { return Ok(()) };
        let wrong = match error.get(ContextKind::InvalidValue) {
            Some(ContextValue::String(value)) => format!("{} cannot be {value:?}", key.name),
            _ => format!("{} is wrong", key.name),
        };
        match (error.kind(), error.source(), error.get(ContextKind::ValidValue)) {
            (ErrorKind::ValueValidation, Some(why), _) => Err(format!("{wrong}: {why}")),
            (ErrorKind::InvalidValue, _, Some(ContextValue::Strings(valid))) if !valid.is_empty() => {
                Err(format!("{wrong}; it takes {}", valid.join(", ")))
            }
            (ErrorKind::InvalidValue | ErrorKind::ValueValidation, ..) => Err(wrong),
            // Flags that must be given together are looked at when all are there.
            _ => Ok(()),
        }
    }
}

impl Key {
    fn of(arg: &Arg) -> Option<Self> {
        let name = arg.get_long()?;
        if ONLY_TYPED.contains(&name) || Setting::find(name).is_ok() || arg.is_hide_set() {
            return None;
        }
        let takes = |types: &[TypeId]| types.iter().any(|one| arg.get_value_parser().type_id() == *one);
        let numbers = [
            TypeId::of::<u8>(),
            TypeId::of::<u16>(),
            TypeId::of::<u32>(),
            TypeId::of::<u64>(),
            TypeId::of::<i64>(),
            TypeId::of::<f32>(),
            TypeId::of::<f64>(),
            TypeId::of::<Offset>(),
        ];
        let kind = if takes(&[TypeId::of::<bool>()]) {
            Kind::Switch
        } else if takes(&numbers) {
            Kind::Number
        } else {
            Kind::Text
        };
        let several = matches!(arg.get_action(), ArgAction::Append);
        Some(Self {
            name: name.to_owned(),
            kind,
            several,
            is_path: takes(&[TypeId::of::<PathBuf>()]),
            arg: arg.clone(),
        })
    }

    /// What the flag's values go by inside the parser.
    pub fn id(&self) -> &str {
        self.arg.get_id().as_str()
    }

    /// The environment variable that sets it.
    pub fn variable(&self) -> String {
        variable(&self.name)
    }

    /// What it does, as the flag's help says.
    pub fn about(&self) -> String {
        self.arg.get_help().map(ToString::to_string).unwrap_or_default()
    }

    /// The heading of the help under which it stands.
    pub fn heading(&self) -> Option<&str> {
        self.arg.get_help_heading()
    }

    /// Its value where none is given.
    pub fn default(&self) -> Option<String> {
        let default = self.arg.get_default_values().first().map(|value| value.to_string_lossy().into_owned());
        default.or_else(|| (self.kind == Kind::Switch).then(|| "false".to_owned()))
    }

    /// Its default, else a value that shows how one looks.
    pub fn example(&self) -> String {
        let example = EXAMPLES.iter().find(|(name, _)| *name == self.name).map(|(_, value)| (*value).to_owned());
        self.default().or(example).unwrap_or_default()
    }

    /// A value as the flag wants it: a path may begin with `~/`.
    pub fn value(&self, text: &str) -> String {
        if self.is_path { with_home(text) } else { text.to_owned() }
    }
}

/// The environment variable of a key or setting: `ANTIPHON_CONNECT_FROM` for `connect-from`.
pub fn variable(name: &str) -> String {
    format!("{PREFIX}{}", name.to_uppercase().replace('-', "_"))
}

/// How all environment variables begin.
pub const PREFIX: &str = "ANTIPHON_";

/// The command with its kept switches as `--switch` or `--switch=false`, so that a flag can undo what the file says.
pub fn with_switches(command: Command) -> Command {
    let keys = Keys::of(&command);
    keys.keys.iter().filter(|key| key.kind == Kind::Switch).fold(command, |command, key| {
        command.mut_arg(key.id(), |arg| {
            arg.action(ArgAction::Set)
                .num_args(0..=1)
                .require_equals(true)
                .default_missing_value("true")
                .default_value("false")
                .hide_default_value(true)
                .hide_possible_values(true)
                .value_parser(BoolishValueParser::new())
                .value_name("BOOL")
        })
    })
}
