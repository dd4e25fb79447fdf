//! What is drawn, letter by letter.

use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use serde_json::json;

use super::*;
use crate::figures::Report;
use crate::monitor::link::Word;
use crate::monitor::scene::tests::{scene, sights};
use crate::status::Status;
use crate::time::SessionTime;

const PLACE: &str = "127.0.0.1:7272";

fn drawn(scene: &Scene, hands: &mut Hands, look: Look, (width, height): (u16, u16), here: Instant) -> Vec<String> {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).expect("it cannot fail");
    terminal.draw(|frame| draw(frame.buffer_mut(), scene, hands, look, PLACE, here)).expect("it cannot fail");
    let buffer = terminal.backend().buffer();
    let line = |y| (0..width).map(|x| buffer[(x, y)].symbol()).collect::<String>();
    (0..height).map(|y| line(y).trim_end().to_owned()).collect()
}

fn plain() -> Look {
    Look::of(|name| matches!(name, "NO_COLOR").then(|| "1".to_owned()).or((name == "LANG").then(|| "C".to_owned())))
}

fn playing(here: Instant) -> Scene {
    let status = Status::default();
    for late_us in [0, 10, 20, 1500] {
        status.figures.note_left(SessionTime::ZERO, SessionTime::from_micros(late_us));
    }
    let figures = Report::new(&status);
    let mut scene = scene(
        here,
        json!([
            { "event": "human_on", "at": 97.0, "channel": 1, "key": 60, "velocity": 70 },
            { "event": "human_off", "at": 97.5, "channel": 1, "key": 60 },
            { "event": "turn", "at": 98.0, "turn": "ai" },
            { "event": "ai_on", "at": 99.0, "channel": 1, "key": 64, "velocity": 70 },
            { "event": "planned", "at": 99.0, "channel": 1, "answer": 3, "onset": 101.0, "key": 67, "velocity": 70, "duration": 0.5 },
        ]),
    );
    scene.take_in(here, Word::Sights(json!({ "now": 100.0, "sights": [], "figures": figures, "losses": "" })));
    scene
}

#[test]
fn eighty_by_twenty_four_shows_turn_roll_plan_figures_settings_and_keys() {
    let here = Instant::now();
    let lines = drawn(&playing(here), &mut Hands::default(), plain(), (80, 24), here);
    assert_eq!(lines[0], " Antiphon answers   respond - style any - antiphon.onnx           127.0.0.1:7272");
    let rows = |sign: char| lines[1..12].iter().position(|line| line.contains(sign));
    assert!(rows('-') < rows('=') && rows('=') < rows('#'), "high keys above low ones: {lines:#?}");
    assert!(lines[12].starts_with("   ## you 13   == Antiphon 35   -- planned"), "{}", lines[12]);
    assert!(lines[12].ends_with("on time 75.00 %   p99 1.500 ms"), "{}", lines[12]);
    let titles = "- 1 Settings - 2 Timing - 3 Ports - 4 Knobs - 5 Takes - 6 Models ---";
    assert!(lines[13].starts_with(titles), "{}", lines[13]);
    assert!(lines[14].starts_with("> mode                  respond"), "{}", lines[14]);
    assert!(lines[23].starts_with(" h hand over  t take back  p panic  s split take  m mode  ? help"), "{}", lines[23]);
}

#[test]
fn a_take_that_plays_has_its_own_sign_in_roll_and_legend() {
    let here = Instant::now();
    let mut scene = playing(here);
    let sights = json!([
        { "event": "playback", "at": 99.5, "take": "old.mid" },
        { "event": "replayed_on", "at": 99.5, "channel": 1, "key": 62, "velocity": 70 },
    ]);
    scene.take_in(here, Word::Sights(json!({ "now": 100.0, "sights": sights })));
    let lines = drawn(&scene, &mut Hands::default(), plain(), (80, 24), here);
    assert!(lines[0].starts_with(" A take plays "), "{}", lines[0]);
    assert!(lines[12].contains("   ++ a take"), "{}", lines[12]);
    assert!(lines[1..12].iter().any(|line| line.contains("+++")), "{lines:#?}");
    let over = json!([{ "event": "playback", "at": 100.0, "take": null }]);
    scene.take_in(here, Word::Sights(json!({ "now": 100.0, "sights": over })));
    let lines = drawn(&scene, &mut Hands::default(), plain(), (80, 24), here);
    assert!(lines[0].starts_with(" Antiphon answers ") && !lines[12].contains("++"), "{lines:#?}");
}

