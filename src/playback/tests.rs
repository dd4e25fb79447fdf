use proptest::prelude::*;

use super::*;
use crate::midi::{MidiEvent, ShortMessage};
use crate::player::PlayerCommand;

fn at(ms: u64) -> SessionTime {
    SessionTime::from_micros(ms * 1000)
}

fn message(bytes: &[u8]) -> ShortMessage {
    ShortMessage::from_bytes(bytes).expect("whole")
}

fn timed(ms: u64, bytes: &[u8]) -> TimedMessage {
    TimedMessage { time: at(ms), message: message(bytes) }
}

fn replay(reel: u32, ms: u64, bytes: &[u8]) -> PlayerCommand {
    PlayerCommand::Replay { reel, timed: timed(ms, bytes) }
}

/// What a tape has sent.
#[derive(Default)]
struct Room {
    tape: Tape,
    sent: Vec<Vec<u8>>,
}

impl Room {
    fn tell(&mut self, command: PlayerCommand) {
        let sent = &mut self.sent;
        self.tape.command(command, |message| sent.push(message.as_bytes().to_vec()));
    }

    fn play(&mut self, ms: u64) {
        let sent = &mut self.sent;
        self.tape.play(at(ms), |_, message| sent.push(message.as_bytes().to_vec()));
    }

    fn take(&mut self) -> Vec<Vec<u8>> {
        std::mem::take(&mut self.sent)
    }
}

#[test]
fn a_take_is_sent_in_time_and_all_of_it_is_released_when_the_human_plays() {
    let mut room = Room::default();
    for (ms, bytes) in
        [(10, [0x90, 60, 70]), (20, [0xb0, 64, 127]), (20, [0xe3, 0, 80]), (30, [0x90, 62, 70]), (90, [0x90, 64, 70])]
    {
        room.tell(replay(1, ms, &bytes));
    }
    assert_eq!(room.tape.next_due(), Some(at(10)));
    room.play(9);
    assert_eq!(room.take(), Vec::<Vec<u8>>::new());
    room.play(50);
    assert_eq!(room.take().len(), 4);
    room.tell(PlayerCommand::Human(timed(55, &[0x80, 48, 0])));
    room.tell(PlayerCommand::Human(timed(55, &[0xb0, 64, 0])));
    assert!(room.tape.plays() && room.take().is_empty(), "a pedal or a key that goes up stops nothing");
    room.tell(PlayerCommand::Human(timed(60, &[0x90, 48, 70])));
    let released = [[0xb0, 64, 0], [0x80, 60, 64], [0x80, 62, 64], [0xe3, 0, 64]].map(Vec::from);
    assert_eq!(room.take(), released);
    assert!(!room.tape.plays());
    room.tell(replay(1, 95, &[0x90, 65, 70]));
    room.play(1000);
    assert_eq!(room.take(), Vec::<Vec<u8>>::new(), "what was on its way is never heard");
    room.tell(replay(2, 1010, &[0x90, 65, 70]));
    room.play(1010);
    assert_eq!(room.take(), [vec![0x90, 65, 70]], "another one is");
    room.tell(PlayerCommand::EndReplay { reel: 1 });
    assert!(room.tape.plays(), "the end of an earlier one is none of it");
    room.tell(PlayerCommand::EndReplay { reel: 2 });
    assert_eq!(room.take(), [vec![0x80, 65, 64]]);
}

#[test]
fn panic_and_the_end_release_it_and_drums_are_no_human_who_wants_the_turn() {
    let mut room = Room::default();
    room.tell(replay(1, 0, &[0x9f, 60, 70]));
    room.play(0);
    room.tell(PlayerCommand::Human(timed(5, &[0x99, 36, 70])));
    assert!(room.tape.plays());
    room.take();
    room.tell(PlayerCommand::Panic);
    assert_eq!(room.take(), [vec![0x8f, 60, 64]]);
    assert!(!room.tape.plays());
}

/// What a reel has to give the player at `now`, all of which it takes.
fn wind(reel: &mut Reel, now: u64) -> Vec<(u64, Vec<u8>)> {
    let mut given = Vec::new();
    while let Some(timed) = reel.next(at(now)) {
        given.push((timed.time.as_micros() / 1000, timed.message.as_bytes().to_vec()));
        reel.sent();
    }
    given
}

