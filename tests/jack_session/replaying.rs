//! Takes played back through the output.

use std::path::Path;

use antiphon::midi::{ShortMessage, TimedMessage};
use antiphon::take::{Happening, Take};
use antiphon::time::SessionTime;

use super::*;

/// Keys that the bundled model does not play.
const KEYS: [u8; 4] = [2, 3, 4, 5];

/// A take that begins after a minute with four notes, 200 ms apart, under a pedal; the last one is held for `last_ms`.
fn write_take(folder: &Path, last_ms: u64) {
    let mut take = Take::default();
    let mut add = |ms: u64, message| {
        let time = SessionTime::from_micros(ms * 1000);
        take.add(Happening::Human(TimedMessage { time, message }));
    };
    add(59_000, ShortMessage::control_change(0, 64, 127));
    for (index, key) in (0..).zip(KEYS) {
        let length = if key == 5 { last_ms } else { 150 };
        add(60_000 + 200 * index, ShortMessage::note_on(0, key, 90));
        add(60_000 + 200 * index + length, ShortMessage::note_off(0, key));
    }
    let path = folder.join("AI_generated-20260101-120000.mid");
    std::fs::write(path, take.to_midi().expect("short")).expect("written");
}

fn start(folder: &Path, mode: &str) -> (Daemon, Pianist) {
    drop(server::open_client("knock"));
    let named = "cc82=play-take AI_generated-20260101-120000.mid";
    let controls = ["--map", "cc80=play-take", "--map", "cc81=stop-take", "--map", named];
    let common = ["--backend", "jack", "--seed", "7", "--mode", mode];
    let mut daemon = Daemon::start(folder, &[&common[..], &controls].concat());
    daemon.wait_until_ready(PATIENCE);
    (daemon, Pianist::sit_down())
}

fn press(pianist: &mut Pianist, controller: u8) {
    pianist.play(vec![(0, [0xb0, controller, 127]), (MILLISECOND, [0xb0, controller, 0])]);
}

fn of_the_take(pianist: &Pianist) -> Vec<Message> {
    let mut notes = note_ons(pianist, Voice::Answer);
    notes.retain(|note| KEYS.contains(&note.key()));
    notes
}

fn pedal(pianist: &Pianist) -> Option<bool> {
    let mut pedals =
        pianist.log.iter().filter(|message| message.voice == Voice::Answer && message.bytes[..2] == [0xb0, 64]);
    pedals.next_back().map(|message| message.bytes[2] >= 64)
}

#[test]
fn a_take_plays_until_the_human_does() {
    with_jack_server("replaying::a_take_plays_until_the_human_does", || {
        let folder = tempfile::tempdir().expect("a temporary folder");
        write_take(folder.path(), 600_000);
        let (daemon, mut pianist) = start(folder.path(), "listen");
        press(&mut pianist, 80);
        listen_until(&mut pianist, "four notes of the take", |p| of_the_take(p).len() == 4);
        let notes = of_the_take(&pianist);
        assert_eq!(notes.iter().map(Message::key).collect::<Vec<_>>(), KEYS);
        let gaps: Vec<_> = notes.windows(2).map(|pair| pair[1].us - pair[0].us).collect();
        println!("figure: notes 200 ms apart are played back {gaps:?} us apart");
        assert!(gaps.iter().any(|gap| gap.abs_diff(200_000) < 2_000), "{gaps:?}");
        assert_eq!(pedal(&pianist), Some(true), "what was set before the first note is set");

        let end = play(&mut pianist, &[(40, 0, 100 * MILLISECOND)]);
        pianist.listen_to(end + 300 * MILLISECOND);
        let human = note_ons(&pianist, Voice::Human).last().expect("it was played").frame;
        let late = pianist.sounding_at(human + SILENCE_WITHIN);
        assert!(late.is_empty() && pedal(&pianist) == Some(false), "the human played, and still there is {late:?}");

        // Now the take that is recorded is the newest with a note in it.
        let said = |daemon: &Daemon| daemon.said().matches("playing back AI_generated.mid").count();
        for _ in 0..600 {
            press(&mut pianist, 80);
            pianist.listen_for(Duration::from_millis(100), |_| false);
            if said(&daemon) > 0 {
                break;
            }
        }
        assert!(said(&daemon) > 0, "{}", daemon.said());
        listen_until(&mut pianist, "the human's own note", |p| {
            note_ons(p, Voice::Answer).last().is_some_and(|note| note.key() == 40)
        });
        press(&mut pianist, 81);
        stop(daemon, "TERM", &mut pianist);
        let voices = recording::voices_alone(&folder.path().join("AI_generated.mid"));
        let keys: Vec<u8> = voices.iter().flatten().map(|note| note.1).collect();
        assert_eq!(keys, [40], "what was played back is recorded again");
    });
}

#[test]
fn a_take_takes_the_turn_and_gives_it_back() {
    with_jack_server("replaying::a_take_takes_the_turn_and_gives_it_back", || {
        let folder = tempfile::tempdir().expect("a temporary folder");
        write_take(folder.path(), 1_500);
        let (daemon, mut pianist) = start(folder.path(), "solo");
        listen_until(&mut pianist, "an answer", |p| note_ons(p, Voice::Answer).len() >= 3);
        press(&mut pianist, 82);
        listen_until(&mut pianist, "the take", |p| of_the_take(p).len() == 4);
        let take = of_the_take(&pianist);
        listen_until(&mut pianist, "another answer", |p| {
            note_ons(p, Voice::Answer).iter().filter(|note| note.frame > take[3].frame).count() >= 3
        });
        let during = take[0].frame..=take[3].frame + 1_500 * MILLISECOND;
        let others: Vec<_> = note_ons(&pianist, Voice::Answer)
            .into_iter()
            .filter(|note| during.contains(&note.frame) && !KEYS.contains(&note.key()))
            .collect();
        assert!(others.is_empty(), "the answer went on over the take: {others:?}");
        let before = pianist.sounding_at(take[0].frame - 1);
        assert!(before.is_empty(), "the answer still sounds when the take begins: {before:?}");
        stop(daemon, "INT", &mut pianist);
    });
}
