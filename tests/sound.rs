//! `--synth` on ALSA, on devices that the test makes: a file that takes what sounds, and none at all.
#![cfg(target_os = "linux")]

mod daemon;
mod hearing;
mod soundfont;

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use antiphon::midi_file::{Score, Track, write};
use antiphon::note::Note;
use antiphon::time::{SessionDuration, SessionTime};
use daemon::Daemon;
use hearing::{is_key, loudest, pitch};

/// Generous, because the machine may be busy with other things.
const PATIENCE: Duration = Duration::from_secs(60);

/// A below middle C: 220 Hz.
const KEY: u8 = 57;

/// Plays these keys, half a second each, from `song.mid`; Antiphon only listens.
const PLAYING: [&str; 7] = ["--backend", "none", "--synth", "--mode", "listen", "--input", "song.mid"];

/// A song of that key over and over, for so many seconds.
fn song(folder: &Path, key: u8, seconds: u64) {
    let note = |number: u64| Note {
        onset: SessionTime::from_micros(number * 500_000),
        key,
        duration: SessionDuration::from_millis(400),
        velocity: 60,
    };
    let notes: Vec<Note> = (0..2 * seconds).map(note).collect();
    let score = Score { tracks: vec![Track::of_notes("You", &notes, 0)], ..Score::default() };
    fs::write(folder.join("song.mid"), write(score).expect("short")).expect("written");
}

/// ALSA's configuration, with or without a default device that writes what sounds to `heard.raw`; its path.
fn alsa_of(folder: &Path, has_device: bool) -> String {
    let heard = folder.join("heard.raw");
    let device = format!("pcm.!default {{ type file slave.pcm {{ type null }} file {heard:?} format raw }}\n");
    let path = folder.join("alsa.conf");
    fs::write(&path, if has_device { device } else { String::new() }).expect("written");
    path.display().to_string()
}

/// The left side of what was written there, as stereo of 32-bit floating-point numbers.
fn heard(folder: &Path) -> Vec<f32> {
    let bytes = fs::read(folder.join("heard.raw")).unwrap_or_default();
    bytes.chunks_exact(8).map(|frame| f32::from_le_bytes([frame[0], frame[1], frame[2], frame[3]])).collect()
}

/// The rate of the device, as the daemon has said it.
fn rate(said: &str) -> u32 {
    let rate = said.lines().find_map(|line| line.strip_prefix("sound: ")?.split(" Hz").next()?.split(' ').next_back());
    rate.and_then(|rate| rate.parse().ok()).unwrap_or_else(|| panic!("no rate was said: {said}"))
}

#[test]
fn what_is_played_sounds_in_tune_on_a_device_of_alsa() {
    let folder = tempfile::tempdir().expect("a folder");
    let alsa = alsa_of(folder.path(), true);
    fs::write(folder.path().join("sine.sf2"), soundfont::sine()).expect("written");
    for (font, key) in [("built-in", KEY), ("sine.sf2", KEY + 12)] {
        song(folder.path(), key, 2);
        let flags = [&PLAYING[..], &["--require-sound", "--soundfont", font]].concat();
        let mut daemon = Daemon::start_in(folder.path(), &flags, &[("ALSA_CONFIG_PATH", &alsa)]);
        daemon.wait_until_ready(PATIENCE);
        let (status, said) = daemon.wait(PATIENCE);
        assert!(status.success(), "{said}");
        let sound = heard(folder.path());
        let (loudness, pitch) = (loudest(&sound), pitch(&sound, rate(&said)));
        assert!((0.02..1.0).contains(&loudness), "{font}: {loudness}");
        assert!(is_key(&sound, rate(&said), key), "{font}: {pitch:?} at {} Hz", rate(&said));
        assert!(said.contains("ms from key to loudspeaker, 0 dropouts"), "{said}");
    }
}

