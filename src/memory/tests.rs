use proptest::prelude::*;

use super::places::WINDOW;
use super::*;

/// Notes without any order, out of few enough that contexts come again.
fn noise(notes: usize, mut seed: u64) -> Vec<NoteClasses> {
    let mut draw = |classes: u64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        u8::try_from((seed >> 33) % classes).expect("a class")
    };
    (0..notes).map(|_| NoteClasses([12 * draw(3), 60 + draw(5), 20 + draw(4), 15 + draw(3)])).collect()
}

fn memory_of(notes: &[NoteClasses]) -> Memory {
    let mut memory = Memory::default();
    notes.iter().for_each(|&note| memory.remember(note, true));
    memory
}

/// What the memory makes of a model without preferences, for all attributes of a next note.
fn blended(memory: &mut Memory, next: NoteClasses) -> [Vec<f32>; 4] {
    Attribute::ALL.map(|attribute| {
        let mut logits = vec![0.0; attribute.classes()];
        memory.blend(attribute, next, &mut logits);
        logits
    })
}

fn probability(memory: &mut Memory, attribute: Attribute, next: NoteClasses) -> f32 {
    let logits = &blended(memory, next)[attribute.index()];
    logits[usize::from(next.of(attribute))].exp() / logits.iter().map(|logit| logit.exp()).sum::<f32>()
}

/// A figure of six notes, in another key and dynamic at each return, with other notes between.
fn returning_figure(times: u8) -> Vec<NoteClasses> {
    let mut notes = Vec::new();
    for time in 0..times {
        let figure = [(25, 60), (12, 64), (12, 67), (25, 65), (6, 64), (6, 62)];
        let figure = figure.map(|(shift, key)| NoteClasses([shift, key + 2 * time, shift + 3, 14 + time]));
        notes.extend(noise(9, u64::from(time) + 1));
        notes.extend(figure);
    }
    notes
}

proptest! {
    /// The property that mending stands on: whatever was remembered and forgotten on the way, the memory is that of
    /// the final notes.
    #[test]
    fn a_mended_memory_is_that_of_the_final_notes(
        seed in any::<u64>(),
        first in 0usize..80,
        cuts in proptest::collection::vec((0usize..40, 0usize..40), 0..5),
    ) {
        let mut notes = noise(first, seed);
        let mut memory = memory_of(&notes);
        for (number, (forgotten, more)) in cuts.into_iter().enumerate() {
            let kept = notes.len().saturating_sub(forgotten);
            notes.truncate(kept);
            memory.forget_from(kept);
            for note in noise(more, seed ^ (number as u64 + 1)) {
                notes.push(note);
                memory.remember(note, true);
            }
        }
        prop_assert_eq!(memory.len(), notes.len());
        for next in noise(3, !seed) {
            prop_assert_eq!(blended(&mut memory, next), blended(&mut memory_of(&notes), next));
        }
    }

    #[test]
    fn probabilities_sum_to_one_whatever_the_model_says(
        seed in any::<u64>(),
        notes in 1usize..60,
        strength in 0.01f32..=1.0,
        logits in proptest::collection::vec(-30.0f32..30.0, 256),
        odd in proptest::collection::vec((0usize..256, prop_oneof![Just(f32::NAN), Just(f32::INFINITY), Just(f32::NEG_INFINITY), Just(1e30)]), 0..4),
    ) {
        let mut memory = memory_of(&noise(notes, seed));
        memory.strength = strength;
        let mut all = logits;
        odd.into_iter().for_each(|(place, value)| all[place] = value);
        for (attribute, next) in Attribute::ALL.into_iter().zip(noise(4, !seed)) {
            let mut logits = all[..attribute.classes()].to_vec();
            if memory.consult(attribute, next, &logits) {
                memory.blend(attribute, next, &mut logits);
                let sum: f32 = logits.iter().map(|logit| logit.exp()).sum();
                prop_assert!((sum - 1.0).abs() < 1e-4, "{}: {sum}", attribute.name());
                prop_assert!(logits.iter().all(|logit| !logit.is_nan()));
            }
        }
    }
}

