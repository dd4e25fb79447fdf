//! `antiphon jam`: the daemon.

mod live_line;
mod opening;
mod osc;
mod reload;
mod virtually;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::thread;
use std::time::{Duration, Instant};

use live_line::LiveLine;
use opening::{ANSWER_TO_A_FILE, Human, Models, bundled_human, end_of, header, read_human};
use osc::open_osc;
use reload::Reloading;
use serde_json::json;

use super::configured::Arguments;
use super::jam_flags::JamFlags;
use super::log::{Growing, Log, Troubles};
use super::model::{Loaded, load, settings};
use super::rack::Rack;
use super::signals::{HungUp, Signals};
use super::sound_flags::SoundFlags;
use super::supervisor::Supervisor;
use super::watching::{self, take_lines};
use super::{Exit, Failure, check};
use crate::config::{Config, Effective, keep};
use crate::control::{Control, Controllers, Lesson, MapChange};
use crate::ensemble::Ensemble;
use crate::fault;
use crate::figures::Report;
use crate::ports::{Attachments, Backend, Direction, NameLock};
use crate::session::{LiveSession, LiveSettings};
use crate::settings::{Mode, Settings};
use crate::sight::Sight;
use crate::status::Status;
use crate::surface::http::Desk;
use crate::takes;
use crate::time::{Clock, SessionDuration, SessionTime};

/// Time between the ports being open and the file's beginning, so that listeners can attach.
const FILE_DELAY: SessionDuration = SessionDuration::from_millis(500);

/// How often the live line is drawn and signals are looked for.
const DRAW_EVERY: Duration = Duration::from_millis(50);

pub(super) fn run(flags: &JamFlags, config: &Config, arguments: &Arguments) -> Result<(), Failure> {
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
    let log = flags.log();
    log.say_panics();
    fault::notice_panics();
    let signals = Signals::listen(log)?;
    let input = flags.input.as_deref().map(read_human).transpose()?;
    let loaded = load(flags.playing.model.as_deref(), &flags.playing.engine)?;
    log.info(format_args!("model: {}", loaded.described));
    let mut settings = settings(&effective, loaded.model.description())?;
    if input.is_some() && settings.mode == Mode::Respond {
        settings.longest_answer.get_or_insert(ANSWER_TO_A_FILE);
    }
    if flags.virtual_time {
        return virtually::run(flags, settings, loaded, &input.unwrap_or_default(), &signals);
    }
    if signals.to_end() {
        return Ok(());
    }
    let models = Models::named(flags);
    let rack = Rack::of(&flags.controller, config.controllers.as_deref())?;
    let reloading = Reloading::new(arguments, flags, config, effective, models.clone(), rack);
    let jam = Jam { flags, config, log, signals, settings };
    // A panic of this thread has closed the session when it comes here.
    let result = catch_unwind(AssertUnwindSafe(|| jam.run(loaded, input, &models, reloading)));
    if fault::has_broken() {
        return Err(Failure::new(
            Exit::Panicked,
            "something in the program broke, as said above; what sounded was released and the take is closed",
        ));
    }
    result.unwrap_or_else(|panic| resume_unwind(panic))
}

/// Says where an earlier take of the same name is now.
pub(super) fn tell_moved_aside(log: Log, aside: Option<&Path>) {
    if let Some(aside) = aside {
        log.info(format_args!("the earlier take is now {}", aside.display()));
    }
}

/// A live jam.
struct Jam<'a> {
    flags: &'a JamFlags,
    config: &'a Config,
    log: Log,
    signals: Signals,
    settings: Settings,
}

