use super::*;
use crate::midi::{TimedMessage, key_name};
use crate::model::toy::ToyModel;
use crate::offline;
use crate::player::Player;
use crate::sampler::{Sampler, Sampling};
use crate::take::Happening;

fn at(ms: u64) -> SessionTime {
    SessionTime::from_micros(ms * 1000)
}

fn on(ms: u64, key: u8) -> TimedMessage {
    TimedMessage::on(ms, key)
}

fn off(ms: u64, key: u8) -> TimedMessage {
    TimedMessage::off(ms, key)
}

fn pedal(ms: u64, value: u8) -> TimedMessage {
    TimedMessage { time: at(ms), message: ShortMessage::from_bytes(&[0xb0, 64, value]).expect("whole") }
}

fn respond() -> Conducting {
    Conducting { mode: Mode::Respond, patience: SessionDuration::from_millis(400), longest_answer: None }
}

/// A session with the toy model, one line for each thing that Antiphon did: milliseconds, then what.
fn session(conducting: Conducting, input: &[TimedMessage], until_ms: u64) -> Vec<String> {
    let sampler = Sampler::new(Sampling::default(), 5);
    let continuation = Continuation::new(ToyModel::default(), 0, sampler).expect("the toy always starts");
    let mut conductor = Conductor::new(conducting, continuation);
    let mut lines = Vec::new();
    let tell = |happening| {
        if let Happening::Ai(TimedMessage { time, message }) = happening {
            let sign = if message.is_note_on() { "on" } else { "off" };
            lines.push(format!("{} {sign} {}", time.as_micros() / 1000, key_name(message.as_bytes()[1])));
        } else if let Happening::Turn { at, turn } = happening {
            lines.push(format!("{} turn {turn:?}", at.as_micros() / 1000));
        }
    };
    offline::run(&mut conductor, &mut Player::new(0), input, at(until_ms), || false, tell)
        .expect("the toy never fails");
    lines
}

/// When the first line with `what` in it happened, in milliseconds.
fn first(lines: &[String], what: &str) -> Option<u64> {
    lines.iter().find(|line| line.contains(what))?.split(' ').next()?.parse().ok()
}

/// The golden session: a change in any stage shows here.
#[test]
fn a_phrase_is_answered_in_its_own_time_and_interrupted_at_once() {
    let input = [on(0, 60), off(200, 60), on(500, 62), off(700, 62), on(1950, 72), off(2150, 72)];
    let lines = session(respond(), &input, 3000);
    let expected = "\
        1100 turn Ai\n1105 on E4\n1302 off E4\n1358 on F#4\n1561 off F#4\n1612 on Ab4\n\
        1814 off Ab4\n1866 on Bb4\n1950 off Bb4\n1950 turn Human\n2550 turn Ai\n2555 on D5\n\
        2757 off D5\n2801 on E5\n3000 off E5";
    assert_eq!(lines.join("\n"), expected);
}

#[test]
fn the_answer_waits_for_held_keys_and_the_pedal() {
    let held = session(respond(), &[on(0, 60), off(3000, 60)], 5000);
    assert_eq!(first(&held, "turn Ai"), Some(3400));
    let pedalled = session(respond(), &[pedal(0, 127), on(0, 60), off(200, 60), pedal(2000, 0)], 5000);
    assert_eq!(first(&pedalled, "turn Ai"), Some(2400));
}

#[test]
fn nothing_heard_is_not_answered() {
    assert_eq!(session(respond(), &[], 60_000), Vec::<String>::new());
    assert_eq!(session(respond(), &[pedal(0, 127), pedal(100, 0)], 60_000), Vec::<String>::new());
}

#[test]
fn solo_begins_alone_and_gives_way() {
    let lines = session(Conducting { mode: Mode::Solo, ..respond() }, &[on(5000, 40), off(5100, 40)], 8000);
    assert_eq!(first(&lines, "turn Ai"), Some(0));
    assert_eq!(first(&lines, "turn Human"), Some(5000));
    assert_eq!(lines.iter().filter(|line| line.contains("turn Ai")).count(), 2);
}

#[test]
fn a_limited_answer_ends_and_waits_for_the_human() {
    let limit = Some(SessionDuration::from_millis(1000));
    let lines = session(Conducting { longest_answer: limit, ..respond() }, &[on(0, 60), off(100, 60)], 20_000);
    assert_eq!(first(&lines, "turn Human"), Some(1500));
    assert_eq!(lines.iter().filter(|line| line.contains("turn Ai")).count(), 1);
    let ons = lines.iter().filter(|line| line.contains(" on ")).count();
    assert_eq!(ons, lines.iter().filter(|line| line.contains(" off ")).count());
    assert!(lines.iter().all(|line| first(std::slice::from_ref(line), "").is_some_and(|ms| ms < 2000)), "{lines:?}");
}

#[test]
fn solo_goes_on_after_a_limited_answer() {
    let limit = Some(SessionDuration::from_millis(2000));
    let lines = session(Conducting { mode: Mode::Solo, longest_answer: limit, ..respond() }, &[], 10_000);
    assert_eq!(lines.iter().filter(|line| line.contains("turn Ai")).count(), 5);
}

#[test]
fn a_note_that_outlasts_its_answer_is_silenced_too() {
    let limit = Some(SessionDuration::from_millis(1000));
    let input = [on(0, 60), off(100, 60), on(1600, 72), off(1700, 72)];
    let lines = session(Conducting { longest_answer: limit, ..respond() }, &input, 1900);
    assert_eq!(first(&lines, "turn Human"), Some(1500));
    let last_off =
        lines.iter().filter(|line| line.contains("off")).filter_map(|line| first(std::slice::from_ref(line), "off"));
    assert!(last_off.max() <= Some(1600), "{lines:?}");
}

#[test]
fn the_same_session_twice_is_the_same() {
    let input = [on(0, 60), off(300, 60), on(400, 65), off(700, 65)];
    assert_eq!(session(respond(), &input, 30_000), session(respond(), &input, 30_000));
}
