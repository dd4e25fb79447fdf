//! Each way on which foreign bytes come in, as a function that takes any bytes: what the fuzz targets (`fuzz/`) and a
//! short run of mutated seeds in the tests call.
//!
//! A door must not panic, run on or take much memory, and it checks what must hold of whatever comes through.

mod seeds;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::path::Path;
use std::sync::OnceLock;

use crate::config::{ConfigFile, Keys};
use crate::control::{Assignment, Control};
use crate::ensemble::{Ensemble, Opening};
use crate::midi::{MidiEvent, ShortMessage, TimedMessage};
use crate::midi_file::{SHORTEST_NOTE, read_events_from_bytes, read_notes_and_damage_from_bytes};
use crate::model::ModelFile;
use crate::model::toy::ToyModel;
use crate::offline;
use crate::replay::replay;
use crate::session_file::Reader;
use crate::settings::Settings;
use crate::surface::{http, osc};
use crate::take::Happening;
use crate::time::{SessionDuration, SessionTime};

/// A way in.
#[derive(Clone, Copy)]
pub struct Door {
    /// What comes in there.
    pub name: &'static str,
    /// Lets bytes in.
    ///
    /// # Panics
    /// When what must hold does not.
    pub enter: fn(&[u8]),
    /// Sound input to begin with.
    pub seeds: fn() -> Vec<Vec<u8>>,
}

/// Bytes of a MIDI cable, through a whole session under virtual time.
pub const LIVE: Door = Door { name: "live", enter: live, seeds: seeds::live };
/// A MIDI file.
pub const MIDI_FILE: Door = Door { name: "midi_file", enter: midi_file, seeds: seeds::midi_file };
/// `antiphon.toml`, and lines as they are typed.
pub const CONFIG: Door = Door { name: "config", enter: config, seeds: seeds::config };
/// A model file, up to where an engine would see it.
pub const MODEL: Door = Door { name: "model", enter: model, seeds: seeds::model };
/// An OSC datagram.
pub const OSC: Door = Door { name: "osc", enter: osc::door, seeds: seeds::osc };
/// A session file that is replayed.
pub const SESSION: Door = Door { name: "session", enter: session, seeds: seeds::session };
/// What a page says to the API.
pub const PAGE: Door = Door { name: "page", enter: http::door, seeds: seeds::page };

/// All of them.
pub const DOORS: [Door; 7] = [LIVE, MIDI_FILE, CONFIG, MODEL, OSC, SESSION, PAGE];

/// Messages of one live session: each makes up to four notes of an answer, so a short session is tried out much sooner.
/// Long ones are what the note-debts test is for.
const MOST_MESSAGES: usize = 24;

/// How long a live session goes on behind its last message: long enough for an answer that is soon due and short.
const UNTIL_ANSWERED: SessionDuration = SessionDuration::from_millis(600);

/// A refusal must be one line that a terminal can show.
fn one_sentence(error: impl std::fmt::Display) {
    let sentence = error.to_string();
    assert!(!sentence.is_empty() && sentence.len() < 2000, "{sentence:.300}");
    assert!(!sentence.contains(char::is_control), "{sentence:?}");
}

/// Each message is a byte that says how many milliseconds after the one before, a byte that says how long it is, and its
/// bytes. It is answered soon, shortly and without the session's memory, which [`SESSION`] has: most of what there is to
/// find lies in the messages, and each note of an answer costs as much as many of them.
fn live(bytes: &[u8]) {
    let Some((&first, mut rest)) = bytes.split_first() else { return };
    let mode = ["respond", "accompany", "solo", "listen"][usize::from(first & 3)];
    let mut settings = Settings::default();
    if let Ok(Control::Set(change)) = Control::parse(&format!("mode={mode}")) {
        change.apply(&mut settings);
    }
    settings.patience_floor = SessionDuration::from_millis(60);
    settings.patience_ceiling = SessionDuration::from_millis(150);
    settings.longest_answer = Some(SessionDuration::from_millis(300));
    settings.memory = 0.0;
    let (mut input, mut time) = (Vec::new(), SessionTime::ZERO);
    while let (&[delay, length, ref behind @ ..], true) = (rest, input.len() < MOST_MESSAGES) {
        let (message, after) = behind.split_at(behind.len().min(usize::from(length & 7)));
        rest = after;
        time += SessionDuration::from_millis(delay.into());
        if let Ok(message) = ShortMessage::from_bytes(message) {
            input.push(TimedMessage { time, message });
        }
    }
    let opening = Opening { settings, channel: first >> 4, seed: u64::from(first) };
    let Ok(mut ensemble) = Ensemble::new(ToyModel::default(), opening) else { return };
    let mut ledger = Ledger::default();
    offline::run(&mut ensemble, &input, time + UNTIL_ANSWERED, || false, |happening| ledger.enter(&happening))
        .expect("a toy runs");
    ledger.close();
}