#[test]
fn a_long_session_is_mended_as_far_back_as_promised() {
    let notes = noise(WINDOW + 5 * SLACK, 7);
    let mut memory = memory_of(&notes);
    assert_eq!(memory.len(), notes.len());
    let kept = notes.len() - SLACK;
    memory.forget_from(kept);
    let mut fresh = memory_of(&notes[..kept]);
    for next in noise(5, 11) {
        assert_eq!(blended(&mut memory, next), blended(&mut fresh, next));
        memory.remember(next, true);
        fresh.remember(next, true);
    }
    memory.forget_from(3);
    assert_eq!(memory.len(), 3, "further back than anything is kept");
    memory.remember(notes[3], true);
    assert_eq!(memory.len(), 4);
    memory.forget_from(10);
    memory.remember(notes[10], true);
    assert_eq!(memory.len(), 11, "six notes were never heard");
    memory.forget_from(10);
    assert_eq!(memory.len(), 10);
}

#[test]
fn a_figure_that_came_twice_is_expected_a_third_time_in_its_new_key() {
    let notes = returning_figure(3);
    let mut heard = memory_of(&notes[..notes.len() - 3]);
    for attribute in [Attribute::Shift, Attribute::Key, Attribute::Duration] {
        let next = notes[notes.len() - 3];
        let expected = probability(&mut heard, attribute, next);
        let first_time = probability(&mut memory_of(&notes[..12]), attribute, notes[12]);
        assert!(
            expected > 0.2 && expected > 4.0 * first_time,
            "{}: {expected}, at first {first_time}",
            attribute.name()
        );
    }
}

#[test]
fn strength_is_how_much_it_has_to_say() {
    let notes = returning_figure(3);
    let mut memory = memory_of(&notes[..notes.len() - 3]);
    let mut at = |strength| {
        memory.strength = strength;
        probability(&mut memory, Attribute::Key, notes[notes.len() - 3])
    };
    let [none, some, all] = [at(0.0), at(0.5), at(1.0)];
    assert!(none < some && some < all, "{none} {some} {all}");
    memory.strength = 0.0;
    assert_eq!(blended(&mut memory, notes[0])[1], vec![0.0; 128], "the logits as they were");
}

#[test]
fn with_nothing_heard_the_model_has_its_way() {
    let mut logits = vec![1.0, 2.0, f32::NEG_INFINITY];
    logits.resize(128, 0.5);
    let before = logits.clone();
    Memory::default().blend(Attribute::Key, NoteClasses::default(), &mut logits);
    assert_eq!(logits, before);
    let mut nothing = vec![f32::NAN; 128];
    memory_of(&noise(20, 1)).blend(Attribute::Key, NoteClasses::default(), &mut nothing);
    assert!(nothing.iter().all(|logit| logit.is_nan()), "no opinion can be blended with none");
}

#[test]
fn notes_that_do_not_teach_are_only_what_others_come_after() {
    let notes = returning_figure(3);
    let mut memory = Memory::default();
    notes[..notes.len() - 3].iter().for_each(|&note| memory.remember(note, false));
    assert!(blended(&mut memory, notes[0]).iter().flatten().all(|&logit| logit == 0.0));

    let (taught, own) = (NoteClasses([12, 60, 20, 16]), NoteClasses([12, 72, 20, 16]));
    let mut memory = Memory::default();
    [taught, own].repeat(8).into_iter().for_each(|note| memory.remember(note, note == taught));
    let after_own = probability(&mut memory, Attribute::Key, taught);
    memory.remember(taught, true);
    let after_taught = probability(&mut memory, Attribute::Key, own);
    assert!(after_own > 10.0 * after_taught, "{after_own} for what it was taught, {after_taught} for what it was not");
}

#[test]
fn the_weights_fit_the_contexts() {
    let memory = Memory::default();
    for (gate, places) in memory.gates.iter().zip(&memory.places) {
        assert_eq!(gate.opinions.len(), places.worth().len() + 1);
        assert_eq!(gate.hidden.len(), gate::HIDDEN);
    }
}
