//! Antiphon's output led back to its input, as a cable or a DAW does it; and what it passes on.

use std::collections::VecDeque;
use std::path::Path;

use jack::{Control, MidiIn, MidiOut, Port, ProcessHandler, ProcessScope, RawMidi};

use super::*;

/// A program that passes on what it hears, so much later.
struct Cable {
    input: Port<MidiIn>,
    output: Port<MidiOut>,
    delay: Frames,
    on_the_way: VecDeque<(Frames, [u8; 3])>,
}

impl ProcessHandler for Cable {
    fn process(&mut self, _: &jack::Client, period: &ProcessScope) -> Control {
        let begin = period.last_frame_time();
        for event in self.input.iter(period) {
            if let &[status, first, second] = event.bytes {
                self.on_the_way.push_back((begin + event.time + self.delay, [status, first, second]));
            }
        }
        let mut writer = self.output.writer(period);
        while let Some((frame, bytes)) = self.on_the_way.front().filter(|(frame, _)| *frame < begin + period.n_frames())
        {
            // A message that finds no place is lost, as on a real cable.
            let _ = writer.write(&RawMidi { time: frame.saturating_sub(begin), bytes });
            self.on_the_way.pop_front();
        }
        Control::Continue
    }
}

/// Leads Antiphon's output back to its input, so much later.
fn loop_back(delay: Frames) -> jack::AsyncClient<(), Cable> {
    let client = server::open_client("cable");
    let input = client.register_port("in", MidiIn::default()).expect("an input port");
    let output = client.register_port("out", MidiOut::default()).expect("an output port");
    let cable = Cable { input, output, delay, on_the_way: VecDeque::with_capacity(1024) };
    let client = client.activate_async((), cable).expect("the client can be activated");
    let plugs = client.as_client();
    plugs.connect_ports_by_name("Antiphon:Antiphon Out", "cable:in").expect("Antiphon has its output port");
    plugs.connect_ports_by_name("cable:out", "Antiphon:Antiphon In").expect("Antiphon has its input port");
    client
}

fn start(folder: &Path, arguments: &[&str]) -> Daemon {
    drop(server::open_client("knock"));
    let common = ["--backend", "jack", "--seed", "7", "--out", "AI_generated.mid"];
    let mut daemon = Daemon::start(folder, &[&common, arguments].concat());
    daemon.wait_until_ready(PATIENCE);
    daemon
}

/// Stops the daemon and gives back what it said.
fn said_at_the_end(daemon: Daemon, folder: &Path, pianist: &mut Pianist) -> String {
    stop(daemon, "TERM", pianist);
    std::fs::read_to_string(folder.join("daemon.log")).expect("it said something")
}

#[test]
fn alone_it_does_not_answer_itself() {
    with_jack_server("loops::alone_it_does_not_answer_itself", || {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let daemon = start(folder.path(), &["--mode", "solo"]);
        let _cable = loop_back(0);
        let mut pianist = Pianist::sit_down();
        listen_until(&mut pianist, "twenty notes", |p| note_ons(p, Voice::Answer).len() >= 20);
        let said = said_at_the_end(daemon, folder.path(), &mut pianist);
        // It plays already while the cable is plugged, and JACK may tell of that later than the first note comes back.
        let recorded = said.lines().find_map(|line| line.strip_prefix("recorded ")?.split(' ').next()?.parse().ok());
        assert!(recorded.is_some_and(|notes: u32| notes <= 2), "it heard itself: {said}");
        assert!(said.contains("came back and were not heard"), "nothing came back: {said}");
    });
}

#[test]
fn its_answer_neither_interrupts_itself_nor_is_recorded_as_the_humans() {
    with_jack_server("loops::its_answer_neither_interrupts_itself_nor_is_recorded_as_the_humans", || {
        let folder = tempfile::tempdir().expect("a temporary folder");
        // Longer than any gap of the phrase, also when the server has fallen behind: only an echo could interrupt.
        let daemon = start(folder.path(), &["--set", "patience-floor=1500"]);
        let _cable = loop_back(30 * MILLISECOND);
        let mut pianist = Pianist::sit_down();
        play(&mut pianist, &PHRASE);
        listen_until(&mut pianist, "an answer of ten notes", |p| note_ons(p, Voice::Answer).len() >= 10);
        let said = said_at_the_end(daemon, folder.path(), &mut pianist);
        assert!(said.contains(&format!("recorded {} notes of yours", PHRASE.len())), "it heard itself: {said}");
        let turns = said.lines().filter(|line| line.contains("Antiphon answers")).count();
        assert_eq!(turns, 1, "it interrupted itself: {said}");
        assert!(said.contains("came back and were not heard"), "nothing came back: {said}");
        check_recording(&folder.path().join("AI_generated.mid"), &pianist);
    });
}

#[test]
fn what_the_human_plays_is_passed_on_once_though_it_comes_back() {
    with_jack_server("loops::what_the_human_plays_is_passed_on_once_though_it_comes_back", || {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let daemon = start(folder.path(), &["--mode", "listen", "--set", "thru=on"]);
        let _cable = loop_back(5 * MILLISECOND);
        let mut pianist = Pianist::sit_down();
        let end = play(&mut pianist, &PHRASE);
        pianist.listen_to(end + 300 * MILLISECOND);
        let played: Vec<_> = note_ons(&pianist, Voice::Human);
        let passed: Vec<_> = note_ons(&pianist, Voice::Answer);
        let keys = |notes: &[Message]| notes.iter().map(Message::key).collect::<Vec<u8>>();
        assert_eq!(keys(&passed), keys(&played));
        // Up to a period each way; the pianist's own stamps are exact.
        let frames: Vec<Frames> = passed.iter().zip(&played).map(|(out, human)| out.frame - human.frame).collect();
        println!("figure: passed on after {frames:?} frames of 48 kHz, in periods of 64");
        // A key that is down at the end is released.
        play(&mut pianist, &[(50, 0, 20_000 * MILLISECOND)]);
        listen_until(&mut pianist, "the key that is held", |p| !p.sounding_at(p.now()).is_empty());
        let said = said_at_the_end(daemon, folder.path(), &mut pianist);
        assert!(said.contains(&format!("recorded {} notes of yours and 0", PHRASE.len() + 1)), "{said}");
        assert!(said.contains("came back and were not heard"), "nothing came back: {said}");
    });
}

#[test]
fn where_that_is_set_it_hears_itself() {
    with_jack_server("loops::where_that_is_set_it_hears_itself", || {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let daemon = start(folder.path(), &["--mode", "solo", "--set", "feedback=hear"]);
        let _cable = loop_back(0);
        let mut pianist = Pianist::sit_down();
        listen_until(&mut pianist, "five notes", |p| note_ons(p, Voice::Answer).len() >= 5);
        let said = said_at_the_end(daemon, folder.path(), &mut pianist);
        assert!(!said.contains("recorded 0 notes of yours"), "{said}");
    });
}
