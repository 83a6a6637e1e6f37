//! The helper thread: from a request to its token, and from a drop to its end.

use std::future::Future;
use std::pin::Pin;
use std::sync::{mpsc, Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Duration;

use jobserver::{Acquired, Acquiring};

use crate::rounds::{self, Lane, Must, Row};
use crate::subject::{lanes, Again, Crate, Ours, Subject, Upstream};
use crate::sys;

/// All rows of this file.
pub(crate) fn run(rounds: usize) {
    rounds::run(
        rounds,
        &[Row::us("helper thread: request until its token is there", Must::Noise)],
        lanes!(crates: request()),
    );
    awaited(rounds);
    let drop_ = |what| Row::us(format!("helper thread: drop while it {what}"), Must::Ratio(0.8));
    rounds::run(rounds, &[drop_("waits for a token").headline()], lanes!(crates: end(true)));
    rounds::run(rounds, &[Row::us("helper thread: drop while it is idle", Must::Noise)], lanes!(crates: end(false)));
}

/// A future that has to wait, against a request to the helper thread: what a program that must not block has on either.
///
/// The thread behind futures lives while one waits: one that waits alone is compared with a helper thread that is made
/// for it, one that others wait beside with a helper thread that is there.
fn awaited(rounds: usize) {
    fn alone<C: Crate>() -> Lane<'static> {
        let client = C::create(0).unwrap();
        Lane::new(C::LANE, move || {
            let wait = || {
                let (told, tell) = Told::new();
                let helper = client.helper(move |token| tell.call(token));
                C::request(&helper);
                client.release_raw();
                C::forget(told.wait());
                drop(helper);
            };
            vec![rounds::timed(sys::now, 10, wait)]
        })
    }
    fn beside<C: Crate>() -> Lane<'static> {
        let client = C::create(0).unwrap();
        let (told, tell) = Told::new();
        let helper = client.helper(move |token| tell.call(token));
        C::request(&helper);
        Lane::new(C::LANE, move || {
            let wait = || {
                C::request(&helper);
                client.release_raw();
                C::forget(told.wait());
            };
            vec![rounds::timed(sys::now, 100, wait)]
        })
    }
    let client = Ours::create(0).unwrap().0;
    let ours = Lane::new("ours", || {
        let wait = || {
            let future = first_polled(client.acquire_async());
            client.release_raw().unwrap();
            finish(future).drop_without_releasing();
        };
        vec![rounds::timed(sys::now, 10, wait)]
    });
    let row = Row::us("acquire_async that waits alone, against a helper thread made for it", Must::Noise);
    rounds::run(rounds, &[row], vec![ours, alone::<Upstream>(), alone::<Again>()]);

    let mut next = Some(first_polled(client.acquire_async()));
    let ours = Lane::new("ours", || {
        let wait = || {
            let future = next.replace(first_polled(client.acquire_async())).expect("one always waits");
            client.release_raw().unwrap();
            finish(future).drop_without_releasing();
        };
        vec![rounds::timed(sys::now, 100, wait)]
    });
    let row = Row::us("acquire_async that waits beside others, against a helper thread", Must::Nothing);
    rounds::run(rounds, &[row], vec![ours, beside::<Upstream>(), beside::<Again>()]);
}

/// A token on its way to a thread that is parked until it comes, as one is that waits for a future: a channel would let
/// it spin.
struct Told<T>(Arc<Mutex<Option<T>>>);

struct Tell<T>(Arc<Mutex<Option<T>>>, Thread);

impl<T> Told<T> {
    /// For this thread.
    fn new() -> (Told<T>, Tell<T>) {
        let token = Arc::new(Mutex::new(None));
        (Told(token.clone()), Tell(token, thread::current()))
    }

    fn wait(&self) -> T {
        loop {
            if let Some(token) = self.0.lock().unwrap().take() {
                return token;
            }
            thread::park();
        }
    }
}

impl<T> Tell<T> {
    fn call(&self, token: T) {
        *self.0.lock().unwrap() = Some(token);
        self.1.unpark();
    }
}

fn first_polled(mut future: Acquiring) -> Acquiring {
    assert!(poll(&mut future).is_pending());
    future
}

fn finish(mut future: Acquiring) -> Acquired {
    loop {
        match poll(&mut future) {
            Poll::Ready(token) => return token.unwrap(),
            Poll::Pending => thread::park(),
        }
    }
}

fn poll(future: &mut Acquiring) -> Poll<std::io::Result<Acquired>> {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    Pin::new(future).poll(&mut Context::from_waker(&waker))
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

fn request<C: Crate>() -> Lane<'static> {
    let client = C::create(1).unwrap();
    let (tx, rx) = mpsc::channel();
    let helper = client.helper(move |token| {
        drop(token);
        tx.send(()).unwrap();
    });
    Lane::new(C::LANE, move || {
        let round_trip = || {
            C::request(&helper);
            rx.recv().unwrap();
        };
        vec![rounds::timed(sys::now, 100, round_trip)]
    })
}

fn end<C: Crate>(waiting: bool) -> Lane<'static> {
    let client = C::create(0).unwrap();
    Lane::new(C::LANE, move || {
        let helper = client.helper(|token| C::forget(token));
        if waiting {
            C::request(&helper);
        }
        // Long enough for it to fall asleep, mostly.
        thread::sleep(Duration::from_millis(1));
        let start = sys::now();
        drop(helper);
        vec![(sys::now() - start) as f64]
    })
}
