//! What the daemon said while it lived, and when: its JSON lines.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{ChildStdin, ChildStdout};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::player::Performance;

/// Reads along.
pub struct Witness {
    lines: Receiver<(Instant, Value)>,
    said: Said,
}

/// All lines, each with the moment at which it came.
#[derive(Default)]
pub struct Said(Vec<(Instant, Value)>);

/// When a session began.
pub struct Began {
    /// By the clock of this process; somewhat late, since lines take their time.
    pub clock: Instant,
    /// When the simulated player's file began, in seconds of the session.
    pub first_message: f64,
}

impl Witness {
    pub fn of(stdout: ChildStdout) -> Self {
        let (tell, lines) = channel();
        thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                // A line that the kill cut in two says nothing.
                if let Ok(value) = serde_json::from_str(&line)
                    && tell.send((Instant::now(), value)).is_err()
                {
                    return;
                }
            }
        });
        Self { lines, said: Said::default() }
    }

    /// Waits until the simulated player has sent something.
    pub fn waits_for_the_player(&mut self, limit: Duration) -> bool {
        let until = Instant::now() + limit;
        loop {
            match self.lines.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(line) => {
                    let is_human = event(&line.1).starts_with("human");
                    self.said.0.push(line);
                    if is_human {
                        return true;
                    }
                }
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return false,
            }
        }
    }

    /// All that it said, when it has ended.
    pub fn all(mut self) -> Said {
        self.said.0.extend(self.lines.iter());
        self.said
    }
}

/// Types a line.
pub fn ask(typed: &mut Option<ChildStdin>, line: &str) {
    let done = typed.as_mut().map(|typed| writeln!(typed, "{line}"));
    assert!(done.is_some_and(|done| done.is_ok()), "the line cannot be typed");
}

fn event(line: &Value) -> &str {
    line["event"].as_str().unwrap_or_default()
}

fn at(line: &Value) -> f64 {
    line["at"].as_f64().unwrap_or_default()
}

impl Said {
    /// When the session began, from what was heard of the player; none when nothing was.
    pub fn session_began(&self, performance: &Performance) -> Option<Began> {
        let heard = self.0.iter().filter(|(_, line)| event(line).starts_with("human"));
        // The quickest line is the nearest to the truth.
        let began = |(came, line): &(Instant, Value)| came.checked_sub(Duration::from_secs_f64(at(line)));
        let clock = heard.clone().filter_map(began).min()?;
        let first = heard.clone().map(|(_, line)| at(line)).min_by(f64::total_cmp)?;
        Some(Began { clock, first_message: first - performance.first() })
    }

    /// The note-ons of the answer: when, and their bytes.
    pub fn answers(&self) -> impl Iterator<Item = (f64, Vec<u8>)> {
        let number = |line: &Value, name: &str| u8::try_from(line[name].as_u64().unwrap_or_default()).unwrap_or(0);
        let ons = self.0.iter().filter(|(_, line)| event(line) == "ai_on");
        ons.map(move |(_, line)| {
            let status = 0x90 | number(line, "channel").saturating_sub(1);
            (at(line), vec![status, number(line, "key"), number(line, "velocity")])
        })
    }
}
