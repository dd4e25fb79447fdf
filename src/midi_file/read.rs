//! The bytes of a file to channel messages in time order.

use std::fmt;

use midly::{EventIter, MetaMessage, MidiMessage, TrackEventKind};

use super::tempo_map::TempoMap;
use super::{MAX_FILE_BYTES, MAX_NOTES, MidiFileError};
use crate::time::{SessionDuration, SessionTime};

/// The latest time an event can have: 24 hours. Later ones are moved here.
pub const LATEST: SessionTime = SessionTime::from_micros(24 * 3600 * 1_000_000);

/// Bounds memory (16 bytes each): four times what the most notes take.
const MAX_EVENTS: usize = 4 * MAX_NOTES;
/// As many tempo changes are read; a transcribed hour has some ten thousand.
const MAX_TEMPI: usize = MAX_EVENTS / 8;
/// Where a header may begin at the latest: behind a byte-order mark or the 128 bytes of MacBinary.
const MAX_PREAMBLE: usize = 1024;

/// A channel message and its time from the file's beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileEvent {
    /// When it is due.
    pub time: SessionTime,
    bytes: [u8; 3],
    len: u8,
}

impl FileEvent {
    /// The message as a MIDI port takes it: a status byte and its one or two data bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }

    /// The message with zeros up to three bytes.
    pub(super) fn padded(&self) -> &[u8; 3] {
        &self.bytes
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
    /// When the last event of any kind falls.
    pub(super) end: SessionTime,
}

#[derive(Debug)]
pub(super) struct Parsed {
    pub(super) patterns: Vec<Pattern>,
    pub(super) damage: Option<Damage>,
}

/// Reads what is sound.
pub(super) fn parse(file: &[u8]) -> Result<Parsed, MidiFileError> {
    if u64::try_from(file.len()).is_ok_and(|len| len > MAX_FILE_BYTES) {
        return Err(MidiFileError::TooLarge);
    }
    let (header, tracks_begin) = Header::read(file)?;
    let (mut merged, mut patterns) = (Ticked::default(), Vec::new());
    let mut damage = None;
    let (mut number, mut event_count, mut tempo_count, mut note_count) = (0, 0, 0, 0);
    let mut chunks = Chunks { file, at: tracks_begin };
    while let Some((begin, declared_end)) = chunks.next_track() {
        number += 1;
        if number > usize::from(u16::MAX) {
            return Err(MidiFileError::TooManyTracks);
        }
        let mut part = Ticked::default();
        let track = if header.patterns_follow_one_another { &mut part } else { &mut merged };
        let (before, tempi_before) = (track.events.len(), track.tempi.len());
        let mut broken_at = track.read(&file[begin..declared_end])?;
        // A track that breaks off where no chunk begins has a wrong length: read it again as far as it goes.
        if broken_at.is_some() || declared_end == begin {
            let end = chunks.extend_track(begin);
            if end > declared_end {
                track.events.truncate(before);
                track.tempi.truncate(tempi_before);
                broken_at = track.read(&file[begin..end])?;
            }
        }
        let fresh = &track.events[before..];
        if let Some(at) = broken_at {
            damage = damage.or(Some(Damage { track: number, byte: begin + at, events_before: fresh.len() }));
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
        _ => Ok(Parsed { patterns, damage }),
    }
}

/// What the `MThd` chunk says.
struct Header {
    /// Type 2: each track is a piece of its own, with its own tempo.
    patterns_follow_one_another: bool,
    tempo_map: TempoMap,
}

impl Header {
    /// The header, and where the chunks behind it begin.
    ///
    /// Read here and not by midly, which panics on the division 0x80xx where overflow is checked, and refuses odd frame rates.
    fn read(file: &[u8]) -> Result<(Self, usize), MidiFileError> {
        refuse_other_formats(file)?;
        // An RMID container has its header behind lists of any length.
        let preamble = if file.starts_with(b"RIFF") { file.len() } else { MAX_PREAMBLE };
        let begin = find(b"MThd", &file[..file.len().min(preamble + 4)]).ok_or(MidiFileError::NoHeader)?;
        let Some(&[_, _, _, _, l0, l1, l2, l3, t0, t1, _, _, d0, d1]) = file[begin..].first_chunk::<14>() else {
            return Err(MidiFileError::ShortHeader);
        };
        let division = u16::from_be_bytes([d0, d1]);
        let tempo_map = if d0 < 0x80 {
            TempoMap::metrical(division)
        } else {
            // Frames a second, negated.
            TempoMap::time_code(d0.wrapping_neg(), d1)
        };
        let tempo_map = tempo_map.ok_or(MidiFileError::NoDivision(division))?;
        // Longer headers are legal; a length that cannot be is taken for the usual 6.
        let len = usize::try_from(u32::from_be_bytes([l0, l1, l2, l3])).unwrap_or(usize::MAX);
        let len = if len >= 6 && len <= file.len() - begin - 8 { len } else { 6 };
        Ok((Self { patterns_follow_one_another: (t0, t1) == (0, 2), tempo_map }, begin + 8 + len))
    }
}

/// What else is found under a `.mid` name, by its first bytes.
fn refuse_other_formats(file: &[u8]) -> Result<(), MidiFileError> {
    const UNPACK: &str = "unpack it first";
    const FETCH: &str = "fetch the file itself";
    const OTHERS: [(&[u8], &str, &str); 9] = [
        (b"\x1F\x8B", "a gzip archive", UNPACK),
        (b"PK\x03\x04", "a zip archive", UNPACK),
        (b"7z\xBC\xAF", "a 7z archive", UNPACK),
        (b"Rar!", "a rar archive", UNPACK),
        (b"%PDF", "a PDF page", "export it as MIDI"),
        (b"<?xml", "an XML document", "export it as MIDI if it is a score"),
        (b"<", "a web page", FETCH),
        (b"version ", "a Git LFS pointer", "run `git lfs pull`"),
        (b"{", "a JSON document", FETCH),
    ];
    if file.is_empty() {
        return Err(MidiFileError::Empty);
    }
    let text = file.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(file).trim_ascii_start();
    match OTHERS.iter().find(|(magic, _, _)| text.starts_with(magic)) {
        Some(&(_, looks_like, remedy)) => Err(MidiFileError::OtherFormat { looks_like, remedy }),
        None => Ok(()),
    }
}

/// Where `needle` first stands in `bytes`.
fn find(needle: &[u8; 4], bytes: &[u8]) -> Option<usize> {
    bytes.windows(4).position(|window| window == needle)
}

/// A walk over the chunks of a file.
struct Chunks<'a> {
    file: &'a [u8],
    at: usize,
}

impl Chunks<'_> {
    /// The content of the next `MTrk` chunk, as far as its length is true.
    fn next_track(&mut self) -> Option<(usize, usize)> {
        loop {
            if !self.is_chunk(self.at) {
                self.at += find(b"MTrk", self.file.get(self.at..)?)?;
            }
            let &[i0, i1, i2, i3, l0, l1, l2, l3] = self.file[self.at..].first_chunk::<8>()?;
            let begin = self.at + 8;
            let len = usize::try_from(u32::from_be_bytes([l0, l1, l2, l3])).unwrap_or(usize::MAX);
            self.at = begin.saturating_add(len);
            if self.at > self.file.len() {
                self.at = begin;
                self.at = self.next_track_id();
            }
            if [i0, i1, i2, i3] == *b"MTrk" {
                return Some((begin, self.at));
            }
        }
    }

