//! The caller's own slot, lent to others in a deadlock.
//!
//! Four recipes of `make -j4` that each call `exec -n 4` hold all four slots before any of them has drawn a token: giving
//! back what was drawn helps nobody. As long as it only waits, a process does without its own slot, so it may lay a token
//! for it into the pool and take one again later. Bytes have no identity, so that is exact where nobody keeps accounts: in
//! make's or cargo's own pool. A pool of ours knows who holds what, and would drop a token that comes from a process that
//! holds none: there nothing is lent.

use std::fs;
use std::io;
use std::time::{Duration, Instant};

use jobserver::{Acquired, Client};

use super::end::End;

/// Who was ended by a signal does not wait longer: the build that would miss the token is ending as well.
const AFTER_SIGNAL: Duration = Duration::from_secs(1);

pub(super) struct Own<'a> {
    client: &'a Client,
    /// Whether this pool can be lent anything.
    pub(super) lends: bool,
    lent: bool,
}

impl<'a> Own<'a> {
    pub(super) fn new(client: &'a Client) -> Own<'a> {
        Own { client, lends: !is_below_ours(), lent: false }
    }

    pub(super) fn is_lent(&self) -> bool {
        self.lent
    }

    /// # Errors
    ///
    /// What the system answers; nothing was lent then.
    pub(super) fn lend(&mut self) -> io::Result<()> {
        if self.lends && !self.lent {
            self.client.release_raw()?;
            self.lent = true;
        }
        Ok(())
    }

    /// This token is the own slot again.
    pub(super) fn regain(&mut self, token: Acquired) {
        token.drop_without_releasing();
        self.lent = false;
    }

    /// Before the end: the caller counts on it that its slot is there again.
    ///
    /// # Errors
    ///
    /// What the system answers.
    pub(super) fn regain_at_last(&mut self, end: &End) -> io::Result<()> {
        if !self.lent {
            return Ok(());
        }
        let token = match self.client.acquire_unless(&end.canceller, None)? {
            Some(token) => Some(token),
            None => self.client.acquire_deadline(Instant::now() + AFTER_SIGNAL)?,
        };
        if let Some(token) = token {
            self.regain(token);
        }
        Ok(())
    }
}

/// Whether a `jobserver` may have made the pool: one that is above this process. Where that can't be seen, there may be
/// one.
fn is_below_ours() -> bool {
    let mut pid = std::process::id();
    loop {
        let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else { return true };
        // The name is in brackets and may have any of them inside.
        let (Some(open), Some(close)) = (stat.find('('), stat.rfind(')')) else { return true };
        if pid != std::process::id() && &stat[open + 1..close] == "jobserver" {
            return true;
        }
        match stat[close + 1..].split_whitespace().nth(1).and_then(|parent| parent.parse().ok()) {
            Some(0) => return false,
            Some(parent) => pid = parent,
            None => return true,
        }
    }
}
