//! A model for tests: its state is a digest of the notes that it was fed, so equal states mean equal histories.

use super::{ModelError, ModelState, NoteModel, Origin};
use crate::note_model::{Attribute, NoteClasses, TimeBins};
use crate::time::SessionDuration;

/// Of models that nobody asks for their origin.
pub(crate) static NAMELESS: Origin = Origin { name: String::new(), sha256: String::new() };

/// Expects a note a whole tone up, a quarter of a second later.
pub(crate) struct ToyModel {
    /// Notes fed so far, corrections included.
    pub(crate) steps: usize,
    pub(crate) origin: Origin,
    pub(crate) styles: Vec<String>,
}

impl Default for ToyModel {
    fn default() -> Self {
        let styles = ["any", "waltz", "march"].map(String::from).to_vec();
        Self { steps: 0, origin: Origin { name: "toy".into(), sha256: "0".repeat(64) }, styles }
    }
}

impl NoteModel for ToyModel {
    fn origin(&self) -> &Origin {
        &self.origin
    }

    fn styles(&self) -> &[String] {
        &self.styles
    }

    fn start(&mut self, style: usize) -> Result<ModelState, ModelError> {
        let style = u16::try_from(style).expect("small");
        let quarter = i16::from(TimeBins::shift().class_of(SessionDuration::from_millis(250)));
        // The further from a quarter of a second, the less likely.
        let tent = |class: i16| -5.0 * f32::from((class - quarter).abs());
        let shift_logits = (0..).map(tent).take(Attribute::Shift.classes()).collect();
        Ok(ModelState { h: vec![f32::from(style)], c: vec![60.0], context: Vec::new(), shift_logits })
    }

    fn advance(&mut self, state: &mut ModelState, note: NoteClasses, style: usize) -> Result<(), ModelError> {
        self.steps += 1;
        let mut digest = state.h[0] + f32::from(u16::try_from(style).expect("small"));
        for class in note.0 {
            // Exact in an f32: below 2^24 before the remainder.
            digest = (digest * 131.0 + f32::from(class) + 1.0) % 65_521.0;
        }
        state.h[0] = digest;
        state.c[0] = f32::from(note.of(Attribute::Key));
        Ok(())
    }

    fn logits(
        &mut self,
        state: &ModelState,
        _chosen: NoteClasses,
        attribute: Attribute,
        out: &mut Vec<f32>,
    ) -> Result<(), ModelError> {
        out.clear();
        out.resize(attribute.classes(), 0.0);
        match attribute {
            Attribute::Shift => out.clone_from(&state.shift_logits),
            Attribute::Key => {
                #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a key, in 0..128")]
                let next = (state.c[0] as usize + 2) % 128;
                out[next] = 30.0;
            }
            Attribute::Duration => {
                out[usize::from(TimeBins::duration().class_of(SessionDuration::from_millis(200)))] = 30.0;
            }
            Attribute::Velocity => out[20] = 30.0,
        }
        Ok(())
    }
}
