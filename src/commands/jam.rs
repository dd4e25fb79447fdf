//! `antiphon jam`: the daemon.

use std::collections::BTreeSet;
use std::io::{IsTerminal as _, Write as _, stderr};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use signal_hook::consts::TERM_SIGNALS;

use super::flags::JamFlags;
use super::hang_up::{HangUp, HungUp};
use super::model::{Loaded, load, seed, settings};
use super::watching::{self, take_lines};
use super::{Exit, Failure, check, say};
use crate::conductor::{LEAD, Turn};
use crate::config::{Config, Effective};
use crate::control::{Control, ControlMap};
use crate::ensemble::{Ensemble, Opening};
use crate::figures::Report;
use crate::midi::{ShortMessage, TimedMessage};
use crate::midi_file::{FileEvent, read_events, read_events_from_bytes};
use crate::model::{LstmModel, NoteModel as _};
use crate::offline;
use crate::ports::{Attachments, Backend};
use crate::recorder::{RecordError, write_take};
use crate::session::{Library, LiveSession, LiveSettings};
use crate::session_file::{Header, Lines};
use crate::settings::{Mode, Settings};
use crate::sight::Sight;
use crate::status::Status;
use crate::surface::http::Desk;
use crate::surface::osc::{Osc, OscSettings};
use crate::take::Take;
use crate::time::{Clock, SessionDuration, SessionTime};

/// What plays the human where there is no MIDI system and no file is named.
const BUNDLED_PHRASE: &[u8] = include_bytes!("../../assets/phrase.mid");

/// Longest answer to a file unless told otherwise: a file does not interrupt at its end.
const ANSWER_TO_A_FILE: SessionDuration = SessionDuration::from_millis(20_000);

/// Time between the ports being open and the file's beginning, so that listeners can attach.
const FILE_DELAY: SessionDuration = SessionDuration::from_millis(500);

/// How often the live line is drawn and signals are looked for.
const DRAW_EVERY: Duration = Duration::from_millis(50);

pub(super) fn run(flags: &JamFlags, config: &Config) -> Result<(), Failure> {
    let effective = Effective::default().with(&config.settings).with(&flags.changes());
    if flags.check {
        return check::run(flags, config, &effective);
    }
    if flags.virtual_time && flags.input.is_none() && !flags.headless {
        return Err(Failure::new(Exit::Usage, "--virtual-time needs --input FILE.mid or --headless"));
    }
    if flags.virtual_time && flags.input.is_none() && flags.seconds.is_none() {
        return Err(Failure::new(Exit::Usage, "--virtual-time without --input needs --seconds"));
    }
    let stop = stop_flag()?;
    let figures_wanted = figures_flag()?;
    let input = flags.input.as_deref().map(read_human).transpose()?;
    let loaded = load(flags.playing.model.as_deref(), &flags.playing.engine)?;
    say(format_args!("model: {}", loaded.described));
    let mut settings = settings(&effective, loaded.model.description())?;
    if input.is_some() && settings.mode == Mode::Respond {
        settings.longest_answer.get_or_insert(ANSWER_TO_A_FILE);
    }
    if flags.virtual_time {
        return run_virtually(flags, settings, loaded, &input.unwrap_or_default(), &stop);
    }
    if stop.load(Relaxed) {
        return Ok(());
    }
    Jam { flags, config, stop, figures_wanted, settings }.run(loaded, input)
}

/// What the session begins with. The ensemble is built from its header, so that a replay has the very same.
fn header(flags: &JamFlags, settings: Settings, loaded: &Loaded) -> Header {
    let opening = Opening { settings, channel: flags.channel - 1, seed: seed(&flags.playing) };
    Header::new(&loaded.engine, loaded.model.origin(), &opening)
}

/// The models that can be chosen while it plays: the first is the one that it begins with.
fn library(flags: &JamFlags) -> Library<LstmModel> {
    let first = std::iter::once(flags.playing.model.clone());
    let models: Vec<_> = first.chain(flags.more_model.iter().cloned().map(Some)).collect();
    let engine = flags.playing.engine.clone();
    Arc::new(move |number| {
        let model = usize::from(number).checked_sub(1).and_then(|index| models.get(index));
        let Some(model) = model else {
            return Err(format!("there is no model {number}; {} of them were named", models.len()));
        };
        load(model.as_deref(), &engine).map(|loaded| loaded.model).map_err(|failure| failure.sentence)
    })
}

