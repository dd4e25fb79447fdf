//! Panics: noticed wherever they happen, so that the session ends in order; and those that tests inject.
//!
//! Each thread that sounds or records has its own way to leave nothing behind. What is here makes sure that the rest of
//! the session does not go on without the thread that has broken.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// Whether a thread of this program has panicked. As global as the hook that sets it.
static HAS_BROKEN: AtomicBool = AtomicBool::new(false);

thread_local! {
    static IS_TRIED: Cell<bool> = const { Cell::new(false) };
}

/// Notices panics in all threads from now on; what is said of them stays as it is.
pub(crate) fn notice_panics() {
    let say = take_hook();
    set_hook(Box::new(move |panic| {
        if !IS_TRIED.get() {
            HAS_BROKEN.store(true, Relaxed);
        }
        say(panic);
    }));
}

/// Whether a thread has panicked since they are noticed.
pub(crate) fn has_broken() -> bool {
    HAS_BROKEN.load(Relaxed)
}

/// Tries something that may panic without harm: a foreign file may make an engine do so. `None` when it has.
pub(crate) fn tried<T>(work: impl FnOnce() -> T) -> Option<T> {
    let before = IS_TRIED.replace(true);
    let done = catch_unwind(AssertUnwindSafe(work));
    IS_TRIED.set(before);
    done.ok()
}

/// Where a thread of tests may panic. Everywhere else it does nothing.
#[cfg(not(test))]
pub(crate) fn point(_: &str) {}

#[cfg(test)]
pub(crate) use injected::point;

#[cfg(test)]
mod injected {
    use std::sync::LazyLock;
    use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

    /// Names the point that panics, and how often it is passed before, as in `recorder:20`.
    pub(super) const VARIABLE: &str = "FAULT_IN_ANTIPHON";

    static FAULT: LazyLock<Option<(String, AtomicU32)>> = LazyLock::new(|| {
        let fault = std::env::var(VARIABLE).ok()?;
        let (point, times) = fault.split_once(':')?;
        Some((point.to_owned(), AtomicU32::new(times.parse().ok()?)))
    });

    pub(crate) fn point(name: &str) {
        if let Some((point, times)) = &*FAULT
            && point == name
            && times.fetch_sub(1, Relaxed) == 0
        {
            panic!("injected at {name}");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::path::Path;
    use std::process::{Command, ExitCode, Output, Stdio};

    use super::*;
    use crate::commands::{self, Exit};
    use crate::midi_file::read_notes;

    /// Where the jam that breaks records to.
    const TAKE: &str = "FAULT_IN_ANTIPHON_TAKE";

    #[test]
    #[ignore = "a part of the other tests, which run it as a program of its own"]
    fn a_jam_that_breaks() {
        let take = std::env::var(TAKE).expect("who runs it names one");
        let flags = ["antiphon", "jam", "--config", "none", "--engine", "embedded", "--backend", "none", "--no-http"];
        let playing =
            ["--mode", "accompany", "--input", "assets/phrase.mid", "--seconds", "60", "--seed", "7", "--out"];
        let all = flags.iter().chain(&playing).copied().chain([take.as_str()]);
        let code = commands::run(all.map(Into::into));
        let number = (0..=u8::MAX).find(|number| ExitCode::from(*number) == code).expect("one of them");
        std::process::exit(i32::from(number));
    }

    /// The jam as a program of its own, which panics where it is told to.
    fn break_at(fault: &str, take: &Path) -> Output {
        let mut child = Command::new(std::env::current_exe().expect("this program has a path"))
            .args(["--exact", "fault::tests::a_jam_that_breaks", "--ignored", "--nocapture"])
            .env(injected::VARIABLE, fault)
            .env(TAKE, take)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it runs again");
        let typed = child.stdin.take().map(|mut typed| typed.write_all(b"patience 2\n"));
        assert!(typed.is_some_and(|typed| typed.is_ok()));
        child.wait_with_output().expect("it ends")
    }

    #[test]
    fn a_panic_in_any_thread_releases_the_notes_closes_the_take_and_ends_with_a_code_of_its_own() {
        let folder = tempfile::tempdir().expect("a folder");
        let take = folder.path().join("take.mid");
        for fault in [
            "conductor:60",
            "player:60",
            "recorder:60",
            "feed:30",
            "cables:8",
            "file player:12",
            "typed lines:0",
            "main:60",
        ] {
            let output = break_at(fault, &take);
            let said = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(i32::from(Exit::Panicked as u8)), "{fault}: {said}");
            assert!(said.contains("injected at"), "{fault}: {said}");
            assert!(said.contains("what sounded was released and the take is closed"), "{fault}: {said}");
            let notes = read_notes(&take).unwrap_or_else(|error| panic!("{fault}: the take {error}"));
            assert!(!notes.is_empty() || fault.starts_with("typed"), "{fault}: nothing is in the take");
        }
    }

    #[test]
    fn what_is_tried_may_panic_without_harm() {
        assert_eq!(tried(|| 5), Some(5));
        assert_eq!(tried(|| panic!("as it may")), None::<u8>);
        assert!(!IS_TRIED.get());
    }
}
