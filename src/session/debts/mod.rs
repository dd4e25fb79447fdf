//! Note debts: whatever happens, nothing goes on sounding, only what sounds is released, and the human is answered.
//!
//! Sessions at random through the engine as it is: ports that listen, echoes, the conductor with its queue, the player's
//! part with its wires and thru, under virtual time and without threads. What a session is made of is drawn before it
//! begins, so that one that fails is cut short and thinned out until it cannot be shorter.

mod room;
mod script;
mod synth;
mod wild;

use std::collections::BTreeMap;
use std::io::Write as _;

use room::{Counts, Room};
use script::{Exit, Script};

/// Events in a session, about.
const LENGTH: usize = 600;

/// Events when nobody asks for more.
const EVENTS: usize = 6_000;

/// How many shorter sessions are tried to find the shortest that fails.
const TRIES: usize = 400;

/// All sessions together.
#[derive(Default)]
struct Total {
    events: usize,
    sessions: u64,
    kinds: BTreeMap<String, u64>,
    exits: BTreeMap<Exit, u64>,
    counts: Counts,
}

impl Total {
    fn add(&mut self, script: &Script, counts: Counts) {
        for event in &script.events {
            let name = format!("{event:?}");
            let name = name.split([' ', '(', '{']).next().unwrap_or_default().to_lowercase();
            *self.kinds.entry(name).or_default() += 1;
            self.events += event.weight();
        }
        self.sessions += 1;
        *self.exits.entry(script.exit).or_default() += 1;
        self.counts.add(counts);
    }

    /// One line for programs.
    fn line(&self, seed: u64, failed: Option<&str>) -> String {
        let exits: BTreeMap<String, u64> =
            self.exits.iter().map(|(exit, count)| (format!("{exit:?}"), *count)).collect();
        let line = serde_json::json!({
            "seed": seed, "events": self.events, "sessions": self.sessions, "kinds": self.kinds, "exits": exits,
            "counts": self.counts, "stuck": u64::from(failed.is_some()), "why": failed,
        });
        line.to_string()
    }
}

/// The shortest session like this one that fails, as far as it was looked for.
fn shortest(script: &Script, place: usize, why: String) -> (Script, String) {
    let mut shortest =
        Script { events: script.events[..script.events.len().min(place + 1)].to_vec(), ..script.clone() };
    let (mut why, mut tries, mut step) = (why, 0, (shortest.events.len() / 2).max(1));
    loop {
        let (mut begin, mut found) = (0, false);
        while begin < shortest.events.len() && tries < TRIES {
            let mut thinner = shortest.clone();
            thinner.events.drain(begin..(begin + step).min(thinner.events.len()));
            tries += 1;
            if let Err((place, said)) = Room::play(&thinner) {
                thinner.events.truncate(place + 1);
                (shortest, why, found) = (thinner, said, true);
            } else {
                begin += step;
            }
        }
        if tries >= TRIES || step == 1 && !found {
            return (shortest, why);
        }
        step = (step / 2).max(1);
    }
}

/// `ANTIPHON_NOTE_DEBTS` may be `EVENTS`, or `EVENTS SEED`; `ANTIPHON_NOTE_DEBTS_LINE` names a file for the last line.
#[test]
fn nothing_goes_on_sounding_whatever_happens() {
    let asked = std::env::var("ANTIPHON_NOTE_DEBTS").unwrap_or_default();
    let mut words = asked.split_whitespace().map(|word| word.parse::<u64>().expect("a number"));
    let events = words.next().map_or(EVENTS, |events| usize::try_from(events).expect("a number of events"));
    let seed = words.next().unwrap_or(1);
    let mut total = Total::default();
    let mut next = seed;
    let mut failed = None;
    while total.events < events && failed.is_none() {
        let script = Script::drawn(next, LENGTH);
        match Room::play(&script) {
            Ok(counts) => total.add(&script, counts),
            Err((place, why)) => {
                let (short, said) = shortest(&script, place, why.clone());
                let events: Vec<String> = short.events.iter().map(|event| format!("  {event:?}")).collect();
                failed = Some(format!(
                    "session {next} (run it with ANTIPHON_NOTE_DEBTS='1 {next}') fails at event {place} of {}: {why}\n\
                     of it these {} events fail as well, with the exit {:?}, thru {} and offsets {:?}: {said}\n{}",
                    script.events.len(),
                    short.events.len(),
                    short.exit,
                    short.thru,
                    short.offsets,
                    events.join("\n"),
                ));
            }
        }
        next += 1;
    }
    let line = total.line(seed, failed.as_deref());
    if let Some(path) = std::env::var_os("ANTIPHON_NOTE_DEBTS_LINE") {
        std::fs::write(path, format!("{line}\n")).expect("the line can be written");
    }
    if let Some(failed) = failed {
        panic!("{failed}");
    }
    // A closed standard error is no failure.
    let _ = writeln!(std::io::stderr(), "note debts: {line}");
    // One session that is run again, as the report of a failure says, may be a quiet one.
    let is_lively = total.counts.notes > 100 && total.counts.human_notes > 100;
    assert!(is_lively || total.events < EVENTS, "hardly anything was played: {line}");
}
