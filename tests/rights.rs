//! The built command as an ordinary user without real-time rights: it plays, and says what it lacks.
#![cfg(target_os = "linux")]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output};

use antiphon::midi_file::read_notes;

/// Runs the command in a folder as somebody who may not have real-time priority: as nobody where the test is root's.
/// `None`, and says so, where there is no `setpriv`.
fn as_nobody(folder: &Path, line: &str) -> Option<Output> {
    // Where nobody can reach it, and can write.
    fs::set_permissions(folder, fs::Permissions::from_mode(0o777)).expect("ours");
    let program = folder.join("antiphon");
    if !program.exists() {
        fs::copy(env!("CARGO_BIN_EXE_antiphon"), &program).expect("copied");
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("ours");
    }
    let is_root = Command::new("id").arg("-u").output().is_ok_and(|id| id.stdout == b"0\n");
    if is_root && Command::new("setpriv").arg("--version").output().is_err() {
        println!("left out: setpriv is not installed (util-linux)");
        return None;
    }
    let nobody = "setpriv --reuid=65534 --regid=65534 --clear-groups --no-new-privs --bounding-set=-all";
    let line = format!("ulimit -r 0; exec {} ./antiphon {line}", if is_root { nobody } else { "" });
    let mut shell = Command::new("sh");
    shell.args(["-c", &line]).current_dir(folder).env("HOME", folder).env("ANTIPHON_CONFIG", "none");
    Some(shell.env("ANTIPHON_ENGINE", "embedded").env("ANTIPHON_BACKEND", "none").output().expect("it runs"))
}

#[test]
fn without_real_time_rights_it_plays_and_says_what_it_lacks() {
    let folder = tempfile::tempdir().expect("a folder");
    let Some(output) = as_nobody(folder.path(), "jam --headless --no-http --seconds 3 --seed 7") else { return };
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
    let timing = said.lines().find(|line| line.starts_with("timing: ")).expect("it says how well it keeps time");
    // On a desktop RealtimeKit may give what the user has not.
    let helped = timing.contains("from RealtimeKit");
    assert!(helped || (timing.contains("ordinary priority") && timing.contains("rtprio 95")), "{timing}");
    assert!(!read_notes(&folder.path().join("AI_generated.mid")).expect("a whole take").is_empty());

    let output = as_nobody(folder.path(), "doctor --json").expect("as before");
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(output.status.code(), Some(0), "nothing of this keeps it from playing: {report}");
    let findings = report["findings"].as_array().expect("a list");
    let state =
        |area: &str| findings.iter().find(|finding| finding["area"] == area).map(|found| found["state"].clone());
    assert_eq!(state("rtprio"), Some("warning".into()), "{report}");
    assert!(helped || state("real time") == Some("warning".into()), "{report}");
}
