use proptest::prelude::*;

use super::*;
use crate::limits::{Scale, ScaleMode};
use crate::model::Origin;
use crate::model::toy::NAMELESS;
use crate::sampler::Sampling;

/// Gives numbers that have nothing to do with music, and some that are none.
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> u64 {
        // xorshift64
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}

impl NoteModel for Noise {
    fn origin(&self) -> &Origin {
        &NAMELESS
    }

    fn styles(&self) -> &[String] {
        &[]
    }

    fn start(&mut self, _style: usize) -> Result<ModelState, ModelError> {
        Ok(ModelState { h: Vec::new(), c: Vec::new(), context: Vec::new(), shift_logits: Vec::new() })
    }

    fn advance(&mut self, _state: &mut ModelState, _note: NoteClasses, _style: usize) -> Result<(), ModelError> {
        Ok(())
    }

    fn logits(
        &mut self,
        _state: &ModelState,
        _chosen: NoteClasses,
        attribute: Attribute,
        out: &mut Vec<f32>,
    ) -> Result<(), ModelError> {
        out.clear();
        let kind = self.next() % 8;
        for _ in 0..attribute.classes() {
            let draw = self.next();
            out.push(match (kind, draw % 16) {
                (0, _) => f32::NAN,
                (1, _) => f32::INFINITY,
                (2, _) => f32::NEG_INFINITY,
                (_, 0) => f32::NAN,
                (_, 1) => f32::INFINITY,
                (_, 2) => f32::NEG_INFINITY,
                (_, 3) => f32::MAX,
                (_, 4) => f32::MIN,
                (3, _) => 30.0,
                // Signs, magnitudes and subnormals of all kinds.
                _ => f32::from_bits(u32::try_from(draw >> 32).expect("the upper half")),
            });
        }
        // A model that forgets some of its classes.
        if kind == 4 {
            out.truncate(3);
        }
        Ok(())
    }
}

/// Who has a say in the logits and none in where a duration lies in its class.
struct Says<F>(F);

impl<F: FnMut(Attribute, NoteClasses, &mut [f32])> Counsel for Says<F> {
    fn blend(&mut self, attribute: Attribute, chosen: NoteClasses, _onset: SessionTime, logits: &mut [f32]) {
        self.0(attribute, chosen, logits);
    }

    fn duration_of(&self, _class: u8) -> Option<SessionDuration> {
        None
    }
}

fn at(ms: u64) -> SessionTime {
    SessionTime::from_micros(ms * 1000)
}

fn note(onset_ms: u64, key: u8, length_ms: u64) -> Note {
    Note { onset: at(onset_ms), key, duration: SessionDuration::from_millis(length_ms), velocity: 64 }
}

/// Nothing but `previous` and the window.
fn moment(previous_ms: u64, from_ms: u64, to_ms: u64) -> Moment<'static> {
    Moment {
        previous: at(previous_ms),
        window: Window { from: at(from_ms), to: at(to_ms) },
        chord_top: None,
        forbidden: 0,
        played: &[],
        answer_from: 0,
        shift: None,
    }
}

fn chooser(seed: u64) -> Chooser {
    Chooser::new(Sampler::new(Sampling::default(), seed))
}

fn choose(chooser: &mut Chooser, model: &mut Noise, moment: &Moment<'_>) -> Option<Note> {
    let state = model.start(0).expect("noise never fails");
    chooser.choose(model, &state, moment, &mut Says(|_, _, _: &mut [f32]| ())).expect("noise never fails")
}

