//! What is set before it plays, in layers: a flag beats the environment, which beats the file, which beats the default.
//!
//! `antiphon.toml` has a key for each flag of `antiphon jam` that makes sense to keep, a table `[settings]` with all that
//! can be set while it plays, and a table `[map]` for MIDI messages. Each key and setting is `ANTIPHON_` and its name in
//! the environment. Whoever reads it gets each value with its [`Source`], and every mistake with its place.

mod controllers;
mod edit;
mod effective;
mod environment;
mod file;
mod keys;
mod place;
mod template;
mod text;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use controllers::{ControllerMap, ControllerMaps};
pub use edit::{keep, replace};
pub use effective::Effective;
pub use environment::Environment;
pub use file::ConfigFile;
pub use keys::{Key, Keys, Kind, variable, with_switches};
pub use place::{FILE_NAME, user_file, user_folder};
pub use template::template;
use thiserror::Error;

use crate::control::{Assignment, Control};
use crate::quote::quoted;

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// Nobody has said anything.
    Default,
    /// A line of a file.
    File {
        /// The file.
        path: Arc<Path>,
        /// The line, from 1.
        line: usize,
    },
    /// A line of a ready-made map inside the program.
    Controller {
        /// The map.
        name: Arc<str>,
        /// The line, from 1.
        line: usize,
    },
    /// A variable of the environment.
    Variable(String),
    /// A flag, with its dashes.
    Flag(String),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { path, line } => write!(f, "{}:{line}", path.display()),
            Self::Controller { name, line } => write!(f, "controller {name}:{line}"),
            Self::Variable(name) => f.write_str(name),
            Self::Flag(name) => f.write_str(name),
        }
    }
}

/// Something given, and where.
#[derive(Clone, Debug, PartialEq)]
pub struct Sourced<T> {
    /// What.
    pub what: T,
    /// Where.
    pub source: Source,
}

/// A key and its values, as given in the file or the environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Given {
    /// The key.
    pub name: String,
    /// Its values; one, unless it takes several.
    pub values: Vec<String>,
}

/// What has been given outside the command line, and what the keys come to in the end.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// The file that was read.
    pub file: Option<Arc<Path>>,
    /// Where what is learnt is kept; `None`: nowhere.
    pub keep_in: Option<PathBuf>,
    /// Where the user's own maps of controllers lie, whether the folder is there or not; `None`: nowhere.
    pub controllers: Option<PathBuf>,
    /// Settings of the file, then of the environment.
    pub settings: Vec<Sourced<Control>>,
    /// MIDI messages of the file.
    pub file_map: Vec<Sourced<Assignment>>,
    /// MIDI messages of the environment.
    pub environment_map: Vec<Sourced<Assignment>>,
    /// All keys, with their values.
    pub keys: Vec<Sourced<Given>>,
    /// Sentences about variables of the environment that look like slips of the finger.
    pub slips: Vec<String>,
}

impl Config {
    /// All MIDI messages that mean something, in layers: what was typed comes before the environment, the file and
    /// `ready_made` maps.
    pub fn map(&self, typed: &[Assignment], ready_made: Vec<Vec<Assignment>>) -> Vec<Vec<Assignment>> {
        let mut layers = vec![typed.to_vec(), meanings(&self.environment_map), meanings(&self.file_map)];
        layers.extend(ready_made);
        layers
    }
}

/// What messages mean, without the places where it was said.
fn meanings(given: &[Sourced<Assignment>]) -> Vec<Assignment> {
    given.iter().map(|given| given.what.clone()).collect()
}

/// One mistake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// Where.
    pub source: Source,
    /// What, and what to do.
    pub sentence: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.source {
            Source::File { path, line } => write!(f, "{} line {line}: {}", path.display(), self.sentence),
            other => write!(f, "{other}: {}", self.sentence),
        }
    }
}

/// Why a configuration cannot be used.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the configuration {path}: {cause}; `antiphon init` writes one", path = .path.display())]
    Unreadable {
        /// The file.
        path: Arc<Path>,
        /// What the system said.
        cause: std::io::Error,
    },
    /// A ready-made map cannot be read.
    #[error("cannot read the controller map {path}: {cause}", path = .path.display())]
    UnreadableController {
        /// The file.
        path: Arc<Path>,
        /// What the system said.
        cause: std::io::Error,
    },
    /// There is no such map.
    #[error("there is no controller map {}; the nearest is {nearest:?}; `antiphon controllers` lists all", quoted(.name))]
    NoController {
        /// What was asked for.
        name: String,
        /// The likeliest that was meant.
        nearest: String,
    },
    /// What was learnt cannot be kept.
    #[error("cannot keep it in {path}: {why}", path = .path.display())]
    Unkept {
        /// The file.
        path: Arc<Path>,
        /// Why.
        why: String,
    },
    /// Mistakes, each with its place.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Mistakes(Vec<Mistake>),
}
