//! The simulated player and the bundled model under virtual time.

use std::path::Path;

use antiphon::ensemble::{Ensemble, Opening};
use antiphon::midi::TimedMessage;
use antiphon::model::{BUNDLED_MODEL, Engine, EngineChoice, LstmModel, ModelFile};
use antiphon::offline;
use antiphon::settings::Settings;
use antiphon::take::Happening;
use antiphon::time::{SessionDuration, SessionTime};

use super::outcome::{Outcome, Played};
use super::phrases::Phrases;

/// The shortest and the longest that the player plays before a cut.
const LENGTH: [SessionDuration; 2] = [SessionDuration::from_millis(2_000), SessionDuration::from_millis(5_000)];

/// From the end of a phrase to the next one: long enough for the answer to begin and to be cut off.
const PAUSE: SessionDuration = SessionDuration::from_millis(4_000);

/// Plays so many phrases, each into the answer to the one before.
pub fn play(phrases: &mut Phrases, count: usize) -> Outcome {
    let (messages, played) = part(phrases, count);
    let end = played.last().map_or(SessionTime::ZERO, |last| last.rest + PAUSE);
    let mut log: Vec<Happening> = Vec::new();
    offline::run(&mut ensemble(), &messages, end, || false, |happening| log.push(happening)).expect("the model runs");
    Outcome::new(&played, &log)
}

/// What the player sends, and the phrases that it is made of.
fn part(phrases: &mut Phrases, count: usize) -> (Vec<TimedMessage>, Vec<Played>) {
    let (mut messages, mut played) = (Vec::new(), Vec::new());
    let mut begin = SessionTime::from_micros(100_000);
    for _ in 0..count {
        let length = phrases.between(LENGTH[0], LENGTH[1]);
        let phrase = phrases.next(length);
        let part = phrase.messages(begin);
        let rest = part.last().expect("a phrase has notes").time;
        let later = |time: SessionTime| begin + time.since(SessionTime::ZERO);
        played.push(Played { begin, last_onset: later(phrase.last_onset()), rest, next: later(phrase.next) });
        messages.extend(part);
        begin = rest + PAUSE;
    }
    (messages, played)
}

fn ensemble() -> Ensemble<LstmModel> {
    let engine = Engine::start(&EngineChoice::Embedded).expect("the engine starts");
    let file = ModelFile::from_bytes(Path::new("bundled"), BUNDLED_MODEL.to_vec()).expect("ours");
    let model = LstmModel::load(&file, &engine).expect("the engine takes it");
    Ensemble::new(model, Opening { settings: Settings::default(), channel: 0, seed: 7 }).expect("the model starts")
}
