//! The player: planned notes in due order, and the debts that they leave.
//!
//! Every note-on that left owes a note-off. The player is the one owner of that ledger: whatever ends a note, it
//! ends here, and only keys that sound are released.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use crate::midi::ShortMessage;
use crate::note::Note;
use crate::time::SessionTime;

/// Most notes that may wait at once. A second of plan at 200 notes a second, well above what a piano plays.
pub const CAPACITY: usize = 1024;

/// A note that the conductor wants played.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlannedNote {
    /// The answer that it belongs to; an answer that was cut off never sounds again.
    pub epoch: u32,
    /// When and what.
    pub note: Note,
}

/// What the player is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlayerCommand {
    /// Play this when it is due.
    Play(PlannedNote),
    /// Drop what belongs to `epoch` and earlier, and release what sounds.
    Cancel {
        /// The last answer to be dropped.
        epoch: u32,
    },
    /// A human note went down: cut off the answer that plays.
    Interrupt,
}

/// Puts notes in due order and keeps the ledger of sounding keys.
///
/// Thread: player, or JACK's process callback. Realtime-safe: yes, all memory is taken in [`Player::new`].
pub struct Player {
    channel: u8,
    due: BinaryHeap<Due>,
    /// For each key, the serial number of the note that sounds on it.
    sounding: [Option<u64>; 128],
    next_serial: u64,
    /// The newest answer that was seen.
    newest_epoch: u32,
    /// Notes of this epoch and earlier are stale.
    stale_epoch: u32,
    refused: u64,
}

/// One edge of a note, waiting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Due {
    time: SessionTime,
    edge: Edge,
    serial: u64,
    key: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Edge {
    // Offs come first at the same time, so that a repeated key sounds anew.
    Off,
    On { epoch: u32, velocity: u8, end: SessionTime },
}

impl Ord for Due {
    /// Reversed, because the heap gives its greatest first and the earliest is wanted.
    fn cmp(&self, other: &Self) -> Ordering {
        (other.time, other.edge, other.key, other.serial).cmp(&(self.time, self.edge, self.key, self.serial))
    }
}

impl PartialOrd for Due {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Player {
    /// A player that sends on `channel`, in `0..16`.
    pub fn new(channel: u8) -> Self {
        Self {
            channel,
            // A note-on gives its place to its note-off when it is sent.
            due: BinaryHeap::with_capacity(CAPACITY),
            sounding: [None; 128],
            next_serial: 0,
            newest_epoch: 0,
            stale_epoch: 0,
            refused: 0,
        }
    }

    /// The channel that it sends on, in `0..16`.
    pub fn channel(&self) -> u8 {
        self.channel
    }

    /// Takes a command. What must leave at once goes to `send` with the time `now`.
    pub fn command(&mut self, command: PlayerCommand, now: SessionTime, send: impl FnMut(SessionTime, ShortMessage)) {
        match command {
            PlayerCommand::Play(planned) => self.plan(planned),
            PlayerCommand::Cancel { epoch } => {
                self.stale_epoch = self.stale_epoch.max(epoch);
                self.release(now, send);
            }
            PlayerCommand::Interrupt => {
                self.stale_epoch = self.newest_epoch;
                self.release(now, send);
            }
        }
    }

    fn plan(&mut self, planned: PlannedNote) {
        self.newest_epoch = self.newest_epoch.max(planned.epoch);
        if planned.epoch <= self.stale_epoch {
            return;
        }
        if self.due.len() == self.due.capacity() {
            // Policy when full: the new note is dropped whole, so that no note-off is ever without its place.
            self.refused += 1;
            return;
        }
        let Note { onset, key, velocity, .. } = planned.note;
        let edge = Edge::On { epoch: planned.epoch, velocity, end: planned.note.end() };
        self.due.push(Due { time: onset, edge, serial: self.next_serial, key: key & 127 });
        self.next_serial += 1;
    }

    /// When the next edge is due.
    pub fn next_due(&self) -> Option<SessionTime> {
        self.due.peek().map(|due| due.time)
    }

    /// Sends everything that is due up to and including `until`, in due order, each with its due time.
    pub fn play(&mut self, until: SessionTime, mut send: impl FnMut(SessionTime, ShortMessage)) {
        while self.due.peek().is_some_and(|due| due.time <= until) {
            let Some(Due { time, edge, serial, key }) = self.due.pop() else { return };
            let sounding = &mut self.sounding[usize::from(key)];
            match edge {
                // The key may have been released early or struck anew: then the debt is paid.
                Edge::Off if *sounding != Some(serial) => {}
                Edge::Off => {
                    *sounding = None;
                    send(time, ShortMessage::note_off(self.channel, key));
                }
                Edge::On { epoch, .. } if epoch <= self.stale_epoch => {}
                Edge::On { velocity, end, .. } => {
                    if sounding.replace(serial).is_some() {
                        send(time, ShortMessage::note_off(self.channel, key));
                    }
                    send(time, ShortMessage::note_on(self.channel, key, velocity));
                    // The place of the note-on has just become free, so this neither fails nor allocates.
                    self.due.push(Due { time: end, edge: Edge::Off, serial, key });
                }
            }
        }
    }

