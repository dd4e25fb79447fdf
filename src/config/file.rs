//! Reads `antiphon.toml`.

use std::path::Path;

use toml_edit::{Item, Table, Value};

use super::keys::{Key, Keys, Kind};
use super::text::{self, Origin, Text, place};
use super::{ConfigError, Given, Sourced};
use crate::control::{Assignment, Control};
use crate::settings::{SETTINGS, Setting, Values, nearest};

/// Longest file that is read; the one with all there is has some 20,000 bytes.
const LARGEST_FILE: u64 = 1 << 20;

/// The tables that a file may have.
const TABLES: [&str; 2] = ["settings", "map"];

/// What a configuration file says.
#[derive(Clone, Debug, Default)]
pub struct ConfigFile {
    /// Keys that are flags too.
    pub keys: Vec<Sourced<Given>>,
    /// The table `[settings]`, in the order of the settings' own table.
    pub settings: Vec<Sourced<Control>>,
    /// The table `[map]`, in the order of the file.
    pub map: Vec<Sourced<Assignment>>,
}

impl ConfigFile {
    /// Reads a file.
    ///
    /// # Errors
    /// When it cannot be read, or with every mistake in it.
    pub fn read(path: &Path, keys: &Keys) -> Result<Self, ConfigError> {
        let unreadable = |cause| ConfigError::Unreadable { path: path.into(), cause };
        let text = text::read(path, LARGEST_FILE).map_err(unreadable)?;
        Self::parse(path, &text, keys)
    }

    /// Takes the text of a file; `path` is for the sentences only.
    ///
    /// # Errors
    /// Every mistake in it, with its line.
    pub fn parse(path: &Path, text: &str, keys: &Keys) -> Result<Self, ConfigError> {
        let mut reading = Reading { text: Text::new(Origin::File(path.into()), text), keys, file: Self::default() };
        if let Some(document) = reading.text.document() {
            reading.whole(document.as_table());
        }
        let Reading { file, text: Text { mistakes, .. }, .. } = reading;
        if mistakes.is_empty() { Ok(file) } else { Err(ConfigError::Mistakes(mistakes)) }
    }
}

/// A file that is being read.
struct Reading<'a> {
    text: Text<'a>,
    keys: &'a Keys,
    file: ConfigFile,
}

impl Reading<'_> {
    fn whole(&mut self, table: &Table) {
        for (name, item) in table {
            let at = place(table, name, item);
            match (name, item.as_table_like()) {
                ("settings", Some(_)) => {}
                ("map", Some(map)) => self.file.map = self.text.map(map),
                (name, None) if TABLES.contains(&name) => self.text.mistake(at, format!("{name} is a table: [{name}]")),
                _ => self.key(at, name, item),
            }
        }
        if let Some(settings) = table.get("settings").and_then(Item::as_table_like) {
            let at = |name: &str| settings.key(name).and_then(toml_edit::Key::span).map_or(0, |span| span.start);
            for (name, _) in settings.iter() {
                if let Err(error) = Setting::find(name) {
                    let elsewhere = self.keys.find(name).map(|_| format!("{name:?} belongs above [settings]"));
                    self.text.mistake(at(name), elsewhere.unwrap_or_else(|| error.to_string()));
                }
            }
            // In the order of the table, so that `temperature`, which sets all four, comes before each of the four.
            for setting in SETTINGS {
                if let Some(item) = settings.get(setting.name) {
                    self.setting(at(setting.name), setting, item);
                }
            }
        }
    }

    fn key(&mut self, at: usize, name: &str, item: &Item) {
        let Some(key) = self.keys.find(name) else {
            let sentence = self.unknown(name);
            return self.text.mistake(at, sentence);
        };
        let given = values(key, item).and_then(|values| {
            self.keys.check(key, &values)?;
            Ok(Given { name: name.to_owned(), values })
        });
        match given {
            Ok(what) => self.file.keys.push(Sourced { what, source: self.text.source(at) }),
            Err(why) => self.text.mistake(at, why),
        }
    }

    fn unknown(&self, name: &str) -> String {
        if Setting::find(name).is_ok() {
            return format!("{name:?} belongs in the table [settings]");
        }
        let names = self.keys.iter().map(|key| key.name.as_str()).chain(SETTINGS.iter().map(|setting| setting.name));
        match nearest(name, names.chain(TABLES)) {
            Some(near) if Setting::find(near).is_ok() => {
                format!("there is no key {name:?}; the nearest is {near:?} in the table [settings]")
            }
            Some(near) if TABLES.contains(&near) => format!("there is no key {name:?}; the nearest is [{near}]"),
            near => format!("there is no key {name:?}; the nearest is {:?}", near.unwrap_or_default()),
        }
    }

    fn setting(&mut self, at: usize, setting: &'static Setting, item: &Item) {
        let text = match (item, setting.values) {
            (Item::Value(Value::String(text)), Values::Choice(_)) => Some(text.value().clone()),
            (Item::Value(Value::String(text)), _) if setting.name == "style" => Some(text.value().clone()),
            (Item::Value(Value::Boolean(on)), Values::Choice(names)) if names.contains(&"off") => {
                Some(if *on.value() { "on" } else { "off" }.to_owned())
            }
            (item, Values::Number { .. } | Values::Whole { .. }) => number(item),
            _ => None,
        };
        let control = match text {
            Some(text) => Control::parse(&format!("{}={text}", setting.name)).map_err(|error| error.to_string()),
            None => Err(format!("{} cannot be {}; it takes {}", setting.name, shown(item), setting.values)),
        };
        match control {
            Ok(what) => self.file.settings.push(Sourced { what, source: self.text.source(at) }),
            Err(why) => self.text.mistake(at, why),
        }
    }
}

