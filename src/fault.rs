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

/// Notices panics in all threads from now on; what is said of them stays as it is. Of what is only tried nothing is said:
/// who tries it has a sentence of their own.
pub(crate) fn notice_panics() {
    let say = take_hook();
    set_hook(Box::new(move |panic| {
        if !IS_TRIED.get() {
            HAS_BROKEN.store(true, Relaxed);
            say(panic);
        }
    }));
}

/// Whether a thread has panicked since they are noticed.
pub(crate) fn has_broken() -> bool {
    HAS_BROKEN.load(Relaxed)
}

/// Tries something that may panic without harm: a foreign file may make an engine or a synthesiser do so. `None` when it
/// has.
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
mod tests;
