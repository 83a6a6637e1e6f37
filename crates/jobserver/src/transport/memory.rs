//! The transport of systems that are neither Unix nor Windows, such as WebAssembly: a counter inside this process.
//!
//! No process can be handed such a pool and none can be inherited, so `open` and `hand_to` are refused; the rest of the
//! contract holds. As with a pipe, more tokens may come back than were taken.
//!
//! Where the target has no threads, std itself panics when something would have to wait: nobody could ever give a
//! token back. That can't be told at compile time (stable compilers hide the `atomics` feature), so it isn't tried.

use std::io;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Instant;

use super::{Access, Token};
use crate::auth::Auth;
use crate::error::FromEnvErrorInner;

#[derive(Debug)]
pub(crate) struct Transport {
    pool: Arc<Pool>,
}

#[derive(Debug)]
struct Pool {
    free: Mutex<usize>,
    changed: Condvar,
}

impl Transport {
    pub(crate) fn create(limit: usize) -> io::Result<Transport> {
        Ok(Transport { pool: Arc::new(Pool { free: Mutex::new(limit), changed: Condvar::new() }) })
    }

    pub(crate) fn create_on(fifo: &PrivateFifo, _limit: usize) -> io::Result<Transport> {
        match *fifo {}
    }

    pub(crate) fn open(_auth: &Auth, _how: Access) -> Result<Transport, FromEnvErrorInner> {
        Err(FromEnvErrorInner::Unsupported)
    }

    pub(crate) fn acquire(&self) -> io::Result<Token> {
        let mut free = self.pool.wait_while(|free| free == 0);
        *free -= 1;
        Ok(Token::PLUS)
    }

    pub(crate) fn try_acquire(&self) -> io::Result<Option<Token>> {
        let mut free = lock(&self.pool.free);
        if *free == 0 {
            return Ok(None);
        }
        *free -= 1;
        Ok(Some(Token::PLUS))
    }

    pub(crate) fn acquire_until(&self, deadline: Option<Instant>, waker: Option<&Waker>) -> io::Result<Option<Token>> {
        // Before the first look at `woken`: who wakes after that look finds the pool in the list.
        if let Some(waker) = waker {
            waker.will_wake(&self.pool);
        }
        let woken = || waker.is_some_and(Waker::is_woken);
        let mut free = match deadline {
            None => self.pool.wait_while(|free| free == 0 && !woken()),
            Some(deadline) => {
                let left = deadline.saturating_duration_since(Instant::now());
                let free = lock(&self.pool.free);
                let waited = self.pool.changed.wait_timeout_while(free, left, |free| *free == 0 && !woken());
                waited.unwrap_or_else(PoisonError::into_inner).0
            }
        };
        if woken() || *free == 0 {
            if *free > 0 {
                // A `release` may have notified this thread while it was waking up already, in place of one that still
                // sleeps: condition variables differ in whom they count as waiting (seen under Wine 8).
                self.pool.changed.notify_one();
            }
            return Ok(None);
        }
        *free -= 1;
        Ok(Some(Token::PLUS))
    }

    pub(crate) fn acquire_many(&self, most: usize) -> io::Result<Vec<u8>> {
        let mut free = self.pool.wait_while(|free| free == 0);
        Ok(take(&mut free, most))
    }

    pub(crate) fn try_acquire_many(&self, most: usize) -> io::Result<Vec<u8>> {
        Ok(take(&mut lock(&self.pool.free), most))
    }

    pub(crate) fn release_many(&self, tokens: &[u8]) -> io::Result<()> {
        tokens.iter().try_for_each(|&byte| self.release(Token(byte)))
    }

    pub(crate) fn release(&self, _token: Token) -> io::Result<()> {
        let mut free = lock(&self.pool.free);
        *free = free.checked_add(1).ok_or_else(|| io::Error::other("the jobserver can't count any more tokens"))?;
        self.pool.changed.notify_one();
        Ok(())
    }

    pub(crate) fn available(&self) -> io::Result<usize> {
        Ok(*lock(&self.pool.free))
    }

    pub(crate) fn hand_to(&self, _command: &mut Command) -> io::Result<Auth> {
        let text = "on this platform a jobserver lives inside one process and can't be handed to a child";
        Err(io::Error::new(io::ErrorKind::Unsupported, text))
    }
}

impl Pool {
    fn wait_while(&self, mut condition: impl FnMut(usize) -> bool) -> MutexGuard<'_, usize> {
        let free = lock(&self.free);
        self.changed.wait_while(free, |free| condition(*free)).unwrap_or_else(PoisonError::into_inner)
    }
}

/// A flag, and the pools in which somebody may sleep who has to look at it.
#[derive(Debug)]
pub(crate) struct Waker {
    woken: AtomicBool,
    pools: Mutex<Vec<Weak<Pool>>>,
}

