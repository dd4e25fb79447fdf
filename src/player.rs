//! The player: planned notes in due order, and the debts that they leave.
//!
//! Every note-on that left owes a note-off. The player is the one owner of that ledger: whatever ends a note, it
//! ends here, and only keys that sound are released.
//!
//! It hears the human as well, so that an answer falls silent at the very moment at which they play, without waiting
//! for the conductor.

mod owed;

use std::cmp::Ordering;
use std::collections::BinaryHeap;

pub use owed::Owed;

use crate::gate::{Gate, GateSettings};
use crate::midi::{DRUMS, MidiEvent, ShortMessage, TimedMessage};
use crate::note::Note;
use crate::time::{SessionDuration, SessionTime};

/// Most notes that may wait at once. A second of plan at 200 notes a second, well above what a piano plays.
pub const CAPACITY: usize = 1024;

/// MIDI channels.
const CHANNELS: usize = 16;

/// An answer stays soft for so long after the human's last key went up.
const DUCKED_FOR: SessionDuration = SessionDuration::from_millis(700);

/// A note of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlannedNote {
    /// Number of the answer that it belongs to; counted from 1, channel by channel.
    pub epoch: u32,
    /// Where it sounds, in `0..16`.
    pub channel: u8,
    /// The note.
    pub note: Note,
}

/// What a human note does to what is planned and sounds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Yielding {
    /// All of it ends.
    #[default]
    All,
    /// What has not begun ends; an answer that has begun plays on.
    Waiting,
    /// The same, and the answer plays on softly.
    Softly,
    /// Only its own key ends.
    Key,
}

/// How the player gets along with the human.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Manners {
    /// What a human note does.
    pub yielding: Yielding,
    /// Whether a channel's human meets only that channel's answer.
    pub apart: bool,
    /// What may leave, whatever was planned.
    pub gate: GateSettings,
}

/// What the player is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlayerCommand {
    /// Play this note when it is due.
    Play(PlannedNote),
    /// The answer of this number and all before it are over: release what sounds of them, forget what is planned.
    Cancel {
        /// Where, in `0..16`.
        channel: u8,
        /// The number.
        epoch: u32,
    },
    /// Notes that would begin after `after` are planned anew.
    Revise {
        /// Where, in `0..16`.
        channel: u8,
        /// Notes up to here stay.
        after: SessionTime,
    },
    /// The notes of the answer of this number come next. It was thought of when the human's keys up to `heard` were
    /// known; where they have struck another since, it is over before it begins.
    Answer {
        /// Where, in `0..16`.
        channel: u8,
        /// The number.
        epoch: u32,
        /// When the last key was struck that it knows of, by its own stamp.
        heard: Option<SessionTime>,
    },
    /// The human sent this.
    Human(TimedMessage),
    /// From now on, get along so.
    Manners(Manners),
    /// A message of a take that is played back; it leaves at its time.
    Replay {
        /// Number of the playing back; counted from 1.
        reel: u32,
        /// The message.
        timed: TimedMessage,
    },
    /// The playing back of this number is over: release what sounds of it, forget what waits.
    EndReplay {
        /// The number.
        reel: u32,
    },
    /// Silence everything, on every channel, whatever the ledger says.
    Panic,
}

/// Keeps planned notes in due order and the ledger of what sounds.
///
/// Thread: any one at a time. Realtime-safe: yes, it neither allocates nor waits after its construction.
pub struct Player {
    due: BinaryHeap<Due>,
    channels: [Channel; CHANNELS],
    manners: Manners,
    gate: Gate,
    next_serial: u64,
    refused: u64,
}

/// What the player knows of a channel.
#[derive(Clone, Copy)]
struct Channel {
    /// Serial number of the note that sounds on each key.
    sounding: [Option<u64>; 128],
    /// The newest answer that was planned; that and all before it that is over; and the newest that has begun.
    newest: u32,
    stale: u32,
    begun: u32,
    /// Keys that the human holds: bit `k` for key `k`.
    held: u128,
    /// When the human last moved a key, and the stamp of the last key that they struck.
    moved: Option<SessionTime>,
    struck: Option<SessionTime>,
}

impl Channel {
    const SILENT: Self =
        Self { sounding: [None; 128], newest: 0, stale: 0, begun: 0, held: 0, moved: None, struck: None };

    /// Whether the human plays or has just played.
    fn is_played(&self, now: SessionTime) -> bool {
        self.held != 0 || self.moved.is_some_and(|moved| now < moved + DUCKED_FOR)
    }
}

/// A note-on or note-off and its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Due {
    time: SessionTime,
    edge: Edge,
    serial: u64,
    channel: u8,
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
        let order = |due: &Self| (due.time, due.edge, due.channel, due.key, due.serial);
        order(other).cmp(&order(self))
    }
}

