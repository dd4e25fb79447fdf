use std::path::Path;

use super::*;
use crate::midi_file::read_notes;
use crate::sampler::{Sampler, Sampling};
use crate::song_folder::midi_files;
use crate::time::SessionTime;

/// Notes of these keys, one every `step_ms`.
fn tune(keys: impl IntoIterator<Item = u8>, step_ms: u64) -> Vec<Note> {
    let note = |(index, key): (u64, u8)| Note {
        onset: SessionTime::from_micros(index * step_ms * 1000),
        key,
        duration: SessionDuration::from_millis(200),
        velocity: 64,
    };
    (0..).zip(keys).map(note).collect()
}

fn repeated(figure: &[u8], times: usize) -> Vec<Note> {
    tune(figure.iter().copied().cycle().take(figure.len() * times), 250)
}

/// The lean on the key with which a loop goes on, at full strength.
fn lean(answer: &[Note], next: u8) -> f32 {
    let mut guard = RepetitionGuard::new(1.0);
    guard.look(answer);
    guard.lean_on(next)
}

#[test]
fn an_ostinato_of_five_turns_is_let_be_and_then_leaned_on_ever_harder() {
    let figures: [&[u8]; 3] =
        [&[60, 64, 67, 64], &[48, 55, 60, 64, 60, 55], &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16]];
    for figure in figures {
        assert!(lean(&repeated(figure, 5), figure[0]) == 0.0, "{figure:?}");
        let (six, eight) = (lean(&repeated(figure, 6), figure[0]), lean(&repeated(figure, 8), figure[0]));
        assert!(six >= 2.0 && eight > six + 2.0, "{figure:?}: {six}, {eight}");
        assert!(lean(&repeated(figure, 8), 100) == 0.0, "other keys are left alone");
    }
}

#[test]
fn one_key_over_and_over_is_noticed_in_any_rhythm() {
    assert!(lean(&repeated(&[60], 17), 60) == 0.0);
    assert!(lean(&repeated(&[60], 40), 60) > 10.0);
    let mut uneven = repeated(&[60], 40);
    for (index, note) in (0u64..).zip(&mut uneven) {
        note.onset += SessionDuration::from_millis(index * index * 37 % 1000 + index * 1000);
    }
    assert!(lean(&uneven, 60) > 10.0);
}

#[test]
fn a_figure_in_another_rhythm_is_a_variation() {
    let mut varied = repeated(&[60, 64, 67, 64], 12);
    for (turn, notes) in (0u64..).zip(varied.chunks_mut(4)) {
        for (place, note) in (0u64..).zip(notes) {
            note.onset = SessionTime::from_micros(turn * 4_000_000 + place * 200_000 * (1 + turn % 3));
        }
    }
    assert!(lean(&varied, 60) == 0.0);
}

#[test]
fn a_note_that_is_otherwise_does_not_hide_a_loop() {
    let mut loops = repeated(&[60, 64, 67, 64], 12);
    loops[38].key = 71;
    assert!(lean(&loops, 60) > 5.0);
}

#[test]
fn strength_scales_the_lean_and_nonsense_is_off() {
    let loops = repeated(&[60, 64, 67, 64], 10);
    let at = |strength| {
        let mut guard = RepetitionGuard::new(strength);
        guard.look(&loops);
        guard.lean_on(60)
    };
    assert!(at(0.0) == 0.0 && at(-1.0) == 0.0 && at(f32::NAN) == 0.0);
    assert!((at(0.5) * 2.0 - at(1.0)).abs() < 1e-4 && at(1.0) > 5.0);
    assert!((at(9.0) - at(1.0)).abs() < 1e-4);
}

#[test]
fn rest_after_rest_is_leaned_on() {
    let long_rest = |step_ms, notes| {
        let mut guard = RepetitionGuard::new(1.0);
        guard.look(&tune((50..).take(notes), step_ms));
        let mut logits = vec![0.0; Attribute::Shift.classes()];
        guard.lean(Attribute::Shift, &mut logits);
        assert!(logits[..40].iter().all(|&logit| logit == 0.0), "short shifts are left alone");
        -logits[Attribute::Shift.classes() - 1]
    };
    assert!(long_rest(3000, 4) == 0.0);
    assert!(long_rest(3000, 8) > long_rest(3000, 6) && long_rest(3000, 6) > 0.0);
    assert!(long_rest(2000, 20) == 0.0, "slow music is no stall");
}

#[test]
fn a_short_answer_is_no_loop() {
    for notes in 0..4 {
        assert!(lean(&repeated(&[60], notes), 60) == 0.0);
    }
}

/// Draws on from `logits`, which is given the keys so far, and returns the share of the last 200 of 600 keys that
/// repeat the one `figure` before.
fn looping(strength: f32, figure: usize, logits: impl Fn(&[u8]) -> [f32; 128]) -> f64 {
    let mut sampler = Sampler::new(Sampling::default(), 1);
    let mut guard = RepetitionGuard::new(strength);
    let mut keys: Vec<u8> = (60..).take(figure).collect();
    while keys.len() < 600 {
        guard.look(&tune(keys.iter().copied(), 250));
        let mut logits = logits(&keys);
        guard.lean(Attribute::Key, &mut logits);
        keys.push(sampler.draw(Attribute::Key, &logits, |_| true).expect("all are allowed"));
    }
    let repeats = (400..600).filter(|&index| keys[index] == keys[index - figure]).count();
    f64::from(u32::try_from(repeats).expect("few")) / 200.0
}

#[test]
fn a_model_that_would_loop_for_ever_is_broken_out_of_it() {
    for figure in [1, 2, 3, 4, 7, 16] {
        // Repeats whatever was played a figure ago, by 15 logits over all else.
        let copies = |keys: &[u8]| {
            let mut logits = [0.0; 128];
            logits[usize::from(keys[keys.len() - figure])] = 15.0;
            logits
        };
        assert!(looping(0.0, figure, copies) > 0.99, "without the guard it loops");
        let guarded = looping(1.0, figure, copies);
        assert!(guarded < 0.9, "figure of {figure}: {guarded}");
        // Plays one figure whatever it hears.
        let stubborn = |keys: &[u8]| {
            let mut logits = [0.0; 128];
            logits[60 + keys.len() % figure] = 15.0;
            logits
        };
        assert!(looping(0.0, figure, stubborn) > 0.99);
        let guarded = looping(1.0, figure, stubborn);
        assert!(guarded < 0.95, "figure of {figure}: {guarded}");
    }
}

/// Notes that people wrote, and those of them on which the guard would have leaned by a logit or more.
fn leaned_on(folder: &Path) -> (usize, usize) {
    let (mut notes, mut leaned) = (0, 0);
    for file in midi_files(folder) {
        let Ok(piece) = read_notes(&file) else { continue };
        let mut guard = RepetitionGuard::new(1.0);
        for index in 0..piece.len() {
            guard.look(&piece[index.saturating_sub(HISTORY)..index]);
            leaned += usize::from(guard.lean_on(piece[index].key) >= 1.0);
        }
        notes += piece.len();
    }
    (notes, leaned)
}

#[test]
fn what_people_wrote_is_hardly_ever_leaned_on() {
    let (notes, leaned) = leaned_on(&Path::new(env!("CARGO_MANIFEST_DIR")).join("mid_songs"));
    assert!(notes > 10_000, "{notes}");
    assert!(leaned * 1000 < notes, "{leaned} of {notes}");
}
