//! Waits that end without a token: at a deadline, or because another thread says so.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::client::Client;
use crate::token::Acquired;
use crate::transport::Waker;

/// Ends waits for tokens, from any thread: [`Client::acquire_unless`].
///
/// Once cancelled it stays so, and every wait with it ends at once. Clones are the same canceller.
///
/// ```
/// use std::thread;
/// use jobserver::{Canceller, Client};
///
/// let client = Client::new(0)?;
/// let canceller = Canceller::new()?;
/// let theirs = canceller.clone();
/// let waiter = thread::spawn(move || client.acquire_unless(&theirs, None));
/// canceller.cancel();
/// assert!(waiter.join().unwrap()?.is_none());
/// # std::io::Result::Ok(())
/// ```
#[derive(Clone, Debug)]
pub struct Canceller {
    waker: Arc<Waker>,
}

impl Canceller {
    /// A canceller that has not been used yet.
    ///
    /// # Errors
    ///
    /// The process has no descriptor (Windows: no handle) left.
    #[inline]
    pub fn new() -> io::Result<Canceller> {
        Ok(Canceller { waker: Arc::new(Waker::new()?) })
    }

    /// Ends every wait with this canceller, those under way and those to come. Never blocks.
    #[inline]
    pub fn cancel(&self) {
        self.waker.wake();
    }

    /// Whether [`cancel`](Canceller::cancel) was called.
    #[inline]
    pub fn is_cancelled(&self) -> bool {
        self.waker.is_woken()
    }
}

impl Client {
    /// Takes a token, waiting for `timeout` at most. `None`: none came.
    ///
    /// A wait that ends so has taken no token, and has kept no other waiter asleep.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let client = jobserver::Client::new(1)?;
    /// let token = client.acquire_timeout(Duration::from_secs(1))?.expect("it was free");
    /// assert!(client.acquire_timeout(Duration::from_millis(1))?.is_none());
    /// # drop(token);
    /// # std::io::Result::Ok(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`acquire`](Client::acquire).
    ///
    /// # Platform behaviour
    ///
    /// The wait is as exact as the system's, about a millisecond on Linux and 16 on Windows, and never too short.
    #[inline]
    pub fn acquire_timeout(&self, timeout: Duration) -> io::Result<Option<Acquired>> {
        // A free token is taken before the clock is asked, which takes as long as a tenth of the read.
        if let Some(token) = self.try_acquire()? {
            return Ok(Some(token));
        }
        // A time that no clock can show is no limit.
        self.acquire_until(Instant::now().checked_add(timeout), None)
    }

    /// Takes a token, waiting until `deadline` at most. `None`: none came.
    ///
    /// With a deadline that has passed it is [`try_acquire`](Client::try_acquire).
    ///
    /// ```
    /// use std::time::{Duration, Instant};
    ///
    /// let deadline = Instant::now() + Duration::from_millis(1);
    /// let client = jobserver::Client::new(0)?;
    /// assert!(client.acquire_deadline(deadline)?.is_none());
    /// # std::io::Result::Ok(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`acquire`](Client::acquire).
    #[inline]
    pub fn acquire_deadline(&self, deadline: Instant) -> io::Result<Option<Acquired>> {
        self.acquire_until(Some(deadline), None)
    }

    /// Takes a token, waiting until another thread cancels, or until `deadline` if there is one. `None`: no token came
    /// before that.
    ///
    /// ```
    /// use jobserver::{Canceller, Client};
    ///
    /// let client = Client::new(1)?;
    /// let canceller = Canceller::new()?;
    /// assert!(client.acquire_unless(&canceller, None)?.is_some());
    /// canceller.cancel();
    /// assert!(client.acquire_unless(&canceller, None)?.is_none());
    /// # std::io::Result::Ok(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`acquire`](Client::acquire).
    #[inline]
    pub fn acquire_unless(&self, canceller: &Canceller, deadline: Option<Instant>) -> io::Result<Option<Acquired>> {
        self.acquire_until(deadline, Some(&canceller.waker))
    }

    #[inline]
    fn acquire_until(&self, deadline: Option<Instant>, waker: Option<&Waker>) -> io::Result<Option<Acquired>> {
        let token = self.pool.transport.acquire_until(deadline, waker)?;
        Ok(token.map(|token| self.pool.guard(token)))
    }
}
