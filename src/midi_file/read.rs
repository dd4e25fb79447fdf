//! The bytes of a file to channel messages in time order.

use std::fmt;

use super::chunks::{Chunks, Header};
use super::track::{Ending, Ticked};
use super::{MAX_FILE_BYTES, MAX_NOTES, MidiFileError};
use crate::sysex::SysEx;
use crate::time::SessionTime;

/// The latest time an event can have: 24 hours. Later ones are moved here.
pub const LATEST: SessionTime = SessionTime::from_micros(24 * 3600 * 1_000_000);

/// Bounds memory (16 bytes each): four times what the most notes take.
pub(super) const MAX_EVENTS: usize = 4 * MAX_NOTES;
/// As many tempo changes are read; a transcribed hour has some ten thousand.
pub(super) const MAX_TEMPI: usize = MAX_EVENTS / 8;

/// A channel message and its time from the file's beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileEvent {
    /// When it is due.
    pub time: SessionTime,
    /// With zeros up to three.
    pub(super) bytes: [u8; 3],
    pub(super) len: u8,
    pub(super) track: u16,
}

impl FileEvent {
    /// The track that it stands in, counted from 0.
    pub fn track(&self) -> usize {
        usize::from(self.track)
    }

    /// The message as a MIDI port takes it: a status byte and its one or two data bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}

/// Where a file is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Damage {
    /// Which track, counted from 1.
    track: usize,
    /// Where in the file.
    byte: usize,
    /// How many events of the track stand before it.
    events_before: usize,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { track, byte, events_before } = self;
        write!(f, "track {track} is broken at byte {byte}, behind {events_before} sound events")
    }
}

/// What plays at once: a whole file, or one pattern of a type 2 file.
#[derive(Debug)]
pub(super) struct Pattern {
    /// In time order.
    pub(super) events: Vec<FileEvent>,
    /// In time order.
    pub(super) sysex: Vec<SysEx>,
    /// When the last event of any kind falls.
    pub(super) end: SessionTime,
}

#[derive(Debug)]
pub(super) struct Parsed {
    pub(super) patterns: Vec<Pattern>,
    /// How the tracks call themselves; empty where one does not.
    pub(super) names: Vec<String>,
    pub(super) damage: Option<Damage>,
}

