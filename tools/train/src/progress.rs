//! What people see while it reads and trains: a bar on a terminal, plain lines elsewhere.

use std::io::IsTerminal as _;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressState, ProgressStyle};

/// Steps of the bar.
const WHOLE: u64 = 1000;
/// A plain line at most so often.
const LINE_EVERY: Duration = Duration::from_secs(15);

/// The display.
pub struct Progress {
    bar: Option<ProgressBar>,
    last_line: Instant,
}

impl Progress {
    /// Begins; a bar if standard error is a terminal.
    pub fn new() -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let style = ProgressStyle::with_template("{bar:30} {percent:>3}%  {msg}");
            ProgressBar::new(WHOLE).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
        });
        Self { bar, last_line: Instant::now() }
    }

    /// Shows how far it is: `fraction` in `0.0..=1.0`.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a fraction of a thousand")]
    pub fn show(&mut self, fraction: f64, notes_per_second: f64, left: Duration, loss_bits: f64) {
        let left = clock(left);
        let text = format!("{notes_per_second:.0} notes/s, {left} left, training loss {loss_bits:.2} bits");
        if let Some(bar) = &self.bar {
            bar.set_position((fraction.clamp(0.0, 1.0) * 1000.0) as u64);
            bar.set_message(text);
        } else if self.last_line.elapsed() >= LINE_EVERY {
            println!("{:3.0} %  {text}", 100.0 * fraction);
            self.last_line = Instant::now();
        }
    }

    /// Writes a line above the bar.
    pub fn say(&self, line: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| println!("{line}")),
            None => println!("{line}"),
        }
    }

    /// Takes the bar away.
    pub fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// The display while files are read: a bar on a terminal, nothing elsewhere.
pub struct FileBar(ProgressBar);

impl FileBar {
    /// Begins; `place` says where the files are.
    pub fn new(files: usize, place: &str) -> Self {
        if !std::io::stderr().is_terminal() {
            return Self(ProgressBar::hidden());
        }
        let style =
            ProgressStyle::with_template("reading {msg} {bar:30} {pos}/{len} files, {per_sec}, {eta_precise} left")
                .unwrap_or_else(|_| ProgressStyle::default_bar())
                .with_key("per_sec", |state: &ProgressState, text: &mut dyn std::fmt::Write| {
                    let _ = write!(text, "{:.0} files/s", state.per_sec());
                });
        Self(ProgressBar::new(files as u64).with_style(style).with_message(place.to_owned()))
    }

    /// A file more is done.
    pub fn add_one(&self) {
        self.0.inc(1);
    }

    /// Takes the bar away.
    pub fn finish(&self) {
        self.0.finish_and_clear();
    }
}

/// `4:07`, `12:30:00`.
fn clock(time: Duration) -> String {
    let (hours, minutes, seconds) = (time.as_secs() / 3600, time.as_secs() / 60 % 60, time.as_secs() % 60);
    match hours {
        0 => format!("{minutes}:{seconds:02}"),
        _ => format!("{hours}:{minutes:02}:{seconds:02}"),
    }
}

impl Default for Progress {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hours_are_shown_only_where_there_are_some() {
        let shown = [0, 247, 3600, 45_000].map(|seconds| clock(Duration::from_secs(seconds)));
        assert_eq!(shown, ["0:00", "4:07", "1:00:00", "12:30:00"]);
    }
}
