//! The smallest executor: a waker that is a flag, and a thread that sleeps until it is up.

use std::future::Future;
use std::pin::{pin, Pin};
use std::sync::{Arc, Condvar, Mutex};
use std::task::{Context, Poll, Wake};
use std::time::{Duration, Instant};

/// Far longer than anything here takes: a future that nobody serves is a failure and no hang.
const BOUND: Duration = Duration::from_secs(60);

/// Goes up when it is woken.
#[derive(Default)]
pub(crate) struct Flag {
    up: Mutex<bool>,
    changed: Condvar,
}

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        *self.up.lock().unwrap() = true;
        self.changed.notify_all();
    }
}

impl Flag {
    pub(crate) fn is_up(&self) -> bool {
        *self.up.lock().unwrap()
    }

    /// Sleeps until it is up and takes it down.
    fn take(&self) {
        let up = self.up.lock().unwrap();
        let (mut up, waited) = self.changed.wait_timeout_while(up, BOUND, |up| !*up).unwrap();
        assert!(!waited.timed_out(), "nobody woke a future for {BOUND:?}");
        *up = false;
    }
}

/// Polls once; `flag` is what will be told.
pub(crate) fn poll<F: Future + Unpin>(future: &mut F, flag: &Arc<Flag>) -> Poll<F::Output> {
    Pin::new(future).poll(&mut Context::from_waker(&flag.clone().into()))
}

/// Runs a future on this thread.
pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    until_ready(&mut pin!(future))
}

/// As above, for a future that is kept. It polls only when it was told to.
pub(crate) fn until_ready<F: Future + Unpin>(future: &mut F) -> F::Output {
    let flag = Arc::new(Flag::default());
    loop {
        if let Poll::Ready(output) = poll(future, &flag) {
            return output;
        }
        flag.take();
    }
}

/// Waits for something that other threads will bring about.
pub(crate) fn until(what: &str, mut come: impl FnMut() -> bool) {
    let start = Instant::now();
    while !come() {
        assert!(start.elapsed() < BOUND, "not after {BOUND:?}: {what}");
        std::thread::sleep(Duration::from_micros(50));
    }
}
