use super::*;
use crate::control::Control;
use crate::ensemble::{Ensemble, Opening};
use crate::midi::{SyncMessage, TimedMessage, key_name};
use crate::model::toy::ToyModel;
use crate::offline;
use crate::take::Happening;

fn at(ms: u64) -> SessionTime {
    SessionTime::from_micros(ms * 1000)
}

fn on(ms: u64, key: u8) -> TimedMessage {
    TimedMessage::on(ms, key)
}

fn off(ms: u64, key: u8) -> TimedMessage {
    TimedMessage::off(ms, key)
}

fn pedal(ms: u64, value: u8) -> TimedMessage {
    TimedMessage { time: at(ms), message: ShortMessage::from_bytes(&[0xb0, 64, value]).expect("whole") }
}

/// Patience of 400 ms whatever the model expects, changed by these words.
fn settings(words: &[&str]) -> Settings {
    let mut settings = Settings::default();
    for line in ["patience-floor 400", "patience-ceiling 400"].iter().chain(words) {
        match Control::parse(line).expect("well formed") {
            Control::Set(change) => change.apply(&mut settings),
            other => panic!("{other} is no setting"),
        }
    }
    settings
}

fn ensemble(settings: Settings) -> Ensemble<ToyModel> {
    let opening = Opening { settings, channel: 0, seed: 5 };
    Ensemble::new(ToyModel::default(), opening).expect("the toy always starts")
}

/// A session with the toy model, one line for each thing that Antiphon did: milliseconds, then what.
fn session(settings: Settings, input: &[TimedMessage], until_ms: u64) -> Vec<String> {
    let mut lines = Vec::new();
    let tell = |happening| {
        if let Happening::Ai(TimedMessage { time, message }) = happening {
            let sign = if message.is_note_on() { "on" } else { "off" };
            lines.push(format!("{} {sign} {}", time.as_micros() / 1000, key_name(message.as_bytes()[1])));
        } else if let Happening::Turn { at, turn } = happening {
            lines.push(format!("{} turn {turn:?}", at.as_micros() / 1000));
        }
    };
    offline::run(&mut ensemble(settings), input, at(until_ms), || false, tell).expect("the toy never fails");
    lines
}

/// When the first line with `what` in it happened, in milliseconds.
fn first(lines: &[String], what: &str) -> Option<u64> {
    lines.iter().find(|line| line.contains(what))?.split(' ').next()?.parse().ok()
}

/// The golden session: a change in any stage shows here.
#[test]
fn a_phrase_is_answered_in_its_own_time_and_interrupted_at_once() {
    let input = [on(0, 60), off(200, 60), on(300, 62), off(500, 62), on(1850, 72), off(2050, 72)];
    let lines = session(settings(&[]), &input, 3000);
    let expected = "\
        705 on E4\n705 turn Ai\n908 off E4\n956 on F#4\n1154 off F#4\n1202 on Ab4\n1403 off Ab4\n1457 on Bb4\n\
        1661 off Bb4\n1703 on C5\n1850 off C5\n1850 turn Human\n2255 on D5\n2255 turn Ai\n2452 off D5\n2505 on E5\n\
        2703 off E5\n2752 on F#5\n2953 off F#5";
    assert_eq!(lines.join("\n"), expected);
}

#[test]
fn the_answer_waits_for_held_keys_and_the_pedal() {
    let held = session(settings(&[]), &[on(0, 60), off(3000, 60)], 5000);
    assert_eq!(first(&held, "turn Ai"), Some(3120));
    let pedalled = session(settings(&[]), &[pedal(0, 127), on(0, 60), off(200, 60), pedal(2000, 0)], 5000);
    assert_eq!(first(&pedalled, "turn Ai"), Some(2120));
}

#[test]
fn nothing_heard_is_not_answered() {
    assert_eq!(session(settings(&[]), &[], 60_000), Vec::<String>::new());
    assert_eq!(session(settings(&[]), &[pedal(0, 127), pedal(100, 0)], 60_000), Vec::<String>::new());
}

