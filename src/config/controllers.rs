//! Ready-made maps: what the knobs, faders and buttons of a device mean, each in a file of its own.
//!
//! Some are inside the program (`assets/controllers`); the user's own lie in the folder `controllers` of their
//! configuration, and go before one of the same name.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use toml_edit::{Item, Value};

use super::place::with_home;
use super::text::{self, Origin, Text, place};
use super::{ConfigError, Mistake, Sourced, meanings};
use crate::control::Assignment;
use crate::settings::nearest;

/// Longest file that is read.
const LARGEST_FILE: u64 = 1 << 16;

/// Keys that a file may have, beside the table `[map]`.
const KEYS: [&str; 5] = ["name", "about", "source", "ports", "map"];

macro_rules! bundled {
    ($($name:literal),* $(,)?) => {
        [$(($name, include_str!(concat!("../../assets/controllers/", $name, ".toml")))),*]
    };
}

/// The maps inside the program, by their names.
const BUNDLED: [(&str, &str); 12] = bundled![
    "akai-apc-mini",
    "akai-mpk-mini-mk3",
    "arturia-keylab",
    "arturia-minilab-3",
    "arturia-minilab-mk2",
    "behringer-x-touch-mini",
    "generic-8-knobs",
    "generic-keyboard",
    "korg-nanokontrol2",
    "m-audio-oxygen",
    "novation-launch-control-xl",
    "novation-launchkey",
];

/// A ready-made map.
#[derive(Clone, Debug, PartialEq)]
pub struct ControllerMap {
    /// How it is asked for: the name of its file, without `.toml`.
    pub name: Arc<str>,
    /// The device, in words.
    pub device: String,
    /// How the device must be set up.
    pub about: Option<String>,
    /// Whence its numbers are known.
    pub source: Option<String>,
    /// Parts of the names of the device's ports.
    pub ports: Vec<String>,
    /// What its messages mean.
    pub map: Vec<Sourced<Assignment>>,
    /// Its file; `None`: it is inside the program.
    pub file: Option<PathBuf>,
    /// All of it, as it is written.
    pub text: String,
}

/// All maps that there are.
#[derive(Debug, Default)]
pub struct ControllerMaps {
    maps: Vec<ControllerMap>,
    /// Files of the user's that cannot be used, each with its name and why.
    pub broken: Vec<(String, ConfigError)>,
}

impl ControllerMaps {
    /// Those inside the program, and those in the user's `folder`.
    pub fn all(folder: Option<&Path>) -> Self {
        let mut all = Self::default();
        for path in folder.map(files).into_iter().flatten() {
            match ControllerMap::read(&path) {
                Ok(map) => all.maps.push(map),
                Err(error) => all.broken.push((stem(&path).to_owned(), error)),
            }
        }
        for (name, text) in BUNDLED {
            let is_own = all.maps.iter().any(|map| *map.name == *name) || all.broken.iter().any(|(own, _)| own == name);
            // A test reads each of them.
            if let (false, Ok(map)) = (is_own, ControllerMap::parse(Origin::Controller(name.into()), name, text)) {
                all.maps.push(map);
            }
        }
        all.maps.sort_by(|one, other| one.name.cmp(&other.name));
        all
    }

    /// All of them, by their names.
    pub fn iter(&self) -> impl Iterator<Item = &ControllerMap> {
        self.maps.iter()
    }

    /// The one of that name, or in that file.
    ///
    /// # Errors
    /// When there is none, with the nearest name, or its file cannot be used.
    pub fn find(&mut self, name: &str) -> Result<ControllerMap, ConfigError> {
        if name.contains(['/', '\\']) || name.ends_with(".toml") {
            return ControllerMap::read(Path::new(&with_home(name)));
        }
        if let Some(broken) = self.broken.iter().position(|(own, _)| own == name) {
            return Err(self.broken.swap_remove(broken).1);
        }
        let names = || self.maps.iter().map(|map| &*map.name);
        // A part of a name is as good as a slip of the finger.
        let likeliest = || names().find(|there| there.contains(name)).or_else(|| nearest(name, names()));
        let found = self.maps.iter().find(|map| *map.name == *name).cloned();
        found.ok_or_else(|| ConfigError::NoController {
            name: name.to_owned(),
            nearest: likeliest().unwrap_or_default().to_owned(),
        })
    }

    /// The one for the device with this port; of several the one that knows most of its name.
    pub fn of_port(&self, port: &str) -> Option<&ControllerMap> {
        let port = port.to_lowercase();
        let known = |map: &ControllerMap| {
            map.ports
                .iter()
                .map(|part| part.to_lowercase())
                .filter(|part| port.contains(part))
                .map(|part| part.len())
                .max()
        };
        self.maps.iter().filter(|map| known(map).is_some()).max_by_key(|map| known(map))
    }
}

