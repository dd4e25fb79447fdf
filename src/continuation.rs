//! The continuation: what has been played by both, the model's state after it, and the next note.
//!
//! Every note keeps the model state behind it. So a note that turns out otherwise (a key held longer than thought, an
//! answer cut off) is mended by stepping again from the note before it, and the state always equals that of feeding
//! the finished notes in one go, whatever the order in which they became known.

use std::collections::VecDeque;

pub use crate::chooser::Window;
use crate::chooser::{Chooser, Counsel, Moment};
use crate::coincidence::{Coincidence, Earlier};
use crate::memory::Memory;
use crate::model::{ModelError, ModelState, NoteModel};
use crate::note::Note;
use crate::note_model::{Attribute, NoteClasses, TimeBins};
use crate::sampler::Sampler;
use crate::time::{SessionDuration, SessionTime};

/// Notes that are remembered one by one; older ones live on in the state alone. A held note can be mended while it is
/// among them: at 10 notes a second, 50 seconds.
const REMEMBERED: usize = 512;

/// Notes that may wait to be taken in by the model. No hands play so fast; of a flood the oldest are never heard, so
/// that it takes neither memory nor time without end, and what comes after it is answered soon.
const WAITING: usize = 512;

/// Notes that a new model reads: enough to know the key and the manner, in some tens of milliseconds.
const READ_ANEW: usize = 128;

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

/// The notes so far, and how the model goes on with them.
///
/// The model itself is lent at each call, so that several continuations can use one.
pub struct Continuation {
    style: usize,
    chooser: Chooser,
    /// State before the first remembered note, and the onset of the note before it.
    base: ModelState,
    base_onset: Option<SessionTime>,
    notes: VecDeque<Remembered>,
    /// Notes that are no longer remembered one by one.
    gone: usize,
    /// Notes that the model never took in.
    unheard: u64,
    /// What the session has taught: the settled notes.
    memory: Memory,
    /// What falls together with the notes that sound.
    coincidence: Coincidence,
    /// How many notes, from the first, have the right state behind them.
    settled: usize,
    /// Duration of the human note that ended last: the guess for those still held.
    guess: SessionDuration,
    /// Logits of the shift that is expected.
    expected: Vec<f32>,
    /// Notes of the answers among those remembered, gathered anew for each choice.
    played: Vec<Note>,
}

struct Remembered {
    note: Note,
    voice: Voice,
    /// Whether its end is not known yet.
    held: bool,
    /// Filled once settled.
    state: Option<ModelState>,
}

impl Continuation {
    /// Nothing played yet. `style` is a style number of the model.
    ///
    /// # Errors
    /// When the model's engine fails.
    pub fn new(model: &mut impl NoteModel, style: usize, sampler: Sampler) -> Result<Self, ModelError> {
        let base = model.start(style)?;
        Ok(Self {
            style,
            chooser: Chooser::new(sampler),
            base,
            base_onset: None,
            notes: VecDeque::with_capacity(REMEMBERED + 1),
            gone: 0,
            unheard: 0,
            memory: Memory::default(),
            coincidence: Coincidence::default(),
            settled: 0,
            guess: FIRST_GUESS,
            expected: Vec::new(),
            played: Vec::with_capacity(REMEMBERED + 1),
        })
    }

    /// Goes on with another model, which reads the last notes anew.
    ///
    /// # Errors
    /// When the model's engine fails; then all is as it was.
    pub fn change_model(&mut self, model: &mut impl NoteModel) -> Result<(), ModelError> {
        let base = model.start(self.style)?;
        let forgotten = self.notes.len().saturating_sub(READ_ANEW);
        self.base_onset = forgotten.checked_sub(1).map_or(self.base_onset, |last| Some(self.notes[last].note.onset));
        self.notes.drain(..forgotten);
        self.gone += forgotten;
        self.base = base;
        self.settled = 0;
        Ok(())
    }