impl Waker {
    pub(crate) fn new() -> io::Result<Waker> {
        Ok(Waker { woken: AtomicBool::new(false), pools: Mutex::new(Vec::new()) })
    }

    pub(crate) fn for_one_thread() -> io::Result<Waker> {
        Waker::new()
    }

    pub(crate) fn wake(&self) {
        self.woken.store(true, Ordering::SeqCst);
        // The list is let go before a pool is locked: a waiter locks them one after the other as well.
        let pools = lock(&self.pools).clone();
        for pool in pools.iter().filter_map(Weak::upgrade) {
            // Without the lock the notice could fall between a waiter's look at the flag and its sleep, and be lost.
            let _free = lock(&pool.free);
            pool.changed.notify_all();
        }
    }

    pub(crate) fn is_woken(&self) -> bool {
        self.woken.load(Ordering::SeqCst)
    }

    /// A pool stays in the list as long as it lives; a notice that nobody waits for costs nothing.
    fn will_wake(&self, pool: &Arc<Pool>) {
        let mut pools = lock(&self.pools);
        pools.retain(|known| known.strong_count() > 0);
        if !pools.iter().any(|known| known.as_ptr() == Arc::as_ptr(pool)) {
            pools.push(Arc::downgrade(pool));
        }
    }
}

/// There are none: no value of this type exists.
#[derive(Debug)]
pub(crate) enum PrivateFifo {}

impl PrivateFifo {
    pub(crate) fn create(_parent: Option<&Path>) -> io::Result<PrivateFifo> {
        Err(io::Error::new(io::ErrorKind::Unsupported, "this platform has no jobserver on a named pipe"))
    }

    pub(crate) fn path(&self) -> &Path {
        match *self {}
    }
}

fn take(free: &mut usize, most: usize) -> Vec<u8> {
    let count = most.min(*free);
    *free -= count;
    vec![Token::PLUS.0; count]
}