impl Jam<'_> {
    fn run(
        mut self,
        loaded: Loaded,
        mut input: Option<Human>,
        models: &Models,
        mut reloading: Reloading<'_>,
    ) -> Result<(), Failure> {
        let (flags, log) = (self.flags, self.log);
        let mut live = LiveSettings {
            backend: flags.backend.resolved(),
            name: flags.name.clone(),
            attachments: Attachments {
                from: flags.connect_from.clone(),
                to: flags.connect_to.clone(),
                offset: flags.offset_ms,
                required: flags.require_ports,
            },
            controls: self.config.map(&flags.map, reloading.rack.layers()),
            take: flags.playing.out.clone(),
            splits: flags.take.splits(),
            takes: {
                let take = flags.playing.out.clone();
                Arc::new(move |name| takes::read(&take, name))
            },
            sound: None,
            session_file: None,
        };
        if input.is_none() && self.settings.mode != Mode::Solo && live.backend == Backend::None {
            let why = match flags.backend {
                Backend::None => "without a MIDI system, as --backend asks,",
                _ => "no MIDI system was found here (`antiphon ports` says why), so",
            };
            log.info(format_args!("{why} a bundled phrase plays the human"));
            input = Some(bundled_human()?);
            self.settings.longest_answer.get_or_insert(ANSWER_TO_A_FILE);
        }
        let (sound, timbre) = flags.sound.settings(log, live.backend)?.unzip();
        live.sound = sound;
        let osc = flags.osc.settings()?;
        let clock = Clock::new();
        let header = header(flags, self.settings, &loaded);
        let ensemble = Ensemble::new(loaded.model, header.opening())?;
        live.session_file = Some(header).filter(|_| !flags.no_session);
        let mut session = LiveSession::start(live, clock, ensemble, models.library(flags))?;
        if let (Some(timbre), Some(sounding)) = (timbre, &session.sounding) {
            SoundFlags::announce(log, &timbre, sounding);
        }
        let mut watcher = session.feed.watch();
        self.signals.a_session_plays(session.way_out());
        take_lines(log, session.controller());
        let osc = osc.map(|settings| open_osc(log, &settings, &session)).transpose()?;
        let page = flags.http.open(
            log,
            Desk {
                clock,
                controller: session.controller(),
                feed: session.feed.clone(),
                status: Arc::clone(&session.status),
                take: flags.playing.out.clone(),
                own_ports: [session.listening.clone(), session.sending.clone()],
                cables: session.cables(),
                models: {
                    let models = models.clone();
                    Arc::new(move || models.now())
                },
            },
        )?;
        if let (Some(page), Some(lock)) = (&page, session.name_lock()) {
            lock.tell_page(&format!("http://{}", page.address));
        }
        self.announce(&session, input.is_some());

        let mut until = flags.seconds.map(|seconds| session.now() + SessionDuration::from_seconds(seconds));
        if let Some(mut input) = input {
            let delay = session.now().since(SessionTime::ZERO) + FILE_DELAY;
            input.messages.iter_mut().for_each(|timed| timed.time += delay);
            input.sysex.iter_mut().for_each(|sysex| sysex.time += delay);
            until = until.or(end_of(&input.messages, &self.settings));
            session.play_as_human(input.messages, input.sysex)?;
        }
        let mut line = LiveLine::new(log, flags.headless, &sending(&session));
        Self::greet(&mut reloading.rack, &session, &mut line);
        let mut supervisor = Supervisor::begin(Instant::now());
        let (mut troubles, mut losses) = (Troubles::default(), Growing::default());
        while !self.signals.to_end()
            && !session.status.failed.load(Relaxed)
            && !fault::has_broken()
            && until.is_none_or(|until| session.now() < until)
        {
            while let Some(sight) = watcher.next_now() {
                reloading.sees(&sight, &session.controller());
                if let Sight::Controllers(Controllers { change: Some(change), .. }) = &sight {
                    let is_kept = self.keep(change, &mut line);
                    reloading.learnt(change, is_kept);
                }
                if flags.json {
                    watching::print_sight(&sight);
                }
                match sight {
                    Sight::Controllers(controllers) => self.tell_controllers(&controllers, &mut line),
                    Sight::Trouble(why) => {
                        troubles.came(Instant::now(), &why).into_iter().for_each(|why| line.warn(why));
                    }
                    Sight::Part { kept, .. } => line.say(format_args!("the take so far is {}", kept.display())),
                    Sight::Sound { news, .. } => line.say(news),
                    Sight::Ports { news, .. } => {
                        news.iter().for_each(|news| line.say(news));
                        line.sends_to(&sending(&session));
                        Self::greet(&mut reloading.rack, &session, &mut line);
                    }
                    Sight::Playback { playing: Some(playing), .. } => {
                        line.say(format_args!("playing back {}; it stops when you play", playing.name));
                    }
                    Sight::Playback { playing: None, .. } => line.say("no take is played back any more"),
                    Sight::Model { name, styles, style, .. } => {
                        let style = styles.get(usize::from(style)).map_or("any", String::as_str);
                        line.say(format_args!("now playing: {name}, style {style}"));
                    }
                    _ => {}
                }
            }
            troubles.again(Instant::now()).into_iter().for_each(|why| line.warn(why));
            if !line.is_seen() {
                let lost = losses.stands(Instant::now(), &session.status.losses());
                lost.into_iter().for_each(|losses| line.warn(format_args!("lost on the way so far: {losses}")));
            }
            if self.signals.panic_wanted() {
                session.controller().ask(Control::Panic);
            }
            match self.signals.hung_up() {
                None => {}
                Some(HungUp::Reload) => {
                    Supervisor::reloading();
                    match reloading.reload(&session) {
                        Ok(changes) => {
                            line.say(&changes);
                            changes.restart().into_iter().for_each(|restart| line.warn(restart));
                        }
                        Err(Failure { sentence, .. }) => {
                            let sentence = sentence.replace('\n', "; ");
                            line.warn(format_args!("not read anew, all stays as it was: {sentence}"));
                        }
                    }
                    Supervisor::reloaded();
                }
                Some(HungUp::TerminalGone) => break,
            }
            let news = supervisor.look(Instant::now(), &session.status, session.cables().ports().runs);
            news.into_iter().for_each(|news| line.warn(news));
            line.draw(session.now(), &session.status);
            if self.signals.figures_wanted() {
                line.close();
                self.tell_figures(&session.status);
            }
            fault::point("main");
            thread::sleep(DRAW_EVERY);
        }
        line.close();
        if let Some(osc) = osc {
            let counts = Arc::clone(&osc.counts);
            drop(osc);
            log.info(counts);
        }
        self.close(session)
    }

    /// Keeps what was learnt in the user's file; false when it could not be.
    fn keep(&self, change: &MapChange, line: &mut LiveLine) -> bool {
        let Some(path) = self.config.keep_in.as_ref().filter(|_| *change != MapChange::Replaced) else { return false };
        let kept = keep(path, change);
        match &kept {
            Ok(()) => line.say(format_args!("kept in {}", path.display())),
            Err(error) => line.warn(error),
        }
        kept.is_ok()
    }

    fn tell_controllers(&self, controllers: &Controllers, line: &mut LiveLine) {
        match (&controllers.change, &controllers.learning) {
            (Some(MapChange::Learnt { message, meaning }), _) => {
                line.say(format_args!("learnt: {message} is {meaning}"))
            }
            (Some(MapChange::Forgotten(messages)), _) => line.say(format_args!("music again: {}", messages.join(", "))),
            // It has been said what was read anew.
            (Some(MapChange::Replaced), _) => {}
            (None, Some(Lesson { meaning, gesture })) => line
                .say(format_args!("waiting for {gesture} that shall be {meaning}: move it (stop-learning ends this)")),
            (None, None) => line.say("waiting for no message"),
        }
    }

    /// Says of devices that are new whether there is a map for them, and puts it on where that is wanted.
    fn greet(rack: &mut Rack, session: &LiveSession, line: &mut LiveLine) {
        for known in rack.sees(&session.cables().ports()) {
            line.say(known.sentence);
            known.put_on.into_iter().for_each(|layer| session.controller().add_to_map(layer));
        }
    }

    fn announce(&self, session: &LiveSession, has_file: bool) {
        let log = self.log;
        log.info(format_args!("MIDI: {}", session.system));
        log.info(format_args!("timing: {}", session.timing));
        let or_nothing = |ports: &[String]| {
            if ports.is_empty() { "no port".to_owned() } else { ports.join(", ") }
        };
        let ear = if has_file { "a file" } else { "" };
        let ears = std::iter::once(ear.to_owned()).filter(|ear| !ear.is_empty()).chain(listening(session));
        log.info(format_args!("listening to: {}", or_nothing(&ears.collect::<Vec<_>>())));
        log.info(format_args!("answering on: {}, channel {}", or_nothing(&sending(session)), self.flags.channel));
        let ports = session.cables().ports();
        if !ports.runs {
            log.warning(format_args!("{} is not there yet; it is waited for", ports.system));
        }
        for cable in ports.missing() {
            log.warning(format_args!(
                "{cable} is not there yet; it is waited for (`antiphon ports` lists what there is)"
            ));
        }
        if let Some(why) = session.name_lock().and_then(NameLock::unguarded) {
            log.warning(format_args!("nobody is kept from running another {:?} ({why})", self.flags.name.client()));
        }
        tell_moved_aside(log, session.moved_aside.as_deref());
        log.info(format_args!("recording to: {}", self.flags.playing.out.display()));
        let play = match (self.settings.mode, has_file) {
            (Mode::Solo, _) => "it plays alone",
            (Mode::Listen, _) => "it listens and records",
            (Mode::Accompany, _) => "play, and it plays along",
            (Mode::Respond, true) => "the file plays, and is answered when it rests",
            (Mode::Respond, false) => "play, then stop: it answers",
        };
        log.info(format_args!("ready: {play} (Ctrl-C ends)"));
    }

    fn close(&self, session: LiveSession) -> Result<(), Failure> {
        let log = self.log;
        Supervisor::stopping("closing the take");
        let status = Arc::clone(&session.status);
        let result = session.stop();
        let path = self.flags.playing.out.display();
        let [human, ai] = status.notes();
        log.info(format_args!("recorded {human} notes of yours and {ai} of Antiphon's in {path}"));
        let echoes = status.echoes.load(Relaxed);
        if echoes > 0 {
            log.info(format_args!(
                "{echoes} messages of Antiphon's own came back and were not heard (--set feedback=hear)"
            ));
        }
        let losses = status.losses();
        if !losses.is_empty() {
            log.warning(format_args!("lost on the way: {losses}"));
        }
        self.tell_figures(&status);
        if human == 0 && ai == 0 {
            log.info(format_args!(
                "nothing was heard: `antiphon ports` lists what can be attached with --connect-from"
            ));
        }
        result.map(drop).map_err(Failure::from)
    }

    fn tell_figures(&self, status: &Status) {
        let report = Report::new(status);
        self.log.info_with(&report, "figures", json!(report));
        if self.flags.json {
            watching::print_figures(&report);
        }
    }
}

/// All ports that listen.
fn listening(session: &LiveSession) -> Vec<String> {
    let ports = session.cables().ports();
    session.listening.iter().cloned().chain(ports.attached(Direction::From).map(str::to_owned)).collect()
}

/// All ports that are sent to.
fn sending(session: &LiveSession) -> Vec<String> {
    let ports = session.cables().ports();
    session.sending.iter().cloned().chain(ports.attached(Direction::To).map(str::to_owned)).collect()
}
