//! The conductor: whose turn it is between one player and Antiphon, and the plan of what Antiphon plays.
//!
//! Pure: it is told the time and what was heard, and gives back what to do.
//!
//! The plan is ready before it is due. While the human plays, each of their notes makes a plan for the case that it
//! was their last; the player has it, with its time, before the human has rested long enough. So the handover itself
//! computes nothing.

mod plan;
mod planning;
mod turn;

use plan::Plan;
pub use turn::Turn;

use crate::beat::Grid;
use crate::continuation::Continuation;
use crate::listener::{Heard, Listener};
use crate::midi::{MidiEvent, ShortMessage};
use crate::model::{ModelError, NoteModel};
use crate::player::{PlannedNote, PlayerCommand};
use crate::settings::{BargeIn, Mode, Settings};
use crate::time::{SessionDuration, SessionTime};

/// How far ahead of the clock notes are planned: enough to outlast a busy machine's worst pause.
const LOOKAHEAD: SessionDuration = SessionDuration::from_millis(1_000);

/// Least time between planning a note and its onset, so that it reaches the port in time.
pub const LEAD: SessionDuration = SessionDuration::from_millis(5);

/// How soon a changed setting is heard in an answer that plays.
const CHANGES_AFTER: SessionDuration = SessionDuration::from_millis(50);

/// An answer that waits for its beat moves with the clock when that is off by more than this. Smaller moves are not
/// heard, and each costs a cancellation.
const OFF_THE_CLOCK: SessionDuration = SessionDuration::from_millis(3);

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
    /// A note has been added to the plan, for those who watch.
    Planned(PlannedNote),
    /// Planned notes that begin after `after` will not be played, for those who watch.
    Forgotten {
        /// Where, in `0..16`.
        channel: u8,
        /// Notes up to here stay.
        after: SessionTime,
    },
    /// Another model has taken over.
    Model {
        /// When.
        at: SessionTime,
        /// Number of the style that it plays in.
        style: u8,
    },
    /// A note came too late from the model and was moved to the next possible moment, with all after it.
    Late,
}

/// What the conductor works with: lent to it at each call.
pub struct Stage<'a, M> {
    /// The model.
    pub model: &'a mut M,
    /// What is set.
    pub settings: &'a Settings,
    /// The beats of a MIDI clock, while one runs.
    pub grid: Option<Grid>,
    /// Least time between planning a note and its onset.
    pub lead: SessionDuration,
    /// When the last human key that has been heard was struck.
    pub struck: Option<SessionTime>,
}

impl<M> Stage<'_, M> {
    /// When an answer begins that is due at `due`, but not before `soonest`: on the beat or bar that is set.
    fn entry(&self, due: SessionTime, soonest: SessionTime) -> SessionTime {
        let drawn = self.snap(due.max(soonest), soonest);
        self.grid.map_or(drawn, |grid| grid.next(drawn, self.settings.begin_on))
    }

    /// `onset`, drawn onto the grid if it is then still after `from`, so that a chord stays one.
    fn snap(&self, onset: SessionTime, from: SessionTime) -> SessionTime {
        let snapped = |grid: Grid| grid.snap(onset, self.settings.snap_per_beat, f64::from(self.settings.snap));
        self.grid.filter(|_| onset > from).map(snapped).filter(|snapped| *snapped > from).unwrap_or(onset)
    }
}

/// Decides whose turn it is and keeps the plan of the answer ahead of the clock.
pub struct Conductor {
    /// Where it answers, in `0..16`.
    channel: u8,
    listener: Listener,
    continuation: Continuation,
    turn: Turn,
    /// Number of the newest plan.
    epoch: u32,
    plan: Option<Plan>,
    /// When the last note that was handed to the player ends.
    sounds_until: SessionTime,
    /// When the last answer ended by itself.
    ended: Option<SessionTime>,
    /// Whether the human has played since the last answer began.
    heard_since_answer: bool,
    /// The human has handed over explicitly.
    handed_over: bool,
    /// The human has taken the turn back: nothing is played until they have, in mode `solo` either.
    held_back: bool,
}

impl Conductor {
    /// A conductor at the session's beginning that answers on `channel`, in `0..16`.
    pub fn new(channel: u8, continuation: Continuation) -> Self {
        Self {
            channel,
            listener: Listener::default(),
            continuation,
            turn: Turn::Human,
            epoch: 0,
            plan: None,
            sounds_until: SessionTime::ZERO,
            ended: None,
            heard_since_answer: false,
            handed_over: false,
            held_back: false,
        }
    }

