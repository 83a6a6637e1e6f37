//! A pool inside an inherited jobserver, filled from it and emptied into it: at most N jobs, none of them new.
//!
//! The command joins an inner pool that begins empty. A broker, a thread of ours, takes tokens from the inherited
//! jobserver and lays them into the inner pool one at a time; what comes back beyond one goes back out at once.
//! `policy` decides, `broker` does it, `watch` wakes it when the command has read or written.

mod bell;
mod broker;
mod policy;
mod watch;

use std::io;
use std::process::Command;

use jobserver::{Client, Server};

use self::broker::{Broker, Handle};
use self::watch::Watch;
use crate::report::Account;
use crate::style::Style;

pub(crate) struct Nested {
    server: Server,
    jobs: Option<usize>,
    /// None: a pool of one slot, where there is nothing to move.
    broker: Option<Handle>,
}

impl Nested {
    /// Makes the inner pool and starts to fill it. `jobs`: the command's own first job and all others; without it, as
    /// many as the inherited jobserver gives.
    ///
    /// # Errors
    ///
    /// No pool, no thread or no descriptors can be had.
    pub(crate) fn open(outer: &Client, jobs: Option<usize>, style: Style) -> io::Result<Nested> {
        let empty = Server::builder().slots(1);
        let server = match style {
            Style::Fifo | Style::Tracked => empty.fifo().build()?,
            Style::Pipe => empty.pipe().build()?,
            Style::Semaphore => emptied(jobs)?,
        };
        let most = jobs.map_or(usize::MAX, |jobs| jobs - 1);
        let broker = match most {
            0 => None,
            _ => Some(Broker::start(outer.clone(), server.client(), Watch::on(&server.client()), most)?),
        };
        Ok(Nested { server, jobs, broker })
    }

    /// Lets the command join the inner pool.
    pub(crate) fn join_make(&self, command: &mut Command) -> io::Result<()> {
        self.server.client().join_make(command, self.jobs)
    }

    /// Gives everything back after the command has ended.
    pub(crate) fn settle(self) -> Account {
        match self.broker {
            Some(broker) => broker.settle(),
            None => {
                let strays = self.server.client().available().unwrap_or(0);
                Account { strays, ..Account::default() }
            }
        }
    }
}

/// A semaphore holds no more than it was made with: made with all tokens that may ever lie there, and drained.
fn emptied(jobs: Option<usize>) -> io::Result<Server> {
    let jobs = jobs.ok_or_else(|| io::Error::new(io::ErrorKind::Unsupported, "on Windows it needs a width: -j N"))?;
    let server = Server::builder().slots(jobs).build()?;
    let client = server.client();
    (1..jobs).try_for_each(|_| client.acquire_raw())?;
    Ok(server)
}
