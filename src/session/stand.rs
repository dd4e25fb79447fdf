//! The conductor's thread: waits for what comes in, and does it in the order of its coming.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use crossbeam_channel::{Receiver, RecvTimeoutError};

use super::desk::Desk;
use crate::conductor::Action;
use crate::control::{Control, ControlMap};
use crate::ensemble::Ensemble;
use crate::fault;
use crate::figures::{Progress, Woken};
use crate::life::BEAT_EVERY;
use crate::midi::TimedMessage;
use crate::model::{ModelError, NoteModel};
use crate::playback::Deck;
use crate::player::PlayerCommand;
use crate::ports::{self, Cue, Routing};
use crate::settings::Mode;
use crate::shelf::{Shelf, Wish};
use crate::sight::Sight;
use crate::take::Happening;
use crate::time::{Clock, SessionDuration, SessionTime};

/// How soon it is tried again to tell the player what it must know and had no place for.
const UNSENT_AGAIN: SessionDuration = SessionDuration::from_millis(1);

/// Where others wait while it works it rests for so many times less than it worked: they record, look after the ports and
/// serve the page.
const LEAVES_ONE_IN: u64 = 4;

/// It rests no longer than this at a time.
const LONGEST_REST: SessionDuration = SessionDuration::from_millis(50);

/// Everything that the conductor's thread may touch.
pub(super) struct Stand<M> {
    pub(super) clock: Clock,
    pub(super) ensemble: Ensemble<M>,
    pub(super) heard: Receiver<Cue>,
    pub(super) controls: ControlMap,
    pub(super) shelf: Shelf<M>,
    pub(super) deck: Deck,
    /// Least time between handing something to the player and its leaving.
    pub(super) lead: SessionDuration,
    /// When the player is offered again what it had no place for.
    pub(super) retry_at: SessionTime,
    pub(super) routing: Arc<Routing>,
    pub(super) desk: Desk,
    pub(super) progress: Progress,
}

/// Time that the conductor leaves to those who cannot work while it does.
struct Rest {
    others_wait: bool,
    /// Nothing is planned before. What the human does is heard.
    until: SessionTime,
}

impl Rest {
    fn after(&mut self, begun: SessionTime, done: SessionTime) {
        if self.others_wait {
            let worked = done.since(begun).as_micros();
            self.until = done + SessionDuration::from_micros(worked / LEAVES_ONE_IN).min(LONGEST_REST);
        }
    }
}

