//! `antiphon --check`: what counts, and where it comes from.

use serde_json::{Value, json};

use super::jam_flags::JamFlags;
use super::rack::Rack;
use super::{Failure, model, print_line, say};
use crate::config::{Config, Effective, Source};
use crate::control::Assignment;

/// Checks what can be checked without playing, and prints all that counts.
pub(super) fn run(flags: &JamFlags, config: &Config, effective: &Effective) -> Result<(), Failure> {
    config.slips.iter().for_each(say);
    model::check(flags.playing.model.as_deref(), effective)?;
    let rack = Rack::of(&flags.controller, config.controllers.as_deref())?;
    let rows = rows(flags, config, effective, &rack);
    let file = config.file.as_deref().map(|path| path.display().to_string());
    if flags.json {
        let rows: Vec<Value> = rows.iter().map(Row::to_json).collect();
        print_line(json!({ "config": file, "effective": rows }));
        return Ok(());
    }
    print_line(format_args!("configuration file: {}", file.as_deref().unwrap_or("none")));
    let mut table = "";
    for row in &rows {
        if row.table != table {
            table = row.table;
            print_line(format_args!("\n[{table}]"));
        }
        let value = if row.value.is_empty() { "-" } else { &row.value };
        print_line(format_args!("{:22} {value:24} {}", row.name, row.source));
    }
    Ok(())
}

/// One thing that is set.
struct Row {
    /// Empty outside the tables.
    table: &'static str,
    name: String,
    value: String,
    source: Source,
}

impl Row {
    fn to_json(&self) -> Value {
        let from = match &self.source {
            Source::Default => json!({ "kind": "default" }),
            Source::File { path, line } => json!({ "kind": "file", "file": path.display().to_string(), "line": line }),
            Source::Controller { name, line } => json!({ "kind": "controller", "controller": **name, "line": line }),
            Source::Variable(name) => json!({ "kind": "environment", "variable": name }),
            Source::Flag(name) => json!({ "kind": "flag", "flag": name }),
        };
        let value = if self.value.is_empty() { Value::Null } else { json!(self.value) };
        json!({ "table": self.table, "name": self.name, "value": value, "from": from })
    }
}

fn rows(flags: &JamFlags, config: &Config, effective: &Effective, rack: &Rack) -> Vec<Row> {
    let keys = config.keys.iter().map(|key| Row {
        table: "",
        name: key.what.name.clone(),
        value: key.what.values.join(", "),
        source: key.source.clone(),
    });
    let settings = effective.rows().map(|(name, value, source)| Row {
        table: "settings",
        name: name.to_owned(),
        value,
        source: source.clone(),
    });
    let map = config.file_map.iter().chain(&config.environment_map);
    let typed = flags.map.iter().map(|assignment| (assignment, Source::Flag("--map".into())));
    let said = map.map(|given| (&given.what, given.source.clone())).chain(typed);
    let ready_made = rack.given().map(|given| (&given.what, given.source.clone()));
    let mut counts: Vec<(&Assignment, Source)> = said.collect();
    for (assignment, source) in ready_made {
        // What is said of the same message elsewhere counts instead; several meanings of one line count together.
        let is_hidden = counts.iter().any(|(other, place)| *place != source && other.hides(assignment));
        if !is_hidden {
            counts.push((assignment, source));
        }
    }
    let map = counts.into_iter().map(|(assignment, source)| Row {
        table: "map",
        name: assignment.message(),
        value: assignment.meaning().to_owned(),
        source,
    });
    keys.chain(settings).chain(map).collect()
}
