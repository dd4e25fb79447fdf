//! Takes to MIDI files.

use midly::live::LiveEvent;
use midly::num::{u15, u24, u28};
use midly::{Format, Header, MetaMessage, MidiMessage, Timing, TrackEvent, TrackEventKind};

use super::MidiFileError;
use super::tempo_map::{DEFAULT_TEMPO_US, TempoMap};
use crate::note::Note;
use crate::time::SessionTime;

/// The longest delta time a file can hold.
const MAX_DELTA: u64 = 0x0FFF_FFFF;
/// Later ticks are moved here: four and a half years at 120 bpm. It bounds what a silence costs.
const MAX_TICK: u64 = 1 << 38;

/// From `time` on a quarter note lasts `us_per_quarter` microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tempo {
    /// When the tempo begins; the file rounds it to a tick.
    pub time: SessionTime,
    /// In `1..=16_777_215`, else clamped; 500,000 is 120 bpm.
    pub us_per_quarter: u32,
}

/// Events that are handed to midly at once: a take of hours is written several times a second, and is not to be in memory
/// once more as events.
const BLOCK: usize = 1024;

/// What a MIDI file of type 1 is made of.
///
/// Borrows the take, so that one that grows can be written again and again.
pub struct Score<'a> {
    /// Ticks a quarter note, in `1..=32_767`, else clamped.
    pub division: u16,
    /// In time order; 120 bpm until the first.
    pub tempi: &'a [Tempo],
    /// Numerator, and denominator as a power of two: `(4, 2)` is 4/4.
    pub time_signature: (u8, u8),
    /// Each at its time, in the conductor track.
    pub markers: &'a [(SessionTime, String)],
    /// Behind the conductor track, in this order.
    pub tracks: Vec<Track<'a>>,
}

impl Default for Score<'_> {
    /// 4/4 at 120 bpm and 960 ticks a quarter note, half a millisecond each; no tracks.
    fn default() -> Self {
        Self { division: 960, tempi: &[], time_signature: (4, 2), markers: &[], tracks: Vec::new() }
    }
}

/// A named track.
pub struct Track<'a> {
    name: &'a str,
    content: Content<'a>,
}

