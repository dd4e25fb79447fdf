//! Wires that are late, and wires whose port goes and comes back.

use std::sync::{Arc, Mutex};

use super::*;

struct Noted(Arc<Mutex<Vec<ShortMessage>>>);

impl MidiOutput for Noted {
    fn send(&mut self, message: ShortMessage) -> bool {
        self.0.lock().expect("not poisoned").push(message);
        true
    }
}

fn at(ms: u64) -> SessionTime {
    SessionTime::from_micros(ms * 1000)
}

/// A wire that is 20 ms later than another, and what it has sent.
fn late() -> (Wire, Arc<Mutex<Vec<ShortMessage>>>) {
    let sent = Arc::default();
    let offset = |ms: &str| ms.parse().expect("in range");
    (Wire::new(None, Box::new(Noted(Arc::clone(&sent))), offset("5"), offset("-15")), sent)
}

/// A wire of the cable 1 that is as early as any, and what it has sent.
fn prompt() -> (Wire, Arc<Mutex<Vec<ShortMessage>>>) {
    let sent = Arc::default();
    (Wire::new(Some(1), Box::new(Noted(Arc::clone(&sent))), Offset::default(), Offset::default()), sent)
}

fn take(sent: &Mutex<Vec<ShortMessage>>) -> Vec<ShortMessage> {
    std::mem::take(&mut sent.lock().expect("not poisoned"))
}

#[test]
fn a_later_port_gets_the_same_later() {
    let (mut wire, sent) = late();
    let routing = Routing::default();
    let (on, off) = (ShortMessage::note_on(0, 60, 70), ShortMessage::note_off(0, 60));
    wire.send(at(100), on, &routing);
    wire.send(at(110), off, &routing);
    assert_eq!(wire.next_due(), Some(at(120)));
    wire.catch_up(at(119), &routing);
    assert_eq!(take(&sent), []);
    wire.catch_up(at(120), &routing);
    assert_eq!(take(&sent), [on]);
    wire.catch_up(at(130), &routing);
    assert_eq!(take(&sent), [off]);
}

#[test]
fn an_interruption_silences_a_later_port_at_once_and_what_waits_is_never_heard() {
    let (mut wire, sent) = late();
    let routing = Routing::default();
    let (on, off) = (ShortMessage::note_on(0, 60, 70), ShortMessage::note_off(0, 60));
    wire.send(at(100), on, &routing);
    wire.catch_up(at(120), &routing);
    wire.send(at(121), ShortMessage::note_on(0, 62, 70), &routing);
    wire.send_at_once(at(125), off, &routing);
    wire.send_at_once(at(125), ShortMessage::note_off(0, 62), &routing);
    assert_eq!(take(&sent), [on, off], "key 62 had not begun");
    assert_eq!(wire.next_due(), None);
}

#[test]
fn an_answer_that_is_over_is_silent_at_a_later_port_as_well() {
    let (mut wire, sent) = late();
    let routing = Routing::default();
    for (ms, key) in [(100, 60), (110, 62)] {
        wire.send(at(ms), ShortMessage::note_on(0, key, 70), &routing);
        wire.send(at(ms + 5), ShortMessage::note_off(0, key), &routing);
    }
    wire.catch_up(at(121), &routing);
    wire.silence(at(122), 0, &routing);
    wire.catch_up(at(200), &routing);
    assert_eq!(take(&sent), [ShortMessage::note_on(0, 60, 70), ShortMessage::note_off(0, 60)]);
}

#[test]
fn a_port_that_is_far_behind_never_loses_a_message() {
    let (mut wire, sent) = late();
    let routing = Routing::default();
    for _ in 0..WAITING {
        wire.send(at(100), ShortMessage::note_on(0, 60, 70), &routing);
        wire.send(at(100), ShortMessage::note_off(0, 60), &routing);
    }
    wire.catch_up(at(200), &routing);
    assert_eq!(take(&sent).len(), 2 * WAITING);
}

#[test]
fn what_was_released_before_anybody_noticed_that_the_port_had_gone_is_released_again() {
    let (mut gone, _) = prompt();
    let routing = Routing::default();
    let (off, passed_off) = (ShortMessage::note_off(0, 60), ShortMessage::note_off(2, 72));
    let up = ShortMessage::control_change(2, 64, 0);
    gone.send(at(100), ShortMessage::note_on(0, 60, 70), &routing);
    gone.pass(at(100), ShortMessage::note_on(2, 72, 70), &routing);
    gone.pass(at(100), ShortMessage::control_change(2, 64, 127), &routing);
    // The cable is pulled here.
    gone.send(at(110), off, &routing);
    gone.pass(at(110), passed_off, &routing);
    gone.pass(at(110), up, &routing);
    gone.unplug();

    let (mut back, sent) = prompt();
    back.inherit(&mut gone);
    back.catch_up(at(200), &routing);
    let mut paid = take(&sent);
    paid.sort_by_key(|message| message.as_bytes().to_vec());
    assert_eq!(paid, [off, passed_off, up]);
    back.catch_up(at(300), &routing);
    assert_eq!(take(&sent), [], "once");
}

#[test]
fn what_sounded_when_the_port_went_ends_at_the_port_that_comes_back() {
    let (mut gone, sent) = prompt();
    let routing = Routing::default();
    let (on, off) = (ShortMessage::note_on(0, 60, 70), ShortMessage::note_off(0, 60));
    gone.send(at(100), on, &routing);
    gone.pass(at(100), ShortMessage::note_on(2, 72, 70), &routing);
    gone.pass(at(100), ShortMessage::control_change(2, 64, 127), &routing);
    take(&sent);
    assert!(gone.unplug().is_some());
    gone.send(at(110), off, &routing);
    gone.send(at(120), ShortMessage::note_on(0, 65, 70), &routing);
    gone.pass(at(130), ShortMessage::note_off(2, 72), &routing);
    assert_eq!((take(&sent).len(), gone.refusals, gone.owes()), (0, 0, false), "nobody is there");

    let (mut back, sent) = prompt();
    back.inherit(&mut gone);
    back.catch_up(at(200), &routing);
    let mut paid = take(&sent);
    paid.sort_by_key(|message| message.as_bytes().to_vec());
    assert_eq!(paid, [off, ShortMessage::note_off(2, 72), ShortMessage::control_change(2, 64, 0)]);
    back.send(at(210), on, &routing);
    back.release();
    assert_eq!(take(&sent), [on, off]);
}
