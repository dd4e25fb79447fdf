//! The continuation: what has been played by both, the model's state after it, and the next note.
//!
//! Every note keeps the model state behind it. So a note that turns out otherwise (a key held longer than thought, an
//! answer cut off) is mended by stepping again from the note before it, and the state always equals that of feeding
//! the finished notes in one go, whatever the order in which they became known.

use std::collections::VecDeque;

use crate::model::{ModelError, ModelState, NoteModel};
use crate::note::Note;
use crate::note_model::{Attribute, NoteClasses, TimeBins};
use crate::sampler::Sampler;
use crate::time::{SessionDuration, SessionTime};

/// Notes that are remembered one by one; older ones live on in the state alone. A held note can be mended while it is
/// among them: at 10 notes a second, 50 seconds.
const REMEMBERED: usize = 512;

/// Duration that a held note is fed with before any note has ended.
const FIRST_GUESS: SessionDuration = SessionDuration::from_millis(300);

/// Who played a note.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Voice {
    /// The player.
    Human,
    /// Antiphon.
    Ai,
}

/// When a new note may fall.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Not before this.
    pub from: SessionTime,
    /// Not after this, where the model can help it.
    pub to: SessionTime,
}

/// The notes so far and the model that goes on with them.
pub struct Continuation<M> {
    model: M,
    style: usize,
    sampler: Sampler,
    /// State before the first remembered note, and the onset of the note before it.
    base: ModelState,
    base_onset: Option<SessionTime>,
    notes: VecDeque<Remembered>,
    /// How many notes, from the first, have the right state behind them.
    settled: usize,
    /// Duration of the human note that ended last: the guess for those still held.
    guess: SessionDuration,
    logits: Vec<f32>,
}

struct Remembered {
    note: Note,
    voice: Voice,
    /// Whether its end is not known yet.
    held: bool,
    /// Filled once settled.
    state: Option<ModelState>,
}

impl<M: NoteModel> Continuation<M> {
    /// Nothing played yet. `style` is a style number of the model.
    ///
    /// # Errors
    /// When the model's engine fails.
    pub fn new(mut model: M, style: usize, sampler: Sampler) -> Result<Self, ModelError> {
        let base = model.start(style)?;
        Ok(Self {
            model,
            style,
            sampler,
            base,
            base_onset: None,
            notes: VecDeque::with_capacity(REMEMBERED + 1),
            settled: 0,
            guess: FIRST_GUESS,
            logits: Vec::new(),
        })
    }

    /// A human key went down; until its end is known, its duration is guessed.
    pub fn begin(&mut self, onset: SessionTime, key: u8, velocity: u8) {
        self.place(Note { onset, key, duration: self.guess, velocity }, Voice::Human, true);
    }

    /// A human note has ended.
    pub fn finish(&mut self, note: Note) {
        self.guess = note.duration;
        let known = self
            .notes
            .iter()
            .rposition(|known| known.held && known.note.onset == note.onset && known.note.key == note.key);
        if let Some(index) = known {
            self.notes[index].held = false;
            self.change_duration(index, note.duration);
        }
    }

    /// Takes a whole note in, at its place.
    pub fn insert(&mut self, note: Note, voice: Voice) {
        self.place(note, voice, false);
    }

    fn place(&mut self, note: Note, voice: Voice, held: bool) {
        let place = self.notes.partition_point(|known| known.note <= note);
        self.notes.insert(place, Remembered { note, voice, held, state: None });
        self.settled = self.settled.min(place);
    }

    /// The answer was cut off at `at`: planned notes that have not begun are forgotten, those that sound end there.
    pub fn cut_off(&mut self, at: SessionTime) {
        self.forget_planned(at);
        for index in 0..self.notes.len() {
            let Remembered { note, voice, .. } = self.notes[index];
            if voice == Voice::Ai && note.end() > at {
                self.change_duration(index, at.since(note.onset));
            }
        }
    }

    /// Forgets the notes of the answer that would begin after `at`.
    pub fn forget_planned(&mut self, at: SessionTime) {
        let kept = |known: &Remembered| known.voice == Voice::Human || known.note.onset <= at;
        let first_gone = self.notes.iter().position(|known| !kept(known)).unwrap_or(self.notes.len());
        self.notes.retain(kept);
        self.settled = self.settled.min(first_gone);
    }

    /// Whether the state is that of all notes so far.
    pub fn is_settled(&self) -> bool {
        self.settled == self.notes.len()
    }

