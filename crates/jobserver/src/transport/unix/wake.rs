//! Waiting for a token with an end: a deadline, or a wake-up by another thread. No signals.
//!
//! Used by `acquire_until` alone. On Linux the token's descriptor is put into an epoll set with `EPOLLEXCLUSIVE`, so
//! that one token wakes one of all waiters on the machine (`poll` wakes all: measured 31.9 wake-ups a token with 32
//! waiters). The entry lives for one wait: one that stays is served first for ever and starves other processes.
//! Elsewhere, and where epoll can't be had, `poll` does, and is only slower.
//!
//! What it can't do: a process that is killed by SIGKILL between being woken and taking its token takes the wake-up with
//! it, and the token lies there until the next one is written. A blocked `read` hands the wake-up on even then. Between
//! being woken and handing the wake-up on, it may hold one token more than it wants, for some microseconds.

use std::fs::File;
use std::io::{self, Write};
#[cfg(any(target_os = "linux", target_os = "android"))]
use std::os::fd::AsFd;
use std::os::fd::BorrowedFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::sys;

/// Wakes all threads that wait with it; once woken it stays so.
#[derive(Debug)]
pub(crate) struct Waker {
    woken: AtomicBool,
    /// The process that made it: a fork's child shares the signal, and must not wake its parent's threads by it.
    process: u32,
    /// Readable once woken; nobody ever reads it.
    signal: File,
    /// Where something is written to make `signal` readable; `None`: into `signal` itself (eventfd).
    trigger: Option<File>,
    /// An epoll set with `signal` in it, where one thread waits again and again.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    set: Option<File>,
}

impl Waker {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    pub(crate) fn new() -> io::Result<Waker> {
        match sys::eventfd() {
            Ok(signal) => Ok(Waker::with(signal, None)),
            // Some sandboxes know no eventfd.
            Err(_) => Waker::with_pipe(),
        }
    }

    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    pub(crate) fn new() -> io::Result<Waker> {
        Waker::with_pipe()
    }

    pub(super) fn with_pipe() -> io::Result<Waker> {
        let (signal, trigger) = sys::pipe()?;
        Ok(Waker::with(signal, Some(trigger)))
    }

    fn with(signal: File, trigger: Option<File>) -> Waker {
        Waker {
            woken: AtomicBool::new(false),
            process: std::process::id(),
            signal,
            trigger,
            #[cfg(any(target_os = "linux", target_os = "android"))]
            set: None,
        }
    }

    /// One that a thread of the library waits with, and nobody else: its waits share an epoll set, which saves three
    /// system calls each. A fork's child shares it with its parent, and does not use it: such a thread is not in the child.
    pub(crate) fn for_one_thread() -> io::Result<Waker> {
        #[cfg_attr(not(any(target_os = "linux", target_os = "android")), allow(unused_mut))]
        let mut waker = Waker::new()?;
        #[cfg(any(target_os = "linux", target_os = "android"))]
        {
            waker.set = new_set(Some(&waker)).ok();
        }
        Ok(waker)
    }

    /// Ends all waits that are under way, and all to come.
    pub(crate) fn wake(&self) {
        // Only the first writes, so nothing ever fills up; and it has written before anyone can sleep again, since a
        // sleeper watches `signal` and not the flag.
        if !self.woken.swap(true, Ordering::SeqCst) && std::process::id() == self.process {
            let mut target = self.trigger.as_ref().unwrap_or(&self.signal);
            let written = retry(&mut || target.write(&1u64.to_ne_bytes()));
            debug_assert!(written.is_ok(), "an empty counter or pipe takes eight bytes: {written:?}");
        }
    }

    /// Whether [`wake`](Waker::wake) was called.
    pub(crate) fn is_woken(&self) -> bool {
        self.woken.load(Ordering::SeqCst)
    }
}

/// Sleeps until `tokens` may have one, `waker` was woken or `limit` is over. It may also return for nothing.
pub(super) fn wait(tokens: BorrowedFd<'_>, waker: Option<&Waker>, limit: Option<Duration>) -> io::Result<()> {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    if let Some(result) = wait_exclusively(tokens, waker, limit) {
        return result;
    }
    let mut fds = vec![sys::pollfd(&tokens, libc::POLLIN)];
    fds.extend(waker.map(|waker| sys::pollfd(&waker.signal, libc::POLLIN)));
    interrupted_is_fine(sys::poll(&mut fds, milliseconds(limit)).map(drop))
}

/// `None`: by epoll it can't be done. EPERM: a file that epoll does not know; ENOSPC: the user's limit of watches; EMFILE.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn wait_exclusively(tokens: BorrowedFd<'_>, waker: Option<&Waker>, limit: Option<Duration>) -> Option<io::Result<()>> {
    let kept = waker.and_then(|waker| waker.set.as_ref());
    let new = if kept.is_none() { Some(new_set(waker).ok()?) } else { None };
    let set = kept.or(new.as_ref())?.as_fd();
    sys::epoll_add(set, tokens, libc::EPOLLIN | libc::EPOLLEXCLUSIVE).ok()?;
    // A signal ends the wait; the caller looks at the clock and comes back.
    let waited = interrupted_is_fine(sys::epoll_wait(set, milliseconds(limit)));
    let removed = if kept.is_some() { sys::epoll_delete(set, tokens) } else { Ok(()) };
    Some(waited.and(removed))
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn new_set(waker: Option<&Waker>) -> io::Result<File> {
    let set = sys::epoll_create()?;
    if let Some(waker) = waker {
        sys::epoll_add(set.as_fd(), waker.signal.as_fd(), libc::EPOLLIN)?;
    }
    Ok(set)
}

/// Rounded up, so that no wait ends early and spins; -1: for ever. What is longer than the system counts is cut, and the
/// caller comes back.
fn milliseconds(limit: Option<Duration>) -> libc::c_int {
    let Some(limit) = limit else { return -1 };
    let rounded = limit.as_nanos().saturating_add(999_999) / 1_000_000;
    libc::c_int::try_from(rounded).unwrap_or(libc::c_int::MAX)
}

fn interrupted_is_fine(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(()),
        result => result,
    }
}

/// Calls again what a signal has interrupted.
// Inline for speed: every move goes through it.
#[inline]
pub(super) fn retry(call: &mut dyn FnMut() -> io::Result<usize>) -> io::Result<usize> {
    loop {
        match call() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            result => return result,
        }
    }
}
