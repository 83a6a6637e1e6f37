//! The guard of one token, and the pool it goes back to.

use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

#[cfg(feature = "async")]
use crate::future::Waiters;
#[cfg(feature = "slots")]
use crate::slots::Halls;
use crate::transport::{Token, Transport};

/// What clients and guards share: the transport, the futures that wait for a token of it, and the first release that
/// failed where nobody could be told.
#[derive(Debug)]
pub(crate) struct Pool {
    pub(crate) transport: Transport,
    #[cfg(feature = "async")]
    pub(crate) waiters: Waiters,
    /// Where the `Slots` made from this pool meet, so that all made from it count one implicit slot.
    #[cfg(feature = "slots")]
    pub(crate) slots: Halls,
    failure: Mutex<Option<io::Error>>,
}

impl Pool {
    pub(crate) fn new(transport: Transport) -> Arc<Pool> {
        Arc::new(Pool {
            transport,
            #[cfg(feature = "async")]
            waiters: Waiters::default(),
            #[cfg(feature = "slots")]
            slots: Halls::default(),
            failure: Mutex::new(None),
        })
    }

    pub(crate) fn guard(self: &Arc<Self>, token: Token) -> Acquired {
        Acquired { pool: self.clone(), token: Some(token) }
    }

    #[inline]
    pub(crate) fn take_failure(&self) -> Option<io::Error> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    pub(crate) fn keep_failure(&self, error: io::Error) {
        let mut first = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        if first.is_none() {
            *first = Some(error);
        }
    }
}

#[cfg(unix)]
impl Drop for Pool {
    fn drop(&mut self) {
        self.transport.forget();
    }
}

/// A token that was acquired: the right to run one job beside the one that every process may run anyway.
///
/// Dropping it gives the token back, with the byte that was read. If that fails the token is lost to the pool, and
/// [`Client::take_release_error`](crate::Client::take_release_error) tells so afterwards;
/// [`release`](Acquired::release) tells at once.
///
/// ```
/// let client = jobserver::Client::new(1)?;
/// let token = client.acquire()?;
/// assert_eq!(client.available()?, 0);
/// drop(token);
/// assert_eq!(client.available()?, 1);
/// # std::io::Result::Ok(())
/// ```
// Not `must_use`, as it should be: 0.1 has it not, and `client.acquire()?;` would become an error where warnings are.
pub struct Acquired {
    pool: Arc<Pool>,
    /// `None` once it was given back or given up.
    token: Option<Token>,
}

impl Acquired {
    /// Ends the guard and keeps the token: nothing is given back until [`Client::release_raw`](crate::Client::release_raw)
    /// does so.
    ///
    /// For code that can't store an `Acquired` as long as its job runs.
    ///
    /// ```
    /// let client = jobserver::Client::new(1)?;
    /// client.acquire()?.drop_without_releasing();
    /// assert_eq!(client.available()?, 0);
    /// client.release_raw()?;
    /// # std::io::Result::Ok(())
    /// ```
    #[inline]
    pub fn drop_without_releasing(mut self) {
        self.token = None;
    }

    /// Ends the guard and keeps the token, as its byte: for handing it to another process of the same pool, which makes
    /// a guard of it by [`Client::from_raw`](crate::Client::from_raw), or writes that very byte back.
    ///
    /// ```
    /// let client = jobserver::Client::new(1)?;
    /// let byte = client.acquire()?.into_raw();
    /// assert_eq!(client.available()?, 0);
    /// drop(client.from_raw(byte));
    /// # std::io::Result::Ok(())
    /// ```
    ///
    /// # Platform behaviour
    ///
    /// Where a pool is no pipe the byte is always `+`.
    #[inline]
    pub fn into_raw(mut self) -> u8 {
        #[cfg(unix)]
        self.pool.transport.disown();
        self.token.take().map_or(Token::PLUS.0, |token| token.0)
    }

    /// Gives the token back, as dropping does, and says whether that went well.
    ///
    /// ```
    /// let client = jobserver::Client::new(1)?;
    /// client.acquire()?.release()?;
    /// # std::io::Result::Ok(())
    /// ```
    ///
    /// # Errors
    ///
    /// What the system answers after interrupted and refused writes were retried (on Unix for a second at most); the
    /// token is lost to the pool then.
    #[inline]
    pub fn release(mut self) -> io::Result<()> {
        match self.token.take() {
            Some(token) => self.pool.transport.release(token),
            None => Ok(()),
        }
    }
}

impl Drop for Acquired {
    fn drop(&mut self) {
        if let Some(token) = self.token.take() {
            if let Err(error) = self.pool.transport.release(token) {
                self.pool.keep_failure(error);
            }
        }
    }
}

impl fmt::Debug for Acquired {
    #[inline]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Acquired").field("token", &self.token).finish_non_exhaustive()
    }
}
