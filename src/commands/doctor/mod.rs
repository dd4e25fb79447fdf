//! `antiphon doctor`: what is wrong with this machine for playing, and the command that mends it.

mod machine;
mod setup;
mod systems;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::Args;
use machine::Machine;
use serde::Serialize;
use serde_json::json;

use super::configured::Arguments;
use super::flags::ConfigFlags;
use super::{Exit, Failure, examples, print_line};

#[derive(Debug, Args)]
#[command(after_help = examples::DOCTOR)]
pub(super) struct DoctorFlags {
    #[command(flatten)]
    config: ConfigFlags,

    /// Model file to try [default: as for jam]
    #[arg(long, value_name = "FILE")]
    model: Option<PathBuf>,

    /// Take whose folder is looked at [default: as for jam]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,

    /// As JSON; docs/guide/troubleshooting.md has the areas
    #[arg(long)]
    json: bool,
}

impl DoctorFlags {
    /// The command line of a jam with the same flags.
    fn jam(&self) -> Arguments {
        let mut words: Vec<OsString> = vec!["antiphon".into(), "jam".into()];
        for (flag, path) in [("--config", &self.config.config), ("--model", &self.model), ("--out", &self.out)] {
            words.extend(path.iter().flat_map(|path| [flag.into(), path.clone().into_os_string()]));
        }
        Arguments(words)
    }
}

/// How something stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
enum State {
    Ok,
    /// It plays, but not as well as it could.
    Warning,
    /// It does not play, or not what was asked for.
    Wrong,
}

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Finding {
    area: &'static str,
    state: State,
    says: String,
    /// A command, or what else there is to do.
    mend: Option<String>,
}

impl Finding {
    fn ok(area: &'static str, says: impl Into<String>) -> Self {
        Self { area, state: State::Ok, says: says.into(), mend: None }
    }

    fn warning(area: &'static str, says: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { area, state: State::Warning, says: says.into(), mend: Some(mend.into()) }
    }

    fn wrong(area: &'static str, says: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { area, state: State::Wrong, says: says.into(), mend: Some(mend.into()) }
    }
}

pub(super) fn run(flags: &DoctorFlags) -> Result<(), Failure> {
    let mut findings = setup::look(&flags.jam());
    findings.extend(Machine::this().look());
    let worst = findings.iter().map(|finding| finding.state).max().unwrap_or(State::Ok);
    if flags.json {
        print_line(json!({ "worst": worst, "findings": findings }));
    } else {
        for Finding { area, state, says, mend } in &findings {
            let state = match state {
                State::Ok => "ok",
                State::Warning => "warning",
                State::Wrong => "WRONG",
            };
            print_line(format_args!("{state:8} {area:14} {says}"));
            mend.iter().for_each(|mend| print_line(format_args!("{:23} mend it: {mend}", "")));
        }
    }
    // Each area once, in the order in which they were said.
    let mut wrong: Vec<&str> = Vec::new();
    for Finding { area, .. } in findings.iter().filter(|finding| finding.state == State::Wrong) {
        if !wrong.contains(area) {
            wrong.push(area);
        }
    }
    if wrong.is_empty() { Ok(()) } else { Err(Failure::new(Exit::Unfit, format!("wrong here: {}", wrong.join(", ")))) }
}
