use proptest::prelude::*;

use super::*;

/// Echoes, and hands that hear what is none.
#[derive(Default)]
struct Ears {
    echoes: Echoes,
    hands: Hands,
}

impl std::ops::Deref for Ears {
    type Target = Echoes;

    fn deref(&self) -> &Echoes {
        &self.echoes
    }
}

impl Ears {
    fn is_echo(&self, at: SessionTime, message: ShortMessage) -> bool {
        let is_echo = self.echoes.is_echo(at, message, &self.hands);
        if !is_echo {
            self.hands.hear(message);
        }
        is_echo
    }
}

fn at(ms: u64) -> SessionTime {
    SessionTime::from_micros(1_000_000 + ms * 1000)
}

fn on(key: u8, velocity: u8) -> ShortMessage {
    ShortMessage::note_on(0, key, velocity)
}

fn off(key: u8) -> ShortMessage {
    ShortMessage::note_off(0, key)
}

fn pedal(value: u8) -> ShortMessage {
    ShortMessage::from_bytes(&[0xb0, 64, value]).expect("whole")
}

#[test]
fn each_note_silences_one_echo_and_the_human_is_heard() {
    let echoes = Ears::default();
    echoes.sent(at(0), on(60, 80), Origin::Own);
    assert!(!echoes.is_echo(at(1), on(60, 81)), "another velocity is the human's");
    assert!(!echoes.is_echo(at(1), off(60)), "and so is its release");
    assert!(echoes.is_echo(at(2), ShortMessage::note_on(7, 60, 80)), "a DAW may change the channel");
    assert!(!echoes.is_echo(at(3), on(60, 80)), "one note, one echo");
    echoes.sent(at(500), off(60), Origin::Own);
    assert!(echoes.is_echo(at(502), ShortMessage::note_off(7, 60)), "long after its note-on");
    assert!(!echoes.is_echo(at(503), off(60)));
}

#[test]
fn a_note_off_that_is_said_again_comes_back_as_an_echo_and_lifts_no_key_of_the_human() {
    let echoes = Ears::default();
    echoes.sent(at(0), on(60, 80), Origin::Own);
    assert!(echoes.is_echo(at(2), on(60, 80)));
    for ms in [100, 110] {
        echoes.sent(at(ms), off(60), if ms == 100 { Origin::Own } else { Origin::Thru });
        assert!(echoes.is_echo(at(ms + 2), off(60)));
    }
    assert!(!echoes.is_echo(at(120), off(60)), "one for each");
    assert!(!echoes.is_echo(at(200), on(60, 50)));
    echoes.sent(at(210), off(60), Origin::Thru);
    assert!(!echoes.is_echo(at(300), off(60)), "the human lets go of their own");
}

#[test]
fn a_human_who_strikes_what_antiphon_has_just_played_is_heard_where_there_is_no_loop() {
    let echoes = Ears::default();
    // A keyboard that knows one velocity, and a player who repeats key after key, never after quite the same time.
    for (note, delay) in (0..60).zip([70, 100, 160, 90, 240, 130, 180].into_iter().cycle()) {
        let key = 48 + u8::try_from(note % 24).expect("below 24");
        echoes.sent(at(note * 500), on(key, 64), Origin::Own);
        assert!(!echoes.is_echo(at(note * 500 + delay), on(key, 64)), "note {note}, {delay} ms after Antiphon's");
        echoes.sent(at(note * 500 + 250), off(key), Origin::Own);
        assert!(!echoes.is_echo(at(note * 500 + 400), off(key)));
    }
}

#[test]
fn a_slow_loop_is_known_by_its_third_note() {
    let echoes = Ears::default();
    let comes_back = |ms: u64| {
        echoes.sent(at(ms), on(60, 64), Origin::Own);
        let on_is_echo = echoes.is_echo(at(ms + 150), on(60, 64));
        echoes.sent(at(ms + 160), off(60), Origin::Own);
        let off_is_echo = echoes.is_echo(at(ms + 310), off(60));
        assert_eq!(on_is_echo, off_is_echo);
        on_is_echo
    };
    assert_eq!([0, 2000, 4000, 6000, 6500].map(comes_back), [false, false, true, true, true]);
}

