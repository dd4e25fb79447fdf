use proptest::prelude::*;

use super::*;
use crate::model::toy::ToyModel;
use crate::sampler::Sampling;

fn fresh() -> Continuation<ToyModel> {
    Continuation::new(ToyModel::default(), 0, Sampler::new(Sampling::default(), 1)).expect("the toy always starts")
}

fn at(ms: u64) -> SessionTime {
    SessionTime::from_micros(ms * 1000)
}

fn note(onset_ms: u64, key: u8, length_ms: u64) -> Note {
    Note { onset: at(onset_ms), key, duration: SessionDuration::from_millis(length_ms), velocity: 64 }
}

/// The state after all notes, settled.
fn state(continuation: &mut Continuation<ToyModel>) -> ModelState {
    continuation.settle().expect("the toy never fails");
    state_before(&continuation.notes, &continuation.base, continuation.notes.len()).clone()
}

fn window(from_ms: u64, to_ms: u64) -> Window {
    Window { from: at(from_ms), to: at(to_ms) }
}

proptest! {
    /// The property of the design: whatever the order of arrivals and releases, the final state is that of feeding
    /// the finished notes in one go.
    #[test]
    fn late_releases_leave_the_same_state_as_finished_notes(
        played in proptest::collection::vec((0u64..300, 40u8..80, 1u64..3000), 1..60),
        settle_between in any::<bool>(),
    ) {
        let mut onset = 0;
        let mut notes = Vec::new();
        for (wait, key, length) in played {
            onset += wait + 1;
            notes.push(note(onset, key, length));
        }
        let mut in_one_go = fresh();
        for &note in &notes {
            in_one_go.insert(note, Voice::Human);
        }

        let mut live = fresh();
        let edges = notes.iter().flat_map(|&note| [(note.onset, 1, note), (note.end(), 0, note)]);
        let mut edges: Vec<_> = edges.collect();
        edges.sort();
        for (_, begins, note) in edges {
            if begins == 1 {
                live.begin(note.onset, note.key, note.velocity);
            } else {
                live.finish(note);
            }
            if settle_between {
                live.settle().expect("the toy never fails");
            }
        }
        prop_assert_eq!(state(&mut live), state(&mut in_one_go));
    }
}

#[test]
fn a_guess_that_was_right_costs_no_second_step() {
    let mut continuation = fresh();
    continuation.begin(at(0), 60, 64);
    continuation.settle().expect("the toy never fails");
    continuation.finish(Note { duration: FIRST_GUESS, ..note(0, 60, 0) });
    assert!(continuation.is_settled());
    assert_eq!(continuation.model.steps, 1);
}

#[test]
fn the_next_note_falls_where_the_model_expects_it() {
    let mut continuation = fresh();
    continuation.insert(note(1000, 60, 200), Voice::Human);
    let next = continuation.next_note(window(1100, 3000)).expect("the toy never fails");
    assert_eq!(next.key, 62);
    assert_eq!(
        TimeBins::shift().class_of(next.onset.since(at(1000))),
        TimeBins::shift().class_of(SessionDuration::from_millis(250))
    );
}

#[test]
fn a_note_is_never_before_its_window_even_when_the_model_expected_it_earlier() {
    for from in [1260, 2000, 9000, 30_000] {
        let mut continuation = fresh();
        continuation.insert(note(1000, 60, 200), Voice::Human);
        let next = continuation.next_note(window(from, from + 500)).expect("the toy never fails");
        assert!(next.onset >= at(from), "{} for {from}", next.onset);
        if from < 10_000 {
            assert!(next.onset <= at(from + 1000), "{} for {from}", next.onset);
        }
    }
}

#[test]
fn an_answer_that_is_cut_off_leaves_what_was_heard_of_it() {
    let mut cut = fresh();
    cut.insert(note(0, 60, 200), Voice::Human);
    cut.insert(note(500, 62, 400), Voice::Ai);
    cut.insert(note(800, 64, 400), Voice::Ai);
    cut.settle().expect("the toy never fails");
    cut.cut_off(at(700));

    let mut heard = fresh();
    heard.insert(note(0, 60, 200), Voice::Human);
    heard.insert(note(500, 62, 200), Voice::Ai);
    assert_eq!(state(&mut cut), state(&mut heard));
}

#[test]
fn notes_beyond_the_remembered_live_on_in_the_state() {
    let (mut short, mut long) = (fresh(), fresh());
    for index in 0..2000u64 {
        let played = note(index * 100, 60 + u8::try_from(index % 12).expect("fits"), 80);
        short.insert(played, Voice::Human);
        short.settle().expect("the toy never fails");
        long.insert(played, Voice::Human);
    }
    assert_eq!(short.notes.len(), REMEMBERED);
    assert_eq!(state(&mut short), state(&mut long));
}

#[test]
fn the_keys_of_a_chord_of_the_answer_ascend() {
    let mut continuation = fresh();
    continuation.base.shift_logits = vec![0.0; Attribute::Shift.classes()];
    continuation.base.shift_logits[0] = 30.0;
    let mut last: Option<Note> = None;
    for _ in 0..200 {
        let note = continuation.next_note(window(0, 100_000)).expect("the toy never fails");
        if let Some(last) = last.filter(|last| last.onset == note.onset) {
            assert!(note.key > last.key, "{last:?} then {note:?}");
        }
        last = Some(note);
    }
}
