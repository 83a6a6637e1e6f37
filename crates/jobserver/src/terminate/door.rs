//! The door that every move of a token passes once the feature is on: closed while the tokens are written back.
//!
//! A mover counts itself in and then looks at the door; the handler closes the door and then looks at the count. So one
//! of the two always sees the other. Nothing here is a lock: a handler may interrupt any code but a mover in its own
//! thread, which has the signals blocked.
//!
//! The door stays closed while an earlier handler runs, which may end the process at any moment. Giving back is
//! possible all the same, since that only settles what was written already; taking waits.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::{holdings, sys};

/// How long a handler waits for room in a full pipe, and, in milliseconds that it slept, for moves under way. A move
/// takes microseconds; a thread that is stuck in one must not keep the process from ending. Slept, since no time counts
/// in which the whole machine stood still.
const PATIENCE: Duration = Duration::from_secs(2);

const OPEN: usize = 0;
/// Somebody waits for the moves under way and writes back.
const CLOSING: usize = 1;
/// From here on: written back, and so many less one are between [`close`] and [`reopen`].
const CLOSED: usize = 2;

static STATE: AtomicUsize = AtomicUsize::new(OPEN);
static MOVING: AtomicUsize = AtomicUsize::new(0);

#[derive(Clone, Copy, PartialEq)]
pub(super) enum Way {
    /// Tokens come to this process.
    In,
    /// Tokens leave it, or the accounts change.
    Out,
}

/// While it lives no handler reads the accounts and none runs in this thread.
pub(super) struct Passage {
    _blocked: sys::Blocked,
}

impl Drop for Passage {
    #[inline]
    fn drop(&mut self) {
        // Before the signals are let in again, which happens when the field is dropped.
        MOVING.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Waits until the door is open for this way, and passes it.
#[inline]
pub(super) fn pass(way: Way) -> Passage {
    loop {
        if is_open(way) {
            let blocked = sys::Blocked::new();
            MOVING.fetch_add(1, Ordering::SeqCst);
            let passage = Passage { _blocked: blocked };
            if is_open(way) {
                return passage;
            }
        }
        // The end of the process follows, as a rule; there is nobody who could be trusted to wake this thread.
        sys::wait_a_moment();
    }
}

#[inline]
fn is_open(way: Way) -> bool {
    match STATE.load(Ordering::SeqCst) {
        OPEN => true,
        CLOSING => false,
        _ => way == Way::Out,
    }
}

/// Closes the door and writes all tokens back, or waits until another thread has. Async-signal-safe; the caller has the
/// signals blocked.
#[inline]
pub(super) fn close() {
    loop {
        match STATE.compare_exchange(OPEN, CLOSING, Ordering::SeqCst, Ordering::SeqCst) {
            Ok(_) => break,
            Err(CLOSING) => sys::wait_a_moment(),
            Err(closed) => {
                if STATE.compare_exchange(closed, closed + 1, Ordering::SeqCst, Ordering::SeqCst).is_ok() {
                    return;
                }
            }
        }
    }
    for _ in 0..PATIENCE.as_millis() {
        if MOVING.load(Ordering::SeqCst) == 0 {
            break;
        }
        sys::wait_a_moment();
    }
    let start = Instant::now();
    holdings::give_back(|| PATIENCE.saturating_sub(start.elapsed()));
    STATE.store(CLOSED, Ordering::SeqCst);
}

/// Undoes one [`close`]: the process goes on after all. The last one opens the door.
#[inline]
pub(super) fn reopen() {
    let less = |state| Some(if state <= CLOSED { OPEN } else { state - 1 });
    let _ = STATE.fetch_update(Ordering::SeqCst, Ordering::SeqCst, less);
}
