//! What a person or a program sees and says while it plays: lines typed, and what happens as JSON lines.

use std::io::Read as _;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread;
use std::time::Duration;

use serde_json::json;

use super::log::Log;
use super::print_line;
use crate::control::Control;
use crate::fault;
use crate::figures::Report;
use crate::session::Controller;
use crate::sight::Sight;

/// How long a program in the background waits before it asks again whether it may read the terminal.
const ASK_AGAIN_AFTER: Duration = Duration::from_millis(500);

/// Reads lines and asks the session for what they say, until there are no more. Nothing happens without a terminal or
/// pipe to read.
pub(super) fn take_lines(log: Log, controller: Controller) {
    // A program in the background that reads the terminal would be stopped; with the signal taken, reading only fails.
    #[cfg(unix)]
    let _ = signal_hook::flag::register(signal_hook::consts::SIGTTIN, Arc::new(AtomicBool::new(false)));
    let read = move || {
        let mut line = Vec::new();
        let mut bytes = [0; 256];
        loop {
            match std::io::stdin().lock().read(&mut bytes) {
                Ok(0) => return,
                Ok(count) => {
                    for &byte in &bytes[..count] {
                        if byte == b'\n' {
                            obey(log, &controller, &String::from_utf8_lossy(&line));
                            line.clear();
                        } else if line.len() < 1000 {
                            line.push(byte);
                        }
                    }
                }
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => thread::sleep(ASK_AGAIN_AFTER),
                Err(_) => return,
            }
        }
    };
    // Without a thread there are no typed lines; the music goes on.
    let _ = thread::Builder::new().name("typed lines".into()).spawn(read);
}

fn obey(log: Log, controller: &Controller, line: &str) {
    if line.trim().is_empty() {
        return;
    }
    fault::point("typed lines");
    match Control::parse(line.trim()) {
        Ok(control) => controller.ask(control),
        Err(error) => log.warning(error),
    }
}

/// Prints a sight as a line of JSON; times in seconds.
pub(super) fn print_sight(sight: &Sight) {
    print_line(sight.to_json());
}

/// Prints the figures so far as a line of JSON; see [`Report`].
pub(super) fn print_figures(report: &Report) {
    let mut line = json!(report);
    line["event"] = json!("figures");
    print_line(line);
}
