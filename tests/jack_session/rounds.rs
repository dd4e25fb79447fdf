//! Rounds of `make cable-test` on JACK: what Antiphon is attached to goes and comes back while it plays.
//!
//! In each round two clients are killed, then the server is ended, by SIGTERM and SIGKILL in turn, and started again with
//! another rate and period. A key is held and an answer sounds whenever something goes. What the hands have played and
//! the ears have heard is held against the take at the end.

use std::process::{Child, Command, Stdio};
use std::time::Instant;

use serde_json::json;

use super::cables::{says_since, wait_until_said};
use super::on_server::with_jack_servers_name;
use super::server::Server;
use super::*;

/// How many rounds; without it a few.
const ROUNDS: &str = "ANTIPHON_CABLE_ROUNDS";
/// The file to which the figures are written as well.
const LINE: &str = "ANTIPHON_CABLE_LINE";

/// The keys that the human plays, beside the one that they hold.
const PLAYED: [u8; 4] = [60, 64, 67, 72];
/// Held when something goes.
const HELD: u8 = 36;
/// Struck over and over by a client that is killed.
const BEATEN: u8 = 25;

/// What is said when the ports of the clients that are killed are back, and when those of the pianist are.
const VICTIMS_BACK: [&str; 2] = ["Keys:out is back", "midi-monitor:input is back"];
const PIANIST_BACK: [&str; 2] = ["hands:out is back", "ears:in is back"];

/// Rates and periods of the servers.
const SOUNDS: [[u32; 2]; 3] = [[48_000, 64], [44_100, 128], [48_000, 256]];

/// What sounded when the server went is ended at once; only a key that was struck anew before anybody listened again has an
/// end of its own, as late as the longest note.
const ENDED_WITHIN: Duration = Duration::from_secs(30);

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
    client_rounds: u32,
    server_rounds: u32,
    slowest_notice: Duration,
    slowest_return: Duration,
    /// Ports and servers that did not come back.
    not_back: usize,
    /// Keys that sounded when the server went and were not ended when the synth was back, or at the very end.
    stuck: usize,
    /// Keys as the hands have played them, and keys of the answer as the ears have heard them.
    played: Vec<u8>,
    heard: Vec<u8>,
}

impl Tally {
    /// The pianist leaves.
    fn takes_in(&mut self, pianist: &Pianist) {
        let keys_of = |voice| note_ons(pianist, voice).into_iter().map(|message| message.key());
        self.played.extend(keys_of(Voice::Human));
        self.heard.extend(keys_of(Voice::Answer));
    }
}

/// Everybody.
struct Stage {
    server: Option<Server>,
    daemon: Daemon,
    victims: Option<[Victim; 2]>,
    pianist: Option<Pianist>,
    tally: Tally,
    /// Last, because it must be there while the others are.
    folder: Folder,
}

/// Where it is recorded. It stays when a test fails.
struct Folder(tempfile::TempDir);

impl Drop for Folder {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.disable_cleanup(true);
            say(&format!("what was recorded is in {}", self.0.path().display()));
        }
    }
}

impl Stage {
    fn begin() -> Self {
        let folder = Folder(tempfile::tempdir().expect("a temporary folder"));
        let server = Server::start_here(folder.0.path(), SOUNDS[0]);
        drop(server::open_client("knock"));
        let mut arguments = vec!["--backend", "jack", "--seed", "7", "--mode", "solo", "--set", "barge-in=off"];
        // It imitates, and may strike the human's very key at the same moment: that is no echo here.
        arguments.extend(["--set", "feedback=hear"]);
        arguments.extend(["--connect-from", "hands", "--connect-from", "Keys:", "--connect-to", "ears"]);
        arguments.extend(["--connect-to", "midi-monitor", "--out", "AI_generated.mid"]);
        let mut daemon = Daemon::start(folder.0.path(), &arguments);
        daemon.wait_until_ready(PATIENCE);
        let (victims, pianist) = (Victim::both(), Pianist::sit_down_unplugged());
        for back in VICTIMS_BACK.into_iter().chain(PIANIST_BACK) {
            wait_until_said(&mut daemon, &back.replace("is back", "is attached"), 1);
        }
        let (server, victims, pianist) = (Some(server), Some(victims), Some(pianist));
        Self { server, daemon, victims, pianist, tally: Tally::default(), folder }
    }

