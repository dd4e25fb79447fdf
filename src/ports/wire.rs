//! One port that the player's thread sends to, and what it still owes there.

use std::collections::VecDeque;

use super::offset::Offset;
use super::routing::Routing;
use crate::echo::Origin;
use crate::midi::{MidiEvent, ShortMessage};
use crate::player::Owed;
use crate::time::{SessionDuration, SessionTime};

/// Messages that may wait for their time at a port that is later than another. When it is full the oldest leaves early.
const WAITING: usize = 1024;

/// An open port that messages are sent to.
pub(super) trait MidiOutput: Send {
    /// Sends now; false when the port refused.
    fn send(&mut self, message: ShortMessage) -> bool;
}

/// A port and when messages leave there.
pub(super) struct Outlet {
    pub output: Box<dyn MidiOutput>,
    pub offset: Offset,
}

/// The offset of the port at which messages leave first.
pub(super) fn earliest(outlets: &[Outlet]) -> Offset {
    outlets.iter().map(|outlet| outlet.offset).min().unwrap_or_default()
}

/// A port and the player's debts there.
pub(super) struct Wire {
    output: Box<dyn MidiOutput>,
    /// How much later than at the earliest port messages leave.
    delay: SessionDuration,
    waiting: VecDeque<(SessionTime, ShortMessage)>,
    /// Keys of the answer that sound here, channel by channel.
    sounding: [u128; 16],
    /// Note-offs that the port refused.
    owed: Owed,
    /// Messages that the port refused.
    pub refusals: u64,
}

impl Wire {
    pub fn new(Outlet { output, offset }: Outlet, earliest: Offset) -> Self {
        let delay = offset.after(earliest);
        // Allocated only where something will wait.
        let places = if delay == SessionDuration::ZERO { 0 } else { WAITING };
        let waiting = VecDeque::with_capacity(places);
        Self { output, delay, waiting, sounding: [0; 16], owed: Owed::default(), refusals: 0 }
    }

    /// Whether messages leave here at once.
    pub fn is_prompt(&self) -> bool {
        self.delay == SessionDuration::ZERO
    }

