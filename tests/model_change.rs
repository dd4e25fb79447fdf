//! Another model takes over while it plays: by a program change, by SIGHUP; and a broken file leaves the music alone.

mod players;

use std::fs;

use antiphon::midi_file::{Score, Track, write};
use antiphon::time::SessionTime;
use players::{Stage, bundled_model, phrase};

/// A file in which the human plays one note and then presses program 2.
fn note_and_program_change(stage: &Stage) -> String {
    let at = |ms: u64| SessionTime::from_micros(ms * 1000);
    let messages: [(SessionTime, &[u8]); 4] =
        [(at(0), &[0x90, 60, 70]), (at(300), &[0x80, 60, 64]), (at(600), &[0xc0, 1]), (at(700), &[0xc0, 1])];
    let score = Score { tracks: vec![Track::of_messages("You", messages)], ..Score::default() };
    let path = stage.path("program.mid");
    fs::write(&path, write(score).expect("short")).expect("written");
    path.display().to_string()
}

#[test]
fn a_program_change_chooses_the_second_model() {
    let stage = Stage::new();
    fs::copy(bundled_model(), stage.path("second.onnx")).expect("copied");
    let (input, map) = (note_and_program_change(&stage), "pc2=model 2");
    let flags = ["--backend", "none", "--input", &input, "--map", map, "--more-model", "second.onnx"];
    let seen = stage.plays(&flags, &[(r#""event":"model""#, "mode solo")]);
    let change = seen.iter().find(|line| line.contains(r#""event":"model""#)).expect("it took over");
    assert!(change.contains("second.onnx") && change.contains(r#""style":"any""#), "{change}");
    let text = fs::read_to_string(stage.path("AI_generated.session")).expect("written");
    assert!(
        text.contains("model 2\n") && text.lines().any(|line| line.starts_with("m ") && line.ends_with("second.onnx"))
    );
}

#[test]
fn a_broken_model_leaves_the_music_alone() {
    let stage = Stage::new();
    fs::write(stage.path("broken.onnx"), "no model at all").expect("written");
    let lines =
        [(r#""turn":"ai""#, "model 2"), (r#""event":"trouble""#, "model 7"), (r#""event":"trouble""#, "style polka")];
    let flags = ["--backend", "none", "--headless", "--more-model", "broken.onnx"];
    let seen = stage.plays(&flags, &lines);
    let troubles: Vec<_> = seen.iter().filter(|line| line.contains(r#""event":"trouble""#)).collect();
    assert_eq!(troubles.len(), 3, "{troubles:?}");
    assert!(troubles[0].contains("not an ONNX file") && troubles[0].contains("goes on"), "{troubles:?}");
    assert!(troubles[1].contains("there is no model 7"), "{troubles:?}");
    assert!(troubles[2].contains("it knows any, "), "{troubles:?}");
    let last = seen.iter().rposition(|line| line.contains(r#""event":"planned""#)).expect("it plays");
    let refused = seen.iter().rposition(|line| line.contains(r#""event":"trouble""#)).expect("it was refused");
    assert!(last > refused, "it plays on");
}

#[test]
fn a_style_is_set_by_its_name_or_refused_with_those_there_are() {
    let stage = Stage::new();
    let input = phrase();
    let said = |style: &str, code| {
        stage.said(&["jam", "--virtual-time", "--input", &input, "--engine", "embedded", "--set", style], code)
    };
    said("style=chorale", 0);
    let text = fs::read_to_string(stage.path("AI_generated.session")).expect("written");
    assert!(text.contains("set style 1\n"), "{text:.900}");
    for style in ["style=polka", "style=200"] {
        assert!(said(style, 3).contains("it knows any, chorale"), "{style}");
    }
}

#[cfg(unix)]
#[test]
fn sighup_reads_the_model_anew() {
    let stage = Stage::new();
    let model = stage.path("own.onnx");
    fs::copy(bundled_model(), &model).expect("copied");
    let mut session = stage.starts(&["--backend", "none", "--headless", "--model", "own.onnx"]);
    stage.wait_until_said("ready:");
    players::signal(&session, "HUP");
    stage.wait_until_said("now playing: ");
    fs::write(&model, "no model at all").expect("written");
    players::signal(&session, "HUP");
    stage.wait_until_said("own.onnx is not an ONNX file");
    players::signal(&session, "TERM");
    assert!(session.wait().expect("it ends").success());
    // The model is not where it was, but the same is inside the program.
    let said = stage.said(&["replay", "AI_generated.session", "--engine", "embedded", "--check"], 0);
    assert!(said.contains("the same as it was played"), "{said}");
}