    /// Releases exactly the keys that sound.
    pub fn release(&mut self, now: SessionTime, mut send: impl FnMut(SessionTime, ShortMessage)) {
        for (key, sounding) in (0..).zip(&mut self.sounding) {
            if sounding.take().is_some() {
                send(now, ShortMessage::note_off(self.channel, key));
            }
        }
    }

    /// Notes that were dropped because too many waited.
    pub fn refused(&self) -> u64 {
        self.refused
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::time::SessionDuration;

    fn at(ms: u64) -> SessionTime {
        SessionTime::from_micros(ms * 1000)
    }

    fn planned(epoch: u32, onset_ms: u64, key: u8, length_ms: u64) -> PlayerCommand {
        let note = Note { onset: at(onset_ms), key, duration: SessionDuration::from_millis(length_ms), velocity: 80 };
        PlayerCommand::Play(PlannedNote { epoch, note })
    }

    /// Runs commands at their times and gives back what was sent, one line a message.
    fn sent(commands: &[(u64, PlayerCommand)], until_ms: u64) -> Vec<String> {
        let mut player = Player::new(0);
        let mut lines = Vec::new();
        let mut line = |time: SessionTime, message: ShortMessage| {
            let sign = if message.is_note_on() { "on" } else { "off" };
            lines.push(format!("{} {sign} {}", time.as_micros() / 1000, message.as_bytes()[1]));
        };
        for &(ms, command) in commands {
            player.play(at(ms), &mut line);
            player.command(command, at(ms), &mut line);
        }
        player.play(at(until_ms), &mut line);
        lines
    }

    #[test]
    fn notes_sound_in_due_order_whatever_the_order_of_planning() {
        let lines = sent(&[(0, planned(1, 20, 64, 10)), (0, planned(1, 10, 60, 15))], 100);
        assert_eq!(lines, ["10 on 60", "20 on 64", "25 off 60", "30 off 64"]);
    }

    #[test]
    fn a_repeated_key_is_released_before_it_is_struck_anew() {
        let lines = sent(&[(0, planned(1, 10, 60, 30)), (0, planned(1, 20, 60, 30))], 100);
        assert_eq!(lines, ["10 on 60", "20 off 60", "20 on 60", "50 off 60"]);
    }

    #[test]
    fn an_interruption_releases_what_sounds_and_silences_what_was_planned() {
        let plan = [(0, planned(1, 10, 60, 500)), (0, planned(1, 100, 62, 500))];
        let lines = sent(&[plan[0], plan[1], (50, PlayerCommand::Interrupt)], 1000);
        assert_eq!(lines, ["10 on 60", "50 off 60"]);
    }

    #[test]
    fn a_note_of_a_cancelled_answer_dies_at_the_gate_and_the_next_answer_sounds() {
        let lines = sent(
            &[(0, PlayerCommand::Cancel { epoch: 1 }), (1, planned(1, 10, 60, 5)), (1, planned(2, 20, 62, 5))],
            1000,
        );
        assert_eq!(lines, ["20 on 62", "25 off 62"]);
    }

    #[test]
    fn too_many_notes_are_refused_whole_and_counted() {
        let mut player = Player::new(0);
        let (mut ons, mut offs) = (0, 0);
        for index in 0..5000u64 {
            let command = planned(1, 10 + index, u8::try_from(index % 128).expect("fits"), 5);
            player.command(command, at(0), |_, _| ());
        }
        player.play(at(100_000), |_, message| if message.is_note_on() { ons += 1 } else { offs += 1 });
        assert!(player.refused() > 0);
        assert_eq!(ons + player.refused(), 5000);
        assert_eq!(ons, offs);
    }

    proptest! {
        #[test]
        fn every_note_on_gets_one_note_off(
            steps in proptest::collection::vec((0u64..50, 0u8..3, 0u64..400, 55u8..65, 1u64..300), 0..200)
        ) {
            let mut player = Player::new(0);
            let mut down = [false; 128];
            let mut now = 0;
            let mut wrong = 0;
            let mut send = |_: SessionTime, message: ShortMessage| {
                let key = usize::from(message.as_bytes()[1]);
                if down[key] == message.is_note_on() {
                    wrong += 1;
                }
                down[key] = message.is_note_on();
            };
            let mut epoch = 1;
            for (wait, what, ahead, key, length) in steps {
                now += wait;
                player.play(at(now), &mut send);
                let command = match what {
                    0 => { epoch += 1; PlayerCommand::Cancel { epoch: epoch - 1 } }
                    1 => { epoch += 1; PlayerCommand::Interrupt }
                    _ => planned(epoch, now + ahead, key, length),
                };
                player.command(command, at(now), &mut send);
            }
            player.release(at(now), &mut send);
            prop_assert_eq!(wrong, 0);
            prop_assert!(down.iter().all(|sounds| !sounds));
        }
    }
}
