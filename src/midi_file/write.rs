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

/// What a MIDI file of type 1 is made of.
///
/// Borrows the take, so that one that grows can be written again and again.
#[derive(Clone, Debug)]
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
#[derive(Clone, Debug)]
pub struct Track<'a> {
    name: &'a str,
    content: Content<'a>,
}

#[derive(Clone, Debug)]
enum Content<'a> {
    Messages(Vec<(SessionTime, &'a [u8])>),
    Notes(&'a [Note], u8),
}

impl<'a> Track<'a> {
    /// A track of MIDI messages as they came from a port, status byte first; messages at one tick keep their order.
    ///
    /// Whatever is no channel message or SysEx is kept as an escape (`F7`), which a file may hold.
    pub fn of_messages(name: &'a str, messages: impl IntoIterator<Item = (SessionTime, &'a [u8])>) -> Self {
        Self { name, content: Content::Messages(messages.into_iter().collect()) }
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
pub fn write(score: &Score<'_>) -> Result<Vec<u8>, MidiFileError> {
    let division = score.division.clamp(1, 0x7FFF);
    let mut tempo_map = TempoMap::metrical(division).ok_or(MidiFileError::NoDivision(division))?;
    let mut conductor = Events::named("");
    let (numerator, denominator) = score.time_signature;
    conductor.push(0, TrackEventKind::Meta(MetaMessage::TimeSignature(numerator, denominator, 24, 8)));
    if score.tempi.first().is_none_or(|tempo| tempo.time > SessionTime::ZERO) {
        conductor.push(0, TrackEventKind::Meta(MetaMessage::Tempo(u24::new(DEFAULT_TEMPO_US))));
    }
    let mut earliest = 0;
    for tempo in score.tempi {
        earliest = tempo_map.tick_at(tempo.time).clamp(earliest, MAX_TICK);
        let us = tempo.us_per_quarter.clamp(1, 0xFF_FFFF);
        tempo_map.set_tempo(earliest, us);
        conductor.push(earliest, TrackEventKind::Meta(MetaMessage::Tempo(u24::new(us))));
    }
    let markers: Vec<_> = score.markers.iter().map(|(time, text)| (*time, one_line(text))).collect();
    for (time, text) in &markers {
        let marker = MetaMessage::Marker(text.as_bytes());
        conductor.push(tempo_map.tick_at(*time), TrackEventKind::Meta(marker));
    }
    let names: Vec<_> = score.tracks.iter().map(|track| one_line(track.name)).collect();
    let mut tracks = vec![conductor.finish()];
    for (track, name) in score.tracks.iter().zip(&names) {
        let mut events = Events::named(name);
        match &track.content {
            Content::Messages(messages) => events.push_messages(messages, &tempo_map),
            Content::Notes(notes, channel) => events.push_notes(notes, *channel, &tempo_map),
        }
        tracks.push(events.finish());
    }
    let header = Header::new(Format::Parallel, Timing::Metrical(u15::new(division)));
    let mut file = Vec::new();
    midly::write(&header, &tracks, &mut file).map_err(MidiFileError::Unwritable)?;
    Ok(file)
}

/// Text that every reader shows as one line.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// The events of one track with their absolute ticks.
struct Events<'a>(Vec<(u64, TrackEventKind<'a>)>);

impl<'a> Events<'a> {
    fn named(name: &'a str) -> Self {
        let name = TrackEventKind::Meta(MetaMessage::TrackName(name.as_bytes()));
        Self(vec![(0, name)])
    }

    fn push(&mut self, tick: u64, event: TrackEventKind<'a>) {
        self.0.push((tick.min(MAX_TICK), event));
    }

    fn push_messages(&mut self, messages: &[(SessionTime, &'a [u8])], tempo_map: &TempoMap) {
        self.0.reserve(messages.len());
        for &(time, bytes) in messages {
            let event = match (bytes, LiveEvent::parse(bytes)) {
                ([], _) => continue,
                ([0xF0, content @ ..], _) => TrackEventKind::SysEx(content),
                // A later packet of a long SysEx.
                ([0xF7, content @ ..], _) => TrackEventKind::Escape(content),
                (_, Ok(LiveEvent::Midi { channel, message })) => TrackEventKind::Midi { channel, message },
                _ => TrackEventKind::Escape(bytes),
            };
            self.push(tempo_map.tick_at(time), event);
        }
    }

    fn push_notes(&mut self, notes: &[Note], channel: u8, tempo_map: &TempoMap) {
        self.0.reserve(2 * notes.len());
        let channel = channel.into();
        let (mut ons, mut offs) = (Vec::with_capacity(notes.len()), Vec::with_capacity(notes.len()));
        for note in notes {
            let (key, vel) = (note.key.min(127).into(), note.velocity.clamp(1, 127).into());
            let on = tempo_map.tick_at(note.onset).min(MAX_TICK - 1);
            let off = tempo_map.tick_at(note.end()).max(on + 1);
            ons.push((on, TrackEventKind::Midi { channel, message: MidiMessage::NoteOn { key, vel } }));
            // 64 is the release velocity of keyboards that do not measure it.
            offs.push((off, TrackEventKind::Midi { channel, message: MidiMessage::NoteOff { key, vel: 64.into() } }));
        }
        // Pushed first, note-offs stay first at each tick through the stable sort.
        for (tick, event) in offs.into_iter().chain(ons) {
            self.push(tick, event);
        }
    }

    /// Sorts by tick, and turns ticks to delta times.
    fn finish(mut self) -> Vec<TrackEvent<'a>> {
        self.0.sort_by_key(|&(tick, _)| tick);
        let mut track = Vec::with_capacity(self.0.len() + 1);
        let mut now = 0;
        for (tick, kind) in self.0 {
            // A longer silence is crossed on empty text events.
            while tick - now > MAX_DELTA {
                now += MAX_DELTA;
                track.push(TrackEvent { delta: u28::max_value(), kind: TrackEventKind::Meta(MetaMessage::Text(b"")) });
            }
            // Fits: the loop above left at most MAX_DELTA.
            let delta = u32::try_from(tick - now).map_or(u28::max_value(), u28::new);
            track.push(TrackEvent { delta, kind });
            now = tick;
        }
        track.push(TrackEvent { delta: u28::new(0), kind: TrackEventKind::Meta(MetaMessage::EndOfTrack) });
        track
    }
}
