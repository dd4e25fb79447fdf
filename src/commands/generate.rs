//! `antiphon generate`: a continuation, offline.

use std::path::PathBuf;

use clap::{Args, value_parser};

use super::flags::{ConfigFlags, PlayingFlags};
use super::jam::tell_moved_aside;
use super::log::Log;
use super::model::{load, seed, settings};
use super::values::seconds;
use super::{Failure, examples, say};
use crate::config::{Config, Effective};
use crate::continuation::{Continuation, Voice, Window};
use crate::midi_file::{self, Score, Track, read_notes};
use crate::note::Note;
use crate::recorder::{RecordError, write_take};
use crate::sampler::Sampler;
use crate::take::{AI_TRACK, HUMAN_TRACK};
use crate::time::{SessionDuration, SessionTime};

/// Length when none is asked for.
const DEFAULT_LENGTH: SessionDuration = SessionDuration::from_millis(30_000);

/// Notes of the prime that are read, the last ones: more than the model can remember, in seconds.
const MOST_PRIMED: usize = 10_000;

/// Longest silence between two notes.
const LONGEST_REST: SessionDuration = SessionDuration::from_millis(4_000);

#[derive(Debug, Args)]
#[command(after_help = examples::GENERATE)]
pub(super) struct GenerateFlags {
    #[command(flatten)]
    pub playing: PlayingFlags,

    #[command(flatten)]
    pub config: ConfigFlags,

    /// MIDI file to go on with
    #[arg(long, value_name = "FILE")]
    pub prime: Option<PathBuf>,

    /// Length of the continuation in seconds
    #[arg(long, value_name = "S", value_parser = seconds, conflicts_with = "notes")]
    pub seconds: Option<f64>,

    /// Length of the continuation in notes, 1 to 100000 [default: 30 seconds]
    #[arg(long, value_name = "N", value_parser = value_parser!(u32).range(1..=100_000))]
    pub notes: Option<u32>,
}

pub(super) fn run(flags: &GenerateFlags, config: &Config) -> Result<(), Failure> {
    let prime = match &flags.prime {
        Some(path) => read_notes(path).map_err(|error| Failure::midi_file(path, &error))?,
        None => Vec::new(),
    };
    let loaded = load(flags.playing.model.as_deref(), &flags.playing.engine)?;
    let mut model = loaded.model;
    let effective = Effective::default().with(&config.settings).with(&flags.playing.changes());
    let settings = settings(&effective, model.description())?;
    let sampler = Sampler::new(settings.sampling, seed(&flags.playing));
    let mut continuation = Continuation::new(&mut model, usize::from(settings.style), sampler)?;
    let unread = prime.len().saturating_sub(MOST_PRIMED);
    if unread > 0 {
        say(format_args!("of the prime's {} notes the last {MOST_PRIMED} are read", prime.len()));
    }
    for &note in &prime[unread..] {
        continuation.insert(note, Voice::Human);
        // One by one, so that a prime of any length takes no more memory than the remembered notes.
        continuation.settle(&mut model)?;
    }

    let begin = prime.iter().map(Note::end).max().unwrap_or_default();
    let end = match flags.notes {
        Some(_) => SessionTime::MAX,
        None => begin + flags.seconds.map_or(DEFAULT_LENGTH, SessionDuration::from_seconds),
    };
    let most = flags.notes.map_or(usize::MAX, |notes| notes as usize);
    let mut answer: Vec<Note> = Vec::new();
    let mut from = begin;
    while answer.len() < most {
        let note = continuation.next_note(&mut model, Window { from, to: from + LONGEST_REST })?;
        if note.onset >= end {
            break;
        }
        from = note.onset;
        answer.push(note);
    }

    let path = &flags.playing.out;
    let tracks = [(HUMAN_TRACK, &prime), (AI_TRACK, &answer)];
    let tracks = tracks.map(|(name, notes)| Track::of_notes(name, notes, 0)).into();
    let markers = [(begin, "Antiphon answers".to_owned())];
    let bytes = midi_file::write(Score { tracks, markers: &markers, ..Score::default() })
        .map_err(|cause| RecordError::TooLong { path: path.clone(), cause })?;
    tell_moved_aside(Log::default(), write_take(path, &bytes, None)?.as_deref());
    say(format_args!("{}", loaded.described));
    let (wrote, to) = (answer.len(), path.display());
    match prime.len() {
        0 => say(format_args!("wrote {wrote} notes to {to}")),
        given => say(format_args!("wrote {wrote} notes after {given} of {begin} to {to}")),
    }
    Ok(())
}
