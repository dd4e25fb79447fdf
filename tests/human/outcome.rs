//! What came of a session with a simulated player, seen from outside: from what was on the wires alone.

use std::collections::BTreeSet;

use antiphon::continuation::Voice;
use antiphon::figures::Spread;
use antiphon::midi::{MidiEvent, TimedMessage};
use antiphon::take::Happening;
use antiphon::time::{SessionDuration, SessionTime};

/// Silences after which programs with a fixed timeout answer, for comparison.
pub const TIMEOUTS: [SessionDuration; 2] = [SessionDuration::from_millis(500), SessionDuration::from_millis(1_000)];

/// An answering note that begins so soon after a human one was left over: no new answer begins so fast.
const LEFT_OVER: SessionDuration = SessionDuration::from_millis(30);

/// A phrase that was played, and where it would have gone on.
#[derive(Clone, Copy, Debug)]
pub struct Played {
    /// The onset of its first note.
    pub begin: SessionTime,
    /// The onset of its last note.
    pub last_onset: SessionTime,
    /// The last release.
    pub rest: SessionTime,
    /// The onset of the note that the player left out.
    pub next: SessionTime,
}

/// What came of it.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Phrases that were answered before the next one began.
    pub answered: usize,
    /// How far each answer's first onset was from where the player's next one would have been.
    pub handover_error: Spread,
    /// The same for programs that answer after each of [`TIMEOUTS`], of the same phrases.
    pub timeout_error: [Spread; 2],
    /// Phrases into whose rests an answer began.
    pub interrupted: usize,
    /// From each human note-on into a sounding answer to the release of all that sounded.
    pub barge_in: Spread,
    /// Answering notes that began although a human note had just cut the answer off.
    pub left_over: usize,
    /// Note-ons of the answers.
    pub notes: u64,
    /// Keys that sound at the end.
    pub stuck: usize,
}

impl Outcome {
    /// Looks at the phrases, in time order, and at everything that was on the wires.
    pub fn new(phrases: &[Played], log: &[Happening]) -> Self {
        let wire = wire(log);
        let onsets: Vec<SessionTime> = wire
            .iter()
            .filter(|event| event.voice == Voice::Ai && event.timed.message.is_note_on())
            .map(|event| event.timed.time)
            .collect();
        let mut outcome = Self { notes: onsets.len() as u64, ..Self::default() };
        for (index, phrase) in phrases.iter().enumerate() {
            let until = phrases.get(index + 1).map_or(SessionTime::MAX, |next| next.begin);
            let first = onsets.iter().find(|&&onset| onset > phrase.last_onset && onset < until);
            if let Some(&first) = first {
                outcome.answered += 1;
                outcome.handover_error.add(between(first, phrase.next));
                for (spread, timeout) in outcome.timeout_error.iter().zip(TIMEOUTS) {
                    spread.add(between(phrase.rest + timeout, phrase.next));
                }
            }
            let inside = onsets.iter().any(|&onset| onset > phrase.begin && onset < phrase.last_onset);
            outcome.interrupted += usize::from(inside);
        }
        outcome.follow(&wire);
        outcome
    }

    /// Follows what sounds.
    fn follow(&mut self, wire: &[Event]) {
        let mut sounding = BTreeSet::new();
        let mut human = SessionTime::ZERO;
        // The human note that cut an answer off, and what has yet to be released.
        let mut cut = (SessionTime::ZERO, BTreeSet::new());
        for &Event { timed: TimedMessage { time, message }, voice } in wire {
            match (voice, message.event()) {
                (Voice::Human, MidiEvent::NoteOn { .. }) => {
                    human = time;
                    if cut.1.is_empty() {
                        cut = (time, sounding.clone());
                    }
                }
                (Voice::Ai, MidiEvent::NoteOn { channel, key, .. }) => {
                    sounding.insert((channel, key));
                    self.left_over +=
                        usize::from(time > human && time < human + LEFT_OVER && human > SessionTime::ZERO);
                }
                (Voice::Ai, MidiEvent::NoteOff { channel, key }) => {
                    sounding.remove(&(channel, key));
                    if cut.1.remove(&(channel, key)) && cut.1.is_empty() {
                        self.barge_in.add(time.since(cut.0));
                    }
                }
                _ => {}
            }
        }
        self.stuck = sounding.len();
    }
}

struct Event {
    timed: TimedMessage,
    voice: Voice,
}

/// The messages in time order. Of one moment, the human's come first: they are what the answer reacts to.
fn wire(log: &[Happening]) -> Vec<Event> {
    let event = |happening: &Happening| match *happening {
        Happening::Human(timed) => Some(Event { timed, voice: Voice::Human }),
        Happening::Ai(timed) => Some(Event { timed, voice: Voice::Ai }),
        _ => None,
    };
    let mut wire: Vec<Event> = log.iter().filter_map(event).collect();
    wire.sort_by_key(|event| (event.timed.time, event.voice == Voice::Ai));
    wire
}

/// The distance of two times, whichever is first.
fn between(one: SessionTime, other: SessionTime) -> SessionDuration {
    one.since(other).max(other.since(one))
}
