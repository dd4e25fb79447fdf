//! `antiphon monitor`: a running Antiphon in a terminal.

mod terminal;

use std::io::{IsTerminal as _, Write as _, stdout};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use clap::Args;
use ratatui::crossterm::event::{Event, KeyEventKind, poll, read};
use serde_json::{Value, json};
use terminal::Borrowed;

use super::flags::ConfigFlags;
use super::{Exit, Failure, examples};
use crate::monitor::{Address, Hands, Link, Look, Outcome, Scene, Unanswered, Wish, Word, as_json, as_text, draw};
use crate::ports::{self, PortName};
use crate::surface::http::Token;

/// How long it waits for a key before it draws again: 20 pictures a second are enough for a roll of cells.
const DRAW_EVERY: Duration = Duration::from_millis(50);

/// How long an end may take. A terminal that has gone may hold whoever reads or draws for ever.
#[cfg(unix)]
const ENDS_WITHIN: Duration = Duration::from_secs(1);

/// How often the takes are looked up.
const TAKES_EVERY: Duration = Duration::from_secs(15);

#[derive(Debug, Args)]
#[command(after_help = examples::MONITOR)]
pub(super) struct MonitorFlags {
    /// Where Antiphon is: PORT, HOST, HOST:PORT, or the whole address that it prints behind `page:` [default: this machine,
    /// port 7272, or what the configuration says of --http]
    #[arg(id = "http", value_name = "ADDRESS", env = "ANTIPHON_HTTP", hide_env = true)]
    pub address: Option<Address>,

    /// The Antiphon of this machine whose ports are called after NAME (`jam --name`), wherever its page is
    #[arg(id = "of-name", long = "name", value_name = "NAME")]
    pub name: Option<PortName>,

    /// What opens an Antiphon on another machine, as it prints it
    #[arg(long, value_name = "SECRET", value_parser = Token::parse, env = "ANTIPHON_TOKEN", hide_env_values = true)]
    pub token: Option<Token>,

    /// Print how things stand, and end; needs no terminal
    #[arg(long)]
    pub once: bool,

    /// Print how things stand and then all that happens, as JSON lines; with --once one object; needs no terminal
    #[arg(long)]
    pub json: bool,

    #[command(flatten)]
    pub config: ConfigFlags,
}

pub(super) fn run(flags: &MonitorFlags) -> Result<(), Failure> {
    // Signals to the Antiphon that it watches, which has the same name for `pidof`.
    #[cfg(unix)]
    for signal in [signal_hook::consts::SIGUSR1, signal_hook::consts::SIGUSR2] {
        signal_hook::flag::register(signal, Arc::default())?;
    }
    let address = match &flags.name {
        Some(name) => named(name)?,
        None => flags.address.clone().unwrap_or_default(),
    };
    let address = address.or_token(flags.token.clone());
    match (flags.once, flags.json) {
        (true, true) => once(as_json(&address).map(|value| format!("{value}\n"))),
        (true, false) => once(as_text(&address)),
        (false, true) => follow(&address),
        (false, false) if !stdout().is_terminal() => Err(Failure::new(
            Exit::Usage,
            "antiphon monitor draws in a terminal, and this is none; --once prints how things stand, --json what happens",
        )),
        (false, false) => watch(&address),
    }
}

/// Where the page of the Antiphon of that name is.
fn named(name: &PortName) -> Result<Address, Failure> {
    let here = ports::holders(name);
    let pages: Vec<String> = here.iter().filter_map(|holder| holder.page.clone()).collect();
    let why = match (&pages[..], here.is_empty()) {
        ([page], _) => return page.parse().map_err(|why: String| Failure::new(Exit::Failed, why)),
        ([], true) => {
            "no Antiphon of this name runs here for this user; its address (behind `page:`) finds one".to_owned()
        }
        ([], false) => "the Antiphon of this name serves no page (--no-http), or not yet".to_owned(),
        (several, _) => format!("on more than one MIDI system; name one of the pages instead: {}", several.join(", ")),
    };
    Err(Failure::new(Exit::Failed, format!("--name {name}: {why}")))
}

fn once(text: Result<String, Unanswered>) -> Result<(), Failure> {
    let text = text.map_err(|unanswered| Failure::new(Exit::Failed, unanswered))?;
    super::keep_unprinted(stdout().lock().write_all(text.as_bytes()));
    Ok(())
}