impl PartialOrd for Due {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Default for Player {
    fn default() -> Self {
        Self {
            // A note-on gives its place to its note-off when it is sent.
            due: BinaryHeap::with_capacity(CAPACITY),
            channels: [Channel::SILENT; CHANNELS],
            manners: Manners::default(),
            gate: Gate::default(),
            next_serial: 0,
            refused: 0,
        }
    }
}

impl Player {
    /// Takes a command. What must leave at once goes to `send` with the time `now`.
    pub fn command(
        &mut self,
        command: PlayerCommand,
        now: SessionTime,
        mut send: impl FnMut(SessionTime, ShortMessage),
    ) {
        match command {
            PlayerCommand::Play(planned) => self.plan(planned),
            PlayerCommand::Cancel { channel, epoch } => {
                let state = &mut self.channels[index(channel)];
                state.stale = state.stale.max(epoch);
                self.release_channel(channel, now, &mut send);
            }
            PlayerCommand::Revise { channel, after } => {
                self.due.retain(|due| due.edge == Edge::Off || due.channel != channel || due.time <= after);
            }
            PlayerCommand::Answer { channel, epoch, heard } => self.announce(channel, epoch, heard),
            PlayerCommand::Human(timed) => self.meet(timed, now, &mut send),
            PlayerCommand::Manners(manners) => {
                self.manners = manners;
                self.gate.settings = manners.gate;
            }
            PlayerCommand::Panic => {
                for channel in 0..16 {
                    let state = &mut self.channels[index(channel)];
                    state.stale = state.newest;
                    self.release_channel(channel, now, &mut send);
                    send(now, ShortMessage::all_notes_off(channel));
                    send(now, ShortMessage::all_sound_off(channel));
                }
            }
            // The tape's, which has a ledger of its own: it is not recorded.
            PlayerCommand::Replay { .. } | PlayerCommand::EndReplay { .. } => {}
        }
    }

    fn plan(&mut self, planned: PlannedNote) {
        let PlannedNote { epoch, channel, note } = planned;
        let state = &mut self.channels[index(channel)];
        state.newest = state.newest.max(epoch);
        if epoch <= state.stale {
            return;
        }
        if self.due.len() == self.due.capacity() {
            // Policy when full: the new note is dropped whole, so that no note-off is ever without its place.
            self.refused += 1;
            return;
        }
        let edge = Edge::On { epoch, velocity: note.velocity, end: note.end() };
        self.due.push(Due {
            time: note.onset,
            edge,
            serial: self.next_serial,
            channel: channel & 15,
            key: note.key & 127,
        });
        self.next_serial += 1;
    }

    /// An answer to something that the human has gone beyond meanwhile is not played. Its notes may be on their way
    /// already, and the conductor's cancellation behind them.
    fn announce(&mut self, channel: u8, epoch: u32, heard: Option<SessionTime>) {
        let struck = if self.manners.apart {
            self.channels[index(channel)].struck
        } else {
            self.channels.iter().filter_map(|state| state.struck).max()
        };
        let state = &mut self.channels[index(channel)];
        state.newest = state.newest.max(epoch);
        if struck > heard && self.manners.yielding != Yielding::Key {
            state.stale = state.stale.max(epoch);
        }
    }

    /// Gets along with what the human does.
    fn meet(&mut self, timed: TimedMessage, now: SessionTime, send: &mut impl FnMut(SessionTime, ShortMessage)) {
        match timed.message.event() {
            MidiEvent::NoteOn { channel: DRUMS, .. } | MidiEvent::NoteOff { channel: DRUMS, .. } => {}
            MidiEvent::NoteOn { channel, key, .. } => {
                let human = &mut self.channels[index(channel)];
                human.held |= 1 << key;
                human.moved = Some(now);
                human.struck = human.struck.max(Some(timed.time));
                for answered in 0..16u8 {
                    if !self.manners.apart || answered == channel {
                        self.yield_to(answered, key, now, send);
                    }
                }
            }
            MidiEvent::NoteOff { channel, key } => {
                let human = &mut self.channels[index(channel)];
                human.held &= !(1 << key);
                human.moved = Some(now);
            }
            MidiEvent::AllNotesOff { channel } => self.channels[index(channel)].held = 0,
            _ => {}
        }
    }

