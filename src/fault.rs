//! Faults that tests inject. Nothing of it is in the program.

/// Where a thread of tests may panic. Everywhere else it does nothing.
#[cfg(not(test))]
pub(crate) fn point(_: &str) {}

#[cfg(test)]
pub(crate) use injected::point;

#[cfg(test)]
pub(crate) mod injected {
    use std::sync::LazyLock;
    use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

    /// Names the point that panics, and how often it is passed before, as in `recorder:20`.
    pub(crate) const VARIABLE: &str = "ANTIPHON_FAULT";

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
