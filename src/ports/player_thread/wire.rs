//! One port that the player's thread sends to, and what it still owes there.
//!
//! The port may go and come back: the wire stays, with its debts, and pays them at the next port that is put to it.

use std::collections::VecDeque;

use crate::echo::Origin;
use crate::midi::{MidiEvent, ShortMessage};
use crate::player::Owed;
use crate::ports::cables::CableId;
use crate::ports::{Offset, Routing};
use crate::thru::{Thru, pedal};
use crate::time::{SessionDuration, SessionTime};

/// Messages that may wait for their time at a port that is later than another. When it is full the oldest leaves early.
const WAITING: usize = 1024;

/// An open port that messages are sent to.
pub(crate) trait MidiOutput: Send {
    /// Sends now; false when the port refused.
    fn send(&mut self, message: ShortMessage) -> bool;
}

/// Releases that are sent again to a port that came back: what was sent between its going and the news of it, a second or
/// two on a busy machine, has not arrived.
const LATELY: usize = 64;

/// A port and the player's debts there.
pub(in crate::ports) struct Wire {
    /// The cable that leads there; `None` for our own port, which never goes.
    pub cable: Option<CableId>,
    /// `None` while the port is gone.
    output: Option<Box<dyn MidiOutput>>,
    /// How much later than at the earliest port messages leave.
    delay: SessionDuration,
    waiting: VecDeque<(SessionTime, ShortMessage)>,
    /// Keys of the answer that sound here, channel by channel.
    sounding: [u128; 16],
    /// What the human played and was passed on here.
    passed: Thru,
    /// Note-offs that the port refused.
    owed: Owed,
    /// The releases that left here last: the port may have gone before anybody noticed.
    lately: VecDeque<ShortMessage>,
    /// Messages that the port refused.
    pub refusals: u64,
}

impl Wire {
    pub fn new(cable: Option<CableId>, output: Box<dyn MidiOutput>, offset: Offset, earliest: Offset) -> Self {
        let delay = offset.after(earliest);
        // Allocated only where something will wait.
        let places = if delay == SessionDuration::ZERO { 0 } else { WAITING };
        Self {
            cable,
            output: Some(output),
            delay,
            waiting: VecDeque::with_capacity(places),
            sounding: [0; 16],
            passed: Thru::default(),
            owed: Owed::default(),
            lately: VecDeque::with_capacity(LATELY),
            refusals: 0,
        }
    }

    /// The port has gone: what waits is never heard, and what sounded there is owed until another port is put to it.
    /// Gives the port back, which may not be closed here.
    pub fn unplug(&mut self) -> Option<Box<dyn MidiOutput>> {
        self.waiting.clear();
        self.output.take()
    }

    /// Takes over from a wire whose port has gone, and pays its debts: the instrument may have held the notes.
    pub fn inherit(&mut self, before: &mut Self) {
        for (channel, keys) in (0u8..).zip(std::mem::take(&mut before.sounding)) {
            keys_of(keys).for_each(|key| self.owed.add(ShortMessage::note_off(channel, key)));
        }
        for release in before.lately.drain(..).chain(before.owed.take()) {
            self.owed.add(release);
        }
        let Self { output, owed, .. } = self;
        before.passed.release(|message| {
            // Pedals as well; one that is refused here finds a port with bigger troubles.
            if !output.as_mut().is_some_and(|output| output.send(message)) {
                owed.add(message);
            }
        });
    }

    /// Ends what sounds here; the port is wanted no longer.
    pub fn release(&mut self) {
        self.waiting.clear();
        for (channel, keys) in (0u8..).zip(std::mem::take(&mut self.sounding)) {
            keys_of(keys).for_each(|key| self.owed.add(ShortMessage::note_off(channel, key)));
        }
        let Self { output: Some(output), owed, passed, .. } = self else { return };
        owed.take().for_each(|note_off| {
            output.send(note_off);
        });
        passed.release(|message| {
            output.send(message);
        });
    }

    /// The end: all that sounds here is owed, whatever others believe to have been paid.
    pub fn owe_all(&mut self) {
        self.waiting.clear();
        for (channel, keys) in (0u8..).zip(std::mem::take(&mut self.sounding)) {
            keys_of(keys).for_each(|key| self.owed.add(ShortMessage::note_off(channel, key)));
        }
        let owed = &mut self.owed;
        self.passed.release(|message| owed.add(message));
    }

    /// Whether messages leave here at once.
    pub fn is_prompt(&self) -> bool {
        self.delay == SessionDuration::ZERO
    }

    /// Sends what is due at the earliest port at `now`, as much later as this port is.
    pub fn send(&mut self, now: SessionTime, message: ShortMessage, routing: &Routing) {
        if self.is_prompt() || self.output.is_none() {
            return self.write(message);
        }
        if self.waiting.len() == WAITING
            && let Some((_, oldest)) = self.waiting.pop_front()
        {
            self.write_late(now, oldest, routing);
        }
        self.waiting.push_back((now + self.delay, message));
    }

