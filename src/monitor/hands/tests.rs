//! What keys ask for.

use std::time::Instant;

use serde_json::json;

use super::*;
use crate::monitor::link::Word;
use crate::monitor::scene::tests::{scene, sights};

fn press(hands: &mut Hands, scene: &Scene, code: KeyCode) -> Outcome {
    hands.press(KeyEvent::new(code, KeyModifiers::NONE), scene)
}

fn line(outcome: &Outcome) -> &str {
    match outcome {
        Outcome::Wish(Wish::Control(line)) => line,
        other => panic!("{other:?}"),
    }
}

fn choose(hands: &mut Hands, scene: &Scene, name: &str) {
    press(hands, scene, KeyCode::Home);
    let place = scene.settings.iter().position(|row| row.name == name).expect("known");
    for _ in 0..place {
        press(hands, scene, KeyCode::Down);
    }
}

#[test]
fn keys_ask_for_actions() {
    let scene = scene(Instant::now(), json!([]));
    let mut hands = Hands::default();
    for (key, wanted) in [
        ('h', "hand-over"),
        ('t', "take-back"),
        ('p', "panic"),
        ('s', "split-take"),
        ('b', "play-take"),
        ('m', "mode accompany"),
        ('l', "learn mode"),
    ] {
        assert_eq!(line(&press(&mut hands, &scene, KeyCode::Char(key))), wanted);
    }
    assert_eq!(press(&mut hands, &scene, KeyCode::Char('q')), Outcome::Leave);
    let held = |key| KeyEvent::new(KeyCode::Char(key), KeyModifiers::CONTROL);
    assert_eq!(hands.press(held('c'), &scene), Outcome::Leave);
    assert_eq!(hands.press(held('z'), &scene), Outcome::Suspend);
    assert_eq!(hands.press(held('p'), &scene), Outcome::Stay, "panic is p alone");
    press(&mut hands, &scene, KeyCode::Char('?'));
    assert!(hands.help);
    assert_eq!(
        press(&mut hands, &scene, KeyCode::Char('p')),
        Outcome::Stay,
        "any key closes the help, and does no more"
    );
}

#[test]
fn arrows_move_settings_by_steps_that_read_well_and_stop_at_the_ends() {
    let here = Instant::now();
    let mut scene = scene(here, json!([]));
    let mut hands = Hands::default();
    for (name, at, right, left) in [
        ("mode", "respond", Some("accompany"), None),
        ("patience", "1.5", Some("1.6"), Some("1.4")),
        ("patience", "9.97", Some("10"), Some("9.9")),
        ("temperature", "1", Some("1.05"), Some("0.95")),
        ("temperature", "4", None, Some("3.8")),
        ("density", "50", Some("52"), Some("48")),
        ("top-p", "0.97", Some("0.98"), Some("0.96")),
        ("polyphony", "1", Some("2"), None),
        ("style", "0", Some("folk"), None),
        ("style", "folk", Some("chorale"), Some("any")),
        ("style", "2", None, Some("folk")),
    ] {
        scene.take_in(
            here,
            sights(100.0, json!([{ "event": "control", "at": 1.0, "control": format!("{name} {at}") }])),
        );
        choose(&mut hands, &scene, name);
        for (key, wanted) in [(KeyCode::Right, right), (KeyCode::Left, left)] {
            let outcome = press(&mut hands, &scene, key);
            match wanted {
                Some(wanted) => assert_eq!(line(&outcome), format!("{name} {wanted}"), "from {at}"),
                None => assert_eq!(outcome, Outcome::Stay, "{name} {at}"),
            }
        }
    }
    choose(&mut hands, &scene, "temperature");
    assert_eq!(line(&press(&mut hands, &scene, KeyCode::Backspace)), "temperature 1");
    for row in &scene.settings {
        // Whatever the daemon is asked for, it takes.
        for steps in [-10, -1, 1, 10] {
            if let Some(value) = stepped(row, &scene, steps).filter(|_| row.name != "style") {
                crate::control::Control::parse(&format!("{} {value}", row.name)).expect("a value of it");
            }
        }
    }
}

