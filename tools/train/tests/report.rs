//! What a run leaves to look at: the loss curve and the HTML report.

mod common;

use std::path::Path;
use std::process::{Command, Output};

use antiphon::midi_file::read_notes_from_bytes;
use antiphon::note_model::BitsPerNote;
use antiphon_train::curve::{self, Point};
use antiphon_train::picture::{alone, escape, piano_roll};
use base64::Engine as _;
use common::{tune, write_tune};

fn train(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_antiphon-train"));
    command.current_dir(folder).env_remove("ORT_DYLIB_PATH").args(arguments);
    command.env("XDG_CACHE_HOME", folder.join("cache"));
    if !arguments.contains(&"--resume") {
        command.args(["--hidden", "16", "--head", "8", "--batch", "16", "--sequence", "16"]);
    }
    let output = command.output().expect("the command starts");
    let text = String::from_utf8_lossy(&[output.stdout.as_slice(), &output.stderr].concat()).into_owned();
    assert!(output.status.success(), "{text}");
    output
}

fn songs() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for number in 0..5 {
        write_tune(&folder.path().join(format!("mid_songs/<folk>/{number} & co.mid")), number, 60);
    }
    std::fs::write(folder.path().join("mid_songs/broken.mid"), b"<b>").expect("written");
    folder
}

/// Every element that is opened is closed, in order.
fn assert_well_formed(text: &str) {
    let mut open: Vec<&str> = Vec::new();
    for tag in text.split('<').skip(1) {
        let (tag, _) = tag.split_once('>').expect("a tag ends");
        let name = tag.split_whitespace().next().unwrap_or_default();
        if let Some(closed) = name.strip_prefix('/') {
            assert_eq!(open.pop(), Some(closed), "in {tag}");
        } else if !tag.ends_with('/') && !["!doctype", "meta", "?xml"].contains(&name) {
            open.push(name);
        }
    }
    assert!(open.is_empty(), "{open:?} not closed");
}

#[test]
fn a_run_leaves_a_curve_and_a_page_that_need_nothing_else() {
    let folder = songs();
    train(folder.path(), &["--epochs", "3"]);
    let read = |name: &str| std::fs::read_to_string(folder.path().join("models").join(name)).expect(name);

    let csv = read("antiphon-curve.csv");
    let rows: Vec<Vec<&str>> = csv.lines().map(|line| line.split(',').collect()).collect();
    assert_eq!(
        rows[0],
        ["step", "minutes", "notes", "training_bits", "shift", "key", "duration", "velocity", "sum", "rate"]
    );
    assert_eq!(rows.len(), 2, "one look at the end: {csv}");
    let numbers: Vec<f64> = rows[1].iter().map(|cell| cell.parse().expect("a number")).collect();
    assert!((numbers[4..8].iter().sum::<f64>() - numbers[8]).abs() < 1e-3, "{csv}");

    let svg = read("antiphon-curve.svg");
    assert_well_formed(&svg);
    assert!(svg.contains("xmlns=\"http://www.w3.org/2000/svg\"") && svg.contains("held out"), "{svg}");

    let page = read("antiphon.html");
    assert_well_formed(&page);
    for foreign in ["http:", "https:", "<script", "<link", "<img", "@import", "url("] {
        assert!(!page.contains(foreign), "{foreign}");
    }
    for expected in ["&lt;folk&gt;", "broken.mid ", "prefers-color-scheme:dark", "--epochs 3", "co.mid"] {
        assert!(page.contains(expected), "{expected}");
    }
    let sampled: Vec<&str> = page.split("data:audio/midi;base64,").skip(1).collect();
    assert_eq!(sampled.len(), 1, "one held-out piece");
    let encoded = sampled[0].split('"').next().expect("the link ends");
    let midi = base64::engine::general_purpose::STANDARD.decode(encoded).expect("base64");
    assert_eq!(read_notes_from_bytes(&midi).expect("a MIDI file").len(), 30 + 80);
}

#[test]
fn a_resumed_run_goes_on_with_its_curve() {
    let folder = songs();
    let csv = || std::fs::read_to_string(folder.path().join("models/antiphon-curve.csv")).expect("a curve");
    train(folder.path(), &["--epochs", "2"]);
    let before = csv();
    train(folder.path(), &["--resume", "--epochs", "4"]);
    let after = csv();
    assert!(after.starts_with(&before) && after.lines().count() == 3, "{before}{after}");
    let steps: Vec<u64> =
        after.lines().skip(1).map(|line| line.split(',').next().expect("a step").parse().expect("a number")).collect();
    assert!(steps.is_sorted_by(|a, b| a < b), "{steps:?}");
}

#[test]
fn no_report_leaves_only_model_and_checkpoint() {
    let folder = songs();
    train(folder.path(), &["--epochs", "1", "--no-report"]);
    let entries = std::fs::read_dir(folder.path().join("models")).expect("a folder");
    let mut names: Vec<_> = entries.map(|entry| entry.expect("an entry").file_name()).collect();
    names.sort();
    assert_eq!(names, ["antiphon.checkpoint", "antiphon.onnx"]);
}

#[test]
fn pictures_are_well_formed_whatever_they_show() {
    let point = |step: u64, sum: f64| Point {
        step,
        seconds: 1.0,
        notes: step,
        training: None,
        held_out: BitsPerNote::from_parts([sum; 4]),
        rate: 1e-3,
        is_best: true,
    };
    for points in [vec![], vec![point(0, 3.0)], vec![point(0, 3.0), point(9, 3.0)], vec![point(1, f64::NAN)]] {
        let picture = alone(&curve::picture(&points));
        assert_well_formed(&picture);
        assert!(!picture.contains("NaN") && !picture.contains("inf"), "{picture}");
    }
    let notes = tune(1, 40);
    for (prime, answer) in [(&notes[..0], &notes[..0]), (&notes[..1], &notes[..0]), (&notes[..20], &notes[20..])] {
        let picture = alone(&piano_roll(prime, answer));
        assert_well_formed(&picture);
        assert_eq!(picture.matches("class=\"answer\"").count(), answer.len());
        assert!(!picture.contains("NaN") && !picture.contains("inf"), "{picture}");
    }
    assert_eq!(escape("<a & \"b\">\u{1}"), "&lt;a &amp; &quot;b&quot;&gt; ");
}
