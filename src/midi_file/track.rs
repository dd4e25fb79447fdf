//! The events of a track, and their merging in time order.

use midly::{EventIter, MetaMessage, MidiMessage, TrackEventKind};

use super::MidiFileError;
use super::read::{FileEvent, LATEST, MAX_EVENTS, MAX_TEMPI, Pattern};
use super::tempo_map::TempoMap;
use crate::sysex::SysEx;
use crate::time::{SessionDuration, SessionTime};

/// A channel message and its absolute tick.
#[derive(Clone, Copy, Debug)]
pub(super) struct TickedEvent {
    tick: u64,
    bytes: [u8; 3],
    len: u8,
    track: u16,
}

/// How the reading of a track ended. Places count from the track's first event.
pub(super) enum Ending {
    Whole,
    BrokenAt(usize),
    /// The track's length reaches into the next track.
    NextTrackAt(usize),
}

/// The events of one track, or of several.
#[derive(Debug, Default)]
pub(super) struct Ticked {
    pub(super) events: Vec<TickedEvent>,
    /// Absolute tick, microseconds a quarter note.
    pub(super) tempi: Vec<(u64, u32)>,
    /// Absolute tick, and a message from `F0` on.
    pub(super) sysex: Vec<(u64, Vec<u8>)>,
    /// How the track that was read last calls itself.
    pub(super) name: Option<String>,
    end: u64,
}

impl Ticked {
    /// Adds the events of a track, the one of this `number`, up to its last byte or its first broken event.
    ///
    /// End of Track ends it only if its length is not to be trusted: there are piano rolls whose tempo changes stand
    /// behind one.
    pub(super) fn read(&mut self, track: &[u8], is_length_true: bool, number: u16) -> Result<Ending, MidiFileError> {
        self.name = None;
        let mut rest = track;
        let mut tick = 0;
        let mut running_status = None;
        let mut has_ended = false;
        let mut sysex_goes_on = false;
        let broken_at = |rest: &[u8], has_ended| match has_ended {
            true => Ending::Whole,
            false => Ending::BrokenAt(track.len() - rest.len()),
        };
        while !rest.is_empty() {
            if let Some((delta, bytes, len, behind)) = channel_message(rest, running_status) {
                tick += delta;
                self.end = self.end.max(tick);
                self.events.push(TickedEvent { tick, bytes, len, track: number });
                running_status = Some(bytes[0]);
                rest = behind;
                if self.events.len() > MAX_EVENTS {
                    return Err(MidiFileError::TooManyEvents(MAX_EVENTS));
                }
                continue;
            }
            let mut reader = EventIter::new(rest);
            *reader.running_status_mut() = running_status;
            let Some(Ok(event)) = reader.next() else {
                let Some((delta, behind)) = step_over(rest) else {
                    return Ok(broken_at(rest, has_ended));
                };
                tick += delta;
                rest = behind;
                continue;
            };
            let begin = std::mem::replace(&mut rest, reader.unread());
            if rest.is_empty() && claims_more(begin) {
                return Ok(broken_at(begin, has_ended));
            }
            tick += u64::from(event.delta.as_int());
            self.end = self.end.max(tick);
            match event.kind {
                TrackEventKind::Midi { channel, message } => {
                    let (bytes, len) = encode(channel.as_int(), message);
                    self.events.push(TickedEvent { tick, bytes, len, track: number });
                    // Kept across meta events and SysEx, which by the letter end it: many writers rely on that.
                    running_status = reader.running_status();
                }
                TrackEventKind::SysEx(content) => {
                    self.sysex.push((tick, [&[0xF0], content].concat()));
                    sysex_goes_on = content.last() != Some(&0xF7);
                }
                // A later packet of a message; else it is an escape, whose content no port wants.
                TrackEventKind::Escape(content) if sysex_goes_on => {
                    self.sysex.last_mut().into_iter().for_each(|(_, message)| message.extend_from_slice(content));
                    sysex_goes_on = content.last() != Some(&0xF7);
                }
                TrackEventKind::Meta(MetaMessage::TrackName(name)) if self.name.is_none() => {
                    self.name = Some(String::from_utf8_lossy(name).trim().to_owned());
                }
                TrackEventKind::Meta(MetaMessage::Tempo(us)) => self.tempi.push((tick, us.as_int())),
                TrackEventKind::Meta(MetaMessage::EndOfTrack) if !is_length_true => break,
                TrackEventKind::Meta(MetaMessage::EndOfTrack) => {
                    if rest.starts_with(b"MTrk") {
                        return Ok(Ending::NextTrackAt(track.len() - rest.len()));
                    }
                    has_ended = true;
                }
                _ => {}
            }
            if self.events.len() > MAX_EVENTS || self.tempi.len() > MAX_TEMPI {
                return Err(MidiFileError::TooManyEvents(MAX_EVENTS));
            }
        }
        Ok(Ending::Whole)
    }

