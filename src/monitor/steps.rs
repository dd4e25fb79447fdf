//! How far a key moves a setting.

use super::scene::Scene;
use super::wire::{Described, Kind};

/// The value so many steps further; `None` at the end of the way.
pub(super) fn stepped(setting: &Described, scene: &Scene, steps: i32) -> Option<String> {
    let names: &[String] = match (setting.kind, &setting.choices) {
        _ if setting.name == "style" => &scene.styles,
        (Kind::Choice, Some(choices)) => choices,
        _ => &[],
    };
    if !names.is_empty() {
        let now = names.iter().position(|name| name == scene.shown(setting)).unwrap_or_default();
        let next = now.checked_add_signed(isize::try_from(steps.signum()).ok()?)?;
        return names.get(next).cloned();
    }
    let now: f64 = setting.value.parse().ok()?;
    let step = if setting.kind == Kind::Whole { 1.0 } else { step(setting, now) };
    let to = ((now / step).round() + f64::from(steps)) * step;
    // Counted things below the first step of their raster begin at their least value.
    let to = to.clamp(setting.low, setting.high);
    (to != now).then(|| shown(to, step))
}

/// How far a key moves a number: a step that reads well, 1, 2 or 5 and zeros. A range over decades has steps that grow.
fn step(setting: &Described, now: f64) -> f64 {
    let spans_decades = setting.low > 0.0 && setting.high / setting.low >= 100.0;
    let wanted = if spans_decades { now.max(setting.low) * 0.05 } else { (setting.high - setting.low) / 100.0 };
    if !wanted.is_normal() || wanted < 0.0 {
        return 1.0;
    }
    let decade = 10f64.powf(wanted.log10().floor());
    let digit = [5.0, 2.0].into_iter().find(|digit| digit * decade <= wanted * 1.000_001);
    digit.unwrap_or(1.0) * decade
}

/// A number with the decimals of its step.
fn shown(value: f64, step: f64) -> String {
    let decimals = (0..6).find(|decimals| (step * 10f64.powi(*decimals)).fract() < 1e-6).unwrap_or(6);
    let text = format!("{value:.*}", usize::try_from(decimals).unwrap_or_default());
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}
