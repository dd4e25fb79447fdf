//! What has been played so far, and as a MIDI file: the human on one track, the answer on another.
//!
//! A take that goes on for long is split into parts, each a file of its own. A part begins with the first message from
//! the moment of the split on, so no file begins with a silence or is empty. No message is lost or in two parts:
//! note-offs of notes that began before go with them; a note that sounds on ends with its part and is not struck anew in
//! the next, whose own note-off for it is then left out. Pedals that are down are let go in the one and put down again
//! in the other.

mod voice;

use crate::beat::TempoTrail;
use crate::conductor::Turn;
use crate::midi::{MidiEvent, TimedMessage};
use crate::midi_file::{MidiFileError, Score, Track, write};
use crate::sysex::SysEx;
use crate::time::SessionTime;
use voice::Voice;

/// Bytes that a message takes in a file: delta time, and the message; running status saves some.
const MESSAGE: usize = 5;

/// Bytes that a marker or tempo takes in a file, about.
const META: usize = 24;

/// The tracks of a take.
pub const HUMAN_TRACK: &str = "You";
/// See [`HUMAN_TRACK`].
pub const AI_TRACK: &str = "Antiphon";

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
    /// Somebody asked for another part.
    Split {
        /// When.
        at: SessionTime,
    },
}

impl Happening {
    /// Whether it is a message that stands in the file: MIDI clock and transport only shape its tempo map.
    pub fn is_message(&self) -> bool {
        matches!(self, Self::Human(timed) | Self::Ai(timed) if timed.message.channel().is_some())
    }
}

/// What has been played so far; by default in bars of four.
#[derive(Clone, Debug, Default)]
pub struct Take {
    /// When the file begins: at the session's beginning, later parts at their first message, or at its bar line.
    origin: SessionTime,
    human: Voice,
    ai: Voice,
    sysex: Vec<SysEx>,
    markers: Vec<(SessionTime, String)>,
    tempo: TempoTrail,
    /// Which part of the session it is, from 1.
    part: u32,
    /// Bytes of SysEx.
    sysex_bytes: usize,
    /// When notes end that sound on in the next part.
    closes: Option<SessionTime>,
}

impl Take {
    /// An empty take in bars of `beats_per_bar` quarter notes; 0 counts as 1.
    pub fn in_bars_of(beats_per_bar: u8) -> Self {
        Self { tempo: TempoTrail::new(beats_per_bar), part: 1, ..Self::default() }
    }

    /// Adds what happened. MIDI clock and transport are no playing: they become the tempo map.
    pub fn add(&mut self, happening: Happening) {
        match happening {
            Happening::Human(TimedMessage { time, message }) => match message.event() {
                MidiEvent::Sync(sync) => self.tempo.hear(time, sync),
                _ => self.human.add(TimedMessage { time, message }),
            },
            Happening::Ai(message) => self.ai.add(message),
            Happening::Turn { at, turn: Turn::Ai } => self.mark(at, "Antiphon answers"),
            Happening::Turn { at, turn: Turn::Human } => self.mark(at, "You play"),
            Happening::Turn { at, turn: Turn::Both } => self.mark(at, "You play together"),
            // Whoever writes the files splits them.
            Happening::Split { .. } => {}
        }
    }

    /// Adds a SysEx message of the human.
    pub fn add_sysex(&mut self, sysex: SysEx) {
        self.sysex_bytes += sysex.bytes.len();
        self.sysex.push(sysex);
    }

    fn mark(&mut self, at: SessionTime, text: impl Into<String>) {
        self.markers.push((at, text.into()));
    }

    /// Whether nothing was played.
    pub fn is_empty(&self) -> bool {
        self.human.messages.is_empty() && self.ai.messages.is_empty() && self.sysex.is_empty()
    }

    /// Whether no key sounds, of either voice.
    pub fn rests(&self) -> bool {
        self.human.rests() && self.ai.rests()
    }

    /// When its file begins, in session time.
    pub fn origin(&self) -> SessionTime {
        self.origin
    }

    /// Bytes that it takes in a file, about.
    pub fn size(&self) -> usize {
        let messages = self.human.messages.len() + self.ai.messages.len();
        messages * MESSAGE + (self.markers.len() + self.tempo.knots()) * META + self.sysex_bytes
    }

    /// The time of the last message.
    fn end(&self) -> SessionTime {
        let messages = self.human.messages.iter().chain(&self.ai.messages).map(|last| last.time);
        messages.chain(self.sysex.iter().map(|sysex| sysex.time)).max().unwrap_or_default()
    }

