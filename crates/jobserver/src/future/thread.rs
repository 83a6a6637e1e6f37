//! The thread that serves all futures of a client, and the futures' side of it.
//!
//! It starts with the first future that has to wait and ends when nobody does. Three rules keep that edge free of lost
//! wake-ups; each step is taken under the one lock:
//!
//! 1. Somebody in the line means that there is a thread and that its wait has not been ended. So who joins makes a new
//!    [`Waker`] where the old one was used up, and starts the thread where there is none.
//! 2. Who leaves the line empty ends the thread's wait, before anybody can join again.
//! 3. The thread looks at the line after each wait, and only an empty one lets it go.
//!
//! The names it needs come from `super`, so that the model beside it runs this very file under loom.

use std::io;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::Arc;
use std::task;

use super::line::{Left, Line, Ticket};
use super::sync::{spawn, Mutex, MutexGuard, PoisonError};
use super::{Pool, Token, Waker};

/// The futures of one pool that wait.
#[derive(Debug, Default)]
pub(crate) struct Waiters {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    line: Line<io::Result<Token>>,
    /// What ends the thread's present wait; `None`: there is no thread.
    thread: Option<Arc<Waker>>,
}

impl Waiters {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A token for one who has not waited yet, if there is one and nobody came before.
#[inline]
pub(super) fn take_now(pool: &Pool) -> io::Result<Option<Token>> {
    if !pool.waiters.lock().line.is_empty() {
        return Ok(None);
    }
    pool.transport.try_acquire()
}

/// Takes the last place in the line. An error: no place was taken, since nobody could serve it.
#[inline]
pub(super) fn join(pool: &Arc<Pool>, task: task::Waker) -> io::Result<Ticket> {
    let mut state = pool.waiters.lock();
    if state.thread.as_ref().map_or(true, |waker| waker.is_woken()) {
        let waker = Arc::new(Waker::for_one_thread()?);
        if state.thread.is_none() {
            let (pool, waker) = (pool.clone(), waker.clone());
            spawn(move || serve(&pool, waker))?;
        }
        state.thread = Some(waker);
    }
    Ok(state.line.join(task))
}

/// What came for the holder of `ticket`; nothing yet: `task` will be woken.
#[inline]
pub(super) fn collect(pool: &Pool, ticket: Ticket, mut task: task::Waker) -> Option<io::Result<Token>> {
    let mut state = pool.waiters.lock();
    let value = state.line.collect(ticket, &mut task);
    drop(state);
    drop(task);
    value
}

/// Gives up the place in the line; a token that came too late goes back.
#[inline]
pub(super) fn leave(pool: &Pool, ticket: Ticket) {
    let mut state = pool.waiters.lock();
    let left = state.line.leave(ticket);
    if let (Left::Place(_), true, Some(waker)) = (&left, state.line.is_empty(), &state.thread) {
        // Not after the lock: whoever joined in between would find a wait that seems to go on.
        waker.wake();
    }
    drop(state);
    match left {
        Left::Value(Ok(token)) => give_back(pool, token),
        Left::Place(task) => drop(task),
        Left::Value(Err(_)) | Left::Nothing => {}
    }
}

/// The body of the thread. `waker` ends its first wait.
#[inline]
fn serve(pool: &Pool, mut waker: Arc<Waker>) {
    loop {
        let came = pool.transport.acquire_until(None, Some(&waker)).transpose();
        let mut state = pool.waiters.lock();
        let served = came.map(|result| state.line.serve(result));
        if state.line.is_empty() {
            state.thread = None;
        }
        let next = state.thread.clone();
        drop(state);
        match served {
            // A waker that panics must not cost the others their turn.
            Some(Ok(task)) => drop(catch_unwind(AssertUnwindSafe(|| task.wake()))),
            Some(Err(Ok(token))) => give_back(pool, token),
            // An error that nobody waits for any more, or no result at all.
            Some(Err(Err(_))) | None => {}
        }
        match next {
            Some(next) => waker = next,
            None => return,
        }
    }
}

#[inline]
fn give_back(pool: &Pool, token: Token) {
    if let Err(error) = pool.transport.release(token) {
        pool.keep_failure(error);
    }
}
