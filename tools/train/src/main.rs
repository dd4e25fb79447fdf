//! The `antiphon-train` command.

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use antiphon_train::commands;
use antiphon_train::config::Flags;
use antiphon_train::error::Exit;
use antiphon_train::train;
use clap::Parser;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

fn main() -> ExitCode {
    let flags = Flags::parse();
    let interrupted = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        // The first asks to save and leave; a second one leaves at once. The order of the two lines matters.
        let registered =
            flag::register_conditional_shutdown(signal, Exit::Interrupted as i32, Arc::clone(&interrupted))
                .and_then(|_| flag::register(signal, Arc::clone(&interrupted)));
        if let Err(error) = registered {
            eprintln!("antiphon-train: Ctrl-C will not save: {error}");
        }
    }
    let done = match &flags.command {
        Some(command) => commands::run(command),
        None => train::run(&flags, &interrupted),
    };
    let exit = done.unwrap_or_else(|error| {
        eprintln!("antiphon-train: {error}");
        error.exit()
    });
    ExitCode::from(exit as u8)
}
