//! Between the conductor and the rest: passes on what it wants done, and shows it to whoever watches.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::thread;

use crossbeam_channel::Sender;

use crate::conductor::Action;
use crate::player::PlayerCommand;
use crate::ports::PlayerLink;
use crate::sight::Sight;
use crate::status::Status;
use crate::take::Happening;
use crate::time::Clock;

/// Passes on what the conductor wants done.
pub(super) struct Desk {
    pub clock: Clock,
    pub player: PlayerLink,
    /// A cancellation for which the player's queue had no place.
    pub unsent: Option<PlayerCommand>,
    /// Name and styles of the model that waits to take over.
    pub offered: Option<(String, Vec<String>)>,
    pub record: Sender<Happening>,
    pub watchers: Sender<Sight>,
    pub status: Arc<Status>,
}

impl Desk {
    pub fn act(&mut self, action: Action) {
        match action {
            Action::Tell(command) => self.tell(command),
            Action::Turn { at, turn } => {
                self.status.set_turn(turn);
                self.record(Happening::Turn { at, turn });
                self.show(Sight::Turn { at, turn });
            }
            Action::Model { at, style } => {
                if let Some((name, styles)) = self.offered.take() {
                    self.show(Sight::Model { at, name, styles, style });
                }
            }
            Action::Planned(planned) => self.show(Sight::Planned { at: self.clock.now(), planned }),
            Action::Forgotten { channel, after } => {
                self.show(Sight::Forgotten { at: self.clock.now(), channel, after });
            }
            Action::Late => {
                self.status.late.fetch_add(1, Relaxed);
            }
        }
    }

    /// Hands a command to the player. A cancellation is never lost: it goes before the next command that has a place.
    pub fn tell(&mut self, command: PlayerCommand) {
        self.unsent.take_if(|cancel| self.player.send(*cancel));
        if self.unsent.is_none() && self.player.send(command) {
            return;
        }
        match command {
            PlayerCommand::Cancel { .. } | PlayerCommand::Panic | PlayerCommand::EndReplay { .. } => {
                self.unsent = Some(command);
            }
            _ => {
                self.status.plan_dropped.fetch_add(1, Relaxed);
            }
        }
    }

    /// Hands a command to the player if it has a place for it now; else it is to be offered again.
    pub fn offer(&mut self, command: PlayerCommand) -> bool {
        self.unsent.take_if(|cancel| self.player.send(*cancel));
        self.unsent.is_none() && self.player.send(command)
    }

    /// Policy when full: nobody looks, so the newest is dropped; whoever begins to look sees what comes then.
    pub fn show(&self, sight: Sight) {
        let _ = self.watchers.try_send(sight);
    }

    pub fn record(&self, happening: Happening) {
        if self.record.try_send(happening).is_err() {
            self.status.record_dropped.fetch_add(1, Relaxed);
        }
    }
}

impl Drop for Desk {
    /// A session whose conductor has panicked is over.
    fn drop(&mut self) {
        if thread::panicking() {
            self.status.failed.store(true, Relaxed);
        }
    }
}
