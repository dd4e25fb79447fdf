//! The list of all addresses, as `antiphon settings --osc` prints it.

use std::fmt;

use super::addresses::{Address, Addresses, Method, Topic};
use super::audience::{LASTS, MOST};
use super::outgoing::TOLD;
use crate::control::WORDS;
use crate::settings::Values;

/// Every address that is listened to and told, with types and ranges.
pub struct Listing;

impl fmt::Display for Listing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "Types: f a number (float), i a whole number, s text, m a MIDI message; [..] may be left out.")?;
        writeln!(f, "Any kind of number is taken for f and i; of a choice its name or its place, from 0.\n")?;
        writeln!(f, "To Antiphon:\n")?;
        for Address { path, method } in Addresses::default().known {
            let (types, about) = method.described();
            line(f, &path, &types, &about)?;
        }
        writeln!(f, "\nFrom Antiphon, to whoever is named with --osc-to or has subscribed:\n")?;
        TOLD.iter().try_for_each(|(path, types, about)| line(f, &format!("/antiphon/{path}"), types, about))
    }
}

fn line(f: &mut fmt::Formatter<'_>, path: &str, types: &str, about: &str) -> fmt::Result {
    writeln!(f, "{path:36} {types:10} {about}")
}

impl Method {
    /// Its types, and what it does.
    fn described(&self) -> (String, String) {
        let (types, about) = match self {
            Self::Set(setting) => {
                let types = match setting.values {
                    _ if setting.name == "style" => "s or i",
                    Values::Number { .. } => "f",
                    Values::Whole { .. } => "i",
                    Values::Choice(_) => "s or i",
                };
                let shown = setting.show(setting.default);
                return (types.into(), format!("{}: {} [default: {shown}]", setting.about, setting.values));
            }
            Self::Knob(setting) => ("f", format!("{}: its whole range, from 0 to 1", setting.name)),
            Self::Press(control) => {
                let about = WORDS.iter().find(|(.., word)| word == control).map_or("", |(_, about, _)| about);
                ("[f]", format!("{about}; 0 is a button let go and does nothing"))
            }
            Self::Style => ("s or i", "plays in this style: its name, or its number (0: any)".into()),
            Self::Model => ("i", "the model of this number, from 1, takes over at the next phrase".into()),
            Self::Line => ("s", "whatever can be typed, such as \"patience 2\"".into()),
            Self::Tell(Topic::Setting(setting)) => ("", format!("tells setting/{}", setting.name)),
            Self::Tell(Topic::Turn) => ("", "tells turn".into()),
            Self::Tell(Topic::Model) => ("", "tells model, style and styles".into()),
            Self::Tell(Topic::Figures) => ("", "tells figures/...".into()),
            Self::Subscribe => (
                "[i]",
                format!(
                    "tells everything below to the sender, on this port of theirs, for {} s; send it again to renew; {MOST} at most",
                    LASTS.as_secs()
                ),
            ),
            Self::Unsubscribe => ("[i]", "tells nothing any more, on this port of theirs".into()),
        };
        (types.into(), about)
    }
}
