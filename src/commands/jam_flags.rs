//! The flags of `antiphon jam`.

use std::path::PathBuf;

use clap::{Args, value_parser};

use super::examples;
use super::flags::{ConfigFlags, PlayingFlags, typed};
use super::http_flags::HttpFlags;
use super::log::{Log, LogFormat};
use super::osc_flags::OscFlags;
use super::sound_flags::SoundFlags;
use super::take_flags::TakeFlags;
use super::values::{assignment, change, seconds, setting};
use crate::config::Sourced;
use crate::control::{Assignment, Control};
use crate::ports::{Backend, Destination, Offset, PortName};

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
