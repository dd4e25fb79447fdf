//! `antiphon jam`: the daemon.

use std::collections::BTreeSet;
use std::io::{IsTerminal as _, Write as _, stderr};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use signal_hook::consts::TERM_SIGNALS;

use super::flags::JamFlags;
use super::model::{continuation, load};
use super::{Exit, Failure, say};
use crate::conductor::{Conducting, Conductor, Mode, Turn};
use crate::midi::{ShortMessage, TimedMessage};
use crate::midi_file::{FileEvent, read_events, read_events_from_bytes};
use crate::model::LstmModel;
use crate::offline;
use crate::player::Player;
use crate::ports::{Attachments, Backend};
use crate::recorder::{RecordError, write_take};
use crate::session::{LiveSession, LiveSettings};
use crate::status::Status;
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

pub(super) fn run(flags: &JamFlags) -> Result<(), Failure> {
    if flags.virtual_time && flags.input.is_none() && !flags.headless {
        return Err(Failure::new(Exit::Usage, "--virtual-time needs --input FILE.mid or --headless"));
    }
    if flags.virtual_time && flags.input.is_none() && flags.seconds.is_none() {
        return Err(Failure::new(Exit::Usage, "--virtual-time without --input needs --seconds"));
    }
    let stop = stop_flag()?;
    let input = flags.input.as_deref().map(read_human).transpose()?;
    let loaded = load(flags.playing.model.as_deref(), &flags.playing.engine)?;
    say(format_args!("model: {}", loaded.described));
    let continuation = continuation(&flags.playing, loaded.model)?;
    let answer_seconds = flags.answer_seconds.map(SessionDuration::from_seconds);
    let conducting = Conducting {
        mode: if flags.headless { Mode::Solo } else { Mode::Respond },
        patience: SessionDuration::from_millis(flags.patience_ms),
        longest_answer: answer_seconds.or_else(|| (input.is_some() && !flags.headless).then_some(ANSWER_TO_A_FILE)),
    };
    if flags.virtual_time {
        let conductor = Conductor::new(conducting, continuation);
        return run_virtually(flags, conducting, conductor, &input.unwrap_or_default(), &stop);
    }
    if stop.load(Relaxed) {
        return Ok(());
    }
    Jam { flags, stop, conducting }.run(continuation, input)
}

/// A flag that a signal to end raises; a second signal ends at once. A closed terminal asks to end as well.
fn stop_flag() -> std::io::Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    #[cfg(unix)]
    let closed = [signal_hook::consts::SIGHUP];
    #[cfg(not(unix))]
    let closed = [];
    for &signal in TERM_SIGNALS.iter().chain(&closed) {
        // In this order: the first signal finds the flag still down.
        signal_hook::flag::register_conditional_default(signal, Arc::clone(&stop))?;
        signal_hook::flag::register(signal, Arc::clone(&stop))?;
    }
    Ok(stop)
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
fn end_of(input: &[TimedMessage], conducting: Conducting) -> Option<SessionTime> {
    let last = input.last()?.time;
    Some(last + conducting.patience + conducting.longest_answer.unwrap_or(ANSWER_TO_A_FILE))
}

fn run_virtually(
    flags: &JamFlags,
    conducting: Conducting,
    mut conductor: Conductor<LstmModel>,
    input: &[TimedMessage],
    stop: &AtomicBool,
) -> Result<(), Failure> {
    let asked = flags.seconds.map(|seconds| SessionTime::ZERO + SessionDuration::from_seconds(seconds));
    let until = asked.or_else(|| end_of(input, conducting)).unwrap_or_default();
    let mut take = Take::default();
    let mut player = Player::new(flags.channel - 1);
    let stopped = || stop.load(Relaxed);
    offline::run(&mut conductor, &mut player, input, until, stopped, |happening| take.add(happening))?;
    let path = &flags.playing.out;
    let bytes = take.to_midi().map_err(|cause| RecordError::TooLong { path: path.clone(), cause })?;
    tell_moved_aside(write_take(path, &bytes)?.as_deref());
    say(format_args!("wrote {} of virtual time to {}", until, path.display()));
    Ok(())
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
    stop: Arc<AtomicBool>,
    conducting: Conducting,
}

impl Jam<'_> {
    fn run(
        mut self,
        continuation: crate::continuation::Continuation<LstmModel>,
        mut input: Option<Vec<TimedMessage>>,
    ) -> Result<(), Failure> {
        let flags = self.flags;
        let settings = LiveSettings {
            backend: flags.backend,
            attachments: Attachments { from: flags.connect_from.clone(), to: flags.connect_to.clone() },
            channel: flags.channel - 1,
            take: flags.playing.out.clone(),
        };
        if input.is_none() && !flags.headless && !midi_is_there(flags.backend) {
            say(format_args!(
                "no MIDI system was found here (`antiphon ports` says why), so a bundled phrase plays the human"
            ));
            let events = read_events_from_bytes(BUNDLED_PHRASE).map_err(|error| Failure::new(Exit::Failed, error))?;
            input = Some(messages(&events));
            self.conducting.longest_answer.get_or_insert(ANSWER_TO_A_FILE);
        }
        let clock = Clock::new();
        let conductor = Conductor::new(self.conducting, continuation);
        let mut session = LiveSession::start(&settings, clock, conductor)?;
        self.announce(&session, input.is_some());

        let mut until = flags.seconds.map(|seconds| session.now() + SessionDuration::from_seconds(seconds));
        if let Some(mut input) = input {
            let delay = session.now().since(SessionTime::ZERO) + FILE_DELAY;
            input.iter_mut().for_each(|timed| timed.time += delay);
            until = until.or(end_of(&input, self.conducting));
            session.play_as_human(input)?;
        }
        let mut line = LiveLine::new(flags.headless, &session.sending);
        while !self.stop.load(Relaxed)
            && !session.status.failed.load(Relaxed)
            && until.is_none_or(|until| session.now() < until)
        {
            line.draw(session.now(), &session.status);
            thread::sleep(DRAW_EVERY);
        }
        line.close();
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
        let play = match (self.conducting.mode, has_file) {
            (Mode::Solo, _) => "it plays alone",
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
        let losses = status.losses();
        if !losses.is_empty() {
            say(format_args!("lost on the way: {losses}"));
        }
        if human == 0 && ai == 0 {
            say(format_args!("nothing was heard: `antiphon ports` lists what can be attached with --connect-from"));
        }
        result.map(drop).map_err(Failure::from)
    }
}

/// Whether there is any MIDI system that this backend may use.
fn midi_is_there(backend: Backend) -> bool {
    backend != Backend::None
        && (backend != Backend::Auto || crate::ports::list().iter().any(|system| system.ports.is_ok()))
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

    fn close(&self) {
        if self.on_terminal && !self.shown.is_empty() {
            let _ = writeln!(stderr());
        }
    }
}
