//! What a person wants to know while it runs: who plays, what came in, where it went, what was lost.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering::Relaxed};

use crate::conductor::Turn;
use crate::figures::Figures;
use crate::life::Life;
use crate::midi::{MidiEvent, ShortMessage, key_name};
use crate::ports::SoundFigures;

/// Marks that no key has been seen yet.
const NO_KEY: u8 = 255;

/// Counters that every thread adds to.
///
/// Thread: any. Realtime-safe: yes, each is one atomic.
#[derive(Debug)]
pub struct Status {
    human: Voice,
    ai: Voice,
    turn: AtomicU8,
    /// Channel and clock messages that came in, echoes left out, and those that were let go of for a source that went.
    pub received: AtomicU64,
    /// Those of them that were control and no music.
    pub control: AtomicU64,
    /// Messages made up to let go of what is not held any more, where the ones that said so were dropped.
    pub mended: AtomicU64,
    /// Messages that mean nothing here: active sensing, reset, what is damaged.
    pub passed_over: AtomicU64,
    /// Channel messages of the human that are in the take.
    pub recorded: AtomicU64,
    /// Clock and transport messages that shaped the take's tempo map.
    pub clock_recorded: AtomicU64,
    /// SysEx messages that are in the take.
    pub sysex_recorded: AtomicU64,
    /// Messages that came in while the conductor's queue was full.
    pub input_dropped: AtomicU64,
    /// Times at which the MIDI system had no room for what came in. How much that was it does not tell.
    pub input_overruns: AtomicU64,
    /// Xruns that JACK told of: periods that were late, ours or somebody else's. What was in them is lost to whoever listens.
    pub xruns: AtomicU64,
    /// Keys of the human of which the player was not told because its queue was full.
    pub player_missed: AtomicU64,
    /// Messages of our own that came back and were not heard.
    pub echoes: AtomicU64,
    /// Notes that the model never took in, because so many came at once.
    pub unheard: AtomicU64,
    /// Notes that were not planned because the player's queue was full.
    pub plan_dropped: AtomicU64,
    /// Notes that the player refused because too many waited.
    pub plan_refused: AtomicU64,
    /// Notes that the gate did not let out.
    pub gated: AtomicU64,
    /// Messages that the recorder's queue had no place for.
    pub record_dropped: AtomicU64,
    /// Pieces of SysEx messages that the recorder's queue had no place for; their messages are in `sysex_lost` too.
    pub sysex_dropped: AtomicU64,
    /// SysEx messages that are not in the take: longer than a mebibyte, or a piece was dropped.
    pub sysex_lost: AtomicU64,
    /// Calls that the session file had no place for.
    pub session_dropped: AtomicU64,
    /// Times at which the plan had run dry and was started again from the clock.
    pub late: AtomicU64,
    /// Times at which the take could not be written; it is tried again every second.
    pub write_failed: AtomicU64,
    /// Messages that a port refused.
    pub send_failed: AtomicU64,
    /// Whether the MIDI system is away just now.
    pub system_away: AtomicBool,
    /// Named ports that are not there just now.
    pub ports_missing: AtomicU64,
    /// Times at which a named port has gone.
    pub ports_lost: AtomicU64,
    /// Times at which the MIDI system has gone.
    pub systems_lost: AtomicU64,
    /// How well time is kept.
    pub figures: Figures,
    /// Whether a take is played back.
    pub replaying: AtomicBool,
    /// Whether the threads that play still turn over.
    pub life: Life,
    /// The sound of `--synth`.
    pub sound: SoundFigures,
    /// Set when the model, the MIDI system or a thread failed: the session is over.
    pub failed: AtomicBool,
}

#[derive(Debug)]
struct Voice {
    notes: AtomicU64,
    last_key: AtomicU8,
}

impl Voice {
    const fn silent() -> Self {
        Self { notes: AtomicU64::new(0), last_key: AtomicU8::new(NO_KEY) }
    }

    fn count(&self, message: ShortMessage) {
        if let MidiEvent::NoteOn { key, .. } = message.event() {
            self.notes.fetch_add(1, Relaxed);
            self.last_key.store(key, Relaxed);
        }
    }
}

impl fmt::Display for Voice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let notes = self.notes.load(Relaxed);
        write!(f, "{notes} note{}", if notes == 1 { "" } else { "s" })?;
        match self.last_key.load(Relaxed) {
            NO_KEY => Ok(()),
            key => write!(f, " (last {})", key_name(key)),
        }
    }
}

