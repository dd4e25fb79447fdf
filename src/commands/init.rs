//! `antiphon init`: a commented configuration file.

use std::path::{Path, PathBuf};

use clap::Args;

use super::configured::keys;
use super::{Exit, Failure, examples, say};
use crate::config::{replace, template, user_file};

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

pub(super) fn run(flags: &InitFlags) -> Result<(), Failure> {
    let no_home = || Failure::new(Exit::Usage, "this system names no home folder; say where with --config FILE");
    let path = flags.config.clone().or_else(user_file).ok_or_else(no_home)?;
    write(&path, flags.force)?;
    // Another one than the user's own has to be named there as well.
    let named = flags.config.as_ref().map_or(String::new(), |path| format!(" --config {}", path.display()));
    say(format_args!("wrote {}; `antiphon --check{named}` says what counts", path.display()));
    Ok(())
}

fn write(path: &Path, over: bool) -> Result<(), Failure> {
    let refused = |cause: std::io::Error| {
        let there = cause.kind() == std::io::ErrorKind::AlreadyExists;
        let (exit, why) = if there {
            (Exit::Usage, "is there already; --force writes over it".to_owned())
        } else {
            (Exit::Failed, format!("cannot be written: {cause}"))
        };
        Failure::new(exit, format!("{} {why}", path.display()))
    };
    if !over && std::fs::symlink_metadata(path).is_ok() {
        return Err(refused(std::io::ErrorKind::AlreadyExists.into()));
    }
    replace(path, &template(&keys())).map_err(refused)
}
