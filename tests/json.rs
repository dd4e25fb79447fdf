//! What scripts get: every command that has --json prints one JSON value, as the guide's page about scripts says.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

fn run(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_antiphon"))
        .args(arguments)
        .current_dir(folder)
        .env("ANTIPHON_CONFIG", "none")
        .output()
        .expect("it starts")
}

/// What it prints, as JSON. `codes` are the exit codes that it may have.
fn json(folder: &Path, arguments: &[&str], codes: [i32; 2]) -> Value {
    let output = run(folder, arguments);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code().is_some_and(|code| codes.contains(&code)), "{arguments:?} said: {said}");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{arguments:?}: {error}"))
}

#[test]
fn what_is_printed_for_scripts_has_in_it_what_the_guide_says() {
    let folder = tempfile::tempdir().expect("a folder");
    let model = concat!(env!("CARGO_MANIFEST_DIR"), "/models/antiphon.onnx");
    let play = ["jam", "--headless", "--virtual-time", "--seconds", "3", "--seed", "7", "--engine", "embedded"];
    assert!(run(folder.path(), &play).status.success());
    let guide = include_str!("../docs/guide/scripts.md");
    for (arguments, codes, wanted) in [
        (&["settings", "--json"][..], [0; 2], &["/settings/0/name", "/settings/0/default", "/actions/0/line"][..]),
        (&["ports", "--json"], [0; 2], &["/0/system"]),
        (&["controllers", "--json"], [0; 2], &["/0/name", "/0/device", "/0/ports"]),
        (&["controllers", "generic-8-knobs", "--json"], [0; 2], &["/map/0/message", "/map/0/meaning"]),
        (
            &["model", model, "--engine", "embedded", "--json"],
            [0; 2],
            &["/model", "/engine", "/styles/0", "/held_out/bits_per_note", "/loaded_ms", "/note_us/p99"],
        ),
        (&["--check", "--json"], [0; 2], &["/effective/0/name", "/effective/0/from/kind"]),
        (&["doctor", "--json"], [0, 12], &["/worst", "/findings/0/state", "/findings/0/says"]),
        (
            &["replay", "AI_generated.session", "--engine", "embedded", "--json"],
            [0; 2],
            &["/out", "/seconds", "/same", "/whole"],
        ),
    ] {
        let value = json(folder.path(), arguments, codes);
        for pointer in wanted {
            assert!(
                value.pointer(pointer).is_some_and(|there| !there.is_null()),
                "{arguments:?}: {pointer} in {value}"
            );
            let key = pointer.rsplit('/').find(|part| part.parse::<usize>().is_err()).expect("a key");
            assert!(guide.contains(&format!("`{key}`")), "{arguments:?}: {key} is not in the guide");
        }
    }
    let again = ["replay", "AI_generated.session", "--engine", "embedded", "--json"];
    let replayed = json(folder.path(), &again, [0; 2]);
    assert_eq!((&replayed["same"], &replayed["differs_from"]), (&Value::Bool(true), &Value::Null));
}