impl ControllerMap {
    /// What its messages mean, without their places.
    pub fn assignments(&self) -> Vec<Assignment> {
        meanings(&self.map)
    }

    /// Reads a file.
    fn read(path: &Path) -> Result<Self, ConfigError> {
        let unreadable = |cause| ConfigError::UnreadableController { path: Arc::from(path), cause };
        let text = text::read(path, LARGEST_FILE).map_err(unreadable)?;
        let map = Self::parse(Origin::File(path.into()), stem(path), &text)?;
        Ok(Self { file: Some(path.to_owned()), ..map })
    }

    /// Takes the text of a file.
    ///
    /// # Errors
    /// Every mistake in it, with its line. That two lines are about the same message is one.
    pub(super) fn parse(origin: Origin, name: &str, whole: &str) -> Result<Self, ConfigError> {
        let mut text = Text::new(origin, whole);
        let mut map = Self {
            name: name.into(),
            device: name.to_owned(),
            about: None,
            source: None,
            ports: Vec::new(),
            map: Vec::new(),
            file: None,
            text: whole.to_owned(),
        };
        if let Some(document) = text.document() {
            for (key, item) in document.as_table() {
                let at = place(document.as_table(), key, item);
                match (key, item, item.as_table_like()) {
                    ("name", Item::Value(Value::String(words)), _) => map.device.clone_from(words.value()),
                    ("about", Item::Value(Value::String(words)), _) => map.about = Some(words.value().clone()),
                    ("source", Item::Value(Value::String(words)), _) => map.source = Some(words.value().clone()),
                    ("ports", Item::Value(Value::Array(parts)), _) => match parts.iter().map(part).collect() {
                        Some(parts) => map.ports = parts,
                        None => text.mistake(at, "ports is a list of parts of names, in quotes".to_owned()),
                    },
                    ("map", _, Some(table)) => map.map = text.map(table),
                    ("map", ..) => text.mistake(at, "map is a table: [map]".to_owned()),
                    ("ports", ..) => text.mistake(at, "ports is a list of parts of names, in quotes".to_owned()),
                    ("name" | "about" | "source", ..) => text.mistake(at, format!("{key} takes words in quotes")),
                    _ => {
                        let near = nearest(key, KEYS.into_iter()).unwrap_or_default();
                        text.mistake(at, format!("there is no key {key:?}; the nearest is {near:?}"));
                    }
                }
            }
        }
        if map.map.is_empty() && text.mistakes.is_empty() {
            text.mistake(0, "no message has a meaning in it; they stand under [map]".to_owned());
        }
        let mut mistakes = text.mistakes;
        mistakes.extend(map.clashes());
        if mistakes.is_empty() { Ok(map) } else { Err(ConfigError::Mistakes(mistakes)) }
    }

    /// Lines about a message that an earlier one is about too: which of them counts would be chance.
    fn clashes(&self) -> Vec<Mistake> {
        let mut mistakes = Vec::new();
        for (index, later) in self.map.iter().enumerate() {
            // Several meanings of one line are meant.
            let clash =
                |earlier: &&Sourced<Assignment>| earlier.source != later.source && earlier.what.meets(&later.what);
            if let Some(earlier) = self.map[..index].iter().find(clash) {
                let (message, other) = (later.what.message(), earlier.what.message());
                let sentence = format!("{message} has a meaning already, by {other}: leave one of the two");
                mistakes.push(Mistake { source: later.source.clone(), sentence });
            }
        }
        mistakes
    }
}

fn part(value: &Value) -> Option<String> {
    value.as_str().filter(|part| !part.is_empty()).map(ToOwned::to_owned)
}

/// The user's files, if the folder is there.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut files: Vec<PathBuf> = entries.filter(|path| path.extension().is_some_and(|end| end == "toml")).collect();
    files.sort();
    files
}

