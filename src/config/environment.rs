//! Reads `ANTIPHON_*`.

use super::keys::{Keys, PREFIX, variable};
use super::{ConfigError, Given, Mistake, Source, Sourced};
use crate::control::{Assignment, Control};
use crate::settings::{SETTINGS, near};

/// Between the values of a variable that takes several.
const SEPARATOR: char = ';';

/// Variables that name no key.
const OTHERS: [&str; 2] = ["ANTIPHON_CONFIG", "ANTIPHON_MAP"];

/// What the environment says.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    /// Keys that are flags too.
    pub keys: Vec<Sourced<Given>>,
    /// Settings, in the order of their table.
    pub settings: Vec<Sourced<Control>>,
    /// MIDI messages.
    pub map: Vec<Sourced<Assignment>>,
    /// Sentences about variables that look like slips of the finger.
    pub slips: Vec<String>,
}

impl Environment {
    /// Takes what `variables` say; one that is empty says nothing.
    ///
    /// # Errors
    /// Every mistake in them.
    pub fn read(variables: &[(String, String)], keys: &Keys) -> Result<Self, ConfigError> {
        let mut environment = Self::default();
        let mut mistakes = Vec::new();
        let value = |name: &str| {
            variables.iter().find(|(there, value)| there == name && !value.is_empty()).map(|(_, value)| value)
        };
        for key in keys.iter() {
            let name = key.variable();
            let Some(value) = value(&name) else { continue };
            let values: Vec<String> = if key.several {
                value.split(SEPARATOR).map(|value| key.value(value)).collect()
            } else {
                vec![key.value(value)]
            };
            let source = Source::Variable(name);
            match keys.check(key, &values) {
                Ok(()) => {
                    environment.keys.push(Sourced { what: Given { name: key.name.clone(), values }, source });
                }
                Err(sentence) => mistakes.push(Mistake { source, sentence }),
            }
        }
        for setting in SETTINGS {
            let name = variable(setting.name);
            let Some(value) = value(&name) else { continue };
            let source = Source::Variable(name);
            match Control::parse(&format!("{}={value}", setting.name)) {
                Ok(what) => environment.settings.push(Sourced { what, source }),
                Err(error) => mistakes.push(Mistake { source, sentence: error.to_string() }),
            }
        }
        for text in value(OTHERS[1]).into_iter().flat_map(|value| value.split(SEPARATOR)) {
            let source = Source::Variable(OTHERS[1].to_owned());
            match Assignment::parse(text) {
                Ok(what) => environment.map.push(Sourced { what, source }),
                Err(error) => mistakes.push(Mistake { source, sentence: error.to_string() }),
            }
        }
        environment.slips = slips(variables, keys);
        if mistakes.is_empty() { Ok(environment) } else { Err(ConfigError::Mistakes(mistakes)) }
    }
}

/// Variables that nobody reads, but that are one or two letters off one that somebody does.
fn slips(variables: &[(String, String)], keys: &Keys) -> Vec<String> {
    let known: Vec<String> = keys
        .iter()
        .map(super::Key::variable)
        .chain(SETTINGS.iter().map(|setting| variable(setting.name)))
        .chain(OTHERS.map(str::to_owned))
        .collect();
    let ours = variables.iter().map(|(name, _)| name).filter(|name| name.starts_with(PREFIX) && !known.contains(name));
    ours.filter_map(|name| {
        let meant = near(name, known.iter().map(String::as_str))?;
        Some(format!("{name} in the environment means nothing; is {meant} meant?"))
    })
    .collect()
}
