//! A slot that is lent, seen by the process which does without it.

use std::io;
use std::path::Path;

use crate::control::{Lines, Reply, Request};
use crate::lease::{connect, read, unexpected};

/// A slot that this process does without, as long as this lives: the one in which it was started, of a lease that somebody
/// else speaks for.
#[derive(Debug)]
pub struct Loan {
    lines: Lines,
}

impl Loan {
    /// Lends a slot of the lease whose clients open `path`, of the pool that is served from `directory`.
    ///
    /// # Errors
    /// Nobody serves there; the server refuses, and says why.
    pub fn make(directory: &Path, path: &Path) -> io::Result<Loan> {
        let mut lines = connect(directory)?;
        lines.send(&Request::Lend { path: path.display().to_string() }, Vec::new())?;
        match read(&mut lines)?.0 {
            Reply::Done => Ok(Loan { lines }),
            other => Err(unexpected(other)),
        }
    }

    /// A token that this process has just taken is its own slot again: it must not be returned as a token.
    ///
    /// # Errors
    /// The server refuses, or is gone: the token has to be returned like any other, and the slot is no longer lent.
    pub fn end_with_token(mut self) -> io::Result<()> {
        self.lines.send(&Request::Regain, Vec::new())?;
        match read(&mut self.lines)?.0 {
            Reply::Done => Ok(()),
            other => Err(unexpected(other)),
        }
    }
}