impl Default for Status {
    fn default() -> Self {
        Self {
            human: Voice::silent(),
            ai: Voice::silent(),
            turn: AtomicU8::new(Turn::Human as u8),
            received: AtomicU64::new(0),
            control: AtomicU64::new(0),
            mended: AtomicU64::new(0),
            passed_over: AtomicU64::new(0),
            recorded: AtomicU64::new(0),
            clock_recorded: AtomicU64::new(0),
            sysex_recorded: AtomicU64::new(0),
            input_dropped: AtomicU64::new(0),
            input_overruns: AtomicU64::new(0),
            xruns: AtomicU64::new(0),
            player_missed: AtomicU64::new(0),
            echoes: AtomicU64::new(0),
            unheard: AtomicU64::new(0),
            plan_dropped: AtomicU64::new(0),
            plan_refused: AtomicU64::new(0),
            gated: AtomicU64::new(0),
            record_dropped: AtomicU64::new(0),
            sysex_dropped: AtomicU64::new(0),
            sysex_lost: AtomicU64::new(0),
            session_dropped: AtomicU64::new(0),
            late: AtomicU64::new(0),
            write_failed: AtomicU64::new(0),
            send_failed: AtomicU64::new(0),
            system_away: AtomicBool::new(false),
            ports_missing: AtomicU64::new(0),
            ports_lost: AtomicU64::new(0),
            systems_lost: AtomicU64::new(0),
            figures: Figures::default(),
            replaying: AtomicBool::new(false),
            life: Life::default(),
            sound: SoundFigures::default(),
            failed: AtomicBool::new(false),
        }
    }
}

impl Status {
    /// The human sent this.
    pub fn heard(&self, message: ShortMessage) {
        self.human.count(message);
    }

    /// Antiphon sent this.
    pub fn sent(&self, message: ShortMessage) {
        self.ai.count(message);
    }

    /// The turn is now this one's.
    pub fn set_turn(&self, turn: Turn) {
        self.turn.store(turn as u8, Relaxed);
    }

    /// Whose turn it is.
    pub fn turn(&self) -> Turn {
        let turn = self.turn.load(Relaxed);
        [Turn::Ai, Turn::Both].into_iter().find(|known| *known as u8 == turn).unwrap_or(Turn::Human)
    }

    /// Notes that the human and Antiphon have played.
    pub fn notes(&self) -> [u64; 2] {
        [self.human.notes.load(Relaxed), self.ai.notes.load(Relaxed)]
    }

    /// What was lost, in words; empty when nothing was.
    pub fn losses(&self) -> String {
        let counters = [
            (&self.input_dropped, "input messages dropped"),
            (&self.input_overruns, "times the MIDI system lost what came in"),
            (&self.player_missed, "keys of yours that did not reach the player"),
            (&self.unheard, "notes of a flood that the model never heard"),
            (&self.plan_dropped, "planned notes dropped"),
            (&self.plan_refused, "planned notes refused"),
            (&self.gated, "notes held back by the gate"),
            (&self.late, "times late"),
            (&self.send_failed, "messages not sent"),
            (&self.record_dropped, "messages not recorded"),
            (&self.sysex_dropped, "pieces of SysEx dropped"),
            (&self.sysex_lost, "SysEx messages not recorded"),
            (&self.session_dropped, "calls missing in the session file"),
            (&self.sound.dropouts, "dropouts of the sound"),
            (&self.sound.dropped, "messages not heard"),
            (&self.sound.lost, "times the sound device has gone"),
            (&self.ports_lost, "times a named port has gone"),
            (&self.write_failed, "times the take could not be written"),
        ];
        let lost = counters.iter().map(|(counter, what)| (counter.load(Relaxed), what)).filter(|(count, _)| *count > 0);
        lost.map(|(count, what)| format!("{count} {what}")).collect::<Vec<_>>().join(", ")
    }
}

impl fmt::Display for Status {
    /// One line: whose turn, what came in, what went out, what was lost.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let turn = match (self.turn(), self.notes()) {
            _ if self.replaying.load(Relaxed) => "a take is played back",
            (Turn::Ai, _) => "Antiphon answers",
            (Turn::Both, _) => "you play together",
            (Turn::Human, [0, _]) => "waiting for you",
            (Turn::Human, _) => "you play",
        };
        write!(f, "{turn} | heard {} | played {}", self.human, self.ai)?;
        match self.echoes.load(Relaxed) {
            0 => {}
            echoes => write!(f, " | {echoes} of its own not heard")?,
        }
        match self.ports_missing.load(Relaxed) {
            _ if self.system_away.load(Relaxed) => f.write_str(" | waiting for the MIDI system")?,
            0 => {}
            1 => f.write_str(" | waiting for a port")?,
            ports => write!(f, " | waiting for {ports} ports")?,
        }
        match self.losses() {
            losses if losses.is_empty() => Ok(()),
            losses => write!(f, " | {losses}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_says_who_plays_what_came_in_and_what_went_out() {
        let status = Status::default();
        assert_eq!(status.to_string(), "waiting for you | heard 0 notes | played 0 notes");
        status.heard(ShortMessage::note_on(0, 60, 64));
        status.heard(ShortMessage::note_off(0, 60));
        status.set_turn(Turn::Ai);
        status.sent(ShortMessage::note_on(0, 64, 64));
        status.sent(ShortMessage::note_on(0, 67, 64));
        status.late.fetch_add(1, Relaxed);
        status.echoes.fetch_add(2, Relaxed);
        assert_eq!(
            status.to_string(),
            "Antiphon answers | heard 1 note (last C4) | played 2 notes (last G4) | 2 of its own not heard | 1 times late"
        );
    }
}
