//! `antiphon init`: a commented configuration file.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use clap::Args;

use super::configured::keys;
use super::{Exit, Failure, examples, say};
use crate::config::{template, user_file};

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
    say(format_args!("wrote {}; `antiphon --check` says what counts", path.display()));
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
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder).map_err(refused)?;
    }
    let mut options = OpenOptions::new();
    options.write(true);
    let opened = if over { options.create(true).truncate(true) } else { options.create_new(true) }.open(path);
    opened.and_then(|mut file| file.write_all(template(&keys()).as_bytes())).map_err(refused)
}
