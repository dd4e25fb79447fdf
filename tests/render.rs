//! `antiphon render`: what is heard, when, how loud, and what is refused.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use antiphon::midi_file::{Score, Tempo, Track, read_notes, write};
use antiphon::note::Note;
use antiphon::time::{SessionDuration, SessionTime};

#[path = "soundfont/mod.rs"]
mod soundfont;

const RATE: u32 = 32_000;

fn note(ms: u64, key: u8, lasts: u64) -> Note {
    let onset = SessionTime::from_micros(ms * 1000);
    Note { onset, key, duration: SessionDuration::from_millis(lasts), velocity: 100 }
}

/// A take in `folder`: the human from 0.5 s on, Antiphon from 2.5 s on, in a tempo that changes.
fn take(folder: &Path) -> PathBuf {
    let tempi = [(0, 500_000), (700, 300_000), (2_600, 800_000)]
        .map(|(ms, us_per_quarter)| Tempo { time: SessionTime::from_micros(ms * 1000), us_per_quarter });
    let human = [note(500, 60, 300), note(1_000, 62, 300), note(1_500, 64, 300)];
    let ai = [note(2_500, 60, 300), note(3_000, 67, 300)];
    let tracks = vec![Track::of_notes("You", &human, 0), Track::of_notes("Antiphon", &ai, 0)];
    let path = folder.join("take.mid");
    let bytes = write(Score { tempi: &tempi, tracks, ..Score::default() }).expect("short");
    fs::write(&path, bytes).expect("written");
    path
}

/// Renders the take on the built-in instrument, with these flags as well.
fn render(folder: &Path, out: &str, flags: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_antiphon"));
    command.args(["render", "take.mid", out, "--soundfont", "built-in", "--rate", "32000"]).args(flags);
    command.current_dir(folder).output().expect("it starts")
}

/// How loud each millisecond of the file is.
fn loudness(path: &Path) -> Vec<f32> {
    let mut file = hound::WavReader::open(path).expect("a WAV file");
    let spec = file.spec();
    assert_eq!((spec.channels, spec.sample_rate), (2, RATE));
    let samples: Vec<f32> = match spec.sample_format {
        hound::SampleFormat::Float => file.samples::<f32>().map(|sample| sample.expect("whole")).collect(),
        hound::SampleFormat::Int => {
            file.samples::<i16>().map(|sample| f32::from(sample.expect("whole")) / 32_767.0).collect()
        }
    };
    assert!(samples.iter().all(|sample| sample.is_finite() && sample.abs() < 1.0));
    samples.chunks(2 * 32).map(|ms| ms.iter().fold(0.0, |peak, sample| sample.abs().max(peak))).collect()
}

/// The milliseconds at which it becomes more than half as loud again.
fn onsets(loudness: &[f32]) -> Vec<usize> {
    let mut onsets: Vec<usize> = Vec::new();
    for ms in 10..loudness.len() - 3 {
        let before = loudness[ms - 10..ms].iter().fold(0.0f32, |loud, ms| loud.max(*ms));
        let rises = loudness[ms] > 0.004 && loudness[ms..ms + 3].iter().any(|now| *now > 1.5 * before + 0.004);
        if rises && onsets.last().is_none_or(|last| ms > last + 100) {
            onsets.push(ms);
        }
    }
    onsets
}

#[test]
fn notes_sound_when_the_tempo_map_says_and_the_end_is_silent() {
    let folder = tempfile::tempdir().expect("a folder");
    take(folder.path());
    for (out, flags) in [("a.wav", &[][..]), ("b.wav", &["--format", "f32"])] {
        let output = render(folder.path(), out, flags);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let loud = loudness(&folder.path().join(out));
        let heard = onsets(&loud);
        assert_eq!(heard.len(), 5, "{heard:?}");
        for (heard, played) in heard.iter().zip([500, 1_000, 1_500, 2_500, 3_000]) {
            assert!(heard.abs_diff(played) <= 4, "{heard} instead of {played}");
        }
        assert!(loud[loud.len() - 100..].iter().all(|ms| *ms < 2e-4), "it rings at the end");
    }
}

