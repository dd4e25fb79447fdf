//! Ports that go and come back while it plays.

use std::time::Instant;

use jack::{AsyncClient, MidiIn, MidiOut};

use super::*;

/// A client with a port on which nothing happens.
fn keyboard() -> (AsyncClient<(), ()>, jack::Port<MidiOut>) {
    let client = server::open_client("Keystation");
    let port = client.register_port("keys", MidiOut::default()).expect("an output port");
    (client.activate_async((), ()).expect("the client can be activated"), port)
}

fn synth() -> (AsyncClient<(), ()>, jack::Port<MidiIn>) {
    let client = server::open_client("Juno");
    let port = client.register_port("in", MidiIn::default()).expect("an input port");
    (client.activate_async((), ()).expect("the client can be activated"), port)
}

/// Waits until the daemon has said that so often; gives how long that took.
pub fn wait_until_said(daemon: &mut Daemon, what: &str, times: usize) -> Duration {
    let begun = Instant::now();
    while daemon.said().matches(what).count() < times {
        daemon.expect_alive();
        assert!(begun.elapsed() < PATIENCE, "it never said {what:?} {times} times:\n{}", daemon.said());
        std::thread::sleep(Duration::from_millis(5));
    }
    begun.elapsed()
}

/// Waits until the daemon has said that beyond its first `before` bytes; false if it never does.
pub fn says_since(daemon: &mut Daemon, before: usize, what: &str) -> bool {
    let begun = Instant::now();
    while !daemon.said()[before..].contains(what) {
        daemon.expect_alive();
        if begun.elapsed() > PATIENCE {
            return false;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    true
}

fn is_connected(client: &jack::Client, source: &str, sink: &str) -> bool {
    client.port_by_name(source).is_some_and(|port| port.get_connections().iter().any(|name| name == sink))
}

#[test]
fn ports_that_go_are_missed_and_attached_again_when_they_come_back() {
    with_jack_server("cables::ports_that_go_are_missed_and_attached_again_when_they_come_back", || {
        let folder = tempfile::tempdir().expect("a temporary folder");
        drop(server::open_client("knock"));
        let named = ["--backend", "jack", "--seed", "7", "--connect-from", "Keystation", "--connect-to", "Juno"];
        let mut daemon = Daemon::start(folder.path(), &named);
        daemon.wait_until_ready(PATIENCE);
        assert!(daemon.said().contains("Keystation is not there yet; it is waited for"), "{}", daemon.said());
        let mut pianist = Pianist::sit_down();
        let mut slowest = [Duration::ZERO; 2];
        for cycle in 1..=3 {
            let (keys, _keys) = keyboard();
            let (juno, _juno) = synth();
            let said = if cycle == 1 { "is attached" } else { "is back" };
            let times = if cycle == 1 { 1 } else { cycle - 1 };
            for port in ["Keystation:keys", "Juno:in"] {
                slowest[1] = slowest[1].max(wait_until_said(&mut daemon, &format!("{port} {said}"), times));
            }
            assert!(is_connected(keys.as_client(), "Keystation:keys", pianist::ANTIPHON_IN));
            assert!(is_connected(juno.as_client(), pianist::ANTIPHON_OUT, "Juno:in"));
            drop((keys, juno));
            for port in ["Keystation:keys", "Juno:in"] {
                slowest[0] = slowest[0].max(wait_until_said(&mut daemon, &format!("{port} has gone"), cycle));
            }
            // It plays on.
            let so_far = note_ons(&pianist, Voice::Answer).len();
            play(&mut pianist, &PHRASE);
            listen_until(&mut pianist, "an answer", |p| note_ons(p, Voice::Answer).len() >= so_far + 2);
        }
        println!("figure: noticed after {:?} at the latest, attached again after {:?}", slowest[0], slowest[1]);
        stop(daemon, "TERM", &mut pianist);
        check_recording(&folder.path().join("AI_generated.mid"), &pianist);
    });
}

#[test]
fn keys_whose_cable_is_pulled_are_let_go() {
    with_jack_server("cables::keys_whose_cable_is_pulled_are_let_go", || {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (daemon, mut pianist) = begin(folder.path());
        // The last key is never released.
        play(&mut pianist, &PHRASE);
        let [_, end] = pianist.play(vec![(2500 * MILLISECOND, [0x90, 72, 80])]);
        pianist.listen_to(end + 50 * MILLISECOND);
        let hands = server::open_client("plug");
        hands.disconnect_ports_by_name("hands:out", pianist::ANTIPHON_IN).expect("it was connected");
        let pulled = pianist.now();
        listen_until(&mut pianist, "an answer though the key never went up", |p| {
            note_ons(p, Voice::Answer).iter().any(|note| note.frame > pulled)
        });
        // A key that is held for 20 s is taken for lost anyway.
        let first = note_ons(&pianist, Voice::Answer).iter().map(|note| note.frame).find(|frame| *frame > pulled);
        assert!(first.is_some_and(|first| first < pulled + 15_000 * MILLISECOND), "the key was not let go: {first:?}");
        hands.connect_ports_by_name("hands:out", pianist::ANTIPHON_IN).expect("it can be plugged again");
        let so_far = note_ons(&pianist, Voice::Answer).len();
        play(&mut pianist, &PHRASE);
        listen_until(&mut pianist, "an answer afterwards", |p| note_ons(p, Voice::Answer).len() >= so_far + 2);
        stop(daemon, "TERM", &mut pianist);
        recording::check_with_midicsv(&folder.path().join("AI_generated.mid"));
    });
}

#[test]
fn a_known_device_is_told_of_and_its_knobs_can_be_put_on() {
    let name = "cables::a_known_device_is_told_of_and_its_knobs_can_be_put_on";
    with_jack_server(name, || {
        let folder = tempfile::tempdir().expect("a temporary folder");
        drop(server::open_client("knock"));
        let own = folder.path().join("antiphon/controllers");
        std::fs::create_dir_all(&own).expect("made");
        std::fs::write(
            own.join("gloves.toml"),
            "name = \"pair of gloves\"\nports = [\"HANDS\"]\n[map]\ncc20 = \"memory\"\n",
        )
        .expect("written");
        std::fs::write(folder.path().join("empty.toml"), "").expect("written");
        let environment =
            [("ANTIPHON_CONFIG", folder.path().join("empty.toml")), ("XDG_CONFIG_HOME", folder.path().to_owned())];
        let environment = environment.map(|(name, path)| (name, path.to_str().expect("text").to_owned()));
        let environment = environment.each_ref().map(|(name, path)| (*name, path.as_str()));
        let plain = ["--backend", "jack", "--connect-from", "hands", "--json"];
        let mut pianist = Pianist::sit_down_unplugged();
        let mut daemon = Daemon::start_in(folder.path(), &plain, &environment);
        let told = "hands:out is a pair of gloves: with --controller gloves its knobs set what";
        wait_until_said(&mut daemon, told, 1);
        let (status, said) = daemon.stop("TERM", PATIENCE);
        assert!(status.success(), "{said}");
        assert_eq!(said.matches(told).count(), 1, "once: {said}");

        let mut daemon =
            Daemon::start_in(folder.path(), &[&plain[..], &["--controller", "auto"]].concat(), &environment);
        wait_until_said(&mut daemon, "hands:out is a pair of gloves: its knobs are taken", 1);
        wait_until_said(&mut daemon, r#""kind":"replaced""#, 1);
        let [_, end] = pianist.play(vec![(0, [0xb0, 20, 0])]);
        pianist.listen_to(end);
        wait_until_said(&mut daemon, r#""control":"memory 0""#, 1);
        let (status, said) = daemon.stop("TERM", PATIENCE);
        assert!(status.success(), "{said}");
    });
}
