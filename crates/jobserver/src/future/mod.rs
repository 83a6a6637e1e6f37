//! Waiting for a token as a future, in any runtime or none.
//!
//! A blocked read can't be awaited and a descriptor only with the reactor of one runtime, so a thread waits for all
//! futures of a client: one, and none while nobody waits. Programs that own an event loop need no thread at all: see
//! `readiness`.
//!
//! `line` is who waits, `thread` is who serves them. `Pool` holds their state, the one place here where a lower layer
//! names a higher one: all clones of a client share one line.

mod line;
// loom can't unwind its stacks on Windows, and the order of steps is the same everywhere.
#[cfg(all(test, unix))]
mod model;
mod thread;

use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use self::line::Ticket;
use crate::client::Client;
use crate::token::{Acquired, Pool};
use crate::transport::{Token, Waker};

pub(crate) use self::thread::Waiters;

/// What `thread` takes from std, and the model from elsewhere.
mod sync {
    pub(super) use std::sync::{Mutex, MutexGuard, PoisonError};

    /// `Unsupported` where the target has no threads.
    pub(super) fn spawn(body: impl FnOnce() + Send + 'static) -> std::io::Result<()> {
        std::thread::Builder::new().name("jobserver-async".into()).spawn(body).map(drop)
    }
}

/// A token to come: [`Client::acquire_async`].
///
/// Belongs to no runtime, keeps the pool open by itself, and may be moved between threads and tasks at any time.
///
/// Dropping it gives up its place in the line. A token that had come for it already goes back to the pool, so it can
/// be used in `select!`, with a time-out, or be aborted. Only `std::mem::forget` loses one.
#[must_use = "a future does nothing until it is polled"]
pub struct Acquiring {
    pool: Arc<Pool>,
    stage: Stage,
}

#[derive(Clone, Copy, Debug)]
enum Stage {
    New,
    Waiting(Ticket),
    Done,
}

impl Client {
    /// Takes a token, without blocking the thread: a future of an [`Acquired`].
    ///
    /// Needs no particular runtime. The futures of a client and its clones are served in the order in which they were
    /// first polled; each token wakes one of them.
    ///
    /// # Deadlock
    ///
    /// A task that holds a token while it awaits another one, or a lock that a waiting task holds, can wait for ever, as
    /// a thread can. Await the token last, right before the job, and give it back when the job ends.
    ///
    /// ```
    /// let client = jobserver::Client::new(1)?;
    /// # smol::block_on(async {
    /// let token = client.acquire_async().await?;
    /// // ... the job
    /// drop(token);
    /// # std::io::Result::Ok(())
    /// # })?;
    /// # std::io::Result::Ok(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`acquire`](Client::acquire); the future that is first in line gets the error. Also when the thread that
    /// waits can't be had.
    ///
    /// # Panics
    ///
    /// When it is polled after it was ready, as other futures do.
    ///
    /// # Platform behaviour
    ///
    /// While futures wait, one thread of this process waits for all of them; it ends with the last one. Where a target
    /// has no threads (`wasm32-unknown-unknown`), a future that would have to wait is an error of kind `Unsupported`
    /// instead. In a pool where [`try_acquire`](Client::try_acquire) may block (see there), so may the first poll.
    #[inline]
    pub fn acquire_async(&self) -> Acquiring {
        Acquiring { pool: self.pool.clone(), stage: Stage::New }
    }
}

impl Acquiring {
    #[inline]
    fn advance(&mut self, context: &mut Context<'_>) -> Poll<io::Result<Token>> {
        match self.stage {
            Stage::New => {}
            Stage::Waiting(ticket) => {
                return match thread::collect(&self.pool, ticket, context.waker().clone()) {
                    Some(came) => Poll::Ready(came),
                    None => Poll::Pending,
                };
            }
            Stage::Done => panic!("a token's future was polled after it was ready"),
        }
        if let Some(token) = thread::take_now(&self.pool)? {
            return Poll::Ready(Ok(token));
        }
        self.stage = Stage::Waiting(thread::join(&self.pool, context.waker().clone())?);
        Poll::Pending
    }
}

impl Future for Acquiring {
    type Output = io::Result<Acquired>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let came = self.advance(context);
        if came.is_ready() {
            self.stage = Stage::Done;
        }
        came.map_ok(|token| self.pool.guard(token))
    }
}

impl Drop for Acquiring {
    #[inline]
    fn drop(&mut self) {
        if let Stage::Waiting(ticket) = self.stage {
            thread::leave(&self.pool, ticket);
        }
    }
}

impl fmt::Debug for Acquiring {
    #[inline]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Acquiring").field("stage", &self.stage).finish_non_exhaustive()
    }
}