impl<M: NoteModel + 'static> Stand<M> {
    /// Runs until it is told to stop.
    pub(super) fn run(mut self) -> Result<(), ModelError> {
        let others_wait = ports::raise_conductor();
        let result = self.play(others_wait);
        if result.is_err() {
            self.desk.status.failed.store(true, Relaxed);
        }
        result
    }

    fn hear(&mut self, timed: TimedMessage) -> Result<(), ModelError> {
        if timed.message.takes_the_turn() {
            // The player knew before.
            self.take_off(timed.time);
        }
        if timed.message.moves_a_key() {
            self.progress.heard(timed.time, timed.message.is_note_on());
        }
        if self.ensemble.settings().mode == Mode::Listen {
            self.progress.plans_nothing();
        }
        self.ensemble.hear(timed.time, timed.message, |action| self.desk.act(action))?;
        self.desk.status.unheard.store(self.ensemble.unheard(), Relaxed);
        self.desk.record(Happening::Human(timed));
        if timed.message.channel().is_some() {
            self.desk.show(Sight::Human(timed));
        }
        Ok(())
    }

    /// A controller has moved: it asks for something, or is the one that was waited for.
    fn turn(&mut self, timed: TimedMessage) {
        self.desk.status.control.fetch_add(1, Relaxed);
        if let Some(controllers) = self.controls.hear(timed.message) {
            self.desk.show(Sight::Controllers(controllers));
            return;
        }
        for control in self.controls.ask(timed.message, self.ensemble.settings()) {
            self.obey(timed.time, control);
        }
    }

    fn obey(&mut self, at: SessionTime, control: Control) {
        match self.controls.obey(&control) {
            Some(Ok(controllers)) => return self.desk.show(Sight::Controllers(controllers)),
            Some(Err(refused)) => return self.desk.show(Sight::Trouble(refused.to_string())),
            None => {}
        }
        let ends_a_take = matches!(control, Control::HandOver | Control::TakeBack | Control::Panic | Control::StopTake);
        if ends_a_take && self.take_off(at) && control == Control::StopTake {
            self.play_on(at);
        }
        let done = self.ensemble.control(at, control.clone(), |action| self.desk.act(action));
        if let Err(refused) = done {
            return self.desk.show(Sight::Trouble(refused.to_string()));
        }
        self.routing.follow(self.ensemble.settings());
        match &control {
            Control::Model(number) => self.shelf.load(Wish::Number(*number)),
            Control::ModelNamed(name) => self.shelf.load(Wish::Named(Arc::clone(name))),
            Control::PlayTake(name) => self.read_take(name.clone()),
            Control::SplitTake => self.desk.record(Happening::Split { at }),
            _ => {}
        }
        self.desk.show(Sight::Control { at, control });
    }

    fn play(&mut self, others_wait: bool) -> Result<(), ModelError> {
        let mut rest = Rest { others_wait, until: SessionTime::ZERO };
        loop {
            self.mend()?;
            let now = self.clock.now();
            self.desk.status.life.conductor.beat();
            // What the player has not been told yet does not wait.
            let rested = if self.desk.unsent.is_empty() { now.max(rest.until) } else { now };
            let wake = self.next_wake(now).map(|wake| self.clock.instant(wake.max(rested)));
            let beat = self.clock.instant(now) + BEAT_EVERY;
            // What the human does comes before any planning.
            let heard = self.heard.recv_deadline(wake.map_or(beat, |wake| wake.min(beat)));
            self.desk.status.figures.input_queue.saw(self.heard.len());
            fault::point("conductor");
            match heard {
                Ok(cue) => {
                    if !self.take(cue)? {
                        return Ok(());
                    }
                }
                // It woke to show that it is alive.
                Err(RecvTimeoutError::Timeout) if wake.is_none_or(|wake| wake > beat) => {}
                Err(RecvTimeoutError::Timeout) => {
                    let begun = self.clock.now();
                    self.on_time()?;
                    rest.after(begun, self.clock.now());
                }
                Err(RecvTimeoutError::Disconnected) => return self.take(Cue::Stop).map(drop),
            }
        }
    }

    /// When [`Stand::on_time`] is to be called, if nothing comes in before.
    pub(super) fn next_wake(&mut self, now: SessionTime) -> Option<SessionTime> {
        let next = match self.deck.reel() {
            // Nothing is planned while a take is played back.
            Some(reel) => Some(reel.next_wake().max(self.retry_at)),
            None => self.ensemble.next_wake(now),
        };
        let unsent = (!self.desk.unsent.is_empty()).then_some(now + UNSENT_AGAIN);
        next.into_iter().chain(unsent).min()
    }

    /// Where a queue was full: looks, once all is heard that was in it, whether keys or pedals went up meanwhile.
    pub(super) fn mend(&mut self) -> Result<(), ModelError> {
        if !self.heard.is_empty() || !self.routing.hands.conductor_missed() {
            return Ok(());
        }
        let now = self.clock.now();
        let mut gone = Vec::new();
        self.ensemble.held(|message| {
            if !self.routing.hands.holds(message) {
                gone.push(message);
            }
        });
        self.desk.status.mended.fetch_add(gone.len() as u64, Relaxed);
        gone.into_iter().try_for_each(|message| self.hear(TimedMessage { time: now, message }))
    }

    pub(super) fn on_time(&mut self) -> Result<(), ModelError> {
        self.desk.send_unsent();
        if self.deck.reel().is_some() {
            self.wind();
            return Ok(());
        }
        self.wake()
    }

    /// Does what has come in; false when the session ends.
    pub(super) fn take(&mut self, cue: Cue) -> Result<bool, ModelError> {
        match cue {
            Cue::Human(timed) => self.hear(timed)?,
            Cue::File(timed) => {
                self.desk.tell(PlayerCommand::Human(timed));
                self.hear(timed)?;
            }
            Cue::Knob(timed) => self.turn(timed),
            Cue::Control { at, control } => self.obey(at, control),
            Cue::Controllers(layers) => {
                let controllers = self.controls.replace(layers);
                self.desk.show(Sight::Controllers(controllers));
            }
            Cue::MoreControllers(layer) => {
                let controllers = self.controls.put_behind(layer);
                self.desk.show(Sight::Controllers(controllers));
            }
            Cue::Lead(lead) => self.ensemble.lead_by(lead),
            Cue::ModelLoaded => match self.shelf.loaded() {
                Some(Ok(model)) => self.offer(model),
                Some(Err(why)) => self.desk.show(Sight::Trouble(format!("{why}; the model that plays goes on"))),
                None => {}
            },
            Cue::TakeRead => self.put_on()?,
            Cue::Stop => {
                self.ensemble.end(self.clock.now());
                return Ok(false);
            }
        }
        Ok(true)
    }

    pub(super) fn offer(&mut self, model: M) {
        self.desk.offered = Some((model.origin().name.clone(), model.styles().to_vec()));
        self.ensemble.offer_model(model);
    }

    fn wake(&mut self) -> Result<(), ModelError> {
        let from = self.clock.now();
        let mut planned = false;
        self.ensemble.wake(from, |action| {
            planned |= matches!(action, Action::Planned(_));
            self.desk.act(action);
        })?;
        let (settled, ready) = (self.ensemble.is_settled(), self.ensemble.is_ready());
        let woken = Woken { from, to: self.clock.now(), planned, settled, ready };
        self.progress.woke(woken, &self.desk.status.figures);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn on_one_processor_a_long_plan_leaves_time_to_record() {
        let begun = SessionTime::from_micros(1_000);
        let rests = |others_wait, worked_ms| {
            let mut rest = Rest { others_wait, until: SessionTime::ZERO };
            let done = begun + SessionDuration::from_millis(worked_ms);
            rest.after(begun, done);
            rest.until.since(done)
        };
        assert_eq!(rests(true, 40), SessionDuration::from_millis(10));
        assert_eq!(rests(true, 4_000), LONGEST_REST);
        assert_eq!(rests(false, 40), SessionDuration::ZERO, "others have processors of their own");
    }
}
