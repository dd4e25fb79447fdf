//! The server goes and comes back, and clients are killed, while it plays.

use std::collections::BTreeMap;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use serde_json::json;

use super::cables::{says_since, wait_until_said};
use super::on_server::with_jack_servers_name;
use super::server::Server;
use super::*;

/// Rounds of `make cable-test`; without it a few.
const ROUNDS: &str = "ANTIPHON_CABLE_ROUNDS";

/// The keys that the human plays in a round, beside the one that they hold.
const PLAYED: [u8; 4] = [60, 64, 67, 72];
/// Held when the round's blow falls.
const HELD: u8 = 36;
/// Struck over and over by a client that is killed.
const BEATEN: u8 = 25;

/// What is said when the ports of all clients are back.
const BACK: [&str; 4] = ["hands:out is back", "ears:in is back", "Keys:out is back", "midi-monitor:input is back"];

/// A client of its own process, which can be killed.
struct Victim(Child);

impl Victim {
    /// One of jackd's example clients.
    fn start(program: &str, arguments: &[&str]) -> Self {
        let mut command = Command::new(program);
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        Self(command.spawn().unwrap_or_else(|error| panic!("{program} starts: {error}")))
    }

    fn both() -> [Self; 2] {
        let beat = BEATEN.to_string();
        [Self::start("jack_midi_dump", &[]), Self::start("jack_midiseq", &["Keys", "9600", "0", &beat, "9000"])]
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What was tried and what was lost.
#[derive(Default)]
struct Tally {
    tried: BTreeMap<&'static str, u32>,
    slowest_notice: Duration,
    late_notices: u32,
    slowest_return: Duration,
    /// Ports and servers that did not come back.
    not_reattached: u32,
    /// Keys that sounded when the server went and were not ended when the synth was back, or at the very end.
    stuck: usize,
    /// Keys of the answer as the synth heard them.
    heard: Vec<u8>,
    played: usize,
}

impl Tally {
    fn noticed(&mut self, after: Duration) {
        self.slowest_notice = self.slowest_notice.max(after);
        self.late_notices += u32::from(after > Duration::from_secs(1));
    }

    fn returned(&mut self, after: Duration) {
        self.slowest_return = self.slowest_return.max(after);
    }

    /// Waits until the daemon has said all of that after its first `before` bytes; false, and counted, when it never does.
    fn come_back(&mut self, daemon: &mut Daemon, before: usize, what: &[&str]) -> bool {
        let missing = what.iter().filter(|what| !says_since(daemon, before, what)).count();
        self.not_reattached += u32::try_from(missing).expect("small");
        missing == 0
    }

    /// The synth has been listened to for the last time.
    fn hear(&mut self, pianist: &Pianist) {
        self.heard.extend(note_ons(pianist, Voice::Answer).iter().map(Message::key));
    }
}

/// Plays the round's keys and holds one more. Gives back when the answer has sounded since.
fn play_a_round(pianist: &mut Pianist) {
    let step = pianist.rate() / 20;
    let mut messages: Vec<_> = (0..)
        .zip(PLAYED)
        .flat_map(|(place, key)| [(place * step, [0x90, key, 80]), (place * step + step / 2, [0x80, key, 64])])
        .collect();
    messages.push((4 * step, [0x90, HELD, 80]));
    let so_far = note_ons(pianist, Voice::Answer).len();
    let [_, end] = pianist.play(messages);
    pianist.listen_to(end);
    listen_until(pianist, "notes that sound", |p| {
        note_ons(p, Voice::Answer).len() > so_far + 1 && !p.sounding_at(p.now()).is_empty()
    });
}

/// The released keys of the answer.
fn releases(pianist: &Pianist, note: (u8, u8)) -> usize {
    let is_it = |m: &&Message| (m.bytes[0] & 0x0f, m.key()) == note && m.is_note_off() && m.voice == Voice::Answer;
    pianist.log.iter().filter(is_it).count()
}

/// Rounds in turn: the server is asked to end, the server is killed, two of its clients are killed.
fn rounds(rounds: u32) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let sounds = [[48_000, 64], [44_100, 128], [48_000, 256]];
    let mut server = Server::start_here(folder.path(), sounds[0]);
    drop(server::open_client("knock"));
    let mut arguments = vec!["--backend", "jack", "--seed", "7", "--mode", "solo", "--set", "barge-in=off"];
    // It imitates, and may strike the human's very key at the same moment: that is no echo here.
    arguments.extend(["--set", "feedback=hear"]);
    arguments.extend(["--connect-from", "hands", "--connect-from", "Keys:", "--connect-to", "ears"]);
    arguments.extend(["--connect-to", "midi-monitor", "--out", "AI_generated.mid"]);
    let mut daemon = Daemon::start(folder.path(), &arguments);
    daemon.wait_until_ready(PATIENCE);
    let mut victims = Victim::both();
    let mut pianist = Pianist::sit_down_unplugged();
    for back in BACK {
        wait_until_said(&mut daemon, &back.replace("is back", "is attached"), 1);
    }
    let mut tally = Tally::default();
    for round in 0..rounds {
        play_a_round(&mut pianist);
        tally.played += PLAYED.len() + 1;
        let before = daemon.said().len();
        let blow = ["server_stopped", "server_killed", "clients_killed"][usize::try_from(round % 3).expect("small")];
        *tally.tried.entry(blow).or_default() += 1;
        if blow == "clients_killed" {
            drop(victims);
            let struck = Instant::now();
            let gone = ["Keys:out has gone", "midi-monitor:input has gone"];
            assert!(gone.iter().all(|gone| says_since(&mut daemon, before, gone)), "{}", daemon.said());
            tally.noticed(struck.elapsed());
            let begun = Instant::now();
            victims = Victim::both();
            if !tally.come_back(&mut daemon, before, &BACK[2..]) {
                break;
            }
            tally.returned(begun.elapsed());
            // The key that is held goes up for the next round.
            let [_, end] = pianist.play(vec![(0, [0x80, HELD, 64])]);
            pianist.listen_to(end);
            continue;
        }
        let struck = Instant::now();
        server.stop(if blow == "server_killed" { "KILL" } else { "TERM" });
        assert!(says_since(&mut daemon, before, "JACK has gone"), "{}", daemon.said());
        tally.noticed(struck.elapsed());
        pianist.listen();
        let owed = pianist.sounding_at(Frames::MAX);
        tally.hear(&pianist);
        drop((pianist, victims));

        server = Server::start_here(folder.path(), sounds[usize::try_from(round).expect("small") % sounds.len()]);
        drop(server::open_client("knock"));
        let begun = Instant::now();
        victims = Victim::both();
        pianist = Pianist::sit_down_unplugged();
        if !tally.come_back(&mut daemon, before, &[&["JACK at"], &BACK[..]].concat()) {
            break;
        }
        tally.returned(begun.elapsed());
        // What sounded when the server went is ended, or struck anew, within the round.
        listen_until(&mut pianist, "something", |p| !note_ons(p, Voice::Answer).is_empty());
        let now = pianist.now();
        pianist.listen_to(now + pianist.rate() / 5);
        let ends = |note: &(u8, u8)| releases(&pianist, *note) > 0;
        tally.stuck += owed.keys().filter(|note| !ends(note)).count();
    }
    drop(victims);
    let (status, said) = daemon.stop("TERM", Duration::from_secs(10));
    assert!(status.success(), "antiphon ended with {status} and said:\n{said}");
    let now = pianist.now();
    pianist.listen_to(now + pianist.rate() / 3);
    tally.stuck += pianist.sounding_at(Frames::MAX).len();
    tally.hear(&pianist);
    judge(&folder.path().join("AI_generated.mid"), &tally);
    drop(pianist);
    drop(server);
}

/// The take is one file with all that was played and heard.
fn judge(take: &Path, tally: &Tally) {
    let folder = take.parent().expect("it lies in a folder");
    let takes = std::fs::read_dir(folder).expect("the folder can be read").flatten();
    let takes = takes.filter(|entry| entry.path().extension().is_some_and(|extension| extension == "mid")).count();
    assert_eq!(takes, 1, "the take is one file");
    recording::check_with_midicsv(take);
    let voices = recording::voices(take);
    assert_eq!(voices.len(), 2, "one track for the human, one for the answer");
    let is_human = |voice: &&recording::Voice| voice.iter().any(|note| note.1 == BEATEN);
    let human = voices.iter().find(is_human).expect("the human has a track");
    let keys: Vec<u8> = human.iter().map(|note| note.1).filter(|key| *key != BEATEN).collect();
    let round: Vec<u8> = PLAYED.into_iter().chain([HELD]).collect();
    let played = round.iter().cycle().take(tally.played);
    let answer = voices.iter().find(|voice| !is_human(voice)).expect("the answer has a track");
    let mut unheard: Vec<u8> = answer.iter().map(|note| note.1).collect();
    let mut lost = tally.played.saturating_sub(keys.len());
    for key in &tally.heard {
        match unheard.iter().position(|recorded| recorded == key) {
            Some(place) => drop(unheard.swap_remove(place)),
            None => lost += 1,
        }
    }
    // What leaves in the last periods of a server reaches nobody, nor does what leaves before the synth is back.
    let figures = json!({
        "rounds": tally.tried, "notices_over_one_second": tally.late_notices, "not_reattached": tally.not_reattached,
        "notes_stuck": tally.stuck, "notes_recorded": keys.len() + answer.len(), "notes_lost": lost,
        "notes_unheard": unheard.len(), "slowest_notice_ms": tally.slowest_notice.as_millis(),
        "slowest_return_ms": tally.slowest_return.as_millis(),
    });
    println!("figure: {figures}");
    assert_eq!((tally.stuck, tally.not_reattached, lost), (0, 0, 0), "{figures}");
    assert!(keys.iter().eq(played), "the human's keys are recorded as they were played: {keys:?}");
}

// Not understood yet: a key that is held when the blow falls is missing from the take now and then, and an answer may stay away.
#[test]
#[ignore = "finds faults now and then that are not understood yet; run it with --ignored"]
fn the_server_and_clients_may_go_and_come_back_over_and_over() {
    with_jack_servers_name("restarts::the_server_and_clients_may_go_and_come_back_over_and_over", || {
        let wanted = std::env::var(ROUNDS).ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(3);
        rounds(wanted);
    });
}

#[test]
fn it_waits_for_a_server_and_lets_go_of_what_was_held() {
    let name = "restarts::it_waits_for_a_server_and_lets_go_of_what_was_held";
    with_jack_servers_name(name, || {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut daemon = Daemon::start(folder.path(), &["--backend", "jack", "--seed", "7"]);
        daemon.wait_until_ready(PATIENCE);
        assert!(daemon.said().contains("JACK is not there yet; it is waited for"), "{}", daemon.said());
        let server = Server::start_here(folder.path(), [48_000, 64]);
        wait_until_said(&mut daemon, "JACK at 48000 Hz, 64 frames a period is there", 1);
        let mut pianist = Pianist::sit_down();
        play(&mut pianist, &PHRASE);
        listen_until(&mut pianist, "an answer", |p| note_ons(p, Voice::Answer).len() >= 3);
        // The last key is never released.
        play(&mut pianist, &PHRASE);
        let [_, end] = pianist.play(vec![(2500 * MILLISECOND, [0x90, 72, 80])]);
        pianist.listen_to(end + 50 * MILLISECOND);
        server.stop("KILL");
        wait_until_said(&mut daemon, "JACK has gone; the recording goes on, and it is waited for", 1);
        drop(pianist);
        let server = Server::start_here(folder.path(), [44_100, 256]);
        wait_until_said(&mut daemon, "JACK at 44100 Hz, 256 frames a period is back", 1);
        // What was connected by hand is connected again as soon as it is there.
        let mut pianist = Pianist::sit_down_unplugged();
        let begun = Instant::now();
        listen_until(&mut pianist, "an answer though the key never went up", |p| {
            !note_ons(p, Voice::Answer).is_empty()
        });
        // A key that is held for 20 s is taken for lost anyway.
        assert!(begun.elapsed() < Duration::from_secs(15), "the key was not let go");
        let so_far = note_ons(&pianist, Voice::Answer).len();
        play(&mut pianist, &PHRASE);
        listen_until(&mut pianist, "an answer to more", |p| note_ons(p, Voice::Answer).len() >= so_far + 2);
        stop(daemon, "TERM", &mut pianist);
        recording::check_with_midicsv(&folder.path().join("AI_generated.mid"));
        drop(server);
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