#[test]
fn solo_begins_alone_and_gives_way() {
    let lines = session(settings(&["mode solo"]), &[on(5000, 40), off(5100, 40)], 8000);
    assert_eq!(first(&lines, "turn Ai"), Some(5));
    assert_eq!(first(&lines, "turn Human"), Some(5000));
    assert_eq!(lines.iter().filter(|line| line.contains("turn Ai")).count(), 2);
}

#[test]
fn a_limited_answer_ends_and_waits_for_the_human() {
    let lines = session(settings(&["answer-seconds 1"]), &[on(0, 60), off(100, 60)], 20_000);
    assert_eq!(first(&lines, "turn Human"), Some(1405));
    assert_eq!(lines.iter().filter(|line| line.contains("turn Ai")).count(), 1);
    let ons = lines.iter().filter(|line| line.contains(" on ")).count();
    assert_eq!(ons, lines.iter().filter(|line| line.contains(" off ")).count());
    assert!(lines.iter().all(|line| first(std::slice::from_ref(line), "").is_some_and(|ms| ms < 2000)), "{lines:?}");
}

#[test]
fn solo_goes_on_after_a_limited_answer() {
    let lines = session(settings(&["mode solo", "answer-seconds 2"]), &[], 10_000);
    assert_eq!(lines.iter().filter(|line| line.contains("turn Ai")).count(), 5);
}

#[test]
fn a_note_that_outlasts_its_answer_is_silenced_too() {
    let input = [on(0, 60), off(100, 60), on(1600, 72), off(1700, 72)];
    let lines = session(settings(&["answer-seconds 1"]), &input, 1900);
    assert_eq!(first(&lines, "turn Human"), Some(1405));
    let last_off =
        lines.iter().filter(|line| line.contains("off")).filter_map(|line| first(std::slice::from_ref(line), "off"));
    assert!(last_off.max() <= Some(1600), "{lines:?}");
}

#[test]
fn the_same_session_twice_is_the_same() {
    let input = [on(0, 60), off(300, 60), on(400, 65), off(700, 65)];
    assert_eq!(session(settings(&[]), &input, 30_000), session(settings(&[]), &input, 30_000));
}

/// What the answer plays before the human's second note at two seconds, and after it.
fn around_a_second_note(words: &[&str]) -> (Vec<String>, Vec<String>) {
    let lines = session(settings(words), &[on(0, 60), off(200, 60), on(2000, 90), off(2100, 90)], 4000);
    lines.into_iter().partition(|line| first(std::slice::from_ref(line), "").is_some_and(|ms| ms < 2000))
}

#[test]
fn an_answer_that_may_not_be_interrupted_plays_on_with_what_it_hears() {
    let (_, after) = around_a_second_note(&["barge-in off"]);
    assert!(!after.iter().any(|line| line.contains("turn")), "{after:?}");
    assert!(after.iter().filter(|line| line.contains(" on ")).count() > 4, "{after:?}");
    // The toy goes on a whole tone above the last note, which was the human's.
    assert!(after.iter().any(|line| line.contains("on Ab6")), "{after:?}");
}

#[test]
fn accompanying_goes_on_while_the_human_plays_and_ends_after_them() {
    let input: Vec<_> = (0..20).flat_map(|n| [on(n * 300, 60), off(n * 300 + 290, 60)]).collect();
    let lines = session(settings(&["mode accompany"]), &input, 12_000);
    assert_eq!(first(&lines, "turn Both"), Some(0));
    assert_eq!(lines.iter().filter(|line| line.contains("turn")).count(), 2, "{lines:?}");
    let end = first(&lines, "turn Human").expect("it ends");
    assert!((5990..=6400).contains(&end), "{end}");
    assert!(lines.iter().filter(|line| line.contains(" on ")).count() >= 15, "{lines:?}");
    assert!(!lines.iter().any(|line| line.contains("on C4")), "never on a key that the human holds: {lines:?}");
}

#[test]
fn listening_never_plays() {
    let lines = session(settings(&["mode listen"]), &[on(0, 60), off(200, 60)], 60_000);
    assert_eq!(lines, Vec::<String>::new());
}

/// An ensemble and what it wants done, called by hand.
struct ByHand {
    ensemble: Ensemble<ToyModel>,
    actions: Vec<Action>,
}

impl ByHand {
    fn new(words: &[&str]) -> Self {
        Self { ensemble: ensemble(settings(words)), actions: Vec::new() }
    }

