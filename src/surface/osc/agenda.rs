//! Messages whose moment has not come yet.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Instant;

/// Messages that may wait. When it is full the newest is refused, and counted by whoever asks.
pub const WAITING: usize = 1024;

/// What waits, in the order in which it is due; of what is due at once, the first that came.
#[derive(Debug)]
pub struct Agenda<T> {
    waiting: BinaryHeap<Reverse<Entry<T>>>,
    number: u64,
}

#[derive(Debug)]
struct Entry<T> {
    due: (Instant, u64),
    what: T,
}

impl<T> PartialEq for Entry<T> {
    fn eq(&self, other: &Self) -> bool {
        self.due == other.due
    }
}

impl<T> Eq for Entry<T> {}

impl<T> PartialOrd for Entry<T> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> Ord for Entry<T> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.due.cmp(&other.due)
    }
}

impl<T> Default for Agenda<T> {
    fn default() -> Self {
        Self { waiting: BinaryHeap::new(), number: 0 }
    }
}

impl<T> Agenda<T> {
    /// Lets `what` wait until `due`; whether there was a place.
    #[must_use]
    pub fn add(&mut self, due: Instant, what: T) -> bool {
        if self.waiting.len() >= WAITING {
            return false;
        }
        self.waiting.push(Reverse(Entry { due: (due, self.number), what }));
        self.number += 1;
        true
    }

    /// When the next is due.
    pub fn next_due(&self) -> Option<Instant> {
        self.waiting.peek().map(|Reverse(entry)| entry.due.0)
    }

    /// The next that is due at `now`.
    pub fn take_due(&mut self, now: Instant) -> Option<T> {
        if self.next_due()? > now {
            return None;
        }
        self.waiting.pop().map(|Reverse(entry)| entry.what)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_waits_comes_in_due_order_and_together_as_it_came() {
        let (mut agenda, now) = (Agenda::default(), Instant::now());
        let at = |ms| now + Duration::from_millis(ms);
        for (ms, what) in [(30, "late"), (10, "first"), (10, "second"), (20, "third")] {
            assert!(agenda.add(at(ms), what));
        }
        assert_eq!(agenda.next_due(), Some(at(10)));
        assert_eq!(agenda.take_due(at(9)), None);
        let taken: Vec<_> = std::iter::from_fn(|| agenda.take_due(at(20))).collect();
        assert_eq!(taken, ["first", "second", "third"]);
        assert_eq!((agenda.take_due(at(30)), agenda.take_due(at(40))), (Some("late"), None));
    }

    #[test]
    fn a_full_agenda_refuses() {
        let (mut agenda, now) = (Agenda::default(), Instant::now());
        assert!((0..WAITING).all(|number| agenda.add(now, number)));
        assert!(!agenda.add(now, WAITING));
        assert_eq!(agenda.take_due(now), Some(0));
        assert!(agenda.add(now, WAITING));
    }
}
