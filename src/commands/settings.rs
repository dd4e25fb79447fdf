//! `antiphon settings`: what can be set and asked for while it plays.

use super::flags::SettingsFlags;
use super::{Failure, print_line};
use crate::control::WORDS;
use crate::settings::SETTINGS;
use crate::surface::osc::Listing;

pub(super) fn run(flags: SettingsFlags) -> Result<(), Failure> {
    if flags.osc {
        print_line(Listing.to_string().trim_end());
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
    for (word, about, _) in WORDS {
        print_line(format_args!("{word:22} {about}"));
    }
    let model = "the model of this number takes over at the next phrase; 1 is --model, read anew (SIGHUP reads the one that plays anew)";
    for (line, about) in [
        ("model N", model),
        (
            "learn WHAT",
            "the next knob that moves is WHAT from now on, as behind --map; for an action, what is pressed next",
        ),
        ("learn key WHAT", "the next key that is pressed is WHAT from now on"),
        ("forget WHAT", "a message (cc74@1), or all messages that are WHAT, are music again"),
    ] {
        print_line(format_args!("{line:22} {about}"));
    }
    Ok(())
}
