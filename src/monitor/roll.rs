//! What was played, what sounds, what is planned: the notes that a piano roll shows. Times are seconds of the session.

use super::wire::{Off, On};

/// Notes that ended so long ago are forgotten.
const KEPT: f64 = 60.0;

/// Played notes that are kept at most, so that a flood takes no memory without end.
const MOST: usize = 20_000;

/// A planned note whose time has come by so much, and that was not played, is forgotten.
const OVERDUE: f64 = 1.0;

/// The shortest note that is shown.
const SHORTEST: f64 = 0.01;

/// Whose note.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Voice {
    /// The human's.
    Human,
    /// Antiphon's.
    Ai,
    /// A take's that is played back. It is told up to a second before it sounds.
    Take,
}

/// A note that was played.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Played {
    pub voice: Voice,
    channel: u8,
    pub key: u8,
    pub onset: f64,
    /// `None` while it sounds.
    pub end: Option<f64>,
}

/// A note of the plan.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Planned {
    pub channel: u8,
    pub key: u8,
    pub onset: f64,
    pub duration: f64,
}

/// The notes.
#[derive(Clone, Debug, Default)]
pub(super) struct Roll {
    played: Vec<Played>,
    planned: Vec<Planned>,
}

impl Roll {
    pub(super) fn on(&mut self, voice: Voice, On { at, channel, key }: On) {
        self.off(voice, Off { at, channel, key });
        if self.played.len() >= MOST {
            self.played.remove(0);
        }
        self.played.push(Played { voice, channel, key, onset: at, end: None });
        if voice == Voice::Ai {
            // The plan has come true.
            self.planned.retain(|plan| (plan.channel, plan.key) != (channel, key) || (plan.onset - at).abs() > 0.05);
        }
    }

    pub(super) fn off(&mut self, voice: Voice, Off { at, channel, key }: Off) {
        let sounding = self.played.iter_mut().rev().filter(|note| note.end.is_none());
        let own = |note: &&mut Played| (note.voice, note.channel, note.key) == (voice, channel, key);
        if let Some(note) = sounding.into_iter().find(own) {
            note.end = Some(at.max(note.onset + SHORTEST));
        }
    }

    pub(super) fn plan(&mut self, planned: Planned) {
        if self.planned.len() < MOST {
            self.planned.push(planned);
        }
    }

    /// Planned notes that begin after `after` will not be played.
    pub(super) fn drop_plan(&mut self, channel: u8, after: f64) {
        self.planned.retain(|plan| plan.channel != channel || plan.onset <= after);
    }

    /// Some of what happened was missed: what sounds may have ended.
    pub(super) fn lose_track(&mut self, now: f64) {
        for note in self.played.iter_mut().filter(|note| note.end.is_none()) {
            note.end = Some(now.max(note.onset + SHORTEST));
        }
    }

    /// What this voice has not begun by then is never heard, and what it holds ends.
    pub(super) fn cut(&mut self, voice: Voice, at: f64) {
        self.played.retain(|note| note.voice != voice || note.onset <= at);
        for note in self.played.iter_mut().filter(|note| note.voice == voice && note.end.is_none_or(|end| end > at)) {
            note.end = Some(at.max(note.onset + SHORTEST));
        }
    }

    /// Forgets what is long over.
    pub(super) fn pass_time(&mut self, now: f64) {
        self.played.retain(|note| note.end.is_none_or(|end| end > now - KEPT));
        self.planned.retain(|plan| plan.onset > now - OVERDUE);
    }

    /// Notes that were played, in the order in which they began.
    pub(super) fn played(&self) -> &[Played] {
        &self.played
    }

    /// Notes that are planned.
    pub(super) fn planned(&self) -> &[Planned] {
        &self.planned
    }

    /// Lowest and highest key of all that is known.
    pub(super) fn range(&self) -> Option<(u8, u8)> {
        let keys = || self.played.iter().map(|note| note.key).chain(self.planned.iter().map(|plan| plan.key));
        Some((keys().min()?, keys().max()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn on(at: f64, key: u8) -> On {
        On { at, channel: 1, key }
    }

    #[test]
    fn a_note_lasts_from_its_press_to_its_release_and_a_second_press_ends_it_too() {
        let mut roll = Roll::default();
        roll.on(Voice::Human, on(1.0, 60));
        roll.on(Voice::Ai, on(1.2, 60));
        roll.on(Voice::Human, on(1.5, 60));
        roll.off(Voice::Human, Off { at: 2.0, channel: 1, key: 60 });
        roll.off(Voice::Human, Off { at: 2.5, channel: 1, key: 60 });
        let ends: Vec<_> = roll.played().iter().map(|note| note.end).collect();
        assert_eq!(ends, [Some(1.5), None, Some(2.0)], "each voice has its own keys");
        roll.lose_track(3.0);
        assert_eq!(roll.played()[1].end, Some(3.0));
    }

    #[test]
    fn a_plan_comes_true_or_is_dropped_or_is_overdue() {
        let mut roll = Roll::default();
        for (onset, key) in [(1.0, 60), (1.5, 62), (2.0, 64), (2.5, 65)] {
            roll.plan(Planned { channel: 1, key, onset, duration: 0.4 });
        }
        roll.on(Voice::Ai, on(1.001, 60));
        roll.drop_plan(2, 0.0);
        assert_eq!(roll.planned().len(), 3, "another player's");
        roll.drop_plan(1, 2.2);
        assert_eq!(roll.planned().iter().map(|plan| plan.key).collect::<Vec<_>>(), [62, 64]);
        roll.pass_time(2.6);
        assert_eq!(roll.planned().iter().map(|plan| plan.key).collect::<Vec<_>>(), [64]);
        assert_eq!(roll.range(), Some((60, 64)));
    }

    #[test]
    fn a_take_that_is_stopped_ends_where_it_is() {
        let mut roll = Roll::default();
        for (onset, key) in [(1.0, 60), (1.8, 62), (2.5, 64)] {
            roll.on(Voice::Take, on(onset, key));
            roll.off(Voice::Take, Off { at: onset + 0.5, channel: 1, key });
        }
        roll.on(Voice::Human, on(2.2, 60));
        roll.cut(Voice::Take, 2.0);
        let left: Vec<_> = roll.played().iter().map(|note| (note.voice, note.key, note.end)).collect();
        assert_eq!(left, [(Voice::Take, 60, Some(1.5)), (Voice::Take, 62, Some(2.0)), (Voice::Human, 60, None)]);
    }

    #[test]
    fn a_flood_takes_no_memory_without_end() {
        let mut roll = Roll::default();
        for at in 0..u32::try_from(MOST).expect("small") + 10 {
            roll.on(Voice::Human, on(f64::from(at), 60));
        }
        assert_eq!(roll.played().len(), MOST);
        roll.pass_time(f64::from(u32::try_from(MOST).expect("small")) + 1000.0);
        assert_eq!(roll.played().len(), 1, "what sounds is kept");
    }
}