#[test]
fn a_connection_that_is_not_there_says_why_and_what_to_do() {
    let here = Instant::now();
    let mut scene = playing(here);
    let why = "nothing answers at 127.0.0.1:7272 (connection refused): start `antiphon jam`";
    scene.take_in(here, Word::Down(why.into()));
    let lines = drawn(&scene, &mut Hands::default(), plain(), (60, 24), here);
    assert!(lines[0].starts_with(" not connected "), "{}", lines[0]);
    let all = lines.join(" ");
    for part in ["start `antiphon", "connection refused", "trying again"] {
        assert!(all.contains(part), "{part}: {lines:#?}");
    }
}

#[test]
fn each_pane_shows_its_own() {
    let here = Instant::now();
    let mut scene = playing(here);
    scene.take_in(
        here,
        Word::Takes(json!([{ "name": "AI_generated.mid", "bytes": 1, "notes": 47, "milliseconds": 83_000,
            "modified": 1_700_000_000, "recording": true }])),
    );
    let mut hands = Hands::default();
    for (key, wanted) in [
        ('1', "patience-floor"),
        ('2', "planned to sent"),
        ('3', "from Keystation"),
        ('4', "cc20"),
        ('5', "47 notes, 1:23"),
        ('6', "antiphon.onnx                          plays now"),
    ] {
        hands.press(KeyEvent::new(KeyCode::Char(key), KeyModifiers::NONE), &scene);
        let lines = drawn(&scene, &mut hands, plain(), (80, 40), here);
        assert!(lines.iter().any(|line| line.contains(wanted)), "{key}: {lines:#?}");
    }
    let wide = drawn(&scene, &mut hands, plain(), (140, 40), here);
    assert!(wide.iter().any(|line| line.contains("planned to sent")), "the figures beside it: {wide:#?}");
}

#[test]
fn what_is_typed_learnt_or_wrong_stands_where_the_keys_were() {
    let here = Instant::now();
    let mut scene = playing(here);
    let mut hands = Hands::default();
    let last = |scene: &Scene, hands: &mut Hands| drawn(scene, hands, plain(), (80, 24), here)[23].clone();
    scene.complain(here, "patience cannot be 30");
    assert_eq!(last(&scene, &mut hands), " patience cannot be 30");
    let learning =
        json!([{ "event": "controllers", "learning": "patience", "waits_for": "a knob", "map": [], "change": null }]);
    scene.take_in(here, sights(100.0, learning));
    assert!(last(&scene, &mut hands).contains("waiting for a knob that shall be patience"));
    for key in [KeyCode::Enter, KeyCode::Char('s')] {
        hands.press(KeyEvent::new(key, KeyModifiers::NONE), &scene);
    }
    assert!(last(&scene, &mut hands).starts_with(" mode: s"));
}

#[test]
fn every_size_is_drawn_without_a_panic() {
    let here = Instant::now();
    let mut down = playing(here);
    down.take_in(here, Word::Down("gone, for a reason that needs more than a line to be told".into()));
    for scene in [Scene::default(), playing(here), down] {
        for look in [plain(), Look::best()] {
            for pane in Pane::ALL {
                for help in [false, true] {
                    let mut hands = Hands::default();
                    (hands.pane, hands.help) = (pane, help);
                    for width in [1, 2, 5, 20, 40, 79, 80, 124, 200] {
                        for height in [1, 2, 3, 4, 6, 8, 10, 11, 12, 24, 60] {
                            drawn(&scene, &mut hands, look, (width, height), here);
                        }
                    }
                }
            }
        }
    }
}
