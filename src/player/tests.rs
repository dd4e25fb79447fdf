use proptest::prelude::*;

use super::*;
use crate::time::SessionDuration;

fn at(ms: u64) -> SessionTime {
    SessionTime::from_micros(ms * 1000)
}

fn planned(epoch: u32, onset_ms: u64, key: u8, length_ms: u64) -> PlayerCommand {
    let note = Note { onset: at(onset_ms), key, duration: SessionDuration::from_millis(length_ms), velocity: 80 };
    PlayerCommand::Play(PlannedNote { epoch, channel: 0, note })
}

fn struck(key: u8) -> PlayerCommand {
    struck_at(0, key)
}

/// The human strikes a key with this stamp.
fn struck_at(ms: u64, key: u8) -> PlayerCommand {
    PlayerCommand::Human(TimedMessage { time: at(ms), message: ShortMessage::note_on(3, key, 70) })
}

fn released(key: u8) -> PlayerCommand {
    PlayerCommand::Human(TimedMessage { time: at(0), message: ShortMessage::note_off(3, key) })
}

fn manners(yielding: Yielding) -> PlayerCommand {
    PlayerCommand::Manners(Manners { yielding, ..Manners::default() })
}

/// Runs commands at their times and gives back what was sent, one line a message.
fn sent(commands: &[(u64, PlayerCommand)], until_ms: u64) -> Vec<String> {
    let mut player = Player::default();
    let mut lines = Vec::new();
    let mut line = |time: SessionTime, message: ShortMessage| {
        let sign = if message.is_note_on() { "on" } else { "off" };
        lines.push(format!("{} {sign} {}", time.as_micros() / 1000, message.as_bytes()[1]));
    };
    for &(ms, command) in commands {
        player.play(at(ms), &mut line);
        player.command(command, at(ms), &mut line);
    }
    player.play(at(until_ms), &mut line);
    lines
}

#[test]
fn notes_sound_in_due_order_whatever_the_order_of_planning() {
    let lines = sent(&[(0, planned(1, 20, 64, 10)), (0, planned(1, 10, 60, 15))], 100);
    assert_eq!(lines, ["10 on 60", "20 on 64", "25 off 60", "30 off 64"]);
}

#[test]
fn a_repeated_key_is_released_before_it_is_struck_anew() {
    let lines = sent(&[(0, planned(1, 10, 60, 30)), (0, planned(1, 20, 60, 30))], 100);
    assert_eq!(lines, ["10 on 60", "20 off 60", "20 on 60", "50 off 60"]);
}

#[test]
fn an_interruption_releases_what_sounds_and_silences_what_was_planned() {
    let plan = [(0, planned(1, 10, 60, 500)), (0, planned(1, 100, 62, 500))];
    let lines = sent(&[plan[0], plan[1], (50, struck(80))], 1000);
    assert_eq!(lines, ["10 on 60", "50 off 60"]);
}

#[test]
fn an_answer_that_has_begun_plays_on_where_it_may() {
    let plan = [(0, planned(1, 10, 60, 500)), (0, planned(1, 100, 62, 50))];
    let begun = sent(&[(0, manners(Yielding::Waiting)), plan[0], plan[1], (50, struck(80))], 1000);
    assert_eq!(begun, ["10 on 60", "100 on 62", "150 off 62", "510 off 60"]);
    let waiting = sent(&[(0, manners(Yielding::Waiting)), plan[0], plan[1], (5, struck(80))], 1000);
    assert!(waiting.is_empty(), "{waiting:?}");
}

#[test]
fn a_key_that_the_human_holds_is_theirs() {
    let plan = [(0, planned(1, 10, 60, 500)), (0, planned(1, 100, 60, 50)), (0, planned(1, 110, 61, 50))];
    let lines = sent(&[(0, manners(Yielding::Key)), plan[0], plan[1], plan[2], (50, struck(60))], 1000);
    assert_eq!(lines, ["10 on 60", "50 off 60", "110 on 61", "160 off 61"]);
}

#[test]
fn apart_the_human_of_one_channel_does_not_silence_another() {
    let apart = PlayerCommand::Manners(Manners { apart: true, ..Manners::default() });
    let lines = sent(&[(0, apart), (0, planned(1, 10, 60, 500)), (50, struck(60))], 1000);
    assert_eq!(lines, ["10 on 60", "510 off 60"]);
}

