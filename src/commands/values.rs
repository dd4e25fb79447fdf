//! What the values of flags may be.

use std::fmt::Display;
use std::str::FromStr;

use crate::control::{Assignment, Control};
use crate::model::EngineChoice;

/// Takes a value of the setting `name`.
pub(super) fn setting(name: &'static str) -> impl Fn(&str) -> Result<Control, String> + Clone + Send + Sync + 'static {
    move |text| change(&format!("{name}={text}"))
}

pub(super) fn change(text: &str) -> Result<Control, String> {
    match Control::parse(text) {
        Ok(control @ (Control::Set(_) | Control::Style(_))) => Ok(control),
        Ok(_) => Err("this can be asked for only while it plays".into()),
        Err(error) => Err(error.to_string()),
    }
}

pub(super) fn assignment(text: &str) -> Result<Assignment, String> {
    Assignment::parse(text).map_err(|error| error.to_string())
}

pub(super) fn engine(text: &str) -> Result<EngineChoice, String> {
    Ok(match text {
        "auto" => EngineChoice::Auto,
        "embedded" => EngineChoice::Embedded,
        "" => return Err("expected `auto`, `embedded` or a path".into()),
        path => EngineChoice::OnnxRuntime(path.into()),
    })
}

pub(super) fn temperature(text: &str) -> Result<f32, String> {
    in_range(text, 0.01, 4.0)
}

pub(super) fn probability(text: &str) -> Result<f32, String> {
    in_range(text, 0.0, 1.0)
}

/// A day at most, so that nothing overflows and a slip of the finger is noticed.
pub(super) fn seconds(text: &str) -> Result<f64, String> {
    in_range(text, 0.1, 86_400.0)
}

pub(super) fn in_range<T>(text: &str, low: T, high: T) -> Result<T, String>
where
    T: FromStr + PartialOrd + Display + Copy,
{
    let value: Option<T> = text.parse().ok();
    value.filter(|value| (low..=high).contains(value)).ok_or_else(|| format!("expected a number from {low} to {high}"))
}
