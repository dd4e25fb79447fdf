//! The commented file that `antiphon init` writes.

use std::fmt::Write as _;

use super::keys::{Key, Keys, Kind};
use crate::settings::{SETTINGS, Setting, Values};

/// Width of the prose.
const WIDTH: usize = 100;

/// A file with every key and setting, each with what it does, what it takes and its default. Nothing in it is set: each
/// line is to be uncommented.
pub fn template(keys: &Keys) -> String {
    let mut text = String::new();
    prose(
        &mut text,
        "Antiphon's configuration. Each line below shows a default, or an example where there is none: take the # away \
         and change it. A flag beats the environment (ANTIPHON_ and the name in capitals, ANTIPHON_CONNECT_FROM), which \
         beats this file. `antiphon --check` says what counts in the end, and where it comes from.",
    );
    prose(
        &mut text,
        "A key is the flag of `antiphon jam` of the same name. A relative path starts where antiphon is started.",
    );
    let mut heading = None;
    for key in keys.iter() {
        if key.heading() != heading {
            heading = key.heading();
            let _ = write!(text, "\n# ---- {} ----\n", heading.unwrap_or_default());
        }
        text.push('\n');
        prose(&mut text, &key.about());
        let _ = writeln!(text, "#{} = {}", key.name, value(key));
    }
    text.push('\n');
    prose(
        &mut text,
        "What can also be changed while it plays. This file is read at the start, and anew on the signal HUP (`kill -HUP`): \
         what has changed here and in [map], the models and the ports change at once.",
    );
    text.push_str("[settings]\n");
    for setting in SETTINGS {
        text.push('\n');
        let takes = match setting.values {
            Values::Choice(_) => format!("one of {}", setting.values),
            Values::Number { .. } | Values::Whole { .. } => setting.values.to_string(),
        };
        prose(&mut text, &format!("{}: {takes}", setting.about));
        let _ = writeln!(text, "#{} = {}", setting.name, setting_value(setting));
    }
    text.push('\n');
    prose(&mut text, "What MIDI messages mean. A message that is given a meaning is not music any more.");
    text.push_str("[map]\n\n#cc20 = \"temperature\"\n#cc21 = \"patience:0.5..3\"\n#cc66 = \"hand-over\"\n");
    text
}

/// Sentences as comment lines of a bearable width.
fn prose(text: &mut String, sentences: &str) {
    let mut line = String::from("#");
    for word in sentences.split_whitespace() {
        if line.len() + word.len() >= WIDTH {
            text.push_str(&line);
            text.push('\n');
            line.truncate(1);
        }
        line.push(' ');
        line.push_str(word);
    }
    text.push_str(&line);
    text.push('\n');
}

fn value(key: &Key) -> String {
    let example = key.example();
    let value = match key.kind {
        Kind::Text => quoted(&example),
        Kind::Number | Kind::Switch => example,
    };
    if key.several { format!("[{value}]") } else { value }
}

fn setting_value(setting: &Setting) -> String {
    let value = setting.show(setting.default);
    if matches!(setting.values, Values::Choice(_)) { quoted(&value) } else { value }
}

fn quoted(text: &str) -> String {
    toml_edit::Value::from(text).to_string()
}
