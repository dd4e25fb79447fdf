//! How the C library keeps memory that was given back.

/// Heaps that threads share. glibc would make up to eight for each processor, each of which keeps what was given back to
/// it: with ONNX Runtime the resident set then grew from 90 to 110 MB in ten minutes and went on; with two it stays.
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