    /// Steps the model over one note that it has not seen as it now is: one inference at most.
    ///
    /// # Errors
    /// When the model's engine fails.
    pub fn settle_one(&mut self) -> Result<(), ModelError> {
        let index = self.settled;
        if index == self.notes.len() {
            return Ok(());
        }
        let mut state = state_before(&self.notes, &self.base, index).clone();
        let classes = NoteClasses::encode(&self.notes[index].note, self.onset_before(index));
        self.model.advance(&mut state, classes, self.style)?;
        self.notes[index].state = Some(state);
        self.settled += 1;
        while self.notes.len() > REMEMBERED && self.settled > 0 {
            if let Some(Remembered { note, state: Some(state), .. }) = self.notes.pop_front() {
                self.base = state;
                self.base_onset = Some(note.onset);
            }
            self.settled -= 1;
        }
        Ok(())
    }

    /// Steps the model over all notes so far.
    ///
    /// # Errors
    /// When the model's engine fails.
    pub fn settle(&mut self) -> Result<(), ModelError> {
        while !self.is_settled() {
            self.settle_one()?;
        }
        Ok(())
    }

    /// Chooses the next note, inside `window`, and takes it in as the answer's.
    ///
    /// # Errors
    /// When the model's engine fails.
    pub fn next_note(&mut self, window: Window) -> Result<Note, ModelError> {
        self.settle()?;
        let end = self.notes.len();
        let previous = self.onset_before(end).unwrap_or(window.from);
        let after_own = self.notes.back().filter(|last| last.voice == Voice::Ai).map(|last| last.note.key);
        let dither = self.sampler.dither();
        let mut chosen = NoteClasses::default();
        for attribute in Attribute::ALL {
            let mut logits = std::mem::take(&mut self.logits);
            let state = state_before(&self.notes, &self.base, end);
            self.model.logits(state, chosen, attribute, &mut logits)?;
            let in_chord = attribute != Attribute::Shift && chosen.of(Attribute::Shift) == 0;
            let class = match attribute {
                Attribute::Shift => draw_shift(&mut self.sampler, &logits, previous, window, after_own),
                // Keys of a chord ascend, so none comes twice.
                Attribute::Key => {
                    self.sampler.draw(&logits, |key| !in_chord || after_own.is_none_or(|below| key > below))
                }
                Attribute::Duration | Attribute::Velocity => self.sampler.draw(&logits, |_| true),
            };
            chosen.0[attribute.index()] = class.unwrap_or_else(|| fallback(attribute));
            self.logits = logits;
        }
        let mut note = chosen.decode(previous, dither);
        note.onset = note.onset.max(window.from);
        self.notes.push_back(Remembered { note, voice: Voice::Ai, held: false, state: None });
        Ok(note)
    }

    fn change_duration(&mut self, index: usize, duration: SessionDuration) {
        let bins = TimeBins::duration();
        let note = &mut self.notes[index].note;
        if bins.class_of(note.duration) != bins.class_of(duration) {
            self.settled = self.settled.min(index);
        }
        note.duration = duration;
    }

    fn onset_before(&self, index: usize) -> Option<SessionTime> {
        index.checked_sub(1).map_or(self.base_onset, |before| Some(self.notes[before].note.onset))
    }
}

/// The settled state before the note at `index`.
fn state_before<'a>(notes: &'a VecDeque<Remembered>, base: &'a ModelState, index: usize) -> &'a ModelState {
    index.checked_sub(1).and_then(|before| notes[before].state.as_ref()).unwrap_or(base)
}

/// Draws the shift among the classes that fall into the window; when none does, among those not before it; when even
/// that is beyond the longest class, the longest.
fn draw_shift(
    sampler: &mut Sampler,
    logits: &[f32],
    previous: SessionTime,
    window: Window,
    after_own: Option<u8>,
) -> Option<u8> {
    let bins = TimeBins::shift();
    // A chord's top key has none above it.
    let can_join = after_own.is_none_or(|key| key < 127);
    let not_early = |class: u8| {
        previous + bins.longest(class) >= window.from && (class > 0 || (previous >= window.from && can_join))
    };
    let not_late = |class: u8| previous + bins.shortest(class) <= window.to;
    sampler
        .draw(logits, |class| not_early(class) && not_late(class))
        .or_else(|| sampler.draw(logits, not_early))
        .or_else(|| u8::try_from(bins.classes() - 1).ok())
}

/// The class taken when nothing can be drawn, which only a model that gives no numbers brings about.
fn fallback(attribute: Attribute) -> u8 {
    match attribute {
        Attribute::Shift => TimeBins::shift().class_of(SessionDuration::from_millis(250)),
        Attribute::Key => 60,
        Attribute::Duration => TimeBins::duration().class_of(FIRST_GUESS),
        Attribute::Velocity => 16,
    }
}

#[cfg(test)]
mod tests;