    /// Takes in a human message. Everything that was due by `at` has begun.
    pub fn hear<M>(
        &mut self,
        stage: &mut Stage<'_, M>,
        at: SessionTime,
        message: ShortMessage,
        mut act: impl FnMut(Action),
    ) {
        self.begin_if_due(at, &mut act);
        if message.takes_the_turn() {
            self.heard_since_answer = true;
            self.handed_over = false;
            self.held_back = false;
            let plays_on = stage.settings.mode == Mode::Accompany || stage.settings.barge_in != BargeIn::On;
            if plays_on && self.plan.as_ref().is_some_and(|plan| plan.begun) {
                self.weave(at + stage.lead, &mut act);
            // An answer that has ended by itself may still sound.
            } else if self.turn != Turn::Human || at < self.sounds_until {
                self.cut_off(at, &mut act);
            }
        }
        let continuation = &mut self.continuation;
        let moved = self.listener.hear(at, message.event(), |heard| match heard {
            Heard::Onset { onset, key, velocity } => continuation.begin(onset, key, velocity),
            Heard::Finished(note) => continuation.finish(note),
        });
        // The plan was for the case that nothing more would come.
        if moved && self.plan.as_ref().is_some_and(|plan| !plan.begun) {
            self.discard(&mut act);
        }
    }

    /// The human hands over: the answer begins at once. Nothing in mode `listen`, or while an answer plays.
    pub fn hand_over<M>(&mut self, stage: &mut Stage<'_, M>, at: SessionTime, mut act: impl FnMut(Action)) {
        self.begin_if_due(at, &mut act);
        if stage.settings.mode == Mode::Listen {
            return;
        }
        self.held_back = false;
        let Some(plan) = self.plan.as_mut().filter(|plan| !plan.begun) else {
            self.handed_over = self.plan.is_none();
            return;
        };
        if plan.notes.is_empty() {
            self.discard(&mut act);
            self.handed_over = true;
            return;
        }
        // The notes are ready; only their time changes.
        plan.due = at + stage.lead;
        let begins = stage.entry(plan.due, plan.due).min(plan.begins);
        self.move_plan(stage, begins, true, &mut act);
    }

    /// The MIDI clock has told something new: an answer that has not begun moves with it.
    pub fn follow_clock<M>(&mut self, stage: &mut Stage<'_, M>, at: SessionTime, mut act: impl FnMut(Action)) {
        self.begin_if_due(at, &mut act);
        let Some(plan) = self.plan.as_ref().filter(|plan| !plan.begun) else { return };
        // What is on its way to the port stays: the clock that comes a moment before its beat would put it off for ever.
        if plan.sent && plan.begins <= at + stage.lead {
            return;
        }
        let begins = stage.entry(plan.due, at + stage.lead);
        let off = begins.since(plan.begins).max(plan.begins.since(begins));
        if off > OFF_THE_CLOCK {
            let sent = plan.sent;
            self.move_plan(stage, begins, sent, &mut act);
        }
    }

    /// The human takes the turn back: what sounds ends, and there is no answer until they have played.
    pub fn take_back(&mut self, at: SessionTime, act: impl FnMut(Action)) {
        self.begin_anew(at, act);
        self.held_back = true;
    }

    /// As at the session's beginning, but for what was played.
    pub fn begin_anew(&mut self, at: SessionTime, mut act: impl FnMut(Action)) {
        self.held_back = false;
        // What is held here may be let go of elsewhere.
        let continuation = &mut self.continuation;
        for channel in 0..16 {
            self.listener.hear(at, MidiEvent::AllNotesOff { channel }, |heard| {
                if let Heard::Finished(note) = heard {
                    continuation.finish(note);
                }
            });
        }
        self.begin_if_due(at, &mut act);
        self.cut_off(at, &mut act);
        self.heard_since_answer = false;
        self.handed_over = false;
        self.ended = None;
    }

    /// Tells what would let go of each key and pedal that the human is believed to hold.
    pub fn held(&self, tell: impl FnMut(ShortMessage)) {
        self.listener.held(tell);
    }

    /// The mode has changed: what was taken back before counts no longer.
    pub fn mode_changed(&mut self) {
        self.held_back = false;
    }

    /// The settings have changed: what is planned from shortly after `at` is planned anew.
    pub fn settings_changed<M>(&mut self, stage: &mut Stage<'_, M>, at: SessionTime, mut act: impl FnMut(Action)) {
        self.continuation.change_style(usize::from(stage.settings.style));
        self.begin_if_due(at, &mut act);
        match &self.plan {
            Some(_) if stage.settings.mode == Mode::Listen => self.cut_off(at, &mut act),
            Some(plan) if plan.begun => self.weave(at + stage.lead + CHANGES_AFTER, &mut act),
            Some(_) => self.discard(&mut act),
            None => {}
        }
    }

