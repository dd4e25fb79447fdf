//! What can be typed.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, value_parser};

use super::doctor::DoctorFlags;
use super::examples;
use super::exit::codes;
use super::http_flags::HttpFlags;
use super::log::{Log, LogFormat};
use super::monitor::MonitorFlags;
use super::osc_flags::OscFlags;
use super::render::RenderFlags;
use super::shell::{CompletionsFlags, ManFlags};
use super::sound_flags::SoundFlags;
use super::take_flags::TakeFlags;
use crate::config::{Source, Sourced};
use crate::control::{Assignment, Control};
use crate::model::EngineChoice;
use crate::ports::{Backend, Destination, Offset, PortName};

/// An instrument that answers: it goes on where you stop playing, in time and in your manner.
#[derive(Debug, Parser)]
#[command(
    name = "antiphon",
    version,
    about,
    after_help = codes() + "\n" + examples::ANTIPHON,
    propagate_version = true,
    arg_required_else_help = true,
    args_conflicts_with_subcommands = true
)]
pub struct Flags {
    #[command(subcommand)]
    pub(super) command: Option<Command>,

    /// Check the configuration and print what counts, and where it comes from; the same as `antiphon jam --check`
    #[arg(long)]
    pub(super) check: bool,

    /// With --check, as JSON
    #[arg(long, requires = "check")]
    pub(super) json: bool,

    /// With --check, the configuration file
    #[arg(long, value_name = "FILE", requires = "check")]
    pub(super) config: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Listen and answer, live, and record both voices
    Jam(Box<JamFlags>),
    /// Watch and steer a running Antiphon from a terminal
    Monitor(MonitorFlags),
    /// Write a continuation to a MIDI file, without playing it
    Generate(GenerateFlags),
    /// Play a recorded session again, to the byte, and say whether it came out as it was played
    Replay(ReplayFlags),
    /// Play a MIDI file into a WAV file
    Render(RenderFlags),
    /// Write a commented configuration file
    Init(InitFlags),
    /// List what can be set and asked for while it plays
    Settings(SettingsFlags),
    /// List the MIDI ports there are
    Ports(PortsFlags),
    /// List the ready-made maps of controllers, or print one
    Controllers(ControllersFlags),
    /// Say what a model file holds and how fast it runs here
    Model(ModelFlags),
    /// Say what is wrong with this machine for playing, and the command that mends it
    Doctor(DoctorFlags),
    /// Say how many bits a note costs a model on pieces that it was not trained on
    Eval(EvalFlags),
    /// Print what makes a shell complete our command line
    Completions(CompletionsFlags),
    /// Write the manual pages
    Man(ManFlags),
}

#[derive(Debug, Args)]
pub(super) struct PlayingFlags {
    /// Model file [default: models/antiphon.onnx if there is one, else the model inside this program]
    #[arg(long, value_name = "FILE")]
    pub model: Option<PathBuf>,

    /// What runs the model: `auto`, `embedded`, or the path of an ONNX Runtime library
    #[arg(long, value_name = "ENGINE", default_value = "auto", value_parser = engine)]
    pub engine: EngineChoice,

    /// Style to play in, one of the model's [default: any]
    #[arg(long, value_name = "NAME", value_parser = setting("style"))]
    pub style: Option<Control>,

    /// How bold the answer is: 0.01 to 4; below 1 safer, above 1 wilder [default: 1]
    #[arg(long, value_name = "T", value_parser = setting("temperature"))]
    pub temperature: Option<Control>,

    /// Draw only from the likeliest choices that together have this probability: 0 to 1 [default: 0.97]
    #[arg(long, value_name = "P", value_parser = setting("top-p"))]
    pub top_p: Option<Control>,

    /// Seed of the random choices; the same seed, input and model give the same notes [default: from the clock]
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,

    /// MIDI file to write; an earlier one is moved aside
    #[arg(long, value_name = "FILE", default_value = "AI_generated.mid")]
    pub out: PathBuf,
}

impl PlayingFlags {
    /// The settings that are flags of their own.
    pub(super) fn changes(&self) -> Vec<Sourced<Control>> {
        let own = [("--style", &self.style), ("--temperature", &self.temperature), ("--top-p", &self.top_p)];
        own.into_iter().filter_map(|(flag, control)| Some(typed(control.as_ref()?, flag))).collect()
    }
}

fn typed(control: &Control, flag: &str) -> Sourced<Control> {
    Sourced { what: control.clone(), source: Source::Flag(flag.to_owned()) }
}

