//! The gate: the last check on the way out. It caps notes a second, voices and keys, whatever was planned.
//!
//! The plan obeys limits of its own, which are musical. The gate stands for what the instrument behind the port, and
//! the cable to it, can take: should the plan ever go wrong, it goes wrong quietly.

use std::ops::RangeInclusive;

use crate::time::SessionTime;

/// What the gate lets through. The default is above all that the default limits of the answer let be planned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GateSettings {
    /// Notes a second in the long run, in [`GateSettings::NOTES_PER_SECOND`].
    pub notes_per_second: u16,
    /// Notes that may leave at once after a rest, in [`GateSettings::BURST`]. No second has more notes than this and
    /// `notes_per_second` together.
    pub burst: u16,
    /// Keys that may sound at once, in [`GateSettings::POLYPHONY`].
    pub polyphony: u8,
    /// Lowest key, in [`GateSettings::KEY`].
    pub lowest_key: u8,
    /// Highest key, in [`GateSettings::KEY`]; below the lowest, the two trade places.
    pub highest_key: u8,
}

impl GateSettings {
    /// Notes a second: a MIDI cable carries about 1000.
    pub const NOTES_PER_SECOND: RangeInclusive<u16> = 1..=1000;
    /// Notes that may leave at once.
    pub const BURST: RangeInclusive<u16> = 1..=1000;
    /// Keys that sound at once.
    pub const POLYPHONY: RangeInclusive<u8> = 1..=128;
    /// Keys of MIDI.
    pub const KEY: RangeInclusive<u8> = 0..=127;

    fn notes_per_second(&self) -> u64 {
        u64::from(self.notes_per_second.clamp(*Self::NOTES_PER_SECOND.start(), *Self::NOTES_PER_SECOND.end()))
    }

    fn burst(&self) -> u64 {
        u64::from(self.burst.clamp(*Self::BURST.start(), *Self::BURST.end()))
    }

    fn polyphony(&self) -> usize {
        usize::from(self.polyphony.clamp(*Self::POLYPHONY.start(), *Self::POLYPHONY.end()))
    }
}

impl Default for GateSettings {
    fn default() -> Self {
        Self {
            notes_per_second: 100,
            burst: 64,
            polyphony: 64,
            lowest_key: *Self::KEY.start(),
            highest_key: *Self::KEY.end(),
        }
    }
}

/// What the gate refused since the session began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Refused {
    /// Keys outside the range.
    pub by_key: u64,
    /// Notes for which too many keys sounded.
    pub by_polyphony: u64,
    /// Notes that came too fast.
    pub by_rate: u64,
}

impl Refused {
    /// All of them.
    pub fn total(&self) -> u64 {
        self.by_key + self.by_polyphony + self.by_rate
    }
}

/// Lets note-ons through or not. Note-offs do not come here: they always pass.
///
/// Thread: player, or JACK's process callback. Realtime-safe: yes, a few integers and no memory.
#[derive(Clone, Copy, Debug, Default)]
pub struct Gate {
    /// May be changed at any time; what sounds is not touched.
    pub settings: GateSettings,
    /// Millionths of a note by which the bucket is short of full, so that a gate begins with a full one and a burst
    /// that grows is there at once.
    missing: u64,
    /// When the bucket was last filled up.
    filled: SessionTime,
    refused: Refused,
}

/// Parts of a note that the bucket counts: a rate in notes a second is then this many parts each microsecond.
const PARTS: u64 = 1_000_000;

impl Gate {
    /// A gate that has let nothing through yet.
    pub fn new(settings: GateSettings) -> Self {
        Self { settings, ..Self::default() }
    }

    /// Whether a note-on of `key` may leave at `now`, the time at which it is sent, while `sounding` keys sound that
    /// this note does not release. One that may not is counted; it must be dropped whole, with its note-off.
    pub fn admits(&mut self, now: SessionTime, key: u8, sounding: usize) -> bool {
        let GateSettings { lowest_key, highest_key, .. } = self.settings;
        if key > 127 || key < lowest_key.min(highest_key).min(127) || key > lowest_key.max(highest_key) {
            self.refused.by_key += 1;
            return false;
        }
        if sounding >= self.settings.polyphony() {
            self.refused.by_polyphony += 1;
            return false;
        }
        // A clock that steps back fills nothing, and the time until it has caught up is not filled twice.
        let filling = now.since(self.filled).as_micros().saturating_mul(self.settings.notes_per_second());
        self.filled = self.filled.max(now);
        self.missing = self.missing.saturating_sub(filling);
        if self.missing + PARTS > self.settings.burst() * PARTS {
            self.refused.by_rate += 1;
            return false;
        }
        self.missing += PARTS;
        true
    }