    /// Sends at once. A note-off overtakes what waits of its key.
    pub fn send_at_once(&mut self, now: SessionTime, message: ShortMessage, routing: &Routing) {
        if self.is_prompt() {
            return self.write(message);
        }
        if let MidiEvent::NoteOff { channel, key } = message.event() {
            self.waiting.retain(|(_, waiting)| !is_of(*waiting, channel, key));
            if self.sounding[usize::from(channel)] & (1 << key) == 0 {
                return;
            }
        }
        if let MidiEvent::AllNotesOff { channel } = message.event() {
            // By their names first: not every instrument knows the message.
            self.silence(now, channel, routing);
        }
        self.write_late(now, message, routing);
    }

    /// Sends at once what the human played.
    pub fn pass(&mut self, now: SessionTime, message: ShortMessage, routing: &Routing) {
        if !self.is_prompt() {
            routing.echoes.sent_later(now, message, Origin::Thru);
        }
        if let Some(output) = &mut self.output {
            self.passed.passes(message, true);
            let sent = output.send(message);
            self.settle(message, sent);
        }
    }

    /// The answer on `channel` is over: what sounds of it ends, what waits is never heard.
    pub fn silence(&mut self, now: SessionTime, channel: u8, routing: &Routing) {
        if self.waiting.is_empty() {
            return;
        }
        self.waiting.retain(|(_, waiting)| waiting.channel() != Some(channel));
        for key in keys_of(self.sounding[usize::from(channel)]) {
            self.write_late(now, ShortMessage::note_off(channel, key), routing);
        }
    }

    /// Sends what has waited long enough and what the port refused before.
    pub fn catch_up(&mut self, now: SessionTime, routing: &Routing) {
        while let Some((_, message)) = self.waiting.front().copied().filter(|(leaves, _)| *leaves <= now) {
            self.waiting.pop_front();
            self.write_late(now, message, routing);
        }
        if let Some(output) = &mut self.output
            && !self.owed.is_empty()
        {
            for release in self.owed.take() {
                if !output.send(release) {
                    self.owed.add(release);
                }
            }
        }
    }

    /// When something that waits is to leave.
    pub fn next_due(&self) -> Option<SessionTime> {
        self.waiting.front().map(|(leaves, _)| *leaves)
    }

    /// Whether note-offs are owed to a port that is there.
    pub fn owes(&self) -> bool {
        self.output.is_some() && !self.owed.is_empty()
    }

    /// What leaves later here than elsewhere may also come back later.
    fn write_late(&mut self, now: SessionTime, message: ShortMessage, routing: &Routing) {
        routing.echoes.sent_later(now, message, Origin::Own);
        self.write(message);
    }

    /// While the port is gone nothing is sent, and what sounded there stays owed.
    fn write(&mut self, message: ShortMessage) {
        let Some(output) = &mut self.output else { return };
        match message.event() {
            // Never begun here: the port has come since, or has refused it.
            MidiEvent::NoteOff { channel, key } if self.sounding[usize::from(channel)] & (1 << key) == 0 => return,
            // A key is not struck again before its release, which the port has refused, has left.
            MidiEvent::NoteOn { channel, key, .. }
                if self.owed.owes(channel, key) && !output.send(ShortMessage::note_off(channel, key)) =>
            {
                self.refusals += 1;
                return;
            }
            _ => {}
        }
        let sent = output.send(message);
        match message.event() {
            MidiEvent::NoteOff { channel, key } => self.sounding[usize::from(channel)] &= !(1 << key),
            MidiEvent::NoteOn { channel, key, .. } if sent => self.sounding[usize::from(channel)] |= 1 << key,
            // Pedals of a take that is played back.
            MidiEvent::Sustain { .. } | MidiEvent::Other => drop(self.passed.passes(message, true)),
            _ => {}
        }
        self.settle(message, sent);
    }

    /// Keeps account of what the port refused, and of the releases that it took.
    fn settle(&mut self, message: ShortMessage, sent: bool) {
        if !sent {
            self.refusals += 1;
            return self.owed.add(message);
        }
        self.owed.forget(message);
        if matches!(message.event(), MidiEvent::NoteOff { .. }) || matches!(pedal(message), Some((_, false))) {
            if self.lately.len() == LATELY {
                self.lately.pop_front();
            }
            self.lately.push_back(message);
        }
    }
}

/// The keys of a set.
fn keys_of(keys: u128) -> impl Iterator<Item = u8> {
    (0..128u8).filter(move |key| keys & (1 << key) != 0)
}

fn is_of(message: ShortMessage, of_channel: u8, of_key: u8) -> bool {
    match message.event() {
        MidiEvent::NoteOn { channel, key, .. } | MidiEvent::NoteOff { channel, key } => {
            channel == of_channel && key == of_key
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests;
