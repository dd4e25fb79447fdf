//! `antiphon doctor`: what it finds on a machine where things are broken, and where they are not.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

/// Runs it in a folder, with a JACK server's name that nobody has.
fn doctor(folder: &Path, flags: &[&str], environment: &[(&str, &str)]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_antiphon"))
        .arg("doctor")
        .args(flags)
        .current_dir(folder)
        .env("ANTIPHON_CONFIG", "none")
        .env("ANTIPHON_ENGINE", "embedded")
        .env("ANTIPHON_BACKEND", "none")
        .env("JACK_DEFAULT_SERVER", "antiphon-no-such-server")
        .envs(environment.iter().copied())
        .output()
        .expect("it runs")
}

/// What it finds, and its exit code, which must tell the same.
fn findings(folder: &Path, flags: &[&str], environment: &[(&str, &str)]) -> Vec<Value> {
    let output = doctor(folder, &[&["--json"], flags].concat(), environment);
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let findings = report["findings"].as_array().expect("a list").clone();
    let wrong = findings.iter().any(|finding| finding["state"] == "wrong");
    assert_eq!(output.status.code(), Some(if wrong { 12 } else { 0 }), "{report}");
    let documented = include_str!("../docs/guide/troubleshooting.md");
    for finding in &findings {
        let area = finding["area"].as_str().expect("text");
        assert!(documented.contains(&format!("\n| `{area}` | ")), "{area} is in the table of areas");
        assert_eq!(finding["state"] == "ok", finding["mend"].is_null(), "who complains says what mends it: {finding}");
    }
    findings
}

fn states(findings: &[Value], area: &str) -> Vec<String> {
    let of = findings.iter().filter(|finding| finding["area"] == area);
    of.map(|finding| finding["state"].as_str().unwrap_or_default().to_owned()).collect()
}

#[test]
fn where_nothing_is_broken_it_says_so() {
    let folder = tempfile::tempdir().expect("a folder");
    let found = findings(folder.path(), &[], &[]);
    for area in ["configuration", "JACK", "name", "model", "engine"] {
        assert_eq!(states(&found, area), ["ok"], "{area}: {found:?}");
    }
    for area in ["speed", "disk", "real time", "wake-up"] {
        assert_eq!(states(&found, area).len(), 1, "{area}: {found:?}");
    }
    assert!(fs::read_dir(folder.path()).expect("there").next().is_none(), "it leaves nothing behind");
    let said = doctor(folder.path(), &[], &[]);
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    assert!(said.lines().any(|line| line.starts_with("ok       engine         embedded")), "{said}");
}

#[test]
fn what_is_broken_is_wrong_with_the_command_that_mends_it() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("text.onnx"), "no model").expect("written");
    let found = findings(folder.path(), &["--model", "text.onnx", "--out", "no/folder/take.mid"], &[]);
    assert_eq!(states(&found, "model"), ["wrong"], "{found:?}");
    assert_eq!(states(&found, "disk"), ["wrong"], "{found:?}");
    let disk = found.iter().find(|finding| finding["area"] == "disk").expect("there");
    assert!(disk["mend"].as_str().is_some_and(|mend| mend.contains("mkdir -p no/folder")), "{disk}");

    let found = findings(folder.path(), &[], &[("ANTIPHON_ENGINE", "missing.so")]);
    assert_eq!(states(&found, "model"), ["wrong"], "{found:?}");

    fs::write(folder.path().join("bad.toml"), "\nchanel = 3\n").expect("written");
    let found = findings(folder.path(), &["--config", "bad.toml"], &[]);
    assert_eq!(states(&found, "configuration"), ["wrong"], "{found:?}");
    assert!(found[0]["says"].as_str().is_some_and(|says| says.contains("bad.toml line 2")), "{found:?}");
    let output = doctor(folder.path(), &["--config", "bad.toml"], &[]);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(said.starts_with("WRONG    configuration"), "{said}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("wrong here: configuration"));
}

#[test]
fn a_midi_system_that_is_wanted_but_away_is_wrong() {
    let folder = tempfile::tempdir().expect("a folder");
    let found = findings(folder.path(), &[], &[("ANTIPHON_BACKEND", "jack")]);
    assert_eq!(states(&found, "JACK"), ["wrong"], "{found:?}");
    let said = doctor(folder.path(), &[], &[("ANTIPHON_BACKEND", "jack")]);
    assert!(String::from_utf8_lossy(&said.stderr).trim_end().ends_with("wrong here: JACK"), "{said:?}");
}