    /// Wakes it at `ms` until it has nothing more to do.
    fn wake(&mut self, ms: u64) {
        while self.ensemble.next_wake(at(ms)).is_some_and(|wake| wake <= at(ms)) {
            self.ensemble.wake(at(ms), |action| self.actions.push(action)).expect("the toy never fails");
        }
    }

    fn hear(&mut self, timed: TimedMessage) {
        let act = |action| self.actions.push(action);
        self.ensemble.hear(timed.time, timed.message, act).expect("the toy never fails");
    }

    fn ask(&mut self, ms: u64, line: &str) {
        let control = Control::parse(line).expect("well formed");
        self.ensemble.control(at(ms), control, |action| self.actions.push(action)).expect("it knows the style");
    }

    /// Onsets of the notes that were handed to the player since the last call, in milliseconds.
    fn played(&mut self) -> Vec<u64> {
        let played = self.actions.drain(..).filter_map(|action| match action {
            Action::Tell(PlayerCommand::Play(planned)) => Some(planned.note.onset.as_micros() / 1000),
            _ => None,
        });
        played.collect()
    }
}

#[test]
fn the_answer_is_with_the_player_before_it_is_due() {
    let mut by_hand = ByHand::new(&[]);
    by_hand.hear(on(0, 60));
    by_hand.wake(0);
    assert!(by_hand.ensemble.is_ready(), "a plan for the case that the human stops now");
    assert_eq!(by_hand.played(), Vec::<u64>::new(), "but nobody knows when they let go");
    by_hand.hear(off(100, 60));
    by_hand.wake(100);
    assert_eq!(by_hand.played().first(), Some(&405));
    by_hand.wake(405);
    assert!(by_hand.actions.contains(&Action::Turn { at: at(405), turn: Turn::Ai }));
}

#[test]
fn a_handover_by_hand_needs_no_model() {
    let mut by_hand = ByHand::new(&["patience-floor 10000", "patience-ceiling 10000"]);
    by_hand.hear(on(0, 60));
    by_hand.wake(0);
    by_hand.played();
    by_hand.ask(50, "hand-over");
    let played = by_hand.played();
    assert_eq!(played.first(), Some(&55), "at once, even with a key held, and without waking: {played:?}");
    assert!(played.len() >= 4 && played.is_sorted());
}

#[test]
fn what_is_taken_back_stays_silent_until_the_human_has_played() {
    let mut by_hand = ByHand::new(&[]);
    by_hand.hear(on(0, 60));
    by_hand.hear(off(100, 60));
    for ms in [100, 405, 500] {
        by_hand.wake(ms);
    }
    by_hand.ask(600, "take-back");
    by_hand.played();
    by_hand.wake(20_000);
    assert_eq!(by_hand.ensemble.next_wake(at(20_000)), None);
    assert_eq!(by_hand.played(), Vec::<u64>::new());
    by_hand.hear(on(21_000, 60));
    by_hand.hear(off(21_100, 60));
    by_hand.wake(21_100);
    assert!(by_hand.played().first().is_some_and(|onset| (21_400..=21_500).contains(onset)));
}

#[test]
fn alone_it_begins_anew_after_a_panic_only_when_it_is_asked_to() {
    for (line, begins) in [("temperature 0.9", false), ("hand-over", true), ("mode solo", false), ("mode listen", true)]
    {
        let mut by_hand = ByHand::new(&["mode solo"]);
        by_hand.wake(0);
        by_hand.wake(1000);
        by_hand.ask(1000, "panic");
        assert!(by_hand.actions.contains(&Action::Tell(PlayerCommand::Panic)));
        by_hand.played();
        by_hand.wake(20_000);
        assert_eq!(by_hand.played(), Vec::<u64>::new());
        by_hand.ask(21_000, line);
        // From another mode back.
        by_hand.ask(21_000, "mode solo");
        for ms in [21_000, 21_500] {
            by_hand.wake(ms);
        }
        assert_eq!(!by_hand.played().is_empty(), begins, "{line}");
    }
}