/// The values of a key, as its flag takes them.
fn values(key: &Key, item: &Item) -> Result<Vec<String>, String> {
    let one = |value: &Value| {
        let text = match (key.kind, value) {
            (Kind::Text, Value::String(text)) => Some(key.value(text.value())),
            (Kind::Switch, Value::Boolean(on)) => Some(on.value().to_string()),
            (Kind::Number, value) => number(&Item::Value(value.clone())),
            _ => None,
        };
        text.ok_or_else(|| {
            let takes = match key.kind {
                Kind::Text => "words in quotes",
                Kind::Number => "a number",
                Kind::Switch => "true or false",
            };
            format!("{} cannot be {}; it takes {takes}", key.name, shown(&Item::Value(value.clone())))
        })
    };
    match item {
        Item::Value(Value::Array(several)) if key.several => several.iter().map(one).collect(),
        Item::Value(value) => Ok(vec![one(value)?]),
        other => Err(format!("{} cannot be {}", key.name, shown(other))),
    }
}

fn number(item: &Item) -> Option<String> {
    match item {
        Item::Value(Value::Integer(number)) => Some(number.value().to_string()),
        Item::Value(Value::Float(number)) => Some(number.value().to_string()),
        _ => None,
    }
}

/// A value as it stands in the file, or what it is.
fn shown(item: &Item) -> String {
    match item {
        Item::Value(value) => value.to_string().trim().to_owned(),
        other => format!("a {}", other.type_name()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::template;

    fn parse(text: &str) -> Result<ConfigFile, String> {
        ConfigFile::parse(Path::new("a.toml"), text, &crate::commands::keys()).map_err(|error| error.to_string())
    }

    #[test]
    fn everything_is_read_with_its_line() {
        let file = parse(
            "channel = 3\nconnect-from = [\"one\", \"two\"]\nno-session = true\n\n[settings]\nthru = true\n\
             key-temperature = 0.5\ntemperature = 2\nstyle = \"folk\"\n[map]\ncc66 = [\"hand-over\", \"mode solo\"]\n",
        )
        .expect("whole");
        let keys: Vec<String> = file.keys.iter().map(|key| format!("{:?} {}", key.what.values, key.source)).collect();
        assert_eq!(keys, [r#"["3"] a.toml:1"#, r#"["one", "two"] a.toml:2"#, r#"["true"] a.toml:3"#]);
        let settings: Vec<String> =
            file.settings.iter().map(|setting| format!("{} {}", setting.what, setting.source)).collect();
        let wanted =
            ["style folk a.toml:9", "thru on a.toml:6", "temperature 2 a.toml:8", "key-temperature 0.5 a.toml:7"];
        assert_eq!(settings, wanted, "in the order in which they are to be set");
        assert_eq!(file.map.len(), 2);
    }

    #[test]
    fn every_mistake_is_one_sentence_with_its_line() {
        for (text, says) in [
            ("\nchanel = 3", "a.toml line 2: there is no key \"chanel\"; the nearest is \"channel\""),
            ("temperature = 1", "a.toml line 1: \"temperature\" belongs in the table [settings]"),
            (
                "tempratur = 1",
                "a.toml line 1: there is no key \"tempratur\"; the nearest is \"temperature\" in the table [settings]",
            ),
            ("[setting]\n", "a.toml line 1: there is no key \"setting\"; the nearest is [settings]"),
            ("[settings]\nchannel = 3", "a.toml line 2: \"channel\" belongs above [settings]"),
            (
                "[settings]\npateince = 3",
                "a.toml line 2: there is no setting \"pateince\"; the nearest is \"patience\"",
            ),
            ("[settings]\npatience = 30", "a.toml line 2: patience cannot be \"30\"; it takes a number from 0 to 10 x"),
            (
                "[settings]\npatience = \"2\"",
                "a.toml line 2: patience cannot be \"2\"; it takes a number from 0 to 10 x",
            ),
            ("[settings]\nmode = 1", "a.toml line 2: mode cannot be 1; it takes respond, accompany, solo, listen"),
            ("channel = 17", "a.toml line 1: channel cannot be \"17\": 17 is not in 1..=16"),
            ("channel = \"two\"", "a.toml line 1: channel cannot be \"two\"; it takes a number"),
            ("channel = [1, 2]", "a.toml line 1: channel cannot be [1, 2]; it takes a number"),
            ("model = 3", "a.toml line 1: model cannot be 3; it takes words in quotes"),
            ("no-session = 1", "a.toml line 1: no-session cannot be 1; it takes true or false"),
            ("backend = \"usb\"", "a.toml line 1: backend cannot be \"usb\"; it takes auto, system, jack, none"),
            ("offset-ms = -900", "a.toml line 1: offset-ms cannot be \"-900\": expected milliseconds from -200 to 500"),
            ("[channel]", "a.toml line 1: channel cannot be a table"),
            ("settings = 3", "a.toml line 1: settings is a table: [settings]"),
            ("[map]\ncc200 = \"panic\"", "a.toml line 2: \"cc200\" is no MIDI message"),
            ("[map]\ncc20 = 3", "a.toml line 2: cc20 means words in quotes"),
            ("channel = \n", "a.toml line 1: this is no TOML"),
            ("channel = 1\nchannel = 2", "a.toml line 2: this is no TOML"),
        ] {
            let error = parse(text).expect_err(text);
            assert!(error.starts_with(says) && !error.contains('\n'), "{text:?}: {error}");
        }
        let error = parse("chanel = 3\nmodle = 4").expect_err("two");
        assert_eq!(error.lines().count(), 2, "{error}");
    }

    #[test]
    fn the_template_sets_nothing_and_each_of_its_lines_may_be_uncommented() {
        let keys = crate::commands::keys();
        let text = template(&keys);
        let file = parse(&text).expect("whole");
        assert_eq!((file.keys.len(), file.settings.len(), file.map.len()), (0, 0, 0));
        // Prose has a blank behind its sign, keys have none.
        let is_key = |line: &str| line.starts_with('#') && line[1..].starts_with(|c: char| c.is_ascii_lowercase());
        let uncommented: Vec<&str> = text.lines().map(|line| if is_key(line) { &line[1..] } else { line }).collect();
        let file = parse(&uncommented.join("\n")).unwrap_or_else(|error| panic!("{error}\n{text}"));
        assert_eq!(file.keys.len(), keys.iter().count());
        assert_eq!(file.settings.len(), SETTINGS.len());
        assert!(!file.map.is_empty());
        for setting in &file.settings {
            let Control::Set(change) = &setting.what else { panic!("{}", setting.what) };
            assert_eq!(change.value(), change.setting().default, "{}", setting.what);
        }
        assert!(text.lines().all(|line| line.len() <= 110), "it fits a window");
    }
}
