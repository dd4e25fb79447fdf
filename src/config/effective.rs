//! What is set in the end, and where each setting comes from.

use std::sync::Arc;

use super::{Source, Sourced};
use crate::control::Control;
use crate::settings::{SETTINGS, Settings};

/// Settings, and where each comes from.
#[derive(Clone, Debug)]
pub struct Effective {
    /// What is set.
    pub settings: Settings,
    /// The style by its name, where it was named.
    pub style: Option<Arc<str>>,
    sources: Vec<Source>,
}

impl Default for Effective {
    fn default() -> Self {
        Self { settings: Settings::default(), style: None, sources: vec![Source::Default; SETTINGS.len()] }
    }
}

impl Effective {
    /// Takes changes in, each over those before it. A style that goes by its name is only kept: which number it has is
    /// the model's to say. What sets nothing is passed over.
    #[must_use]
    pub fn with<'a>(mut self, changes: impl IntoIterator<Item = &'a Sourced<Control>>) -> Self {
        for Sourced { what, source } in changes {
            let before = self.settings;
            let changed = match what {
                Control::Set(change) => {
                    change.apply(&mut self.settings);
                    change.setting().name
                }
                Control::Style(name) => {
                    self.style = Some(Arc::clone(name));
                    "style"
                }
                _ => continue,
            };
            if let Control::Set(_) = what
                && changed == "style"
            {
                self.style = None;
            }
            for (setting, place) in SETTINGS.iter().zip(&mut self.sources) {
                // One setting may move others: `temperature` sets all four.
                if setting.name == changed || setting.value(&before) != setting.value(&self.settings) {
                    *place = source.clone();
                }
            }
        }
        self
    }

    /// What must be asked for, in this order, so that what was set as `before` is set like this.
    pub fn since(&self, before: &Self) -> Vec<Control> {
        let mut now = before.settings;
        let mut changes = Vec::new();
        for setting in SETTINGS {
            let wanted = setting.value(&self.settings);
            match (&self.style, &before.style) {
                (Some(style), there) if setting.name == "style" => {
                    if there.as_ref() != Some(style) {
                        changes.push(Control::Style(Arc::clone(style)));
                    }
                    continue;
                }
                (None, Some(_)) if setting.name == "style" => {}
                // One setting may have moved others: `temperature` sets all four.
                _ if setting.value(&now) == wanted => continue,
                _ => {}
            }
            if let Some(change) = setting.change(wanted) {
                change.apply(&mut now);
                changes.push(Control::Set(change));
            }
        }
        changes
    }

    /// Each setting's name, its value in words, and where it comes from.
    pub fn rows(&self) -> impl Iterator<Item = (&'static str, String, &Source)> {
        SETTINGS.iter().zip(&self.sources).map(|(setting, source)| {
            let value = match &self.style {
                Some(style) if setting.name == "style" => style.to_string(),
                _ => setting.show(setting.value(&self.settings)),
            };
            (setting.name, value, source)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(line: &str, flag: &str) -> Sourced<Control> {
        Sourced { what: Control::parse(line).expect("known"), source: Source::Flag(flag.to_owned()) }
    }

    fn row(effective: &Effective, name: &str) -> (String, String) {
        let (_, value, source) = effective.rows().find(|row| row.0 == name).expect("known");
        (value, source.to_string())
    }

    #[test]
    fn the_last_word_counts_and_says_whose_it_is() {
        let effective = Effective::default().with(&[
            given("patience 2", "first"),
            given("key-temperature 0.5", "first"),
            given("temperature 0.8", "second"),
            given("style folk", "second"),
        ]);
        assert_eq!(row(&effective, "patience"), ("2".into(), "first".into()));
        assert_eq!(row(&effective, "key-temperature"), ("0.8".into(), "second".into()), "all four");
        assert_eq!(row(&effective, "style"), ("folk".into(), "second".into()));
        assert_eq!(row(&effective, "memory"), ("1".into(), "default".into()));
        let effective = effective.with(&[given("style 0", "third")]);
        assert_eq!(row(&effective, "style"), ("0".into(), "third".into()));
    }

    #[test]
    fn from_one_to_the_other_only_what_differs_is_asked_for() {
        let all = |lines: &[&str]| {
            Effective::default().with(&lines.iter().map(|line| given(line, "file")).collect::<Vec<_>>())
        };
        let since = |after: &[&str], before: &[&str]| -> Vec<String> {
            all(after).since(&all(before)).iter().map(ToString::to_string).collect()
        };
        let same = ["patience 2", "temperature 0.8", "style folk", "scale dorian"];
        assert!(since(&same, &same).is_empty());
        assert_eq!(
            since(&["patience 2"], &["patience 3", "snap 0.5"]),
            ["patience 2", "snap 0"],
            "what goes is undone"
        );
        let temperatures = since(&["temperature 0.5", "key-temperature 2"], &[]);
        assert_eq!(temperatures, ["temperature 0.5", "key-temperature 2"]);
        assert_eq!(since(&["style folk"], &["style 1"]), ["style folk"]);
        assert_eq!(since(&["style 1"], &["style folk"]), ["style 1"]);
        assert_eq!(since(&[], &["style folk"]), ["style 0"]);
        assert_eq!(since(&["style 2"], &["style 1"]), ["style 2"]);
    }
}
