//! The caller's own slot, lent to others in a deadlock.
//!
//! Four recipes of `make -j4` that each call `exec -n 4` hold all four slots before any of them has drawn a token: giving
//! back what was drawn helps nobody. As long as it only waits, a process does without its own slot. In a plain pool, make's
//! or that of a `run` that can't tell processes apart, nobody keeps accounts and bytes have no identity: it lays a
//! token for it into the pool and takes one again later. A served pool keeps accounts, and is told.

use std::io;

use jobserver::{Acquired, Client};

use super::collector::Collector;
use super::inherited::is_plain;
use super::owner::Owner;
use crate::leased::{self, Loan, Place};

pub(super) struct Own<'a> {
    client: &'a Client,
    pool: Lender,
    owner: Option<&'a Owner>,
    lent: Option<Lent>,
    /// Takes it back should we end first.
    collector: Option<Collector>,
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
    pub(super) fn new(client: &'a Client, owner: Option<&'a Owner>) -> Own<'a> {
        let pool = match leased::place(client) {
            Some(place) => Lender::Server(place),
            None if is_plain(client) => Lender::Token,
            None => Lender::Nobody,
        };
        Own { client, pool, owner, lent: None, collector: None }
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
            Lender::Token => self.lend_token()?,
            // An older server knows no loans, and one that was killed none at all: it waits without.
            Lender::Server(place) => Loan::make(&place.directory, &place.path).ok().map(Lent::Loan),
        };
        Ok(())
    }

    fn lend_token(&mut self) -> io::Result<Option<Lent>> {
        let collector = match self.collector.take().map_or_else(|| Collector::start(self.client, self.owner), Ok) {
            Ok(collector) => self.collector.insert(collector),
            // What nobody would take back is not lent.
            Err(_) => return Ok(None),
        };
        // First the word: one too few for a moment, should we be killed between, rather than one too many for ever.
        collector.owe(true);
        self.client.release_raw().inspect_err(|_| collector.owe(false))?;
        Ok(Some(Lent::Token))
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
        if let Some(collector) = &mut self.collector {
            collector.owe(false);
        }
    }

    /// Before the end: the caller counts on it that its slot is there again, and waits for nothing else. Who uses it now may
    /// do so for long, so it is taken back by another process.
    ///
    /// # Errors
    ///
    /// What the system answers.
    pub(super) fn regain_at_last(&mut self) -> io::Result<()> {
        // The server takes back by itself what was lent there.
        if let Some(Lent::Token) = self.lent {
            if let Some(token) = self.client.try_acquire()? {
                self.regain(token);
            }
        }
        Ok(())
    }
}
