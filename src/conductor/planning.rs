//! Making the plan, handing it to the player, and undoing it.

use super::{Action, Conductor, LOOKAHEAD, Stage, Turn};
use crate::beat::Entry;
use crate::continuation::Window;
use crate::model::{ModelError, NoteModel};
use crate::note::Note;
use crate::player::{PlannedNote, PlayerCommand};
use crate::settings::{Mode, Settings};
use crate::time::{SessionDuration, SessionTime};

/// Later notes of an answer follow within this: the longest rest inside a phrase.
const LONGEST_REST: SessionDuration = SessionDuration::from_millis(4_000);

/// How soon a note is tried again when no key was free.
const NO_KEY_REST: SessionDuration = SessionDuration::from_millis(100);

impl Conductor {
    /// When an answer of limited length is over.
    pub(super) fn plan_ends_at(&self, settings: &Settings) -> Option<SessionTime> {
        let plan = self.plan.as_ref().filter(|plan| plan.begun)?;
        let limit = settings.longest_answer.map(|longest| plan.begins + longest);
        let left_alone = (settings.mode == Mode::Accompany)
            .then(|| self.listener.rests_from().map(|rest| rest + settings.patience_ceiling))
            .flatten();
        limit.into_iter().chain(left_alone).min()
    }

    pub(super) fn plan_may_grow(&self, settings: &Settings, planned_to: SessionTime) -> bool {
        self.plan_ends_at(settings).is_none_or(|end| planned_to < end)
    }

    pub(super) fn plan_is_short(&self, settings: &Settings, now: SessionTime) -> bool {
        let Some(plan) = &self.plan else { return false };
        if plan.waits_for_a_key(now).is_some() {
            return false;
        }
        match plan.planned_to {
            None => true,
            Some(_) if !plan.begun && (!plan.sent || now < plan.grows_at()) => !plan.has_a_beginning(),
            Some(to) => to <= now + LOOKAHEAD && self.plan_may_grow(settings, to),
        }
    }

    pub(super) fn plan_one<M: NoteModel>(
        &mut self,
        stage: &mut Stage<'_, M>,
        now: SessionTime,
        act: &mut impl FnMut(Action),
    ) -> Result<(), ModelError> {
        let Some(plan) = &mut self.plan else { return Ok(()) };
        let soonest = now + stage.lead;
        let taken = self.listener.keys_down();
        let window = match plan.planned_to {
            None if !plan.begun => {
                if plan.begins < soonest {
                    plan.begins = stage.entry(plan.due, soonest);
                }
                Window { from: plan.begins, to: plan.begins }
            }
            last => {
                // A plan that has fallen behind the clock starts again from the clock, where one runs on its next
                // beat: later, but never in a burst.
                let late = last.is_some_and(|last| plan.begun && last < now);
                if late {
                    act(Action::Late);
                }
                let from = last.unwrap_or(soonest).max(soonest);
                let from = stage.grid.filter(|_| late).map_or(from, |grid| grid.next(from, Entry::Beat));
                Window { from, to: from + LONGEST_REST }
            }
        };
        let chooser = self.continuation.chooser();
        chooser.sampler.sampling = stage.settings.sampling;
        chooser.limits = stage.settings.limits;
        chooser.guard.strength = stage.settings.repetition_guard;
        self.continuation.set_memory(stage.settings.memory);
        let note = self.continuation.next_note_beside(taken, stage.model, window)?;
        let ends = self.plan_ends_at(stage.settings);
        let Some(plan) = &mut self.plan else { return Ok(()) };
        let Some(note) = note else {
            // No key is free: it is tried again after a rest.
            match plan.planned_to {
                None if !plan.begun => {
                    plan.begins = window.from + NO_KEY_REST;
                    plan.again_at = Some(now + NO_KEY_REST);
                }
                Some(_) if !plan.begun => plan.again_at = Some(now + NO_KEY_REST),
                _ => plan.planned_to = Some(window.from + NO_KEY_REST),
            }
            return Ok(());
        };
        let note = Note { onset: stage.snap(note.onset, window.from), ..note };
        self.continuation.move_last(note.onset);
        if plan.notes.is_empty() && !plan.begun {
            // The limits may have put it off.
            plan.begins = note.onset;
        }
        plan.planned_to = Some(note.onset);
        if ends.is_none_or(|end| note.onset < end) {
            // The model is told the velocity that it chose, the port the one on the curve.
            let note = Note { velocity: stage.settings.limits.sent_velocity(note.velocity), ..note };
            act(Action::Planned(PlannedNote { epoch: self.epoch, channel: self.channel, note }));
            if !plan.begun {
                plan.notes.push(note);
            }
            if plan.sent {
                self.send(note, act);
            }
        }
        Ok(())
    }

