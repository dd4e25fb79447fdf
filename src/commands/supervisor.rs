//! What the service manager is told: that we are ready, how it goes, that we are alive. Without one, nobody is told.

use std::time::{Duration, Instant};

use crate::life::{LATELY, Vigil};
use crate::status::Status;

/// How often the service manager is told how it goes.
const TELL_EVERY: Duration = Duration::from_secs(5);

/// Speaks to the service manager, and notices a thread that hangs.
pub(super) struct Supervisor {
    vigil: Vigil,
    /// How often the watchdog wants to be fed; `None`: there is none.
    feed_every: Option<Duration>,
    fed: Option<Instant>,
    is_ready: bool,
    told: Option<(String, Instant)>,
    /// Who hung when last looked.
    lifeless: Vec<&'static str>,
}

impl Supervisor {
    /// Begins to look at the threads of a session that has just started.
    pub(super) fn begin(now: Instant) -> Self {
        // Twice in the time after which it bites, as its manual asks for, and once more.
        let feed_every = wire::watchdog().map(|bites_after| bites_after / 3);
        Self { vigil: Vigil::begin(now), feed_every, fed: None, is_ready: false, told: None, lifeless: Vec::new() }
    }

    /// Looks now, and tells what there is to tell: ready once every thread has come round; alive while each does; how it
    /// goes. Gives back a sentence when somebody begins to hang, or hangs no longer.
    pub(super) fn look(&mut self, now: Instant, status: &Status, player_is_called: bool) -> Option<String> {
        let lifeless = self.vigil.look(now, &status.life, player_is_called);
        if !self.is_ready && self.vigil.all_have_begun() {
            self.is_ready = true;
            wire::tell("READY=1");
        }
        let hungry = self.feed_every.is_some_and(|every| self.fed.is_none_or(|fed| now.duration_since(fed) >= every));
        if hungry && self.is_ready && lifeless.is_empty() {
            self.fed = Some(now);
            wire::tell("WATCHDOG=1");
        }
        let news = (lifeless != self.lifeless).then(|| hanging(&lifeless));
        self.lifeless = lifeless;
        if self.is_ready {
            self.tell_how_it_goes(now, status);
        }
        news
    }

    fn tell_how_it_goes(&mut self, now: Instant, status: &Status) {
        let goes = if self.lifeless.is_empty() { status.to_string() } else { hanging(&self.lifeless) };
        let urgent = !self.lifeless.is_empty();
        let due = match &self.told {
            None => true,
            Some((told, at)) => *told != goes && (urgent || now.duration_since(*at) >= TELL_EVERY),
        };
        if due {
            wire::tell(&format!("STATUS={goes}"));
            self.told = Some((goes, now));
        }
    }

    /// The configuration is being read anew.
    pub(super) fn reloading() {
        wire::tell_reloading();
    }

    /// It has been read, or could not be.
    pub(super) fn reloaded() {
        wire::tell("READY=1");
    }

    /// The end has begun.
    pub(super) fn stopping(why: &str) {
        wire::tell(&format!("STOPPING=1\nSTATUS={why}"));
    }
}

fn hanging(lifeless: &[&str]) -> String {
    match lifeless {
        [] => "every thread is alive again".to_owned(),
        names => format!("no life for {} s: {}", LATELY.as_secs(), names.join(", ")),
    }
}

/// The socket to the service manager. Nothing is told where there is none, and nobody minds.
#[cfg(target_os = "linux")]
mod wire {
    use std::time::Duration;

    use sd_notify::NotifyState;

    pub(super) fn watchdog() -> Option<Duration> {
        sd_notify::watchdog_enabled()
    }

    pub(super) fn tell(what: &str) {
        // A manager that has gone must not end the music.
        let _ = sd_notify::notify(&[NotifyState::Custom(what)]);
    }

    pub(super) fn tell_reloading() {
        // The time is what newer managers demand, so that they know which reload is over.
        let when = NotifyState::monotonic_usec_now().ok();
        let states: Vec<NotifyState<'_>> = std::iter::once(NotifyState::Reloading).chain(when).collect();
        let _ = sd_notify::notify(&states);
    }
}

#[cfg(not(target_os = "linux"))]
mod wire {
    use std::time::Duration;

    pub(super) fn watchdog() -> Option<Duration> {
        None
    }

    pub(super) fn tell(_: &str) {}

    pub(super) fn tell_reloading() {}
}
