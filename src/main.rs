//! The `antiphon` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    antiphon::heap::share();
    antiphon::commands::run(std::env::args_os())
}
