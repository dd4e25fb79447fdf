//! How long the conductor's thread takes for what it does, told from outside: it is told when it begins and ends.

use super::Figures;
use crate::time::{SessionDuration, SessionTime};

/// Follows the conductor's thread.
#[derive(Debug, Default)]
pub struct Progress {
    /// The oldest human note-on that the model has not taken in yet.
    unheard: Option<SessionTime>,
    /// The last thing that the human did, while no plan takes it into account.
    unplanned: Option<SessionTime>,
    /// What choosing a note has taken, while the state after it is not computed yet.
    chosen: Option<SessionDuration>,
}

/// What the conductor did when it was woken.
#[derive(Clone, Copy, Debug)]
pub struct Woken {
    /// From when.
    pub from: SessionTime,
    /// To when.
    pub to: SessionTime,
    /// Whether it has chosen a note.
    pub planned: bool,
    /// Whether the model has now taken in all that was heard.
    pub settled: bool,
    /// Whether a continuation is now ready.
    pub ready: bool,
}

impl Progress {
    /// The human moved a key at `at`; `down` if it was struck.
    pub fn heard(&mut self, at: SessionTime, down: bool) {
        if down {
            self.unheard.get_or_insert(at);
        }
        self.unplanned = Some(at);
        // What follows is the model taking that in, no more the state after the chosen note.
        self.chosen = None;
    }

    /// Nothing is to be planned now.
    pub fn plans_nothing(&mut self) {
        self.unplanned = None;
    }

    /// The conductor was woken.
    pub fn woke(&mut self, woken: Woken, figures: &Figures) {
        let took = woken.to.since(woken.from);
        if let Some(choosing) = self.chosen.take().filter(|_| !woken.planned) {
            figures.note_sampled.add(choosing + took);
        }
        self.chosen = woken.planned.then_some(took);
        if woken.settled
            && let Some(heard) = self.unheard.take()
        {
            figures.note_to_state.add(woken.to.since(heard));
        }
        if woken.ready
            && let Some(moved) = self.unplanned.take()
        {
            figures.plan_revised.add(woken.to.since(moved));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(us: u64) -> SessionTime {
        SessionTime::from_micros(us)
    }

    const STEP: Woken =
        Woken { from: SessionTime::ZERO, to: SessionTime::ZERO, planned: false, settled: false, ready: false };

    #[test]
    fn a_chord_counts_from_its_first_note_until_all_of_it_is_taken_in() {
        let (mut progress, figures) = (Progress::default(), Figures::default());
        progress.heard(at(100), true);
        progress.heard(at(110), true);
        progress.woke(Woken { from: at(120), to: at(150), ..STEP }, &figures);
        assert_eq!(figures.note_to_state.summary().count, 0);
        progress.woke(Woken { from: at(150), to: at(180), settled: true, ..STEP }, &figures);
        assert_eq!((figures.note_to_state.summary().count, figures.note_to_state.summary().max_us), (1, 80));
    }

    #[test]
    fn a_plan_counts_from_the_last_thing_that_it_takes_into_account() {
        let (mut progress, figures) = (Progress::default(), Figures::default());
        progress.heard(at(100), true);
        progress.heard(at(150), false);
        progress.woke(Woken { from: at(160), to: at(200), settled: true, ready: true, ..STEP }, &figures);
        progress.woke(Woken { from: at(210), to: at(220), settled: true, ready: true, ..STEP }, &figures);
        assert_eq!((figures.plan_revised.summary().count, figures.plan_revised.summary().max_us), (1, 50));
        progress.heard(at(300), false);
        progress.plans_nothing();
        progress.woke(Woken { from: at(310), to: at(320), ready: true, ..STEP }, &figures);
        assert_eq!(figures.plan_revised.summary().count, 1);
    }

    #[test]
    fn a_whole_note_is_the_choice_and_the_state_after_it() {
        let (mut progress, figures) = (Progress::default(), Figures::default());
        let choice = |from| Woken { from: at(from), to: at(from + 30), planned: true, ..STEP };
        progress.woke(choice(100), &figures);
        progress.woke(Woken { from: at(500), to: at(570), settled: true, ..STEP }, &figures);
        assert_eq!((figures.note_sampled.summary().count, figures.note_sampled.summary().max_us), (1, 100));
        // The next choice is interrupted by the human.
        progress.woke(choice(600), &figures);
        progress.heard(at(640), true);
        progress.woke(Woken { from: at(650), to: at(700), settled: true, ..STEP }, &figures);
        assert_eq!(figures.note_sampled.summary().count, 1);
    }
}