fn stem(path: &Path) -> &str {
    path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a keyboard sends by itself, beside the one whose map it is: bank, data entry, volume, the sustain pedal,
    /// parameter numbers, channel mode messages.
    const A_KEYBOARDS_OWN: [u8; 17] = [0, 6, 7, 32, 38, 64, 98, 99, 100, 101, 120, 121, 122, 123, 124, 125, 126];

    fn parse(text: &str) -> Result<ControllerMap, String> {
        ControllerMap::parse(Origin::File(Path::new("a.toml").into()), "a", text).map_err(|error| error.to_string())
    }

    #[test]
    fn each_map_inside_the_program_is_whole_says_whence_it_knows_and_leaves_a_keyboard_its_own() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/controllers");
        let names: Vec<String> = files(&folder).iter().map(|path| stem(path).to_owned()).collect();
        assert_eq!(names, BUNDLED.map(|(name, _)| name), "each file is listed, in order");
        for (name, text) in BUNDLED {
            let map = ControllerMap::parse(Origin::Controller(name.into()), name, text)
                .unwrap_or_else(|error| panic!("{name}: {error}"));
            assert!(map.source.is_some_and(|source| source.len() > 20) && map.about.is_some(), "{name}");
            assert_ne!(map.device, name);
            for given in &map.map {
                let message = given.what.message();
                let own = A_KEYBOARDS_OWN.map(|number| format!("cc{number}"));
                assert!(!own.contains(&message), "{name}: {message} would be taken from a keyboard beside it");
                let is_key = message.starts_with("key");
                assert!(!is_key || message.contains('@'), "{name}: {message} would be taken from every keyboard");
            }
        }
    }

    #[test]
    fn a_port_is_known_by_a_part_of_its_name_and_by_the_longest_of_several() {
        let all = ControllerMaps::all(None);
        for map in all.iter() {
            for part in &map.ports {
                let port = format!("{}:{} MIDI 1", part.to_uppercase(), part);
                assert_eq!(all.of_port(&port).map(|map| &map.name), Some(&map.name), "{port}");
            }
        }
        assert!(all.of_port("Midi Through Port-0").is_none());
    }

    #[test]
    fn the_users_own_go_before_and_a_broken_one_is_told_where_it_is_asked_for() {
        let folder = tempfile::tempdir().expect("a folder");
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).expect("written");
        write("mine.toml", "ports = [\"Launch Control XL 3\"]\n[map]\ncc1 = \"memory\"\n");
        write("generic-keyboard.toml", "[map]\ncc11 = \"density\"\n");
        write("korg-nanokontrol2.toml", "[map]\ncc11 = \"densty\"\n");
        write("notes.txt", "no map");
        let mut all = ControllerMaps::all(Some(folder.path()));
        assert_eq!(all.iter().count(), BUNDLED.len(), "one more, one replaced, one broken");
        assert_eq!(all.find("generic-keyboard").expect("there").map[0].what.message(), "cc11");
        assert_eq!(all.of_port("Launch Control XL 3").map(|map| &*map.name), Some("mine"));
        let error = all.find("korg-nanokontrol2").expect_err("broken").to_string();
        assert!(error.contains("korg-nanokontrol2.toml line 2") && error.contains("density"), "{error}");
        for (name, meant) in [("mime", "mine"), ("launchkey", "novation-launchkey")] {
            let error = all.find(name).expect_err("unknown").to_string();
            assert!(error.contains(&format!("{meant:?}")) && error.contains("antiphon controllers"), "{error}");
        }
        let path = folder.path().join("mine.toml");
        assert_eq!(all.find(path.to_str().expect("text")).expect("a file").file, Some(path));
        let error = all.find("./nowhere.toml").expect_err("no file").to_string();
        assert!(error.contains("nowhere.toml"), "{error}");
    }

    #[test]
    fn mistakes_have_their_lines() {
        for (text, says) in [
            ("nam = \"x\"\n[map]\ncc1 = \"memory\"\n", "line 1: there is no key \"nam\"; the nearest is \"name\""),
            ("ports = \"nano\"\n[map]\ncc1 = \"memory\"\n", "line 1: ports is a list"),
            ("ports = [3]\n[map]\ncc1 = \"memory\"\n", "line 1: ports is a list"),
            ("name = 3\n[map]\ncc1 = \"memory\"\n", "line 1: name takes words"),
            ("map = 3\n", "line 1: map is a table"),
            ("name = \"x\"\n", "no message has a meaning"),
            ("what?", "no TOML"),
            ("[map]\ncc1 = \"memry\"\n", "line 2: there is no setting \"memry\""),
            ("[map]\ncc1 = \"memory\"\n\"cc1@2\" = \"panic\"\n", "line 3: cc1@2 has a meaning already, by cc1"),
            ("[map]\n\"cc3+35\" = \"memory\"\ncc35 = \"panic\"\n", "line 3"),
            ("[map]\npc = \"style\"\npc3 = \"panic\"\n", "line 3"),
        ] {
            let error = parse(text).expect_err(text);
            assert!(error.contains(says), "{text}: {error}");
        }
        let map = parse("[map]\n\"cc1@1\" = [\"memory\", \"panic\"]\n\"cc1@2\" = \"density\"\nkey1 = \"panic\"\n");
        assert_eq!(map.expect("no clash").map.len(), 4);
    }
}
