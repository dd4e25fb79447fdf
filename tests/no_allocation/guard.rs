//! An allocator that counts, thread by thread, how often memory is taken or given back.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::atomic::{AtomicI32, AtomicU64, AtomicUsize, Ordering::Relaxed};

/// The system's allocator with a count for each thread. What C libraries take from `malloc` themselves is not seen.
pub struct Counting;

/// Threads that are told apart; any more share the last count.
const THREADS: usize = 256;

static COUNTS: [Count; THREADS] = [const { Count { thread: AtomicI32::new(0), calls: AtomicU64::new(0) } }; THREADS];
static SEEN: AtomicUsize = AtomicUsize::new(0);

/// How often one thread has called the allocator.
struct Count {
    /// The system's number of the thread.
    thread: AtomicI32,
    calls: AtomicU64,
}

thread_local! {
    // Neither made at first use nor dropped at the end, so that the allocator may use it at any time.
    static OWN: Cell<Option<&'static Count>> = const { Cell::new(None) };
}

fn own() -> &'static Count {
    OWN.get().unwrap_or_else(|| {
        let count = &COUNTS[SEEN.fetch_add(1, Relaxed).min(THREADS - 1)];
        // SAFETY: it has no preconditions.
        #[expect(unsafe_code, reason = "the standard library does not tell the system's number of a thread")]
        let thread = unsafe { libc::gettid() };
        count.thread.store(thread, Relaxed);
        OWN.set(Some(count));
        count
    })
}

// SAFETY: every call is handed on unchanged to the system's allocator; counting touches atomics only.
#[expect(unsafe_code, reason = "an allocator is unsafe by nature")]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        own().calls.fetch_add(1, Relaxed);
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        own().calls.fetch_add(1, Relaxed);
        // SAFETY: as the caller promises.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, place: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        own().calls.fetch_add(1, Relaxed);
        // SAFETY: as the caller promises.
        unsafe { System.realloc(place, layout, size) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        own().calls.fetch_add(1, Relaxed);
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(place, layout) }
    }
}

/// How often `act` takes memory or gives it back on this thread.
pub fn calls_during(act: impl FnOnce()) -> u64 {
    let before = own().calls.load(Relaxed);
    act();
    own().calls.load(Relaxed) - before
}

/// How often each thread of that name has taken memory or given it back so far. A thread's name is the one that the
/// system knows, of 15 bytes at most; one that C code has started has that of the thread that started it.
pub fn calls_of_threads(name: &str) -> Vec<(i32, u64)> {
    let named = |count: &&Count| {
        let path = format!("/proc/self/task/{}/comm", count.thread.load(Relaxed));
        std::fs::read_to_string(path).is_ok_and(|told| told.trim_end() == name)
    };
    let counts = COUNTS[..SEEN.load(Relaxed).min(THREADS)].iter().filter(named);
    counts.map(|count| (count.thread.load(Relaxed), count.calls.load(Relaxed))).collect()
}

/// How often those of the threads of that name that still live have done so since `before`, thread by thread: one that
/// has ended may be listed by the system for a moment more.
pub fn calls_since(before: &[(i32, u64)], name: &str) -> u64 {
    let earlier = |thread| before.iter().find(|(known, _)| *known == thread).map_or(0, |(_, calls)| *calls);
    calls_of_threads(name).into_iter().map(|(thread, calls)| calls - earlier(thread)).sum()
}