#[test]
fn a_ducked_answer_is_soft_while_the_human_plays() {
    let mut player = Player::default();
    let mut velocities = Vec::new();
    player.command(manners(Yielding::Softly), at(0), |_, _| ());
    for ms in [10, 100, 3000] {
        player.command(planned(1, ms, 60, 5), at(0), |_, _| ());
    }
    let mut send = |_, message: ShortMessage| {
        if message.is_note_on() {
            velocities.push(message.as_bytes()[2]);
        }
    };
    player.play(at(50), &mut send);
    player.command(struck(80), at(50), &mut send);
    player.command(released(80), at(60), &mut send);
    player.play(at(4000), &mut send);
    assert_eq!(velocities, [80, 40, 80]);
}

#[test]
fn a_revision_keeps_what_sounds_and_what_comes_before_it() {
    let plan = [(0, planned(1, 10, 60, 500)), (0, planned(1, 60, 62, 50)), (0, planned(1, 100, 64, 50))];
    let revise = PlayerCommand::Revise { channel: 0, after: at(70) };
    let lines = sent(&[plan[0], plan[1], plan[2], (50, revise), (50, planned(1, 120, 65, 5))], 1000);
    assert_eq!(lines, ["10 on 60", "60 on 62", "110 off 62", "120 on 65", "125 off 65", "510 off 60"]);
}

#[test]
fn a_note_of_a_cancelled_answer_dies_at_the_gate_and_the_next_answer_sounds() {
    let lines = sent(
        &[(0, PlayerCommand::Cancel { channel: 0, epoch: 1 }), (1, planned(1, 10, 60, 5)), (1, planned(2, 20, 62, 5))],
        1000,
    );
    assert_eq!(lines, ["20 on 62", "25 off 62"]);
}

#[test]
fn an_answer_that_does_not_know_of_the_last_key_is_not_played() {
    let answer = |heard_ms: u64| PlayerCommand::Answer { channel: 0, epoch: 1, heard: Some(at(heard_ms)) };
    let played = |yielding, heard_ms| {
        let commands =
            [(0, manners(yielding)), (51, struck_at(50, 80)), (52, answer(heard_ms)), (52, planned(1, 60, 62, 5))];
        sent(&commands, 1000).len()
    };
    assert_eq!(played(Yielding::All, 50), 2, "it knows of the key");
    assert_eq!(played(Yielding::All, 40), 0, "the key came while it was thought of");
    assert_eq!(played(Yielding::Softly, 40), 0);
    assert_eq!(played(Yielding::Key, 40), 2, "it plays along");
}

#[test]
fn too_many_notes_are_refused_whole_and_counted() {
    let mut player = Player::default();
    let (mut ons, mut offs) = (0, 0);
    for index in 0..5000u64 {
        let command = planned(1, 10 + index, u8::try_from(index % 128).expect("fits"), 5);
        player.command(command, at(0), |_, _| ());
    }
    for ms in 0..10_000 {
        player.play(at(ms), |_, message| if message.is_note_on() { ons += 1 } else { offs += 1 });
    }
    assert!(player.refused() > 0 && player.gated() > 0, "a thousand notes a second are too many for the gate too");
    assert_eq!(ons + player.refused() + player.gated(), 5000);
    assert_eq!(ons, offs);
}

proptest! {
    #[test]
    fn every_note_on_gets_one_note_off(
        steps in proptest::collection::vec((0u64..50, 0u8..8, 0u64..400, 55u8..65, 1u64..300), 0..200)
    ) {
        let mut player = Player::default();
        let mut down = [false; 128];
        let mut now = 0;
        let mut wrong = 0;
        let mut send = |_: SessionTime, message: ShortMessage| {
            let key = usize::from(message.as_bytes()[1]);
            if down[key] == message.is_note_on() {
                wrong += 1;
            }
            down[key] = message.is_note_on();
        };
        let mut epoch = 1;
        for (wait, what, ahead, key, length) in steps {
            now += wait;
            player.play(at(now), &mut send);
            let command = match what {
                0 => { epoch += 1; PlayerCommand::Cancel { channel: 0, epoch: epoch - 1 } }
                1 => { epoch += 1; struck(key) }
                2 => released(key),
                3 => PlayerCommand::Revise { channel: 0, after: at(now + ahead / 4) },
                4 => manners([Yielding::All, Yielding::Waiting, Yielding::Softly, Yielding::Key][key as usize % 4]),
                _ => planned(epoch, now + ahead, key, length),
            };
            player.command(command, at(now), &mut send);
        }
        player.release(at(now), &mut send);
        prop_assert_eq!(wrong, 0);
        prop_assert!(down.iter().all(|sounds| !sounds));
    }
}
