//! From the threads that play to everyone who watches.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use crossbeam_channel::Receiver;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::TryRecvError;

use super::{Sight, View};
use crate::fault;

/// Sights that a watcher may be behind: half a minute of the densest music. One that is further behind loses the oldest
/// and is told how many.
const BEHIND: usize = 8192;

/// Notes that somebody who begins to watch is shown from before: more than a minute of dense playing, and their plan.
const RECENT: usize = 1024;

/// Hands every sight to all who watch. Its thread ends with the session.
///
/// Thread: any, but never one that keeps time: it locks.
#[derive(Clone)]
pub struct Feed {
    shared: Arc<Mutex<Shared>>,
}

struct Shared {
    view: View,
    /// The last sights of notes, at most [`RECENT`].
    recent: VecDeque<Sight>,
    sights: broadcast::Sender<Sight>,
}

/// One who watches: how things stood at the beginning, and every sight since.
pub struct Watcher {
    /// How things stood.
    pub view: View,
    /// The last notes before, oldest first: played, planned, forgotten.
    pub recent: Vec<Sight>,
    /// What has been seen since; also to be awaited.
    pub sights: broadcast::Receiver<Sight>,
}

impl Feed {
    /// Takes in what is `shown` from now on, by a thread of its own.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn start(view: View, shown: Receiver<Sight>) -> std::io::Result<Self> {
        let feed = Self {
            shared: Arc::new(Mutex::new(Shared {
                view,
                recent: VecDeque::with_capacity(RECENT),
                sights: broadcast::Sender::new(BEHIND),
            })),
        };
        let passed_on = feed.clone();
        thread::Builder::new().name("feed".into()).spawn(move || {
            for sight in shown {
                fault::point("feed");
                passed_on.show(sight);
            }
        })?;
        Ok(feed)
    }

    /// Shows something to all who watch now.
    pub fn show(&self, sight: Sight) {
        let mut shared = self.lock();
        shared.view.take_in(&sight);
        if sight.is_of_a_note() {
            if shared.recent.len() == RECENT {
                shared.recent.pop_front();
            }
            shared.recent.push_back(sight.clone());
        }
        // Nobody watches: nothing is lost.
        let _ = shared.sights.send(sight);
    }

    /// Begins to watch.
    pub fn watch(&self) -> Watcher {
        let shared = self.lock();
        Watcher {
            view: shared.view.clone(),
            recent: shared.recent.iter().cloned().collect(),
            sights: shared.sights.subscribe(),
        }
    }

    /// How things stand now.
    pub fn view(&self) -> View {
        self.lock().view.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        // The view is whole between any two sights.
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Watcher {
    /// The next sight, if there is one already. What was lost because the watcher was too far behind is passed over.
    pub fn next_now(&mut self) -> Option<Sight> {
        loop {
            match self.sights.try_recv() {
                Ok(sight) => return Some(sight),
                Err(TryRecvError::Lagged(_)) => {}
                Err(TryRecvError::Empty | TryRecvError::Closed) => return None,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;
    use crate::conductor::Turn;
    use crate::control::Control;
    use crate::midi::TimedMessage;
    use crate::settings::Mode;
    use crate::time::SessionTime;

    fn eventually(mut holds: impl FnMut() -> bool) {
        let begun = Instant::now();
        while !holds() {
            assert!(begun.elapsed() < Duration::from_secs(10), "it never came");
            thread::sleep(Duration::from_millis(1));
        }
    }

    fn view() -> View {
        View { model: "first".into(), ..View::sample() }
    }

    #[test]
    fn a_newcomer_knows_how_things_stand_and_sees_what_follows() {
        let (show, shown) = crossbeam_channel::bounded(8);
        let feed = Feed::start(view(), shown).expect("a thread");
        let at = SessionTime::ZERO;
        let mode = Sight::Control { at, control: Control::parse("mode solo").expect("known") };
        show.send(mode).expect("listening");
        show.send(Sight::Control { at, control: Control::Style("folk".into()) }).expect("listening");
        eventually(|| feed.view().settings.style == 1);
        let mut watcher = feed.watch();
        assert_eq!(watcher.view.settings.mode, Mode::Solo);
        assert_eq!(watcher.next_now(), None);
        let turn = Sight::Turn { at, turn: Turn::Ai };
        show.send(turn.clone()).expect("listening");
        let mut seen = None;
        eventually(|| {
            seen = watcher.next_now();
            seen.is_some()
        });
        assert_eq!(seen, Some(turn));
        assert_eq!(feed.view().turn, Turn::Ai);
    }

    #[test]
    fn a_newcomer_is_shown_the_last_notes_and_no_more_than_that() {
        let (_show, shown) = crossbeam_channel::bounded(1);
        let feed = Feed::start(view(), shown).expect("a thread");
        assert_eq!(feed.watch().recent, []);
        let note = |ms| Sight::Human(TimedMessage::on(ms, 60));
        feed.show(note(0));
        feed.show(Sight::Turn { at: SessionTime::ZERO, turn: Turn::Ai });
        feed.show(Sight::Ai(TimedMessage::off(1, 60)));
        let mut watcher = feed.watch();
        assert_eq!(watcher.recent, [note(0), Sight::Ai(TimedMessage::off(1, 60))]);
        assert_eq!(watcher.next_now(), None, "no sight comes twice");
        (0..5000).for_each(|ms| feed.show(note(ms)));
        let recent = feed.watch().recent;
        assert_eq!((recent.len(), recent.last()), (RECENT, Some(&note(4999))));
    }
}
