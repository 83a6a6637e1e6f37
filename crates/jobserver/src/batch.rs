//! Several tokens at once: one read, one write.

use std::fmt;
use std::io;
use std::sync::Arc;

use crate::client::Client;
use crate::token::{Acquired, Pool};
use crate::transport::Token;

/// Tokens that were acquired together. Dropping them gives all back by one write.
///
/// A batch saves system calls where several jobs begin or end at once; it is no way to wait for many tokens, which would
/// hold some idle meanwhile. A batch never waits for more than its first token.
///
/// ```
/// let client = jobserver::Client::new(4)?;
/// let mut batch = client.acquire_up_to(3)?;
/// assert_eq!(batch.len(), 3);
/// let one = batch.pop().unwrap(); // given back by itself
/// drop(batch);
/// assert_eq!(client.available()?, 3);
/// # drop(one);
/// # std::io::Result::Ok(())
/// ```
///
/// # Platform behaviour
///
/// Where a pipe is shared and can't be opened anew (another user's; macOS and the BSDs: an inherited one, and a pool of
/// one's own after [`Client::configure`]), tokens are given back one by one: several at once could block half-way. On
/// Windows one call gives all back, and each is taken by a call of its own.
#[must_use = "dropped tokens go back at once"]
pub struct Batch {
    pool: Arc<Pool>,
    tokens: Vec<u8>,
}

impl Batch {
    /// How many tokens are in it.
    #[inline]
    pub fn len(&self) -> usize {
        self.tokens.len()
    }

    /// Whether none is left.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.tokens.is_empty()
    }

    /// Takes one token out, with a guard of its own.
    #[inline]
    pub fn pop(&mut self) -> Option<Acquired> {
        self.tokens.pop().map(|byte| self.pool.guard(Token(byte)))
    }

    /// Gives all tokens back by one write, as dropping does, and says whether that went well.
    ///
    /// # Errors
    ///
    /// As [`Acquired::release`]; some of the tokens are lost to the pool then.
    #[inline]
    pub fn release(mut self) -> io::Result<()> {
        let tokens = std::mem::take(&mut self.tokens);
        self.pool.transport.release_many(&tokens)
    }
}

impl Drop for Batch {
    #[inline]
    fn drop(&mut self) {
        if let Err(error) = self.pool.transport.release_many(&self.tokens) {
            self.pool.keep_failure(error);
        }
    }
}

impl Iterator for Batch {
    type Item = Acquired;

    #[inline]
    fn next(&mut self) -> Option<Acquired> {
        self.pop()
    }

    #[inline]
    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.len(), Some(self.len()))
    }
}

impl fmt::Debug for Batch {
    #[inline]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batch").field("len", &self.len()).finish_non_exhaustive()
    }
}

impl Client {
    /// Takes as many tokens as are free now, `most` at most, by one read. The batch is empty if none is.
    ///
    /// ```
    /// let client = jobserver::Client::new(2)?;
    /// assert_eq!(client.try_acquire_many(5)?.len(), 2);
    /// # std::io::Result::Ok(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`acquire`](Client::acquire).
    ///
    /// # Platform behaviour
    ///
    /// 65,536 at most on Unix. One call a token on Windows.
    #[inline]
    pub fn try_acquire_many(&self, most: usize) -> io::Result<Batch> {
        let tokens = self.pool.transport.try_acquire_many(most)?;
        Ok(Batch { pool: self.pool.clone(), tokens })
    }

    /// Waits for a token, and takes with it what else is free, `most` in all at most, by one read.
    ///
    /// ```
    /// let client = jobserver::Client::new(2)?;
    /// assert_eq!(client.acquire_up_to(5)?.len(), 2);
    /// # std::io::Result::Ok(())
    /// ```
    ///
    /// # Errors
    ///
    /// `InvalidInput` for a `most` of 0; otherwise as [`acquire`](Client::acquire).
    ///
    /// # Platform behaviour
    ///
    /// As [`try_acquire_many`](Client::try_acquire_many).
    #[inline]
    pub fn acquire_up_to(&self, most: usize) -> io::Result<Batch> {
        if most == 0 {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "a wait for at most 0 tokens would never end"));
        }
        let tokens = self.pool.transport.acquire_many(most)?;
        Ok(Batch { pool: self.pool.clone(), tokens })
    }

    /// Makes a guard of a token that [`Acquired::into_raw`] has taken out of one, in this process or another.
    ///
    /// ```
    /// let client = jobserver::Client::new(1)?;
    /// let byte = client.acquire()?.into_raw();
    /// // ... sent to another process of the same pool, say ...
    /// drop(client.from_raw(byte));
    /// assert_eq!(client.available()?, 1);
    /// # std::io::Result::Ok(())
    /// ```
    ///
    /// Whoever makes a guard of a token that nobody holds adds a slot to the pool.
    #[allow(clippy::wrong_self_convention)]
    #[inline]
    pub fn from_raw(&self, byte: u8) -> Acquired {
        #[cfg(unix)]
        self.pool.transport.adopt();
        self.pool.guard(Token(byte))
    }
}
