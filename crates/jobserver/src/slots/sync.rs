//! The locks of the hall, and the numbers that a model checker can't count up to: it has its own of both.

pub(super) use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
pub(super) use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// How many jobs in a row a right is used for, while others wait, before it goes to the pool or the first waiter.
///
/// Without any work 2,048 jobs take some 100 us; the way through the pool, or to another thread, takes some 10 us.
pub(super) const TURN_USES: usize = 2048;

/// More than threads that are likely to release and acquire at the same moment; they are searched one by one.
pub(super) const LANES: usize = 16;

/// Nothing: sequentially consistent accesses need no fence between them. The model checker takes them for weaker.
#[inline]
pub(super) fn fence_of_model() {}

/// The lane of this thread.
#[inline]
pub(super) fn lane() -> usize {
    static THREADS: AtomicUsize = AtomicUsize::new(0);
    std::thread_local! {
        static LANE: usize = THREADS.fetch_add(1, Ordering::Relaxed) % LANES;
    }
    // A slot may be dropped while its thread ends.
    LANE.try_with(|lane| *lane).unwrap_or(0)
}