#[test]
fn a_setting_changed_in_an_answer_is_heard_at_once() {
    let mut by_hand = ByHand::new(&["mode solo"]);
    by_hand.wake(0);
    by_hand.wake(1000);
    by_hand.actions.clear();
    by_hand.ask(1000, "style 1");
    let revised = by_hand
        .actions
        .iter()
        .any(|action| matches!(action, Action::Tell(PlayerCommand::Revise { after, .. }) if *after <= at(1100)));
    assert!(revised, "{:?}", by_hand.actions);
}

#[test]
fn another_model_takes_over_without_a_gap() {
    let mut by_hand = ByHand::new(&["mode solo"]);
    for ms in [0, 5, 1000] {
        by_hand.wake(ms);
    }
    let mut onsets = by_hand.played();
    by_hand.ensemble.offer_model(ToyModel::default());
    for ms in [1001, 1500, 2000] {
        by_hand.wake(ms);
    }
    onsets.extend(by_hand.played());
    assert!(onsets.windows(2).all(|pair| pair[1] - pair[0] < 300), "{onsets:?}");
    assert!(onsets.last() > Some(&2900), "{onsets:?}");
}

/// On a machine so slow that each step of the model takes 5 ms, after forty seconds of solo.
#[test]
fn another_model_reads_what_was_played_before_the_plan_runs_dry() {
    let mut by_hand = ByHand::new(&["mode solo"]);
    let mut now = at(0);
    let (mut late, mut models, mut onsets) = (0, 0, Vec::new());
    while now < at(60_000) {
        now = by_hand.ensemble.next_wake(now).expect("a solo goes on").max(now);
        by_hand.ensemble.wake(now, |action| by_hand.actions.push(action)).expect("the toy never fails");
        now += SessionDuration::from_millis(5);
        if models < 3 && now > at(40_000 + 5_000 * models) {
            by_hand.ensemble.offer_model(ToyModel::default());
            models += 1;
        }
        // The first note of all is wanted at once, which this machine is too slow for.
        let counts = |action: &&Action| **action == Action::Late && now > at(1000);
        late += by_hand.actions.iter().filter(counts).count();
        onsets.extend(by_hand.played());
    }
    assert_eq!(late, 0);
    assert!(onsets[4..].windows(2).all(|pair| pair[1] - pair[0] < 300), "{onsets:?}");
    assert!(onsets.last() > Some(&60_000), "{onsets:?}");
    assert!(by_hand.ensemble.model().steps > 128, "the third model has read and played");
}

#[test]
fn a_style_goes_by_its_name_and_is_kept_by_the_next_model() {
    let mut by_hand = ByHand::new(&["mode solo"]);
    by_hand.wake(0);
    by_hand.ask(1, "style march");
    assert_eq!(by_hand.ensemble.settings().style, 2);
    let refused = |by_hand: &mut ByHand, line: &str| {
        let control = Control::parse(line).expect("well formed");
        by_hand.ensemble.control(at(2), control, |_| {}).expect_err("no such style").to_string()
    };
    for line in ["style polka", "style 3"] {
        assert!(refused(&mut by_hand, line).contains("it knows any, waltz, march"), "{line}");
    }
    assert_eq!(by_hand.ensemble.settings().style, 2, "what is refused changes nothing");

    let with_styles = |styles: &[&str]| ToyModel {
        styles: styles.iter().copied().map(String::from).collect(),
        ..ToyModel::default()
    };
    by_hand.wake(1000);
    by_hand.ensemble.offer_model(with_styles(&["any", "march"]));
    by_hand.wake(2000);
    assert!(by_hand.actions.contains(&Action::Model { at: at(2000), style: 1 }), "{:?}", by_hand.actions);
    by_hand.ensemble.offer_model(with_styles(&["any", "waltz"]));
    by_hand.wake(3000);
    assert_eq!(by_hand.ensemble.settings().style, 0, "it knows no march, so any");
}

