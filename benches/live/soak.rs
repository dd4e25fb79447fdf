//! What a long session must have kept: memory flat, no note missed or stuck, the take whole.

use serde::Serialize;

/// Memory is held against what it was after so many seconds, or in the middle of a session that is not twice as long.
pub const SETTLED_AFTER: f64 = 300.0;

/// How much the resident set may differ from that, as a share.
pub const FLAT_WITHIN: f64 = 0.05;

/// The least share of notes on time.
pub const ON_TIME: f64 = 0.999;

/// The last line of a soak.
#[derive(Debug, Serialize)]
pub struct Soak {
    pub minutes: f64,
    pub rss_settled_mb: f64,
    pub rss_min_mb: f64,
    pub rss_max_mb: f64,
    pub on_time_rate: f64,
    pub missed: u64,
    pub dropped: u64,
    pub stuck_notes: usize,
    /// Notes that the player and the answer sent, seen from outside.
    pub notes_on_the_wires: u64,
    /// Notes that the take has; `None`: it cannot be read.
    pub notes_in_the_take: Option<u64>,
    /// What was not kept, in words; empty when all was.
    pub failures: Vec<String>,
}

impl Soak {
    /// Holds memory (seconds since the beginning, MB) against itself, once it has settled.
    pub fn remembers(&mut self, memory: &[(f64, f64)]) {
        let end = memory.last().map_or(0.0, |(seconds, _)| *seconds);
        let from = SETTLED_AFTER.min(end / 2.0);
        let settled: Vec<f64> = memory.iter().filter(|(seconds, _)| *seconds >= from).map(|(_, mb)| *mb).collect();
        self.rss_settled_mb = settled.first().copied().unwrap_or(0.0);
        self.rss_min_mb = settled.iter().copied().fold(self.rss_settled_mb, f64::min);
        self.rss_max_mb = settled.iter().copied().fold(self.rss_settled_mb, f64::max);
    }

    /// Says what was not kept.
    pub fn judged(mut self) -> Self {
        let [low, high] = [1.0 - FLAT_WITHIN, 1.0 + FLAT_WITHIN].map(|share| share * self.rss_settled_mb);
        let flat = self.rss_settled_mb > 0.0 && self.rss_min_mb >= low && self.rss_max_mb <= high;
        let checks = [
            (
                flat,
                format!("memory went from {} to {} .. {} MB", self.rss_settled_mb, self.rss_min_mb, self.rss_max_mb),
            ),
            (self.on_time_rate >= ON_TIME, format!("only {} of the notes were on time", self.on_time_rate)),
            (self.missed == 0, format!("{} notes were missed", self.missed)),
            (self.dropped == 0, format!("{} messages were dropped", self.dropped)),
            (self.stuck_notes == 0, format!("{} notes are stuck", self.stuck_notes)),
            (self.notes_on_the_wires > 0, "nothing was played".to_owned()),
            (
                self.notes_in_the_take == Some(self.notes_on_the_wires),
                format!("the take has {:?} of {} notes", self.notes_in_the_take, self.notes_on_the_wires),
            ),
        ];
        self.failures = checks.into_iter().filter(|(kept, _)| !kept).map(|(_, failure)| failure).collect();
        self
    }
}
