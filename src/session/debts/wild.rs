//! A model that plays anything: chords, rests, keys over and over, notes of every length. It can fail and panic.

use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering::Relaxed};

use crate::model::{ModelError, ModelState, NoteModel, Origin};
use crate::note_model::{Attribute, NoteClasses, TimeBins};
use crate::time::SessionDuration;

/// What a model does at its next step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Mood {
    #[default]
    Well,
    Fails,
    Panics,
}

/// Everybody's say in it.
#[derive(Clone, Debug, Default)]
pub(super) struct Moody(Arc<AtomicU8>);

impl Moody {
    pub(super) fn set(&self, mood: Mood) {
        self.0.store(mood as u8, Relaxed);
    }
}

/// See above. Its state is a digest of the notes that it was fed.
pub(super) struct Wild {
    seed: u64,
    moody: Moody,
    origin: Origin,
    styles: Vec<String>,
}

impl Wild {
    pub(super) fn new(seed: u64, moody: Moody) -> Self {
        let styles = ["any", "waltz", "march"].map(String::from).to_vec();
        Self { seed, moody, origin: Origin { name: format!("wild {seed}"), sha256: "0".repeat(64) }, styles }
    }

    /// A number that the history so far decides.
    fn drawn(&self, state: &ModelState, salt: u64) -> u64 {
        let history = u64::from(state.h[0].to_bits());
        mixed(self.seed ^ history.rotate_left(17) ^ salt.rotate_left(40))
    }
}

/// A long way from `value`.
pub(super) fn mixed(value: u64) -> u64 {
    let mut mixed = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ mixed >> 31
}

/// Favours the class at `place`, and a neighbour a little.
fn favouring(place: u8, classes: usize, out: &mut Vec<f32>) {
    out.clear();
    out.resize(classes, 0.0);
    let place = usize::from(place) % classes;
    out[place] = 8.0;
    out[(place + 1) % classes] = 6.0;
}

fn one_of(number: u64, choices: &[u64]) -> u64 {
    choices[usize::try_from(number % choices.len() as u64).expect("small")]
}

impl NoteModel for Wild {
    fn origin(&self) -> &Origin {
        &self.origin
    }

    fn styles(&self) -> &[String] {
        &self.styles
    }

    fn start(&mut self, style: usize) -> Result<ModelState, ModelError> {
        let style = u16::try_from(style).expect("small");
        let mut state =
            ModelState { h: vec![f32::from(style)], c: vec![0.0], context: Vec::new(), shift_logits: Vec::new() };
        self.expect_a_shift(&mut state);
        Ok(state)
    }

    fn advance(&mut self, state: &mut ModelState, note: NoteClasses, style: usize) -> Result<(), ModelError> {
        match self.moody.0.load(Relaxed) {
            mood if mood == Mood::Fails as u8 => {
                return Err(ModelError::Style { wanted: "one that fails".into(), known: Vec::new() });
            }
            // Without the words on standard error.
            mood if mood == Mood::Panics as u8 => resume_unwind(Box::new("the model panics")),
            _ => {}
        }
        let mut digest = state.h[0] + f32::from(u16::try_from(style).expect("small"));
        for class in note.0 {
            // Exact in an f32: below 2^24 before the remainder.
            digest = (digest * 131.0 + f32::from(class) + 1.0) % 65_521.0;
        }
        state.h[0] = digest;
        self.expect_a_shift(state);
        Ok(())
    }

    fn logits(
        &mut self,
        state: &ModelState,
        _chosen: NoteClasses,
        attribute: Attribute,
        out: &mut Vec<f32>,
    ) -> Result<(), ModelError> {
        let drawn = self.drawn(state, 1 + attribute.index() as u64);
        let place = match attribute {
            Attribute::Shift => {
                out.clone_from(&state.shift_logits);
                return Ok(());
            }
            // Few keys, so that they come again while they sound.
            Attribute::Key => u8::try_from(one_of(drawn, &[60, 60, 61, 62, 64, 67, 72, 0, 127])).expect("a key"),
            Attribute::Duration => {
                let ms = one_of(drawn, &[0, 5, 30, 100, 300, 1_000, 5_000, 20_000]);
                TimeBins::duration().class_of(SessionDuration::from_millis(ms))
            }
            Attribute::Velocity => u8::try_from(drawn % 32).expect("small"),
        };
        favouring(place, attribute.classes(), out);
        Ok(())
    }
}

impl Wild {
    fn expect_a_shift(&self, state: &mut ModelState) {
        let ms = one_of(self.drawn(state, 0), &[0, 0, 0, 10, 40, 100, 250, 250, 700, 3_000]);
        let class = TimeBins::shift().class_of(SessionDuration::from_millis(ms));
        favouring(class, Attribute::Shift.classes(), &mut state.shift_logits);
    }
}