    /// Sends what is due at the earliest port at `now`, as much later as this port is.
    pub fn send(&mut self, now: SessionTime, message: ShortMessage, routing: &Routing) {
        if self.is_prompt() {
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
        self.write_late(now, message, routing);
    }

    /// Sends at once what the human played.
    pub fn pass(&mut self, now: SessionTime, message: ShortMessage, routing: &Routing) {
        if !self.is_prompt() {
            routing.echoes.sent(now, message, Origin::Thru);
        }
        let sent = self.output.send(message);
        self.settle(message, sent);
    }

    /// The answer on `channel` is over: what sounds of it ends, what waits is never heard.
    pub fn silence(&mut self, now: SessionTime, channel: u8, routing: &Routing) {
        if self.waiting.is_empty() {
            return;
        }
        self.waiting.retain(|(_, waiting)| waiting.channel() != Some(channel));
        let sounding = self.sounding[usize::from(channel)];
        for key in (0..128u8).filter(|key| sounding & (1 << key) != 0) {
            self.write_late(now, ShortMessage::note_off(channel, key), routing);
        }
    }

    /// Sends what has waited long enough and what the port refused before.
    pub fn catch_up(&mut self, now: SessionTime, routing: &Routing) {
        while let Some((_, message)) = self.waiting.front().copied().filter(|(leaves, _)| *leaves <= now) {
            self.waiting.pop_front();
            self.write_late(now, message, routing);
        }
        if self.owes() {
            for note_off in self.owed.take() {
                if !self.output.send(note_off) {
                    self.owed.add(note_off);
                }
            }
        }
    }

    /// When something that waits is to leave.
    pub fn next_due(&self) -> Option<SessionTime> {
        self.waiting.front().map(|(leaves, _)| *leaves)
    }

    /// Whether note-offs were refused.
    pub fn owes(&self) -> bool {
        !self.owed.is_empty()
    }

    /// What leaves later here than elsewhere may also come back later.
    fn write_late(&mut self, now: SessionTime, message: ShortMessage, routing: &Routing) {
        routing.echoes.sent(now, message, Origin::Own);
        self.write(message);
    }

    fn write(&mut self, message: ShortMessage) {
        let sent = self.output.send(message);
        match message.event() {
            MidiEvent::NoteOff { channel, key } => self.sounding[usize::from(channel)] &= !(1 << key),
            MidiEvent::NoteOn { channel, key, .. } if sent => self.sounding[usize::from(channel)] |= 1 << key,
            _ => {}
        }
        self.settle(message, sent);
    }

    /// Keeps account of what the port refused.
    fn settle(&mut self, message: ShortMessage, sent: bool) {
        self.refusals += u64::from(!sent);
        match message.event() {
            MidiEvent::NoteOff { .. } if !sent => self.owed.add(message),
            MidiEvent::NoteOn { channel, key, .. } if sent => self.owed.forget(channel, key),
            _ => {}
        }
    }
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
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    struct Noted(Arc<Mutex<Vec<ShortMessage>>>);

    impl MidiOutput for Noted {
        fn send(&mut self, message: ShortMessage) -> bool {
            self.0.lock().expect("not poisoned").push(message);
            true
        }
    }

    fn at(ms: u64) -> SessionTime {
        SessionTime::from_micros(ms * 1000)
    }

    /// A wire that is 20 ms later than another, and what it has sent.
    fn late() -> (Wire, Arc<Mutex<Vec<ShortMessage>>>) {
        let sent = Arc::default();
        let outlet = Outlet { output: Box::new(Noted(Arc::clone(&sent))), offset: "5".parse().expect("in range") };
        (Wire::new(outlet, "-15".parse().expect("in range")), sent)
    }

    fn take(sent: &Mutex<Vec<ShortMessage>>) -> Vec<ShortMessage> {
        std::mem::take(&mut sent.lock().expect("not poisoned"))
    }

    #[test]
    fn a_later_port_gets_the_same_later() {
        let (mut wire, sent) = late();
        let routing = Routing::default();
        let (on, off) = (ShortMessage::note_on(0, 60, 70), ShortMessage::note_off(0, 60));
        wire.send(at(100), on, &routing);
        wire.send(at(110), off, &routing);
        assert_eq!(wire.next_due(), Some(at(120)));
        wire.catch_up(at(119), &routing);
        assert_eq!(take(&sent), []);
        wire.catch_up(at(120), &routing);
        assert_eq!(take(&sent), [on]);
        wire.catch_up(at(130), &routing);
        assert_eq!(take(&sent), [off]);
    }

    #[test]
    fn an_interruption_silences_a_later_port_at_once_and_what_waits_is_never_heard() {
        let (mut wire, sent) = late();
        let routing = Routing::default();
        let (on, off) = (ShortMessage::note_on(0, 60, 70), ShortMessage::note_off(0, 60));
        wire.send(at(100), on, &routing);
        wire.catch_up(at(120), &routing);
        wire.send(at(121), ShortMessage::note_on(0, 62, 70), &routing);
        wire.send_at_once(at(125), off, &routing);
        wire.send_at_once(at(125), ShortMessage::note_off(0, 62), &routing);
        assert_eq!(take(&sent), [on, off], "key 62 had not begun");
        assert_eq!(wire.next_due(), None);
    }

    #[test]
    fn an_answer_that_is_over_is_silent_at_a_later_port_as_well() {
        let (mut wire, sent) = late();
        let routing = Routing::default();
        for (ms, key) in [(100, 60), (110, 62)] {
            wire.send(at(ms), ShortMessage::note_on(0, key, 70), &routing);
            wire.send(at(ms + 5), ShortMessage::note_off(0, key), &routing);
        }
        wire.catch_up(at(121), &routing);
        wire.silence(at(122), 0, &routing);
        wire.catch_up(at(200), &routing);
        assert_eq!(take(&sent), [ShortMessage::note_on(0, 60, 70), ShortMessage::note_off(0, 60)]);
    }

    #[test]
    fn a_port_that_is_far_behind_never_loses_a_message() {
        let (mut wire, sent) = late();
        let routing = Routing::default();
        for _ in 0..WAITING {
            wire.send(at(100), ShortMessage::note_on(0, 60, 70), &routing);
            wire.send(at(100), ShortMessage::note_off(0, 60), &routing);
        }
        wire.catch_up(at(200), &routing);
        assert_eq!(take(&sent).len(), 2 * WAITING);
    }
}
