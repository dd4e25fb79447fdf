//! Recorded sessions played again by the built command, and what it says to files that are not whole.

mod players;

use std::fs;

use antiphon::midi_file::read_notes;
use players::{Stage, phrase};

/// Replays the session of the stage twice and demands the same bytes, and the plan as it was played.
fn replays_to_the_byte(stage: &Stage) {
    let mut takes = Vec::new();
    for out in ["one.mid", "two.mid"] {
        let flags = ["replay", "AI_generated.session", "--engine", "embedded", "--check", "--out", out];
        let said = stage.said(&flags, 0);
        assert!(said.contains("the same as it was played"), "{said}");
        takes.push(fs::read(stage.path(out)).expect("written"));
    }
    assert!(takes[0] == takes[1], "the two replays differ");
    let live = read_notes(&stage.path("AI_generated.mid")).expect("whole");
    let again = read_notes(&stage.path("one.mid")).expect("whole");
    assert!(!live.is_empty() && !again.is_empty(), "{} notes live, {} again", live.len(), again.len());
}

/// What was typed while it played, as the session file has it.
fn controls(stage: &Stage) -> Vec<String> {
    let text = fs::read_to_string(stage.path("AI_generated.session")).expect("written");
    let typed = text.lines().filter(|line| line.starts_with("c "));
    typed.map(|line| line.splitn(3, ' ').nth(2).expect("what was typed").to_owned()).collect()
}

