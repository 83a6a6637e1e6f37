//! How tokens are moved on each system.
//!
//! One of three modules is compiled as `imp`, each with a `Transport` and a `Waker` of the same functions. The layers
//! above (`token`, `client`, `helper`, `server`) call nothing else, and all system calls are in the modules' `sys.rs`.
//!
//! | function | contract |
//! |---|---|
//! | `Transport::create(limit)` | a new pool with `limit` free tokens; never blocks; an error that names the limit where the system can't hold that many |
//! | `Transport::create_on(&fifo, limit)` | the same on a named pipe made by `PrivateFifo::create(parent)`, which goes with its guard |
//! | `Transport::open(&auth, how)` | joins a pool; takes no token and never changes a flag of what it was given |
//! | `acquire()` | blocks until a token was taken; a waiter sleeps until a token is there for it alone |
//! | `try_acquire()` | takes a token that is there now, or `None` |
//! | `acquire_until(deadline, waker)` | as `acquire`, or `None` once the deadline has passed or the waker was woken; then no token was taken and no wake-up swallowed |
//! | `acquire_many(most)`, `try_acquire_many(most)` | as `acquire` and `try_acquire`, for several tokens at once: at least one, or none |
//! | `release(token)`, `release_many(&tokens)` | gives tokens back; retried while that can help, never for longer than a second |
//! | `available()` | how many tokens are free, for reports and tests |
//! | `hand_to(&mut Command)` | lets the child reach the pool and returns the [`Auth`](crate::Auth) that it has to be told |
//! | `path()`, `hand_ends_to(&mut Command)` | Unix only: the [`Auth`](crate::Auth) that needs no inheritance, if there is one; as `hand_to`, by descriptors whatever the pool is |
//! | `adopt()`, `disown()`, `forget()` | Unix only, for `terminate`: a token came or went by other ways; the pool is about to be closed |
//! | `watched()` | what an event loop watches: a descriptor that is readable, or a handle, while a token may be there |
//! | `Waker::new()`, `Waker::for_one_thread()`, `wake()`, `is_woken()` | ends every `acquire_until` with it, now and later; stays woken; the second is cheaper to wait with, by a thread of the library alone |

#[cfg(not(any(unix, windows)))]
#[path = "memory.rs"]
mod imp;
#[cfg(unix)]
#[path = "unix/mod.rs"]
mod imp;
#[cfg(windows)]
#[path = "windows/mod.rs"]
mod imp;

// Run by the tests here as well, since nothing else would.
#[cfg(all(test, unix))]
#[allow(dead_code)]
mod memory;

#[cfg(unix)]
pub(crate) use imp::{fail_spawn, keep_back};
pub(crate) use imp::{PrivateFifo, Transport, Waker};

/// One token: the byte that was read, so that the same byte goes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Token(pub(crate) u8);

impl Token {
    /// What is written where no byte was read: a seed, or a `release_raw`. make writes the same.
    pub(crate) const PLUS: Token = Token(b'+');
}

/// Which liberties `Transport::open` may take with descriptors that the environment names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// `from_env`: the caller vouches for the numbers, so they may be duplicated; 0.1 checks their type on request.
    Vouched {
        /// Refuse all but pipes.
        only_pipes: bool,
    },
    /// `connect`: nobody vouches; only what can be opened anew, and only a FIFO or a suitable character device.
    Checked,
}