#[derive(Debug, Args)]
pub(super) struct ConfigFlags {
    /// Configuration file; it must be there [default: antiphon/antiphon.toml in the user's configuration folder, if it is
    /// there]; `none` for none
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

#[derive(Debug, Args)]
#[command(after_help = examples::INIT)]
pub(super) struct InitFlags {
    /// Where to write [default: antiphon/antiphon.toml in the user's configuration folder]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// Write over a file that is there
    #[arg(long)]
    pub force: bool,
}

#[derive(Debug, Args)]
#[command(after_help = examples::JAM)]
pub(super) struct JamFlags {
    #[command(flatten)]
    pub playing: PlayingFlags,

    #[command(flatten)]
    pub config: ConfigFlags,

    /// Do not play: check the configuration and print what counts, and where it comes from; --json for scripts
    #[arg(long)]
    pub check: bool,

    /// MIDI system
    #[arg(long, value_enum, default_value_t)]
    pub backend: Backend,

    /// Name under which other programs see us: the ports are `NAME In` and `NAME Out`. Two that run at once need two names
    #[arg(long, value_name = "NAME", default_value_t)]
    pub name: PortName,

    /// Attach to this port, which sends to us: its name or a part of it; may be given several times. A port that is not
    /// there yet, or goes, is waited for
    #[arg(long, value_name = "NAME")]
    pub connect_from: Vec<String>,

    /// Attach to this port, which we send to: its name or a part of it; may be given several times. With @MSms behind
    /// the name, messages leave there so much later, -200 to 500, or earlier where it is negative: `FLUID@-20ms`
    #[arg(long, value_name = "NAME[@MSms]")]
    pub connect_to: Vec<Destination>,

    /// End with exit code 5 when a named port is not there at the beginning, instead of waiting for it
    #[arg(long)]
    pub require_ports: bool,

    /// Messages leave `Antiphon Out` so many milliseconds later, -200 to 500; earlier where it is negative, for a synth
    /// that takes its time
    #[arg(long, value_name = "MS", default_value = "0", allow_negative_numbers = true)]
    pub offset_ms: Offset,

    /// MIDI channel of the answer, 1 to 16
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = value_parser!(u8).range(1..=16))]
    pub channel: u8,

    /// Let this MIDI file play the human, in real time
    #[arg(long, value_name = "FILE")]
    pub input: Option<PathBuf>,

    /// Play alone, without waiting for a human, and print no live line
    #[arg(long)]
    pub headless: bool,

    /// Stop after this many seconds [default: when you stop it; with --input, when the last answer is over]
    #[arg(long, value_name = "S", value_parser = seconds)]
    pub seconds: Option<f64>,

    /// When it plays: `respond`, `accompany`, `solo` or `listen` (short for --set mode=MODE)
    #[arg(long, value_name = "MODE", value_parser = setting("mode"))]
    pub mode: Option<Control>,

    /// Set something that can also be changed while it plays; `antiphon settings` lists all; may be given several times
    #[arg(long, value_name = "NAME=VALUE", value_parser = change)]
    pub set: Vec<Control>,

    /// Give a MIDI message a meaning: cc20=temperature, cc21=patience:3..0.5, cc22=density:1..20:log, cc66=hand-over,
    /// key108=thru:toggle, pc2=`model 2`, pc=style, bend=memory, pressure=density, cc23=mode:relative, cc7@2=music, with 14
    /// bits cc20+52=memory; may be given several times
    #[arg(long, value_name = "MESSAGE=MEANING", value_parser = assignment)]
    pub map: Vec<Assignment>,

    /// Give the knobs and buttons of a device their meanings by a ready-made map: a name that `antiphon controllers` lists,
    /// or a file; `auto` takes the map of each device that is attached, if there is one; may be given several times. What
    /// --map, [map] and learning say goes before it
    #[arg(long, value_name = "NAME")]
    pub controller: Vec<String>,

    /// One more model, which `model 2` and so on choose while it plays; may be given several times
    #[arg(long, value_name = "FILE")]
    pub more_model: Vec<PathBuf>,

    #[command(flatten)]
    pub take: TakeFlags,

    /// Write no session file beside the take; without it the session cannot be replayed
    #[arg(long)]
    pub no_session: bool,

    #[command(flatten)]
    pub sound: SoundFlags,

    #[command(flatten)]
    pub osc: OscFlags,

    #[command(flatten)]
    pub http: HttpFlags,

    /// Print what happens, the plan too, as JSON lines
    #[arg(long, conflicts_with = "virtual_time")]
    pub json: bool,

    /// In which form it says what happens on standard error
    #[arg(long, value_enum, default_value_t, value_name = "FORM")]
    pub log: LogFormat,

    /// Run on a virtual clock, as fast as the model allows, without MIDI ports; needs --input or --headless
    #[arg(long)]
    pub virtual_time: bool,
}

