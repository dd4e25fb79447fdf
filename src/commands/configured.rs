//! From what was typed to what is meant: the command line, with the environment and the configuration file behind it.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::parser::ValueSource;
use clap::{ArgMatches, CommandFactory as _, FromArgMatches as _};

use super::flags::{Command, Flags};
use super::jam_flags::JamFlags;
use super::{Exit, Failure};
use crate::config::{
    Config, ConfigError, ConfigFile, Environment, Given, Keys, Source, Sourced, user_file, user_folder, with_switches,
};

/// Commands that the configuration has something to say to.
const CONFIGURED: [&str; 4] = ["jam", "monitor", "generate", "model"];

/// The file that means: none.
const NO_FILE: &str = "none";

/// A command whose flags have the file's and the environment's values where nothing was typed.
pub(super) struct Configured {
    pub command: Command,
    pub config: Config,
}

/// Why there is nothing to do.
pub(super) enum Unparsed {
    /// Nonsense on the command line; or its help was asked for.
    Clap(clap::Error),
    /// The configuration.
    Failure(Failure),
}

impl From<clap::Error> for Unparsed {
    fn from(error: clap::Error) -> Self {
        Self::Clap(error)
    }
}

impl From<ConfigError> for Unparsed {
    fn from(error: ConfigError) -> Self {
        Self::Failure(error.into())
    }
}

/// All commands, with switches that can be switched off.
pub(super) fn commands() -> clap::Command {
    CONFIGURED
        .into_iter()
        .fold(Flags::command(), |command, configured| command.mut_subcommand(configured, with_switches))
}

/// The keys of the configuration file.
pub(crate) fn keys() -> Keys {
    let commands = commands();
    Keys::of(commands.find_subcommand("jam").unwrap_or(&commands))
}

/// The command line of `jam`, to be read anew with the file and the environment behind it.
pub(super) struct Arguments(pub Vec<OsString>);

impl Arguments {
    /// What it means now.
    ///
    /// # Errors
    /// What is wrong with it, most likely a mistake in the file.
    pub fn read_anew(&self) -> Result<(Box<JamFlags>, Config), Failure> {
        match parse(self.0.clone()) {
            Ok(Configured { command: Command::Jam(flags), config }) => Ok((flags, config)),
            Ok(_) => Err(Failure::new(Exit::Failed, "these are not the flags of a jam")),
            Err(Unparsed::Failure(failure)) => Err(failure),
            Err(Unparsed::Clap(error)) => {
                let said = error.to_string();
                let first = said.lines().next().unwrap_or_default();
                Err(Failure::new(Exit::Usage, first.trim_start_matches("error: ")))
            }
        }
    }
}

/// Reads the command line; the file and the environment too where the command heeds them.
pub(super) fn parse(mut arguments: Vec<OsString>) -> Result<Configured, Unparsed> {
    let mut typed = commands().try_get_matches_from(&arguments)?;
    if typed.subcommand().is_none() {
        // `antiphon --check` is short for `antiphon jam --check`.
        arguments.insert(1, "jam".into());
        typed = commands().try_get_matches_from(&arguments)?;
    }
    let Some((name, flags)) = typed.subcommand().filter(|(name, _)| CONFIGURED.contains(name)) else {
        return Ok(Configured { command: command(&typed)?, config: Config::default() });
    };
    let keys = keys();
    let variables: Vec<(String, String)> = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect();
    let path = file(flags);
    let refuses = flags.get_one::<PathBuf>("config").is_some() || std::env::var_os("ANTIPHON_CONFIG").is_some();
    let keep_in = path.as_deref().map(Path::to_owned).or_else(|| user_file().filter(|_| !refuses));
    let file = path.as_deref().map(|path| ConfigFile::read(path, &keys)).transpose()?.unwrap_or_default();
    let environment = Environment::read(&variables, &keys)?;

    let mut given = file.keys;
    for one in environment.keys {
        given.retain(|other| other.what.name != one.what.name);
        given.push(one);
    }
    let layered = commands().mut_subcommand(name, |command| with_defaults(command, &keys, &given));
    let matches = layered.try_get_matches_from(&arguments)?;
    let values = matches.subcommand_matches(name).map_or_else(Vec::new, |matches| end_values(&keys, matches, &given));
    let config = Config {
        file: path,
        keep_in,
        controllers: controllers_folder(named(flags)),
        settings: file.settings.into_iter().chain(environment.settings).collect(),
        file_map: file.map,
        environment_map: environment.map,
        keys: values,
        slips: environment.slips,
    };
    Ok(Configured { command: command(&matches)?, config })
}

fn command(matches: &ArgMatches) -> Result<Command, Unparsed> {
    let flags = Flags::from_arg_matches(matches)?;
    // The parser demands one; see above for the short form.
    flags.command.ok_or_else(|| Unparsed::Failure(Failure::new(Exit::Usage, "no command was given")))
}

/// The file to read: one that is named must be there, the user's own need not.
fn file(flags: &ArgMatches) -> Option<Arc<Path>> {
    match named(flags) {
        Some(none) if none == Path::new(NO_FILE) => None,
        Some(path) => Some(path.into()),
        None => user_file().filter(|path| path.exists()).map(Into::into),
    }
}

/// The file that was named, or the word for none.
fn named(flags: &ArgMatches) -> Option<PathBuf> {
    flags.get_one::<PathBuf>("config").cloned().or_else(named_by_variable)
}

fn named_by_variable() -> Option<PathBuf> {
    std::env::var_os("ANTIPHON_CONFIG").filter(|value| !value.is_empty()).map(PathBuf::from)
}

/// Where the user's own maps of controllers lie; nowhere, for those who want no configuration.
pub(super) fn controllers_folder(config: Option<PathBuf>) -> Option<PathBuf> {
    let wants_none = config.or_else(named_by_variable).is_some_and(|named| named == Path::new(NO_FILE));
    user_folder().filter(|_| !wants_none).map(|folder| folder.join("controllers"))
}

/// The command's flags with what was given for defaults, so that what is typed comes before it.
fn with_defaults(command: clap::Command, keys: &Keys, given: &[Sourced<Given>]) -> clap::Command {
    given.iter().fold(command, |command, given| {
        let id = keys.find(&given.what.name).map(crate::config::Key::id);
        let Some(id) = id.filter(|id| command.get_arguments().any(|arg| arg.get_id() == id)) else { return command };
        let values = given.what.values.clone();
        command.mut_arg(id, |arg| arg.default_values(values))
    })
}

/// What each key comes to, and whence.
fn end_values(keys: &Keys, matches: &ArgMatches, given: &[Sourced<Given>]) -> Vec<Sourced<Given>> {
    let here = keys.iter().filter(|key| matches.ids().any(|id| id == key.id()) || key.default().is_none());
    here.map(|key| {
        let there = matches.try_contains_id(key.id()).is_ok();
        let raw = if there { matches.get_raw(key.id()) } else { None };
        let values = raw.into_iter().flatten().map(|value| value.to_string_lossy().into_owned()).collect();
        let source = match if there { matches.value_source(key.id()) } else { None } {
            Some(ValueSource::CommandLine) => Source::Flag(format!("--{}", key.name)),
            Some(ValueSource::EnvVariable) => Source::Variable(key.variable()),
            _ => given
                .iter()
                .find(|given| given.what.name == key.name)
                .map_or(Source::Default, |given| given.source.clone()),
        };
        Sourced { what: Given { name: key.name.clone(), values }, source }
    })
    .collect()
}
