//! How things stand, as text or JSON, once.

use std::fmt::Write as _;

use serde_json::Value;

use super::Address;
use super::link::{Unanswered, ask};
use super::panes::about;
use super::wire::{Described, State, Take};
use crate::figures::Report;

/// All that the daemon tells: its state, with `figures` and `takes` beside it.
///
/// # Errors
/// [`Unanswered`], with what to do.
pub fn as_json(address: &Address) -> Result<Value, Unanswered> {
    let look = |path: &str| ask(address, "GET", path, None);
    let mut state = look("/api/state")?;
    if !state.is_object() {
        return Err(Unanswered::Refused(format!("what answers at {} is no Antiphon", address.authority())));
    }
    state["figures"] = look("/api/figures")?;
    state["takes"] = look("/api/takes")?;
    Ok(state)
}

/// The same in words.
///
/// # Errors
/// [`Unanswered`], with what to do.
pub fn as_text(address: &Address) -> Result<String, Unanswered> {
    let whole = as_json(address)?;
    let settings = ask(address, "GET", "/api/settings", None)?;
    text(address, whole, settings).map_err(|error| {
        Unanswered::Refused(format!("Antiphon at {} is of another version: {error}", address.authority()))
    })
}

fn text(address: &Address, mut whole: Value, settings: Value) -> Result<String, serde_json::Error> {
    let figures: Report = serde_json::from_value(whole["figures"].take())?;
    let takes: Vec<Take> = serde_json::from_value(whole["takes"].take())?;
    let state: State = serde_json::from_value(whole)?;
    let settings: Vec<Described> = serde_json::from_value(settings)?;
    let turn = match state.turn.as_str() {
        "ai" => "Antiphon answers",
        "both" => "you play together",
        _ => "you play",
    };
    let mut text = String::new();
    // Writing to a string never fails.
    let mut line = |words: std::fmt::Arguments<'_>| writeln!(text, "{words}").unwrap_or_default();
    line(format_args!("Antiphon {} at {}, for {:.0} s", state.version, address.authority(), state.now));
    line(format_args!("turn: {turn}"));
    line(format_args!("notes: {} heard, {} played", state.notes.human, state.notes.ai));
    line(format_args!("model: {}, styles {}", state.model, state.styles.join(", ")));
    line(format_args!("recording to: {}", state.take));
    line(format_args!("lost on the way: {}", if state.losses.is_empty() { "nothing" } else { &state.losses }));
    line(format_args!("\n{figures}"));
    line(format_args!("\nports ({}):", state.ports.system));
    let own = [("listens on", &state.own_ports.listening), ("answers on", &state.own_ports.answering)];
    for (what, name) in own {
        line(format_args!("  {what} {}", name.as_deref().unwrap_or("no port")));
    }
    for cable in &state.ports.cables {
        let way = if cable.direction == crate::ports::Direction::From { "from" } else { "to" };
        line(format_args!("  {way} {cable}: {:?}", cable.state));
    }
    line(format_args!("\nknobs:"));
    for knob in &state.controllers.map {
        line(format_args!("  {:20} {}", knob.message, knob.meaning));
    }
    line(format_args!("\nsettings:"));
    for row in &settings {
        let changed = if row.value == row.default { String::new() } else { format!("  (default {})", row.default) };
        let unit = if row.unit.is_empty() { String::new() } else { format!(" {}", row.unit) };
        line(format_args!("  {:22} {}{unit}{changed}", row.name, row.shown(&state.styles)));
    }
    line(format_args!("\ntakes:"));
    for take in &takes {
        line(format_args!("  {:40} {}", take.name, about(take)));
    }
    Ok(text)
}
