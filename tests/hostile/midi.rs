//! Files under a `.mid` name that a careless or hostile hand could have made. All of them are made here.

use std::path::{Path, PathBuf};

/// What a reader has to do with a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It holds music that must be found.
    Read,
    /// Nothing in it can be used.
    Refused,
    /// Read or refused: nobody can say which is right.
    Either,
}

use Fate::{Either, Read, Refused};

/// A note of 10 ticks.
const NOTE: [u8; 8] = [0, 0x90, 60, 64, 10, 0x80, 60, 0];

/// Ends a track.
const END: [u8; 4] = [0, 0xFF, 0x2F, 0];

/// Notes of the largest files: what a machine writes and no hand plays.
const VERY_MANY: usize = 1_000_000;

fn chunk(id: &[u8; 4], length: usize, content: &[u8]) -> Vec<u8> {
    [&id[..], &u32::try_from(length).expect("a short chunk").to_be_bytes(), content].concat()
}

fn header(format: u8, tracks: u16, [high, low]: [u8; 2]) -> Vec<u8> {
    let [first, second] = tracks.to_be_bytes();
    chunk(b"MThd", 6, &[0, format, first, second, high, low])
}

fn track(content: &[u8]) -> Vec<u8> {
    let ended = [content, &END].concat();
    chunk(b"MTrk", ended.len(), &ended)
}

/// A sound file of one track at 100 ticks a quarter note.
fn song(content: &[u8]) -> Vec<u8> {
    [header(0, 1, [0, 100]), track(content)].concat()
}

/// The same with another header.
fn under(header: &[u8]) -> Vec<u8> {
    [header, &track(&NOTE)].concat()
}

/// Bytes that look random and are the same each time.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9E37_79B9_u32;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state.to_be_bytes()[0]
    };
    (0..length).map(|_| next()).collect()
}

