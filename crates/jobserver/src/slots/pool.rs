//! The jobserver behind the slots: their calls on the transport.

use std::io;
use std::time::Instant;

use super::hall::Source;
use crate::client::Client;
use crate::transport::{Token, Waker};

/// Where further slots come from.
pub(super) struct Pool {
    pub(super) client: Client,
}

impl Source for Pool {
    type Waker = Waker;

    fn waker(&self) -> io::Result<Waker> {
        Waker::new()
    }

    fn wake(waker: &Waker) {
        waker.wake();
    }

    fn is_woken(waker: &Waker) -> bool {
        waker.is_woken()
    }

    fn take(&self, deadline: Option<Instant>, waker: &Waker) -> io::Result<Option<u8>> {
        let token = self.client.pool.transport.acquire_until(deadline, Some(waker))?;
        Ok(token.map(|token| token.0))
    }

    fn take_now(&self) -> io::Result<Option<u8>> {
        Ok(self.client.pool.transport.try_acquire()?.map(|token| token.0))
    }

    fn give(&self, tokens: &[u8]) -> io::Result<()> {
        match tokens {
            [token] => self.client.pool.transport.release(Token(*token)),
            tokens => self.client.pool.transport.release_many(tokens),
        }
    }

    fn keep_failure(&self, error: io::Error) {
        self.client.pool.keep_failure(error);
    }

    fn now(&self) -> Option<Instant> {
        // Elsewhere, as on bare WebAssembly, asking for the time may panic.
        cfg!(any(unix, windows)).then(Instant::now)
    }
}