    /// Where the track that begins at `begin` ends if its length is wrong, which it is when no chunk follows it.
    fn extend_track(&mut self, begin: usize) -> usize {
        if self.at < self.file.len() && !self.is_chunk(self.at) {
            self.at = begin;
            self.at = self.next_track_id();
        }
        self.at
    }

    /// The next place that looks like a track, or the end of the file.
    fn next_track_id(&self) -> usize {
        find(b"MTrk", &self.file[self.at..]).map_or(self.file.len(), |distance| self.at + distance)
    }

    fn is_chunk(&self, at: usize) -> bool {
        let id = self.file.get(at..).and_then(|rest| rest.first_chunk::<8>());
        id.is_some_and(|&[i0, i1, i2, i3, ..]| [i0, i1, i2, i3].iter().all(|byte| (0x20..0x7F).contains(byte)))
    }
}

/// A channel message and its absolute tick.
#[derive(Clone, Copy, Debug)]
struct TickedEvent {
    tick: u64,
    bytes: [u8; 3],
    len: u8,
}

/// The events of one track, or of several.
#[derive(Debug, Default)]
struct Ticked {
    events: Vec<TickedEvent>,
    /// Absolute tick, microseconds a quarter note.
    tempi: Vec<(u64, u32)>,
    end: u64,
}

