//! A session under virtual time: the offline twin of the live session.
//!
//! The same ensemble and player, driven from a list of messages as fast as the model allows. The same input, seed
//! and model give the same session to the microsecond.

use crate::conductor::Action;
use crate::ensemble::Ensemble;
use crate::midi::TimedMessage;
use crate::model::{ModelError, NoteModel};
use crate::player::{Player, PlayerCommand};
use crate::take::Happening;
use crate::time::SessionTime;
use crate::transcript::Call;

/// Runs a session from its beginning to `until`, or until `stopped` says so, and gives the time to which it came. `input` is
/// in time order. At the end, what sounds is released.
///
/// # Errors
/// When the model's engine fails; what sounds has then been released.
pub fn run<M: NoteModel>(
    ensemble: &mut Ensemble<M>,
    input: &[TimedMessage],
    until: SessionTime,
    stopped: impl Fn() -> bool,
    tell: impl FnMut(Happening),
) -> Result<SessionTime, ModelError> {
    let mut room = Room::new(tell);
    let result = room.run(ensemble, input, until, stopped);
    let end = room.now;
    if result.is_ok() {
        ensemble.end(end);
    }
    room.close();
    result.map(|()| end)
}

/// A player under virtual time.
pub(crate) struct Room<T> {
    player: Player,
    now: SessionTime,
    tell: T,
}

impl<T: FnMut(Happening)> Room<T> {
    /// At the session's beginning; what happens goes to `tell`.
    pub(crate) fn new(tell: T) -> Self {
        Self { player: Player::default(), now: SessionTime::ZERO, tell }
    }

    /// The time now.
    pub(crate) fn now(&self) -> SessionTime {
        self.now
    }

    /// Lets time go on to `at`, unless it is later already, and plays what is due.
    pub(crate) fn wait_until(&mut self, at: SessionTime) {
        self.now = self.now.max(at);
        let tell = &mut self.tell;
        self.player.play(self.now, |time, message| tell(Happening::Ai(TimedMessage { time, message })));
    }

    /// Does a call at once, and what the ensemble wants done.
    pub(crate) fn perform<M: NoteModel>(&mut self, ensemble: &mut Ensemble<M>, call: Call) -> Result<(), ModelError> {
        let heard = if let Call::Hear(timed) = &call { Some(*timed) } else { None };
        if let Some(heard) = heard.filter(|heard| heard.message.moves_a_key()) {
            self.act(Action::Tell(PlayerCommand::Human(heard)));
        }
        ensemble.perform(call, |action| self.act(action))?;
        heard.into_iter().for_each(|heard| (self.tell)(Happening::Human(heard)));
        Ok(())
    }

    /// Releases what sounds.
    pub(crate) fn close(mut self) {
        let tell = &mut self.tell;
        self.player.release(self.now, |time, message| tell(Happening::Ai(TimedMessage { time, message })));
    }

    fn act(&mut self, action: Action) {
        let tell = &mut self.tell;
        match action {
            Action::Tell(command) => {
                let send = |time, message| tell(Happening::Ai(TimedMessage { time, message }));
                self.player.command(command, self.now, send);
            }
            Action::Turn { at, turn } => tell(Happening::Turn { at, turn }),
            // Planning takes no virtual time, and nobody watches.
            Action::Late | Action::Model { .. } | Action::Planned(_) | Action::Forgotten { .. } => {}
        }
    }

    fn run<M: NoteModel>(
        &mut self,
        ensemble: &mut Ensemble<M>,
        mut input: &[TimedMessage],
        until: SessionTime,
        stopped: impl Fn() -> bool,
    ) -> Result<(), ModelError> {
        while !stopped() {
            let next = input.first().map(|next| next.time);
            let next = next.into_iter().chain(ensemble.next_wake(self.now)).chain(self.player.next_due()).min();
            match next {
                Some(next) if next <= until => self.wait_until(next),
                _ => {
                    self.now = until;
                    return Ok(());
                }
            }
            if let Some((heard, later)) = input.split_first().filter(|(heard, _)| heard.time <= self.now) {
                input = later;
                self.perform(ensemble, Call::Hear(*heard))?;
            } else if ensemble.next_wake(self.now).is_some_and(|wake| wake <= self.now) {
                self.perform(ensemble, Call::Wake(self.now))?;
            }
        }
        Ok(())
    }
}
