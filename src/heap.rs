//! How the C library keeps memory that was given back.

/// Heaps that threads share. glibc would make up to eight for each processor, each of which keeps what was given back to
/// it: in accompany mode on JACK the anonymous memory then grew by 0.8 MB a minute, on both engines, for the five minutes
/// that were watched, and was 9 MB larger; with two it stood still after the first.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const HEAPS: i32 = 2;

/// Has all threads share two heaps, so that a session of days needs no more memory than one of minutes. To be called
/// before there is a second thread. Other C libraries keep one heap anyway.
pub fn share() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        // SAFETY: it has no preconditions; a value that is refused changes nothing.
        #[expect(unsafe_code, reason = "only the C library can be told")]
        unsafe {
            libc::mallopt(libc::M_ARENA_MAX, HEAPS);
        }
    }
}