impl Ticked {
    /// Adds the events of a track up to its End of Track, its last byte or its first broken event, whose place is returned.
    fn read(&mut self, track: &[u8]) -> Result<Option<usize>, MidiFileError> {
        let mut rest = track;
        let mut tick = 0;
        let mut running_status = None;
        while !rest.is_empty() {
            let mut reader = EventIter::new(rest);
            *reader.running_status_mut() = running_status;
            let Some(Ok(event)) = reader.next() else {
                let Some((delta, behind)) = step_over(rest) else {
                    return Ok(Some(track.len() - rest.len()));
                };
                tick += delta;
                rest = behind;
                continue;
            };
            rest = reader.unread();
            tick += u64::from(event.delta.as_int());
            self.end = self.end.max(tick);
            match event.kind {
                TrackEventKind::Midi { channel, message } => {
                    let (bytes, len) = encode(channel.as_int(), message);
                    self.events.push(TickedEvent { tick, bytes, len });
                    // Kept across meta events and SysEx, which by the letter end it: many writers rely on that.
                    running_status = reader.running_status();
                }
                TrackEventKind::Meta(MetaMessage::Tempo(us)) => self.tempi.push((tick, us.as_int())),
                TrackEventKind::Meta(MetaMessage::EndOfTrack) => break,
                _ => {}
            }
            if self.events.len() > MAX_EVENTS || self.tempi.len() > MAX_TEMPI {
                return Err(MidiFileError::TooManyEvents(MAX_EVENTS));
            }
        }
        Ok(None)
    }

    fn into_pattern(mut self, mut tempo_map: TempoMap, begin: SessionTime) -> Pattern {
        // Stable sorts: at one tick the order of the tracks and of the file remains.
        self.tempi.sort_by_key(|&(tick, _)| tick);
        for (tick, us) in self.tempi {
            tempo_map.set_tempo(tick, us);
        }
        self.events.sort_by_key(|event| event.tick);
        order_restrikes(&mut self.events);
        let time_of = |tick| {
            let from_begin = SessionDuration::from_micros(tempo_map.time_of(tick).as_micros());
            (begin + from_begin).min(LATEST)
        };
        let timed = |event: TickedEvent| FileEvent { time: time_of(event.tick), bytes: event.bytes, len: event.len };
        Pattern { end: time_of(self.end), events: self.events.into_iter().map(timed).collect() }
    }
}

impl TickedEvent {
    fn is_note_on(&self) -> bool {
        self.bytes[0] >> 4 == 0x9 && self.bytes[2] > 0
    }

    fn is_note_off(&self) -> bool {
        self.bytes[0] >> 4 == 0x8 || self.bytes[0] >> 4 == 0x9 && self.bytes[2] == 0
    }

    /// CC 120 (all sound off), 123 (all notes off) and the channel modes, which imply it.
    fn ends_all_notes(&self) -> bool {
        self.bytes[0] >> 4 == 0xB && matches!(self.bytes[1], 120 | 123..)
    }

    /// A number for channel and key.
    fn channel_and_key(&self) -> usize {
        usize::from(self.bytes[0] & 0x0F) << 7 | usize::from(self.bytes[1])
    }
}

