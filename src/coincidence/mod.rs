//! What falls together: notes tend to begin and to end at the very moment at which another one ends.
//!
//! An LSTM that is told times in classes cannot add them up to the hundredth of a second, and so does not know when the
//! notes that sound now will end. But much hangs on it: a chord is released as one, a pedal ends all that it holds, a
//! voice goes on where its last note ends, a key that is still down is not struck. This module adds the ends up and
//! leans the next note's logits towards or away from them, after the model and the memory have spoken:
//!
//! | attribute | leaned |
//! |---|---|
//! | `shift` | onsets at the ends of notes that sound |
//! | `key` | keys that sound, that end at this onset, or that ended of late |
//! | `duration` | releases at the ends of notes that sound |
//!
//! It is a log-linear model: the logit of a class changes by the sum of a few weights, one for each [`Sign`] of the end
//! that falls there: how many notes end with it, which of the ends it is, how far the model believed in it anyway. The
//! weights were fitted once, on pieces that neither the model was trained on nor any result is stated for
//! ([`tuning`]). Nothing is learnt along a session, and nothing kept: it is a pure function of the last [`LOOK_BACK`] notes.

mod signs;
pub mod tuning;

use std::sync::LazyLock;

use signs::{Sign, Table};

use crate::note::Note;
use crate::note_model::{Attribute, TimeBins};
use crate::time::{SessionDuration, SessionTime};

/// Notes that are looked back at.
pub const LOOK_BACK: usize = 64;

/// The weights that [`tuning`] has found, one table for each of shift, key and duration.
static WEIGHTS: LazyLock<[Table; 3]> =
    LazyLock::new(|| serde_json::from_str(include_str!("weights.json")).expect("the weights are part of the program"));

/// Onsets closer than this are one chord: half a cell of the time grid.
const TOGETHER_US: i64 = 5_000;
/// Ends no further apart than this from one to the next are one end.
const SAME_END_US: i64 = 6_000;
/// What ends so soon has ended.
const ENDED_US: i64 = 3_000;
/// A key that was released so long ago is a key like any other.
const LONG_AGO_US: i64 = -3_000_000;
/// Where a held note is thought to end, counted from the next onset: not now.
const HELD_US: i64 = 500_000;

/// A note before the next one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Earlier {
    /// The note.
    pub note: Note,
    /// Whether its key or a pedal still holds it, so that its end is a guess.
    pub held: bool,
}

/// What falls together with the next note. Takes no new memory once it is made.
#[derive(Clone, Debug)]
pub struct Coincidence {
    weights: &'static [Table; 3],
    /// Kept so that leaning takes no new memory: the ends that were looked at last, the earliest first.
    ends: Vec<End>,
    signs: Vec<(u8, Sign)>,
}

/// A moment at which notes end.
#[derive(Clone, Copy, Debug)]
struct End {
    /// When, counted from the moment that is looked from.
    after_us: i64,
    /// Notes that end there.
    notes: usize,
    /// Notes that have begun since the youngest of them.
    age: usize,
}

impl Default for Coincidence {
    fn default() -> Self {
        Self { weights: &WEIGHTS, ends: Vec::with_capacity(LOOK_BACK), signs: Vec::with_capacity(3 * LOOK_BACK) }
    }
}

impl Coincidence {
    /// Leans the logits of an attribute of the next note, given the notes before it, the latest first, and its onset as
    /// far as it is decided: for the shift, that of the latest note. Logits that are not finite are left alone, and all
    /// of them when there is nothing to say; velocities always.
    pub fn lean(
        &mut self,
        attribute: Attribute,
        earlier: impl Iterator<Item = Earlier> + Clone,
        onset: SessionTime,
        logits: &mut [f32],
    ) {
        let Some(chord) = self.look(attribute, earlier, onset, logits) else { return };
        self.weights[attribute.index()].lean(chord, &self.signs, logits);
    }

    /// The duration that ends with other notes, of those whose class is `class`: with the youngest, if there is a choice.
    /// Counts from the onset for which durations were leaned last.
    pub fn duration_of(&self, class: u8) -> Option<SessionDuration> {
        let bins = TimeBins::duration();
        let here = self.ends.iter().filter(|end| bins.class_of(duration(end.after_us)) == class);
        here.min_by_key(|end| end.age).map(|end| duration(end.after_us))
    }

    /// Gathers the signs of all classes that have some. True when the note in question belongs to a chord (for the shift:
    /// when the latest note did). `None` when there is nothing to say.
    fn look(
        &mut self,
        attribute: Attribute,
        earlier: impl Iterator<Item = Earlier> + Clone,
        onset: SessionTime,
        logits: &[f32],
    ) -> Option<bool> {
        self.signs.clear();
        self.ends.clear();
        let earlier = earlier.take(LOOK_BACK);
        let latest = earlier.clone().next()?.note.onset;
        let total = log_of_sum(logits)?;
        let doubt = |class: u8| logits.get(usize::from(class)).map_or(f32::INFINITY, |logit| total - logit);
        let bins = match attribute {
            Attribute::Shift => TimeBins::shift(),
            Attribute::Duration => TimeBins::duration(),
            Attribute::Key => {
                signs::of_keys(earlier, onset, doubt, &mut self.signs);
                return Some(microseconds(onset, latest) < TOGETHER_US);
            }
            Attribute::Velocity => return None,
        };
        self.find_ends(earlier.clone(), onset);
        let ends = self.ends.len();
        for (order, end) in self.ends.iter().enumerate() {
            let class = bins.class_of(duration(end.after_us));
            self.signs.push((class, signs::of_end(end, order, ends, class, doubt(class))));
        }
        Some(if attribute == Attribute::Shift {
            earlier.clone().nth(1).is_some_and(|second| microseconds(latest, second.note.onset) < TOGETHER_US)
        } else {
            microseconds(onset, latest) < TOGETHER_US
        })
    }

    /// The moments behind `from` at which notes end.
    fn find_ends(&mut self, earlier: impl Iterator<Item = Earlier>, from: SessionTime) {
        let single = |(age, earlier): (usize, Earlier)| {
            let after_us = microseconds(earlier.note.end(), from);
            (!earlier.held && after_us > ENDED_US).then_some(End { after_us, notes: 1, age })
        };
        self.ends.extend(earlier.enumerate().filter_map(single));
        self.ends.sort_unstable_by_key(|end| (end.after_us, end.age));
        // The last of the moments that are one stands for all.
        self.ends.dedup_by(|next, end| {
            let same = next.after_us - end.after_us <= SAME_END_US;
            if same {
                *end = End { after_us: next.after_us, notes: end.notes + 1, age: end.age.min(next.age) };
            }
            same
        });
    }
}

/// `log sum exp` over the finite logits, in nats; `None` when there is none.
fn log_of_sum(logits: &[f32]) -> Option<f32> {
    let finite = || logits.iter().copied().filter(|logit| logit.is_finite());
    let largest = finite().reduce(f32::max)?;
    Some(largest + finite().map(|logit| (logit - largest).exp()).sum::<f32>().ln())
}

/// From `earlier` to `later`, in microseconds; negative when they are the other way round.
fn microseconds(later: SessionTime, earlier: SessionTime) -> i64 {
    let after = i64::try_from(later.since(earlier).as_micros()).unwrap_or(i64::MAX);
    let before = i64::try_from(earlier.since(later).as_micros()).unwrap_or(i64::MAX);
    after - before
}

fn duration(us: i64) -> SessionDuration {
    SessionDuration::from_micros(us.max(0).unsigned_abs())
}

#[cfg(test)]
mod tests;