/// A flag that a signal to end raises; a second signal ends at once.
fn stop_flag() -> std::io::Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    for &signal in TERM_SIGNALS {
        // In this order: the first signal finds the flag still down.
        signal_hook::flag::register_conditional_default(signal, Arc::clone(&stop))?;
        signal_hook::flag::register(signal, Arc::clone(&stop))?;
    }
    Ok(stop)
}

/// A flag that the signal USR1 raises: whoever sends it wants to see the figures. Other systems have no such signal.
fn figures_flag() -> std::io::Result<Arc<AtomicBool>> {
    let wanted = Arc::new(AtomicBool::new(false));
    #[cfg(unix)]
    signal_hook::flag::register(signal_hook::consts::SIGUSR1, Arc::clone(&wanted))?;
    Ok(wanted)
}

/// The messages of a file that plays the human.
fn read_human(path: &Path) -> Result<Vec<TimedMessage>, Failure> {
    read_events(path).map(|events| messages(&events)).map_err(|error| Failure::midi_file(path, &error))
}

fn messages(events: &[FileEvent]) -> Vec<TimedMessage> {
    let whole = |event: &FileEvent| {
        let message = ShortMessage::from_bytes(event.bytes()).ok()?;
        Some(TimedMessage { time: event.time, message })
    };
    let mut messages: Vec<TimedMessage> = events.iter().filter_map(whole).collect();
    // What the file holds down for ever would count as playing.
    let end = messages.last().map_or(SessionTime::ZERO, |last| last.time);
    let channels: BTreeSet<u8> =
        messages.iter().filter_map(|timed| timed.message.as_bytes().first()).map(|status| status & 15).collect();
    messages.extend(
        channels.into_iter().map(|channel| TimedMessage { time: end, message: ShortMessage::all_notes_off(channel) }),
    );
    messages
}

/// When a session with this input is over: the last answer may be heard out.
fn end_of(input: &[TimedMessage], settings: &Settings) -> Option<SessionTime> {
    let last = input.last()?.time;
    Some(last + settings.patience_ceiling + settings.longest_answer.unwrap_or(ANSWER_TO_A_FILE))
}

fn run_virtually(
    flags: &JamFlags,
    settings: Settings,
    loaded: Loaded,
    input: &[TimedMessage],
    stop: &AtomicBool,
) -> Result<(), Failure> {
    let asked = flags.seconds.map(|seconds| SessionTime::ZERO + SessionDuration::from_seconds(seconds));
    let until = asked.or_else(|| end_of(input, &settings)).unwrap_or_default();
    let mut header = header(flags, settings, &loaded);
    header.lead = LEAD;
    let lines = Arc::new(Mutex::new(Lines::new(&header)));
    let mut ensemble = Ensemble::new(loaded.model, header.opening())?.leading_by(header.lead);
    if !flags.no_session {
        let lines = Arc::clone(&lines);
        ensemble = ensemble.transcribed(move |entry| locked(&lines).add(entry));
    }
    let mut take = Take::in_bars_of(ensemble.settings().beats_per_bar);
    let hang_up = HangUp::listen()?;
    let stopped = || stop.load(Relaxed) || hang_up.was_sent();
    offline::run(&mut ensemble, input, until, stopped, |happening| take.add(happening))?;
    let path = &flags.playing.out;
    let bytes = take.to_midi().map_err(|cause| RecordError::TooLong { path: path.clone(), cause })?;
    let lines = locked(&lines);
    let session = Some(lines.text()).filter(|_| !flags.no_session);
    tell_moved_aside(write_take(path, &bytes, session)?.as_deref());
    say(format_args!("wrote {} of virtual time to {}", until, path.display()));
    Ok(())
}

/// Nobody panics while holding it.
fn locked(lines: &Mutex<Lines>) -> MutexGuard<'_, Lines> {
    lines.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Says where an earlier take of the same name is now.
pub(super) fn tell_moved_aside(aside: Option<&Path>) {
    if let Some(aside) = aside {
        say(format_args!("the earlier take is now {}", aside.display()));
    }
}

