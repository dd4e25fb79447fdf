//! `antiphon settings`: what can be set and asked for while it plays.

use clap::Args;
use serde_json::{Value, json};

use super::{Failure, examples, print_line};
use crate::control::WORDS;
use crate::settings::{SETTINGS, Setting};
use crate::surface::osc::Listing;

/// What is asked for by a word and more.
const LINES: [(&str, &str); 4] = [
    (
        "model N",
        "the model of this number takes over at the next phrase; 1 is --model, read anew (SIGHUP reads the one that plays anew)",
    ),
    (
        "learn WHAT",
        "the next knob that moves is WHAT from now on, as behind --map; for an action, what is pressed next",
    ),
    ("learn key WHAT", "the next key that is pressed is WHAT from now on"),
    ("forget WHAT", "a message (cc74@1), or all messages that are WHAT, are music again"),
];

#[derive(Clone, Copy, Debug, Args)]
#[command(after_help = examples::SETTINGS)]
pub(super) struct SettingsFlags {
    /// The OSC addresses instead: what can be sent to `jam --osc`, and what it tells
    #[arg(long)]
    pub osc: bool,

    /// As JSON
    #[arg(long, conflicts_with = "osc")]
    pub json: bool,
}

pub(super) fn run(flags: SettingsFlags) -> Result<(), Failure> {
    if flags.osc {
        print_line(Listing.to_string().trim_end());
        return Ok(());
    }
    if flags.json {
        print_line(described());
        return Ok(());
    }
    print_line(format_args!(
        "Given with --set NAME=VALUE, typed as a line while it plays, or moved by a knob (--map cc20=NAME):\n"
    ));
    for setting in SETTINGS {
        print_line(format_args!("{:22} {}", setting.name, setting.about));
        print_line(format_args!("{:22} {} [default: {}]\n", "", setting.values, setting.show(setting.default)));
    }
    print_line(format_args!("Asked for by a line typed or a message mapped (--map cc66=hand-over):\n"));
    for (line, about) in words().chain(LINES) {
        print_line(format_args!("{line:22} {about}"));
    }
    Ok(())
}

fn words() -> impl Iterator<Item = (&'static str, &'static str)> {
    WORDS.iter().map(|(word, about, _)| (*word, *about))
}

fn described() -> Value {
    let ask = |(line, about): (&str, &str)| json!({ "line": line, "about": about });
    json!({
        "settings": SETTINGS.iter().map(Setting::to_json).collect::<Value>(),
        "actions": words().chain(LINES).map(ask).collect::<Value>(),
    })
}
