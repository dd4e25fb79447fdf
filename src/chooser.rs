//! The chooser: the next note of the answer, attribute by attribute, drawn from what is allowed.
//!
//! An illegal note cannot come about: what the limits, the window and the keys that are taken do not allow is taken
//! out before each draw, whatever the model's numbers are. These hold for every note, in this order where they
//! contradict each other:
//!
//! 1. No forbidden key is struck, and no key twice at one onset. Where that leaves no key at all, a rest follows.
//! 2. The note is not before its window, and not where it would exceed the most voices or notes a second.
//! 3. It is in the key range, the scale, the velocities and the lengths of the [`Limits`].
//! 4. It is not behind its window, unless 2 leaves no such time; then it is as little behind as can be.

use crate::limits::Limits;
use crate::model::{ModelError, ModelState, NoteModel};
use crate::note::Note;
use crate::note_model::{Attribute, NoteClasses, TimeBins};
use crate::repetition::RepetitionGuard;
use crate::sampler::Sampler;
use crate::time::{SessionDuration, SessionTime};

/// When a new note may fall.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Not before this.
    pub from: SessionTime,
    /// Not after this, where the limits allow it. A window of one moment fixes the onset.
    pub to: SessionTime,
}

/// What is known when a note is chosen.
#[derive(Clone, Copy, Debug)]
pub struct Moment<'a> {
    /// Onset of the note before, of either voice, from which the model counts the shift.
    pub previous: SessionTime,
    /// When the note may fall.
    pub window: Window,
    /// The highest key that the answer has struck at `previous`, if it has: the keys of a chord ascend.
    pub chord_top: Option<u8>,
    /// Keys that must not be struck: bit `n` stands for key `n`.
    pub forbidden: u128,
    /// Notes of the answer and of answers before, in order of onset, none after `previous`: at least all that still
    /// sound, those of the last second or two, and the last [`crate::repetition::HISTORY`] of this answer.
    pub played: &'a [Note],
    /// Where in `played` this answer begins; only from there on are repetitions looked for.
    pub answer_from: usize,
    /// The shift class, if it has been decided already; where it is not allowed, the nearest that is.
    pub shift: Option<u8>,
}

/// Who has a say in the next note beside the model.
pub trait Counsel {
    /// May change the logits of an attribute before anything is drawn from them. What has been `chosen` for the attributes
    /// before is told as it is to the model, with the onset that follows from it; before the shift is chosen, the onset
    /// of the note before.
    fn blend(&mut self, attribute: Attribute, chosen: NoteClasses, onset: SessionTime, logits: &mut [f32]);

    /// The best duration of a class, where one is better than the others; asked after durations were blended.
    fn duration_of(&self, class: u8) -> Option<SessionDuration>;
}

/// Chooses notes. Its parts may be set differently between any two notes.
pub struct Chooser {
    /// How freely it draws.
    pub sampler: Sampler,
    /// What the answer may play.
    pub limits: Limits,
    /// What leans it away from loops.
    pub guard: RepetitionGuard,
    logits: Vec<f32>,
}

impl Chooser {
    /// A chooser with default limits and the default guard.
    pub fn new(sampler: Sampler) -> Self {
        let logits = Vec::with_capacity(256);
        Self { sampler, limits: Limits::default(), guard: RepetitionGuard::default(), logits }
    }

