//! What the conductor's thread does about takes that are played back.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use super::stand::Stand;
use crate::control::Control;
use crate::model::{ModelError, NoteModel};
use crate::player::PlayerCommand;
use crate::settings::Mode;
use crate::sight::Sight;
use crate::time::{SessionDuration, SessionTime};

/// From a take's being read to its first note: an answer that ended for it has died away, and a key that is on its way
/// forbids it.
const BEGINS_AFTER: SessionDuration = SessionDuration::from_millis(100);

/// How soon a message is offered again for which the player had no place.
const OFFERED_AGAIN: SessionDuration = SessionDuration::from_millis(10);

impl<M: NoteModel + 'static> Stand<M> {
    /// Has a take read. Until then all goes on.
    pub(super) fn read_take(&mut self, name: Option<Arc<str>>) {
        if let Err(why) = self.deck.read(name) {
            self.desk.show(Sight::Trouble(format!("no thread could be started to read the take: {why}")));
        }
    }

    /// A take has been read: it takes the turn and begins, unless the human has played meanwhile.
    pub(super) fn put_on(&mut self) -> Result<(), ModelError> {
        let recording = match self.deck.take_read() {
            None => return Ok(()),
            Some(Err(why)) => {
                self.desk.show(Sight::Trouble(why));
                return Ok(());
            }
            Some(Ok(recording)) => recording,
        };
        let now = self.clock.now();
        self.take_off(now);
        self.ensemble.control(now, Control::TakeBack, |action| self.desk.act(action))?;
        match self.deck.put_on(recording, now + self.lead + BEGINS_AFTER) {
            Err(why) => self.desk.show(Sight::Trouble(why)),
            Ok(reel) => {
                self.desk.status.replaying.store(true, Relaxed);
                self.desk.show(Sight::Playback { at: now, playing: Some(reel.playing().clone()) });
            }
        }
        Ok(())
    }

    /// Hands the player what is due soon, and ends what is over.
    pub(super) fn wind(&mut self) {
        let now = self.clock.now();
        let number = self.deck.number();
        let Some(reel) = self.deck.reel() else { return };
        while let Some(timed) = reel.next(now) {
            if !self.desk.offer(PlayerCommand::Replay { reel: number, timed }) {
                self.retry_at = now + OFFERED_AGAIN;
                return;
            }
            reel.sent();
            if timed.message.moves_a_key() {
                self.desk.show(Sight::Replayed(timed));
            }
        }
        if reel.is_over(now) {
            self.take_off(now);
            self.play_on(now);
        }
    }

    /// A take that took the turn from an answer which nobody had to ask for gives it back.
    pub(super) fn play_on(&mut self, at: SessionTime) {
        if self.ensemble.settings().mode == Mode::Solo {
            // It knows no style that is unknown: nothing can be refused.
            let _ = self.ensemble.control(at, Control::HandOver, |action| self.desk.act(action));
        }
    }

    /// Ends what is played back, if something is; whether something was.
    pub(super) fn take_off(&mut self, at: SessionTime) -> bool {
        let played = self.deck.take_off();
        if played {
            self.desk.tell(PlayerCommand::EndReplay { reel: self.deck.number() });
            self.desk.status.replaying.store(false, Relaxed);
            self.desk.show(Sight::Playback { at, playing: None });
        }
        played
    }
}
