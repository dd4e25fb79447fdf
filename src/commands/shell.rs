//! `antiphon completions` and `antiphon man`: what shells and `man` want to know of the command line.

use std::path::{Path, PathBuf};

use clap::Args;
use clap_complete::Shell;

use super::configured::commands;
use super::{Exit, Failure, examples, print_line, say};

#[derive(Debug, Args)]
#[command(after_help = examples::COMPLETIONS)]
pub(super) struct CompletionsFlags {
    /// Which shell
    pub shell: Shell,
}

#[derive(Debug, Args)]
#[command(after_help = examples::MAN)]
pub(super) struct ManFlags {
    /// Folder to write the pages to, antiphon.1 and one for each command; made if it is not there
    pub folder: PathBuf,
}

pub(super) fn print_completions(flags: &CompletionsFlags) {
    let mut script = Vec::new();
    clap_complete::generate(flags.shell, &mut commands(), "antiphon", &mut script);
    print_line(String::from_utf8_lossy(&script).trim_end());
}

pub(super) fn write_man_pages(flags: &ManFlags) -> Result<(), Failure> {
    let refused = |cause: std::io::Error| {
        Failure::new(Exit::Failed, format!("{}: the pages cannot be written: {cause}", flags.folder.display()))
    };
    write_pages(&flags.folder).map_err(refused)?;
    say(format_args!("wrote the pages to {}", flags.folder.display()));
    Ok(())
}

fn write_pages(folder: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(folder)?;
    clap_mangen::generate_to(commands(), folder)
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum as _;

    use super::*;

    #[test]
    fn every_shell_hears_of_every_command() {
        for shell in Shell::value_variants() {
            let mut script = Vec::new();
            clap_complete::generate(*shell, &mut commands(), "antiphon", &mut script);
            let script = String::from_utf8(script).expect("text");
            for command in commands().get_subcommands() {
                assert!(script.contains(command.get_name()), "{shell}: {}", command.get_name());
            }
        }
    }

    #[test]
    fn every_command_has_a_page() {
        let folder = tempfile::tempdir().expect("a folder");
        write_pages(folder.path()).expect("written");
        for command in commands().get_subcommands() {
            let page = folder.path().join(format!("antiphon-{}.1", command.get_name()));
            let page = std::fs::read_to_string(page).expect("a page");
            assert!(page.contains(".SH NAME"), "{}", command.get_name());
            assert!(page.contains("Examples:") && page.contains("antiphon "), "{}: {page}", command.get_name());
        }
        assert!(folder.path().join("antiphon.1").is_file());
    }
}