    /// Gives the plan a new number, and tells the player what it was thought of.
    pub(super) fn number_plan<M>(&mut self, stage: &Stage<'_, M>, act: &mut impl FnMut(Action)) {
        self.epoch += 1;
        act(Action::Tell(PlayerCommand::Answer { channel: self.channel, epoch: self.epoch, heard: stage.struck }));
    }

    pub(super) fn send(&mut self, note: Note, act: &mut impl FnMut(Action)) {
        self.sounds_until = self.sounds_until.max(note.end());
        act(Action::Tell(PlayerCommand::Play(PlannedNote { epoch: self.epoch, channel: self.channel, note })));
    }

    /// Hands the plan's notes to the player.
    pub(super) fn send_plan(&mut self, act: &mut impl FnMut(Action)) {
        let Some(plan) = &mut self.plan else { return };
        plan.sent = true;
        for index in 0..plan.notes.len() {
            let note = self.plan.as_ref().map(|plan| plan.notes[index]);
            note.into_iter().for_each(|note| self.send(note, act));
        }
    }

    /// What is planned after `from` is planned anew; the answer goes on.
    pub(super) fn weave(&mut self, from: SessionTime, act: &mut impl FnMut(Action)) {
        if let Some(plan) = &mut self.plan {
            plan.planned_to = None;
        }
        self.continuation.forget_planned(from);
        act(Action::Tell(PlayerCommand::Revise { channel: self.channel, after: from }));
        act(Action::Forgotten { channel: self.channel, after: from });
    }

    /// Forgets a plan that has not begun.
    pub(super) fn discard(&mut self, act: &mut impl FnMut(Action)) {
        let Some(plan) = self.plan.take() else { return };
        if plan.sent {
            act(Action::Tell(PlayerCommand::Cancel { channel: self.channel, epoch: self.epoch }));
            self.sounds_until = SessionTime::ZERO;
        }
        self.continuation.forget_planned(just_before(plan.begins));
        act(Action::Forgotten { channel: self.channel, after: SessionTime::ZERO });
    }

    /// Ends what plays and what is planned at `at`.
    pub(super) fn cut_off(&mut self, at: SessionTime, act: &mut impl FnMut(Action)) {
        act(Action::Tell(PlayerCommand::Cancel { channel: self.channel, epoch: self.epoch }));
        self.continuation.cut_off(at);
        self.sounds_until = at;
        self.close_plan(at, act);
    }

    /// An answer has come to its own end: what sounds may sound on.
    pub(super) fn end_answer(&mut self, at: SessionTime, act: &mut impl FnMut(Action)) {
        if self.turn == Turn::Both {
            // What the human played meanwhile has been answered.
            self.heard_since_answer = false;
        }
        self.continuation.forget_planned(at);
        self.ended = Some(at);
        self.close_plan(at, act);
    }

    pub(super) fn close_plan(&mut self, at: SessionTime, act: &mut impl FnMut(Action)) {
        if self.plan.take().is_some() {
            act(Action::Forgotten { channel: self.channel, after: at });
        }
        if self.turn != Turn::Human {
            self.turn = Turn::Human;
            act(Action::Turn { at, turn: Turn::Human });
        }
    }

    /// Moves an answer that has not begun, its notes as they are, and hands it to the player if it is `send`.
    pub(super) fn move_plan<M>(
        &mut self,
        stage: &Stage<'_, M>,
        begins: SessionTime,
        send: bool,
        act: &mut impl FnMut(Action),
    ) {
        let Some(plan) = &mut self.plan else { return };
        let (planned_after, sent_before) = (just_before(plan.begins), plan.sent);
        plan.move_to(begins);
        self.continuation.move_planned(planned_after, plan.notes.iter().map(|note| note.onset));
        if sent_before {
            act(Action::Tell(PlayerCommand::Cancel { channel: self.channel, epoch: self.epoch }));
            self.number_plan(stage, act);
        }
        act(Action::Forgotten { channel: self.channel, after: planned_after });
        for note in self.plan.iter().flat_map(|plan| &plan.notes) {
            act(Action::Planned(PlannedNote { epoch: self.epoch, channel: self.channel, note: *note }));
        }
        if send {
            self.send_plan(act);
        }
    }
}

/// The moment before `time`, so that what begins at `time` is after it.
fn just_before(time: SessionTime) -> SessionTime {
    time - SessionDuration::from_micros(1)
}
