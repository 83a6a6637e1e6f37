//! The pool as something that an event loop can wait for, beside children, signals and sockets.
//!
//! What is shown is a descriptor (on Windows: a handle) to be watched and nothing else; tokens are taken by
//! `Client::try_acquire`, since only it knows how to read without ever blocking.

#[cfg(unix)]
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
#[cfg(windows)]
use std::os::windows::io::{AsHandle, AsRawHandle, BorrowedHandle, RawHandle};

use crate::client::Client;

/// A descriptor that is readable while the pool has a token: for `poll`, `epoll`, `kqueue` and all that is built on them.
///
/// Which one: the open file of this client's own that never blocks; where none can be had (not Linux, in a pool that
/// was inherited as descriptors; or no descriptor is left) the one that others share. It is the same for the client and
/// its clones, and open while one of them, a token or a future of theirs lives. Ask once and keep it.
///
/// # The contract
///
/// - Readable means that [`try_acquire`](Client::try_acquire) may succeed. Another process may be quicker, so a `None`
///   is no error: wait again.
/// - Level-triggered: it stays readable while a token lies there. With an edge-triggered loop (`mio`), try before each
///   wait until you get `None` or need no more.
/// - **Remove it from the loop while you want no token.** Otherwise each token that is returned anywhere wakes you, and
///   one that stays free does so for ever.
/// - Where many processes wait, `EPOLLEXCLUSIVE` wakes one for each token instead of all. Who was woken so owes the
///   others: try until you get `None`, and give back what you don't need, since a token that is left lying wakes nobody
///   again. Add it for each wait and remove it afterwards; one that stays is served before all who came later.
/// - Hung up or in error: `try_acquire` tells the error.
/// - Never read from it, write to it, nor change its flags: it may be another process's as well, and a byte that is read
///   past `try_acquire` is a token lost. Wrappers that set `O_NONBLOCK` by themselves (`async_io::Async::new`) break
///   this; take the constructor that doesn't (`new_nonblocking`, or `tokio`'s `AsyncFd`).
///
/// ```
/// use std::os::fd::{AsFd, AsRawFd};
/// use mio::{unix::SourceFd, Events, Interest, Poll, Token};
///
/// let client = jobserver::Client::new(1)?;
/// let mut poll = Poll::new()?;
/// poll.registry().register(&mut SourceFd(&client.as_fd().as_raw_fd()), Token(7), Interest::READABLE)?;
/// let mut events = Events::with_capacity(8);
/// let token = loop {
///     if let Some(token) = client.try_acquire()? {
///         break token;
///     }
///     poll.poll(&mut events, None)?; // and whatever else the program waits for
/// };
/// poll.registry().deregister(&mut SourceFd(&client.as_fd().as_raw_fd()))?;
/// # drop(token);
/// # std::io::Result::Ok(())
/// ```
#[cfg(unix)]
impl AsFd for Client {
    #[inline]
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.pool.transport.watched()
    }
}

/// The number of [`as_fd`](#impl-AsFd-for-Client), under the same contract.
#[cfg(unix)]
impl AsRawFd for Client {
    #[inline]
    fn as_raw_fd(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}

/// The semaphore, for `WaitForMultipleObjects` and `RegisterWaitForSingleObject`.
///
/// # The contract
///
/// A wait for a semaphore **takes a token when it succeeds**; there is no way to look without taking. Make a guard of
/// it at once by [`from_raw`](Client::from_raw)`(b'+')`, and never wait while you want no token. The handle is open
/// while the client, a clone, a token or a future of theirs lives; it is neither to be closed nor released by hand.
///
/// ```no_run
/// use std::os::windows::io::{AsHandle, AsRawHandle};
///
/// let client = jobserver::Client::new(1)?;
/// let watched = client.as_handle().as_raw_handle();
/// // WaitForMultipleObjects(.., [child, watched], ..) has returned the index of `watched`:
/// let token = client.from_raw(b'+');
/// # drop(token);
/// # std::io::Result::Ok(())
/// ```
#[cfg(windows)]
impl AsHandle for Client {
    #[inline]
    fn as_handle(&self) -> BorrowedHandle<'_> {
        self.pool.transport.watched()
    }
}

/// The value of [`as_handle`](#impl-AsHandle-for-Client), under the same contract.
#[cfg(windows)]
impl AsRawHandle for Client {
    #[inline]
    fn as_raw_handle(&self) -> RawHandle {
        self.as_handle().as_raw_handle()
    }
}
