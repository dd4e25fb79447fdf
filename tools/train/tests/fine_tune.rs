//! Going on from an exported model, on own songs and on recorded sessions.

mod common;

use std::path::Path;
use std::process::{Command, Output};

use antiphon::midi_file::{Score, Track, write};
use antiphon_train::dataset::Dataset;
use antiphon_train::network::Layout;
use antiphon_train::start::Start;
use common::{tune, write_tune};

fn train(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_antiphon-train"));
    command.current_dir(folder).env_remove("ORT_DYLIB_PATH").args(arguments);
    command.env("XDG_CACHE_HOME", folder.join("cache"));
    command.args(["--batch", "16", "--sequence", "16"]).output().expect("the command starts")
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&[output.stdout.as_slice(), &output.stderr].concat()).into_owned()
}

/// A folder with a model trained on folk/, and songs of another style to go on with.
fn folder_with_a_model() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for number in 0..5 {
        write_tune(&folder.path().join(format!("mid_songs/folk/{number}.mid")), number, 60);
        write_tune(&folder.path().join(format!("mine/evening/{number}.mid")), 50 + number, 60);
    }
    let output = train(folder.path(), &["--hidden", "16", "--head", "8", "--epochs", "1"]);
    assert!(output.status.success(), "{}", text(&output));
    folder
}

fn read(folder: &Path, model: &str) -> Start {
    Start::read(&folder.join(model)).expect("a model")
}

#[test]
fn own_songs_go_on_from_a_model_and_it_is_said_whether_that_helped() {
    let folder = folder_with_a_model();
    let folder = folder.path();
    let bundled = std::fs::read(folder.join("models/antiphon.onnx")).expect("a model");
    // The tunes are alike and the model hardly trained: a high rate must help.
    let arguments = ["mine", "--from", "models/antiphon.onnx", "--epochs", "60", "--rate", "0.01"];
    let output = train(folder, &arguments);
    let said = text(&output);
    assert!(output.status.success(), "{said}");
    for expected in ["starting from models/antiphon.onnx", "before  ", "after   ", "fine-tuning helped: "] {
        assert!(said.contains(expected), "{expected}: {said}");
    }
    assert_eq!(std::fs::read(folder.join("models/antiphon.onnx")).expect("a model"), bundled);
    let tuned = read(folder, "models/mine.onnx");
    assert_eq!(tuned.description.styles, ["any", "folk", "evening"]);
    assert_eq!(tuned.description.training["from"], "antiphon.onnx");

    let resumed = train(folder, &["mine", "--from", "models/antiphon.onnx", "--resume", "--epochs", "61"]);
    assert!(resumed.status.success() && text(&resumed).contains("going on from step"), "{}", text(&resumed));
    std::fs::copy(folder.join("models/mine.onnx"), folder.join("models/antiphon.onnx")).expect("copied");
    let other = train(folder, &["mine", "--from", "models/antiphon.onnx", "--resume", "--epochs", "62"]);
    assert_eq!(other.status.code(), Some(4));
    assert!(text(&other).contains("models/antiphon.onnx has changed since"), "{}", text(&other));
}

#[test]
fn where_it_does_not_help_the_start_models_weights_are_kept() {
    let folder = folder_with_a_model();
    let folder = folder.path();
    // A model that knows these tunes, and a rate at which it forgets them.
    let knows = ["mine", "--retrain", "--epochs", "150", "--rate", "0.01", "--hidden", "16", "--head", "8"];
    assert!(train(folder, &knows).status.success());
    let arguments = ["mine", "--from", "models/antiphon.onnx", "--epochs", "9", "--rate", "1", "--model", "new.onnx"];
    let output = train(folder, &arguments);
    assert!(output.status.success(), "{}", text(&output));
    assert!(text(&output).contains("fine-tuning did not help"), "{}", text(&output));
    let (before, after) = (read(folder, "models/antiphon.onnx"), read(folder, "new.onnx"));
    let layout = Layout::new(before.description.sizes, after.description.styles.len());
    assert!(before.values(&layout) == after.values(&layout));
}

#[test]
fn a_new_style_begins_as_any_and_all_else_is_the_files() {
    let folder = folder_with_a_model();
    let start = read(folder.path(), "models/antiphon.onnx");
    let own = Layout::new(start.description.sizes, 2);
    let wider = Layout::new(start.description.sizes, 4);
    let (own_values, values) = (start.values(&own), start.values(&wider));
    for ((name, slot), (_, wide)) in own.named().into_iter().zip(wider.named()) {
        let (old, new) = (slot.of(&own_values), wide.of(&values));
        assert_eq!(old, &new[..old.len()], "{name}");
        for row in new[old.len()..].chunks(wide.cols) {
            assert_eq!(row, &old[..wide.cols], "{name}: a new style is a copy of any");
        }
    }
}

#[test]
fn flags_that_contradict_the_model_are_refused() {
    let folder = folder_with_a_model();
    let cases: [(&[&str], i32, &str); 5] = [
        (&["--hidden", "32"], 2, "--hidden 32 contradicts models/antiphon.onnx, which has 16"),
        (&["--model", "models/antiphon.onnx"], 2, "is not overwritten; name another file with --model"),
        (&["--model", "./models/../models/antiphon.onnx", "--retrain"], 2, "is not overwritten"),
        (&["--from", "mine/evening/1.mid"], 4, "is not an ONNX file"),
        (&["--from", "models/none.onnx"], 4, "cannot start from models/none.onnx: "),
    ];
    for (flags, code, expected) in cases {
        let mut arguments = vec!["mine"];
        if flags[0] != "--from" {
            arguments.extend(["--from", "models/antiphon.onnx"]);
        }
        arguments.extend(flags);
        let output = train(folder.path(), &arguments);
        assert_eq!(output.status.code(), Some(code), "{flags:?}: {}", text(&output));
        assert!(text(&output).contains(expected), "{flags:?}: {}", text(&output));
    }
}

#[test]
fn of_a_recorded_session_only_the_player_is_learnt() {
    let folder = tempfile::tempdir().expect("a folder");
    let (player, answer) = (tune(1, 30), tune(2, 50));
    let tracks = vec![Track::of_notes("You", &player, 0), Track::of_notes("Antiphon", &answer, 0)];
    let session = write(Score { tracks, ..Score::default() }).expect("a file");
    std::fs::write(folder.path().join("AI_generated.mid"), session).expect("written");
    // A song may well have one track of that name.
    let tracks = vec![Track::of_notes("Antiphon", &answer, 0)];
    let song = write(Score { tracks, ..Score::default() }).expect("a file");
    std::fs::write(folder.path().join("song.mid"), song).expect("written");
    let tracks = vec![Track::of_notes("You", &[], 0), Track::of_notes("Antiphon", &player, 0)];
    let silent = write(Score { tracks, ..Score::default() }).expect("a file");
    std::fs::write(folder.path().join("silent.mid"), silent).expect("written");

    let dataset = Dataset::read(&[folder.path().to_owned()], 1).expect("enough notes");
    let mut counts: Vec<usize> =
        dataset.training.iter().chain(&dataset.held_out).map(|piece| piece.notes.len()).collect();
    counts.sort_unstable();
    assert_eq!(counts, [30, 50]);
    let report = dataset.report();
    assert!(report.contains("1 of the pieces are recorded sessions"), "{report}");
    assert!(report.contains("silent.mid holds no notes of the player"), "{report}");
}
