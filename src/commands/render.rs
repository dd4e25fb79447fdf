//! `antiphon render`: a MIDI file as it sounds, offline, by the same instruments as `jam --synth`.

use std::fmt::Display;
use std::fs::{self, File};
use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::{Args, ValueEnum, value_parser};
use hound::{SampleFormat, WavSpec, WavWriter};

use super::log::Log;
use super::soundfonts::choose;
use super::{Exit, Failure, examples, say};
use crate::fault;
use crate::midi::ShortMessage;
use crate::midi_file::{Song, read_song};
use crate::recorder::ordinary;
use crate::synth::{Gains, Mixer, Part};
use crate::take;
use crate::time::{SessionDuration, SessionTime};

/// Frames that are rendered in one go where nothing happens.
const CHUNK: usize = 1024;

/// What rings on after the last message is heard out until it is softer than this, 80 dB below the loudest, for so long;
/// but no longer than the longest.
const SILENT: f32 = 1e-4;
const SILENT_FOR: SessionDuration = SessionDuration::from_millis(250);
const LONGEST_TAIL: SessionDuration = SessionDuration::from_millis(20_000);

/// What a WAV file holds at most, its header left out.
const MOST_BYTES: u64 = u32::MAX as u64 - 1024;

#[derive(Debug, Args)]
#[command(after_help = examples::RENDER)]
pub(super) struct RenderFlags {
    /// MIDI file to play
    #[arg(value_name = "FILE.mid")]
    pub song: PathBuf,

    /// WAV file to write
    #[arg(value_name = "OUT.wav")]
    pub out: PathBuf,

    /// SoundFont (.sf2) to play on, or `built-in` [default: the first in the usual folders, else built-in]
    #[arg(long, value_name = "FILE")]
    pub soundfont: Option<PathBuf>,

    /// Frames a second, 16000 to 192000
    #[arg(long, value_name = "HZ", default_value_t = 48_000, value_parser = value_parser!(u32).range(16_000..=192_000))]
    pub rate: u32,

    /// How loud all is: a factor, 0 to 4
    #[arg(long, value_name = "X", default_value_t = 1.0, value_parser = gain)]
    pub gain: f32,

    /// How loud you are: a factor, 0 to 4. Of a file that Antiphon did not record everything is yours
    #[arg(long, value_name = "X", default_value_t = 1.0, value_parser = gain)]
    pub human_gain: f32,

    /// How loud Antiphon is, which is the track of that name: a factor, 0 to 4
    #[arg(long, value_name = "X", default_value_t = 1.0, value_parser = gain)]
    pub ai_gain: f32,

    /// Form of the samples
    #[arg(long, value_enum, default_value_t)]
    pub format: Form,

    /// Write over a file that is there
    #[arg(long)]
    pub force: bool,
}

/// Form of the samples of a WAV file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Form {
    /// Whole numbers of 16 bits
    #[default]
    I16,
    /// Floating-point numbers of 32 bits
    F32,
}

fn gain(text: &str) -> Result<f32, String> {
    super::values::in_range(text, 0.0, 4.0)
}