fn any_limits() -> impl Strategy<Value = Limits> {
    let keys = prop_oneof![Just((0, 127)), (0u8..=255, 0u8..=255), (60u8..64, 60u8..64)];
    let scale = proptest::option::of((0u8..12, 0usize..15));
    let counts = (0u8..80, prop_oneof![-1.0f32..120.0, Just(f32::NAN), Just(f32::INFINITY), 0.0f32..4.0]);
    let velocities = (0u8..=255, 0u8..=255, prop_oneof![-1.0f32..6.0, Just(f32::NAN)]);
    (keys, scale, counts, velocities, 0u64..30_000).prop_map(
        |((lowest_key, highest_key), scale, (polyphony, notes_per_second), (softest, loudest, curve), longest)| {
            Limits {
                lowest_key,
                highest_key,
                scale: scale.map(|(root, mode)| Scale::new(root, ScaleMode::ALL[mode])),
                polyphony,
                notes_per_second,
                softest,
                loudest,
                velocity_curve: curve,
                longest_note: SessionDuration::from_millis(longest),
            }
        },
    )
}

#[derive(Clone, Debug)]
struct Step {
    /// New limits, a human note before, and how its window lies.
    limits: Option<Limits>,
    human_after_ms: Option<u64>,
    from_ms: u64,
    width_ms: u64,
    forbidden: u128,
    shift: Option<u8>,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let forbidden = prop_oneof![
        4 => Just(0u128),
        2 => any::<u128>(),
        1 => Just(u128::MAX),
        1 => (0u32..128).prop_map(|key| !(1 << key)),
    ];
    let step = (
        proptest::option::weighted(0.2, any_limits()),
        proptest::option::weighted(0.1, 0u64..500),
        prop_oneof![3 => Just(0u64), 1 => 0u64..12_000],
        prop_oneof![3 => 0u64..5_000, 1 => Just(0u64)],
        forbidden,
        proptest::option::weighted(0.1, any::<u8>()),
    );
    let step = step.prop_map(|(limits, human_after_ms, from_ms, width_ms, forbidden, shift)| Step {
        limits,
        human_after_ms,
        from_ms,
        width_ms,
        forbidden,
        shift,
    });
    proptest::collection::vec(step, 1..80)
}

/// What the limits say, counted anew without their own helpers. `played` ends with the note itself.
fn check_limits(limits: &Limits, played: &[Note]) -> Result<(), TestCaseError> {
    let note = *played.last().expect("a note was played");
    let (low, high) = (limits.lowest_key.min(limits.highest_key).min(127), limits.lowest_key.max(limits.highest_key));
    prop_assert!((low..=high.min(127)).contains(&note.key), "{note:?} outside the keys");
    if let Some(scale) = limits.scale {
        let gives_way = !(low..=high.min(127)).any(|key| scale.holds(key));
        prop_assert!(gives_way || scale.holds(note.key), "{note:?} outside {scale}");
    }
    let (soft, loud) = (limits.softest.min(limits.loudest), limits.softest.max(limits.loudest));
    prop_assert!((soft.clamp(1, 127)..=loud.clamp(1, 127)).contains(&note.velocity), "{note:?}: velocity");
    let sent = limits.sent_velocity(note.velocity);
    prop_assert!((soft.clamp(1, 127)..=loud.clamp(1, 127)).contains(&sent), "{sent} is sent");
    let longest = limits.longest_note.max(SessionDuration::from_millis(50));
    prop_assert!(note.duration <= longest && note.duration > SessionDuration::ZERO, "{note:?}: length");
    let sounding = played.iter().filter(|other| other.end() > note.onset).count();
    prop_assert!(sounding <= usize::from(limits.polyphony.clamp(1, 64)), "{sounding} sound at once");
    let rate = if limits.notes_per_second.is_nan() { 50.0 } else { limits.notes_per_second.clamp(0.1, 100.0) };
    // A microsecond of rounding is granted.
    let span = 0.999_999 / f64::from(rate.min(1.0));
    let recent = played.iter().filter(|other| note.onset.since(other.onset).as_seconds() < span).count();
    prop_assert!(f32::from(u8::try_from(recent).expect("few")) <= rate.max(1.0), "{recent} in {span} s of {rate}");
    Ok(())
}