#[test]
fn a_take_begins_with_its_first_note_and_with_what_was_set_before_it() {
    let messages = vec![
        timed(0, &[0xc0, 5]),
        timed(10, &[0xb0, 7, 100]),
        timed(20, &[0xb0, 7, 90]),
        timed(30, &[0xb0, 64, 127]),
        timed(31, &[0x80, 60, 0]),
        timed(60_000, &[0x90, 60, 70]),
        timed(60_500, &[0x80, 60, 0]),
        timed(63_000, &[0x90, 61, 70]),
        timed(63_100, &[0x80, 61, 0]),
    ];
    let mut reel = Reel::new(Recording { name: "a".into(), messages }, at(5000)).expect("it has notes");
    assert_eq!(
        *reel.playing(),
        Playing { name: "a".into(), begins: at(5000), length: SessionDuration::from_millis(3100) }
    );
    assert_eq!(reel.next_wake(), at(4000));
    assert_eq!(wind(&mut reel, 3999), []);
    let wanted =
        [(5000, vec![0xc0, 5]), (5000, vec![0xb0, 7, 90]), (5000, vec![0xb0, 64, 127]), (5000, vec![0x90, 60, 70])];
    assert_eq!(wind(&mut reel, 4000), wanted);
    assert_eq!(wind(&mut reel, 4500), [(5500, vec![0x80, 60, 0])]);
    assert_eq!(reel.next_wake(), at(7000));
    assert_eq!(wind(&mut reel, 8000).len(), 2);
    assert!(!reel.is_over(at(9099)), "what leaves later at a late port is heard out");
    assert!(reel.is_over(reel.next_wake()));
    let silent = Recording { name: "b".into(), messages: vec![timed(0, &[0xc0, 5])] };
    assert!(Reel::new(silent, at(0)).is_none());
}

#[test]
fn a_dense_take_never_fills_the_tape() {
    let messages =
        (0..20_000u64).flat_map(|i| [timed(i / 10, &[0x90, 60, 70]), timed(i / 10, &[0x80, 60, 0])]).collect();
    let mut reel = Reel::new(Recording { name: "a".into(), messages }, at(0)).expect("it has notes");
    let mut room = Room::default();
    let mut now = 0;
    while !reel.is_over(at(now)) {
        room.play(now);
        while let Some(timed) = reel.next(at(now)) {
            room.tell(PlayerCommand::Replay { reel: 1, timed });
            reel.sent();
        }
        assert!(reel.next_wake() > at(now), "it goes on");
        now = now.max(reel.next_wake().as_micros().div_ceil(1000));
    }
    room.play(now);
    assert_eq!((room.tape.refused(), room.sent.len()), (0, 40_000));
}

proptest! {
    #[test]
    fn whatever_is_played_back_nothing_is_owed_when_it_is_over(
        steps in proptest::collection::vec((0u8..12, 0u8..3, 58u8..62, 0u64..30), 0..300),
    ) {
        let mut room = Room::default();
        let (mut now, mut reel) = (0, 1);
        for (what, channel, key, wait) in steps {
            now += wait;
            room.play(now);
            match what {
                0..5 => room.tell(replay(reel, now + 10, &[0x90 | channel, key, 70])),
                5..8 => room.tell(replay(reel, now + 10, &[0x80 | channel, key, 0])),
                8 => room.tell(replay(reel, now + 10, &[0xb0 | channel, 64, key * 2])),
                9 => room.tell(replay(reel, now + 10, &[0xe0 | channel, 0, key])),
                10 => room.tell(PlayerCommand::Human(timed(now, &[0x90, key, 70]))),
                _ => {
                    room.tell(PlayerCommand::EndReplay { reel });
                    reel += 1;
                }
            }
        }
        let sent = &mut room.sent;
        room.tape.stop(|message| sent.push(message.as_bytes().to_vec()));
        let mut sounding = std::collections::BTreeSet::new();
        let (mut pedals, mut bends) = ([false; 16], [false; 16]);
        for bytes in sent {
            let channel = usize::from(bytes[0] & 15);
            match message(bytes).event() {
                MidiEvent::NoteOn { key, .. } => drop(sounding.insert((channel, key))),
                MidiEvent::NoteOff { key, .. } => drop(sounding.remove(&(channel, key))),
                MidiEvent::Sustain { down, .. } => pedals[channel] = down,
                _ => bends[channel] = bytes[1..] != [0, 64],
            }
        }
        prop_assert!(sounding.is_empty() && pedals == [false; 16] && bends == [false; 16]);
    }
}