impl JamFlags {
    /// The settings that were typed, the last word last.
    pub(super) fn changes(&self) -> Vec<Sourced<Control>> {
        let mut changes = Vec::new();
        if self.headless {
            changes.extend(Control::parse("mode=solo").iter().map(|solo| typed(solo, "--headless")));
        }
        changes.extend(self.playing.changes());
        changes.extend(self.mode.iter().map(|control| typed(control, "--mode")));
        changes.extend(self.set.iter().map(|control| typed(control, "--set")));
        changes
    }

    /// How it says what happens.
    pub fn log(&self) -> Log {
        Log::new(self.log)
    }
}

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

#[derive(Debug, Args)]
#[command(after_help = examples::REPLAY)]
pub(super) struct ReplayFlags {
    /// Session file, as `antiphon jam` leaves it beside each take
    #[arg(value_name = "SESSION")]
    pub session: PathBuf,

    /// MIDI file to write; an earlier one is moved aside [default: SESSION's name with -replay.mid]
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,

    /// Where a model of the session is now; may be given several times [default: where it was]
    #[arg(long, value_name = "FILE")]
    pub model: Vec<PathBuf>,

    /// Take the first --model even where it is another one than was played: hear how it would have answered
    #[arg(long, requires = "model")]
    pub other_model: bool,

    /// What runs the model: `auto`, `embedded`, or the path of an ONNX Runtime library
    #[arg(long, value_name = "ENGINE", default_value = "auto", value_parser = engine)]
    pub engine: EngineChoice,

    /// End with exit code 9 when the plan is not the same as it was played, or the session file is not whole
    #[arg(long)]
    pub check: bool,

    /// Print what became of it as JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Clone, Copy, Debug, Args)]
#[command(after_help = examples::SETTINGS)]
pub(super) struct SettingsFlags {
    /// The OSC addresses instead: what can be sent to `jam --osc`, and what it tells
    #[arg(long)]
    pub osc: bool,

    /// As JSON
    #[arg(long, conflicts_with = "osc")]
    pub json: bool,
}

#[derive(Clone, Copy, Debug, Args)]
#[command(after_help = examples::PORTS)]
pub(super) struct PortsFlags {
    /// As JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
#[command(after_help = examples::CONTROLLERS)]
pub(super) struct ControllersFlags {
    /// Print this one: its name, or a file
    #[arg(value_name = "NAME")]
    pub name: Option<String>,

    /// As JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
#[command(after_help = examples::MODEL)]
pub(super) struct ModelFlags {
    /// Model file [default: as for jam]
    #[arg(value_name = "FILE")]
    pub model: Option<PathBuf>,

    /// As JSON
    #[arg(long)]
    pub json: bool,

    #[command(flatten)]
    pub config: ConfigFlags,

    /// What runs the model: `auto`, `embedded`, or the path of an ONNX Runtime library
    #[arg(long, value_name = "ENGINE", default_value = "auto", value_parser = engine)]
    pub engine: EngineChoice,
}

#[derive(Debug, Args)]
#[command(after_help = examples::EVAL)]
pub(super) struct EvalFlags {
    /// Model file
    #[arg(value_name = "MODEL")]
    pub model: PathBuf,

    /// Pieces to evaluate on: a folder with one folder for each style; of a style with train/ and test/, test/ is taken
    #[arg(value_name = "FOLDER")]
    pub folder: PathBuf,

    /// Pieces that the baselines learn from; of a style with train/, that part; may be given several times
    /// [default: the train/ beside each test/ that is taken]
    #[arg(long, value_name = "FOLDER")]
    pub train: Vec<PathBuf>,

    /// As JSON: one line for each piece, then one for all
    #[arg(long)]
    pub json: bool,

    /// What runs the model: `auto`, `embedded`, or the path of an ONNX Runtime library
    #[arg(long, value_name = "ENGINE", default_value = "auto", value_parser = engine)]
    pub engine: EngineChoice,

    /// Tell the model each piece's style, where it knows it; otherwise it is told `any`
    #[arg(long)]
    pub style_told: bool,

