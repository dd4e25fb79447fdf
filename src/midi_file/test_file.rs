//! Hand-made files for the tests of this module, and what is read from them.

use super::{read_events_from_bytes, read_notes_from_bytes};

/// A whole note, 10 ticks long.
pub(super) const NOTE: [u8; 8] = [0, 0x90, 60, 64, 10, 0x80, 60, 0];

/// The channel messages of a sound file: microseconds and bytes.
pub(super) fn events(bytes: &[u8]) -> Vec<(u64, Vec<u8>)> {
    let events = read_events_from_bytes(bytes).expect("a sound file");
    events.iter().map(|event| (event.time.as_micros(), event.bytes().to_vec())).collect()
}

/// How many notes a sound file holds.
pub(super) fn note_count(bytes: &[u8]) -> usize {
    read_notes_from_bytes(bytes).expect("a sound file").len()
}

/// A file of `format` with `division` and these track contents, each ended with End of Track.
pub(super) fn file(format: u8, division: [u8; 2], tracks: &[&[u8]]) -> Vec<u8> {
    let ended: Vec<_> = tracks.iter().map(|track| [*track, &[0, 0xFF, 0x2F, 0]].concat()).collect();
    let mut file = header(format, ended.len(), division);
    file.extend(ended.iter().flat_map(|track| chunk(*b"MTrk", track)));
    file
}

/// One track at 100 ticks a quarter note of 100 ms: a tick is a millisecond.
pub(super) fn milliseconds(track: &[u8]) -> Vec<u8> {
    file(0, [0, 100], &[&[&TEMPO_100_MS, track].concat()])
}

/// A quarter note of 100 ms.
pub(super) const TEMPO_100_MS: [u8; 7] = [0, 0xFF, 0x51, 3, 0x01, 0x86, 0xA0];

pub(super) fn header(format: u8, tracks: usize, [high, low]: [u8; 2]) -> Vec<u8> {
    let tracks = u8::try_from(tracks).expect("few tracks");
    chunk(*b"MThd", &[0, format, 0, tracks, high, low])
}

pub(super) fn chunk(id: [u8; 4], content: &[u8]) -> Vec<u8> {
    let len = u32::try_from(content.len()).expect("a short chunk").to_be_bytes();
    [&id, &len, content].concat()
}