    /// Goes on in another style; what has been played keeps its own.
    pub fn change_style(&mut self, style: usize) {
        self.style = style;
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
        if self.notes.len() - self.settled > WAITING && self.notes.len() > REMEMBERED {
            self.forget_oldest();
        }
    }

    /// The oldest note is no longer remembered. Where the model has not taken it in, it never does.
    fn forget_oldest(&mut self) {
        let Some(oldest) = self.notes.pop_front() else { return };
        self.base_onset = Some(oldest.note.onset);
        if self.settled > 0 {
            self.settled -= 1;
            self.gone += 1;
            if let Some(state) = oldest.state {
                self.base = state;
            }
        } else {
            self.unheard += 1;
        }
    }

    /// Notes of floods that the model never took in.
    pub fn unheard(&self) -> u64 {
        self.unheard
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

    /// The note that was chosen last begins at another time, not before the one before it.
    pub fn move_last(&mut self, onset: SessionTime) {
        if let Some(last) = self.notes.back_mut() {
            last.note.onset = onset;
        }
    }

    /// Notes of the answer that would begin after `after` begin at other times, in their order.
    pub fn move_planned(&mut self, after: SessionTime, onsets: impl Iterator<Item = SessionTime>) {
        let planned = |known: &&Remembered| known.voice == Voice::Ai && known.note.onset > after;
        let planned: Vec<Note> = self.notes.iter().filter(planned).map(|known| known.note).collect();
        self.forget_planned(after);
        for (note, onset) in planned.into_iter().zip(onsets) {
            self.insert(Note { onset, ..note }, Voice::Ai);
        }
    }

    /// Whether the state is that of all notes so far.
    pub fn is_settled(&self) -> bool {
        self.settled == self.notes.len()
    }

    /// Steps the model over one note that it has not seen as it now is: one inference at most.
    ///
    /// # Errors
    /// When the model's engine fails.
    pub fn settle_one(&mut self, model: &mut impl NoteModel) -> Result<(), ModelError> {
        let index = self.settled;
        if index == self.notes.len() {
            return Ok(());
        }
        let mut state = state_before(&self.notes, &self.base, index).clone();
        let classes = NoteClasses::encode(&self.notes[index].note, self.onset_before(index));
        model.advance(&mut state, classes, self.style)?;
        self.notes[index].state = Some(state);
        self.memory.forget_from(self.gone + index);
        // An answer that learnt from itself would only hear itself.
        self.memory.remember(classes, self.notes[index].voice == Voice::Human);
        self.settled += 1;
        while self.notes.len() > REMEMBERED && self.settled > 0 {
            self.forget_oldest();
        }
        Ok(())
    }

    /// Steps the model over all notes so far.
    ///
    /// # Errors
    /// When the model's engine fails.
    pub fn settle(&mut self, model: &mut impl NoteModel) -> Result<(), ModelError> {
        while !self.is_settled() {
            self.settle_one(model)?;
        }
        Ok(())
    }

    /// When the last note so far began.
    pub fn last_onset(&self) -> Option<SessionTime> {
        self.onset_before(self.notes.len())
    }

    /// How long after the last onset the model expects the next one, given that it does not come before `silent`: the
    /// median of its distribution, notes of the same chord left out. Only when settled.
    pub fn expected_shift(&mut self, silent: SessionDuration) -> SessionDuration {
        self.expected.clone_from(&state_before(&self.notes, &self.base, self.notes.len()).shift_logits);
        self.memory.forget_from(self.gone + self.settled);
        let previous = self.last_onset().unwrap_or(SessionTime::ZERO);
        let mut session = Session { memory: &mut self.memory, coincidence: &mut self.coincidence, notes: &self.notes };
        session.blend(Attribute::Shift, NoteClasses::default(), previous, &mut self.expected);
        median_shift(&self.expected, silent)
    }

    /// How much the session itself has to say in what comes next, in `0.0..=1.0`; what was heard before counts too.
    pub fn set_memory(&mut self, strength: f32) {
        self.memory.strength = strength;
    }

    /// What chooses the next note: sampling, limits, repetition guard.
    pub fn chooser(&mut self) -> &mut Chooser {
        &mut self.chooser
    }

    /// Chooses the next note, inside `window`, and takes it in as the answer's.
    ///
    /// # Errors
    /// When the model's engine fails.
    pub fn next_note(&mut self, model: &mut impl NoteModel, window: Window) -> Result<Note, ModelError> {
        Ok(self.next_note_beside(0, model, window)?.expect("no key is taken, so one is free"))
    }

    /// The same, beside keys that must not be struck (bit `k` of `taken` for key `k`); `None`: no key is free, a rest
    /// follows.
    ///
    /// # Errors
    /// When the model's engine fails.
    pub fn next_note_beside(
        &mut self,
        taken: u128,
        model: &mut impl NoteModel,
        window: Window,
    ) -> Result<Option<Note>, ModelError> {
        self.settle(model)?;
        let end = self.notes.len();
        let previous = self.onset_before(end).unwrap_or(window.from);
        self.played.clear();
        let of_answers = self.notes.iter().filter(|known| known.voice == Voice::Ai);
        self.played.extend(of_answers.map(|known| known.note));
        let this_answer = self.notes.iter().rev().take_while(|known| known.voice == Voice::Ai).count();
        let chord = self.played.iter().rev().take_while(|note| note.onset == previous);
        let moment = Moment {
            previous,
            window,
            chord_top: chord.map(|note| note.key).max(),
            forbidden: taken,
            played: &self.played,
            answer_from: self.played.len() - this_answer,
            shift: None,
        };
        let state = state_before(&self.notes, &self.base, end);
        self.memory.forget_from(self.gone + self.settled);
        let mut session = Session { memory: &mut self.memory, coincidence: &mut self.coincidence, notes: &self.notes };
        let Some(note) = self.chooser.choose(model, state, &moment, &mut session)? else { return Ok(None) };
        self.notes.push_back(Remembered { note, voice: Voice::Ai, held: false, state: None });
        Ok(Some(note))
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

/// What the session has to say in its next note: what it taught, and what its notes fall together with.
struct Session<'a> {
    memory: &'a mut Memory,
    coincidence: &'a mut Coincidence,
    notes: &'a VecDeque<Remembered>,
}

impl Counsel for Session<'_> {
    fn blend(&mut self, attribute: Attribute, chosen: NoteClasses, onset: SessionTime, logits: &mut [f32]) {
        self.memory.blend(attribute, chosen, logits);
        let earlier = self.notes.iter().rev().map(|known| Earlier { note: known.note, held: known.held });
        self.coincidence.lean(attribute, earlier, onset, logits);
    }

    fn duration_of(&self, class: u8) -> Option<SessionDuration> {
        self.coincidence.duration_of(class)
    }
}

/// The settled state before the note at `index`.
fn state_before<'a>(notes: &'a VecDeque<Remembered>, base: &'a ModelState, index: usize) -> &'a ModelState {
    index.checked_sub(1).and_then(|before| notes[before].state.as_ref()).unwrap_or(base)
}

/// The shift that is as likely to be exceeded as not, among those of `silent` and more that are no chord.
fn median_shift(logits: &[f32], silent: SessionDuration) -> SessionDuration {
    let bins = TimeBins::shift();
    let open = |class: &u8| *class > 0 && bins.longest(*class) >= silent;
    let classes = || (0..=u8::MAX).zip(logits).filter(|(class, logit)| open(class) && logit.is_finite());
    let highest = classes().map(|(_, logit)| *logit).fold(f32::NEG_INFINITY, f32::max);
    let mut left = classes().map(|(_, logit)| (logit - highest).exp()).sum::<f32>() / 2.0;
    for (class, logit) in classes() {
        left -= (logit - highest).exp();
        if left <= 0.0 {
            return bins.at(class, 0.5).max(silent);
        }
    }
    silent
}

#[cfg(test)]
mod tests;