proptest! {
    #[test]
    fn no_illegal_note_comes_about_whatever_the_model_says(seed in 1u64.., limits in any_limits(), steps in steps()) {
        let (mut chooser, mut model) = (chooser(seed), Noise(seed));
        chooser.limits = limits;
        let mut played: Vec<Note> = Vec::new();
        let mut previous = at(1000);
        for step in steps {
            chooser.limits = step.limits.unwrap_or(chooser.limits);
            chooser.guard.strength = f32::from(step.shift.unwrap_or(0));
            previous += SessionDuration::from_millis(step.human_after_ms.unwrap_or(0));
            let window = Window {
                from: previous + SessionDuration::from_millis(step.from_ms),
                to: previous + SessionDuration::from_millis(step.from_ms + step.width_ms),
            };
            let together = |other: &&Note| other.onset == previous;
            let chord_top = played.iter().filter(together).map(|other| other.key).max();
            let forbidden = step.forbidden;
            let now =
                Moment { previous, window, chord_top, forbidden, played: &played, answer_from: 0, shift: step.shift };
            let earliest = chooser.limits.earliest_onset(&played).max(window.from);
            let Some(note) = choose(&mut chooser, &mut model, &now) else {
                prop_assert_eq!(chooser.limits.keys() & !forbidden, 0, "a rest without need");
                continue;
            };
            prop_assert!(forbidden >> note.key & 1 == 0, "{note:?} is forbidden");
            prop_assert!(note.onset >= window.from, "{note:?} before {window:?}");
            // Two onsets are the same or half a cell apart.
            let room = SessionDuration::from_millis(5);
            if earliest <= window.to && previous + room <= window.to {
                prop_assert!(note.onset <= window.to, "{note:?} behind {window:?}");
            } else {
                prop_assert!(note.onset <= earliest.max(previous + room), "{note:?} later than need be");
            }
            prop_assert!(!played.iter().any(|other| other.onset == note.onset && other.key == note.key), "twice");
            previous = note.onset;
            played.push(note);
            check_limits(&chooser.limits, &played)?;
        }
    }

    #[test]
    fn the_same_seed_chooses_the_same(seed in 1u64.., from_ms in 0u64..2000) {
        let notes = || {
            let (mut chooser, mut model) = (chooser(seed), Noise(seed));
            (0..20).map(|_| choose(&mut chooser, &mut model, &moment(0, from_ms, from_ms + 3000))).collect::<Vec<_>>()
        };
        prop_assert_eq!(notes(), notes());
    }
}

#[test]
fn a_window_of_one_moment_fixes_the_onset() {
    let (mut chooser, mut model) = (chooser(1), Noise(1));
    for ms in [0, 7, 100, 251, 3333, 9999, 20_000] {
        let note = choose(&mut chooser, &mut model, &moment(500, 500 + ms, 500 + ms)).expect("all keys are free");
        assert_eq!(note.onset, at(500 + ms));
    }
}

#[test]
fn a_shift_that_has_been_decided_is_kept_where_it_is_allowed() {
    let bins = TimeBins::shift();
    let (mut chooser, mut model) = (chooser(1), Noise(1));
    for (wanted_ms, expected_ms) in [(200, 200), (700, 700), (90, 120), (5000, 2000)] {
        let shift = Some(bins.class_of(SessionDuration::from_millis(wanted_ms)));
        let decided = Moment { shift, ..moment(1000, 1120, 3000) };
        let note = choose(&mut chooser, &mut model, &decided).expect("all keys are free");
        let expected = bins.class_of(SessionDuration::from_millis(expected_ms));
        assert_eq!(bins.class_of(note.onset.since(at(1000))), expected);
    }
}

#[test]
fn a_chord_at_its_top_key_goes_on_with_another_onset() {
    let (mut chooser, mut model) = (chooser(1), Noise(1));
    for top in [126, 127] {
        let now = Moment { chord_top: Some(top), shift: Some(0), ..moment(1000, 1000, 3000) };
        let note = choose(&mut chooser, &mut model, &now).expect("all keys are free");
        assert_eq!((note.onset == at(1000), note.key == 127), (top == 126, top == 126), "{note:?}");
    }
}

