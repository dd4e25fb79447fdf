//! A fault of JACK2's library that silences everybody, and how it is seen.
//!
//! A client wakes those that come after it in the graph by a semaphore for each, which the library keeps in a table by the
//! client's number. If another client ends while ours is being opened, the library passes over the news and keeps the
//! semaphore of the one that has gone; whoever gets its number next is never woken by us, and the server waits for them in
//! each period. The table is cleared when a process closes its last client, so ours is closed and opened again.

use std::fs;

/// Whether this process still has the semaphore of a client that has gone. For a moment that is so whenever one goes.
/// False where the system does not tell.
pub(super) fn keeps_a_semaphore() -> bool {
    fs::read_to_string("/proc/self/maps").is_ok_and(|maps| has_semaphore_of_none(&maps))
}

/// As Linux lists them: the server removes the file when the client goes, and a process may go on using it.
fn has_semaphore_of_none(maps: &str) -> bool {
    maps.lines().any(|line| line.contains("/jack_sem.") && line.ends_with(" (deleted)"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_semaphore_whose_file_has_gone_is_seen() {
        let used = "7ff6a5f73000-7ff6a5f74000 rw-s 00000000 00:1b 10780    /dev/shm/jack_sem.0_default_Antiphon\n";
        let other = "7ff6a5f75000-7ff6a5f76000 rw-s 00000000 00:1b 10861    /dev/shm/jack-1-0 (deleted)\n";
        let stale =
            "7ff6a5f76000-7ff6a5f77000 rw-s 00000000 00:1b 10862    /dev/shm/jack_sem.0_default_ears (deleted)\n";
        assert!(!has_semaphore_of_none(&format!("{used}{other}")));
        assert!(has_semaphore_of_none(&format!("{used}{other}{stale}")));
        assert!(!keeps_a_semaphore());
    }
}
