//! The conductor: whose turn it is, and what the player is to play.
//!
//! Pure: it is told the time and what was heard, and gives back what to do.

use crate::continuation::{Continuation, Window};
use crate::listener::{Heard, Listener};
use crate::midi::ShortMessage;
use crate::model::{ModelError, NoteModel};
use crate::player::{PlannedNote, PlayerCommand};
use crate::time::{SessionDuration, SessionTime};

/// How far ahead of the clock notes are planned: enough to outlast a busy machine's worst pause.
const LOOKAHEAD: SessionDuration = SessionDuration::from_millis(1_000);

/// Least time between planning a note and its onset, so that it reaches the port in time.
pub const LEAD: SessionDuration = SessionDuration::from_millis(5);

/// The first note of an answer comes within this of the handover, where the model can help it: a longer silence
/// leaves the player in doubt.
const LONGEST_HESITATION: SessionDuration = SessionDuration::from_millis(1_500);

/// Later notes of an answer follow within this: the longest rest inside a phrase.
const LONGEST_REST: SessionDuration = SessionDuration::from_millis(4_000);

/// What Antiphon does of its own accord.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Call and response: answers when the human rests.
    #[default]
    Respond,
    /// Begins on its own and goes on by itself, after a limited answer too; a human may still join in and take over.
    Solo,
}

/// Settings of the conductor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conducting {
    /// What it does of its own accord.
    pub mode: Mode,
    /// How long the human rests before it is Antiphon's turn.
    pub patience: SessionDuration,
    /// Longest answer; `None` plays on until the human comes in.
    pub longest_answer: Option<SessionDuration>,
}

/// Whose turn it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// The human plays or may play.
    Human,
    /// Antiphon answers.
    Ai,
}

/// What the conductor wants done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// For the player.
    Tell(PlayerCommand),
    /// The turn has changed.
    Turn {
        /// When.
        at: SessionTime,
        /// Whose it is now.
        turn: Turn,
    },
    /// A note came too late from the model and was moved to the next possible moment, with all after it.
    Late,
}

/// Decides whose turn it is and keeps the plan of the answer ahead of the clock.
pub struct Conductor<M> {
    conducting: Conducting,
    listener: Listener,
    continuation: Continuation<M>,
    /// Least time between planning a note and its onset.
    lead: SessionDuration,
    turn: Turn,
    /// Number of the answer that is or was played.
    epoch: u32,
    /// When the last note that was planned to sound ends.
    sounds_until: SessionTime,
    /// When the last answer ended by itself.
    ended: SessionTime,
    /// When the answer began, and the onset of its last planned note.
    answer: Option<Answer>,
    /// Whether the human has played since the last answer began.
    heard_since_answer: bool,
}

#[derive(Clone, Copy)]
struct Answer {
    began: SessionTime,
    planned_to: Option<SessionTime>,
}

impl<M: NoteModel> Conductor<M> {
    /// A conductor at the session's beginning.
    pub fn new(conducting: Conducting, continuation: Continuation<M>) -> Self {
        Self {
            conducting,
            listener: Listener::default(),
            continuation,
            lead: LEAD,
            turn: Turn::Human,
            epoch: 0,
            sounds_until: SessionTime::ZERO,
            ended: SessionTime::ZERO,
            answer: None,
            heard_since_answer: false,
        }
    }

    /// Plans each note at least `lead` ahead, as its way to the port demands.
    pub fn leading_by(mut self, lead: SessionDuration) -> Self {
        self.lead = lead;
        self
    }

    /// Takes in a human message. A note-on takes the turn back at once.
    pub fn hear(&mut self, at: SessionTime, message: ShortMessage, mut act: impl FnMut(Action)) {
        if message.takes_the_turn() {
            self.heard_since_answer = true;
            // An answer that has ended by itself may still sound.
            if self.turn == Turn::Ai || at < self.sounds_until {
                act(Action::Tell(PlayerCommand::Cancel { epoch: self.epoch }));
                self.continuation.cut_off(at);
                self.sounds_until = at;
                self.end_answer(at, &mut act);
            }
        }
        let continuation = &mut self.continuation;
        self.listener.hear(at, message.event(), |heard| match heard {
            Heard::Onset { onset, key, velocity } => continuation.begin(onset, key, velocity),
            Heard::Finished(note) => continuation.finish(note),
        });
    }

