//! Flags about the files that are recorded.

use clap::Args;

use crate::recorder::Splits;
use crate::time::SessionDuration;

/// How the take is split into files.
#[derive(Clone, Debug, Args)]
pub(super) struct TakeFlags {
    /// Record into another file after so many seconds, 1 to 86400, in which no key sounds [default: never]
    #[arg(long, value_name = "SECONDS", value_parser = silence, conflicts_with = "virtual_time")]
    pub split_silence: Option<f64>,

    /// Record into another file every so many minutes, 1 to 10080, at the next rest [default: never]. Whatever is set, a
    /// file of 512 KiB (an hour or two of dense playing) is followed by another, and `split-take`, typed or mapped, asks
    /// for one. What is being played has the name of --out, finished parts have their time: AI_generated-TIME.mid. The
    /// one session file holds all parts and goes with the last
    #[arg(long, value_name = "MINUTES", value_parser = minutes, conflicts_with = "virtual_time")]
    pub split_every: Option<f64>,
}

impl TakeFlags {
    pub(super) fn splits(&self) -> Splits {
        let seconds = |seconds: Option<f64>| seconds.map(SessionDuration::from_seconds);
        Splits { silence: seconds(self.split_silence), every: seconds(self.split_every.map(|minutes| minutes * 60.0)) }
    }
}

fn silence(text: &str) -> Result<f64, String> {
    super::values::in_range(text, 1.0, 86_400.0)
}

fn minutes(text: &str) -> Result<f64, String> {
    super::values::in_range(text, 1.0, 10_080.0)
}
