//! Small MIDI files and folders of them, written by the tests that need them.
#![allow(dead_code, reason = "each test file uses its own part")]

use std::path::Path;

use antiphon::note::Note;
use antiphon::note_model::Sizes;
use antiphon::time::{SessionDuration, SessionTime};
use antiphon_train::config::Config;
use antiphon_train::dataset::{Dataset, Piece};
use antiphon_train::random::Draws;

/// A tune of `count` notes, another for each number.
pub fn tune(number: u64, count: usize) -> Vec<Note> {
    let mut draws = Draws::new(number, 77);
    let mut onset = 0;
    let mut key = 60i32;
    (0..count)
        .map(|_| {
            onset += [125_000, 250_000, 250_000, 500_000][draws.below(4)];
            key = (key + [-4, -2, -1, 1, 2, 3, 5][draws.below(7)]).clamp(48, 84);
            Note {
                onset: SessionTime::from_micros(onset),
                key: u8::try_from(key).expect("in range"),
                duration: SessionDuration::from_millis(200),
                velocity: u8::try_from(50 + draws.below(40)).expect("in range"),
            }
        })
        .collect()
}

/// The notes as a format 0 MIDI file with one tick a millisecond.
pub fn midi_bytes(notes: &[Note]) -> Vec<u8> {
    let mut events: Vec<(u64, [u8; 3])> = Vec::new();
    for note in notes {
        let ms = |time: SessionTime| time.as_micros() / 1000;
        events.push((ms(note.onset), [0x90, note.key, note.velocity]));
        events.push((ms(note.end()), [0x80, note.key, 0]));
    }
    events.sort_by_key(|(time, event)| (*time, event[0]));
    let mut track = Vec::new();
    let mut now = 0;
    for (time, event) in events {
        let delta = u32::try_from(time - now).expect("short");
        now = time;
        let groups = [delta >> 14, delta >> 7, delta].map(|part| u8::try_from(part & 127).expect("seven bits"));
        track.extend_from_slice(&[groups[0] | 128, groups[1] | 128, groups[2]]);
        track.extend_from_slice(&event);
    }
    track.extend_from_slice(&[0, 0xff, 0x2f, 0]);
    let mut file = b"MThd\x00\x00\x00\x06\x00\x00\x00\x01".to_vec();
    file.extend_from_slice(&500u16.to_be_bytes());
    file.extend_from_slice(b"MTrk");
    file.extend_from_slice(&u32::try_from(track.len()).expect("short").to_be_bytes());
    file.extend_from_slice(&track);
    file
}

/// Writes tune `number` into the file, with its folders.
pub fn write_tune(path: &Path, number: u64, count: usize) {
    std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder to write in");
    std::fs::write(path, midi_bytes(&tune(number, count))).expect("a file to write");
}

/// A data set of one style with `pieces` tunes, the first held out.
pub fn dataset(pieces: u64, notes: usize) -> Dataset {
    let piece = |number| Piece::from_notes(format!("{number}.mid").into(), 1, tune(number, notes));
    Dataset {
        styles: vec!["any".into(), "tune".into()],
        training: (1..pieces).map(piece).collect(),
        held_out: vec![piece(0)],
        ..Dataset::default()
    }
}

/// Settings of a network that trains in a moment.
pub fn small_config() -> Config {
    Config {
        sizes: Sizes { layers: 2, hidden: 24, head: 16 },
        sequence: 16,
        batch: 40,
        rate: 0.01,
        dropout: 0.1,
        threads: 2,
        average: 0.9,
        ..Config::default()
    }
}
