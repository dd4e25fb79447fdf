//! Broken and odd MIDI files: each is read or refused with one line, without panic, in bounded time.
//!
//! The files are no part of the project: `ANTIPHON_DATA` names the folder that holds `adversarial/`.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use antiphon::midi_file;

/// Where a rule of ours differs from what the manifest counts: file, our number of notes, why.
const OURS: [(&str, usize, &str); 1] =
    [("ok_16_channels.mid", 15, "channel 10 is drums, which are left out; the manifest leaves the number open")];

/// Long enough for a busy machine, short enough to notice a search that is quadratic.
const PATIENCE: Duration = Duration::from_secs(5);

fn adversarial() -> Option<PathBuf> {
    let data = std::env::var_os("ANTIPHON_DATA")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data"), PathBuf::from);
    let folder = data.join("adversarial");
    if folder.is_dir() {
        return Some(folder);
    }
    eprintln!("left out: there is no folder {}; name its parent with ANTIPHON_DATA", folder.display());
    None
}

/// Reads notes and events; `None` when the file is refused.
fn read(path: &Path) -> Option<usize> {
    let begin = Instant::now();
    let notes = midi_file::read_notes(path);
    let events = midi_file::read_events(path);
    assert!(begin.elapsed() < PATIENCE, "{}: took {:?}", path.display(), begin.elapsed());
    match notes {
        Ok(notes) => {
            assert!(notes.is_sorted_by_key(|note| (note.onset, note.key)), "{}", path.display());
            for note in &notes {
                assert!(note.key < 128 && (1..128).contains(&note.velocity), "{}: {note:?}", path.display());
                assert!(note.duration >= midi_file::SHORTEST_NOTE, "{}: {note:?}", path.display());
            }
            let events = events.unwrap();
            assert!(events.is_sorted_by_key(|event| event.time), "{}", path.display());
            Some(notes.len())
        }
        Err(error) => {
            assert!(events.is_err(), "{}: refused as notes but not as events", path.display());
            let message = error.to_string();
            assert!(!message.is_empty() && !message.contains('\n') && message.len() < 200, "{message}");
            println!("{}: {message}", path.file_name().unwrap().display());
            None
        }
    }
}

#[test]
fn every_file_of_the_manifest_is_read_or_refused_as_it_says() {
    let Some(folder) = adversarial() else { return };
    let folder = folder.join("synthetic");
    let manifest: serde_json::Value =
        serde_json::from_slice(&std::fs::read(folder.join("MANIFEST.json")).unwrap()).unwrap();
    let mut wrong = Vec::new();
    for entry in manifest.as_array().unwrap() {
        let name = entry["file"].as_str().unwrap();
        let found = read(&folder.join(name));
        println!("{name}: {found:?}, manifest {} {}", entry["expect"], entry["notes"]);
        let ours = OURS.iter().find(|(file, ..)| *file == name).map(|(_, notes, _)| *notes);
        let expected = ours.or_else(|| entry["notes"].as_u64().map(|notes| usize::try_from(notes).unwrap()));
        let is_right = match (entry["expect"].as_str().unwrap(), found) {
            ("load", Some(notes)) => expected.is_none_or(|expected| expected == notes),
            ("reject", found) => found.is_none(),
            ("either", _) => true,
            _ => false,
        };
        if !is_right {
            wrong.push(format!("{name}: {found:?} instead of {entry}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_other_odd_file_is_read_or_refused_with_one_line() {
    let Some(folder) = adversarial() else { return };
    for set in ["jazz-soft", "midly"] {
        for entry in std::fs::read_dir(folder.join(set)).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_none_or(|extension| extension != "mid") {
                continue;
            }
            let found = read(&path);
            println!("{}: {found:?}", path.file_name().unwrap().display());
        }
    }
}

#[test]
fn every_file_cut_short_anywhere_is_read_or_refused_with_one_line() {
    let Some(folder) = adversarial() else { return };
    let whole = std::fs::read(folder.join("synthetic/ok_baseline.mid")).unwrap();
    for len in 0..whole.len() {
        match midi_file::read_notes_from_bytes(&whole[..len]) {
            Ok(notes) => assert!(notes.len() <= 16),
            Err(error) => assert!(!error.to_string().contains('\n')),
        }
    }
}