/// All of them: a name, the bytes, and what is to become of it.
pub fn files() -> Vec<(&'static str, Vec<u8>, Fate)> {
    let whole = song(&NOTE);
    let many_keys: Vec<u8> = (0..128u8).cycle().take(VERY_MANY).flat_map(|key| [0, key, 64]).collect();
    let many_ends: Vec<u8> = (0..128u8).cycle().take(VERY_MANY).flat_map(|key| [0, key, 0]).collect();
    vec![
        ("empty.mid", Vec::new(), Refused),
        ("one_byte.mid", vec![b'M'], Refused),
        ("half_a_header.mid", whole[..9].to_vec(), Refused),
        ("header_alone.mid", whole[..14].to_vec(), Refused),
        ("cut_in_a_track_header.mid", whole[..19].to_vec(), Refused),
        (
            "cut_in_a_message.mid",
            [header(0, 1, [0, 100]), chunk(b"MTrk", 100, &[&NOTE[..], &[0, 0x90, 62]].concat())].concat(),
            Read,
        ),
        (
            "cut_in_a_time.mid",
            [header(0, 1, [0, 100]), chunk(b"MTrk", 100, &[&NOTE[..], &[0x81]].concat())].concat(),
            Read,
        ),
        ("header_of_2_bytes.mid", under(&chunk(b"MThd", 2, &[0, 1])), Refused),
        ("header_of_2_gigabytes.mid", under(&chunk(b"MThd", 0x7FFF_FFFF, &[0, 0, 0, 1, 0, 100])), Read),
        ("no_header.mid", track(&NOTE), Refused),
        ("division_0.mid", under(&header(0, 1, [0, 0])), Refused),
        ("division_8000.mid", under(&header(0, 1, [0x80, 0])), Refused),
        ("division_8064.mid", under(&header(0, 1, [0x80, 0x64])), Either),
        ("division_80ff.mid", under(&header(0, 1, [0x80, 0xFF])), Either),
        ("division_ff00.mid", under(&header(0, 1, [0xFF, 0])), Refused),
        ("division_7fff.mid", under(&header(0, 1, [0x7F, 0xFF])), Read),
        // Read twice by the trainer, which looks for its own answers in a session.
        (
            "division_8064_of_a_session.mid",
            [
                header(1, 2, [0x80, 0x64]),
                track(&[&[0, 0xFF, 3, 3][..], b"You", &NOTE].concat()),
                track(&[&[0, 0xFF, 3, 8][..], b"Antiphon", &NOTE].concat()),
            ]
            .concat(),
            Either,
        ),
        ("type_2.mid", [header(2, 2, [0, 100]), track(&NOTE), track(&NOTE)].concat(), Read),
        ("type_9.mid", under(&header(9, 1, [0, 100])), Read),
        ("zero_tracks.mid", header(1, 0, [0, 100]), Refused),
        ("zero_tracks_promised.mid", under(&header(1, 0, [0, 100])), Read),
        ("tracks_promised_65535.mid", under(&header(1, 0xFFFF, [0, 100])), Read),
        ("very_many_tracks.mid", [header(1, 0xFFFF, [0, 1]), track(&[]).repeat(70_000)].concat(), Refused),
        ("endless_time.mid", song(&vec![0xFF; 1 << 20]), Either),
        ("time_of_5_bytes.mid", song(&[0x81, 0x80, 0x80, 0x80, 0, 0x90, 60, 64]), Refused),
        ("times_that_overflow.mid", song(&[0xFF, 0xFF, 0xFF, 0x7F, 0x90, 60, 64].repeat(100)), Read),
        (
            "track_of_4_gigabytes.mid",
            [header(0, 1, [0, 100]), chunk(b"MTrk", 0xFFFF_FFFF, &[&NOTE[..], &END].concat())].concat(),
            Read,
        ),
        (
            "track_of_0_bytes.mid",
            [header(0, 1, [0, 100]), chunk(b"MTrk", 0, &[&NOTE[..], &END].concat())].concat(),
            Read,
        ),
        ("track_in_a_track.mid", song(&whole), Either),
        ("running_status_first.mid", song(&[0, 60, 64, 10, 60, 0]), Refused),
        ("data_above_127.mid", song(&[0, 0x90, 200, 255]), Refused),
        ("meta_of_256_megabytes.mid", song(&[0, 0xFF, 1, 0xFF, 0xFF, 0xFF, 0x7F]), Refused),
        ("very_many_meta_events.mid", song(&[&[0, 0xFF, 1, 0].repeat(VERY_MANY), &NOTE[..]].concat()), Read),
        ("very_many_tempi.mid", song(&[0, 0xFF, 0x51, 3, 0, 0, 1].repeat(2 * VERY_MANY)), Refused),
        ("sysex_without_end.mid", song(&[0, 0xF0, 0xFF, 0xFF, 0x7F, 1, 2, 3]), Refused),
        ("system_messages.mid", song(&[&[0, 0xF1, 0, 0xF4, 0, 0xF8, 0, 0xFE][..], &NOTE].concat()), Either),
        (
            "very_many_notes_at_once.mid",
            song(&[&[0, 0x90, 0, 64][..], &many_keys, &[1, 0, 0], &many_ends].concat()),
            Read,
        ),
        (
            "one_key_struck_very_often.mid",
            song(&[&[0, 0x90, 60, 64][..], &[0, 60, 64].repeat(VERY_MANY)].concat()),
            Read,
        ),
        ("too_many_notes.mid", song(&[&[0, 0x90, 60, 64][..], &[0, 60, 64].repeat(3 * VERY_MANY)].concat()), Refused),
        (
            "a_pedal_that_flutters.mid",
            song(&[&NOTE[..], &[0, 0xB0, 64, 127, 0, 64, 0].repeat(VERY_MANY / 2)].concat()),
            Read,
        ),
        ("drums_alone.mid", song(&[0, 0x99, 36, 64, 10, 0x89, 36, 0]), Either),
        ("name_that_is_no_text.mid", song(&[&[0, 0xFF, 3, 4, 0xC3, 0x28, 0, 0xFE][..], &NOTE].concat()), Read),
        ("riff_of_midi.mid", [&b"RIFF\x40\0\0\0RMIDdata\x28\0\0\0"[..], &whole].concat(), Read),
        ("riff_of_sound.mid", b"RIFF\x24\0\0\0WAVEfmt \x10\0\0\0".to_vec(), Refused),
        ("gzip.mid", [&b"\x1F\x8B\x08\0"[..], &noise(200)].concat(), Refused),
        ("zip.mid", [&b"PK\x03\x04"[..], &noise(200)].concat(), Refused),
        ("web_page.mid", b"<!DOCTYPE html><title>404</title>".to_vec(), Refused),
        ("lfs_pointer.mid", b"version https://git-lfs.github.com/spec/v1\noid sha256:00\n".to_vec(), Refused),
        ("text_that_is_no_utf8.mid", b"f\xFCr Elise\r\n".repeat(100), Refused),
        ("noise.mid", noise(4096), Refused),
        ("noise_in_a_track.mid", song(&noise(4096)), Either),
        ("nothing_but_zeros.mid", vec![0; 1 << 20], Refused),
        (
            "line_ends_mangled.mid",
            whole.iter().flat_map(|&byte| if byte == 10 { vec![13, 10] } else { vec![byte] }).collect(),
            Either,
        ),
    ]
}

/// Writes all of them into `folder`; gives back their paths and fates.
pub fn write(folder: &Path) -> Vec<(PathBuf, Fate)> {
    std::fs::create_dir_all(folder).expect("a folder");
    let write = |(name, bytes, fate)| {
        let path = folder.join::<&str>(name);
        std::fs::write(&path, bytes).expect("written");
        (path, fate)
    };
    files().into_iter().map(write).collect()
}

/// The model that is part of the repository.
pub fn bundled_model() -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("models/antiphon.onnx").display().to_string()
}

/// The files that others have collected, where they are: `ANTIPHON_DATA` names the folder that holds `adversarial/`.
pub fn collected(manifest: &str) -> Vec<(PathBuf, Fate)> {
    let beside = Path::new(manifest).ancestors().map(|folder| folder.join("../shared/data")).find(|data| data.is_dir());
    let data = std::env::var_os("ANTIPHON_DATA").map(PathBuf::from).or(beside).unwrap_or("../shared/data".into());
    let folder = data.join("adversarial");
    if !folder.is_dir() {
        eprintln!("left out: there is no folder {}; name its parent with ANTIPHON_DATA", folder.display());
    }
    antiphon::song_folder::midi_files(&folder).into_iter().map(|path| (path, Either)).collect()
}
