//! Whose turn it is, and when it passes: the musical moment at which an answer begins.

use super::plan::Plan;
use super::{Action, Conductor, Stage};
use crate::settings::{Mode, Settings};
use crate::time::{SessionDuration, SessionTime};

/// Between the last key going up and an answer's first note, however late the key went up: what a player needs to
/// move to another key.
const BREATH: SessionDuration = SessionDuration::from_millis(120);

/// Whose turn it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// The human plays or may play.
    Human,
    /// Antiphon answers.
    Ai,
    /// Both play.
    Both,
}

impl Turn {
    /// As programs read it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Human => "human",
            Self::Ai => "ai",
            Self::Both => "both",
        }
    }
}

/// When an answer begins if the human does nothing more and no MIDI clock has a say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Handover {
    pub at: SessionTime,
    /// Whether the human already rests; while they hold keys the moment is a guess.
    pub certain: bool,
}

impl Conductor {
    /// Whether there is to be an answer, now or later, if the human does nothing more.
    pub(super) fn wants_plan(&self, settings: &Settings) -> bool {
        match settings.mode {
            Mode::Listen => false,
            Mode::Solo => !self.held_back,
            Mode::Respond | Mode::Accompany => self.heard_since_answer || self.handed_over,
        }
    }

    /// Begins a plan, without notes as yet, where there is to be one.
    pub(super) fn open_plan<M>(&mut self, stage: &Stage<'_, M>, now: SessionTime, act: &mut impl FnMut(Action)) {
        if !self.wants_plan(stage.settings) {
            return;
        }
        let soonest = now + stage.lead;
        let handover = match stage.settings.mode {
            _ if self.handed_over => Handover { at: soonest, certain: true },
            Mode::Accompany => Handover { at: soonest, certain: true },
            Mode::Solo if !self.heard_since_answer => {
                let rest = self.ended.map_or(soonest, |ended| ended + stage.settings.patience_floor);
                Handover { at: rest, certain: true }
            }
            _ => self.handover(stage.settings, now),
        };
        self.number_plan(stage, act);
        let mut plan = Plan::new(stage.entry(handover.at, soonest), handover.at, handover.certain);
        if stage.settings.mode == Mode::Accompany {
            plan.begun = true;
            self.turn = Turn::Both;
            self.heard_since_answer = false;
            self.handed_over = false;
            act(Action::Turn { at: now, turn: Turn::Both });
        }
        self.plan = Some(plan);
    }

    /// The moment at which the model expects the human's next note, given that they have been silent for the patience
    /// that was set, and that it has not come while they held keys or pedal.
    fn handover(&mut self, settings: &Settings, now: SessionTime) -> Handover {
        let Some(last) = self.continuation.last_onset() else { return Handover { at: now, certain: true } };
        let expected = self.continuation.expected_shift(SessionDuration::ZERO);
        let patience = times(expected, settings.patience)
            .max(settings.patience_floor)
            .min(settings.patience_ceiling.max(settings.patience_floor));
        let released = self.listener.rests_from().unwrap_or(last);
        let certain = released <= now;
        // If they let go now, it is their rest from now on.
        let released = if certain { released } else { now };
        let silent = patience.max(released.since(last));
        let at = last + self.continuation.expected_shift(silent);
        let latest = (last + settings.patience_ceiling).max(released + settings.patience_floor);
        Handover { at: at.min(latest).max(released + BREATH).max(last + patience), certain }
    }
}

/// `span`, `factor` times.
fn times(span: SessionDuration, factor: f32) -> SessionDuration {
    SessionDuration::from_seconds(span.as_seconds() * f64::from(factor))
}
