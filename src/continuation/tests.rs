use proptest::prelude::*;

use super::*;
use crate::model::toy::ToyModel;
use crate::note_model::Attribute;
use crate::sampler::Sampling;

/// A continuation and the model that is lent to it.
struct Fresh {
    continuation: Continuation,
    model: ToyModel,
}

impl std::ops::Deref for Fresh {
    type Target = Continuation;
    fn deref(&self) -> &Continuation {
        &self.continuation
    }
}

impl std::ops::DerefMut for Fresh {
    fn deref_mut(&mut self) -> &mut Continuation {
        &mut self.continuation
    }
}

impl Fresh {
    fn settled(&mut self) {
        self.continuation.settle(&mut self.model).expect("the toy never fails");
    }

    fn next(&mut self, window: Window) -> Note {
        self.continuation.next_note(&mut self.model, window).expect("the toy never fails")
    }
}

fn fresh() -> Fresh {
    let mut model = ToyModel::default();
    let sampler = Sampler::new(Sampling::default(), 1);
    Fresh { continuation: Continuation::new(&mut model, 0, sampler).expect("the toy always starts"), model }
}

fn at(ms: u64) -> SessionTime {
    SessionTime::from_micros(ms * 1000)
}

fn note(onset_ms: u64, key: u8, length_ms: u64) -> Note {
    Note { onset: at(onset_ms), key, duration: SessionDuration::from_millis(length_ms), velocity: 64 }
}

/// The state after all notes, settled.
fn state(continuation: &mut Fresh) -> ModelState {
    continuation.settled();
    state_before(&continuation.notes, &continuation.base, continuation.notes.len()).clone()
}

/// What the session has taught about the next key, whatever the model says.
fn taught(continuation: &mut Fresh) -> Vec<f32> {
    continuation.settled();
    // Brings the memory up to the notes that there are, as each choice does.
    continuation.expected_shift(SessionDuration::ZERO);
    let mut logits = vec![0.0; Attribute::Key.classes()];
    continuation.memory.blend(Attribute::Key, NoteClasses([20, 0, 0, 0]), &mut logits);
    logits
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
                live.settled();
            }
        }
        prop_assert_eq!(state(&mut live), state(&mut in_one_go));
        prop_assert_eq!(taught(&mut live), taught(&mut in_one_go));
    }
}

#[test]
fn a_guess_that_was_right_costs_no_second_step() {
    let mut continuation = fresh();
    continuation.begin(at(0), 60, 64);
    continuation.settled();
    continuation.finish(Note { duration: FIRST_GUESS, ..note(0, 60, 0) });
    assert!(continuation.is_settled());
    assert_eq!(continuation.model.steps, 1);
}

#[test]
fn the_next_note_falls_where_the_model_expects_it() {
    let mut continuation = fresh();
    continuation.insert(note(1000, 60, 200), Voice::Human);
    let next = continuation.next(window(1100, 3000));
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
        let next = continuation.next(window(from, from + 500));
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
    cut.settled();
    cut.cut_off(at(700));

    let mut heard = fresh();
    heard.insert(note(0, 60, 200), Voice::Human);
    heard.insert(note(500, 62, 200), Voice::Ai);
    assert_eq!(state(&mut cut), state(&mut heard));
    assert_eq!(taught(&mut cut), taught(&mut heard));
}

#[test]
fn the_answer_takes_up_what_the_human_played_and_not_its_own_notes() {
    let after_c = |voice| {
        let mut continuation = fresh();
        for index in 0..40u64 {
            let (key, voice) = if index % 2 == 0 { (60, Voice::Human) } else { (71, voice) };
            continuation.insert(note(index * 250, key, 200), voice);
        }
        continuation.insert(note(10_000, 60, 200), Voice::Human);
        taught(&mut continuation)[71].exp()
    };
    let (human, own) = (after_c(Voice::Human), after_c(Voice::Ai));
    assert!(human > 10.0 * own, "{human} when the human played it, {own} when it did");
}

#[test]
fn notes_beyond_the_remembered_live_on_in_the_state() {
    let (mut short, mut long) = (fresh(), fresh());
    for index in 0..2000u64 {
        let played = note(index * 100, 60 + u8::try_from(index % 12).expect("fits"), 80);
        short.insert(played, Voice::Human);
        short.settled();
        long.insert(played, Voice::Human);
        // As many at once as are not taken for a flood.
        if index % 400 == 0 {
            long.settled();
        }
    }
    assert_eq!(short.notes.len(), REMEMBERED);
    assert_eq!(state(&mut short), state(&mut long));
    assert_eq!(taught(&mut short), taught(&mut long));
}

