//! The player's thread at ports that refuse and panic.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Mutex;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use super::*;
use crate::midi::{MidiEvent, ShortMessage};
use crate::note::Note;
use crate::player::PlannedNote;
use crate::ports::by_hand::PlayerByHand;
use crate::status::Status;
use crate::take::Happening;
use crate::time::{Clock, SessionDuration, SessionTime};

/// A port that refuses its first note-offs, and remembers what it took.
struct Reluctant {
    refusals: usize,
    took: Arc<Mutex<Vec<ShortMessage>>>,
}

impl MidiOutput for Reluctant {
    fn send(&mut self, message: ShortMessage) -> bool {
        if !message.is_note_on() && self.refusals > 0 {
            self.refusals -= 1;
            return false;
        }
        self.took.lock().expect("not poisoned").push(message);
        true
    }
}

/// What a port that refuses that many note-offs has taken of one short note, and the failures counted.
fn played(refusals: usize) -> (Vec<ShortMessage>, u64) {
    let took = Arc::new(Mutex::new(Vec::new()));
    let status = Arc::new(Status::default());
    let (record, _recorded) = crossbeam_channel::bounded(16);
    let port = Box::new(Reluctant { refusals, took: Arc::clone(&took) });
    let mut wiring = Wiring::in_a_test(record, Arc::clone(&status));
    let clock = wiring.clock;
    let Started { orders, thread, .. } =
        PlayerThread::start(Some((port, Offset::default())), Offset::default(), &mut wiring).expect("started");
    let note = Note { onset: clock.now(), key: 60, duration: SessionDuration::from_millis(5), velocity: 80 };
    orders.send(Order::Command(PlayerCommand::Play(PlannedNote { epoch: 1, channel: 3, note }))).expect("listening");
    let begun = Instant::now();
    while took.lock().expect("not poisoned").len() < 2 && begun.elapsed() < Duration::from_secs(10) {
        thread::sleep(Duration::from_millis(1));
    }
    drop(thread);
    let took = took.lock().expect("not poisoned").clone();
    (took, status.send_failed.load(Relaxed))
}

#[test]
fn silence_that_is_called_for_ends_what_sounds_and_forgets_what_was_planned() {
    let took = Arc::new(Mutex::new(Vec::new()));
    let (record, _recorded) = crossbeam_channel::bounded(4096);
    let port = Box::new(Reluctant { refusals: 0, took: Arc::clone(&took) });
    let mut wiring = Wiring::in_a_test(record, Arc::default());
    let clock = wiring.clock;
    let Started { orders, thread, .. } =
        PlayerThread::start(Some((port, Offset::default())), Offset::default(), &mut wiring).expect("started");
    let silence = thread.silence(&wiring.routing);
    let play = |ms: u64, key| {
        let onset = clock.now() + SessionDuration::from_millis(ms);
        let note = Note { onset, key, duration: SessionDuration::from_millis(60_000), velocity: 80 };
        Order::Command(PlayerCommand::Play(PlannedNote { epoch: 1, channel: 3, note }))
    };
    let wait_until = |done: &dyn Fn(&[ShortMessage]) -> bool| {
        let begun = Instant::now();
        while !done(&took.lock().expect("not poisoned")) {
            assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", took.lock());
            thread::sleep(Duration::from_millis(1));
        }
    };
    orders.send(play(0, 60)).expect("listening");
    wait_until(&|took| took.len() == 1);
    for _ in 0..500 {
        orders.send(play(3_000, 62)).expect("listening");
    }
    silence();
    wait_until(&|took| took.last() == Some(&ShortMessage::all_sound_off(15)));
    let silent = Instant::now();
    let (on, off) = (ShortMessage::note_on(3, 60, 80), ShortMessage::note_off(3, 60));
    let mut keys = took.lock().expect("not poisoned").clone();
    keys.retain(|message| message.moves_a_key() && message.as_bytes()[0] < 0xb0);
    assert_eq!(keys, [on, off]);
    // What was planned before never comes; what is planned afterwards does.
    let onset = clock.now() + SessionDuration::from_millis(3_100);
    let note = Note { onset, key: 64, duration: SessionDuration::from_millis(1), velocity: 80 };
    orders.send(Order::Command(PlayerCommand::Play(PlannedNote { epoch: 2, channel: 3, note }))).expect("listening");
    wait_until(&|took| took.last() == Some(&ShortMessage::note_off(3, 64)));
    assert!(silent.elapsed() > Duration::from_secs(3));
    drop(thread);
    let took = took.lock().expect("not poisoned");
    assert!(!took.contains(&ShortMessage::note_on(3, 62, 80)), "{took:?}");
}

#[test]
fn a_note_off_that_the_port_refused_is_sent_again() {
    let whole = vec![ShortMessage::note_on(3, 60, 80), ShortMessage::note_off(3, 60)];
    assert_eq!(played(0), (whole.clone(), 0));
    assert_eq!(played(3), (whole, 1));
}

/// A port whose driver panics once, after so many messages.
struct Fragile(Option<usize>);

impl MidiOutput for Fragile {
    fn send(&mut self, _message: ShortMessage) -> bool {
        if let Some(left) = self.0.take() {
            self.0 = Some(left.checked_sub(1).unwrap_or_else(|| resume_unwind(Box::new("the driver panics"))));
        }
        true
    }
}

/// Found by the note-debts test.
#[test]
fn whenever_a_driver_panics_each_note_in_the_record_has_its_end() {
    for messages in 0..4 {
        let (record, recorded) = crossbeam_channel::bounded(16);
        let mut wiring = Wiring::in_a_test(record, Arc::default());
        wiring.clock = Clock::by_hand();
        let clock = wiring.clock;
        let port = Box::new(Fragile(Some(messages)));
        let mut player = PlayerByHand::new(port, Offset::default(), Offset::default(), wiring);
        let mut link = player.link();
        // The second begins while the first sounds.
        for ms in [10, 20] {
            let onset = SessionTime::from_micros(ms * 1000);
            let note = Note { onset, key: 60, duration: SessionDuration::from_millis(15), velocity: 80 };
            link.send(PlayerCommand::Play(PlannedNote { epoch: 1, channel: 0, note }));
        }
        clock.set(SessionTime::from_micros(50_000));
        catch_unwind(AssertUnwindSafe(move || player.run())).expect_err("the driver panics");
        let notes: Vec<MidiEvent> = recorded
            .try_iter()
            .filter_map(|happening| match happening {
                Happening::Ai(timed) => Some(timed.message.event()),
                _ => None,
            })
            .collect();
        let (on, off) = (ShortMessage::note_on(0, 60, 80).event(), ShortMessage::note_off(0, 60).event());
        let begun = if messages < 2 { 1 } else { 2 };
        assert_eq!(notes, [on, off].repeat(begun), "{messages} messages");
    }
}
