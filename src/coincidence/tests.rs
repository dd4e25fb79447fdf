use proptest::prelude::*;

use super::*;
use crate::note_model::NoteClasses;

const fn note(onset_ms: u64, key: u8, length_ms: u64) -> Note {
    Note { onset: at(onset_ms), key, duration: SessionDuration::from_millis(length_ms), velocity: 64 }
}

const fn at(ms: u64) -> SessionTime {
    SessionTime::from_micros(ms * 1000)
}

/// Notes in order of onset, as those before the next one.
fn before(notes: &[Note]) -> impl Iterator<Item = Earlier> + Clone {
    notes.iter().rev().map(|&note| Earlier { note, held: false })
}

/// By how much the logit of each class of a model without preferences changes.
fn change(attribute: Attribute, notes: &[Note], onset: SessionTime) -> Vec<f32> {
    let mut logits = vec![0.0; attribute.classes()];
    Coincidence::default().lean(attribute, before(notes), onset, &mut logits);
    logits
}

/// A chord under a pedal that ends at 2000 ms, and a melody over it.
const PEDAL: [Note; 5] =
    [note(0, 48, 2000), note(0, 55, 2000), note(0, 64, 2000), note(500, 72, 1500), note(1000, 74, 1000)];

#[test]
fn a_release_falls_where_the_pedal_ends() {
    let duration = change(Attribute::Duration, &PEDAL, at(1400));
    let with_pedal = TimeBins::duration().class_of(SessionDuration::from_millis(600));
    let likeliest = (0u8..).zip(&duration).max_by(|a, b| a.1.total_cmp(b.1)).expect("classes").0;
    assert_eq!(likeliest, with_pedal, "{duration:?}");
    assert!(duration[usize::from(with_pedal)] > 0.5);
}

#[test]
fn a_key_that_sounds_is_hardly_struck_and_one_that_ends_now_may_be() {
    let now = at(1400);
    let key = change(Attribute::Key, &PEDAL, now);
    assert!(key[64] < -1.0 && key[74] < -1.0, "{} {}", key[64], key[74]);
    let mut ends_now = PEDAL;
    ends_now[4].duration = SessionDuration::from_millis(400);
    assert!(change(Attribute::Key, &ends_now, now)[74] > key[74] + 1.0);
    assert!(
        key.iter().enumerate().all(|(key, &by)| by == 0.0 || PEDAL.iter().any(|note| usize::from(note.key) == key))
    );
}

#[test]
fn a_held_key_sounds_on_and_its_end_is_nowhere() {
    let guess = note(1000, 60, 400);
    let lean = |attribute: Attribute, held| {
        let mut logits = vec![0.0; attribute.classes()];
        let earlier = [Earlier { note: guess, held }];
        Coincidence::default().lean(attribute, earlier.into_iter(), at(1200), &mut logits);
        logits
    };
    assert!(lean(Attribute::Duration, false).iter().any(|&by| by != 0.0));
    assert!(lean(Attribute::Duration, true).iter().all(|&by| by == 0.0));
    assert!(lean(Attribute::Key, true)[60] < -0.5);
}

#[test]
fn ends_of_one_moment_are_one() {
    let mut coincidence = Coincidence::default();
    let notes = [note(0, 40, 900), note(0, 50, 904), note(0, 60, 908), note(100, 70, 900), note(200, 80, 150)];
    coincidence.find_ends(before(&notes), at(300));
    let ends: Vec<(i64, usize, usize)> =
        coincidence.ends.iter().map(|end| (end.after_us, end.notes, end.age)).collect();
    assert_eq!(ends, [(50_000, 1, 0), (608_000, 3, 2), (700_000, 1, 1)]);
}

#[test]
fn the_duration_of_a_class_is_that_of_the_end_inside_it() {
    let mut coincidence = Coincidence::default();
    let mut logits = vec![0.0; Attribute::Duration.classes()];
    coincidence.lean(Attribute::Duration, before(&PEDAL), at(1400), &mut logits);
    let class = |ms| TimeBins::duration().class_of(SessionDuration::from_millis(ms));
    assert_eq!(coincidence.duration_of(class(600)), Some(SessionDuration::from_millis(600)));
    assert_eq!(coincidence.duration_of(class(800)), None);
}

#[test]
fn nothing_is_said_of_velocities_nor_before_the_first_note() {
    assert!(change(Attribute::Velocity, &PEDAL, at(1400)).iter().all(|&by| by == 0.0));
    for attribute in Attribute::ALL {
        assert!(change(attribute, &[], at(0)).iter().all(|&by| by == 0.0));
    }
}

proptest! {
    /// Whatever the notes and the logits: what was finite stays so, what was not is left alone, and what was asked
    /// before makes no difference.
    #[test]
    fn leaning_is_a_function_of_the_notes_and_harms_no_logits(
        notes in proptest::collection::vec((0u64..2000, 0u8..=255, 0u64..20_000), 0..90),
        wild in proptest::collection::vec((any::<f32>(), 0usize..140), 0..20),
        after_ms in 0u64..3000,
    ) {
        let mut onset = 0;
        let notes: Vec<Note> = notes.into_iter().map(|(wait, key, length)| {
            onset += wait;
            note(onset, key, length)
        }).collect();
        let mut used = Coincidence::default();
        for attribute in Attribute::ALL {
            let mut logits = vec![0.0f32; attribute.classes()];
            for &(value, at) in &wild {
                if let Some(logit) = logits.get_mut(at) {
                    *logit = value;
                }
            }
            let given = logits.clone();
            used.lean(attribute, before(&notes), at(onset + after_ms), &mut logits);
            for (given, leaned) in given.iter().zip(&logits) {
                prop_assert_eq!(given.is_finite(), leaned.is_finite());
            }
            let mut again = given.clone();
            Coincidence::default().lean(attribute, before(&notes), at(onset + after_ms), &mut again);
            prop_assert_eq!(again.iter().map(|x| x.to_bits()).collect::<Vec<_>>(), logits.iter().map(|x| x.to_bits()).collect::<Vec<_>>());
        }
    }
}

#[test]
fn fitting_learns_that_releases_fall_together() {
    // Chords of three, all of which end with their first note; the model knows nothing.
    let piece: Vec<Note> = (0..300)
        .map(|index| {
            let (chord, place) = (index / 3, index % 3);
            let ends = chord * 900 + 300 + chord * 37 % 400;
            let onset = chord * 900 + place * 60;
            note(onset, 60 + u8::try_from(place).expect("small"), ends - onset)
        })
        .collect();
    let classes = crate::evaluation::encode(&piece);
    let tables = Attribute::ALL.map(|attribute| vec![0.0; attribute.classes() * piece.len()]);
    let logits = crate::model::Logits { tables };
    let [.., rows] = tuning::rows(&piece, &classes, &logits);
    let rows: Vec<_> = rows.iter().collect();
    let fitted = tuning::fit(Attribute::Duration, &rows);
    let (leaned, plain) = tuning::bits(&fitted, &rows);
    assert!(leaned < plain - 1.0, "{leaned} from {plain}");
    assert_eq!(fitted, tuning::fit(Attribute::Duration, &rows), "deterministic");
    assert_eq!(classes[1], NoteClasses::encode(&piece[1], Some(piece[0].onset)));
}