/// Reads what is sound.
pub(super) fn parse(file: &[u8]) -> Result<Parsed, MidiFileError> {
    if u64::try_from(file.len()).is_ok_and(|len| len > MAX_FILE_BYTES) {
        return Err(MidiFileError::TooLarge);
    }
    let (header, tracks_begin) = Header::read(file)?;
    let (mut merged, mut patterns, mut names) = (Ticked::default(), Vec::new(), Vec::new());
    let mut damage = None;
    let (mut number, mut event_count, mut tempo_count, mut note_count) = (0, 0, 0, 0);
    let mut chunks = Chunks::new(file, tracks_begin);
    while let Some(chunk) = chunks.next_track() {
        let place = u16::try_from(number).ok().filter(|place| *place < u16::MAX).ok_or(MidiFileError::TooManyTracks)?;
        number += 1;
        let mut part = Ticked::default();
        let track = if header.patterns_follow_one_another { &mut part } else { &mut merged };
        let (before, tempi_before, sysex_before) = (track.events.len(), track.tempi.len(), track.sysex.len());
        let mut ending = track.read(&file[chunk.begin..chunk.end], chunk.is_length_true, place)?;
        // A track that breaks off where no chunk begins has a wrong length: read it again as far as it goes.
        if matches!(ending, Ending::BrokenAt(_)) || chunk.begin == chunk.end {
            let end = chunks.extend_track(chunk.begin);
            if end > chunk.end {
                track.events.truncate(before);
                track.tempi.truncate(tempi_before);
                track.sysex.truncate(sysex_before);
                ending = track.read(&file[chunk.begin..end], false, place)?;
            }
        }
        names.push(track.name.take().unwrap_or_default());
        let fresh = &track.events[before..];
        match ending {
            Ending::Whole => {}
            Ending::BrokenAt(at) => {
                let here = Damage { track: number, byte: chunk.begin + at, events_before: fresh.len() };
                damage = damage.or(Some(here));
            }
            Ending::NextTrackAt(at) => chunks.go_on_at(chunk.begin + at),
        }
        event_count += fresh.len();
        tempo_count += track.tempi.len() - tempi_before;
        note_count += fresh.iter().filter(|event| event.is_note_on()).count();
        if note_count > MAX_NOTES {
            return Err(MidiFileError::TooManyNotes);
        }
        if event_count > MAX_EVENTS || tempo_count > MAX_TEMPI {
            return Err(MidiFileError::TooManyEvents(MAX_EVENTS));
        }
        if header.patterns_follow_one_another {
            let begin = patterns.last().map_or(SessionTime::ZERO, |last: &Pattern| last.end);
            patterns.push(part.into_pattern(header.tempo_map.clone(), begin));
        }
    }
    if number == 0 {
        return Err(MidiFileError::NoTracks);
    }
    if !header.patterns_follow_one_another {
        patterns.push(merged.into_pattern(header.tempo_map, SessionTime::ZERO));
    }
    match damage {
        Some(damage) if event_count == 0 => Err(MidiFileError::Damaged(damage)),
        _ => Ok(Parsed { patterns, names, damage }),
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::super::test_file::{NOTE, TEMPO_100_MS, chunk, events, file, header, milliseconds, note_count};
    use super::super::{read_events_from_bytes, read_notes_and_damage_from_bytes, read_notes_from_bytes};
    use super::*;

    fn refusal(bytes: &[u8]) -> String {
        read_notes_from_bytes(bytes).unwrap_err().to_string()
    }

    #[test]
    fn tracks_are_merged_and_a_tempo_in_any_of_them_holds_for_all() {
        let tempo_later = [&[50, 0xFF, 0x51, 3, 0x03, 0x0D, 0x40][..], &[50, 0x91, 62, 64]].concat();
        let keys = [0, 0x90, 60, 64, 100, 0x80, 60, 0];
        let found = events(&file(1, [0, 100], &[&TEMPO_100_MS, &keys, &tempo_later]));
        let times: Vec<_> = found.iter().map(|(time, bytes)| (*time, bytes[0])).collect();
        assert_eq!(times, [(0, 0x90), (150_000, 0x80), (150_000, 0x91)], "50 ms, then 50 ticks of 2 ms");
    }

    #[test]
    fn a_broken_event_ends_its_track_and_is_told() {
        let track = [&NOTE[..], &[1, 0x90, 200, 64], &NOTE].concat();
        let other = [0, 0x91, 40, 64, 9, 0x81, 40, 0];
        let found = read_notes_and_damage_from_bytes(&file(1, [0, 100], &[&track, &other])).unwrap();
        assert_eq!(found.notes.len(), 2, "the other track is whole");
        assert_eq!(found.damage.unwrap().to_string(), "track 1 is broken at byte 30, behind 2 sound events");
    }

    #[test]
    fn a_file_with_nothing_sound_is_refused() {
        let message = refusal(&milliseconds(&[0, 60, 64]));
        assert!(message.starts_with("is damaged") && message.contains("track 1"), "{message}");
        assert!(refusal(&milliseconds(&[0, 0xFF, 1, 0xFF, 0xFF, 0xFF, 0x7F])).starts_with("is damaged"));
    }

    #[test]
    fn times_beyond_a_day_become_a_day() {
        let longest = [0xFF, 0xFF, 0xFF, 0x7F, 0x90, 60, 64];
        let found = read_events_from_bytes(&milliseconds(&longest.repeat(9))).unwrap();
        assert_eq!(found.last().unwrap().time, LATEST);
    }

    #[test]
    fn a_division_midly_would_panic_on_is_read() {
        // -128 frames a second.
        assert_eq!(events(&file(0, [0x80, 100], &[&NOTE]))[1].0, 781);
    }

    #[test]
    fn a_wrong_track_length_is_mended() {
        let content = [&NOTE[..], &[0, 0xFF, 0x2F, 0]].concat();
        for claimed in [0, 1, 6, 9, 17, 30, 4000, 0xFFFF_FFFF_u32] {
            let track = [b"MTrk", &claimed.to_be_bytes()[..], &content].concat();
            let bytes = [header(1, 2, [0, 100]), track, chunk(*b"MTrk", &content)].concat();
            assert_eq!(note_count(&bytes), 2, "claimed length {claimed}");
        }
    }

    #[test]
    fn more_notes_than_any_piece_has_are_refused() {
        let track = [0, 60, 64].repeat(MAX_NOTES);
        assert!(refusal(&milliseconds(&[&[0, 0x90, 60, 64][..], &track].concat())).contains("notes"));
    }

    #[test]
    fn more_events_than_any_piece_has_are_refused() {
        let track = [0, 1].repeat(MAX_EVENTS);
        assert!(refusal(&milliseconds(&[&[0, 0xC0, 1][..], &track].concat())).contains("events"));
    }
}
