//! The `antiphon` command.

use std::process::ExitCode;

use antiphon::commands::{Flags, run};
use clap::Parser as _;

fn main() -> ExitCode {
    run(Flags::parse())
}
