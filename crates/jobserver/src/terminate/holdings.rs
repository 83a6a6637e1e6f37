//! What this process holds of each pool: an account for every write end, in a list that only grows.
//!
//! The list is read by a signal handler, so an entry is never moved or freed; that of a closed pool is used again. It is
//! as long as there ever were pools at once.

use std::iter;
use std::os::fd::RawFd;
use std::sync::atomic::{AtomicI32, AtomicIsize, AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use super::sys;

const NONE: RawFd = -1;

pub(super) struct Account {
    /// The pool's write end; [`NONE`]: free for another pool.
    pool: AtomicI32,
    /// Where the pool is read without blocking; [`NONE`]: not known.
    spare: AtomicI32,
    /// Tokens taken less tokens given. Below zero while the process does without its implicit slot.
    held: AtomicIsize,
    /// Tokens that a handler has written back while their guards live on.
    returned: AtomicUsize,
    next: OnceLock<&'static Account>,
}

/// How often a thread fell asleep until a token comes, and how often one woke up.
static ASLEEP: AtomicUsize = AtomicUsize::new(0);
static AWAKE: AtomicUsize = AtomicUsize::new(0);

/// So many wake-ups in a row, besides one for each thread of ours that may be awake without having run yet, and none of
/// ours came out of its sleep: they went to others. Each time, a thread of ours would have to look in the very
/// microsecond in which the token is out of the pipe.
const IN_VAIN: usize = 4;

pub(crate) struct Asleep(());

impl Asleep {
    #[inline]
    pub(super) fn new() -> Asleep {
        ASLEEP.fetch_add(1, Ordering::SeqCst);
        Asleep(())
    }
}

impl Drop for Asleep {
    #[inline]
    fn drop(&mut self) {
        AWAKE.fetch_add(1, Ordering::SeqCst);
    }
}

static FIRST: OnceLock<&'static Account> = OnceLock::new();

/// The account of a pool that is open, made if need be. Not for handlers.
#[inline]
pub(super) fn of(pool: RawFd) -> &'static Account {
    find(pool).unwrap_or_else(|| {
        static OPENING: Mutex<()> = Mutex::new(());
        let _one_by_one = OPENING.lock().unwrap_or_else(PoisonError::into_inner);
        find(pool).unwrap_or_else(|| open(pool))
    })
}

#[inline]
pub(super) fn find(pool: RawFd) -> Option<&'static Account> {
    all().find(|account| account.pool.load(Ordering::SeqCst) == pool)
}

/// Writes back what is held of all pools. Async-signal-safe; nothing moves meanwhile.
#[inline]
pub(super) fn give_back(left: impl Fn() -> Duration) {
    for account in all() {
        let pool = account.pool.load(Ordering::SeqCst);
        while let Ok(held @ 1..) = usize::try_from(account.held.load(Ordering::SeqCst)) {
            let written = match pool {
                NONE => 0,
                _ => sys::write_tokens(pool, held, left()),
            };
            if written == 0 {
                break;
            }
            account.subtract(written);
            account.returned.fetch_add(written, Ordering::SeqCst);
        }
        account.wake_others(pool);
    }
}

impl Account {
    #[inline]
    pub(super) fn add(&self, tokens: usize) {
        self.held.fetch_add(tokens as isize, Ordering::SeqCst);
    }

    #[inline]
    pub(super) fn subtract(&self, tokens: usize) {
        self.held.fetch_sub(tokens as isize, Ordering::SeqCst);
    }

    /// How many of `tokens` were written back before, and are settled with this.
    #[inline]
    pub(super) fn settle(&self, tokens: usize) -> usize {
        let less = |returned: usize| (returned > 0).then(|| returned - returned.min(tokens));
        match self.returned.fetch_update(Ordering::SeqCst, Ordering::SeqCst, less) {
            Ok(returned) => returned.min(tokens),
            Err(_) => 0,
        }
    }

    #[inline]
    pub(super) fn close(&self) {
        self.held.store(0, Ordering::SeqCst);
        self.returned.store(0, Ordering::SeqCst);
        self.spare.store(NONE, Ordering::SeqCst);
        self.pool.store(NONE, Ordering::SeqCst);
    }

    #[inline]
    pub(super) fn is_read_by(&self, spare: Option<RawFd>) {
        self.spare.store(spare.unwrap_or(NONE), Ordering::SeqCst);
    }

    /// Passes the wake-ups on that go to threads of this process.
    ///
    /// A token that is written wakes one of all who sleep, and if that is a thread of ours it ends with the process,
    /// while others sleep on beside a free token. So it is written again until none of ours can be in the way. How often
    /// can't be known beforehand: one that is woken and finds the token just out of the pipe sleeps on, inside the
    /// kernel, and is woken again. What counts is whether threads come out of their sleep; they stop at the door. It takes
    /// 0.2 ms for each thread that sleeps here, and for [`IN_VAIN`] more.
    #[inline]
    fn wake_others(&self, pool: RawFd) {
        let spare = self.spare.load(Ordering::SeqCst);
        if spare == NONE {
            return;
        }
        let mut awake = AWAKE.load(Ordering::SeqCst);
        let asleep = |awake| ASLEEP.load(Ordering::SeqCst).wrapping_sub(awake);
        let mut in_vain = 0;
        // The one that this handler has interrupted in its sleep never comes out of it.
        while asleep(awake) > 0 && in_vain < asleep(awake) + IN_VAIN && sys::move_in_place(spare, pool) {
            sys::wait_for_wake_ups();
            let now = AWAKE.load(Ordering::SeqCst);
            in_vain = if now == awake { in_vain + 1 } else { 0 };
            awake = now;
        }
        // The last one may have gone to a thread of ours as well.
        sys::move_in_place(spare, pool);
    }
}

#[inline]
fn all() -> impl Iterator<Item = &'static Account> {
    iter::successors(FIRST.get().copied(), |account| account.next.get().copied())
}

#[inline]
fn open(pool: RawFd) -> &'static Account {
    if let Some(account) = find(NONE) {
        account.pool.store(pool, Ordering::SeqCst);
        return account;
    }
    let account: &'static Account = Box::leak(Box::new(Account {
        pool: AtomicI32::new(pool),
        spare: AtomicI32::new(NONE),
        held: AtomicIsize::new(0),
        returned: AtomicUsize::new(0),
        next: OnceLock::new(),
    }));
    let end = all().last().map_or(&FIRST, |last| &last.next);
    // Nobody else opens an account now, so the end is free.
    let _ = end.set(account);
    account
}
