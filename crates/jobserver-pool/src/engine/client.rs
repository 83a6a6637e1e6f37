//! One client of the pool: the same endpoint by the names of both sides, and whose token a byte may have been.

use std::io;
use std::time::SystemTime;

use super::Engine;
use crate::endpoint;
use crate::ledger::EndpointId;
use crate::process::{self, ProcessId};
use crate::scheduler::Kind;

#[derive(Debug)]
pub(super) struct Client {
    pub number: endpoint::EndpointId,
    pub place: endpoint::LeaseId,
    /// None: processes that can't be told apart.
    pub process: Option<ProcessId>,
    pub since: SystemTime,
    /// What the journal says that it has.
    pub written: u32,
}

impl Client {
    pub fn new(number: endpoint::EndpointId, place: endpoint::LeaseId, process: Option<ProcessId>) -> Client {
        Client { number, place, process, since: SystemTime::now(), written: 0 }
    }
}

pub(super) fn kind(kind: endpoint::Kind) -> Kind {
    match kind {
        endpoint::Kind::NonWaiting => Kind::NonWaiting,
        endpoint::Kind::Unsplit => Kind::Unsplit,
        endpoint::Kind::Shared => Kind::Shared { in_place: true },
        endpoint::Kind::Pipes => Kind::Shared { in_place: false },
        // One that only writes refuses every offer until it opens a second end, and is asked ever more rarely.
        endpoint::Kind::Waiting | endpoint::Kind::Writing => Kind::Waiting,
    }
}

impl Engine {
    pub(super) fn set_kind(&mut self, client: EndpointId, kind: Kind) {
        self.scheduler.set_kind(self.now(), client, kind);
        if kind.in_place() {
            self.split.remove(&client);
        } else {
            self.split.insert(client);
        }
    }

    /// The client has taken offers, and so many bytes came back, of which `left` lie where it reads.
    pub(super) fn stirred(&mut self, number: endpoint::EndpointId, taken: usize, returned: usize, left: usize) {
        let Some(&client) = self.numbers.get(&number) else { return };
        self.touched.push(client);
        if taken > 0 {
            let _ = self.scheduler.stirred(self.now(), client, taken as u32, 0, &[]);
        }
        let held = self.ledger().endpoint(client).map_or(0, |account| account.held() as usize);
        let before = if returned + left > held { self.others(client) } else { Vec::new() };
        let answer = self.scheduler.moved(self.now(), client, 0, returned as u32, left as u32, &before);
        self.touched.extend(answer.payers);
    }

    /// Who may have read what this client returns beyond what it holds: what else its process has open, then its
    /// parents, the nearest first.
    fn others(&self, client: EndpointId) -> Vec<EndpointId> {
        let Some(Client { place, process: Some(process), .. }) = self.clients.get(&client) else { return Vec::new() };
        let of_pid = |pid: u32| {
            let same = move |(id, other): (&EndpointId, &Client)| {
                let is_same = other.place == *place && other.process.is_some_and(|process| process.pid == pid);
                (is_same && *id != client).then_some(*id)
            };
            self.clients.iter().filter_map(same)
        };
        std::iter::once(process.pid).chain(process::ancestors(process.pid)).flat_map(of_pid).collect()
    }
}

/// A process as people know it; the name of one that is gone is not known any more.
pub(super) fn command_of(pid: u32) -> io::Result<String> {
    process::about(pid).map(|about| about.command)
}