/// A live jam.
struct Jam<'a> {
    flags: &'a JamFlags,
    config: &'a Config,
    stop: Arc<AtomicBool>,
    figures_wanted: Arc<AtomicBool>,
    settings: Settings,
}

impl Jam<'_> {
    fn run(mut self, loaded: Loaded, mut input: Option<Vec<TimedMessage>>) -> Result<(), Failure> {
        let flags = self.flags;
        let hang_up = HangUp::listen()?;
        let mut live = LiveSettings {
            backend: flags.backend.resolved(),
            attachments: Attachments {
                from: flags.connect_from.clone(),
                to: flags.connect_to.clone(),
                offset: flags.offset_ms,
            },
            controls: ControlMap::new(self.config.map(&flags.map)),
            take: flags.playing.out.clone(),
            session_file: None,
        };
        if input.is_none() && self.settings.mode != Mode::Solo && live.backend == Backend::None {
            say(format_args!(
                "no MIDI system was found here (`antiphon ports` says why), so a bundled phrase plays the human"
            ));
            let events = read_events_from_bytes(BUNDLED_PHRASE).map_err(|error| Failure::new(Exit::Failed, error))?;
            input = Some(messages(&events));
            self.settings.longest_answer.get_or_insert(ANSWER_TO_A_FILE);
        }
        let osc = flags.osc.settings()?;
        let clock = Clock::new();
        let header = header(flags, self.settings, &loaded);
        let ensemble = Ensemble::new(loaded.model, header.opening())?;
        live.session_file = Some(header).filter(|_| !flags.no_session);
        let mut session = LiveSession::start(live, clock, ensemble, library(flags))?;
        let mut watcher = session.feed.watch();
        take_lines(session.controller());
        let osc = osc.map(|settings| open_osc(&settings, &session)).transpose()?;
        let _page = flags.http.open(Desk {
            clock,
            controller: session.controller(),
            feed: session.feed.clone(),
            status: Arc::clone(&session.status),
            take: flags.playing.out.clone(),
            ports: [session.listening.clone(), session.sending.clone()],
        })?;
        self.announce(&session, input.is_some());

        let mut until = flags.seconds.map(|seconds| session.now() + SessionDuration::from_seconds(seconds));
        if let Some(mut input) = input {
            let delay = session.now().since(SessionTime::ZERO) + FILE_DELAY;
            input.iter_mut().for_each(|timed| timed.time += delay);
            until = until.or(end_of(&input, &self.settings));
            session.play_as_human(input)?;
        }
        let mut line = LiveLine::new(flags.headless, &session.sending);
        while !self.stop.load(Relaxed)
            && !session.status.failed.load(Relaxed)
            && until.is_none_or(|until| session.now() < until)
        {
            while let Some(sight) = watcher.next_now() {
                if flags.json {
                    watching::print_sight(&sight);
                    continue;
                }
                match sight {
                    Sight::Trouble(why) => line.say(why),
                    Sight::Model { name, styles, style, .. } => {
                        let style = styles.get(usize::from(style)).map_or("any", String::as_str);
                        line.say(format_args!("now playing: {name}, style {style}"));
                    }
                    _ => {}
                }
            }
            match hang_up.take() {
                None => {}
                Some(HungUp::Reload) => session.controller().ask(Control::Model(1)),
                Some(HungUp::TerminalGone) => break,
            }
            line.draw(session.now(), &session.status);
            if self.figures_wanted.swap(false, Relaxed) {
                line.close();
                self.tell_figures(&session.status);
            }
            thread::sleep(DRAW_EVERY);
        }
        line.close();
        if let Some(osc) = osc {
            let counts = Arc::clone(&osc.counts);
            drop(osc);
            say(counts);
        }
        self.close(session)
    }

    fn announce(&self, session: &LiveSession, has_file: bool) {
        say(format_args!("MIDI: {}", session.system));
        say(format_args!("timing: {}", session.timing));
        let or_nothing = |ports: &[String]| {
            if ports.is_empty() { "no port".to_owned() } else { ports.join(", ") }
        };
        let ear = if has_file { "a file" } else { "" };
        let ears = std::iter::once(ear.to_owned()).filter(|ear| !ear.is_empty()).chain(session.listening.clone());
        say(format_args!("listening to: {}", or_nothing(&ears.collect::<Vec<_>>())));
        say(format_args!("answering on: {}, channel {}", or_nothing(&session.sending), self.flags.channel));
        tell_moved_aside(session.moved_aside.as_deref());
        say(format_args!("recording to: {}", self.flags.playing.out.display()));
        let play = match (self.settings.mode, has_file) {
            (Mode::Solo, _) => "it plays alone",
            (Mode::Listen, _) => "it listens and records",
            (Mode::Accompany, _) => "play, and it plays along",
            (Mode::Respond, true) => "the file plays, and is answered when it rests",
            (Mode::Respond, false) => "play, then stop: it answers",
        };
        say(format_args!("ready: {play} (Ctrl-C ends)"));
    }

    fn close(&self, session: LiveSession) -> Result<(), Failure> {
        let status = Arc::clone(&session.status);
        let result = session.stop();
        let path = self.flags.playing.out.display();
        let [human, ai] = status.notes();
        say(format_args!("recorded {human} notes of yours and {ai} of Antiphon's in {path}"));
        let echoes = status.echoes.load(Relaxed);
        if echoes > 0 {
            say(format_args!("{echoes} messages of Antiphon's own came back and were not heard (--set feedback=hear)"));
        }
        let losses = status.losses();
        if !losses.is_empty() {
            say(format_args!("lost on the way: {losses}"));
        }
        self.tell_figures(&status);
        if human == 0 && ai == 0 {
            say(format_args!("nothing was heard: `antiphon ports` lists what can be attached with --connect-from"));
        }
        result.map(drop).map_err(Failure::from)
    }

    fn tell_figures(&self, status: &Status) {
        let report = Report::new(status);
        say(&report);
        if self.flags.json {
            watching::print_figures(&report);
        }
    }
}