    fn pianist(&mut self) -> &mut Pianist {
        self.pianist.as_mut().expect("there is one but between two servers")
    }

    /// Plays the keys and holds one more. Gives back when Antiphon has been heard since, and sounds.
    fn play(&mut self) {
        let pianist = self.pianist();
        let step = pianist.rate() / 20;
        let mut messages: Vec<_> = (0..)
            .zip(PLAYED)
            .flat_map(|(place, key)| [(place * step, [0x90, key, 80]), (place * step + step / 2, [0x80, key, 64])])
            .collect();
        messages.push((4 * step, [0x90, HELD, 80]));
        let held = |p: &Pianist| note_ons(p, Voice::Human).iter().filter(|message| message.key() == HELD).count();
        let before = held(pianist);
        pianist.play(messages);
        // By what was really played: a server on a busy machine falls behind the frames that it says to be at.
        listen_until(pianist, "the key that is held", |p| held(p) > before);
        self.sounds_on("since the key is held");
    }

    /// Waits for more notes of Antiphon's.
    fn sounds_on(&mut self, when: &str) {
        let pianist = self.pianist.as_mut().expect("there is one but between two servers");
        let so_far = note_ons(pianist, Voice::Answer).len();
        let sounds = |p: &Pianist| note_ons(p, Voice::Answer).len() > so_far && !p.sounding_at(Frames::MAX).is_empty();
        let sounds = pianist.listen_for(PATIENCE, sounds);
        assert!(sounds, "nothing sounds {when}\n{}", told_of(&self.daemon, pianist, pianist.now()));
    }

    /// Waits until the daemon has said all of that after its first `before` bytes; false, and counted, when it never does.
    fn come_back(&mut self, before: usize, what: &[&str]) -> bool {
        let begun = Instant::now();
        let missing = what.iter().filter(|what| !says_since(&mut self.daemon, before, what)).count();
        self.tally.not_back += missing;
        self.tally.slowest_return = self.tally.slowest_return.max(begun.elapsed());
        missing == 0
    }

    fn notices(&mut self, before: usize, what: &[&str]) {
        let struck = Instant::now();
        let gone = what.iter().all(|gone| says_since(&mut self.daemon, before, gone));
        assert!(gone, "it does not notice {what:?}: {}", self.daemon.said());
        self.tally.slowest_notice = self.tally.slowest_notice.max(struck.elapsed());
    }

    /// Two clients are killed, and started again.
    fn clients_go(&mut self) -> bool {
        self.tally.client_rounds += 1;
        let before = self.daemon.said().len();
        drop(self.victims.take());
        self.notices(before, &["Keys:out has gone", "midi-monitor:input has gone"]);
        self.victims = Some(Victim::both());
        if !self.come_back(before, &VICTIMS_BACK) {
            return false;
        }
        let [_, end] = self.pianist().play(vec![(0, [0x80, HELD, 64])]);
        self.pianist().listen_to(end);
        self.sounds_on("after clients have come back");
        true
    }

    /// The server is ended, and another one started.
    fn server_goes(&mut self, signal: &str) -> bool {
        let sound = SOUNDS[self.tally.server_rounds as usize % SOUNDS.len()];
        self.tally.server_rounds += 1;
        let before = self.daemon.said().len();
        self.server.take().expect("one runs").stop(signal);
        self.notices(before, &["JACK has gone"]);
        let mut pianist = self.pianist.take().expect("one plays");
        pianist.listen();
        let owed = pianist.sounding_at(Frames::MAX);
        self.tally.takes_in(&pianist);
        let log = pianist.log.clone();
        drop((pianist, self.victims.take()));

        self.server = Some(Server::start_here(self.folder.0.path(), sound));
        // Often it ends just while Antiphon comes back, which JACK's library does not bear: see `src/ports/jack/stale.rs`.
        drop(server::open_client("knock"));
        self.victims = Some(Victim::both());
        self.pianist = Some(Pianist::sit_down_unplugged());
        if !self.come_back(before, &[&["JACK at"], &VICTIMS_BACK[..], &PIANIST_BACK].concat()) {
            return false;
        }
        let left = |p: &Pianist| owed.keys().filter(|note| !is_ended(p, **note)).count();
        if !self.pianist().listen_for(ENDED_WITHIN, |p| left(p) == 0) {
            self.tally.stuck += left(self.pianist());
            say(&format!("not ended: {owed:?} of {log:?}, then {:?}", self.pianist().log));
        }
        self.sounds_on("after the server has come back");
        true
    }

