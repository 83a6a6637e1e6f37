//! The caller's own slot, lent to others in a deadlock.
//!
//! Four recipes of `make -j4` that each call `exec -n 4` hold all four slots before any of them has drawn a token: giving
//! back what was drawn helps nobody. As long as it only waits, a process does without its own slot. In a plain pool, make's
//! or that of a `run` that can't tell processes apart, nobody keeps accounts and bytes have no identity: it lays a
//! token for it into the pool and takes one again later. A served pool keeps accounts, and is told.

use std::io;
use std::time::{Duration, Instant};

use jobserver::{Acquired, Client};

use super::end::End;
use super::inherited::is_plain;
use crate::leased::{self, Loan, Place};
use crate::report::say;

/// Who was ended by a signal does not wait longer: the build that would miss the token is ending as well.
const AFTER_SIGNAL: Duration = Duration::from_secs(1);

/// Who had no more time waits so long for the slot that he is to give back: whoever runs in it should end some day.
const AFTER_TIME: Duration = Duration::from_secs(60);

pub(super) struct Own<'a> {
    client: &'a Client,
    pool: Lender,
    lent: Option<Lent>,
}

/// How this pool is lent a slot.
enum Lender {
    /// By one token more.
    Token,
    /// By a word to its server.
    Server(Place),
    /// Not at all; Windows' semaphores never, since they hold no more tokens than they were made with.
    Nobody,
}

enum Lent {
    Token,
    Loan(Loan),
}

impl<'a> Own<'a> {
    pub(super) fn new(client: &'a Client) -> Own<'a> {
        let pool = match leased::place(client) {
            Some(place) => Lender::Server(place),
            None if is_plain(client) => Lender::Token,
            None => Lender::Nobody,
        };
        Own { client, pool, lent: None }
    }

    /// Whether this pool can be lent anything.
    pub(super) fn lends(&self) -> bool {
        !matches!(self.pool, Lender::Nobody)
    }

    pub(super) fn is_lent(&self) -> bool {
        self.lent.is_some()
    }

    /// How many slots nobody uses, as far as can be known without taking one.
    pub(super) fn free(&self) -> usize {
        let lying = || self.client.available().unwrap_or(0);
        match &self.pool {
            // Here lies only what was laid for this process.
            Lender::Server(place) => leased::free(&place.directory).unwrap_or_else(lying),
            Lender::Token | Lender::Nobody => lying(),
        }
    }

    /// # Errors
    ///
    /// What the system answers; nothing was lent then.
    pub(super) fn lend(&mut self) -> io::Result<()> {
        if self.lent.is_some() {
            return Ok(());
        }
        self.lent = match &self.pool {
            Lender::Nobody => None,
            Lender::Token => {
                self.client.release_raw()?;
                Some(Lent::Token)
            }
            // An older server knows no loans, and one that was killed none at all: it waits without.
            Lender::Server(place) => Loan::make(&place.directory, &place.path).ok().map(Lent::Loan),
        };
        Ok(())
    }

    /// This token is the own slot again.
    pub(super) fn regain(&mut self, token: Acquired) {
        match self.lent.take() {
            Some(Lent::Loan(loan)) => match loan.end_with_token() {
                Ok(()) => token.drop_without_releasing(),
                // It is a token like any other: the server takes the slot back by itself.
                Err(_) => drop(token),
            },
            Some(Lent::Token) | None => token.drop_without_releasing(),
        }
    }

    /// Before the end: the caller counts on it that its slot is there again.
    ///
    /// # Errors
    ///
    /// What the system answers.
    pub(super) fn regain_at_last(&mut self, end: &End) -> io::Result<()> {
        match self.lent.take() {
            Some(Lent::Token) => {}
            // The server takes back by itself what was lent.
            Some(Lent::Loan(_)) | None => return Ok(()),
        }
        let late = Instant::now() + AFTER_TIME;
        let token = match self.client.acquire_unless(&end.canceller, Some(late))? {
            Some(token) => Some(token),
            None => self.client.acquire_deadline(late.min(Instant::now() + AFTER_SIGNAL))?,
        };
        match token {
            Some(token) => token.drop_without_releasing(),
            None if end.canceller.is_cancelled() => {}
            None => say(
                "the slot that was lent while it waited is still in use: the pool has one more until its build ends",
            ),
        }
        Ok(())
    }
}