    /// Chooses the note that follows `state`; `None`: no key may be struck now, a rest follows. At most one question
    /// to the model for each attribute.
    ///
    /// The note has the velocity that the model is to be told; [`Limits::sent_velocity`] gives the one to be sent.
    ///
    /// # Errors
    /// When the model's engine fails.
    pub fn choose(
        &mut self,
        model: &mut impl NoteModel,
        state: &ModelState,
        moment: &Moment<'_>,
        counsel: &mut impl Counsel,
    ) -> Result<Option<Note>, ModelError> {
        let limits = self.limits;
        let keys = limits.keys() & !moment.forbidden;
        if keys == 0 {
            return Ok(None);
        }
        // In two steps, because a shift by all 128 bits overflows.
        let above = |top: u8| (u128::MAX << top.min(127)) << 1;
        let chord_keys = keys & moment.chord_top.map_or(u128::MAX, above);
        let earliest = moment.window.from.max(limits.earliest_onset(moment.played));
        let times = Times::new(moment.previous, Window { from: earliest, ..moment.window }, chord_keys != 0);
        self.guard.look(&moment.played[moment.answer_from.min(moment.played.len())..]);

        let dither = self.sampler.dither();
        let mut chosen = NoteClasses::default();
        let mut draw = |chooser: &mut Self, chosen, onset, attribute, allowed: &dyn Fn(u8) -> bool| {
            model.logits(state, chosen, attribute, &mut chooser.logits)?;
            counsel.blend(attribute, chosen, onset, &mut chooser.logits);
            chooser.guard.lean(attribute, &mut chooser.logits);
            let drawn = chooser.sampler.draw(attribute, &chooser.logits, allowed);
            Ok::<u8, ModelError>(drawn.unwrap_or_else(|| nearest(attribute, ordinary(attribute), allowed)))
        };

        let shift = match moment.shift {
            Some(class) => nearest(Attribute::Shift, class, &|class| times.allow(class)),
            None => draw(self, chosen, moment.previous, Attribute::Shift, &|class| times.allow(class))?,
        };
        chosen.0[Attribute::Shift.index()] = shift;
        let onset = times.onset(shift, dither.shift);

        let keys = if shift == 0 { chord_keys } else { keys };
        let may_strike = |key: u8| key < 128 && keys >> key & 1 == 1;
        chosen.0[Attribute::Key.index()] = draw(self, chosen, onset, Attribute::Key, &may_strike)?;

        let sounding = moment.played.iter().filter(|note| note.end() > onset).count();
        let longest = limits.longest_duration(sounding);
        let short_enough = |class: u8| TimeBins::duration().shortest(class) <= longest;
        chosen.0[Attribute::Duration.index()] = draw(self, chosen, onset, Attribute::Duration, &short_enough)?;

        let (softest, loudest) = limits.velocities().into_inner();
        let bins = NoteClasses::velocity_class(softest)..=NoteClasses::velocity_class(loudest);
        chosen.0[Attribute::Velocity.index()] =
            draw(self, chosen, onset, Attribute::Velocity, &|class| bins.contains(&class))?;

        // The outermost classes reach beyond what is allowed.
        let note = chosen.decode(moment.previous, dither);
        let together = counsel.duration_of(chosen.of(Attribute::Duration));
        let duration = together.unwrap_or(note.duration).min(longest);
        let velocity = note.velocity.clamp(softest, loudest);
        Ok(Some(Note { onset, duration, velocity, ..note }))
    }
}

/// When the next note may fall, in shift classes.
struct Times {
    previous: SessionTime,
    window: Window,
    /// Whether it may fall together with the note before.
    join: bool,
    /// First and last class after that; there is none when the last is below the first.
    first: u8,
    last: u8,
}

impl Times {
    /// Never empty: when the window is too early for all, what is the least late is allowed.
    fn new(previous: SessionTime, window: Window, has_chord_keys: bool) -> Self {
        let bins = TimeBins::shift();
        let join = has_chord_keys && previous >= window.from;
        let first = bins.class_of(window.from.since(previous)).max(1);
        let last = bins.class_of(window.to.since(previous));
        Self { previous, window, join, first, last: if join { last } else { last.max(first) } }
    }

    fn allow(&self, class: u8) -> bool {
        class == 0 && self.join || (self.first..=self.last).contains(&class)
    }

    /// The onset at `position` of the way through the class, moved into the window.
    fn onset(&self, class: u8, position: f32) -> SessionTime {
        if class == 0 {
            return self.previous;
        }
        let bins = TimeBins::shift();
        let begin = (self.previous + bins.shortest(class)).max(self.window.from);
        (self.previous + bins.at(class, position)).clamp(begin, self.window.to.max(begin))
    }
}

/// The allowed class that is nearest to `wanted`.
fn nearest(attribute: Attribute, wanted: u8, allowed: &dyn Fn(u8) -> bool) -> u8 {
    let classes = (0..=u8::MAX).take(attribute.classes()).filter(|&class| allowed(class));
    classes.min_by_key(|class| class.abs_diff(wanted)).unwrap_or(wanted)
}

/// A class in the middle of what is usual, for when nothing can be drawn: a model that gives no numbers.
fn ordinary(attribute: Attribute) -> u8 {
    match attribute {
        Attribute::Shift => TimeBins::shift().class_of(SessionDuration::from_millis(250)),
        Attribute::Key => 60,
        Attribute::Duration => TimeBins::duration().class_of(SessionDuration::from_millis(300)),
        Attribute::Velocity => NoteClasses::velocity_class(64),
    }
}

#[cfg(test)]
mod tests;
