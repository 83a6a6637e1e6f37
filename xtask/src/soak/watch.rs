//! The pool as its socket tells it and as its server's process shows it, and what must hold of both.

use std::fmt;
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use anyhow::{ensure, Context as _, Result};
use serde_json::Value;

/// A server that is silent for so long hangs.
const ANSWER: Duration = Duration::from_secs(30);

/// One connection, over which the status is asked for again and again.
pub(crate) struct Watch {
    socket: BufReader<UnixStream>,
    /// The most slots in use, without those that were owed.
    pub(crate) most_held: u64,
    pub(crate) most_owed: u64,
    pub(crate) statuses: u64,
    pub(crate) recovered: u64,
    pub(crate) strays: u64,
}

impl Watch {
    pub(crate) fn connect(dir: &Path) -> Result<Watch> {
        let socket = UnixStream::connect(dir.join("socket"))?;
        socket.set_read_timeout(Some(ANSWER))?;
        Ok(Watch { socket: BufReader::new(socket), most_held: 0, most_owed: 0, statuses: 0, recovered: 0, strays: 0 })
    }

    /// The status, which must balance.
    pub(crate) fn status(&mut self) -> Result<Status> {
        self.socket.get_mut().write_all(b"{\"request\":\"status\"}\n")?;
        let mut line = String::new();
        self.socket.read_line(&mut line).context("the server does not answer")?;
        let status = Status(serde_json::from_str(&line).with_context(|| format!("not a status: {line:?}"))?);
        let [capacity, owed] = ["capacity", "owed"].map(|name| status.number(name));
        let [free, offered, held] = ["free", "offered", "held"].map(|name| status.number(name));
        ensure!(capacity + owed == free + offered + held, "the accounts don't balance: {status}");
        ensure!(held + offered <= capacity + owed, "more slots than there are: {status}");
        let of_leases = |name: &str| status.leases().iter().filter_map(|lease| lease[name].as_u64()).sum::<u64>();
        ensure!(of_leases("held") == held, "the leases hold {}: {status}", of_leases("held"));
        ensure!(of_leases("offered") == offered, "the leases are offered {}: {status}", of_leases("offered"));
        self.most_held = self.most_held.max(held.saturating_sub(owed));
        self.most_owed = self.most_owed.max(owed);
        self.statuses += 1;
        self.recovered = status.number("recovered");
        self.strays = status.number("strays");
        Ok(status)
    }
}

pub(crate) struct Status(Value);

impl Status {
    /// One that is missing is more than any bound.
    pub(crate) fn number(&self, name: &str) -> u64 {
        self.0[name].as_u64().unwrap_or(u64::from(u32::MAX))
    }

    fn leases(&self) -> &[Value] {
        self.0["leases"].as_array().map_or(&[], Vec::as_slice)
    }

    /// Process, time of joining and tokens held of each client.
    pub(crate) fn clients(&self) -> impl Iterator<Item = Client> + '_ {
        let endpoints = self.leases().iter().filter_map(|lease| lease["endpoints"].as_array()).flatten();
        endpoints.filter_map(|endpoint| {
            let (pid, since) = (endpoint["pid"].as_u64()?, endpoint["since"].as_f64()?);
            Some(Client { pid: pid as u32, since, held: endpoint["held"].as_u64()? })
        })
    }

    /// Nobody has anything, and nobody is there.
    pub(crate) fn check_rest(&self) -> Result<()> {
        let rests = self.number("held") == 0
            && self.number("offered") == 0
            && self.number("owed") == 0
            && self.number("free") == self.number("capacity")
            && self.leases().is_empty();
        ensure!(rests, "all builds have ended, but: {self}");
        Ok(())
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[derive(Clone, Copy, PartialEq)]
pub(crate) struct Client {
    pub(crate) pid: u32,
    pub(crate) since: f64,
    pub(crate) held: u64,
}

/// What a server that forgets to let go of something has more and more of.
pub(crate) struct Health {
    descriptors: usize,
    kilobytes: u64,
}

impl Health {
    pub(crate) fn of(server: u32) -> Result<Health> {
        let descriptors = fs::read_dir(format!("/proc/{server}/fd")).context("the server is gone")?.count();
        let text = fs::read_to_string(format!("/proc/{server}/status"))?;
        let resident = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
        Ok(Health { descriptors, kilobytes: resident.trim().trim_end_matches(" kB").parse()? })
    }

    /// Tables keep the size of their fullest moment, so memory has some play; descriptors have none.
    pub(crate) fn no_worse_than(&self, before: &Health) -> Result<()> {
        ensure!(self.descriptors <= before.descriptors, "descriptors leak: {before}, then {self}");
        ensure!(self.kilobytes <= before.kilobytes + 1024, "memory leaks: {before}, then {self}");
        Ok(())
    }
}

impl fmt::Display for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} descriptors, {} KiB resident", self.descriptors, self.kilobytes)
    }
}
