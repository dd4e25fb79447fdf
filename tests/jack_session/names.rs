//! Two Antiphons at once: under two names side by side, under one name never.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::*;

/// Starts one in a folder of its own in `room`, where all look for each other, with its page at a port that is free.
fn start(room: &Path, folder: &str, arguments: &[&str]) -> Daemon {
    let folder = room.join(folder);
    fs::create_dir_all(&folder).expect("made");
    let common = ["--backend", "jack", "--mode", "listen", "--http", "0"];
    let runtime = room.to_str().expect("text");
    Daemon::start_in(&folder, &[&common, arguments].concat(), &[("XDG_RUNTIME_DIR", runtime)])
}

/// Waits for the end by itself. Gives back the exit code and what was said.
fn refused(mut daemon: Daemon) -> (Option<i32>, String) {
    let begun = std::time::Instant::now();
    loop {
        if let Some(status) = daemon.ended() {
            return (status.code(), daemon.said());
        }
        assert!(begun.elapsed() < PATIENCE, "it goes on; it said:\n{}", daemon.said());
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn there(client: &jack::Client) -> Vec<String> {
    let mut ports = client.ports(None, Some("midi"), jack::PortFlags::empty());
    ports.retain(|port| port.contains("ntiphon") || port.contains("Left"));
    ports.sort_unstable();
    ports
}

fn monitor(room: &Path, name: &str) -> (bool, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_antiphon"))
        .args(["monitor", "--once", "--name", name])
        .env("ANTIPHON_CONFIG", "none")
        .env("XDG_RUNTIME_DIR", room)
        .output()
        .expect("it runs");
    (output.status.success(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
}

#[test]
fn two_names_play_side_by_side_and_one_name_is_held_by_one() {
    with_jack_server("names::two_names_play_side_by_side_and_one_name_is_held_by_one", || {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let client = server::open_client("onlooker");
        let mut first = start(folder.path(), "first", &[]);
        first.wait_until_ready(PATIENCE);

        let (code, said) = refused(start(folder.path(), "second", &[]));
        assert_eq!(code, Some(13), "{said}");
        let sentence = said.lines().find(|line| line.contains("is called")).expect("it says why");
        assert!(sentence.contains(&format!("process {} is called \"Antiphon\"", first.id())), "{sentence}");
        assert!(sentence.contains("--name other"), "{sentence}");
        assert!(!folder.path().join("second/AI_generated.mid").exists(), "no take was begun");

        let mut left = start(folder.path(), "left", &["--name", "Left"]);
        left.wait_until_ready(PATIENCE);
        let both = ["Antiphon:Antiphon In", "Antiphon:Antiphon Out", "Left:Left In", "Left:Left Out"];
        assert_eq!(there(&client), both);
        let (found, said) = monitor(folder.path(), "Left");
        assert!(found && said.contains("Left:Left In"), "{said}");
        let (found, said) = monitor(folder.path(), "Right");
        assert!(!found && said.contains("--name Right"), "{said}");
        left.expect_alive();
        assert!(left.stop("TERM", PATIENCE).0.success());

        // Whatever a killed one left behind holds nothing.
        first.signal("KILL");
        refused(first);
        let mut next = start(folder.path(), "first", &[]);
        next.wait_until_ready(PATIENCE);
        assert_eq!(there(&client), &both[..2], "never renamed");
        assert!(next.stop("TERM", PATIENCE).0.success());
    });
}

#[test]
fn where_another_program_has_the_name_it_takes_no_other_one_by_itself() {
    with_jack_server("names::where_another_program_has_the_name_it_takes_no_other_one_by_itself", || {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let other = server::open_client("Antiphon");
        let active = other.activate_async((), ()).expect("it can be activated");
        let (code, said) = refused(start(folder.path(), "own", &[]));
        assert_eq!(code, Some(13), "{said}");
        assert!(said.contains("another program is called \"Antiphon\" on JACK"), "{said}");
        drop(active);
        let mut daemon = start(folder.path(), "own", &[]);
        daemon.wait_until_ready(PATIENCE);
        assert!(daemon.stop("TERM", PATIENCE).0.success());
    });
}