    pub(super) fn into_pattern(mut self, mut tempo_map: TempoMap, begin: SessionTime) -> Pattern {
        // Stable sorts: at one tick the order of the tracks and of the file remains.
        self.tempi.sort_by_key(|&(tick, _)| tick);
        for (tick, us) in self.tempi {
            tempo_map.set_tempo(tick, us);
        }
        self.events.sort_by_key(|event| event.tick);
        order_restrikes(&mut self.events);
        let in_file = |time: SessionTime| (begin + SessionDuration::from_micros(time.as_micros())).min(LATEST);
        let mut time_of = tempo_map.times();
        let mut timed = |event: TickedEvent| {
            let time = in_file(time_of(event.tick));
            FileEvent { time, bytes: event.bytes, len: event.len, track: event.track }
        };
        let events = self.events.into_iter().map(&mut timed).collect();
        self.sysex.sort_by_key(|&(tick, _)| tick);
        let sysex = self
            .sysex
            .into_iter()
            .map(|(tick, bytes)| SysEx { time: in_file(tempo_map.time_of(tick)), bytes: bytes.into_boxed_slice() });
        Pattern { end: in_file(tempo_map.time_of(self.end)), sysex: sysex.collect(), events }
    }
}

impl TickedEvent {
    pub(super) fn is_note_on(&self) -> bool {
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
    /// The notes of a key at one tick.
    #[derive(Clone, Copy, Default)]
    struct Begun {
        /// That began and sound.
        count: u32,
        /// Where the first note-on stands.
        first_on: usize,
    }
    // By channel and key; notes that began at an earlier tick and sound.
    let mut sounding = vec![0u32; 16 << 7];
    let mut begun = vec![Begun::default(); 16 << 7];
    let mut moves = Vec::new();
    for group in events.chunk_by_mut(|a, b| a.tick == b.tick) {
        // Most events are alone at their tick.
        if let [event] = group {
            let number = event.channel_and_key();
            if event.is_note_on() {
                sounding[number] += 1;
            } else if event.is_note_off() {
                sounding[number] = sounding[number].saturating_sub(1);
            } else if event.ends_all_notes() {
                sounding[number & !0x7F..=number | 0x7F].fill(0);
            }
            continue;
        }
        for (place, event) in group.iter().enumerate() {
            let number = event.channel_and_key();
            let here = &mut begun[number];
            if event.is_note_on() {
                if here.count == 0 {
                    here.first_on = place;
                }
                here.count += 1;
            } else if event.is_note_off() && sounding[number] > 0 {
                sounding[number] -= 1;
                if here.count > 0 {
                    moves.push((place, here.first_on));
                }
            } else if event.is_note_off() {
                here.count = here.count.saturating_sub(1);
            } else if event.ends_all_notes() {
                sounding[number & !0x7F..=number | 0x7F].fill(0);
                begun[number & !0x7F..=number | 0x7F].fill(Begun::default());
            }
        }
        for event in group.iter().filter(|event| event.is_note_on()) {
            let number = event.channel_and_key();
            sounding[number] += std::mem::take(&mut begun[number].count);
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

/// A well-formed channel message at the front of a track: delta time, bytes with zeros up to three, how many count, and
/// what follows. Nearly all events are that; midly judges the others, and what it makes of these is the same.
fn channel_message(event: &[u8], running_status: Option<u8>) -> Option<(u64, [u8; 3], u8, &[u8])> {
    let (delta, message) = variable_length(event)?;
    let (status, data) = match message {
        [status @ 0x80..=0xEF, data @ ..] => (*status, data),
        [0..=0x7F, ..] => (running_status?, message),
        _ => return None,
    };
    match (status, data) {
        (0xC0..=0xDF, [first @ 0..=0x7F, behind @ ..]) => Some((delta, [status, *first, 0], 2, behind)),
        (0xC0..=0xDF, _) => None,
        (_, [first @ 0..=0x7F, second @ 0..=0x7F, behind @ ..]) => Some((delta, [status, *first, *second], 3, behind)),
        _ => None,
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

/// Whether a meta event or SysEx says it is longer than what is there; midly takes it for the rest.
fn claims_more(event: &[u8]) -> bool {
    let content = variable_length(event).and_then(|(_, message)| match message {
        [0xF0 | 0xF7, behind @ ..] | [0xFF, _, behind @ ..] => variable_length(behind),
        _ => None,
    });
    content.is_some_and(|(len, content)| usize::try_from(len).is_ok_and(|len| len > content.len()))
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

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::super::read_notes_and_damage_from_bytes;
    use super::super::test_file::{NOTE, events, milliseconds, note_count};

    #[test]
    fn every_channel_message_comes_out_as_a_port_takes_it() {
        let track = [
            0, 0x93, 60, 64, 1, 0xA3, 60, 5, 1, 0xB3, 7, 100, 1, 0xC3, 12, 1, 0xD3, 99, 1, 0xE3, 0x7F, 0x3F, 1, 0x83,
            60, 7,
        ];
        let expected: [(u64, &[u8]); 7] = [
            (0, &[0x93, 60, 64]),
            (1000, &[0xA3, 60, 5]),
            (2000, &[0xB3, 7, 100]),
            (3000, &[0xC3, 12]),
            (4000, &[0xD3, 99]),
            (5000, &[0xE3, 0x7F, 0x3F]),
            (6000, &[0x83, 60, 7]),
        ];
        assert_eq!(events(&milliseconds(&track)), expected.map(|(time, bytes)| (time, bytes.to_vec())));
    }

    #[test]
    fn running_status_goes_on_behind_meta_events_and_sysex() {
        let track = [0, 0x90, 60, 64, 1, 0xFF, 1, 1, b'x', 1, 60, 0, 1, 0xF0, 2, 1, 0xF7, 1, 62, 64];
        assert_eq!(note_count(&milliseconds(&track)), 2);
    }

    #[test]
    fn only_note_offs_that_end_an_earlier_note_move_before_the_note_on() {
        let track = [0, 0x90, 60, 1, 5, 0xB0, 1, 2, 0, 0x90, 60, 2, 0, 60, 0, 0, 60, 0];
        let found: Vec<_> = events(&milliseconds(&track)).into_iter().map(|(_, bytes)| bytes).collect();
        assert_eq!(found, [[0x90, 60, 1], [0xB0, 1, 2], [0x90, 60, 0], [0x90, 60, 2], [0x90, 60, 0]]);
    }

    #[test]
    fn system_messages_and_ill_formed_meta_events_are_stepped_over() {
        let odd: [&[u8]; 7] = [
            &[1, 0xFE],
            &[1, 0xF8],
            &[1, 0xF1, 5],
            &[1, 0xF2, 5, 5],
            &[1, 0xF4],
            &[1, 0xFF, 0x59, 0],
            &[1, 0xFF, 0x54, 5, 0x7F, 99, 99, 99, 99],
        ];
        for odd in odd {
            let found = events(&milliseconds(&[odd, &NOTE].concat()));
            assert_eq!(found.len(), 2, "{odd:x?}");
            assert_eq!(found[0].0, 1000, "{odd:x?}: its delta time counts");
        }
    }

    #[test]
    fn events_behind_an_end_of_track_in_mid_track_are_read() {
        let bytes = milliseconds(&[&NOTE[..], &[0, 0xFF, 0x2F, 0], &NOTE].concat());
        assert_eq!(note_count(&bytes), 2);
        let ended_twice = milliseconds(&[&NOTE[..], &[0, 0xFF, 0x2F, 0], b"\x1A\xF5junk"].concat());
        assert_eq!(read_notes_and_damage_from_bytes(&ended_twice).unwrap().damage, None);
    }

    #[test]
    fn a_tempo_event_that_makes_no_sense_is_ignored() {
        for tempo in [&[0, 0xFF, 0x51, 3, 0, 0, 0][..], &[0, 0xFF, 0x51, 2, 1, 1]] {
            let found = events(&milliseconds(&[tempo, &NOTE].concat()));
            assert_eq!(found[1].0, 10_000);
        }
    }

    #[test]
    fn a_note_off_for_each_of_very_many_notes_at_one_tick_takes_no_time() {
        let mut track = vec![0, 0x90, 60, 64];
        track.extend([0, 60, 64].repeat(100_000));
        track.extend([1, 60, 64].iter().chain(&[0, 60, 0].repeat(100_000)));
        assert_eq!(note_count(&milliseconds(&track)), 100_002);
    }
}
