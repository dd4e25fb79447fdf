//! What can be typed: the commands, and the flags that several of them have.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use super::controllers::ControllersFlags;
use super::doctor::DoctorFlags;
use super::eval::EvalFlags;
use super::examples;
use super::exit::codes;
use super::generate::GenerateFlags;
use super::init::InitFlags;
use super::jam_flags::JamFlags;
use super::model::ModelFlags;
use super::monitor::MonitorFlags;
use super::ports::PortsFlags;
use super::render::RenderFlags;
use super::replay::ReplayFlags;
use super::settings::SettingsFlags;
use super::shell::{CompletionsFlags, ManFlags};
use super::values::{engine, setting};
use crate::config::{Source, Sourced};
use crate::control::Control;
use crate::model::EngineChoice;

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

/// A setting that was typed as this flag.
pub(super) fn typed(control: &Control, flag: &str) -> Sourced<Control> {
    Sourced { what: control.clone(), source: Source::Flag(flag.to_owned()) }
}

#[derive(Debug, Args)]
pub(super) struct ConfigFlags {
    /// Configuration file; it must be there [default: antiphon/antiphon.toml in the user's configuration folder, if it is
    /// there]; `none` for none
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
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