    /// The human struck `key`: what becomes of the answer on `channel`.
    fn yield_to(&mut self, channel: u8, key: u8, now: SessionTime, send: &mut impl FnMut(SessionTime, ShortMessage)) {
        let state = &mut self.channels[index(channel)];
        let plays_on = match self.manners.yielding {
            Yielding::All => false,
            Yielding::Waiting | Yielding::Softly => state.begun == state.newest,
            Yielding::Key => true,
        };
        if !plays_on {
            state.stale = state.newest;
            self.release_channel(channel, now, send);
        } else if state.sounding[usize::from(key)].take().is_some() {
            send(now, ShortMessage::note_off(channel, key));
        }
    }

    /// Tells what would let go of each key that the human is believed to hold.
    pub fn held(&self, mut tell: impl FnMut(ShortMessage)) {
        for (channel, state) in (0u8..).zip(&self.channels) {
            for key in (0..128u8).filter(|key| state.held & (1 << key) != 0) {
                tell(ShortMessage::note_off(channel, key));
            }
        }
    }

    /// Keys that the human holds where the answer on `channel` can hear them.
    fn held_against(&self, channel: u8) -> u128 {
        if self.manners.apart {
            return self.channels[index(channel)].held;
        }
        self.channels.iter().fold(0, |held, state| held | state.held)
    }

    fn is_ducked(&self, channel: u8, now: SessionTime) -> bool {
        self.manners.yielding == Yielding::Softly
            && if self.manners.apart {
                self.channels[index(channel)].is_played(now)
            } else {
                self.channels.iter().any(|state| state.is_played(now))
            }
    }

    /// Whether the newest answer on `channel` plays or may play yet; not when it was cancelled or interrupted.
    pub fn answers(&self, channel: u8) -> bool {
        let state = &self.channels[index(channel)];
        state.newest > state.stale
    }

    /// When the next edge is due.
    pub fn next_due(&self) -> Option<SessionTime> {
        self.due.peek().map(|due| due.time)
    }

    /// Sends everything that is due up to and including `until`, in due order, each with its due time.
    pub fn play(&mut self, until: SessionTime, mut send: impl FnMut(SessionTime, ShortMessage)) {
        while self.due.peek().is_some_and(|due| due.time <= until) {
            let Some(Due { time, edge, serial, channel, key }) = self.due.pop() else { return };
            let (held, ducked) = (self.held_against(channel), self.is_ducked(channel, time));
            let voices = self.voices(channel, key);
            let state = &mut self.channels[index(channel)];
            let sounding = &mut state.sounding[usize::from(key)];
            match edge {
                // The key may have been released early or struck anew: then the debt is paid.
                Edge::Off if *sounding != Some(serial) => {}
                Edge::Off => {
                    *sounding = None;
                    send(time, ShortMessage::note_off(channel, key));
                }
                Edge::On { epoch, .. } if epoch <= state.stale => {}
                Edge::On { epoch, velocity, end } => {
                    state.begun = state.begun.max(epoch);
                    // The key is the human's while they hold it. What the gate refuses is dropped whole.
                    if held & (1 << key) != 0 || !self.gate.admits(until, key, voices) {
                        continue;
                    }
                    if sounding.take().is_some() {
                        send(time, ShortMessage::note_off(channel, key));
                    }
                    *sounding = Some(serial);
                    let velocity = if ducked { velocity / 2 } else { velocity };
                    send(time, ShortMessage::note_on(channel, key, velocity));
                    // The place of the note-on has just become free, so this neither fails nor allocates.
                    self.due.push(Due { time: end, edge: Edge::Off, serial, channel, key });
                }
            }
        }
    }

    /// Releases exactly the keys that sound.
    pub fn release(&mut self, now: SessionTime, mut send: impl FnMut(SessionTime, ShortMessage)) {
        for channel in 0..16 {
            self.release_channel(channel, now, &mut send);
        }
    }

    fn release_channel(&mut self, channel: u8, now: SessionTime, send: &mut impl FnMut(SessionTime, ShortMessage)) {
        for (key, sounding) in (0..).zip(&mut self.channels[index(channel)].sounding) {
            if sounding.take().is_some() {
                send(now, ShortMessage::note_off(channel, key));
            }
        }
    }

    /// Keys that sound, but for `key` on `channel`.
    fn voices(&self, channel: u8, key: u8) -> usize {
        let all = self.channels.iter().flat_map(|state| &state.sounding).flatten().count();
        all - usize::from(self.channels[index(channel)].sounding[usize::from(key)].is_some())
    }

    /// Notes that were dropped because too many waited.
    pub fn refused(&self) -> u64 {
        self.refused
    }

    /// Notes that the gate did not let out.
    pub fn gated(&self) -> u64 {
        self.gate.refused().total()
    }
}

fn index(channel: u8) -> usize {
    usize::from(channel & 15)
}

#[cfg(test)]
mod tests;