    /// The end: gives the figures and the take.
    fn end(self) {
        let Self { server: _server, daemon, victims, pianist, mut tally, folder } = self;
        drop(victims);
        let mut pianist = pianist.expect("one plays");
        let (status, said) = daemon.stop("TERM", Duration::from_secs(10));
        assert!(status.success(), "antiphon ended with {status} and said:\n{said}");
        let now = pianist.now();
        pianist.listen_to(now + pianist.rate() / 3);
        tally.stuck += pianist.sounding_at(Frames::MAX).len();
        tally.takes_in(&pianist);
        drop(pianist);
        judge(&folder.0.path().join("AI_generated.mid"), &tally);
    }
}

/// Whether the answer has released that.
fn is_ended(pianist: &Pianist, note: (u8, u8)) -> bool {
    let is_it = |m: &Message| (m.bytes[0] & 0x0f, m.key()) == note && m.is_note_off() && m.voice == Voice::Answer;
    pianist.log.iter().any(is_it)
}

/// The take is one file with all that was played and heard.
fn judge(take: &Path, tally: &Tally) {
    let folder = take.parent().expect("it lies in a folder");
    let takes = std::fs::read_dir(folder).expect("the folder can be read").flatten();
    let takes = takes.filter(|entry| entry.path().extension().is_some_and(|extension| extension == "mid")).count();
    assert_eq!(takes, 1, "the take is one file");
    recording::check_with_midicsv(take);
    let voices = recording::voices(take);
    let [human, answer] = &voices[..] else { panic!("one track for the human, then one for the answer: {voices:?}") };
    let recorded: Vec<u8> = human.iter().map(|note| note.1).filter(|key| *key != BEATEN).collect();
    let mut unheard: Vec<u8> = answer.iter().map(|note| note.1).collect();
    let mut lost = tally.played.len().saturating_sub(recorded.len());
    for key in &tally.heard {
        match unheard.iter().position(|recorded| recorded == key) {
            Some(place) => drop(unheard.swap_remove(place)),
            None => lost += 1,
        }
    }
    // What leaves in the last periods of a server reaches nobody, nor does what leaves before the synth is back.
    let figures = json!({
        "jack_client_rounds": tally.client_rounds, "jack_server_rounds": tally.server_rounds,
        "notes": recorded.len() + answer.len(), "unheard": unheard.len(), "lost_notes": lost,
        "stuck_notes": tally.stuck, "not_back": tally.not_back,
        "noticed_ms_max": tally.slowest_notice.as_millis(), "back_ms_max": tally.slowest_return.as_millis(),
    });
    println!("figure: {figures}");
    if let Some(line) = std::env::var_os(LINE) {
        std::fs::write(line, format!("{figures}\n")).expect("the figures can be written");
    }
    assert_eq!((tally.stuck, tally.not_back, lost), (0, 0, 0), "{figures}");
    assert_eq!(recorded, tally.played, "the human's keys are recorded as they were played");
}

#[test]
fn clients_and_the_server_may_go_and_come_back_over_and_over() {
    with_jack_servers_name("rounds::clients_and_the_server_may_go_and_come_back_over_and_over", || {
        let rounds = std::env::var(ROUNDS).ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(2);
        let mut stage = Stage::begin();
        for round in 0..rounds {
            stage.play();
            if !stage.clients_go() {
                break;
            }
            stage.play();
            if !stage.server_goes(["TERM", "KILL"][round % 2]) {
                break;
            }
        }
        stage.end();
    });
}
