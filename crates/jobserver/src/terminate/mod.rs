//! Tokens that come back when the process ends by a signal or by `exit`, for programs that ask for it.
//!
//! A handler may only use atomics and a few system calls, so what it needs lies ready: an account for each pool
//! ([`holdings`]) and a door that every move of a token passes ([`door`]). The handler closes the door, waits for the
//! moves under way, writes back what the accounts say, and hands on to whoever had the signal before ([`sys`]).
//!
//! Three things make the count exact. A move blocks the three signals in its thread, so that no handler runs between
//! the system call and the count. A handler in another thread waits for the move. And whoever wants a token while the
//! door is closed waits before it takes one. Waiting for a token is no move: it sleeps outside, with signals as they are,
//! and then reads without blocking.
//!
//! Where a pool can't be read without blocking (not Linux, inherited descriptors) a thread may be inside for long; the
//! handler waits for it for two seconds and no more.
//!
//! As long as nobody asks, a move costs one load, no signal is touched, and the program carries none of this.

use std::io;

#[cfg(unix)]
mod door;
#[cfg(unix)]
mod holdings;
#[cfg(unix)]
#[allow(unsafe_code)]
mod sys;

#[cfg(unix)]
pub(crate) use on_unix::{adopt, asleep, disown, forget, give, is_on, take};

/// Gives this process's tokens back when it ends by SIGINT, SIGTERM or SIGHUP, by [`std::process::exit`], or by
/// returning from `main`.
///
/// make and the other builds of a pool do without every token that a process takes with it. This is for programs that
/// hold tokens while a person may press Ctrl-C. Call it once, before the first token is taken: what was taken before is
/// not known. It holds for all clients of the process, until the process ends; more calls do nothing.
///
/// Afterwards the signal does what it would have done: an earlier handler runs; without one the process is killed by the
/// signal, and its parent sees that. Signals that are ignored stay ignored (`nohup`). A handler that is installed later
/// takes the place of this one, or calls it (as those of `signal-hook` and `tokio` do) and then decides itself.
///
/// ```
/// let client = jobserver::Client::new(1)?;
/// jobserver::return_tokens_on_exit()?;
/// let token = client.acquire()?; // from here on Ctrl-C costs the pool nothing
/// # drop(token);
/// # std::io::Result::Ok(())
/// ```
///
/// # When a handler lets the process live
///
/// It goes on. Its tokens are in the pool already, so a guard that is dropped later writes nothing; the count stays
/// right, but the jobs that still run do so without tokens. While an earlier handler runs nobody gets a new token;
/// [`Client::acquire`](crate::Client::acquire) waits so long, for ever in that handler itself.
///
/// # What it can't do
///
/// SIGKILL, `abort`, a panic that aborts, `_exit`, `exec`, other signals, the kernel's OOM killer: nothing runs then,
/// and the tokens are lost. A token that another process gives back while this one ends may wake a
/// thread of this one alone; it stays in the pool, and the next token wakes others for both. (To wake them at once, a
/// thread of a dying process would have to take it out for a moment.) A pipe or FIFO has no way to get those back; only a pool that watches its clients has.
/// Nor does this know tokens that [`Acquired::into_raw`](crate::Acquired::into_raw) has taken out and nobody has
/// taken in by [`Client::from_raw`](crate::Client::from_raw), tokens of a client that is gone with all its guards, and
/// what a child holds that was forked and did not `exec`.
///
/// # Errors
///
/// What the system answers to `atexit` and `sigaction`: that it has no memory.
///
/// # Platform behaviour
///
/// Unix only: elsewhere it does nothing, since there a process that is ended is not told. Each move of a token costs
/// two system calls more, to block the three signals for it, and `acquire` waits as
/// [`acquire_timeout`](crate::Client::acquire_timeout) does. The bytes given back are `+`, which is what make writes.
#[inline]
pub fn return_tokens_on_exit() -> io::Result<()> {
    #[cfg(unix)]
    on_unix::switch_on()?;
    Ok(())
}

#[cfg(unix)]
mod on_unix {
    use std::fs::File;
    use std::io;
    use std::os::fd::AsRawFd;
    use std::sync::{Mutex, OnceLock, PoisonError};

    use super::door::{self, Way};
    use super::{holdings, sys};

