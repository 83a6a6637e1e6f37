//! Every order in which futures, their thread and a returned token can meet, tried by loom on `thread.rs` itself.
//!
//! loom ends with a failure when somebody sleeps for ever: a future that nobody serves, or a thread that stays although
//! nobody waits. The pool here is a counter, since loom can't see into a pipe.

use std::io;
use std::sync::Arc;
use std::task::{self, Wake};
use std::time::Instant;

use loom::sync::atomic::{AtomicBool, Ordering::SeqCst};
use loom::sync::{Condvar, Mutex};

use super::line;
use super::line::Ticket;
use crate::transport::Token;

// Included a second time, with the names that it takes from `super` bound to loom's.
#[allow(clippy::duplicate_mod)]
#[path = "thread.rs"]
mod thread;

mod sync {
    pub(super) use loom::sync::{Mutex, MutexGuard};
    pub(super) use std::sync::PoisonError;

    pub(super) fn spawn(body: impl FnOnce() + Send + 'static) -> std::io::Result<()> {
        loom::thread::Builder::new().spawn(body).map(drop)
    }
}

#[derive(Default)]
struct Pool {
    transport: Transport,
    waiters: thread::Waiters,
}

impl Pool {
    fn keep_failure(&self, error: io::Error) {
        panic!("{error}");
    }
}

/// A count of free tokens, and where to sleep for them.
#[derive(Debug, Default)]
struct Free {
    count: Mutex<usize>,
    changed: Condvar,
    /// A pool that is gone: every wait for it is an error.
    broken: AtomicBool,
}

#[derive(Default)]
struct Transport(Arc<Free>);

#[derive(Debug)]
struct Waker {
    woken: AtomicBool,
    /// Where the one who waits with it sleeps.
    sleeps: Mutex<Option<Arc<Free>>>,
}

impl Transport {
    fn try_acquire(&self) -> io::Result<Option<Token>> {
        let mut free = self.0.count.lock().unwrap();
        Ok(free.checked_sub(1).map(|left| {
            *free = left;
            Token::PLUS
        }))
    }

    fn acquire_until(&self, _: Option<Instant>, waker: Option<&Arc<Waker>>) -> io::Result<Option<Token>> {
        let waker = waker.unwrap();
        if self.0.broken.load(SeqCst) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        *waker.sleeps.lock().unwrap() = Some(self.0.clone());
        let mut free = self.0.count.lock().unwrap();
        while !waker.is_woken() {
            if let Some(left) = free.checked_sub(1) {
                *free = left;
                return Ok(Some(Token::PLUS));
            }
            free = self.0.changed.wait(free).unwrap();
        }
        Ok(None)
    }

    fn release(&self, _: Token) -> io::Result<()> {
        *self.0.count.lock().unwrap() += 1;
        self.0.changed.notify_all();
        Ok(())
    }

    fn available(&self) -> usize {
        *self.0.count.lock().unwrap()
    }
}

impl Waker {
    fn for_one_thread() -> io::Result<Waker> {
        Ok(Waker { woken: AtomicBool::new(false), sleeps: Mutex::default() })
    }

    fn is_woken(&self) -> bool {
        self.woken.load(SeqCst)
    }

    fn wake(&self) {
        self.woken.store(true, SeqCst);
        if let Some(free) = &*self.sleeps.lock().unwrap() {
            let count = free.count.lock().unwrap();
            free.changed.notify_all();
            drop(count);
        }
    }
}

/// A thread that sleeps until its future is ready.
#[derive(Default)]
struct Sleeper {
    woken: Mutex<bool>,
    changed: Condvar,
}

impl Wake for Sleeper {
    fn wake(self: Arc<Self>) {
        *self.woken.lock().unwrap() = true;
        self.changed.notify_all();
    }
}

fn begin(pool: &Arc<Pool>, task: task::Waker) -> Result<Token, Ticket> {
    match thread::take_now(pool).unwrap() {
        Some(token) => Ok(token),
        None => Err(thread::join(pool, task).unwrap()),
    }
}

fn wait(pool: &Arc<Pool>) -> io::Result<Token> {
    let sleeper = Arc::new(Sleeper::default());
    begin(pool, sleeper.clone().into()).or_else(|ticket| loop {
        if let Some(came) = thread::collect(pool, ticket, sleeper.clone().into()) {
            break came;
        }
        let mut woken = sleeper.woken.lock().unwrap();
        while !*woken {
            woken = sleeper.changed.wait(woken).unwrap();
        }
        *woken = false;
    })
}

/// Awaits a token and gives it back.
fn take_turn(pool: &Arc<Pool>) {
    let token = wait(pool).unwrap();
    pool.transport.release(token).unwrap();
}

/// Begins to wait, and gives up at once or right after a token has come.
fn give_up(pool: &Arc<Pool>) {
    match begin(pool, Arc::new(Sleeper::default()).into()) {
        Ok(token) => pool.transport.release(token).unwrap(),
        Err(ticket) => thread::leave(pool, ticket),
    }
}

/// All orders with at most `preemptions` switches that no thread asked for; the pool ends with one token.
fn every_order(preemptions: usize, body: impl Fn(Arc<Pool>) + Send + Sync + 'static) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(preemptions);
    model.check(move || {
        body(Arc::default());
    });
}

#[test]
fn a_future_that_comes_as_the_last_one_gives_up_is_served_and_the_thread_ends() {
    every_order(3, |pool| {
        let theirs = pool.clone();
        let other = loom::thread::spawn(move || theirs.transport.release(Token::PLUS).unwrap());
        give_up(&pool);
        take_turn(&pool);
        other.join().unwrap();
        assert_eq!(pool.transport.available(), 1);
    });
}

#[test]
fn a_future_that_gives_up_beside_one_that_waits_costs_it_nothing() {
    every_order(2, |pool| {
        let theirs = pool.clone();
        let other = loom::thread::spawn(move || {
            give_up(&theirs);
            theirs.transport.release(Token::PLUS).unwrap();
        });
        take_turn(&pool);
        other.join().unwrap();
        take_turn(&pool);
        assert_eq!(pool.transport.available(), 1);
    });
}

#[test]
fn two_futures_that_share_a_token_both_get_it() {
    every_order(2, |pool| {
        pool.transport.release(Token::PLUS).unwrap();
        let theirs = pool.clone();
        let other = loom::thread::spawn(move || take_turn(&theirs));
        take_turn(&pool);
        other.join().unwrap();
        assert_eq!(pool.transport.available(), 1);
    });
}

#[test]
fn an_error_reaches_all_who_wait_and_the_thread_ends() {
    every_order(2, |pool| {
        pool.transport.0.broken.store(true, SeqCst);
        let theirs = pool.clone();
        let other = loom::thread::spawn(move || give_up(&theirs));
        assert_eq!(wait(&pool).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        assert_eq!(wait(&pool).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        other.join().unwrap();
    });
}