#[test]
fn channels_kept_apart_are_answered_each_on_its_own() {
    let mut by_hand = ByHand::new(&["players apart"]);
    let on_channel = |ms, channel, key| TimedMessage { time: at(ms), message: ShortMessage::note_on(channel, key, 70) };
    let off_channel = |ms, channel, key| TimedMessage { time: at(ms), message: ShortMessage::note_off(channel, key) };
    for message in [on_channel(0, 2, 40), on_channel(10, 5, 80), off_channel(100, 2, 40), off_channel(110, 5, 80)] {
        by_hand.hear(message);
    }
    by_hand.wake(110);
    let planned = by_hand.actions.iter().filter_map(|action| match action {
        Action::Tell(PlayerCommand::Play(planned)) => Some((planned.channel, planned.note.key)),
        _ => None,
    });
    let planned: Vec<_> = planned.collect();
    assert!(planned.contains(&(2, 42)) && planned.contains(&(5, 82)), "{planned:?}");
}

/// A MIDI clock at 120 bpm from the beginning, and these messages, in time order.
fn to_a_clock(until_ms: u64, messages: &[TimedMessage]) -> Vec<TimedMessage> {
    let clock = |n| (SessionTime::from_micros(n * 62_500 / 3), ShortMessage::sync(SyncMessage::Clock));
    let clocks = (0..until_ms * 48 / 1000).map(clock).map(|(time, message)| TimedMessage { time, message });
    let mut all: Vec<_> = clocks.chain(messages.iter().copied()).collect();
    all.sort_by_key(|timed| timed.time);
    all
}

#[test]
fn to_a_clock_the_answer_begins_on_the_bar_and_its_notes_lie_on_the_grid() {
    let input = to_a_clock(12_000, &[on(4100, 60), off(4300, 60)]);
    let lines = session(settings(&["begin-on bar", "snap 1"]), &input, 9000);
    assert!(first(&lines, "turn Ai").is_some_and(|ms| (5999..=6001).contains(&ms)), "{lines:?}");
    let onsets =
        lines.iter().filter(|line| line.contains(" on ")).filter_map(|line| first(std::slice::from_ref(line), ""));
    for onset in onsets {
        let off_the_grid = (onset + 1) % 125;
        assert!(off_the_grid <= 2, "{onset}: {lines:?}");
    }
    let free = session(settings(&["begin-on free"]), &input, 9000);
    assert_eq!(first(&free, "turn Ai"), Some(4505), "{free:?}");
}

#[test]
fn when_the_clock_stops_time_is_free() {
    let stop = TimedMessage { time: at(3000), message: ShortMessage::sync(SyncMessage::Stop) };
    let mut input = to_a_clock(2990, &[]);
    input.extend([stop, on(4100, 60), off(4300, 60)]);
    assert_eq!(first(&session(settings(&["begin-on bar"]), &input, 9000), "turn Ai"), Some(4505));
}

#[test]
fn an_answer_that_waits_for_its_bar_moves_with_the_clock() {
    // The master starts its song anew while the answer waits: the bar that it waited for is another one now.
    let start = TimedMessage { time: at(4990), message: ShortMessage::sync(SyncMessage::Start) };
    let mut input = to_a_clock(12_000, &[on(4100, 60), off(4300, 60)]);
    input.push(start);
    input.sort_by_key(|timed| timed.time);
    let lines = session(settings(&["begin-on bar"]), &input, 9000);
    assert!(first(&lines, "turn Ai").is_some_and(|ms| (6998..=7002).contains(&ms)), "{lines:?}");
}

#[test]
fn with_every_key_held_it_waits_and_does_not_search_without_end() {
    let keys = 0..128u8;
    let held = keys.clone().map(|key| on(0, key)).chain(keys.map(|key| off(5000, key)));
    let lines = session(settings(&["patience-floor 400"]), &held.collect::<Vec<_>>(), 7000);
    let begins = first(&lines, "turn Ai").expect("it answers when keys are free");
    assert!(begins > 5000, "{lines:?}");
    // The same where nobody ever lets go.
    let mut ensemble = ensemble(settings(&[]));
    let held: Vec<TimedMessage> = (0..128).map(|key| on(0, key)).collect();
    for message in &held {
        ensemble.hear(message.time, message.message, |_| {}).expect("the toy never fails");
    }
    let (mut now, mut wakes) = (at(0), 0);
    while let Some(wake) = ensemble.next_wake(now).filter(|wake| *wake <= at(60_000)) {
        now = now.max(wake);
        ensemble.wake(now, |_| {}).expect("the toy never fails");
        wakes += 1;
        assert!(wakes < 2000, "woken {wakes} times by {now}");
    }
}