pub(super) fn run(flags: &RenderFlags) -> Result<(), Failure> {
    if !flags.force && fs::symlink_metadata(&flags.out).is_ok() {
        let sentence = format!("{} is there already; --force writes over it", flags.out.display());
        return Err(Failure::new(Exit::Sound, sentence));
    }
    let unwritable =
        |why: &dyn Display| Failure::new(Exit::Sound, format!("cannot write {}: {why}", flags.out.display()));
    ordinary(&flags.out).map_err(|why| unwritable(&why))?;
    if fs::canonicalize(&flags.out).is_ok_and(|out| fs::canonicalize(&flags.song).is_ok_and(|song| song == out)) {
        return Err(unwritable(&"it is the song itself"));
    }
    let song = read_song(&flags.song).map_err(|error| Failure::midi_file(&flags.song, &error))?;
    if let Some(damage) = &song.damage {
        Log::default().warning(format_args!("{}: {damage}; what is sound is played", flags.song.display()));
    }
    let Some(end) = song.events.last().map(|last| last.time) else {
        let sentence = format!("{} holds nothing that can be played", flags.song.display());
        return Err(Failure::new(Exit::MidiFile, sentence));
    };
    let bytes =
        (end + LONGEST_TAIL).as_micros().div_ceil(1_000_000) * u64::from(flags.rate) * flags.format.frame_bytes();
    if bytes > MOST_BYTES {
        let sentence = format!("{} is too long for a WAV file; take a lower --rate", flags.song.display());
        return Err(Failure::new(Exit::Sound, sentence));
    }
    // A SoundFont may make its player panic; there is a sentence for that.
    fault::notice_panics();
    let chosen = choose(flags.soundfont.as_deref())?;
    chosen.passed_over.iter().for_each(|sentence| Log::default().warning(sentence));
    let gains = Gains { human: flags.gain * flags.human_gain, ai: flags.gain * flags.ai_gain };
    let mixer = Mixer::new(&chosen.timbre, flags.rate, gains).map_err(|why| Failure::new(Exit::Sound, why))?;

    let began = Instant::now();
    let beside = beside(&flags.out);
    let spec = WavSpec {
        channels: 2,
        sample_rate: flags.rate,
        bits_per_sample: if flags.format == Form::I16 { 16 } else { 32 },
        sample_format: if flags.format == Form::I16 { SampleFormat::Int } else { SampleFormat::Float },
    };
    let write = || -> Result<_, hound::Error> {
        let writer = WavWriter::create(&beside, spec)?;
        let mut rendering = Rendering { mixer, gains, writer, form: flags.format, done: 0, peak: 0.0, loud_at: 0 };
        rendering.play(&song)?;
        rendering.ring_out()?;
        let Rendering { writer, done, peak, mixer, .. } = rendering;
        writer.finalize()?;
        fs::rename(&beside, &flags.out)?;
        Ok((done, peak, mixer.is_broken()))
    };
    let (frames, peak, broken) = write().map_err(|error| {
        // Best effort: the cause of the failure is what the user must hear.
        let _ = fs::remove_file(&beside);
        unwritable(&error)
    })?;
    if broken {
        Log::default().warning("the SoundFont could not be played to the end; the built-in instrument took over");
    }
    #[expect(clippy::cast_precision_loss, reason = "a length for people")]
    let seconds = frames as f64 / f64::from(flags.rate);
    let took = began.elapsed().as_secs_f64();
    let loudest = if peak > 0.0 { format!("{:.1} dB", 20.0 * peak.log10()) } else { "silent".to_owned() };
    say(format_args!("played on {}", chosen.name));
    say(format_args!(
        "wrote {seconds:.3} s at {} Hz to {}, loudest {loudest}, in {took:.1} s ({:.0} times as fast as it sounds)",
        flags.rate,
        flags.out.display(),
        seconds / took.max(1e-3)
    ));
    Ok(())
}

impl Form {
    /// Bytes that a frame of two samples takes.
    fn frame_bytes(self) -> u64 {
        match self {
            Self::I16 => 4,
            Self::F32 => 8,
        }
    }
}

/// Where the file grows until it is whole.
fn beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{}.tmp", std::process::id()));
    name.into()
}

/// A WAV file that grows.
struct Rendering {
    mixer: Mixer,
    gains: Gains,
    writer: WavWriter<BufWriter<File>>,
    form: Form,
    /// Frames so far.
    done: u64,
    peak: f32,
    /// The last frame that was no silence.
    loud_at: u64,
}

impl Rendering {
    /// Plays all messages, each at its frame.
    fn play(&mut self, song: &Song) -> Result<(), hound::Error> {
        for event in &song.events {
            let Ok(message) = ShortMessage::from_bytes(event.bytes()) else { continue };
            self.render_to(frame_of(event.time, self.mixer.rate()))?;
            let is_ai = song.tracks.get(event.track()).is_some_and(|name| name == take::AI_TRACK);
            self.mixer.play(if is_ai { Part::Ai } else { Part::Human }, message);
        }
        Ok(())
    }

    /// What the file holds down for ever is let go, and all is heard out.
    fn ring_out(&mut self) -> Result<(), hound::Error> {
        self.mixer.silence();
        let begin = self.done;
        let rate = self.mixer.rate();
        let frames = |span: SessionDuration| frame_of(SessionTime::ZERO + span, rate);
        while self.done < begin + frames(LONGEST_TAIL)
            && (self.done < begin + frames(SILENT_FOR) || self.done < self.loud_at + frames(SILENT_FOR))
        {
            self.render_to(self.done + CHUNK as u64)?;
        }
        Ok(())
    }

    fn render_to(&mut self, frame: u64) -> Result<(), hound::Error> {
        let mut chunk = [[0.0; 2]; CHUNK];
        while self.done < frame {
            let count = usize::try_from(frame - self.done).unwrap_or(CHUNK).min(CHUNK);
            let frames = &mut chunk[..count];
            self.mixer.render(self.gains, frames);
            for frame in frames {
                self.done += 1;
                let loud = frame[0].abs().max(frame[1].abs());
                self.peak = self.peak.max(loud);
                if loud >= SILENT {
                    self.loud_at = self.done;
                }
                for sample in *frame {
                    match self.form {
                        Form::F32 => self.writer.write_sample(sample)?,
                        Form::I16 => self.writer.write_sample(to_i16(sample))?,
                    }
                }
            }
        }
        Ok(())
    }
}

#[expect(clippy::cast_possible_truncation, reason = "`as` saturates")]
fn to_i16(sample: f32) -> i16 {
    (sample * 32_767.0).round() as i16
}

/// The frame nearest to a time.
fn frame_of(time: SessionTime, rate: u32) -> u64 {
    (time.as_micros() * u64::from(rate) + 500_000) / 1_000_000
}