/// Prints all that is heard as lines of JSON, the same as `jam --json`, until nobody reads them.
fn follow(address: &Address) -> Result<(), Failure> {
    let link = Link::start(address)?;
    let mut was_up = false;
    for word in &link.words {
        let lines = match word {
            Word::State(state) => vec![state],
            Word::Sights(batch) => lines_of(batch),
            Word::Down(why) if was_up => vec![json!({ "event": "gone", "why": why })],
            // It was never there: a wrong address is better said than waited for.
            Word::Down(why) => return Err(Failure::new(Exit::Failed, why)),
            Word::Settings(_) | Word::Takes(_) | Word::Models(_) | Word::Refused(_) => Vec::new(),
        };
        was_up = true;
        for line in lines {
            if writeln!(stdout().lock(), "{line}").is_err() {
                return Ok(());
            }
        }
    }
    Ok(())
}

/// The lines of a batch: each thing that happened, then the figures.
fn lines_of(mut batch: Value) -> Vec<Value> {
    let mut lines = match batch["sights"].take() {
        Value::Array(sights) => sights,
        _ => Vec::new(),
    };
    if batch["figures"].is_object() {
        let mut figures = batch["figures"].take();
        figures["event"] = json!("figures");
        figures["at"] = batch["now"].take();
        figures["losses"] = batch["losses"].take();
        lines.push(figures);
    }
    lines
}

/// Signals to end. A second one ends the program at once.
fn listen_for_the_end() -> std::io::Result<Arc<AtomicBool>> {
    let end = Arc::new(AtomicBool::new(false));
    for &signal in signal_hook::consts::TERM_SIGNALS {
        signal_hook::flag::register_conditional_shutdown(signal, i32::from(Exit::AtOnce as u8), Arc::clone(&end))?;
        signal_hook::flag::register(signal, Arc::clone(&end))?;
    }
    #[cfg(unix)]
    {
        use signal_hook::consts::{SIGHUP, TERM_SIGNALS};
        signal_hook::flag::register(SIGHUP, Arc::clone(&end))?;
        let all = TERM_SIGNALS.iter().copied().chain([SIGHUP]);
        let mut signals = signal_hook::iterator::Signals::new(all)?;
        let end_anyway = move || {
            if signals.forever().next().is_some() {
                thread::sleep(ENDS_WITHIN);
                terminal::give_back();
                signal_hook::low_level::exit(i32::from(Exit::Done as u8));
            }
        };
        thread::Builder::new().name("end".into()).spawn(end_anyway)?;
    }
    Ok(end)
}

/// Draws until the person leaves.
fn watch(address: &Address) -> Result<(), Failure> {
    let variable = |name: &str| std::env::var(name).ok();
    if variable("TERM").as_deref() == Some("dumb") {
        let why = "this terminal (TERM=dumb) cannot be drawn in; --once prints how things stand, --json what happens";
        return Err(Failure::new(Exit::Usage, why));
    }
    let look = Look::of(variable);
    let end = listen_for_the_end()?;
    let link = Link::start(address)?;
    let mut terminal = Borrowed::open().map_err(|why| {
        Failure::new(Exit::Failed, format!("this terminal cannot be drawn in ({why}); --once prints how things stand"))
    })?;
    let (mut scene, mut hands, place) = (Scene::default(), Hands::default(), address.authority());
    let mut takes_seen = Instant::now();
    while !end.load(Relaxed) && !terminal.is_broken() {
        while let Ok(word) = link.words.try_recv() {
            for list in scene.take_in(Instant::now(), word) {
                link.wish(Wish::Look(list));
            }
        }
        if takes_seen.elapsed() > TAKES_EVERY {
            takes_seen = Instant::now();
            link.wish(Wish::Look(crate::monitor::List::Takes));
        }
        terminal.draw(|frame| draw(frame.buffer_mut(), &scene, &mut hands, look, &place, Instant::now()))?;
        let mut wait = DRAW_EVERY;
        // All keys that are there already, so that a held one does not lag behind.
        while poll(wait)? {
            wait = Duration::ZERO;
            let Event::Key(key) = read()? else { continue };
            if key.kind == KeyEventKind::Release {
                continue;
            }
            match hands.press(key, &scene) {
                Outcome::Stay => {}
                Outcome::Wish(wish) => link.wish(wish),
                Outcome::Leave => return Ok(()),
                Outcome::Suspend => terminal.suspend()?,
            }
        }
    }
    // The panic that broke it has been printed; a thread of the connection may still be about to end.
    if terminal.is_broken() {
        thread::sleep(DRAW_EVERY);
        return Err(Failure::new(Exit::Failed, "the monitor broke; Antiphon itself plays on"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_is_a_line_for_each_thing_and_one_for_the_figures() {
        let batch = json!({ "event": "sights", "now": 3.5, "sights": [{ "event": "turn" }], "figures": { "notes": {} },
            "losses": "1 note" });
        let lines = lines_of(batch);
        assert_eq!(lines.len(), 2);
        assert_eq!(lines[1], json!({ "event": "figures", "at": 3.5, "losses": "1 note", "notes": {} }));
        assert!(lines_of(json!({ "event": "sights", "now": 3.5, "sights": [] })).is_empty());
    }
}