#[test]
fn a_live_session_in_respond_comes_out_the_same() {
    let stage = Stage::new();
    let lines = [
        (r#""event":"human_on""#, "patience 0.5"),
        (r#""event":"human_off""#, "answer-seconds 1"),
        (r#""turn":"ai""#, "temperature 1.3"),
        (r#""turn":"human""#, "hand-over"),
        (r#""turn":"ai""#, "style chorale"),
    ];
    stage.plays(&["--backend", "none", "--input", &phrase()], &lines);
    assert_eq!(controls(&stage), lines.map(|(_, typed)| typed));
    replays_to_the_byte(&stage);
}

#[test]
fn a_live_solo_with_another_model_comes_out_the_same() {
    let stage = Stage::new();
    let bundled = players::bundled_model();
    let lines = [
        (r#""event":"planned""#, "style folk"),
        (r#""turn":"ai""#, "model 2"),
        (r#""event":"model""#, "answer-seconds 2"),
        (r#""turn":"human""#, "panic"),
    ];
    stage.plays(&["--backend", "none", "--headless", "--more-model", &bundled], &lines);
    assert_eq!(controls(&stage), lines.map(|(_, typed)| typed));
    replays_to_the_byte(&stage);
}

#[test]
fn a_live_accompaniment_comes_out_the_same() {
    let stage = Stage::new();
    let lines = [
        (r#""turn":"both""#, "lowest-key 60"),
        (r#""event":"planned""#, "mode respond"),
        (r#""event":"human_off""#, "mode accompany"),
        (r#""event":"human_on""#, "barge-in duck"),
    ];
    let input = phrase();
    stage.plays(&["--backend", "none", "--mode", "accompany", "--input", &input], &lines);
    assert_eq!(controls(&stage), lines.map(|(_, typed)| typed));
    replays_to_the_byte(&stage);
}

#[test]
fn a_session_under_virtual_time_is_replayed_to_the_bytes_of_its_take() {
    let stage = Stage::new();
    let input = phrase();
    stage.said(&["jam", "--virtual-time", "--engine", "embedded", "--input", &input, "--seed", "3"], 0);
    replays_to_the_byte(&stage);
    let take = |name| fs::read(stage.path(name)).expect("written");
    assert!(take("AI_generated.mid") == take("one.mid"), "the replay is not the take");
}

/// A short session under virtual time, and the text of its file.
fn recorded(stage: &Stage) -> String {
    stage.said(&["jam", "--virtual-time", "--headless", "--engine", "embedded", "--seconds", "4", "--seed", "3"], 0);
    fs::read_to_string(stage.path("AI_generated.session")).expect("written")
}

#[test]
fn a_file_that_was_cut_is_replayed_up_to_the_cut() {
    let stage = Stage::new();
    let text = recorded(&stage);
    let begin = text.find("begin\n").expect("it has a beginning");
    fs::write(stage.path("cut.session"), &text[..begin + (text.len() - begin) * 2 / 3]).expect("written");
    let said = stage.said(&["replay", "cut.session", "--engine", "embedded"], 0);
    assert!(said.contains("breaks off at") && said.contains("the same as it was played"), "{said}");
    assert!(!read_notes(&stage.path("cut-replay.mid")).expect("whole").is_empty());
    stage.said(&["replay", "cut.session", "--engine", "embedded", "--check"], 9);
}

#[test]
fn a_session_that_came_out_otherwise_is_told_from_one_that_did_not() {
    let stage = Stage::new();
    let other = recorded(&stage).replacen("seed 3", "seed 4", 1);
    fs::write(stage.path("other.session"), other).expect("written");
    let said = stage.said(&["replay", "other.session", "--engine", "embedded"], 0);
    assert!(said.contains("not the same as it was played from 0."), "{said}");
    assert!(stage.said(&["replay", "other.session", "--engine", "embedded", "--check"], 9).contains("not the same"));
}

#[test]
fn damaged_files_and_missing_models_get_one_sentence() {
    let stage = Stage::new();
    let text = recorded(&stage);
    let refused = |text: &str, code: i32| {
        fs::write(stage.path("bad.session"), text).expect("written");
        stage.said(&["replay", "bad.session", "--engine", "embedded"], code).lines().last().expect("said").to_owned()
    };
    assert!(refused("MThd", 8).contains("bad.session is no session file"));
    assert!(refused(&text.replacen("set mode", "set moed", 1), 8).contains("damaged at line 8: "));
    assert!(stage.said(&["replay", "missing.session"], 8).contains("cannot read the session missing.session"));
    assert!(!stage.path("bad-replay.mid").exists(), "nothing is written");

    let digest = text.lines().find_map(|line| line.strip_prefix("model ")?.get(..64)).expect("a model");
    let unknown = text.replacen(digest, &"0".repeat(64), 1);
    let said = refused(&unknown, 3);
    assert!(said.contains("--model") && said.contains("000000000000"), "{said}");
    let bundled = players::bundled_model();
    let flags = ["replay", "bad.session", "--engine", "embedded", "--model", &bundled];
    stage.said(&flags, 3);
    assert!(stage.said(&[&flags[..], &["--other-model"]].concat(), 0).contains("as it was played"));
}

#[cfg(unix)]
#[test]
fn a_session_that_was_killed_is_replayed_up_to_there() {
    let stage = Stage::new();
    let mut session = stage.starts(&["--backend", "none", "--headless"]);
    let file = stage.path("AI_generated.session");
    players::wait_for("lines about the plan", || {
        fs::read_to_string(&file).is_ok_and(|text| text.lines().filter(|line| line.starts_with("= ")).count() >= 2)
    });
    session.kill().expect("it runs");
    session.wait().expect("it ends");
    let said = stage.said(&["replay", "AI_generated.session", "--engine", "embedded"], 0);
    assert!(said.contains("breaks off") && said.contains("the same as it was played"), "{said}");
}

#[test]
fn the_session_file_goes_with_its_take_and_may_be_left_out() {
    let stage = Stage::new();
    let first = recorded(&stage);
    let flags = ["jam", "--virtual-time", "--headless", "--engine", "embedded", "--seconds", "2", "--no-session"];
    stage.said(&flags, 0);
    assert!(!stage.path("AI_generated.session").exists());
    let names = stage.names();
    let aside = names.iter().find(|name| name.starts_with("AI_generated-") && name.ends_with(".session"));
    let aside = aside.unwrap_or_else(|| panic!("no earlier session among {names:?}"));
    assert!(names.contains(&aside.replace(".session", ".mid")), "{names:?}");
    assert_eq!(fs::read_to_string(stage.path(aside)).expect("kept"), first);
}