#[test]
fn a_loop_that_is_made_later_is_known_at_once_where_the_plug_is_seen() {
    for (is_seen, heard) in [(true, 0), (false, 2)] {
        let echoes = Ears::default();
        for (ms, key) in [(0, 60), (100, 62), (200, 64), (300, 65)] {
            echoes.sent(at(ms), on(key, 64), Origin::Own);
        }
        assert!(!echoes.is_echo(at(350), on(65, 64)), "nothing has come back so far: it is the human");
        if is_seen {
            echoes.plugged();
        }
        let comes_back = |note: u64| {
            echoes.sent(at(note * 300), on(62, 64), Origin::Own);
            let on_is_echo = echoes.is_echo(at(note * 300 + 4), on(62, 64));
            echoes.sent(at(note * 300 + 50), off(62), Origin::Own);
            assert_eq!(echoes.is_echo(at(note * 300 + 54), off(62)), on_is_echo);
            on_is_echo
        };
        assert_eq!((2..10).filter(|note| !comes_back(*note)).count(), heard, "the plug was seen: {is_seen}");
    }
}

#[test]
fn a_loop_that_is_gone_is_forgotten() {
    let echoes = Ears::default();
    echoes.believe(Belief::Loop);
    for note in 0..20 {
        echoes.sent(at(note * 300), on(60, 64), Origin::Own);
    }
    echoes.sent(at(6000), on(62, 64), Origin::Own);
    assert!(!echoes.is_echo(at(6010), on(62, 64)), "twenty notes have not come back: this is the human");
}

#[test]
fn a_loop_through_which_a_note_is_lost_now_and_then_stays_one() {
    let echoes = Ears::default();
    let mut heard = 0;
    for note in 0..200 {
        echoes.sent(at(note * 100), on(60, 64), Origin::Own);
        if note % 4 != 3 {
            heard += u32::from(!echoes.is_echo(at(note * 100 + 30), on(60, 64)));
        }
    }
    assert_eq!(heard, 0);
}

#[test]
fn what_comes_back_too_late_is_heard() {
    let echoes = Ears::default();
    echoes.sent(at(0), on(60, 80), Origin::Own);
    assert!(!echoes.is_echo(at(251), on(60, 80)));
}

#[test]
fn the_same_key_held_by_both_is_released_by_its_own_note_off() {
    let echoes = Ears::default();
    echoes.sent(at(0), on(60, 80), Origin::Own);
    assert!(echoes.is_echo(at(5), on(60, 80)));
    assert!(!echoes.is_echo(at(100), on(60, 90)));
    assert!(!echoes.is_echo(at(150), off(60)), "Antiphon still holds its own");
    echoes.sent(at(200), off(60), Origin::Own);
    assert!(echoes.is_echo(at(205), off(60)));
}

/// Found by the note-debts test.
#[test]
fn a_key_struck_twice_and_released_once_is_not_held_though_the_first_was_taken_for_an_echo() {
    let echoes = Ears::default();
    echoes.believe(Belief::Loop);
    // Antiphon's note comes back after 5 ms, and is over. A later port has played it as well, 100 ms later.
    echoes.sent(at(0), on(60, 80), Origin::Own);
    assert!(echoes.is_echo(at(5), on(60, 80)));
    echoes.sent(at(50), off(60), Origin::Own);
    assert!(echoes.is_echo(at(55), off(60)));
    echoes.sent_later(at(100), on(60, 80), Origin::Own);
    // The human strikes it too, with its very velocity, and again while Antiphon plays the next.
    assert!(echoes.is_echo(at(220), on(60, 80)), "nobody can tell");
    echoes.sent(at(2000), on(60, 90), Origin::Own);
    assert!(echoes.is_echo(at(2005), on(60, 90)));
    echoes.sent(at(2100), off(60), Origin::Own);
    assert!(echoes.is_echo(at(2105), off(60)));
    assert!(!echoes.is_echo(at(2150), on(60, 20)));
    echoes.sent(at(2151), off(60), Origin::Own);
    assert!(!echoes.is_echo(at(2152), off(60)), "no echo holds the key any more");
    assert!(!echoes.hands.hold_key(60));
}

#[test]
fn a_key_that_both_hold_is_released_by_the_human_where_no_echo_is_due() {
    // The echo of Antiphon's own note-off comes 100 ms after it left, as the note-on did.
    for (release, is_echo) in [(40, false), (100, true), (180, false)] {
        let echoes = Ears::default();
        echoes.believe(Belief::Loop);
        echoes.sent(at(0), on(60, 80), Origin::Own);
        assert!(echoes.is_echo(at(100), on(60, 80)));
        assert!(!echoes.is_echo(at(400), on(60, 90)));
        echoes.sent(at(500), off(60), Origin::Own);
        assert_eq!(echoes.is_echo(at(500 + release), off(60)), is_echo, "{release} ms after Antiphon's own");
        assert_eq!(echoes.is_echo(at(900), off(60)), !is_echo, "the other one is the other's");
        assert!(!echoes.hands.hold_key(60));
    }
}