#[test]
fn a_value_can_be_typed_and_typing_presses_no_other_key() {
    let scene = scene(Instant::now(), json!([]));
    let mut hands = Hands::default();
    choose(&mut hands, &scene, "patience");
    press(&mut hands, &scene, KeyCode::Enter);
    for letter in "2.5pq".chars() {
        assert_eq!(press(&mut hands, &scene, KeyCode::Char(letter)), Outcome::Stay);
    }
    press(&mut hands, &scene, KeyCode::Backspace);
    press(&mut hands, &scene, KeyCode::Backspace);
    assert_eq!(line(&press(&mut hands, &scene, KeyCode::Enter)), "patience 2.5");
    press(&mut hands, &scene, KeyCode::Enter);
    assert_eq!(press(&mut hands, &scene, KeyCode::Esc), Outcome::Stay, "leaves the typing, not the monitor");
    press(&mut hands, &scene, KeyCode::Enter);
    assert_eq!(press(&mut hands, &scene, KeyCode::Enter), Outcome::Stay, "nothing typed");
}

#[test]
fn ports_are_attached_and_detached_knobs_forgotten_and_takes_deleted_after_a_yes() {
    let here = Instant::now();
    let mut scene = scene(here, json!([]));
    scene.take_in(
        here,
        Word::Takes(json!([
            { "name": "AI_generated.mid", "bytes": 1, "notes": 2, "milliseconds": 3, "modified": 4, "recording": true },
            { "name": "old.mid", "bytes": 1, "notes": 2, "milliseconds": 3, "modified": 4, "recording": false },
        ])),
    );
    let mut hands = Hands::default();
    let cable = |direction, name: &str, wanted| Outcome::Wish(Wish::Cable { direction, name: name.into(), wanted });
    press(&mut hands, &scene, KeyCode::Char('3'));
    assert_eq!(press(&mut hands, &scene, KeyCode::Enter), cable(Direction::From, "Key", false));
    press(&mut hands, &scene, KeyCode::End);
    assert_eq!(press(&mut hands, &scene, KeyCode::Enter), cable(Direction::To, "Juno", true));
    press(&mut hands, &scene, KeyCode::Tab);
    assert_eq!(line(&press(&mut hands, &scene, KeyCode::Char('x'))), "forget cc20");
    press(&mut hands, &scene, KeyCode::Tab);
    assert_eq!(press(&mut hands, &scene, KeyCode::Char('x')), Outcome::Stay);
    assert_eq!(hands.deleting, None, "the one that is recorded");
    press(&mut hands, &scene, KeyCode::Down);
    assert_eq!(line(&press(&mut hands, &scene, KeyCode::Enter)), "play-take old.mid");
    scene.take_in(here, sights(100.0, json!([{ "event": "playback", "at": 1.0, "take": "old.mid" }])));
    for key in [KeyCode::Enter, KeyCode::Char('b')] {
        assert_eq!(line(&press(&mut hands, &scene, key)), "stop-take");
    }
    press(&mut hands, &scene, KeyCode::Char('x'));
    assert_eq!(press(&mut hands, &scene, KeyCode::Char('n')), Outcome::Stay);
    press(&mut hands, &scene, KeyCode::Char('x'));
    assert_eq!(press(&mut hands, &scene, KeyCode::Char('y')), Outcome::Wish(Wish::Delete("old.mid".into())));
}

#[test]
fn a_model_is_chosen_by_the_line_that_chooses_it() {
    let scene = scene(Instant::now(), json!([]));
    let mut hands = Hands::default();
    press(&mut hands, &scene, KeyCode::Char('6'));
    assert_eq!(line(&press(&mut hands, &scene, KeyCode::Enter)), "model 1");
    press(&mut hands, &scene, KeyCode::Down);
    assert_eq!(line(&press(&mut hands, &scene, KeyCode::Enter)), "model jazz.onnx");
    assert_eq!(press(&mut hands, &scene, KeyCode::Char('r')), Outcome::Wish(Wish::Look(List::Models)));
}
