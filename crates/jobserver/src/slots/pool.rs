//! The jobserver behind the slots: their calls on the transport.

use std::io;
use std::time::Instant;

use super::hall::Source;
use super::state::Moment;
use crate::client::Client;
use crate::transport::{Token, Waker};

/// Where further slots come from.
pub(super) struct Pool {
    pub(super) client: Client,
    /// What its clock counts from; `None` where there is none: on bare WebAssembly, asking for the time may panic.
    start: Option<Instant>,
}

impl Pool {
    #[inline]
    pub(super) fn new(client: Client) -> Pool {
        Pool { client, start: cfg!(any(unix, windows)).then(Instant::now) }
    }
}

impl Source for Pool {
    type Waker = Waker;

    #[inline]
    fn waker(&self) -> io::Result<Waker> {
        Waker::new()
    }

    #[inline]
    fn wake(waker: &Waker) {
        waker.wake();
    }

    #[inline]
    fn is_woken(waker: &Waker) -> bool {
        waker.is_woken()
    }

    #[inline]
    fn take(&self, deadline: Option<Instant>, waker: &Waker) -> io::Result<Option<u8>> {
        let token = self.client.pool.transport.acquire_until(deadline, Some(waker))?;
        Ok(token.map(|token| token.0))
    }

    #[inline]
    fn take_now(&self) -> io::Result<Option<u8>> {
        Ok(self.client.pool.transport.try_acquire()?.map(|token| token.0))
    }

    #[inline]
    fn give(&self, tokens: &[u8]) -> io::Result<()> {
        match tokens {
            [token] => self.client.pool.transport.release(Token(*token)),
            tokens => self.client.pool.transport.release_many(tokens),
        }
    }

    #[inline]
    fn keep_failure(&self, error: io::Error) {
        self.client.pool.keep_failure(error);
    }

    #[inline]
    fn now(&self) -> Option<Moment> {
        Some(self.start?.elapsed().as_micros() as Moment)
    }
}