/// Which keys sound at the output.
#[derive(Default)]
struct Ledger(HashMap<(u8, u8), u32>);

impl Ledger {
    fn enter(&mut self, happening: &Happening) {
        let Happening::Ai(timed) = happening else { return };
        match timed.message.event() {
            MidiEvent::NoteOn { channel, key, .. } => *self.0.entry((channel, key)).or_default() += 1,
            MidiEvent::NoteOff { channel, key } => {
                let sounding = self.0.entry((channel, key)).or_default();
                assert!(*sounding > 0, "key {key} of channel {channel} is released and does not sound");
                *sounding -= 1;
            }
            _ => {}
        }
    }

    fn close(&self) {
        assert!(self.0.values().all(|sounding| *sounding == 0), "something sounds at the end");
    }
}

fn midi_file(bytes: &[u8]) {
    let events = read_events_from_bytes(bytes);
    match read_notes_and_damage_from_bytes(bytes) {
        Ok(found) => {
            assert!(found.notes.is_sorted_by_key(|note| (note.onset, note.key)), "in order");
            for note in &found.notes {
                assert!(note.key < 128 && (1..128).contains(&note.velocity) && note.duration >= SHORTEST_NOTE);
            }
            let events = events.expect("what has notes has events");
            assert!(events.is_sorted_by_key(|event| event.time), "in order");
            for event in &events {
                assert!(ShortMessage::from_bytes(event.bytes()).is_ok_and(|m| m.as_bytes() == event.bytes()));
            }
        }
        Err(error) => {
            assert!(events.is_err(), "refused as notes, but not as events");
            one_sentence(error);
        }
    }
}

/// The keys of the file: those of the command, or some of each kind where there is no command.
fn keys() -> &'static Keys {
    static KEYS: OnceLock<Keys> = OnceLock::new();
    #[cfg(feature = "engine")]
    let keys = crate::commands::keys;
    #[cfg(not(feature = "engine"))]
    let keys = || {
        use clap::{Arg, ArgAction, Command, value_parser};
        Keys::of(
            &Command::new("jam")
                .arg(Arg::new("backend").long("backend"))
                .arg(Arg::new("connect_from").long("connect-from").action(ArgAction::Append))
                .arg(Arg::new("channel").long("channel").value_parser(value_parser!(u8).range(1..=16)))
                .arg(Arg::new("no_session").long("no-session").action(ArgAction::SetTrue)),
        )
    };
    KEYS.get_or_init(keys)
}

fn config(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    match ConfigFile::parse(Path::new("antiphon.toml"), text, keys()) {
        Ok(_) => {}
        Err(crate::config::ConfigError::Mistakes(mistakes)) => mistakes.iter().for_each(one_sentence),
        Err(error) => one_sentence(error),
    }
    for line in text.lines().take(20) {
        typed(line);
        if let Err(error) = Assignment::parse(line) {
            one_sentence(error);
        }
    }
}

/// A line that is typed, or comes from the page. What is written down of it means the same again.
pub(crate) fn typed(line: &str) {
    match Control::parse(line) {
        Ok(control) => {
            let written = control.to_string();
            assert_eq!(Control::parse(&written).map(|again| again.to_string()).as_ref(), Ok(&written), "{line:?}");
        }
        Err(error) => one_sentence(error),
    }
}

fn model(bytes: &[u8]) {
    match ModelFile::from_bytes(Path::new("a.onnx"), bytes.to_vec()) {
        Ok(file) => assert_eq!(file.description.check(), Ok(())),
        Err(error) => one_sentence(error),
    }
}

fn session(bytes: &[u8]) {
    let mut reader = match Reader::new(Path::new("a.session"), bytes) {
        Ok(reader) => reader,
        Err(error) => return one_sentence(error),
    };
    let opening = reader.header.opening();
    let ensemble = Ensemble::new(ToyModel::default(), opening).expect("a toy starts");
    let ensemble = ensemble.leading_by(reader.header.lead);
    let mut ledger = Ledger::default();
    let load = |_: &crate::model::Origin| Ok(ToyModel::default());
    if let Err(error) = replay(ensemble, &mut reader, load, |happening| ledger.enter(&happening)) {
        return one_sentence(error);
    }
    ledger.close();
}