/// A panic elsewhere can't leave what is guarded here half changed, so poison means nothing.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::{self, RecvTimeoutError};
    use std::thread;
    use std::time::Duration;

    /// Far longer than anything here takes: a hang becomes a failure.
    const GENEROUS: Duration = Duration::from_secs(60);

    fn pool(limit: usize) -> Arc<Transport> {
        Arc::new(Transport::create(limit).unwrap())
    }

    /// Runs `work` in a thread; the receiver hears its result.
    fn started<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> mpsc::Receiver<T> {
        let (sender, receiver) = mpsc::channel();
        thread::spawn(move || sender.send(work()));
        receiver
    }

    #[test]
    fn tokens_are_taken_until_none_is_left() {
        let pool = pool(2);
        let first = pool.acquire().unwrap();
        assert_eq!(pool.available().unwrap(), 1);
        assert!(pool.try_acquire().unwrap().is_some());
        assert_eq!(pool.try_acquire().unwrap(), None);
        pool.release(first).unwrap();
        assert_eq!(pool.available().unwrap(), 1);
    }

    #[test]
    fn a_pool_may_start_with_none_and_grow() {
        let pool = pool(0);
        assert_eq!(pool.try_acquire().unwrap(), None);
        pool.release(Token::PLUS).unwrap();
        pool.release(Token::PLUS).unwrap();
        assert_eq!(pool.available().unwrap(), 2);
    }

    #[test]
    fn a_count_that_would_overflow_is_refused() {
        let pool = pool(usize::MAX);
        assert!(pool.release(Token::PLUS).is_err());
        assert_eq!(pool.available().unwrap(), usize::MAX);
    }

    #[test]
    fn acquire_blocks_until_a_token_comes_back() {
        let pool = pool(1);
        let token = pool.acquire().unwrap();
        let waiting = Arc::clone(&pool);
        let waiter = started(move || waiting.acquire().unwrap());
        assert_eq!(waiter.recv_timeout(Duration::from_millis(50)), Err(RecvTimeoutError::Timeout));
        pool.release(token).unwrap();
        let token = waiter.recv_timeout(GENEROUS).unwrap();
        assert_eq!(pool.available().unwrap(), 0);
        pool.release(token).unwrap();
        assert_eq!(pool.available().unwrap(), 1);
    }

    #[test]
    fn a_waker_woken_before_the_wait_ends_every_wait() {
        let pool = pool(1);
        let waker = Waker::new().unwrap();
        waker.wake();
        for _ in 0..3 {
            assert_eq!(pool.acquire_until(None, Some(&waker)).unwrap(), None);
        }
        assert_eq!(pool.available().unwrap(), 1);
    }

    #[test]
    fn a_waker_ends_a_wait_that_has_begun() {
        // Half of the rounds wake at once, half when the waiter has reached its pool; none may hang.
        for round in 0..1_000 {
            let pool = pool(0);
            let waker = Arc::new(Waker::new().unwrap());
            let (waiting, its_waker) = (Arc::clone(&pool), Arc::clone(&waker));
            let waiter = started(move || waiting.acquire_until(None, Some(&its_waker)).unwrap());
            let begun = Instant::now();
            while round % 2 == 1 && lock(&waker.pools).is_empty() {
                assert!(begun.elapsed() < GENEROUS, "the waiter never said where it waits");
                thread::yield_now();
            }
            waker.wake();
            assert_eq!(waiter.recv_timeout(GENEROUS).unwrap(), None);
        }
    }

    #[test]
    fn a_waker_waits_for_who_is_about_to_sleep() {
        let pool = pool(1);
        let waker = Arc::new(Waker::new().unwrap());
        pool.acquire_until(None, Some(&waker)).unwrap().unwrap();
        // As a waiter does that has looked at the flag and is not asleep yet.
        let looking = lock(&pool.pool.free);
        let waking = Arc::clone(&waker);
        let woken = started(move || waking.wake());
        assert_eq!(woken.recv_timeout(Duration::from_millis(50)), Err(RecvTimeoutError::Timeout));
        drop(looking);
        woken.recv_timeout(GENEROUS).unwrap();
    }

    #[test]
    fn one_waker_ends_the_waits_in_several_pools() {
        let waker = Arc::new(Waker::new().unwrap());
        let waiters: Vec<_> = (0..4)
            .map(|_| {
                let its_waker = Arc::clone(&waker);
                started(move || pool(0).acquire_until(None, Some(&its_waker)).unwrap())
            })
            .collect();
        waker.wake();
        for waiter in waiters {
            assert_eq!(waiter.recv_timeout(GENEROUS).unwrap(), None);
        }
    }

    #[test]
    fn a_waiter_that_is_not_woken_gets_its_token() {
        let pool = pool(0);
        let waker = Arc::new(Waker::new().unwrap());
        let (waiting, its_waker) = (Arc::clone(&pool), Arc::clone(&waker));
        let waiter = started(move || waiting.acquire_until(None, Some(&its_waker)).unwrap());
        pool.release(Token::PLUS).unwrap();
        assert_eq!(waiter.recv_timeout(GENEROUS).unwrap(), Some(Token::PLUS));
        waker.wake();
        assert_eq!(pool.available().unwrap(), 0);
    }

    #[test]
    fn a_woken_waiter_swallows_no_notice() {
        // A release and a wake-up race for one of two waiters: the token always reaches the other one.
        for _ in 0..1_000 {
            let pool = pool(0);
            let waker = Arc::new(Waker::new().unwrap());
            let (waiting, its_waker) = (Arc::clone(&pool), Arc::clone(&waker));
            let cancelled = started(move || waiting.acquire_until(None, Some(&its_waker)).unwrap());
            let waiting = Arc::clone(&pool);
            let steady = started(move || waiting.acquire().unwrap());
            let waking = Arc::clone(&waker);
            let woken = started(move || waking.wake());
            pool.release(Token::PLUS).unwrap();
            woken.recv_timeout(GENEROUS).unwrap();
            if let Some(token) = cancelled.recv_timeout(GENEROUS).unwrap() {
                pool.release(token).unwrap();
            }
            steady.recv_timeout(GENEROUS).unwrap();
            assert_eq!(pool.available().unwrap(), 0);
        }
    }

    #[test]
    fn dead_pools_leave_the_list_of_a_waker() {
        let waker = Waker::new().unwrap();
        for _ in 0..100 {
            pool(1).acquire_until(None, Some(&waker)).unwrap().unwrap();
        }
        assert_eq!(lock(&waker.pools).len(), 1);
    }

    #[test]
    fn it_is_refused_to_children_and_parents() {
        let error = pool(1).hand_to(&mut Command::new("unused")).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::Unsupported);
        let error = Transport::open(&Auth::Fifo("/tmp/pool".into()), Access::Checked).unwrap_err();
        assert!(matches!(error, FromEnvErrorInner::Unsupported));
        assert_eq!(PrivateFifo::create(None).unwrap_err().kind(), io::ErrorKind::Unsupported);
    }

    #[test]
    fn eight_threads_conserve_the_count() {
        let pool = pool(3);
        let threads: Vec<_> = (0..8)
            .map(|_| {
                let pool = Arc::clone(&pool);
                started(move || {
                    for _ in 0..10_000 {
                        let token = pool.acquire().unwrap();
                        pool.release(token).unwrap();
                    }
                })
            })
            .collect();
        for thread in threads {
            thread.recv_timeout(GENEROUS).unwrap();
        }
        assert_eq!(pool.available().unwrap(), 3);
    }
}
