//! The recorded file, read by others than the code that wrote it.

use std::path::Path;
use std::process::{Command, Stdio};

use midly::{Format, MetaMessage, MidiMessage, Smf, Timing, TrackEventKind};

use crate::on_server::say;

/// The notes of one track: when each begins, in seconds, and its key.
pub type Voice = Vec<(f64, u8)>;

/// Reads the tracks that hold notes, and checks the form of the file.
pub fn voices(path: &Path) -> Vec<Voice> {
    voices_and(path, 1)
}

/// The same of a file without handovers.
pub fn voices_alone(path: &Path) -> Vec<Voice> {
    voices_and(path, 0)
}

fn voices_and(path: &Path, handovers: usize) -> Vec<Voice> {
    let bytes = std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let file = Smf::parse(&bytes).expect("the recording is a whole MIDI file");
    assert_eq!(file.header.format, Format::Parallel, "the recording is of type 1");
    let Timing::Metrical(ticks_per_beat) = file.header.timing else { panic!("the recording counts ticks per beat") };
    let ticks_per_beat = f64::from(ticks_per_beat.as_int());

    let mut tempos: Vec<(u32, f64)> = Vec::new(); // (tick, seconds per tick)
    let mut markers = 0;
    for track in &file.tracks {
        let mut tick = 0;
        for event in track {
            tick += event.delta.as_int();
            match event.kind {
                TrackEventKind::Meta(MetaMessage::Tempo(micros)) => {
                    tempos.push((tick, f64::from(micros.as_int()) / 1e6 / ticks_per_beat));
                }
                TrackEventKind::Meta(MetaMessage::Marker(_)) => markers += 1,
                _ => {}
            }
        }
    }
    assert!(!tempos.is_empty(), "the recording has a tempo");
    assert!(markers >= handovers, "the recording marks the handovers");
    tempos.sort_by_key(|tempo| tempo.0);
    let seconds = |tick: u32| {
        let (mut from, mut rate, mut sum) = (0, 0.5 / ticks_per_beat, 0.0);
        for &(at, next_rate) in tempos.iter().take_while(|tempo| tempo.0 <= tick) {
            sum += f64::from(at - from) * rate;
            (from, rate) = (at, next_rate);
        }
        sum + f64::from(tick - from) * rate
    };

    let mut voices = Vec::new();
    for track in &file.tracks {
        let (mut tick, mut notes) = (0, Voice::new());
        for event in track {
            tick += event.delta.as_int();
            if let TrackEventKind::Midi { message: MidiMessage::NoteOn { key, vel }, .. } = event.kind
                && vel.as_int() > 0
            {
                notes.push((seconds(tick), key.as_int()));
            }
        }
        if !notes.is_empty() {
            voices.push(notes);
        }
    }
    voices
}

/// How far the notes of `keys` are, in beats, from the place in a bar of four that `keys` gives each.
pub fn off_the_beat(path: &Path, keys: &[(u8, f64)]) -> Vec<f64> {
    let bytes = std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let file = Smf::parse(&bytes).expect("the recording is a whole MIDI file");
    let Timing::Metrical(ticks_per_beat) = file.header.timing else { panic!("the recording counts ticks per beat") };
    let mut off = Vec::new();
    for track in &file.tracks {
        let mut tick = 0;
        for event in track {
            tick += event.delta.as_int();
            if let TrackEventKind::Midi { message: MidiMessage::NoteOn { key, .. }, .. } = event.kind
                && let Some((_, place)) = keys.iter().find(|(wanted, _)| *wanted == key.as_int())
            {
                let beat = f64::from(tick) / f64::from(ticks_per_beat.as_int());
                off.push(((beat - place + 2.0).rem_euclid(4.0) - 2.0).abs());
            }
        }
    }
    off
}

/// Asks midicsv, a reader by other hands, whether every note in the file is released.
pub fn check_with_midicsv(path: &Path) {
    let Ok(csv) = Command::new("midicsv").arg(path).stdin(Stdio::null()).output() else {
        return say("left out: reading the recording with midicsv, which is not installed (tools/setup.sh --test)");
    };
    assert!(csv.status.success(), "midicsv: {}", String::from_utf8_lossy(&csv.stderr));
    let text = path.with_extension("csv");
    std::fs::write(&text, &csv.stdout).expect("the text can be written");
    let check = Path::new(env!("CARGO_MANIFEST_DIR")).join("tools/check-midi-debts.awk");
    let checked = Command::new("awk").arg("-f").arg(check).arg(&text).stdin(Stdio::null()).output().expect("awk runs");
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stdout));
}