    /// What was refused so far.
    pub fn refused(&self) -> Refused {
        self.refused
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::limits::Limits;
    use crate::note::Note;
    use crate::time::SessionDuration;

    fn at(ms: u64) -> SessionTime {
        SessionTime::from_micros(ms * 1000)
    }

    #[test]
    fn a_burst_passes_and_then_notes_at_the_rate() {
        let mut gate = Gate::new(GateSettings { notes_per_second: 10, burst: 4, ..GateSettings::default() });
        let admitted: Vec<u64> = (0..1000).filter(|&ms| gate.admits(at(ms), 60, 0)).collect();
        assert_eq!(admitted, [0, 1, 2, 3, 100, 200, 300, 400, 500, 600, 700, 800, 900]);
        assert_eq!(gate.refused(), Refused { by_rate: 1000 - 13, ..Refused::default() });
    }

    #[test]
    fn each_cap_counts_what_it_refuses() {
        let mut gate = Gate::new(GateSettings { polyphony: 2, lowest_key: 40, highest_key: 50, ..Default::default() });
        assert!(gate.admits(at(0), 40, 0));
        assert!(gate.admits(at(0), 50, 1));
        assert!(!gate.admits(at(0), 45, 2));
        assert!(!gate.admits(at(0), 39, 0));
        assert!(!gate.admits(at(0), 51, 0));
        assert!(!gate.admits(at(0), 200, 0));
        assert_eq!(gate.refused(), Refused { by_key: 3, by_polyphony: 1, by_rate: 0 });
        assert_eq!(gate.refused().total(), 4);
    }

    #[test]
    fn settings_change_while_it_plays() {
        let mut gate = Gate::new(GateSettings { burst: 1, notes_per_second: 1, ..GateSettings::default() });
        assert!(gate.admits(at(0), 60, 0));
        assert!(!gate.admits(at(10), 60, 0));
        gate.settings.burst = 3;
        assert!(gate.admits(at(20), 60, 0));
        gate.settings.burst = 1;
        assert!(!gate.admits(at(1000), 60, 0), "what left counts on");
        assert!(gate.admits(at(2000), 60, 0));
    }

    #[test]
    fn a_clock_that_steps_back_gives_no_notes_for_nothing() {
        let mut gate = Gate::new(GateSettings { burst: 1, notes_per_second: 1, ..GateSettings::default() });
        assert!(gate.admits(at(5000), 60, 0));
        assert!(!gate.admits(at(1000), 60, 0));
        assert!(!gate.admits(at(5500), 60, 0));
        assert!(gate.admits(at(6000), 60, 0));
        assert!(gate.admits(SessionTime::MAX, 60, 0));
    }

    fn settings() -> impl Strategy<Value = GateSettings> {
        (0u16..60, 0u16..20, 0u8..12, 0u8..140, 0u8..140).prop_map(
            |(notes_per_second, burst, polyphony, lowest_key, highest_key)| GateSettings {
                notes_per_second,
                burst,
                polyphony,
                lowest_key,
                highest_key,
            },
        )
    }

    proptest! {
        #[test]
        fn whatever_is_planned_the_caps_hold(
            settings in settings(),
            notes in proptest::collection::vec((0u64..80_000, 0u8..=255, 0u64..2_000_000), 0..400),
        ) {
            let mut gate = Gate::new(settings);
            let mut sent: Vec<(u64, u64)> = Vec::new();
            let (mut now, mut refused) = (0, 0);
            for (wait, key, length) in notes {
                now += wait;
                let sounding = sent.iter().filter(|&&(_, end)| end > now).count();
                if !gate.admits(SessionTime::from_micros(now), key, sounding) {
                    refused += 1;
                    continue;
                }
                sent.push((now, now + length));
                let (one, other) = (settings.lowest_key.min(127), settings.highest_key.min(127));
                prop_assert!((one.min(other)..=one.max(other)).contains(&key));
                prop_assert!(sounding < usize::from(settings.polyphony.max(1)));
                // The bound of a token bucket, over every span that ends here.
                for (number, &(begin, _)) in sent.iter().rev().enumerate() {
                    let most = u64::from(settings.burst.max(1)) * PARTS
                        + (now - begin) * u64::from(settings.notes_per_second.max(1));
                    prop_assert!((number as u64 + 1) * PARTS <= most);
                }
            }
            prop_assert_eq!(gate.refused().total(), refused);
        }

        #[test]
        fn what_the_default_limits_let_be_planned_passes_the_default_gate(
            waits in proptest::collection::vec((0u64..40, 1u64..20_000), 0..400),
        ) {
            let (limits, mut gate) = (Limits::default(), Gate::default());
            let mut played: Vec<Note> = Vec::new();
            for (wait, length) in waits {
                let last = played.last().map_or(SessionTime::ZERO, |note| note.onset);
                let onset = (last + SessionDuration::from_millis(wait)).max(limits.earliest_onset(&played));
                let sounding = played.iter().filter(|note| note.end() > onset).count();
                prop_assert!(gate.admits(onset, 60, sounding));
                played.push(Note { onset, key: 60, duration: SessionDuration::from_millis(length), velocity: 64 });
            }
        }
    }
}