#[test]
fn panic_does_not_come_back_as_the_humans() {
    let echoes = Ears::default();
    echoes.sent(at(0), ShortMessage::all_notes_off(3), Origin::Own);
    assert!(echoes.is_echo(at(5), ShortMessage::all_notes_off(3)));
    assert!(!echoes.is_echo(at(6), ShortMessage::all_notes_off(3)));
}

#[test]
fn fast_repeats_that_are_passed_on_are_heard_where_there_is_no_loop() {
    let echoes = Ears::default();
    for ms in (0..2000).step_by(70) {
        for (message, ms) in [(on(60, 64), ms), (off(60), ms + 30), (pedal(127), ms), (pedal(0), ms + 45)] {
            assert!(!echoes.is_echo(at(ms), message), "{ms}");
            echoes.sent(at(ms), message, Origin::Thru);
        }
    }
}

#[test]
fn what_is_passed_on_does_not_go_round_for_ever() {
    // A key held for 150 ms, a loop of 90 ms, thru: nothing comes through twice.
    let echoes = Ears::default();
    let mut heard = 0;
    for note in 0..5 {
        let begin = note * 400;
        for (ms, message) in [(0, on(60, 64)), (90, on(60, 64)), (150, off(60)), (240, off(60))] {
            if !echoes.is_echo(at(begin + ms), message) {
                heard += 1;
                echoes.sent(at(begin + ms), message, Origin::Thru);
            }
        }
    }
    assert_eq!(heard, 10);
    // Now the loop is known, staccato does not go round either.
    echoes.sent(at(2000), on(62, 64), Origin::Thru);
    echoes.sent(at(2020), off(62), Origin::Thru);
    assert!(echoes.is_echo(at(2090), on(62, 64)) && echoes.is_echo(at(2110), off(62)));
}

#[test]
fn a_control_that_is_passed_on_and_comes_back_soon_is_an_echo() {
    let echoes = Ears::default();
    assert!(!echoes.is_echo(at(0), pedal(127)));
    echoes.sent(at(0), pedal(127), Origin::Thru);
    assert!(echoes.is_echo(at(3), pedal(127)));
    assert!(!echoes.is_echo(at(3), pedal(0)));
}

#[test]
fn echoes_are_heard_where_that_is_set() {
    let echoes = Ears::default();
    echoes.suppress(false);
    echoes.sent(at(0), on(60, 80), Origin::Own);
    assert!(!echoes.is_echo(at(2), on(60, 80)));
}

/// Found by the note-debts test.
#[test]
fn a_note_that_was_heard_while_echoes_were_is_released_though_they_are_not_any_more() {
    let echoes = Ears::default();
    echoes.sent(at(0), on(60, 80), Origin::Own);
    assert!(echoes.is_echo(at(5), on(60, 80)));
    echoes.suppress(false);
    echoes.sent(at(100), off(60), Origin::Own);
    assert!(!echoes.is_echo(at(105), off(60)));
    echoes.sent(at(200), on(60, 80), Origin::Own);
    assert!(!echoes.is_echo(at(205), on(60, 80)));
    echoes.suppress(true);
    echoes.sent(at(300), off(60), Origin::Own);
    assert!(!echoes.is_echo(at(305), off(60)), "its note-on was heard");
    echoes.sent(at(400), on(60, 80), Origin::Own);
    assert!(echoes.is_echo(at(405), on(60, 80)), "from now on it is as ever");
}