    /// Does what is to be done at `now`: one step of the model at most, so that what the human does is heard soon.
    ///
    /// # Errors
    /// When the model's engine fails.
    pub fn wake(&mut self, now: SessionTime, mut act: impl FnMut(Action)) -> Result<(), ModelError> {
        if self.turn == Turn::Human && self.handover_at().is_some_and(|handover| handover <= now) {
            self.turn = Turn::Ai;
            self.epoch += 1;
            self.heard_since_answer = false;
            self.answer = Some(Answer { began: now, planned_to: None });
            act(Action::Turn { at: now, turn: Turn::Ai });
        }
        if !self.continuation.is_settled() {
            return self.continuation.settle_one();
        }
        if self.plan_ends_at().is_some_and(|end| end <= now) {
            self.continuation.forget_planned(now);
            self.ended = now;
            self.end_answer(now, &mut act);
        }
        if self.plan_is_short(now) {
            self.plan_one(now, &mut act)?;
        }
        Ok(())
    }

    /// When [`Conductor::wake`] must be called next, if nothing is heard before; `None`: only when something is heard.
    pub fn next_wake(&self, now: SessionTime) -> Option<SessionTime> {
        if !self.continuation.is_settled() {
            return Some(now);
        }
        match self.answer {
            None => self.handover_at(),
            Some(Answer { planned_to: None, .. }) => Some(now),
            Some(Answer { planned_to: Some(to), .. }) => {
                let refill = (self.plan_may_grow(to)).then(|| to - LOOKAHEAD);
                refill.into_iter().chain(self.plan_ends_at()).min()
            }
        }
    }

    /// When the turn passes to Antiphon if the human does nothing more.
    fn handover_at(&self) -> Option<SessionTime> {
        if self.heard_since_answer {
            return self.listener.rests_from().map(|rest| rest + self.conducting.patience);
        }
        match self.conducting.mode {
            Mode::Respond => None,
            Mode::Solo if self.epoch == 0 => Some(SessionTime::ZERO),
            Mode::Solo => Some(self.ended + self.conducting.patience),
        }
    }

    /// When an answer of limited length is over.
    fn plan_ends_at(&self) -> Option<SessionTime> {
        self.answer.and_then(|answer| Some(answer.began + self.conducting.longest_answer?))
    }

    fn plan_may_grow(&self, planned_to: SessionTime) -> bool {
        self.plan_ends_at().is_none_or(|end| planned_to < end)
    }

    fn plan_is_short(&self, now: SessionTime) -> bool {
        self.answer
            .is_some_and(|answer| answer.planned_to.is_none_or(|to| to <= now + LOOKAHEAD && self.plan_may_grow(to)))
    }

    fn plan_one(&mut self, now: SessionTime, act: &mut impl FnMut(Action)) -> Result<(), ModelError> {
        let Some(answer) = self.answer else { return Ok(()) };
        let soonest = now + self.lead;
        let window = match answer.planned_to {
            None => Window { from: soonest, to: soonest + self.longest_hesitation() },
            Some(last) => Window { from: last.max(soonest), to: last.max(soonest) + LONGEST_REST },
        };
        // A plan that has fallen behind the clock starts again from the clock: later, but never in a burst.
        if answer.planned_to.is_some_and(|last| last < now) {
            act(Action::Late);
        }
        let note = self.continuation.next_note(window)?;
        self.answer = Some(Answer { planned_to: Some(note.onset), ..answer });
        if self.plan_ends_at().is_none_or(|end| note.onset < end) {
            self.sounds_until = self.sounds_until.max(note.end());
            act(Action::Tell(PlayerCommand::Play(PlannedNote { epoch: self.epoch, note })));
        }
        Ok(())
    }

    /// A short answer must begin within itself.
    fn longest_hesitation(&self) -> SessionDuration {
        let half = |answer: SessionDuration| SessionDuration::from_micros(answer.as_micros() / 2);
        self.conducting.longest_answer.map_or(LONGEST_HESITATION, |answer| LONGEST_HESITATION.min(half(answer)))
    }

    fn end_answer(&mut self, at: SessionTime, act: &mut impl FnMut(Action)) {
        self.turn = Turn::Human;
        if self.answer.take().is_some() {
            act(Action::Turn { at, turn: Turn::Human });
        }
    }
}

#[cfg(test)]
mod tests;
