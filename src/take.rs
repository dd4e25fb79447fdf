//! What has been played so far, and as a MIDI file: the human on one track, the answer on another.

use crate::beat::TempoTrail;
use crate::conductor::Turn;
use crate::midi::{MidiEvent, ShortMessage, TimedMessage};
use crate::midi_file::{MidiFileError, Score, Track, write};
use crate::time::SessionTime;

/// Something that happened in a session, for its record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Happening {
    /// The human sent this.
    Human(TimedMessage),
    /// Antiphon sent this.
    Ai(TimedMessage),
    /// The turn changed.
    Turn {
        /// When.
        at: SessionTime,
        /// Whose it is now.
        turn: Turn,
    },
}

/// What has been played so far; by default in bars of four.
#[derive(Debug, Default)]
pub struct Take {
    human: Vec<TimedMessage>,
    ai: Vec<TimedMessage>,
    markers: Vec<(SessionTime, String)>,
    tempo: TempoTrail,
}

impl Take {
    /// An empty take in bars of `beats_per_bar` quarter notes; 0 counts as 1.
    pub fn in_bars_of(beats_per_bar: u8) -> Self {
        Self { tempo: TempoTrail::new(beats_per_bar), ..Self::default() }
    }

    /// Adds what happened. MIDI clock and transport are no playing: they become the tempo map.
    pub fn add(&mut self, happening: Happening) {
        match happening {
            Happening::Human(TimedMessage { time, message }) => match message.event() {
                MidiEvent::Sync(sync) => self.tempo.hear(time, sync),
                _ => self.human.push(TimedMessage { time, message }),
            },
            Happening::Ai(message) => self.ai.push(message),
            Happening::Turn { at, turn: Turn::Ai } => self.markers.push((at, "Antiphon answers".into())),
            Happening::Turn { at, turn: Turn::Human } => self.markers.push((at, "You play".into())),
            Happening::Turn { at, turn: Turn::Both } => self.markers.push((at, "You play together".into())),
        }
    }

    /// Whether nothing was played.
    pub fn is_empty(&self) -> bool {
        self.human.is_empty() && self.ai.is_empty()
    }

    /// The take as a MIDI file of type 1: tempo map and markers, the human, the answer. Notes that still sound end
    /// with the last thing that was played. Where a MIDI clock was followed, the file's bars are the clock's.
    ///
    /// # Errors
    /// When it is too long for a MIDI file.
    pub fn to_midi(&self) -> Result<Vec<u8>, MidiFileError> {
        let end = self.human.iter().chain(&self.ai).map(|last| last.time).max().unwrap_or_default();
        let voices = [("You", closed(&self.human, end)), ("Antiphon", closed(&self.ai, end))];
        let tracks = voices.iter().map(|(name, messages)| {
            Track::of_messages(name, messages.iter().map(|timed| (timed.time, timed.message.as_bytes())))
        });
        let score = Score::default();
        write(&Score {
            tempi: &self.tempo.tempi(score.division),
            time_signature: (self.tempo.beats_per_bar(), 2),
            markers: &self.markers,
            tracks: tracks.collect(),
            ..score
        })
    }
}

/// The messages in time order, with a note-off at `end` for each note that still sounds.
fn closed(messages: &[TimedMessage], end: SessionTime) -> Vec<TimedMessage> {
    let mut closed = messages.to_vec();
    closed.sort_by_key(|timed| timed.time);
    let mut sounding = [[false; 128]; 16];
    for timed in &closed {
        match timed.message.event() {
            MidiEvent::NoteOn { channel, key, .. } => sounding[usize::from(channel)][usize::from(key)] = true,
            MidiEvent::NoteOff { channel, key } => sounding[usize::from(channel)][usize::from(key)] = false,
            _ => {}
        }
    }
    for (channel, keys) in (0..).zip(sounding) {
        for (key, _) in (0..).zip(keys).filter(|(_, sounds)| *sounds) {
            closed.push(TimedMessage { time: end, message: ShortMessage::note_off(channel, key) });
        }
    }
    closed
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::midi::SyncMessage;
    use crate::midi_file::read_notes_from_bytes;

    #[test]
    fn both_voices_are_in_the_file_and_notes_that_sound_are_closed() {
        let mut take = Take::default();
        take.add(Happening::Human(TimedMessage::on(0, 60)));
        take.add(Happening::Human(TimedMessage::off(500, 60)));
        take.add(Happening::Turn { at: SessionTime::from_micros(900_000), turn: Turn::Ai });
        take.add(Happening::Ai(TimedMessage::on(1000, 64)));
        take.add(Happening::Ai(TimedMessage::on(1500, 65)));
        take.add(Happening::Ai(TimedMessage::off(2000, 65)));
        let bytes = take.to_midi().expect("short");
        let notes = read_notes_from_bytes(&bytes).expect("whole");
        let seen: Vec<_> =
            notes.iter().map(|n| (n.key, n.onset.as_micros() / 1000, (n.duration.as_micros() + 500) / 1000)).collect();
        assert_eq!(seen, [(60, 0, 500), (64, 1000, 1000), (65, 1500, 500)]);
        assert!(bytes.windows(16).any(|window| window == b"Antiphon answers"));
    }

    #[test]
    fn a_clock_is_no_playing_and_leaves_no_message() {
        let mut take = Take::in_bars_of(3);
        for clock in 0..200 {
            let message = ShortMessage::sync(SyncMessage::Clock);
            take.add(Happening::Human(TimedMessage { time: SessionTime::from_micros(clock * 20_833), message }));
        }
        assert!(take.is_empty());
        let bytes = take.to_midi().expect("short");
        assert!(!bytes.contains(&0xf8) && bytes.len() < 150, "{bytes:x?}");
        assert!(bytes.windows(5).any(|window| window == [0xff, 0x58, 4, 3, 2]), "3/4");
    }
}
