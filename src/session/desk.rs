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
    /// What the player must know and its queue had no place for.
    pub unsent: Unsent,
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
        self.send_unsent();
        if self.unsent.is_empty() && self.player.send(command) {
            return;
        }
        if !self.unsent.keep(command) {
            self.status.plan_dropped.fetch_add(1, Relaxed);
        }
    }

    /// Tries again to tell the player what it must know.
    pub fn send_unsent(&mut self) {
        let Self { unsent, player, .. } = self;
        unsent.send(|command| player.send(command));
    }

    /// Hands a command to the player if it has a place for it now; else it is to be offered again.
    pub fn offer(&mut self, command: PlayerCommand) -> bool {
        self.send_unsent();
        self.unsent.is_empty() && self.player.send(command)
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

/// What the player must know and could not be told, in the order in which it is told then: of each kind, and of each
/// channel, only what is left to say.
pub(super) struct Unsent {
    waiting: [Option<PlayerCommand>; PLACES],
    count: usize,
}

/// One place for each of three kinds, and three for each channel.
const PLACES: usize = 3 + 3 * 16;

impl Default for Unsent {
    fn default() -> Self {
        Self { waiting: [None; PLACES], count: 0 }
    }
}

impl Unsent {
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Keeps this; false when it is none that must be known.
    fn keep(&mut self, command: PlayerCommand) -> bool {
        let of = |kind: usize, channel: u8| 3 + 16 * kind + usize::from(channel & 15);
        let place = match command {
            PlayerCommand::EndReplay { .. } => 0,
            PlayerCommand::Panic => 1,
            PlayerCommand::Manners(_) => 2,
            PlayerCommand::Cancel { channel, .. } => of(0, channel),
            PlayerCommand::Revise { channel, .. } => of(1, channel),
            PlayerCommand::Answer { channel, .. } => of(2, channel),
            PlayerCommand::Play(_) | PlayerCommand::Human(_) | PlayerCommand::Replay { .. } => return false,
        };
        let waiting = &mut self.waiting[place];
        self.count += usize::from(waiting.is_none());
        *waiting = Some(match (*waiting, command) {
            // Notes up to the earlier of two moments stay.
            (Some(PlayerCommand::Revise { after: before, .. }), PlayerCommand::Revise { channel, after }) => {
                PlayerCommand::Revise { channel, after: before.min(after) }
            }
            _ => command,
        });
        true
    }

    fn send(&mut self, mut send: impl FnMut(PlayerCommand) -> bool) {
        if self.count == 0 {
            return;
        }
        for waiting in &mut self.waiting {
            if let Some(command) = waiting.take() {
                if !send(command) {
                    *waiting = Some(command);
                    return;
                }
                self.count -= 1;
            }
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
