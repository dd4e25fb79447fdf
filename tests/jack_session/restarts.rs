//! The server is not there yet, or goes and comes back, while it plays.

use std::process::{Command, Stdio};
use std::time::Instant;

use super::cables::wait_until_said;
use super::on_server::{with_jack_servers_name, with_pipewire};
use super::server::Server;
use super::*;

/// A server is started, killed with keys down, and started again, with these rates and frames a period.
fn waits_and_lets_go(sounds: [[u32; 2]; 2], start: impl Fn(&Path, [u32; 2]) -> Server) {
    let [first, second] = sounds.map(|[rate, frames]| format!("JACK at {rate} Hz, {frames} frames a period"));
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut daemon = Daemon::start(folder.path(), &["--backend", "jack", "--seed", "7"]);
    daemon.wait_until_ready(PATIENCE);
    assert!(daemon.said().contains("JACK is not there yet; it is waited for"), "{}", daemon.said());
    let server = start(folder.path(), sounds[0]);
    wait_until_said(&mut daemon, &format!("{first} is there"), 1);
    let mut pianist = Pianist::sit_down();
    play(&mut pianist, &PHRASE);
    listen_until(&mut pianist, "an answer", |p| note_ons(p, Voice::Answer).len() >= 3);
    // The last key is never released.
    play(&mut pianist, &PHRASE);
    pianist.play(vec![(2500 * MILLISECOND, [0x90, 72, 80])]);
    listen_until(&mut pianist, "the last key", |p| note_ons(p, Voice::Human).iter().any(|on| on.key() == 72));
    let struck = Instant::now();
    server.stop("KILL");
    wait_until_said(&mut daemon, "JACK has gone; the recording goes on, and it is waited for", 1);
    println!("figure: noticed after {} ms", struck.elapsed().as_millis());
    drop(pianist);
    let server = start(folder.path(), sounds[1]);
    wait_until_said(&mut daemon, &format!("{second} is back"), 1);
    // What was connected by hand is connected again as soon as it is there.
    let mut pianist = Pianist::sit_down_unplugged();
    let begun = Instant::now();
    listen_until(&mut pianist, "an answer though the key never went up", |p| !note_ons(p, Voice::Answer).is_empty());
    // A key that is held for 20 s is taken for lost anyway.
    assert!(begun.elapsed() < Duration::from_secs(15), "the key was not let go");
    let so_far = note_ons(&pianist, Voice::Answer).len();
    play(&mut pianist, &PHRASE);
    listen_until(&mut pianist, "an answer to more", |p| note_ons(p, Voice::Answer).len() >= so_far + 2);
    stop(daemon, "TERM", &mut pianist);
    recording::check_with_midicsv(&folder.path().join("AI_generated.mid"));
    drop(pianist);
    drop(server);
}

#[test]
fn it_waits_for_a_server_and_lets_go_of_what_was_held() {
    let name = "restarts::it_waits_for_a_server_and_lets_go_of_what_was_held";
    with_jack_servers_name(name, || waits_and_lets_go([[48_000, 64], [44_100, 256]], Server::start_here));
}

#[test]
fn it_waits_for_pipewire_and_lets_go_of_what_was_held() {
    with_pipewire("restarts::it_waits_for_pipewire_and_lets_go_of_what_was_held", || {
        // As it comes, on a machine without a sound card.
        waits_and_lets_go([[48_000, 1024]; 2], |folder, _| Server::pipewire(folder));
    });
}

#[test]
fn where_ports_are_required_it_does_not_wait_for_a_server() {
    with_jack_servers_name("restarts::where_ports_are_required_it_does_not_wait_for_a_server", || {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let ended = Command::new(env!("CARGO_BIN_EXE_antiphon"))
            .args(["jam", "--backend", "jack", "--require-ports", "--engine", "embedded"])
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .output()
            .expect("antiphon runs");
        let said = String::from_utf8_lossy(&ended.stderr);
        assert_eq!(ended.status.code(), Some(5), "{said}");
        assert!(said.contains("no server runs"), "{said}");
        assert!(!folder.path().join("AI_generated.mid").exists(), "nothing was begun");
    });
}
