//! The `antiphon-train` command.

use std::process::{ExitCode, exit};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;

use antiphon_train::commands;
use antiphon_train::config::Flags;
use antiphon_train::error::Exit;
use antiphon_train::train;
use clap::Parser;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

/// The first signal asks to save and leave; a second one leaves at once.
fn listen(interrupted: Arc<AtomicBool>) -> std::io::Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    let hear = move || {
        for _ in signals.forever() {
            if interrupted.swap(true, Relaxed) {
                exit(Exit::AtOnce as i32);
            }
            eprintln!("\nantiphon-train: saving once this step is done; Ctrl-C again leaves at once and saves nothing");
        }
    };
    thread::Builder::new().name("signals".into()).spawn(hear).map(drop)
}

fn main() -> ExitCode {
    let flags = Flags::parse();
    let done = match &flags.command {
        // They have nothing to save, and end at a signal as others do.
        Some(command) => commands::run(command),
        None => {
            let interrupted = Arc::new(AtomicBool::new(false));
            if let Err(error) = listen(Arc::clone(&interrupted)) {
                eprintln!("antiphon-train: Ctrl-C will not save: {error}");
            }
            train::run(&flags, &interrupted)
        }
    };
    let code = done.unwrap_or_else(|error| {
        eprintln!("antiphon-train: {error}");
        error.exit()
    });
    ExitCode::from(code as u8)
}
