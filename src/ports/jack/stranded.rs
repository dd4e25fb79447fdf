//! Ends that may have reached nobody.
//!
//! When the server goes, a synth that is a client of it falls silent with it. One behind a bridge to ALSA, or a real one,
//! goes on sounding, and is told as soon as there is a way to it again. When a period comes too late (an xrun), what was
//! written in it is lost as a whole at whoever had no time to read it, a note-off as well: the last ends are said again.

use crate::midi::{MidiEvent, ShortMessage};
use crate::thru::Thru;
use crate::time::{SessionDuration, SessionTime};

/// A connection that was made carries after so many periods.
const CARRIES_AFTER: u32 = 3;

/// After so many periods in time what is written is heard again.
const CALM_AFTER: u32 = 3;

/// Connections that are made so long after the server's return may lead to what sounded before; later, whoever plays there
/// will have noticed.
const SOUGHT_FOR: SessionDuration = SessionDuration::from_millis(30_000);

/// What was written so shortly before the server went, or before it is known that a period was late, may have reached nobody.
const ON_THE_WAY: SessionDuration = SessionDuration::from_millis(100);

/// While periods are late again and again, ends are said again this often: some will be heard.
const SAID_AGAIN_AFTER: SessionDuration = SessionDuration::from_millis(100);

/// Ends that may be on the way. With more, the oldest is taken for delivered.
const ENDS: usize = 64;

/// The ledger of what was sent, and of what sounded when the server went.
///
/// Thread: any one at a time. Realtime-safe: yes.
pub(super) struct Stranded {
    /// Keys and pedals that are down by what was sent.
    sounding: Thru,
    /// The last ends that were sent, and when.
    ends: [(SessionTime, ShortMessage); ENDS],
    next_end: usize,
    /// Keys and pedals that were down when the server went.
    left: Thru,
    /// Connections that have been counted so far.
    connections: u32,
    /// Periods until the newest connection carries; 0: it does already.
    carries_in: u32,
    until: SessionTime,
    /// Since when periods have been late.
    late_since: Option<SessionTime>,
    /// Periods in time since the last late one.
    calm: u32,
    /// When ends were said again.
    said_again: SessionTime,
}

impl Default for Stranded {
    fn default() -> Self {
        Self {
            sounding: Thru::default(),
            ends: [(SessionTime::ZERO, ShortMessage::note_off(0, 0)); ENDS],
            next_end: 0,
            left: Thru::default(),
            connections: 0,
            carries_in: 0,
            until: SessionTime::ZERO,
            late_since: None,
            calm: 0,
            said_again: SessionTime::ZERO,
        }
    }
}

impl Stranded {
    /// This leaves at `at`.
    pub fn sent(&mut self, at: SessionTime, message: ShortMessage) {
        self.sounding.passes(message, true);
        if begin_of(message).is_some() {
            self.ends[self.next_end] = (at, message);
            self.next_end = (self.next_end + 1) % ENDS;
        }
    }

    /// This end could not even be written.
    pub fn keep(&mut self, end: ShortMessage) {
        if let Some(begin) = begin_of(end) {
            self.left.passes(begin, true);
        }
    }

    /// Periods since `since` were late.
    pub fn late(&mut self, since: SessionTime) {
        self.late_since.get_or_insert(since);
        self.calm = 0;
    }

    /// Whether ends will be said again.
    pub fn is_in_doubt(&self) -> bool {
        self.late_since.is_some()
    }

    /// Asked once a period: the ends that are to be said again, in their order, now that periods are in time again or have
    /// not been for a while. What sounds again by now has an end of its own.
    pub fn ends_in_doubt(&mut self, now: SessionTime) -> Option<[Option<ShortMessage>; ENDS]> {
        let since = self.late_since?;
        self.calm += 1;
        if self.calm > CALM_AFTER {
            self.late_since = None;
        } else if now < self.said_again + SAID_AGAIN_AFTER {
            return None;
        }
        self.said_again = now;
        let mut ends = [None; ENDS];
        for (place, said) in ends.iter_mut().enumerate() {
            let (at, end) = self.ends[(self.next_end + place) % ENDS];
            let is_in_doubt = at > SessionTime::ZERO && at + ON_THE_WAY >= since && !self.sounding.owes(end);
            *said = is_in_doubt.then_some(end);
        }
        Some(ends)
    }

    /// The server has gone, after a period that was over at `played_to`.
    pub fn server_gone(&mut self, played_to: SessionTime) {
        let since = self.late_since.take().map_or(played_to, |since| since.min(played_to));
        for (at, end) in std::mem::replace(&mut self.ends, Self::default().ends) {
            if at > SessionTime::ZERO && at + ON_THE_WAY >= since {
                self.keep(end);
            }
        }
        std::mem::take(&mut self.sounding).release(|end| self.keep(end));
    }

    /// There is a server again.
    pub fn server_back(&mut self, now: SessionTime, connections: u32) {
        self.connections = connections;
        self.carries_in = 0;
        self.until = now + SOUGHT_FOR;
    }

    /// Asked once a period, with the number of connections that were made so far: what has to be ended now, because a new
    /// way carries. What sounds again by now has an end of its own.
    pub fn ends_due(&mut self, now: SessionTime, connections: u32) -> Option<Thru> {
        if now > self.until {
            self.left = Thru::default();
            return None;
        }
        if std::mem::replace(&mut self.connections, connections) != connections {
            self.carries_in = CARRIES_AFTER;
        }
        let waited = self.carries_in;
        self.carries_in = waited.saturating_sub(1);
        (waited == 1).then(|| {
            let mut ends = self.left.clone();
            self.sounding.clone().release(|end| {
                ends.passes(end, true);
            });
            ends
        })
    }
}

