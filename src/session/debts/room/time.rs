//! How time goes on in the room: whoever has something to do now does it, then the clock is put to the next such moment.

use super::{Room, us};
use crate::model::ModelError;
use crate::session::debts::script::SOURCES;
use crate::session::debts::wild::Wild;
use crate::session::stand::Stand;
use crate::settings::Feedback;
use crate::time::{SessionDuration, SessionTime};

/// Steps at one moment, beyond which nobody believes that it comes to an end.
const STEPS: usize = 2_000_000;

impl Room {
    /// Lets time go on.
    pub fn wait(&mut self, length: SessionDuration) -> Result<(), String> {
        let until = self.now() + length;
        loop {
            self.settle()?;
            let now = self.now();
            if now >= until {
                return Ok(());
            }
            let mut next = until;
            if self.stalled[0] <= now {
                let stand = self.stand.as_mut().expect("it plays");
                next = stand.next_wake(now).map_or(next, |wake| next.min(wake));
            }
            if self.stalled[1] <= now {
                let player = self.player.as_ref().expect("it plays");
                next = player.next_wake().map_or(next, |wake| next.min(wake));
            }
            for stalled in self.stalled.into_iter().filter(|stalled| *stalled > now) {
                next = next.min(stalled);
            }
            if let Some((due, _)) = self.on_the_way.front() {
                next = next.min(*due);
            }
            if self.clock_every > 0 {
                next = next.min(self.next_clock);
            }
            self.clock.set(next.max(now + us(1)));
        }
    }

    /// Does all that is due now.
    pub fn settle(&mut self) -> Result<(), String> {
        for _ in 0..STEPS {
            self.run_player()?;
            let now = self.now();
            let mut moved = self.lead_back(now);
            if self.clock_every > 0 && self.next_clock <= now {
                self.next_clock += us(self.clock_every);
                self.sources[0].hear(&[0xf8]);
                moved = true;
            }
            if self.stalled[0] <= now {
                let stand = self.stand.as_mut().expect("it plays");
                moved |= step(stand, now).map_err(|why| why.to_string())?;
            }
            self.look()?;
            if !moved {
                return self.run_player();
            }
        }
        Err("it never comes to rest".into())
    }

    pub fn run_player(&mut self) -> Result<(), String> {
        if self.stalled[1] <= self.now() && !self.player.as_mut().expect("it plays").run() {
            return Err("the player has ended by itself".into());
        }
        Ok(())
    }

    /// What left comes back, if there is a loop.
    fn lead_back(&mut self, now: SessionTime) -> bool {
        for (number, port) in self.ports.iter().enumerate() {
            let came = std::mem::take(&mut port.synth.state().came);
            if number == 0 && self.loop_delay > 0 {
                let due = now + us(self.loop_delay);
                self.on_the_way.extend(came.into_iter().map(|message| (due, message)));
            }
        }
        let settings = self.stand.as_ref().map(|stand| *stand.ensemble.settings()).unwrap_or_default();
        // Who wants to hear what they pass on in a circle gets what they asked for.
        if self.thru && settings.feedback == Feedback::Hear && self.loop_delay > 0 {
            self.lead_back_after(0);
        }
        let mut moved = false;
        while let Some((_, message)) = self.on_the_way.pop_front_if(|(due, _)| *due <= now) {
            self.sources[SOURCES].hear(message.as_bytes());
            moved = true;
        }
        moved
    }

    /// The cable that leads back is pulled, with all that is on it, or is another from now on.
    pub fn lead_back_after(&mut self, delay: u64) {
        self.sources[SOURCES].go();
        self.on_the_way.clear();
        self.loop_delay = delay;
    }

    pub fn is_stalled(&self) -> bool {
        self.stalled.iter().any(|until| *until > self.now())
    }
}

/// What the conductor's thread does next; false when there is nothing to do now.
pub(super) fn step(stand: &mut Stand<Wild>, now: SessionTime) -> Result<bool, ModelError> {
    if let Ok(cue) = stand.heard.try_recv() {
        return stand.take(cue);
    }
    stand.mend()?;
    if stand.next_wake(now).is_some_and(|wake| wake <= now) {
        stand.on_time()?;
        return Ok(true);
    }
    Ok(false)
}