#[test]
fn a_note_begins_at_its_frame_and_on_a_soundfont_a_moment_later() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("sine.sf2"), soundfont::sine()).expect("written");
    let (wav, song) = (folder.path().join("one.wav"), folder.path().join("take.mid"));
    for us in [500_000, 777_777, 1_234_567, 2_000_015] {
        let one = [Note { onset: SessionTime::from_micros(us), ..note(0, 69, 100) }];
        let score = Score { tracks: vec![Track::of_notes("You", &one, 0)], ..Score::default() };
        fs::write(&song, write(score).expect("short")).expect("written");
        // To the file's own tick.
        let onset = read_notes(&song).expect("ours")[0].onset.as_micros();
        let frame = usize::try_from((onset * u64::from(RATE) + 500_000) / 1_000_000).expect("seconds");
        // The synthesiser looks at its keys every 16 frames, and every SoundFont that says nothing else rests for a
        // millisecond.
        for (font, latest) in [("built-in", 1), ("sine.sf2", 33)] {
            let flags = ["--format", "f32", "--force", "--soundfont", font];
            let mut command = Command::new(env!("CARGO_BIN_EXE_antiphon"));
            command.args(["render", "take.mid", "one.wav", "--rate", "32000"]).args(flags);
            let output = command.current_dir(folder.path()).output().expect("it starts");
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            let samples = hound::WavReader::open(&wav).expect("a WAV file").into_samples::<f32>();
            let first = samples.into_iter().position(|sample| sample.expect("whole").abs() > 1e-9).expect("heard") / 2;
            assert!((frame..=frame + latest).contains(&first), "{font}: {first} instead of {frame}");
        }
    }
}

#[test]
fn each_part_is_as_loud_as_is_said() {
    let folder = tempfile::tempdir().expect("a folder");
    take(folder.path());
    let loudest = |out: &str, flags: &[&str]| {
        assert!(render(folder.path(), out, flags).status.success());
        let loud = loudness(&folder.path().join(out));
        [400..2_000, 2_450..3_300].map(|when| loud[when].iter().fold(0.0f32, |loud, ms| loud.max(*ms)))
    };
    let [human, ai] = loudest("both.wav", &[]);
    assert!(human > 0.05 && ai > 0.05, "{human} {ai}");
    let [human_off, ai_alone] = loudest("ai.wav", &["--human-gain", "0"]);
    assert!(human_off == 0.0 && (ai_alone / ai - 1.0).abs() < 0.05, "{human_off} {ai_alone}");
    let [human_alone, ai_off] = loudest("human.wav", &["--ai-gain", "0"]);
    assert!(ai_off < 0.02 * ai && (human_alone / human - 1.0).abs() < 0.05, "{human_alone} {ai_off}");
    let [half, _] = loudest("half.wav", &["--gain", "0.5"]);
    assert!((half / human - 0.5).abs() < 0.02, "{half} of {human}");
}

#[test]
fn a_file_that_is_there_is_written_over_only_when_told_and_nonsense_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    take(folder.path());
    fs::write(folder.path().join("mine.wav"), "precious").expect("written");
    let says = |output: Output, code: i32, part: &str| {
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{said}");
        assert!(said.contains(part) && said.lines().count() == 1, "{said}");
    };
    says(render(folder.path(), "mine.wav", &[]), 11, "--force");
    assert_eq!(fs::read(folder.path().join("mine.wav")).expect("there"), b"precious");
    says(render(folder.path(), "nowhere/mine.wav", &[]), 11, "nowhere/mine.wav");
    assert!(render(folder.path(), "mine.wav", &["--force"]).status.success());
    assert!(loudness(&folder.path().join("mine.wav")).len() > 3_000);

    fs::write(folder.path().join("bad.sf2"), "RIFF").expect("written");
    let mut command = Command::new(env!("CARGO_BIN_EXE_antiphon"));
    command.args(["render", "take.mid", "bad.wav", "--soundfont", "bad.sf2"]).current_dir(folder.path());
    says(command.output().expect("it starts"), 11, "bad.sf2 cannot be played");
    let mut command = Command::new(env!("CARGO_BIN_EXE_antiphon"));
    command.args(["render", "bad.sf2", "bad.wav"]).current_dir(folder.path());
    says(command.output().expect("it starts"), 7, "bad.sf2");
    let names: Vec<_> = fs::read_dir(folder.path())
        .expect("there")
        .map(|entry| entry.expect("readable").file_name().to_string_lossy().into_owned())
        .collect();
    assert_eq!(names.len(), 3, "nothing half-written is left: {names:?}");
}