#[test]
fn no_key_that_may_be_struck_is_a_rest() {
    let (mut chooser, mut model) = (chooser(1), Noise(1));
    chooser.limits = Limits { lowest_key: 60, highest_key: 61, ..Limits::default() };
    assert_eq!(choose(&mut chooser, &mut model, &Moment { forbidden: 3 << 60, ..moment(0, 0, 100) }), None);
    let one_left = choose(&mut chooser, &mut model, &Moment { forbidden: 1 << 60, ..moment(0, 0, 100) });
    assert_eq!(one_left.map(|note| note.key), Some(61));
}

#[test]
fn a_note_waits_for_a_voice_and_the_last_one_does_not_take_it_for_long() {
    let (mut chooser, mut model) = (chooser(1), Noise(1));
    chooser.limits = Limits { polyphony: 1, ..Limits::default() };
    let played = [note(1000, 60, 7000)];
    let now = Moment { played: &played, ..moment(1000, 1000, 2000) };
    let next = choose(&mut chooser, &mut model, &now).expect("all keys are free");
    assert_eq!(next.onset, at(8000));
    assert!(next.duration <= Limits::LAST_VOICE);
}

#[test]
fn blending_sees_each_attribute_with_what_was_chosen_before_and_has_its_way() {
    let (mut chooser, mut model) = (chooser(1), Full);
    let state = model.start(0).expect("never fails");
    let wanted = [30, 77, 40, 9];
    let mut seen = Vec::new();
    let blend = |attribute: Attribute, chosen: NoteClasses, logits: &mut [f32]| {
        seen.push((attribute, chosen));
        logits.fill(-100.0);
        logits[usize::from(wanted[attribute.index()])] = 100.0;
    };
    let note = chooser.choose(&mut model, &state, &moment(0, 0, 5000), &mut Says(blend)).expect("never fails");
    let note = note.expect("all keys are free");
    assert_eq!(NoteClasses::encode(&note, Some(at(0))), NoteClasses(wanted));
    for (index, (attribute, chosen)) in seen.into_iter().enumerate() {
        assert_eq!(attribute, Attribute::ALL[index]);
        assert_eq!(chosen.0[..index], wanted[..index]);
    }
}

#[test]
fn a_loop_of_the_same_answer_is_leaned_on() {
    // Certain of middle C, whatever was played.
    let insist = |attribute: Attribute, _: NoteClasses, logits: &mut [f32]| {
        logits.fill(0.0);
        if attribute == Attribute::Key {
            logits[60] = 9.0;
        }
    };
    let played: Vec<Note> = (0..100).map(|index| note(index * 300, 60, 200)).collect();
    let middle_cs = |answer_from: usize| {
        let mut chooser = chooser(1);
        chooser.guard.strength = 1.0;
        let mut model = Full;
        let state = model.start(0).expect("never fails");
        let now = Moment { played: &played, answer_from, ..moment(29_700, 29_900, 31_000) };
        let notes = (0..100).map(|_| chooser.choose(&mut model, &state, &now, &mut Says(insist)).expect("never fails"));
        notes.flatten().filter(|note| note.key == 60).count()
    };
    assert!(middle_cs(100) > 90, "a new answer begins without a past");
    assert!(middle_cs(0) < 10);
}

/// Gives as many numbers as there are classes.
struct Full;

impl NoteModel for Full {
    fn origin(&self) -> &Origin {
        &NAMELESS
    }

    fn styles(&self) -> &[String] {
        &[]
    }

    fn start(&mut self, style: usize) -> Result<ModelState, ModelError> {
        Noise(1).start(style)
    }

    fn advance(&mut self, _state: &mut ModelState, _note: NoteClasses, _style: usize) -> Result<(), ModelError> {
        Ok(())
    }

    fn logits(
        &mut self,
        _state: &ModelState,
        _chosen: NoteClasses,
        attribute: Attribute,
        out: &mut Vec<f32>,
    ) -> Result<(), ModelError> {
        out.clear();
        out.resize(attribute.classes(), 0.0);
        Ok(())
    }
}