    /// Most training notes that the baselines of a style learn from, 1000 to 100000000
    #[arg(long, value_name = "N", default_value_t = 1_500_000, value_parser = value_parser!(u32).range(1000..=100_000_000))]
    pub training_notes: u32,

    /// How much the piece itself has to say in what comes next, 0 to 1: 0 is the model alone
    #[arg(long, value_name = "M", default_value_t = 1.0, value_parser = probability)]
    pub memory: f32,

    /// Continue so many of the pieces, 0 to 10000, and compare the continuations with what people wrote
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = value_parser!(u32).range(0..=10_000))]
    pub generate: u32,

    /// How bold the continuations are: 0.01 to 4
    #[arg(long, value_name = "T", default_value_t = 1.0, value_parser = temperature)]
    pub temperature: f32,

    /// Continuations draw only from the likeliest choices that together have this probability: 0 to 1
    #[arg(long, value_name = "P", default_value_t = 0.97, value_parser = probability)]
    pub top_p: f32,

    /// Seed of the continuations
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,

    /// Threads to work on, 1 to 64 [default: as many as there are processors, 8 at most]
    #[arg(long, value_name = "N", value_parser = value_parser!(u8).range(1..=64))]
    pub threads: Option<u8>,
}

/// Takes a value of the setting `name`.
fn setting(name: &'static str) -> impl Fn(&str) -> Result<Control, String> + Clone + Send + Sync + 'static {
    move |text| change(&format!("{name}={text}"))
}

fn change(text: &str) -> Result<Control, String> {
    match Control::parse(text) {
        Ok(control @ (Control::Set(_) | Control::Style(_))) => Ok(control),
        Ok(_) => Err("this can be asked for only while it plays".into()),
        Err(error) => Err(error.to_string()),
    }
}

fn assignment(text: &str) -> Result<Assignment, String> {
    Assignment::parse(text).map_err(|error| error.to_string())
}

fn engine(text: &str) -> Result<EngineChoice, String> {
    Ok(match text {
        "auto" => EngineChoice::Auto,
        "embedded" => EngineChoice::Embedded,
        "" => return Err("expected `auto`, `embedded` or a path".into()),
        path => EngineChoice::OnnxRuntime(path.into()),
    })
}

fn temperature(text: &str) -> Result<f32, String> {
    in_range(text, 0.01, 4.0)
}

fn probability(text: &str) -> Result<f32, String> {
    in_range(text, 0.0, 1.0)
}

/// A day at most, so that nothing overflows and a slip of the finger is noticed.
fn seconds(text: &str) -> Result<f64, String> {
    in_range(text, 0.1, 86_400.0)
}

pub(super) fn in_range<T>(text: &str, low: T, high: T) -> Result<T, String>
where
    T: std::str::FromStr + PartialOrd + std::fmt::Display + Copy,
{
    let value: Option<T> = text.parse().ok();
    value.filter(|value| (low..=high).contains(value)).ok_or_else(|| format!("expected a number from {low} to {high}"))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_flags_are_well_formed() {
        Flags::command().debug_assert();
    }

    #[test]
    fn nonsense_is_refused() {
        for nonsense in [
            &["jam", "--temperature", "0"][..],
            &["jam", "--temperature", "NaN"],
            &["jam", "--seconds", "-3"],
            &["jam", "--channel", "17"],
            &["jam", "--set", "patience=-5"],
            &["jam", "--set", "patience"],
            &["jam", "--mode", "loud"],
            &["jam", "--map", "cc200=panic"],
            &["jam", "--backend", "usb"],
            &["jam", "--split-silence", "0"],
            &["jam", "--split-every", "20000"],
            &["jam", "--split-every", "5", "--virtual-time"],
            &["jam", "--name", "left:hand"],
            &["jam", "--name", ""],
            &["jam", "--offset-ms", "-900"],
            &["jam", "--connect-to", "FLUID@-900ms"],
            &["jam", "--osc", "everywhere"],
            &["jam", "--osc", "70000"],
            &["jam", "--osc-to", "lights"],
            &["jam", "--osc-to", "lights:0"],
            &["eval", "model.onnx"],
            &["eval", "model.onnx", "songs", "--training-notes", "3"],
            &["eval", "model.onnx", "songs", "--memory", "1.5"],
            &["generate", "--notes", "0"],
            &["generate", "--notes", "5", "--seconds", "5"],
            &["sing"],
            &[],
        ] {
            let line = std::iter::once("antiphon").chain(nonsense.iter().copied());
            assert!(Flags::try_parse_from(line).is_err(), "{nonsense:?}");
        }
    }
}