#[test]
fn without_a_device_it_plays_on_and_sounds_when_there_is_one() {
    let folder = tempfile::tempdir().expect("a folder");
    let alsa = alsa_of(folder.path(), false);
    song(folder.path(), KEY, 60);
    let flags = [&PLAYING[..], &["--soundfont", "built-in"]].concat();
    let mut daemon = Daemon::start_in(folder.path(), &flags, &[("ALSA_CONFIG_PATH", &alsa)]);
    daemon.wait_until_ready(PATIENCE);
    let none = "sound: none (there is no sound device); the music goes on without it, and a device is waited for\n";
    assert_eq!(daemon.said().matches("sound: ").count(), 1, "one sentence: {}", daemon.said());
    assert!(daemon.said().contains(none), "{}", daemon.said());
    alsa_of(folder.path(), true);
    let begun = Instant::now();
    while !daemon.said().contains("sound: again on") || heard(folder.path()).len() < 100_000 {
        daemon.expect_alive();
        assert!(begun.elapsed() < PATIENCE, "{}", daemon.said());
        sleep(Duration::from_millis(50));
    }
    let (status, said) = daemon.stop("TERM", PATIENCE);
    assert!(status.success(), "{said}");
    let sound = heard(folder.path());
    assert!(loudest(&sound) > 0.02, "{}", loudest(&sound));
}

#[test]
fn where_sound_is_required_it_ends_before_it_begins() {
    let folder = tempfile::tempdir().expect("a folder");
    let alsa = alsa_of(folder.path(), false);
    let jam = |flags: &[&str]| {
        let ended = Command::new(env!("CARGO_BIN_EXE_antiphon"))
            .args(["jam", "--config", "none", "--engine", "embedded", "--backend", "none", "--headless", "--synth"])
            .args(["--soundfont", "built-in", "--require-sound"])
            .args(flags)
            .current_dir(folder.path())
            .env("ALSA_CONFIG_PATH", &alsa)
            .stdin(Stdio::null())
            .output()
            .expect("it starts");
        let said = String::from_utf8_lossy(&ended.stderr).into_owned();
        assert_eq!(ended.status.code(), Some(11), "{said}");
        assert!(!folder.path().join("AI_generated.mid").exists(), "nothing was begun");
        said
    };
    let said = jam(&[]);
    assert!(said.contains("there is no sound: there is no sound device; name a device with --audio-device"), "{said}");
    let said = jam(&["--audio-device", "USB"]);
    assert!(said.contains("no sound device is called \"USB\"; there are: none"), "{said}");
}

#[test]
fn a_soundfont_that_breaks_down_costs_neither_the_sound_nor_the_session() {
    let folder = tempfile::tempdir().expect("a folder");
    let alsa = alsa_of(folder.path(), true);
    fs::write(folder.path().join("odd.sf2"), soundfont::breaking()).expect("written");
    song(folder.path(), 127, 4);
    let flags = [&PLAYING[..], &["--soundfont", "odd.sf2"]].concat();
    let mut daemon = Daemon::start_in(folder.path(), &flags, &[("ALSA_CONFIG_PATH", &alsa)]);
    daemon.wait_until_ready(PATIENCE);
    let (status, said) = daemon.wait(PATIENCE);
    assert!(status.success(), "{said}");
    let once = said.matches("the SoundFont could not be played on; the built-in instrument has taken over").count();
    assert!(once == 1 && !said.contains("panicked"), "{said}");
    assert!(loudest(&heard(folder.path())) > 0.001);
    let ended = Command::new(env!("CARGO_BIN_EXE_antiphon"))
        .args(["render", "song.mid", "song.wav", "--soundfont", "odd.sf2"])
        .current_dir(folder.path())
        .output()
        .expect("it starts");
    let said = String::from_utf8_lossy(&ended.stderr);
    assert!(ended.status.success() && said.contains("could not be played to the end"), "{said}");
    assert!(!said.contains("panicked"), "{said}");
}