#[test]
fn the_keys_of_a_chord_of_the_answer_ascend() {
    let mut continuation = fresh();
    continuation.base.shift_logits = vec![0.0; Attribute::Shift.classes()];
    continuation.base.shift_logits[0] = 30.0;
    let mut last: Option<Note> = None;
    for _ in 0..200 {
        let note = continuation.next(window(0, 100_000));
        if let Some(last) = last.filter(|last| last.onset == note.onset) {
            assert!(note.key > last.key, "{last:?} then {note:?}");
        }
        last = Some(note);
    }
}

#[test]
fn an_onset_that_is_decided_is_kept_and_keys_that_are_taken_are_not_struck() {
    let mut continuation = fresh();
    continuation.insert(note(1000, 60, 200), Voice::Human);
    let model = &mut ToyModel::default();
    let next = continuation.next_note_beside(1 << 62, model, window(1456, 1456));
    let next = next.expect("the toy never fails").expect("a key is free");
    assert_eq!(next.onset, at(1456));
    assert_ne!(next.key, 62, "the toy wants it, but it is taken");
}

#[test]
fn the_next_note_is_expected_later_the_longer_it_has_not_come() {
    let mut continuation = fresh();
    continuation.insert(note(1000, 60, 200), Voice::Human);
    continuation.settled();
    let mut ms = |silent| continuation.expected_shift(SessionDuration::from_millis(silent)).as_micros() / 1000;
    let expected = [0, 400, 60_000].map(&mut ms);
    assert!((200..300).contains(&expected[0]) && (400..600).contains(&expected[1]), "{expected:?}");
    assert!(expected[2] >= 60_000, "{expected:?}");
}

#[test]
fn a_new_model_reads_the_last_notes_anew() {
    let mut continuation = fresh();
    for index in 0..300 {
        continuation.insert(note(index * 100, 60, 80), Voice::Human);
    }
    continuation.settled();
    let mut other = ToyModel::default();
    continuation.continuation.change_model(&mut other).expect("the toy always starts");
    continuation.continuation.settle(&mut other).expect("the toy never fails");
    assert_eq!(other.steps, READ_ANEW);
    assert!(continuation.is_settled());
}

#[test]
fn what_the_human_repeats_is_expected_and_what_was_forgotten_is_not() {
    let key_after = |strength: f32| {
        let mut continuation = fresh();
        continuation.continuation.set_memory(strength);
        for index in 0..40u64 {
            let key = [60, 67, 64, 72][usize::try_from(index % 4).expect("small")];
            continuation.insert(note(1000 + 250 * index, key, 200), Voice::Human);
        }
        // Planned by an answer, and forgotten again.
        continuation.insert(note(11_500, 61, 100), Voice::Ai);
        continuation.settled();
        continuation.forget_planned(at(11_000));
        continuation.chooser().sampler.sampling.temperature = [0.1; 4];
        continuation.next(window(10_900, 12_000)).key
    };
    assert_eq!(key_after(0.0), 74, "the toy goes up a whole tone");
    assert_eq!(key_after(1.0), 60, "the human went on with this each time");
}

#[test]
fn of_a_flood_the_oldest_notes_are_never_heard_and_the_rest_is_taken_in_as_ever() {
    let mut continuation = fresh();
    (0..3).for_each(|n| continuation.insert(note(n * 100, 60, 50), Voice::Human));
    continuation.settled();
    let heard = continuation.model.steps;
    let flood = u64::try_from(20 * WAITING).expect("small");
    for n in 0..flood {
        let key = u8::try_from(n % 128).expect("small");
        continuation.begin(at(1000 + n), key, 64);
        continuation.finish(note(1000 + n, key, 50));
    }
    assert!(continuation.notes.len() <= REMEMBERED + WAITING);
    continuation.settled();
    let taken_in = continuation.model.steps - heard;
    assert!((WAITING..=REMEMBERED + WAITING).contains(&taken_in), "{taken_in} notes");
    assert_eq!(continuation.unheard(), flood - taken_in as u64, "all others are counted");
    assert_eq!(continuation.last_onset(), Some(at(1000 + flood - 1)), "the newest are among them");

    // Mended and grown as before.
    let next = continuation.next(Window { from: at(30_000), to: at(31_000) });
    assert_eq!(continuation.notes.back().map(|known| known.note), Some(next));
    continuation.cut_off(at(30_000));
    continuation.settled();
    assert_eq!(continuation.memory.len(), continuation.gone + continuation.notes.len());
}