enum Content<'a> {
    Messages(Box<dyn Iterator<Item = (SessionTime, &'a [u8])> + 'a>),
    Notes(&'a [Note], u8),
}

impl<'a> Track<'a> {
    /// A track of MIDI messages as they came from a port, status byte first, in time order: one that is earlier than the
    /// one before it is written at the same tick.
    ///
    /// Whatever is no channel message or SysEx is kept as an escape (`F7`), which a file may hold.
    pub fn of_messages<M>(name: &'a str, messages: M) -> Self
    where
        M: IntoIterator<Item = (SessionTime, &'a [u8])>,
        M::IntoIter: 'a,
    {
        Self { name, content: Content::Messages(Box::new(messages.into_iter())) }
    }

    /// A track of finished notes on `channel`, in `0..16`: no note is without length, and note-offs precede note-ons.
    pub fn of_notes(name: &'a str, notes: &'a [Note], channel: u8) -> Self {
        Self { name, content: Content::Notes(notes, channel & 0x0F) }
    }
}

/// The bytes of a MIDI file of type 1: a conductor track (tempi, time signature, markers), then the tracks.
///
/// # Errors
/// When there are more than 65,534 tracks, a track of 4 GiB or a message of 256 MiB.
pub fn write(score: Score<'_>) -> Result<Vec<u8>, MidiFileError> {
    let division = score.division.clamp(1, 0x7FFF);
    let mut tempo_map = TempoMap::metrical(division).ok_or(MidiFileError::NoDivision(division))?;
    let header = Header::new(Format::Parallel, Timing::Metrical(u15::new(division)));

    let (numerator, denominator) = score.time_signature;
    let mut conductor = vec![(0, TrackEventKind::Meta(MetaMessage::TimeSignature(numerator, denominator, 24, 8)))];
    if score.tempi.first().is_none_or(|tempo| tempo.time > SessionTime::ZERO) {
        conductor.push((0, TrackEventKind::Meta(MetaMessage::Tempo(u24::new(DEFAULT_TEMPO_US)))));
    }
    let mut earliest = 0;
    for tempo in score.tempi {
        earliest = tempo_map.tick_at(tempo.time).clamp(earliest, MAX_TICK);
        let us = tempo.us_per_quarter.clamp(1, 0xFF_FFFF);
        tempo_map.set_tempo(earliest, us);
        conductor.push((earliest, TrackEventKind::Meta(MetaMessage::Tempo(u24::new(us)))));
    }
    let markers: Vec<_> = score.markers.iter().map(|(time, text)| (*time, one_line(text))).collect();
    conductor.extend(markers.iter().map(|(time, text)| {
        let marker = MetaMessage::Marker(text.as_bytes());
        (tempo_map.tick_at(*time), TrackEventKind::Meta(marker))
    }));
    conductor.sort_by_key(|&(tick, _)| tick);

    let mut file = FileBytes::begin(header, 1 + score.tracks.len())?;
    file.add_track("", conductor.into_iter())?;
    for track in score.tracks {
        let name = one_line(track.name);
        match track.content {
            Content::Messages(messages) => file.add_track(&name, events_of(messages, &tempo_map))?,
            Content::Notes(notes, channel) => {
                file.add_track(&name, notes_of(notes, channel, &tempo_map).into_iter())?
            }
        }
    }
    Ok(file.bytes)
}

/// Text that every reader shows as one line.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// Messages with their ticks.
fn events_of<'a>(
    messages: impl Iterator<Item = (SessionTime, &'a [u8])>,
    tempo_map: &TempoMap,
) -> impl Iterator<Item = (u64, TrackEventKind<'a>)> {
    messages.filter_map(|(time, bytes)| {
        let event = match (bytes, LiveEvent::parse(bytes)) {
            ([], _) => return None,
            ([0xF0, content @ ..], _) => TrackEventKind::SysEx(content),
            // A later packet of a long SysEx.
            ([0xF7, content @ ..], _) => TrackEventKind::Escape(content),
            (_, Ok(LiveEvent::Midi { channel, message })) => TrackEventKind::Midi { channel, message },
            _ => TrackEventKind::Escape(bytes),
        };
        Some((tempo_map.tick_at(time), event))
    })
}

/// Notes as note-ons and note-offs with their ticks, in order.
fn notes_of(notes: &[Note], channel: u8, tempo_map: &TempoMap) -> Vec<(u64, TrackEventKind<'static>)> {
    let channel = channel.into();
    let (mut ons, mut events) = (Vec::with_capacity(notes.len()), Vec::with_capacity(2 * notes.len()));
    for note in notes {
        let (key, vel) = (note.key.min(127).into(), note.velocity.clamp(1, 127).into());
        let on = tempo_map.tick_at(note.onset).min(MAX_TICK - 1);
        let off = tempo_map.tick_at(note.end()).max(on + 1);
        ons.push((on, TrackEventKind::Midi { channel, message: MidiMessage::NoteOn { key, vel } }));
        // 64 is the release velocity of keyboards that do not measure it.
        events.push((off, TrackEventKind::Midi { channel, message: MidiMessage::NoteOff { key, vel: 64.into() } }));
    }
    // Note-offs stay first at each tick through the stable sort.
    events.extend(ons);
    events.sort_by_key(|&(tick, _)| tick);
    events
}

/// A MIDI file that grows track by track.
struct FileBytes {
    header: Header,
    bytes: Vec<u8>,
}

impl FileBytes {
    /// Bytes of the header chunk.
    const HEADER: usize = 14;
    /// Of a track chunk, before its events.
    const TRACK_HEADER: usize = 8;

    fn begin(header: Header, tracks: usize) -> Result<Self, MidiFileError> {
        let none: [&[TrackEvent<'_>]; 0] = [];
        let mut bytes = Vec::new();
        midly::write(&header, none, &mut bytes).map_err(MidiFileError::Unwritable)?;
        let tracks = u16::try_from(tracks).map_err(|_| MidiFileError::Unwritable("more than 65535 tracks"))?;
        bytes[10..12].copy_from_slice(&tracks.to_be_bytes());
        Ok(Self { header, bytes })
    }

    /// Adds a track of events in the order of their absolute ticks.
    fn add_track<'a>(
        &mut self,
        name: &str,
        events: impl Iterator<Item = (u64, TrackEventKind<'a>)>,
    ) -> Result<(), MidiFileError> {
        let start = self.bytes.len();
        self.bytes.extend(b"MTrk\0\0\0\0");
        let name = TrackEventKind::Meta(MetaMessage::TrackName(name.as_bytes()));
        self.add_events(&mut vec![TrackEvent { delta: u28::new(0), kind: name }])?;
        let mut block = Vec::with_capacity(BLOCK);
        let end = TrackEventKind::Meta(MetaMessage::EndOfTrack);
        let mut now = 0;
        for (tick, kind) in events {
            let tick = tick.clamp(now, MAX_TICK);
            // A longer silence is crossed on empty text events.
            while tick - now > MAX_DELTA {
                now += MAX_DELTA;
                block.push(TrackEvent { delta: u28::max_value(), kind: TrackEventKind::Meta(MetaMessage::Text(b"")) });
            }
            // Fits: the loop above left at most MAX_DELTA.
            let delta = u32::try_from(tick - now).map_or(u28::max_value(), u28::new);
            block.push(TrackEvent { delta, kind });
            now = tick;
            if block.len() >= BLOCK {
                self.add_events(&mut block)?;
            }
        }
        block.push(TrackEvent { delta: u28::new(0), kind: end });
        self.add_events(&mut block)?;
        let length = u32::try_from(self.bytes.len() - start - Self::TRACK_HEADER)
            .map_err(|_| MidiFileError::Unwritable("a track of 4 GiB"))?;
        self.bytes[start + 4..start + Self::TRACK_HEADER].copy_from_slice(&length.to_be_bytes());
        Ok(())
    }

    /// The bytes of some events, which midly gives as a track of a file.
    fn add_events(&mut self, block: &mut Vec<TrackEvent<'_>>) -> Result<(), MidiFileError> {
        let mut file = Vec::with_capacity(Self::HEADER + Self::TRACK_HEADER + 5 * block.len());
        midly::write(&self.header, [block.as_slice()], &mut file).map_err(MidiFileError::Unwritable)?;
        self.bytes.extend_from_slice(&file[Self::HEADER + Self::TRACK_HEADER..]);
        block.clear();
        Ok(())
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use proptest::prelude::*;

    use super::super::{read_events_from_bytes, read_notes_from_bytes};
    use super::*;
    use crate::time::SessionDuration;

    /// Half a tick at 960 ticks a quarter note and 120 bpm, rounded up.
    const HALF_A_TICK_US: u64 = 261;

    fn us(us: u64) -> SessionTime {
        SessionTime::from_micros(us)
    }

    fn note(onset: u64, key: u8, duration: u64) -> Note {
        Note { onset: us(onset), key, duration: SessionDuration::from_micros(duration), velocity: 64 }
    }

    fn write_messages(messages: &[(SessionTime, &[u8])]) -> Vec<u8> {
        let track = Track::of_messages("human", messages.iter().copied());
        write(Score { tracks: vec![track], ..Score::default() }).unwrap()
    }

    fn write_notes(notes: &[Note]) -> Vec<u8> {
        write(Score { tracks: vec![Track::of_notes("AI", notes, 3)], ..Score::default() }).unwrap()
    }

    #[test]
    fn a_long_track_is_the_same_however_it_is_cut_into_blocks() {
        let keys = (0..128).cycle().take(3 * BLOCK);
        let bytes: Vec<[u8; 3]> = keys.map(|key| [0x90, key, key / 3 % 2 * 70]).collect();
        let messages: Vec<_> = bytes.iter().enumerate().map(|(n, b)| (us(n as u64 * 3_000), &b[..])).collect();
        let events = read_events_from_bytes(&write_messages(&messages)).unwrap();
        assert_eq!(events.len(), messages.len());
        for (event, (time, message)) in events.iter().zip(&messages) {
            assert_eq!(event.bytes(), *message);
            assert!(event.time.since(*time).as_micros().max(time.since(event.time).as_micros()) <= HALF_A_TICK_US);
        }
    }

    #[test]
    fn a_score_is_written_byte_for_byte_as_the_standard_says() {
        let markers = [(us(500_000), "AI\nplays".to_owned())];
        let tracks = vec![Track::of_notes("é", &[], 0)];
        let bytes = write(Score { markers: &markers, tracks, ..Score::default() }).unwrap();
        let conductor = [
            &[0, 0xFF, 0x03, 0, 0, 0xFF, 0x58, 4, 4, 2, 24, 8, 0, 0xFF, 0x51, 3, 0x07, 0xA1, 0x20][..],
            b"\x87\x40\xFF\x06\x08AI plays\x00\xFF\x2F\x00",
        ]
        .concat();
        let conductor_len = u8::try_from(conductor.len()).unwrap();
        let expected = [
            &b"MThd\0\0\0\x06\0\x01\0\x02\x03\xC0MTrk\0\0\0"[..],
            &[conductor_len],
            &conductor,
            b"MTrk\0\0\0\x0A\x00\xFF\x03\x02\xC3\xA9\x00\xFF\x2F\x00",
        ];
        assert_eq!(bytes, expected.concat());
    }

    #[test]
    fn times_do_not_drift_through_an_hour_of_tempo_changes() {
        let tempi: Vec<_> = (0..3600_u32)
            .map(|second| Tempo {
                time: us(u64::from(second) * 1_000_003),
                us_per_quarter: 300_000 + second * 7919 % 500_000,
            })
            .collect();
        let notes: Vec<_> = (0..3600).map(|second| note(second * 1_000_003 + 777_777, 60, 100_000)).collect();
        let tracks = vec![Track::of_notes("AI", &notes, 0)];
        let bytes = write(Score { tempi: &tempi, tracks, ..Score::default() }).unwrap();
        for (found, note) in read_notes_from_bytes(&bytes).unwrap().iter().zip(&notes) {
            assert!(
                found.onset.as_micros().abs_diff(note.onset.as_micros()) <= 420,
                "half a tick of 800 ms: {found:?}"
            );
        }
    }

    #[test]
    fn a_silence_of_days_is_crossed() {
        let two_days = us(2 * 24 * 3600 * 1_000_000);
        let bytes = write_messages(&[(us(0), &[0x90, 60, 64]), (two_days, &[0x80, 60, 0])]);
        assert!(bytes.windows(7).any(|window| window == [0xFF, 0xFF, 0xFF, 0x7F, 0xFF, 1, 0]));
        assert_eq!(read_events_from_bytes(&bytes).unwrap().len(), 2);
    }

    #[test]
    fn a_time_beyond_all_takes_costs_little() {
        let bytes = write_messages(&[(SessionTime::MAX, &[0x90, 60, 64])]);
        assert!(bytes.len() < 10_000);
        assert!(write_notes(&[note(u64::MAX, 60, u64::MAX)]).len() < 10_000);
    }

    #[test]
    fn sysex_and_system_messages_are_kept() {
        let bytes = write_messages(&[
            (us(0), &[0xF0, 0x7E, 1, 0xF7]),
            (us(0), &[0xF7, 2, 0xF7]),
            (us(0), &[0xF8]),
            (us(0), &[]),
            (us(0), &[0x90, 200, 1]),
            (us(0), &[0xB0, 64, 127]),
        ]);
        let kept = [
            0, 0xF0, 3, 0x7E, 1, 0xF7, 0, 0xF7, 2, 2, 0xF7, 0, 0xF7, 1, 0xF8, 0, 0xF7, 3, 0x90, 200, 1, 0, 0xB0, 64,
            127,
        ];
        assert!(bytes.windows(kept.len()).any(|window| window == kept), "{bytes:x?}");
    }

    #[test]
    fn messages_keep_their_order_and_one_that_is_late_comes_at_the_tick_of_the_one_before() {
        let bytes = write_messages(&[
            (us(0), &[0xB0, 64, 127]),
            (us(0), &[0xB0, 64, 0]),
            (us(10), &[0x90, 60, 1]),
            (us(9000), &[0x80, 60, 64]),
            (us(20), &[0x90, 61, 2]),
        ]);
        let events = read_events_from_bytes(&bytes).unwrap();
        let found: Vec<_> = events.iter().map(|event| event.bytes()[2]).collect();
        assert_eq!(found, [127, 0, 1, 64, 2]);
        assert_eq!(events[4].time, events[3].time);
    }

    #[test]
    fn a_note_that_ends_where_the_next_begins_ends_first() {
        let bytes = write_notes(&[note(0, 60, 500_000), note(500_000, 60, 500_000), note(2_000_000, 61, 0)]);
        let events = read_events_from_bytes(&bytes).unwrap();
        let statuses: Vec<_> = events.iter().map(|event| event.bytes()[0]).collect();
        assert_eq!(statuses, [0x93, 0x83, 0x93, 0x83, 0x93, 0x83]);
        assert!(events[5].time > events[4].time, "no note is without length");
    }

    #[test]
    fn nonsense_in_a_score_is_clamped() {
        let tempi = [Tempo { time: us(5), us_per_quarter: 0 }, Tempo { time: us(0), us_per_quarter: u32::MAX }];
        for division in [0, 1, u16::MAX] {
            let odd = [Note { key: 255, velocity: 0, ..note(0, 0, 1_000_000) }];
            let tracks = vec![Track::of_notes("\0", &odd, 255)];
            let bytes = write(Score { division, tempi: &tempi, tracks, ..Score::default() }).unwrap();
            assert_eq!(read_notes_from_bytes(&bytes).unwrap().len(), 1);
        }
    }

    proptest! {
        #[test]
        fn notes_come_back_from_a_file_to_half_a_tick(
            steps in proptest::collection::vec((0..2_000_000_u64, 0..128_u8, 1000..5_000_000_u64, 1..128_u8), 0..60),
        ) {
            let mut onset = 0;
            let mut notes: Vec<Note> = Vec::new();
            for (shift, key, duration, velocity) in steps {
                onset += shift;
                // Note-offs name no note: overlapping ones of a key come back with their ends exchanged.
                if notes.iter().all(|earlier| earlier.key != key || earlier.end() + SessionDuration::from_millis(1) < us(onset)) {
                    notes.push(Note { velocity, ..note(onset, key, duration) });
                }
            }
            notes.sort();
            let mut found = read_notes_from_bytes(&write_notes(&notes)).unwrap();
            // Onsets less than a tick apart may have become one, and then the key decides.
            found.sort_by_key(|note| (note.key, note.onset));
            notes.sort_by_key(|note| (note.key, note.onset));
            prop_assert_eq!(found.len(), notes.len());
            for (found, note) in found.iter().zip(&notes) {
                prop_assert_eq!((found.key, found.velocity), (note.key, note.velocity));
                prop_assert!(found.onset.as_micros().abs_diff(note.onset.as_micros()) <= HALF_A_TICK_US);
                prop_assert!(found.end().as_micros().abs_diff(note.end().as_micros()) <= HALF_A_TICK_US);
            }
        }

        #[test]
        fn no_bytes_make_the_reader_panic(
            mut bytes in proptest::collection::vec(any::<u8>(), 0..300),
            format in 0..3_u8,
            is_framed in any::<bool>(),
        ) {
            if is_framed {
                let framed = [&b"MThd\0\0\0\x06\0"[..], &[format], b"\0\x01\0\x60MTrk\0\0\x01\0"].concat();
                bytes.splice(0..0, framed);
            }
            if let Err(error) = read_notes_from_bytes(&bytes) {
                prop_assert!(!error.to_string().contains('\n'));
            }
        }

        #[test]
        fn no_messages_make_the_writer_fail(
            messages in proptest::collection::vec((any::<u64>(), proptest::collection::vec(any::<u8>(), 0..6)), 0..20),
        ) {
            let messages: Vec<_> = messages.iter().map(|(time, bytes)| (us(*time), &bytes[..])).collect();
            prop_assert!(read_events_from_bytes(&write_messages(&messages)).is_ok());
        }
    }
}
