//! The built daemon says how well it keeps time: when the signal USR1 asks for it, and at the end.
#![cfg(unix)]

mod daemon;

use std::thread::sleep;
use std::time::{Duration, Instant};

use antiphon::figures::Report;
use daemon::Daemon;

/// Generous, because the machine may be busy with other things.
const PATIENCE: Duration = Duration::from_secs(60);

/// Waits until the daemon has said it so many times.
fn wait_until_said(daemon: &mut Daemon, what: &str, times: usize) {
    let begun = Instant::now();
    while daemon.said().matches(what).count() < times {
        daemon.expect_alive();
        assert!(begun.elapsed() < PATIENCE, "{what:?} not said {times} times:\n{}", daemon.said());
        sleep(Duration::from_millis(20));
    }
}

/// The reports among the lines of JSON.
fn reports(said: &str) -> Vec<Report> {
    let lines = said.lines().filter(|line| line.contains(r#""event":"figures""#));
    lines.map(|line| serde_json::from_str(line).expect("a whole report")).collect()
}

#[test]
fn the_figures_are_told_on_demand_and_at_the_end() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut daemon = Daemon::start(folder.path(), &["--backend", "none", "--headless", "--json", "--seed", "7"]);
    daemon.wait_until_ready(PATIENCE);
    wait_until_said(&mut daemon, r#""event":"planned""#, 4);
    assert!(!daemon.said().contains("planned to sent"), "nobody has asked yet:\n{}", daemon.said());
    daemon.signal("USR1");
    wait_until_said(&mut daemon, r#""event":"figures""#, 1);
    daemon.signal("USR1");
    wait_until_said(&mut daemon, r#""event":"figures""#, 2);
    if cfg!(target_os = "linux") {
        assert!(daemon.resident_mb() > 1.0);
    }
    let (status, said) = daemon.stop("TERM", PATIENCE);
    assert!(status.success(), "it ended with {status} and said:\n{said}");
    assert_eq!(said.matches("planned to sent").count(), 3, "a table each time:\n{said}");
    let reports = reports(&said);
    let left = |report: &Report| report.notes.on_time + report.notes.late;
    assert_eq!(reports.len(), 3);
    assert!(left(&reports[0]) <= left(&reports[1]) && left(&reports[1]) <= left(&reports[2]), "{reports:?}");
    let last = &reports[2];
    assert!(last.note_sampled.count >= 3, "{last:?}");
    assert_eq!(last.planned_to_sent.count, left(last), "every note that left has its place: {last:?}");
}