/// What `end` ends: a key that goes down, or a pedal. `None` for messages that end nothing.
fn begin_of(end: ShortMessage) -> Option<ShortMessage> {
    match (end.event(), end.as_bytes()) {
        (MidiEvent::NoteOff { channel, key }, _) => Some(ShortMessage::note_on(channel, key, 1)),
        (_, &[status, pedal @ (64 | 66), value]) if status & 0xf0 == 0xb0 && value < 64 => {
            Some(ShortMessage::control_change(status & 0x0f, pedal, 127))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> SessionTime {
        SessionTime::from_micros(ms * 1000)
    }

    fn on(key: u8) -> ShortMessage {
        ShortMessage::note_on(3, key, 80)
    }

    fn off(key: u8) -> ShortMessage {
        ShortMessage::note_off(3, key)
    }

    fn pedal(value: u8) -> ShortMessage {
        ShortMessage::control_change(2, 64, value)
    }

    /// What is ended in ten periods from `ms` on.
    fn ended(stranded: &mut Stranded, ms: u64, connections: u32) -> Vec<ShortMessage> {
        let mut ended = Vec::new();
        for period in 0..10 {
            if let Some(mut now) = stranded.ends_due(at(ms + period), connections) {
                now.release(|message| ended.push(message));
            }
        }
        ended
    }

    #[test]
    fn what_sounded_when_the_server_went_is_ended_wherever_there_is_a_way_again() {
        let mut stranded = Stranded::default();
        for message in [on(60), on(62), pedal(127)] {
            stranded.sent(at(1_000), message);
        }
        stranded.sent(at(1_500), off(62));
        stranded.server_gone(at(2_000));
        stranded.server_back(at(5_000), 7);
        assert_eq!(ended(&mut stranded, 5_000, 7), [], "nobody is there yet");
        assert_eq!(ended(&mut stranded, 5_100, 8), [pedal(0), off(60)]);
        assert_eq!(ended(&mut stranded, 5_200, 8), [], "once for each way");
        stranded.sent(at(5_250), on(60));
        assert_eq!(ended(&mut stranded, 5_300, 9), [pedal(0)], "the key sounds again and has an end of its own");
        stranded.sent(at(5_350), off(60));
        assert_eq!(ended(&mut stranded, 5_400, 10), [pedal(0), off(60)], "that end may have reached nobody there");
        assert_eq!(ended(&mut stranded, 40_000, 11), [], "too late");
    }

    #[test]
    fn an_end_that_was_on_its_way_when_the_server_went_is_said_again() {
        let mut stranded = Stranded::default();
        for key in [60, 62, 64] {
            stranded.sent(at(1_000), on(key));
        }
        stranded.sent(at(1_300), off(60));
        stranded.sent(at(1_990), off(62));
        stranded.sent(at(1_999), pedal(0));
        stranded.server_gone(at(2_000));
        stranded.server_back(at(3_000), 0);
        assert_eq!(ended(&mut stranded, 3_000, 1), [pedal(0), off(62), off(64)]);
    }

    /// What is said again in so many periods from `ms` on.
    fn said_again(stranded: &mut Stranded, ms: u64, periods: u64) -> Vec<ShortMessage> {
        let ends = (0..periods).filter_map(|period| stranded.ends_in_doubt(at(ms + period)));
        ends.flatten().flatten().collect()
    }

    /// Four keys and a pedal down, and some of them up.
    fn played() -> Stranded {
        let mut stranded = Stranded::default();
        for message in [on(60), on(62), on(64), on(65), pedal(127)] {
            stranded.sent(at(1_000), message);
        }
        stranded.sent(at(1_300), off(60));
        for message in [off(62), off(64), pedal(40)] {
            stranded.sent(at(1_990), message);
        }
        stranded
    }

    #[test]
    fn an_end_that_was_written_in_a_late_period_is_said_again_once_periods_are_in_time() {
        let mut stranded = played();
        stranded.late(at(2_000));
        let calm = u64::from(CALM_AFTER);
        // Said at once as well, because it has not been for long.
        assert_eq!(said_again(&mut stranded, 2_001, calm), [off(62), off(64), pedal(40)]);
        stranded.late(at(2_020));
        stranded.sent(at(2_025), off(65));
        stranded.sent(at(2_025), on(64));
        assert_eq!(said_again(&mut stranded, 2_030, calm), [], "another late one");
        assert!(stranded.is_in_doubt());
        assert_eq!(said_again(&mut stranded, 2_040, 1), [off(62), pedal(40), off(65)], "key 64 sounds again");
        assert!(!stranded.is_in_doubt());
        assert_eq!(said_again(&mut stranded, 2_050, 10), [], "once");
    }

    #[test]
    fn while_periods_are_late_for_long_ends_are_said_again_all_the_same() {
        let mut stranded = played();
        let mut times = 0;
        for ms in 2_000..2_450 {
            stranded.late(at(ms));
            times += usize::from(stranded.ends_in_doubt(at(ms)).is_some());
        }
        assert_eq!(times, 5);
    }

    #[test]
    fn ends_in_doubt_when_the_server_goes_are_said_by_the_next_one() {
        let mut stranded = played();
        stranded.late(at(1_995));
        for ms in 1_996..3_000 {
            stranded.late(at(ms));
        }
        stranded.server_gone(at(3_000));
        assert!(!stranded.is_in_doubt());
        stranded.server_back(at(4_000), 0);
        assert_eq!(ended(&mut stranded, 4_000, 1), [pedal(0), off(62), off(64), off(65)]);
    }
}