    /// Goes on with another model, in the style that is set: what is planned far ahead stays.
    ///
    /// # Errors
    /// When the model's engine fails.
    pub fn change_model<M: NoteModel>(
        &mut self,
        stage: &mut Stage<'_, M>,
        mut act: impl FnMut(Action),
    ) -> Result<(), ModelError> {
        if self.plan.as_ref().is_some_and(|plan| !plan.begun) {
            self.discard(&mut act);
        }
        self.continuation.change_style(usize::from(stage.settings.style));
        self.continuation.change_model(stage.model)
    }

    /// Whether another model could take over now without a gap: no answer plays, or so much of it is planned that the
    /// new model has read what was played before it runs dry, on a busy machine too.
    pub fn is_between_phrases(&self, now: SessionTime) -> bool {
        let far = now + SessionDuration::from_micros(LOOKAHEAD.as_micros() * 9 / 10);
        self.plan.as_ref().is_none_or(|plan| !plan.begun || plan.planned_to.is_some_and(|to| to > far))
    }

    /// Whether the model has taken in all that was heard.
    pub fn is_settled(&self) -> bool {
        self.continuation.is_settled()
    }

    /// Notes of floods that the model never took in.
    pub fn unheard(&self) -> u64 {
        self.continuation.unheard()
    }

    /// Whether a continuation is ready for the case that the human stops now.
    pub fn is_ready(&self) -> bool {
        self.is_settled() && self.plan.as_ref().is_some_and(Plan::has_a_beginning)
    }

    /// Does what is to be done at `now`: one step of the model at most, so that what the human does is heard soon.
    ///
    /// # Errors
    /// When the model's engine fails.
    pub fn wake<M: NoteModel>(
        &mut self,
        stage: &mut Stage<'_, M>,
        now: SessionTime,
        mut act: impl FnMut(Action),
    ) -> Result<(), ModelError> {
        self.begin_if_due(now, &mut act);
        let rests = self.listener.rests_from().is_none_or(|rest| rest <= now);
        if self.plan.as_ref().is_some_and(|plan| !plan.begun && !plan.sent && !plan.notes.is_empty()) && rests {
            // A key or pedal was held too long to count as playing.
            self.discard(&mut act);
        }
        if !self.continuation.is_settled() {
            return self.continuation.settle_one(stage.model);
        }
        if let Some(end) = self.plan_ends_at(stage.settings).filter(|end| *end <= now) {
            self.end_answer(end, &mut act);
        }
        if self.plan.is_none() {
            self.open_plan(stage, now, &mut act);
        }
        if self.plan_is_short(stage.settings, now) {
            self.plan_one(stage, now, &mut act)?;
        }
        Ok(())
    }

    /// When [`Conductor::wake`] must be called next, if nothing is heard before; `None`: only when something is heard.
    pub fn next_wake(&self, settings: &Settings, now: SessionTime) -> Option<SessionTime> {
        if !self.continuation.is_settled() {
            return Some(now);
        }
        let Some(plan) = &self.plan else {
            return self.wants_plan(settings).then_some(now);
        };
        if self.plan_is_short(settings, now) {
            return Some(now);
        }
        if let Some(at) = plan.waits_for_a_key(now) {
            return Some(at);
        }
        let grows = plan.planned_to.filter(|to| self.plan_may_grow(settings, *to)).map(|to| to - LOOKAHEAD);
        let next = match plan {
            Plan { begun: true, .. } => grows,
            Plan { sent: false, .. } => self.listener.rests_from(),
            _ if now < plan.grows_at() => Some(plan.grows_at()),
            _ => Some(grows.map_or(plan.begins, |grows| grows.min(plan.begins))),
        };
        next.into_iter().chain(self.plan_ends_at(settings)).min()
    }

    /// An answer whose first note is due has begun.
    fn begin_if_due(&mut self, at: SessionTime, act: &mut impl FnMut(Action)) {
        if let Some(plan) = self.plan.as_mut().filter(|plan| plan.sent && !plan.begun && plan.begins <= at) {
            plan.begun = true;
            self.turn = Turn::Ai;
            self.heard_since_answer = false;
            self.handed_over = false;
            act(Action::Turn { at: plan.begins, turn: Turn::Ai });
        }
    }
}

#[cfg(test)]
mod tests;