    /// Splits at `at`, which is past: this take is then what came before, and the next part, which is given back, what
    /// has come since; see the module. `None`, and nothing changes, when nothing came before or nothing has come since.
    pub fn split(&mut self, at: SessionTime) -> Option<Self> {
        let (mut human, mut ai) = (self.human.split(at), self.ai.split(at));
        let sysex_begins = self.sysex.iter().map(|sysex| sysex.time).filter(|time| *time >= at);
        let begins = human.begins().into_iter().chain(ai.begins()).chain(sysex_begins).min()?;
        if human.earlier.is_empty() && ai.earlier.is_empty() && self.sysex.iter().all(|sysex| sysex.time >= at) {
            return None;
        }
        self.closes = Some(self.end());
        let (origin, tempo) = self.tempo.go_on_from(begins);
        human.put_pedals_down(origin);
        ai.put_pedals_down(origin);
        let mut next = Self { origin, tempo, part: self.part + 1, ..Self::default() };
        (self.human, next.human) = (human.earlier, human.later);
        (self.ai, next.ai) = (ai.earlier, ai.later);
        (self.sysex, next.sysex) = std::mem::take(&mut self.sysex).into_iter().partition(|sysex| sysex.time < at);
        (self.markers, next.markers) = std::mem::take(&mut self.markers).into_iter().partition(|(time, _)| *time < at);
        let bytes = |sysex: &[SysEx]| sysex.iter().map(|sysex| sysex.bytes.len()).sum();
        (self.sysex_bytes, next.sysex_bytes) = (bytes(&self.sysex), bytes(&next.sysex));
        next.markers.insert(0, (origin, format!("Part {}", next.part)));
        Some(next)
    }

    /// The take as a MIDI file of type 1: tempo map and markers, the human, the answer. Notes that still sound end
    /// with the last thing that was played. Where a MIDI clock was followed, the file's bars are the clock's.
    ///
    /// # Errors
    /// When it is too long for a MIDI file.
    pub fn to_midi(&self) -> Result<Vec<u8>, MidiFileError> {
        let end = self.closes.unwrap_or_else(|| self.end());
        // What comes in after its part was closed stands at the beginning of the next.
        let in_file = |time: SessionTime| SessionTime::ZERO + time.since(self.origin);
        let releases = [&self.human, &self.ai].map(|voice| voice.releases(end));
        let [human, ai] = [(&self.human, &releases[0]), (&self.ai, &releases[1])].map(|(voice, releases)| {
            let messages = voice.messages.iter().chain(releases);
            messages.map(|timed| (in_file(timed.time), timed.message.as_bytes()))
        });
        let mut sysex: Vec<(SessionTime, &[u8])> =
            self.sysex.iter().map(|sysex| (in_file(sysex.time), &*sysex.bytes)).collect();
        sysex.sort_by_key(|(time, _)| *time);
        let markers: Vec<_> = self.markers.iter().map(|(time, text)| (in_file(*time), text.clone())).collect();
        let score = Score::default();
        write(Score {
            tempi: &self.tempo.tempi(score.division),
            time_signature: (self.tempo.beats_per_bar(), 2),
            markers: &markers,
            tracks: vec![
                Track::of_messages(HUMAN_TRACK, in_turn(sysex.into_iter(), human)),
                Track::of_messages(AI_TRACK, ai),
            ],
            ..score
        })
    }
}