proptest! {
    /// Antiphon plays into a loop while a human plays the same keys at other velocities: exactly what the human
    /// plays is heard, from the beginning where the loop is quick, else once it is known.
    #[test]
    fn through_a_loop_exactly_the_human_is_heard(
        own in proptest::collection::vec((0u64..150, 58u8..64, 5u64..400, 0u64..16), 1..120),
        human in proptest::collection::vec((0u64..200, 58u8..64, 5u64..150), 0..80),
        latency in 0u64..100,
    ) {
        // (ms, order at the same time, what, message)
        let mut events: Vec<(u64, u8, &str, ShortMessage)> = Vec::new();
        let (mut free, mut back) = ([0; 128], [0; 128]);
        let (mut now, mut last) = (0, 0);
        for (wait, key, length, jitter) in own {
            now += wait;
            // As the player does: a key is released before it is struck anew.
            let begin = now.max(free[usize::from(key)]);
            let end = begin + length;
            free[usize::from(key)] = end + 1;
            for (ms, order, message) in [(begin, 1, on(key, 80)), (end, 0, off(key))] {
                events.push((ms, order, "sent", message));
                // A loop keeps the order.
                let back = &mut back[usize::from(key)];
                *back = (ms + latency + jitter).max(*back + 1);
                events.push((*back, 2 + order, "came back", message));
                last = last.max(*back);
            }
        }
        let mut free = [0; 128];
        now = 0;
        for (wait, key, length) in human {
            now += wait;
            let begin = now.max(free[usize::from(key)]);
            free[usize::from(key)] = begin + length + 30;
            events.push((begin, 4, "played", on(key, 81)));
            events.push((begin + length, 4, "played", off(key)));
        }
        events.sort_by_key(|event| (event.0, event.1));
        let echoes = Ears::default();
        if latency + 20 >= PROMPT.as_micros() / 1000 {
            echoes.believe(Belief::Loop);
        }
        let (mut heard, mut played) = (Vec::new(), Vec::new());
        for (ms, _, what, message) in events {
            match what {
                "sent" => echoes.sent(at(ms), message, Origin::Own),
                _ => {
                    if what == "played" {
                        played.push((message.is_note_on(), message.as_bytes()[1]));
                    }
                    if !echoes.is_echo(at(ms), message) {
                        heard.push((message.is_note_on(), message.as_bytes()[1]));
                    }
                }
            }
        }
        // Where both release a key at about the same time, the two note-offs may change places.
        let ons = |list: &[(bool, u8)]| list.iter().filter(|(on, _)| *on).map(|(_, key)| *key).collect::<Vec<_>>();
        prop_assert_eq!(ons(&heard), ons(&played));
        let count = |list: &[(bool, u8)]| {
            let mut keys: Vec<u8> = list.iter().filter(|(on, _)| !on).map(|(_, key)| *key).collect();
            keys.sort_unstable();
            keys
        };
        prop_assert_eq!(count(&heard), count(&played));
    }

    /// Where nothing comes back, a human at a keyboard that knows one velocity loses two notes at most, however well they
    /// meet what Antiphon plays, as long as they do not double most of it.
    #[test]
    fn without_a_loop_a_human_loses_two_notes_at_most(
        notes in proptest::collection::vec((30u64..400, 60u8..64, 0u64..250), 1..200),
        doubled in 3usize..8,
    ) {
        let echoes = Ears::default();
        // (ms, order at the same time, whether the human plays it, message)
        let mut events: Vec<(u64, u8, bool, ShortMessage)> = Vec::new();
        let mut now = 0;
        for (number, (wait, key, delay)) in notes.into_iter().enumerate() {
            now += wait;
            events.push((now, 0, false, on(key, 64)));
            if number % doubled == 0 {
                events.push((now + delay, 1, true, on(key, 64)));
                events.push((now + delay + 20, 1, true, off(key)));
            }
        }
        events.sort_by_key(|event| (event.0, event.1));
        let mut lost = 0;
        for (ms, _, is_human, message) in events {
            if !is_human {
                echoes.sent(at(ms), message, Origin::Own);
            } else if echoes.is_echo(at(ms), message) {
                lost += u32::from(message.is_note_on());
            }
        }
        prop_assert!(lost <= 2, "{} notes were lost", lost);
    }

    /// A loop that nobody has seen being made, while a human plays at other velocities: two notes of ours are heard at
    /// most where no key comes again so soon, and all that the human plays.
    #[test]
    fn a_loop_that_was_not_seen_costs_two_notes_at_most(
        before in proptest::collection::vec(50u64..400, 0..20),
        after in proptest::collection::vec((50u64..400, 0u64..9), 1..60),
        human in proptest::collection::vec((0u64..400, 40u8..70), 0..30),
        latency in 0u64..200,
    ) {
        let echoes = Ears::default();
        let mut events: Vec<(u64, u8, ShortMessage)> = Vec::new();
        let mut now = 0;
        let mut keys = (40..70).cycle();
        for (wait, key) in before.into_iter().zip(keys.by_ref()) {
            now += wait;
            events.push((now, 0, on(key, 80)));
        }
        now += 300;
        let begins = now;
        for ((wait, jitter), key) in after.into_iter().zip(keys) {
            now += wait;
            events.push((now, 0, on(key, 80)));
            events.push((now + latency + jitter, 1, on(key, 80)));
        }
        let mut now = begins;
        let played = human.len();
        for (wait, key) in human {
            now += wait;
            events.push((now, 2, on(key, 81)));
            events.push((now + 20, 2, off(key)));
        }
        events.sort_by_key(|event| (event.0, event.1));
        let (mut ours, mut theirs) = (0, 0);
        for (ms, order, message) in events {
            if order == 0 {
                echoes.sent(at(ms), message, Origin::Own);
            } else if !echoes.is_echo(at(ms), message) {
                ours += u32::from(order == 1);
                theirs += usize::from(order == 2 && message.is_note_on());
            }
        }
        prop_assert_eq!(theirs, played);
        prop_assert!(ours <= 2, "{} of ours were heard", ours);
    }
}
