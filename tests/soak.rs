//! What `make soak` demands of a long session, held against made-up ones.

#[path = "../benches/live/soak.rs"]
mod soak;

use soak::Soak;

/// An hour as it should be, with this memory.
fn hour(memory: &[(f64, f64)]) -> Soak {
    let mut soak = Soak {
        minutes: 60.0,
        rss_settled_mb: 0.0,
        rss_min_mb: 0.0,
        rss_max_mb: 0.0,
        on_time_rate: 0.9995,
        missed: 0,
        dropped: 0,
        stuck_notes: 0,
        notes_on_the_wires: 9000,
        notes_in_the_take: Some(9000),
        failures: Vec::new(),
    };
    soak.remembers(memory);
    soak
}

#[test]
fn an_hour_as_it_should_be_passes_though_memory_grows_in_its_first_minutes() {
    let memory = [(0.0, 40.0), (200.0, 80.0), (301.0, 90.0), (2000.0, 94.0), (3600.0, 89.0)];
    let soak = hour(&memory).judged();
    assert!(soak.failures.is_empty(), "{soak:?}");
    assert_eq!([soak.rss_settled_mb, soak.rss_min_mb, soak.rss_max_mb], [90.0, 89.0, 94.0]);
    let short = hour(&[(0.0, 40.0), (20.0, 90.0), (40.0, 91.0)]);
    assert_eq!(short.rss_settled_mb, 90.0, "a short one is held against its middle");
}

#[test]
fn each_thing_that_is_not_kept_is_one_failure() {
    let flat = [(301.0, 90.0), (3600.0, 90.0)];
    let failures = |soak: Soak| soak.judged().failures;
    let grown = failures(hour(&[(301.0, 90.0), (3600.0, 95.0)]));
    assert!(matches!(&grown[..], [one] if one.contains("95")), "{grown:?}");
    for broken in [
        Soak { on_time_rate: 0.99, ..hour(&flat) },
        Soak { missed: 1, ..hour(&flat) },
        Soak { dropped: 1, ..hour(&flat) },
        Soak { stuck_notes: 1, ..hour(&flat) },
        Soak { notes_in_the_take: Some(8999), ..hour(&flat) },
        Soak { notes_in_the_take: None, ..hour(&flat) },
        hour(&[]),
    ] {
        let failures = failures(broken);
        assert_eq!(failures.len(), 1, "{failures:?}");
    }
}
