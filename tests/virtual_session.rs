//! A simulated player of real pieces and the bundled model, under virtual time: what `make bench-live` plays through
//! JACK, in small.

mod human;

use std::io::Write as _;
use std::path::Path;

use antiphon::figures::Spread;
use human::outcome::TIMEOUTS;
use human::phrases::Phrases;

const PHRASES: usize = 8;

#[test]
fn every_phrase_is_answered_and_every_answer_ends_with_the_next() {
    let mut phrases = Phrases::new(&Path::new(env!("CARGO_MANIFEST_DIR")).join("mid_songs"), 5);
    assert_eq!(phrases.pieces(), 64);
    let outcome = human::virtually::play(&mut phrases, PHRASES);
    assert_eq!(outcome.answered, PHRASES, "{outcome:?}");
    assert!(outcome.barge_in.summary().count >= 3, "hardly any phrase began into a sounding note: {outcome:?}");
    assert_eq!(outcome.barge_in.summary().max_us, 0, "virtual time passes for nothing: {outcome:?}");
    assert_eq!((outcome.left_over, outcome.stuck), (0, 0), "{outcome:?}");

    let median = |spread: &Spread| spread.summary().p50_us / 1000;
    let fixed = TIMEOUTS.iter().zip(&outcome.timeout_error);
    let fixed = fixed.map(|(timeout, error)| format!("{} ms after {} s", median(error), timeout.as_seconds()));
    // Past the test runner's capture, so that it is seen when the test passes; a closed standard error is no failure.
    let _ = writeln!(
        std::io::stderr(),
        "virtual session: {} notes in answers; the median answer begins {} ms from where the player would have gone \
         on; one with a fixed timeout {}; {} of {PHRASES} phrases had a rest that was taken for their end",
        outcome.notes,
        median(&outcome.handover_error),
        fixed.collect::<Vec<_>>().join(", "),
        outcome.interrupted,
    );
}
