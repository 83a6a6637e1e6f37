//! Waiting for a token and for a wake-up by another thread at once, without signals.
//!
//! Used by `acquire_unless` alone. On Linux the token's descriptor is put into an epoll set with `EPOLLEXCLUSIVE`, so
//! that one token wakes one of all waiters on the machine (`poll` wakes all: measured 31.9 wake-ups a token with 32
//! waiters), and only for the time of one wait: an entry that stays in the set is served first for ever and starves
//! other processes. Elsewhere, and where epoll can't be had, `poll` does, and is only slower.
//!
//! What it can't do: a process that is killed by SIGKILL between being woken and taking its token takes the wake-up with
//! it, and the token lies there until the next one is written. A blocked `read` hands the wake-up on even then.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd};

use super::sys;

/// Wakes the one thread that waits with it; once woken it stays so.
#[derive(Debug)]
pub(crate) struct Waker {
    /// Readable once woken; nobody ever reads it.
    woken: File,
    /// Where a byte or a count goes to make `woken` readable; `None`: into `woken` itself (eventfd).
    trigger: Option<File>,
    /// `woken` is in it for good, a token's descriptor while somebody waits.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    set: Option<File>,
}

impl Waker {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    pub(crate) fn new() -> io::Result<Waker> {
        let woken = match sys::eventfd() {
            Ok(woken) => woken,
            // Some sandboxes know no eventfd.
            Err(_) => return Waker::with_pipe(),
        };
        let set = sys::epoll_create().and_then(|set| {
            sys::epoll_add(set.as_fd(), woken.as_fd(), libc::EPOLLIN)?;
            Ok(set)
        });
        Ok(Waker { woken, trigger: None, set: set.ok() })
    }

    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    pub(crate) fn new() -> io::Result<Waker> {
        Waker::with_pipe()
    }

    pub(super) fn with_pipe() -> io::Result<Waker> {
        let (woken, trigger) = sys::pipe()?;
        // A waker is woken twice at most a life, but a full pipe must not block the one who wakes.
        sys::set_nonblocking(trigger.as_fd(), true)?;
        Ok(Waker {
            woken,
            trigger: Some(trigger),
            #[cfg(any(target_os = "linux", target_os = "android"))]
            set: None,
        })
    }

    /// Ends a wait that is under way, or else the next one.
    pub(crate) fn wake(&self) {
        let mut target = self.trigger.as_ref().unwrap_or(&self.woken);
        // The only failure left is that it is full, and then it is readable.
        let _ = target.write(&1u64.to_ne_bytes());
    }

    /// Whether [`wake`](Waker::wake) was called.
    pub(super) fn is_woken(&self) -> io::Result<bool> {
        let mut fds = [sys::pollfd(&self.woken, libc::POLLIN)];
        Ok(retry(|| sys::poll(&mut fds, 0))? > 0)
    }

    /// Sleeps until `tokens` may have one or this was woken. It may also return for nothing.
    pub(super) fn wait_for(&self, tokens: BorrowedFd<'_>) -> io::Result<()> {
        #[cfg(any(target_os = "linux", target_os = "android"))]
        if let Some(set) = &self.set {
            // EPERM: a file that epoll does not know; ENOSPC: the user's limit of watches; EEXIST: a second waiter.
            if sys::epoll_add(set.as_fd(), tokens, libc::EPOLLIN | libc::EPOLLEXCLUSIVE).is_ok() {
                let waited = retry(|| sys::epoll_wait(set.as_fd()));
                sys::epoll_remove(set.as_fd(), tokens)?;
                return waited;
            }
        }
        let mut fds = [sys::pollfd(&tokens, libc::POLLIN), sys::pollfd(&self.woken, libc::POLLIN)];
        retry(|| sys::poll(&mut fds, -1)).map(drop)
    }
}

/// Calls again what a signal has interrupted.
pub(super) fn retry<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            result => return result,
        }
    }
}
