use std::sync::{Arc, Mutex};

use proptest::prelude::*;

use super::*;
use crate::control::Control;
use crate::ensemble::Ensemble;
use crate::midi::ShortMessage;
use crate::model::NoteModel as _;
use crate::model::toy::ToyModel;
use crate::replay::{Ending, ReplayError, Replayed, replay};
use crate::settings::Mode;
use crate::take::Take;
use crate::time::SessionTime;
use crate::transcript::{Call, Entry, PlanDigest};

fn at(ms: u64) -> SessionTime {
    SessionTime::from_micros(ms * 1000)
}

fn opening() -> Opening {
    let settings = Settings { mode: Mode::Accompany, ..Settings::default() };
    Opening { settings, channel: 3, seed: 9 }
}

fn header() -> Header {
    let mut header = Header::new("the toy's own", ToyModel::default().origin(), &opening());
    header.lead = SessionDuration::from_millis(7);
    header
}

/// What is done to a session, in turn.
#[derive(Clone, Debug)]
enum Deed {
    /// So many microseconds later, a key goes down or up.
    Key(u32, u8, bool),
    /// Somebody asks for this.
    Ask(&'static str),
    /// Another model is offered.
    Offer,
    /// It is woken so often as it wants, within so many microseconds.
    Wake(u32),
}

/// Plays a session and gives back its file and the digest of its plan.
fn session(deeds: &[Deed], ended: bool) -> (String, PlanDigest) {
    let header = header();
    let lines = Arc::new(Mutex::new(Lines::new(&header)));
    let written = Arc::clone(&lines);
    let sink = move |entry: Entry| written.lock().expect("nobody panics").add(entry);
    let ensemble = Ensemble::new(ToyModel::default(), header.opening()).expect("the toy always starts");
    let mut ensemble = ensemble.leading_by(header.lead).transcribed(sink);
    let mut now = 0;
    for deed in deeds {
        match *deed {
            Deed::Key(after, key, down) => {
                now += u64::from(after);
                let message = if down { ShortMessage::note_on(1, key, 80) } else { ShortMessage::note_off(1, key) };
                // Stamped a little before it is taken in, as drivers do.
                let stamped = SessionTime::from_micros(now.saturating_sub(300));
                ensemble.hear(stamped, message, |_| {}).expect("the toy never fails");
            }
            Deed::Ask(line) => {
                let control = Control::parse(line).expect("well formed");
                // A style that the model does not know is refused, and goes on so.
                let _ = ensemble.control(SessionTime::from_micros(now), control, |_| {});
            }
            Deed::Offer => {
                let styles = ["any", "march"].map(String::from).to_vec();
                ensemble.offer_model(ToyModel { styles, ..ToyModel::default() });
            }
            Deed::Wake(within) => {
                let until = SessionTime::from_micros(now + u64::from(within));
                for _ in 0..200 {
                    let time = SessionTime::from_micros(now);
                    let Some(wake) = ensemble.next_wake(time).filter(|wake| *wake <= until) else { break };
                    now = now.max(wake.as_micros());
                    ensemble.wake(SessionTime::from_micros(now), |_| {}).expect("the toy never fails");
                }
                now = now.max(until.as_micros());
            }
        }
    }
    if ended {
        ensemble.end(SessionTime::from_micros(now));
    }
    let mut lines = lines.lock().expect("nobody panics");
    lines.checkpoint();
    (lines.text().to_owned(), ensemble.plan_digest())
}

/// Plays a session file again, and gives back its take too.
fn replayed(text: &[u8]) -> Result<(Replayed, Vec<u8>), ReplayError> {
    let mut reader = Reader::new(Path::new("a.session"), text)?;
    let ensemble = Ensemble::new(ToyModel::default(), reader.header.opening())?.leading_by(reader.header.lead);
    let mut take = Take::default();
    let offered = |_: &Origin| {
        let styles = ["any", "march"].map(String::from).to_vec();
        Ok(ToyModel { styles, ..ToyModel::default() })
    };
    let replayed = replay(ensemble, &mut reader, offered, |happening| take.add(happening))?;
    Ok((replayed, take.to_midi().unwrap_or_default()))
}

/// A session in which something of each kind happens.
fn rich() -> Vec<Deed> {
    use Deed::{Ask, Key, Offer, Wake};
    let mut deeds =
        vec![Wake(100_000), Ask("mode respond"), Ask("style march"), Ask("style waltz"), Ask("patience 0.7")];
    for key in [60, 64, 67, 65] {
        deeds.extend([Key(200_000, key, true), Wake(150_000), Key(20_000, key, false), Wake(50_000)]);
    }
    deeds.extend([Wake(2_000_000), Offer, Wake(1_500_000), Ask("style polka"), Ask("mode solo"), Wake(3_000_000)]);
    deeds.extend([Ask("hand-over"), Ask("panic"), Ask("model 2"), Ask("players apart"), Wake(900_000)]);
    deeds
}

#[test]
fn a_session_comes_out_the_same_each_time() {
    let (text, digest) = session(&rich(), true);
    let (first, take) = replayed(text.as_bytes()).expect("whole");
    assert_eq!((first.ending, first.differs_from, first.digest), (Ending::Whole, None, digest));
    assert!(first.until >= at(8000) && take.len() > 500, "{first:?}, {} bytes", take.len());
    assert_eq!(replayed(text.as_bytes()).expect("whole"), (first, take));
}

#[test]
fn where_it_comes_out_otherwise_is_said_with_its_time() {
    let (text, _) = session(&rich(), true);
    let other = text.replacen("patience 0.7", "patience 3.5", 1);
    assert_ne!(other, text);
    let (differs, _) = replayed(other.as_bytes()).expect("whole");
    let from = differs.differs_from.expect("another patience is heard");
    assert!(from > at(100) && from < at(6000), "{from}");
}

#[test]
fn a_session_that_breaks_off_is_played_up_to_there() {
    let (text, digest) = session(&rich(), false);
    let (cut, _) = replayed(text.as_bytes()).expect("readable");
    assert_eq!((cut.ending, cut.differs_from, cut.digest), (Ending::Cut, None, digest));
    // In the middle of a line: that line does not count.
    let half = &text.as_bytes()[..text.len() / 2];
    let (half, _) = replayed(half).expect("readable");
    assert_eq!((half.ending, half.differs_from), (Ending::Cut, None));
    assert!(half.calls > 0 && half.calls < cut.calls);
}

#[test]
fn lost_calls_are_said_and_nothing_is_played_on_a_wrong_plan() {
    let mut lines = Lines::new(&header());
    let wake = |serial, ms| Entry { serial, call: Call::Wake(at(ms)), digest: PlanDigest::default() };
    lines.add(wake(0, 1));
    lines.add(wake(4, 2));
    lines.has_lost(5);
    lines.checkpoint();
    assert!(lines.text().ends_with("begin\nw 1000\nlost 3\nw 1000\nlost 2\n"), "{}", lines.text());
    let (lost, _) = replayed(lines.text().as_bytes()).expect("readable");
    assert_eq!((lost.ending, lost.calls), (Ending::Lost(3), 1));
}

#[test]
fn a_damaged_file_gets_one_sentence_with_its_line() {
    let (text, _) = session(&rich(), true);
    let line_of = |start: &str| 1 + text.lines().position(|line| line.starts_with(start)).expect("there");
    let refusal = |text: &str| replayed(text.as_bytes()).expect_err("refused").to_string();
    for (start, instead) in [
        ("seed", "seed -3"),
        ("channel", "channel 17"),
        ("set patience ", "set patience 11"),
        ("set mode", "set panic"),
        ("model", "model 1234 toy"),
        ("w ", "w 12 x"),
        ("w ", "w 12=zz"),
        ("w ", "w -5"),
        ("w ", "w 99999999999999999999"),
        ("w ", "w 9223372036854775807"),
        ("h ", "h 0 903c"),
        ("h ", "h 0 90+1+1"),
        ("h ", "h 0 fe"),
        ("c ", "c 0 patince 2"),
        ("c ", "c 0"),
        ("= ", "= 12"),
        ("m ", "m"),
        ("e ", "fine"),
    ] {
        let line = line_of(start);
        let damaged: Vec<_> = text.lines().enumerate().map(|(n, l)| if n + 1 == line { instead } else { l }).collect();
        let said = refusal(&(damaged.join("\n") + "\n"));
        assert!(said.contains(&format!("a.session is damaged at line {line}: ")), "{instead}: {said}");
    }
    assert!(refusal(&format!("{text}w 5\n")).contains("goes on after its end"));
    assert!(refusal(&text.replacen("session 1", "session 2", 1)).contains("reads format 1"));
    assert!(refusal("<!DOCTYPE html>\n").contains("no session file"));
    assert!(refusal("").contains("no session file"));
    assert!(refusal("antiphon-session 1\n").contains("has no end"));
    assert!(
        refusal(&format!("antiphon-session 1\nengine {}\n", "x".repeat(10_000)))
            .contains("line 2: the line is too long")
    );
}

#[test]
fn what_a_session_begins_with_is_read_back() {
    let settings = Settings { style: 2, patience: 0.1 + 0.2, ..opening().settings };
    let mut header = Header::new("an\nengine", ToyModel::default().origin(), &Opening { settings, ..opening() });
    header.lead = SessionDuration::from_micros(12_345);
    let text = Lines::new(&header).text().to_owned();
    let read = Reader::new(Path::new("a.session"), text.as_bytes()).expect("whole").header;
    assert_eq!(read, Header { engine: "an?engine".into(), ..header.clone() });
    assert_eq!(read.opening(), header.opening());
    assert_eq!(read.opening().settings, settings);
}

#[test]
fn the_session_lies_beside_its_take() {
    assert_eq!(beside(Path::new("a/take.mid")), Path::new("a/take.session"));
    assert_eq!(beside(Path::new("take.session")), Path::new("take.session.session"));
}

fn deeds() -> impl Strategy<Value = Vec<Deed>> {
    let asked = prop::sample::select(vec![
        "mode solo",
        "mode respond",
        "mode accompany",
        "mode listen",
        "hand-over",
        "take-back",
        "panic",
        "patience 0",
        "style march",
        "style 2",
        "style 9",
        "players apart",
        "barge-in duck",
        "temperature 1.7",
        "model 2",
    ]);
    let deed = prop_oneof![
        4 => (0u32..400_000, 40u8..80, any::<bool>()).prop_map(|(after, key, down)| Deed::Key(after, key, down)),
        2 => asked.prop_map(Deed::Ask),
        1 => Just(Deed::Offer),
        4 => (0u32..2_000_000).prop_map(Deed::Wake),
    ];
    prop::collection::vec(deed, 0..30)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_session_comes_out_the_same(deeds in deeds(), ended in any::<bool>()) {
        let (text, digest) = session(&deeds, ended);
        let (again, take) = replayed(text.as_bytes()).expect("readable");
        prop_assert_eq!((again.differs_from, again.digest), (None, digest));
        prop_assert_eq!(again.ending == Ending::Whole, ended);
        prop_assert_eq!(replayed(text.as_bytes()).expect("readable"), (again, take));
    }

    #[test]
    fn garbage_is_refused_or_played_but_never_a_panic(
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0u8..3), 1..12),
    ) {
        let mut bytes = session(&rich(), true).0.into_bytes();
        for (place, byte, kind) in edits {
            let place = place.index(bytes.len());
            match kind {
                0 => bytes[place] = byte,
                1 => bytes.insert(place, b"0123456789 -=\nwhcme"[usize::from(byte) % 19]),
                _ => drop(bytes.remove(place)),
            }
        }
        let _ = replayed(&bytes);
    }

    #[test]
    fn bytes_of_any_kind_are_no_session(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(replayed(&bytes).is_err());
        prop_assert!(replayed(&[b"antiphon-session 1\n", bytes.as_slice()].concat()).is_err());
    }
}
