//! What the `antiphon` command can do, one file each.

mod check;
mod configured;
mod controllers;
mod doctor;
#[cfg(test)]
mod documented;
mod eval;
mod examples;
mod exit;
mod flags;
mod generate;
mod http_flags;
mod init;
mod jam;
mod jam_flags;
mod log;
mod model;
mod monitor;
mod osc_flags;
mod ports;
mod rack;
mod render;
mod replay;
mod settings;
mod shell;
mod signals;
mod sound_flags;
mod soundfonts;
mod supervisor;
mod take_flags;
mod values;
mod watching;

use std::ffi::OsString;
use std::io::Write as _;
use std::process::ExitCode;
use std::sync::{Mutex, PoisonError};

#[cfg(test)]
pub(crate) use configured::keys;
use configured::{Arguments, Configured, Unparsed};
pub use exit::Exit;
use flags::Command;
pub use flags::Flags;
use log::Log;

use crate::config::{Config, ConfigError};
use crate::midi_file::MidiFileError;
use crate::model::engine::EngineError;
use crate::model::{ModelError, ModelFileError};
use crate::ports::PortError;
use crate::recorder::RecordError;
use crate::replay::ReplayError;
use crate::session::SessionError;
use crate::session_file::SessionFileError;

/// An error with its exit code.
#[derive(Debug)]
struct Failure {
    exit: Exit,
    sentence: String,
}

impl Failure {
    fn new(exit: Exit, sentence: impl ToString) -> Self {
        Self { exit, sentence: sentence.to_string() }
    }

    fn midi_file(path: &std::path::Path, error: &MidiFileError) -> Self {
        Self::new(Exit::MidiFile, format!("{} {error}", path.display()))
    }
}

/// Each error type has one exit code.
macro_rules! exits {
    ($($error:ty => $exit:expr),* $(,)?) => {
        $(impl From<$error> for Failure {
            fn from(error: $error) -> Self {
                Self::new($exit, error)
            }
        })*
    };
}

exits! {
    ModelFileError => Exit::Model,
    EngineError => Exit::Engine,
    RecordError => Exit::Record,
    SessionFileError => Exit::Session,
    ConfigError => Exit::Usage,
    std::io::Error => Exit::Failed,
}

impl From<PortError> for Failure {
    fn from(error: PortError) -> Self {
        let exit = if matches!(error, PortError::NameTaken { .. }) { Exit::NameTaken } else { Exit::Port };
        Self::new(exit, error)
    }
}

impl From<ModelError> for Failure {
    fn from(error: ModelError) -> Self {
        let exit = if matches!(error, ModelError::Style { .. }) { Exit::Model } else { Exit::Engine };
        Self::new(exit, error)
    }
}

impl From<SessionError> for Failure {
    fn from(error: SessionError) -> Self {
        match error {
            SessionError::Port(error) => error.into(),
            SessionError::Record(error) => error.into(),
            SessionError::Model(error) => error.into(),
            SessionError::Panicked => Self::new(Exit::Panicked, error),
            SessionError::SystemGone => Self::new(Exit::Port, error),
            SessionError::NoSound(_) => Self::new(Exit::Sound, error),
            SessionError::Thread(_) => Self::new(Exit::Failed, error),
        }
    }
}

impl From<ReplayError> for Failure {
    fn from(error: ReplayError) -> Self {
        match error {
            ReplayError::File(error) => error.into(),
            ReplayError::Model(error) => error.into(),
            ReplayError::Missing(_) => Self::new(Exit::Model, error),
        }
    }
}

/// Tells a person something.
fn say(sentence: impl std::fmt::Display) {
    Log::default().info(sentence);
}

/// Why something that was asked for could not be printed.
static UNPRINTED: Mutex<Option<std::io::Error>> = Mutex::new(None);

/// Prints a line that was asked for. A reader that has gone, as in `| head`, is no reason to fail; a full disk is.
fn print_line(line: impl std::fmt::Display) {
    keep_unprinted(writeln!(std::io::stdout(), "{line}"));
}

fn keep_unprinted(printed: std::io::Result<()>) {
    if let Err(cause) = printed
        && cause.kind() != std::io::ErrorKind::BrokenPipe
    {
        UNPRINTED.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(cause);
    }
}

/// Whether all that was asked for has been printed.
fn all_printed() -> Result<(), Failure> {
    keep_unprinted(std::io::stdout().flush());
    match UNPRINTED.lock().unwrap_or_else(PoisonError::into_inner).take() {
        Some(cause) => Err(Failure::new(Exit::Failed, format!("cannot print: {cause}"))),
        None => Ok(()),
    }
}

/// Does what the command line says, in the light of the environment and the configuration file.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let mut log = Log::default();
    let arguments = Arguments(arguments.into_iter().collect());
    let result = match configured::parse(arguments.0.clone()) {
        Ok(Configured { command, config }) => {
            if let Command::Jam(flags) = &command {
                log = flags.log();
            }
            obey(command, &config, &arguments)
        }
        Err(Unparsed::Failure(failure)) => Err(failure),
        // Help and version are no errors, but come this way too.
        Err(Unparsed::Clap(error)) => {
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(Exit::Usage as u8));
        }
    };
    let exit = result.and_then(|()| all_printed()).map_or_else(
        |Failure { exit, sentence }| {
            log.error(sentence);
            exit
        },
        |()| Exit::Done,
    );
    ExitCode::from(exit as u8)
}

fn obey(command: Command, config: &Config, arguments: &Arguments) -> Result<(), Failure> {
    match command {
        Command::Jam(flags) => jam::run(&flags, config, arguments),
        Command::Monitor(flags) => monitor::run(&flags),
        Command::Generate(flags) => generate::run(&flags, config),
        Command::Render(flags) => render::run(&flags),
        Command::Replay(flags) => replay::run(&flags),
        Command::Init(flags) => init::run(&flags),
        Command::Settings(flags) => settings::run(flags),
        Command::Ports(flags) => ports::run(flags),
        Command::Controllers(flags) => controllers::run(&flags),
        Command::Model(flags) => model::run(&flags),
        Command::Doctor(flags) => doctor::run(&flags),
        Command::Eval(flags) => eval::run(&flags),
        Command::Completions(flags) => {
            shell::print_completions(&flags);
            Ok(())
        }
        Command::Man(flags) => shell::write_man_pages(&flags),
    }
}