/// Both in one, by time; of the first first where they are at once.
fn in_turn<'a>(
    first: impl Iterator<Item = (SessionTime, &'a [u8])>,
    second: impl Iterator<Item = (SessionTime, &'a [u8])>,
) -> impl Iterator<Item = (SessionTime, &'a [u8])> {
    let (mut first, mut second) = (first.peekable(), second.peekable());
    std::iter::from_fn(move || match (first.peek(), second.peek()) {
        (Some((a, _)), Some((b, _))) if a > b => second.next(),
        (Some(_), _) => first.next(),
        (None, _) => second.next(),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::midi::{ShortMessage, SyncMessage};
    use crate::midi_file::{read_events_from_bytes, read_notes_from_bytes, read_sysex_from_bytes};

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

    fn human(us: u64, bytes: &[u8]) -> Happening {
        let message = ShortMessage::from_bytes(bytes).expect("whole");
        Happening::Human(TimedMessage { time: SessionTime::from_micros(us), message })
    }

    /// All channel messages of a take's file: when, in milliseconds, and the bytes.
    fn events(take: &Take) -> Vec<(u64, Vec<u8>)> {
        let events = read_events_from_bytes(&take.to_midi().expect("short")).expect("whole");
        events.iter().map(|event| ((event.time.as_micros() + 300) / 1000, event.bytes().to_vec())).collect()
    }

    #[test]
    fn a_note_off_goes_with_its_note_and_a_note_that_sounds_on_is_not_struck_again() {
        let mut take = Take::in_bars_of(4);
        for (ms, bytes) in [
            (0, [0x90, 60, 70]),
            (10, [0x90, 62, 70]),
            (20, [0xb0, 64, 90]),
            (130, [0x80, 60, 33]),
            (150, [0x90, 65, 70]),
            (160, [0x80, 65, 44]),
        ] {
            take.add(human(ms * 1000, &bytes));
        }
        let mut next = take.split(SessionTime::from_micros(100_000)).expect("both halves hold something");
        let before = [
            (0, vec![0x90, 60, 70]),
            (10, vec![0x90, 62, 70]),
            (20, vec![0xb0, 64, 90]),
            (130, vec![0x80, 60, 33]),
            (160, vec![0x80, 62, 64]),
            (160, vec![0xb0, 64, 0]),
        ];
        assert_eq!(events(&take), before);
        next.add(human(200_000, &[0x80, 62, 55]));
        next.add(human(210_000, &[0x90, 62, 70]));
        next.add(human(220_000, &[0x80, 62, 55]));
        let since = [
            (0, vec![0xb0, 64, 90]),
            (0, vec![0x90, 65, 70]),
            (10, vec![0x80, 65, 44]),
            (60, vec![0x90, 62, 70]),
            (70, vec![0x80, 62, 55]),
            (70, vec![0xb0, 64, 0]),
        ];
        assert_eq!(events(&next), since, "it begins with its first message");
        let bytes = next.to_midi().expect("short");
        assert!(bytes.windows(6).any(|window| window == b"Part 2"));
    }

    #[test]
    fn nothing_is_split_where_nothing_was_played_before_or_since() {
        let at = SessionTime::from_micros;
        let mut take = Take::in_bars_of(4);
        assert!(take.split(at(5)).is_none());
        take.add(human(10, &[0x90, 60, 70]));
        assert!(take.split(at(5)).is_none() && take.split(at(50)).is_none());
        take.add(human(60, &[0x80, 60, 70]));
        assert!(take.split(at(50)).is_none(), "a note-off begins nothing");
        take.add_sysex(SysEx { time: at(70), bytes: [0xf0, 0xf7].into() });
        assert!(take.split(at(50)).is_some());
    }

    #[test]
    fn sysex_stands_in_the_file_as_it_came() {
        let mut take = Take::in_bars_of(4);
        let long = [&[0xf0][..], &vec![0x55; crate::sysex::LONGEST - 2], &[0xf7]].concat();
        for (ms, bytes) in [(20, vec![0xf0, 1, 2, 0xf7]), (50, long)] {
            let time = SessionTime::from_micros(ms * 1000);
            take.add_sysex(SysEx { time, bytes: bytes.into() });
        }
        take.add(human(50_000, &[0xc0, 5]));
        let found = read_sysex_from_bytes(&take.to_midi().expect("short")).expect("whole");
        let near = |found: &SysEx, ms: u64| found.time.as_micros().abs_diff(ms * 1000) < 300;
        assert!(near(&found[0], 20) && near(&found[1], 50));
        assert!(found.iter().zip(&take.sysex).all(|(found, kept)| found.bytes == kept.bytes), "to the byte");
        assert!(take.size() > crate::sysex::LONGEST);
    }

    #[test]
    fn the_bars_of_a_later_part_are_the_clocks_as_well() {
        let mut take = Take::in_bars_of(4);
        // 120 bpm from 1 s on, a note on each second beat of a bar.
        for clock in 0..24 * 64_u64 {
            take.add(human(1_000_000 + clock * 500_000 / 24, &[0xf8]));
            if clock % 96 == 24 {
                take.add(human(1_000_000 + clock * 500_000 / 24, &[0x90, 60, 70]));
                take.add(human(1_010_000 + clock * 500_000 / 24, &[0x80, 60, 70]));
            }
        }
        let next = take.split(SessionTime::from_micros(12_000_000)).expect("both halves hold something");
        assert_eq!(next.origin().as_micros().abs_diff(13_000_000), 0, "the bar line before the note at 13.5 s");
        let bytes = next.to_midi().expect("short");
        let file = midly::Smf::parse(&bytes).expect("whole");
        let mut tick = 0;
        let mut beats = Vec::new();
        for event in &file.tracks[1] {
            tick += event.delta.as_int();
            if let midly::TrackEventKind::Midi { message: midly::MidiMessage::NoteOn { .. }, .. } = event.kind {
                beats.push(f64::from(tick) / 960.0);
            }
        }
        assert_eq!(beats.len(), 10);
        assert!(beats.iter().all(|beat| (beat % 4.0 - 1.0).abs() < 0.02), "{beats:?}");
    }

    proptest! {
        #[test]
        fn splitting_loses_and_doubles_nothing_and_no_note_is_owed(
            steps in proptest::collection::vec((0u64..40, any::<bool>(), 0u8..7, 0u8..3, 58u8..64), 0..200),
            splits in proptest::collection::vec(0u64..4000, 0..5),
        ) {
            // Each message can be told from all others by its last byte or two.
            let (mut now, mut sent) = (0, Vec::new());
            for (number, (wait, is_ai, what, channel, key)) in (0usize..).zip(&steps) {
                now += wait;
                let [high, low] = [number / 100, number % 100].map(|part| u8::try_from(part + 1).expect("small"));
                let bytes = match what {
                    0..3 => [0x90 | channel, *key, low],
                    3..5 => [0x80 | channel, *key, low],
                    5 => [0xb0 | channel, 20 + high, low],
                    _ => [0xe0 | channel, high, low],
                };
                let message = ShortMessage::from_bytes(&bytes).expect("whole");
                let timed = TimedMessage { time: SessionTime::from_micros(now * 1000), message };
                sent.push(if *is_ai { Happening::Ai(timed) } else { Happening::Human(timed) });
            }
            let mut splits = splits;
            splits.sort_unstable();
            let mut splits = splits.into_iter().peekable();
            let (mut parts, mut take) = (Vec::new(), Take::in_bars_of(4));
            for happening in &sent {
                let (Happening::Ai(timed) | Happening::Human(timed)) = happening else { unreachable!() };
                // A look behind, as the recorder is.
                while let Some(at) = splits.next_if(|at| SessionTime::from_micros((at + 100) * 1000) < timed.time) {
                    if let Some(next) = take.split(SessionTime::from_micros(at * 1000)) {
                        parts.push(std::mem::replace(&mut take, next));
                    }
                }
                take.add(*happening);
            }
            parts.push(take);
            let mut written = Vec::new();
            for part in &parts {
                let mut owed = std::collections::BTreeMap::<_, i64>::new();
                for (voice, track) in [(false, &part.human), (true, &part.ai)] {
                    let releases = track.releases(SessionTime::from_micros(now * 1000));
                    for timed in track.messages.iter().chain(&releases) {
                        let bytes = timed.message.as_bytes().to_vec();
                        if matches!(timed.message.event(), MidiEvent::NoteOn { .. }) {
                            *owed.entry((voice, bytes[0] & 15, bytes[1])).or_default() += 1;
                        } else if let MidiEvent::NoteOff { .. } = timed.message.event() {
                            let owed = owed.entry((voice, bytes[0] & 15, bytes[1])).or_default();
                            *owed = (*owed - 1).max(0);
                        }
                        written.push((voice, bytes));
                    }
                }
                prop_assert!(owed.values().all(|owed| *owed == 0), "{:?}", owed);
                prop_assert!(parts.len() == 1 || !part.is_empty());
            }
            // Note-offs of notes that sounded on stand once more, or not at all, where their part ended.
            let kept = |is_ai: bool, message: ShortMessage| {
                (!matches!(message.event(), MidiEvent::NoteOff { .. })).then(|| (is_ai, message.as_bytes().to_vec()))
            };
            let mut expected: Vec<_> = sent.iter().filter_map(|happening| match happening {
                Happening::Human(timed) => kept(false, timed.message),
                Happening::Ai(timed) => kept(true, timed.message),
                _ => None,
            }).collect();
            written.retain(|(_, bytes)| bytes[0] & 0xf0 != 0x80);
            written.sort();
            expected.sort();
            prop_assert_eq!(written, expected);
        }
    }
}
