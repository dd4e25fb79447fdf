//! Whether the threads that play still turn over: each shows life, and somebody looks.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// How long a thread with nothing to do may wait before it shows life again.
pub const BEAT_EVERY: Duration = Duration::from_millis(200);

/// A thread that has shown no life for so long hangs: ten times as long as it ever waits, so that neither a slow disk nor
/// a busy machine is taken for it.
pub const LATELY: Duration = Duration::from_secs(2);

/// How often a thread has come round.
///
/// Thread: the one whose pulse it is beats, any may look. Realtime-safe: yes, it is one atomic.
#[derive(Debug, Default)]
pub struct Pulse(AtomicU64);

impl Pulse {
    /// Shows life.
    pub fn beat(&self) {
        self.0.fetch_add(1, Relaxed);
    }
}

/// The pulses of the threads without which there is no music, or no take of it.
#[derive(Debug, Default)]
pub struct Life {
    /// The conductor's thread.
    pub conductor: Pulse,
    /// The player's thread, or JACK's.
    pub player: Pulse,
    /// The recorder's thread.
    pub recorder: Pulse,
}

impl Life {
    fn pulses(&self) -> [(&'static str, &Pulse); 3] {
        [("conductor", &self.conductor), ("player", &self.player), ("recorder", &self.recorder)]
    }
}

/// Looks at the pulses from time to time.
#[derive(Debug)]
pub struct Vigil {
    /// How far each had come when it was last seen to move, and when that was.
    seen: [(u64, Instant); 3],
}

impl Vigil {
    /// Begins to look.
    pub fn begin(now: Instant) -> Self {
        Self { seen: [(0, now); 3] }
    }

    /// Looks now. Gives back the names of those that have shown no life lately. The player is excused while the MIDI
    /// system is away that calls it.
    pub fn look(&mut self, now: Instant, life: &Life, player_is_called: bool) -> Vec<&'static str> {
        let mut lifeless = Vec::new();
        for ((name, pulse), (count, moved)) in life.pulses().into_iter().zip(&mut self.seen) {
            let counted = pulse.0.load(Relaxed);
            if counted != *count || (name == "player" && !player_is_called) {
                (*count, *moved) = (counted, now);
            }
            if now.duration_since(*moved) > LATELY {
                lifeless.push(name);
            }
        }
        lifeless
    }

    /// Whether each has shown life at least once.
    pub fn all_have_begun(&self) -> bool {
        self.seen.iter().all(|(count, _)| *count > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_shows_no_life_lately_is_named_until_it_does() {
        let begin = Instant::now();
        let at = |ms: u64| begin + Duration::from_millis(ms);
        let life = Life::default();
        let mut vigil = Vigil::begin(begin);
        life.conductor.beat();
        life.recorder.beat();
        assert!(vigil.look(at(0), &life, true).is_empty() && !vigil.all_have_begun());
        life.player.beat();
        assert!(vigil.look(at(100), &life, true).is_empty() && vigil.all_have_begun());
        for ms in (200..2000).step_by(100) {
            life.conductor.beat();
            life.recorder.beat();
            assert!(vigil.look(at(ms), &life, true).is_empty(), "not yet at {ms} ms");
        }
        life.conductor.beat();
        assert_eq!(vigil.look(at(2101), &life, true), ["player"]);
        assert_eq!(vigil.look(at(4200), &life, true), ["conductor", "player", "recorder"]);
        life.player.beat();
        life.recorder.beat();
        assert_eq!(vigil.look(at(4300), &life, true), ["conductor"]);
    }

    #[test]
    fn a_player_that_nobody_calls_is_excused_and_has_its_time_when_it_is_called_again() {
        let begin = Instant::now();
        let life = Life::default();
        let mut vigil = Vigil::begin(begin);
        let mut look = |seconds, called| {
            life.conductor.beat();
            life.recorder.beat();
            vigil.look(begin + Duration::from_secs(seconds), &life, called)
        };
        assert!(look(1, true).is_empty());
        assert!((2..60).all(|second| look(second, false).is_empty()));
        assert!(look(61, true).is_empty());
        assert_eq!(look(62, true), ["player"]);
    }
}
