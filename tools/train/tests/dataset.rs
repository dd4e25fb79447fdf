//! Folders become styles, splits are by piece.

mod common;

use std::collections::HashSet;
use std::path::PathBuf;

use antiphon_train::dataset::Dataset;
use common::write_tune;

fn names(pieces: &[antiphon_train::dataset::Piece]) -> HashSet<PathBuf> {
    pieces.iter().map(|piece| piece.path.file_name().map(PathBuf::from).unwrap_or_default()).collect()
}

#[test]
fn the_split_is_by_piece_and_the_same_each_time() {
    let folder = tempfile::tempdir().expect("a folder");
    for number in 0..30 {
        write_tune(&folder.path().join(format!("folk/{number}.mid")), number, 20);
    }
    // The same notes under another name are one piece.
    write_tune(&folder.path().join("folk/copy.mid"), 3, 20);
    let read = |seed| Dataset::read(&[folder.path().to_owned()], seed).expect("enough notes");
    let (first, again, other) = (read(1), read(1), read(2));
    assert_eq!((first.training.len(), first.held_out.len(), first.doubles), (27, 3, 1));
    assert_eq!(names(&first.held_out), names(&again.held_out));
    assert_eq!(first.sha256, again.sha256);
    assert_ne!(names(&first.held_out), names(&other.held_out));
    assert!(names(&first.training).is_disjoint(&names(&first.held_out)));
}

#[test]
fn folders_are_styles_and_test_is_never_opened() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name);
    write_tune(&at("loose.mid"), 1, 20);
    write_tune(&at("folk/deep/down/2.MID"), 2, 20);
    write_tune(&at("folk/3.midi"), 3, 20);
    write_tune(&at("adversarial/4.mid"), 4, 20);
    write_tune(&at("chorale/train/5.mid"), 5, 20);
    write_tune(&at("chorale/train/6.mid"), 6, 20);
    write_tune(&at("chorale/valid/7.mid"), 7, 20);
    write_tune(&at("chorale/test/8.mid"), 8, 20);
    std::fs::write(at("folk/broken.mid"), b"no midi at all").expect("written");
    std::fs::write(at("folk/readme.txt"), b"words").expect("written");
    let dataset = Dataset::read(&[folder.path().to_owned()], 1).expect("enough notes");
    assert_eq!(dataset.styles, ["any", "chorale", "folk"]);
    assert_eq!(names(&dataset.held_out), HashSet::from(["7.mid".into()]));
    let training = ["loose.mid", "2.MID", "3.midi", "5.mid", "6.mid"].map(PathBuf::from);
    assert_eq!(names(&dataset.training), HashSet::from(training));
    assert_eq!(dataset.rejects.len(), 1);
    assert!(dataset.report().lines().any(|line| line.starts_with("rejected: ") && line.contains("broken.mid")));
}

#[test]
fn a_split_folder_can_be_named_itself() {
    let folder = tempfile::tempdir().expect("a folder");
    let style = folder.path().join("ragtime");
    write_tune(&style.join("train/1.mid"), 1, 20);
    write_tune(&style.join("train/2.mid"), 2, 20);
    let dataset = Dataset::read(&[style], 1).expect("enough notes");
    assert_eq!(dataset.styles, ["any", "ragtime"]);
    assert_eq!((dataset.training.len(), dataset.held_out.len()), (1, 1));
}

#[test]
fn a_single_piece_is_cut() {
    let folder = tempfile::tempdir().expect("a folder");
    write_tune(&folder.path().join("one.mid"), 1, 40);
    let dataset = Dataset::read(&[folder.path().to_owned()], 1).expect("enough notes");
    assert_eq!((dataset.training[0].notes.len(), dataset.held_out[0].notes.len()), (36, 4));
    assert!(dataset.cut_one_piece);
}

#[test]
fn every_odd_file_is_learnt_from_or_left_out_with_one_line() {
    let folder = tempfile::tempdir().expect("a folder");
    write_tune(&folder.path().join("whole.mid"), 1, 40);
    let whole = std::fs::read(folder.path().join("whole.mid")).expect("written");
    // Cut short and spoilt at every place: 900 files of all degrees of damage.
    for place in 0..whole.len() {
        std::fs::write(folder.path().join(format!("cut-{place}.mid")), &whole[..place]).expect("written");
        let mut spoilt = whole.clone();
        spoilt[place] ^= 0xFF;
        std::fs::write(folder.path().join(format!("spoilt-{place}.mid")), spoilt).expect("written");
    }
    // The files that came from elsewhere are no part of the project.
    let shared = std::env::var_os("ANTIPHON_DATA").map_or_else(|| "../../../shared/data".into(), PathBuf::from);
    for folder in [folder.path().to_owned(), shared.join("adversarial")] {
        if !folder.is_dir() {
            eprintln!("left out: there is no folder {}; name its parent with ANTIPHON_DATA", folder.display());
            continue;
        }
        let dataset = Dataset::read(&[folder], 1).expect("enough notes");
        let pieces = dataset.training.len() + dataset.held_out.len();
        assert_eq!(pieces + dataset.doubles + dataset.rejects.len(), dataset.files);
        assert!(!dataset.rejects.is_empty() && !dataset.damaged.is_empty());
        let report = dataset.report();
        for (kind, files) in [("rejected: ", &dataset.rejects), ("read in part: ", &dataset.damaged)] {
            assert_eq!(report.lines().filter(|line| line.starts_with(kind)).count(), files.len(), "{report}");
            assert!(files.iter().all(|file| !file.why.is_empty() && !file.why.contains('\n')), "{report}");
        }
    }
}
