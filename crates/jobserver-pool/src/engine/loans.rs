//! Slots that are lent by processes of a lease, which the lease's path and the process name.

use super::Engine;
use crate::ledger::{EndpointId, LeaseId};

impl Engine {
    /// One slot of the lease with that path, of which a process of user `uid` does without its own. None: no such lease of
    /// that user, or it holds none.
    pub fn lend(&mut self, path: &str, uid: u32) -> Option<LeaseId> {
        let id = self.lease_at(path, uid)?;
        self.scheduler.lend(self.now(), id).then_some(id)
    }

    /// Process `pid` has taken a token in place of it.
    pub fn regain(&mut self, lease: LeaseId, pid: u32) -> bool {
        let now = self.now();
        let of_lease =
            |client: &EndpointId| self.ledger().endpoint(*client).is_some_and(|account| account.lease() == lease);
        let clients = self.clients.iter().filter(|(id, _)| of_lease(id));
        let mut found: Vec<_> = clients
            .filter(|(_, client)| client.process.is_none_or(|process| process.pid == pid))
            .map(|(&id, client)| (client.process.is_none(), id))
            .collect();
        // Its own rather than one that it shares.
        found.sort();
        found.into_iter().any(|(_, client)| {
            self.touched.push(client);
            self.scheduler.regain(now, client)
        })
    }

    /// It is needed again, or its lender is gone.
    pub fn end_loan(&mut self, lease: LeaseId) {
        self.scheduler.end_loan(self.now(), lease);
    }
}
