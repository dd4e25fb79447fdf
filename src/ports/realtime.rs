//! Real-time priority for the threads that play, hear, sound, plan and record.

use thread_priority::{
    RealtimeThreadSchedulePolicy, ThreadPriority, ThreadPriorityValue, ThreadSchedulePolicy,
    set_thread_priority_and_policy, thread_native_id,
};

/// Priority among real-time threads, 1 to 99: below JACK's and the sound card's, which serve everybody.
const PLAYER: u8 = 40;

/// That of a thread that hears the human: it has microseconds to do, on which the player waits.
const INPUT: u8 = 35;

/// That of the sound device's thread, where it is ours: below the player's, which has microseconds to do at a time.
#[cfg(target_os = "linux")]
const SOUND: u8 = 30;

/// That of the conductor's thread: below the player's. It works in steps of a few milliseconds and then sleeps.
const CONDUCTOR: u8 = 20;

/// That of the recorder's thread: below all that is heard, above all else, since no more than a second may be missing after
/// a power cut, however busy the machine is.
const RECORDER: u8 = 5;

/// What is said of a player's thread that has real-time priority by the user's own right.
#[cfg(unix)]
pub(crate) const OWN_RIGHT: &str = "real-time priority";

/// Raises the calling thread to real-time priority (SCHED_FIFO): by its own right, else through RealtimeKit. Says in
/// words how well it will keep time, and how to get the rights where they are missing.
///
/// Measured on a busy two-core machine: the thread wakes 40 microseconds late at the 99th percentile with it, 1 to 3
/// milliseconds without.
#[cfg(unix)]
pub(super) fn raise() -> String {
    if raise_to(PLAYER) {
        return OWN_RIGHT.to_owned();
    }
    match raise_through_a_service() {
        Ok(()) => "real-time priority, from RealtimeKit".to_owned(),
        Err(why) => format!(
            "ordinary priority: notes may be some milliseconds late on a busy machine; for real-time priority give \
             yourself the right (`rtprio 95` in /etc/security/limits.d, or the group `audio`) and log in anew, or \
             install RealtimeKit (package rtkit), which now says: {why}"
        ),
    }
}

/// How well a player's thread would keep time here, in words: it is tried.
pub(crate) fn timing() -> String {
    let tried = std::thread::spawn(raise).join();
    tried.unwrap_or_else(|_| "ordinary priority: it could not be tried".to_owned())
}

/// Raises the calling thread where the user has the right: it plans ahead, so that ordinary priority does as well, only
/// with less in hand on a busy machine. Whether all threads of ordinary priority, the recorder's among them, now wait
/// while it works: there is one processor.
#[cfg(unix)]
pub(crate) fn raise_conductor() -> bool {
    raise_to(CONDUCTOR) && has_one_processor()
}

/// Elsewhere the system's own priority serves.
#[cfg(not(unix))]
pub(crate) fn raise_conductor() -> bool {
    false
}

/// Raises the calling thread, which records, where the user has the right. Not on one processor, where everybody with
/// real-time priority has the same: writing a file takes longer than a note may wait.
pub(crate) fn raise_recorder() {
    #[cfg(unix)]
    if !has_one_processor() {
        raise_to(RECORDER);
    }
}

/// Raises the calling thread, which hears the human, where the user has the right. At ordinary priority an interruption
/// was late by 3 ms where the conductor was just planning on the same processor.
pub(super) fn raise_input() {
    #[cfg(unix)]
    raise_to(INPUT);
}

/// Raises the calling thread, which the sound device calls back, where the user has the right. JACK's and other systems'
/// have been raised by those who own them.
pub(super) fn raise_sound() {
    #[cfg(target_os = "linux")]
    raise_to(SOUND);
}

#[cfg(unix)]
fn raise_to(priority: u8) -> bool {
    // Whoever takes from a queue turns over while a sender is half done. Where there is one processor, a sender of lower
    // priority that was interrupted there would never get it again: both stand still for good. Among equals none is.
    let priority = if has_one_processor() { PLAYER } else { priority };
    let policy = ThreadSchedulePolicy::Realtime(RealtimeThreadSchedulePolicy::Fifo);
    let raised = ThreadPriorityValue::try_from(priority).ok().and_then(|priority| {
        set_thread_priority_and_policy(thread_native_id(), ThreadPriority::Crossplatform(priority), policy).ok()
    });
    raised.is_some()
}

#[cfg(unix)]
fn has_one_processor() -> bool {
    std::thread::available_parallelism().is_ok_and(|processors| processors.get() == 1)
}

#[cfg(target_os = "linux")]
use super::rtkit::raise as raise_through_a_service;

/// RealtimeKit is for Linux.
#[cfg(all(unix, not(target_os = "linux")))]
fn raise_through_a_service() -> Result<(), String> {
    Err("it is not for this system".to_owned())
}

/// Elsewhere the system's own priority serves.
#[cfg(not(unix))]
pub(super) fn raise() -> String {
    "the system's ordinary priority".to_owned()
}