/// Opens OSC and says where.
fn open_osc(settings: &OscSettings, session: &LiveSession) -> Result<Osc, Failure> {
    let opened = Osc::start(settings, session.feed.clone(), session.controller(), Arc::clone(&session.status));
    let osc = opened.map_err(|why| match settings.listen {
        Some(address) => {
            Failure::new(Exit::Port, format!("OSC cannot be opened on {address}: {why}; name another port with --osc"))
        }
        None => Failure::new(Exit::Port, format!("OSC cannot be sent: {why}")),
    })?;
    if let Some(address) = osc.address {
        let who = if address.ip().is_loopback() {
            "this machine"
        } else {
            "whoever reaches this address, without a password"
        };
        say(format_args!("OSC: {address}, open to {who}"));
    }
    for to in &settings.to {
        say(format_args!("OSC: tells {to}"));
    }
    Ok(osc)
}

/// One line that is drawn over and over on a terminal; elsewhere, a line for each change of turn.
struct LiveLine {
    on_terminal: bool,
    quiet: bool,
    turn: Option<Turn>,
    /// Where the answer goes, as the end of the line.
    to: String,
    shown: String,
}

impl LiveLine {
    fn new(quiet: bool, sending: &[String]) -> Self {
        let to = if sending.is_empty() { String::new() } else { format!(" -> {}", sending.join(", ")) };
        Self { on_terminal: stderr().is_terminal(), quiet, turn: None, to, shown: String::new() }
    }

    fn draw(&mut self, now: SessionTime, status: &Status) {
        if self.quiet {
            return;
        }
        if self.on_terminal {
            let seconds = now.as_micros() / 1_000_000;
            let line = format!("[{:02}:{:02}] {status}{}", seconds / 60, seconds % 60, self.to);
            if line != self.shown {
                // A terminal that has gone must not end the music.
                let _ = write!(stderr(), "\r\x1b[2K{line}");
                self.shown = line;
            }
        } else if self.turn != Some(status.turn()) {
            self.turn = Some(status.turn());
            let _ = writeln!(stderr(), "[{now}] {status}{}", self.to);
        }
    }

    /// A line of its own, above the one that is drawn over.
    fn say(&mut self, sentence: impl std::fmt::Display) {
        self.close();
        say(sentence);
    }

    /// Ends the line; drawing goes on below.
    fn close(&mut self) {
        if self.on_terminal && !self.shown.is_empty() {
            let _ = writeln!(stderr());
            self.shown.clear();
        }
    }
}