/// Puts a note-off before the note-on of the same key at the same tick, where a note sounds that it can end.
///
/// Without such a note it ends the one that begins there, a note of no length, and stays behind it.
fn order_restrikes(events: &mut [TickedEvent]) {
    #[derive(Clone, Copy, Default)]
    struct Key {
        /// Notes that began at an earlier tick and sound.
        sounding: u32,
        /// Notes that began at this tick and sound.
        begun: u32,
        /// Where its first note-on of this tick stands.
        first_on: usize,
    }
    let mut keys = vec![Key::default(); 16 << 7];
    let mut moves = Vec::new();
    for group in events.chunk_by_mut(|a, b| a.tick == b.tick) {
        for (place, event) in group.iter().enumerate() {
            let number = event.channel_and_key();
            let key = &mut keys[number];
            if event.is_note_on() {
                if key.begun == 0 {
                    key.first_on = place;
                }
                key.begun += 1;
            } else if event.is_note_off() && key.sounding > 0 {
                key.sounding -= 1;
                if key.begun > 0 {
                    moves.push((place, key.first_on));
                }
            } else if event.is_note_off() {
                key.begun = key.begun.saturating_sub(1);
            } else if event.ends_all_notes() {
                keys[number & !0x7F..=number | 0x7F].fill(Key::default());
            }
        }
        for event in group.iter().filter(|event| event.is_note_on()) {
            let key = &mut keys[event.channel_and_key()];
            key.sounding += std::mem::take(&mut key.begun);
        }
        if !moves.is_empty() {
            // A note-off that moves sorts just before the note-on at its new place.
            let mut placed: Vec<_> = group.iter().enumerate().map(|(place, &event)| ((place, 1), event)).collect();
            for (place, on) in moves.drain(..) {
                placed[place].0 = (on, 0);
            }
            placed.sort_by_key(|&(place, _)| place);
            for (event, (_, moved)) in group.iter_mut().zip(placed) {
                *event = moved;
            }
        }
    }
}

/// A message as bytes, with zeros up to three, and how many count.
fn encode(channel: u8, message: MidiMessage) -> ([u8; 3], u8) {
    let two = |status: u8, first: u8| ([status << 4 | channel, first, 0], 2);
    let three = |status: u8, first: u8, second: u8| ([status << 4 | channel, first, second], 3);
    match message {
        MidiMessage::NoteOff { key, vel } => three(0x8, key.as_int(), vel.as_int()),
        MidiMessage::NoteOn { key, vel } => three(0x9, key.as_int(), vel.as_int()),
        MidiMessage::Aftertouch { key, vel } => three(0xA, key.as_int(), vel.as_int()),
        MidiMessage::Controller { controller, value } => three(0xB, controller.as_int(), value.as_int()),
        MidiMessage::ProgramChange { program } => two(0xC, program.as_int()),
        MidiMessage::ChannelAftertouch { vel } => two(0xD, vel.as_int()),
        MidiMessage::PitchBend { bend } => {
            let [high, low] = (bend.0.as_int() << 1).to_be_bytes();
            three(0xE, low >> 1, high)
        }
    }
}

/// The delta time of an event that midly refuses and that does no harm, and what follows it.
///
/// System messages have no place in a file, but some hold active sensing and the like; a meta event says its own length.
fn step_over(event: &[u8]) -> Option<(u64, &[u8])> {
    let (delta, message) = variable_length(event)?;
    let (&status, behind) = message.split_first()?;
    let behind = match status {
        0xF1 | 0xF3 => behind.get(1..),
        0xF2 => behind.get(2..),
        0xF4..=0xF6 | 0xF8..=0xFE => Some(behind),
        0xFF => {
            let (len, content) = variable_length(behind.get(1..)?)?;
            content.get(usize::try_from(len).ok()?..)
        }
        _ => None,
    };
    Some((delta, behind?))
}

/// A variable-length quantity of at most four bytes, and what follows it.
fn variable_length(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut value = 0;
    for (index, byte) in bytes.iter().enumerate().take(4) {
        value = value << 7 | u64::from(byte & 0x7F);
        if byte & 0x80 == 0 {
            return Some((value, &bytes[index + 1..]));
        }
    }
    None
}