    /// A move of tokens into this process; it returns how many.
    type Read<'a> = dyn FnMut() -> io::Result<usize> + 'a;

    /// A move of these tokens, or of some of them, out of it.
    type Write<'a> = dyn FnMut(&[u8]) -> io::Result<usize> + 'a;

    /// What a move calls once somebody has asked. By pointers, so that only programs that ask carry what is behind them.
    struct Counting {
        take: fn(&File, Option<&File>, &mut Read) -> io::Result<usize>,
        give: fn(&File, &[u8], &mut Write) -> io::Result<usize>,
        forget: fn(&File),
    }

    static COUNTING: OnceLock<Counting> = OnceLock::new();

    #[inline]
    pub(super) fn switch_on() -> io::Result<()> {
        static INSTALLED: Mutex<bool> = Mutex::new(false);
        let mut installed = INSTALLED.lock().unwrap_or_else(PoisonError::into_inner);
        if !*installed {
            // Counted before anything can ask for the count.
            COUNTING.get_or_init(|| Counting { take: count_in, give: count_out, forget: close_account });
            sys::on_exit()?;
            sys::on_signals()?;
            *installed = true;
        }
        Ok(())
    }

    /// Whether moves are counted. Then none may block: wait first.
    #[inline]
    pub(crate) fn is_on() -> bool {
        COUNTING.get().is_some()
    }

    /// Takes tokens from the pool whose write end is `pool`; `read` says how many it got. `spare` can be read without
    /// blocking.
    #[inline]
    pub(crate) fn take(
        pool: &File,
        spare: Option<&File>,
        mut read: impl FnMut() -> io::Result<usize>,
    ) -> io::Result<usize> {
        match COUNTING.get() {
            None => read(),
            Some(counting) => (counting.take)(pool, spare, &mut read),
        }
    }

    #[inline]
    fn count_in(pool: &File, spare: Option<&File>, read: &mut Read) -> io::Result<usize> {
        let account = holdings::of(pool.as_raw_fd());
        account.is_read_by(spare.map(File::as_raw_fd));
        let _passage = door::pass(Way::In);
        let count = read()?;
        account.add(count);
        Ok(count)
    }

    /// To be held while this thread sleeps until a token comes.
    #[inline]
    pub(crate) fn asleep() -> Option<holdings::Asleep> {
        is_on().then(holdings::Asleep::new)
    }

    /// Gives tokens back to `pool`, as `write` does; returns how many need no more care.
    #[inline]
    pub(crate) fn give(
        pool: &File,
        tokens: &[u8],
        mut write: impl FnMut(&[u8]) -> io::Result<usize>,
    ) -> io::Result<usize> {
        match COUNTING.get() {
            None => write(tokens),
            Some(counting) => (counting.give)(pool, tokens, &mut write),
        }
    }

    #[inline]
    fn count_out(pool: &File, tokens: &[u8], write: &mut Write) -> io::Result<usize> {
        let account = holdings::of(pool.as_raw_fd());
        let _passage = door::pass(Way::Out);
        match account.settle(tokens.len()) {
            0 => {
                let count = write(tokens)?;
                account.subtract(count);
                Ok(count)
            }
            // A handler has written these already.
            settled => Ok(settled),
        }
    }

    /// A token of `pool` came into this process by other ways.
    #[inline]
    pub(crate) fn adopt(pool: &File) {
        if is_on() {
            let account = holdings::of(pool.as_raw_fd());
            let _passage = door::pass(Way::Out);
            account.add(1);
        }
    }

    /// A token of `pool` leaves this process by other ways.
    #[inline]
    pub(crate) fn disown(pool: &File) {
        if is_on() {
            let account = holdings::of(pool.as_raw_fd());
            let _passage = door::pass(Way::Out);
            account.subtract(1);
        }
    }

    /// To be called before the write end of a pool is closed: the handler must never write to another file of this
    /// number.
    #[inline]
    pub(crate) fn forget(pool: &File) {
        if let Some(counting) = COUNTING.get() {
            (counting.forget)(pool);
        }
    }

    #[inline]
    fn close_account(pool: &File) {
        if let Some(account) = holdings::find(pool.as_raw_fd()) {
            let _passage = door::pass(Way::Out);
            account.close();
        }
    }
}
