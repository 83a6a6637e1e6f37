//! A thread that waits for tokens on behalf of a program that can't block.
//!
//! No signals: the thread waits for a token and for its own [`Waker`] at once. 0.1.35 took SIGUSR1 for the whole
//! process and interrupted the thread until it noticed.

use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, Builder, ThreadId};
use std::time::Duration;

use crate::client::Client;
use crate::token::Acquired;
use crate::transport::Waker;

/// How long a drop waits for a closure that does not return; the thread then ends by itself later.
const CLOSURE_PATIENCE: Duration = Duration::from_secs(1);

/// How often a drop looks whether the thread has ended before it goes to sleep: for some 100 us. To fall asleep and be
/// woken takes as long as all the rest.
const LOOKS: u32 = 256;

/// Manages the thread of [`Client::into_helper_thread`]; dropping it ends the thread.
///
/// Requests that were not served are forgotten, and a token that arrives too late goes back. When the drop is over, so
/// are the closure and the thread's client: the system may still be busy with removing the thread itself, for which
/// nobody has to wait. (A closure that does not return is waited for one second, and so is a token
/// that can't be given back.)
#[derive(Debug)]
pub struct HelperThread {
    shared: Arc<Shared>,
    thread: ThreadId,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    waker: Waker,
}

#[derive(Debug, Default)]
struct State {
    requests: usize,
    /// The handle is being dropped.
    stop: bool,
    /// The thread has nothing left to do, and let go of all it had.
    ended: bool,
}

impl Client {
    /// Moves the client into a new thread, which acquires a token for each
    /// [`request_token`](HelperThread::request_token) and calls `f` with it, or with the error that came instead.
    ///
    /// So the arrival of a token becomes whatever event the program waits for anyway: a message in a channel, say.
    ///
    /// ```
    /// use std::sync::mpsc;
    ///
    /// let client = jobserver::Client::new(1)?;
    /// let (tx, rx) = mpsc::channel();
    /// let helper = client.into_helper_thread(move |token| tx.send(token).unwrap())?;
    /// helper.request_token();
    /// let token = rx.recv().unwrap()?;
    /// drop(token);
    /// # std::io::Result::Ok(())
    /// ```
    ///
    /// # Errors
    ///
    /// The system has no thread or no descriptor left.
    ///
    /// # Platform behaviour
    ///
    /// Uses no signal and installs no handler, on any platform.
    pub fn into_helper_thread<F>(self, f: F) -> io::Result<HelperThread>
    where
        F: FnMut(io::Result<Acquired>) + Send + 'static,
    {
        let shared =
            Arc::new(Shared { state: Mutex::default(), changed: Condvar::new(), waker: Waker::for_one_thread()? });
        let theirs = shared.clone();
        let body = move || {
            // Dropped last, also when the closure panics.
            let ended = Ended(theirs);
            ended.0.serve(self, f);
        };
        let thread = Builder::new().name("jobserver".into()).spawn(body)?.thread().id();
        Ok(HelperThread { shared, thread })
    }
}

impl HelperThread {
    /// Asks for one more token; the closure will be called with it.
    pub fn request_token(&self) {
        self.shared.lock().requests += 1;
        self.shared.changed.notify_all();
    }
}

impl Drop for HelperThread {
    fn drop(&mut self) {
        self.shared.lock().stop = true;
        self.shared.changed.notify_all();
        self.shared.waker.wake();
        // The closure itself may own the handle.
        if self.thread == thread::current().id() {
            return;
        }
        // The thread ends at once wherever it waits for requests or tokens. Only a closure can hold it up, for
        // instance one that sends into a full channel which the thread that drops us reads; then it is let go.
        for _ in 0..LOOKS {
            if self.shared.lock().ended {
                return;
            }
            thread::yield_now();
        }
        let state = self.shared.lock();
        drop(self.shared.changed.wait_timeout_while(state, CLOSURE_PATIENCE, |state| !state.ended));
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn serve(&self, client: Client, mut f: impl FnMut(io::Result<Acquired>)) {
        while self.next_request() {
            match client.pool.transport.acquire_until(None, Some(&self.waker)) {
                Ok(Some(token)) => {
                    let token = client.pool.guard(token);
                    if self.lock().stop {
                        return;
                    }
                    f(Ok(token));
                }
                Ok(None) => return,
                Err(_) if self.lock().stop => return,
                Err(error) => f(Err(error)),
            }
        }
    }

    /// Waits for a request and takes it; false once the handle is dropped.
    fn next_request(&self) -> bool {
        let state = self.lock();
        let idle = |state: &mut State| state.requests == 0 && !state.stop;
        let mut state = self.changed.wait_while(state, idle).unwrap_or_else(PoisonError::into_inner);
        if state.stop {
            return false;
        }
        state.requests -= 1;
        true
    }
}

struct Ended(Arc<Shared>);

impl Drop for Ended {
    fn drop(&mut self) {
        self.0.lock().ended = true;
        self.0.changed.notify_all();
    }
}
