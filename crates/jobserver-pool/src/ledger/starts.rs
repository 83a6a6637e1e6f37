//! Processes that wait to start: each does without the slot in which it was started, until its lease is due one again.
//!
//! Such a slot is lent like any other, but counts for nobody's width: a lease whose process waits is as narrow as it
//! looks, and comes first for the next slot all the sooner.

use super::{EndpointId, LeaseId, Ledger};

impl Ledger {
    /// Held -> free: a process of the lease waits before it does anything. It has an account of its own, to which the
    /// slot in which it starts will be offered. `None`: the lease holds nothing, or is gone.
    pub fn pause(&mut self, lease: LeaseId) -> Option<EndpointId> {
        if !self.lend(lease) {
            return None;
        }
        self.leases[lease].paused += 1;
        self.open_endpoint(lease)
    }

    /// The process of that account starts: in the slot that was offered there, else in one that is free, else in one
    /// that is owed. Where its lease has nothing lent any more, as when whoever started it is gone, it starts without.
    pub fn start_paused(&mut self, endpoint: EndpointId) {
        let Some(lease) = self.endpoints.get(endpoint).map(|account| account.lease) else { return };
        self.withdraw(endpoint, u32::MAX);
        if self.leases[lease].paused > 0 {
            self.leases[lease].paused -= 1;
            self.end_loan(lease);
        }
        self.close_endpoint(endpoint);
    }

    /// The process of `new` waits in the place of that of `old`, which starts: no slot is moved.
    pub fn swap_paused(&mut self, old: EndpointId) -> Option<EndpointId> {
        let lease = self.endpoints.get(old).filter(|account| account.offered == 0)?.lease;
        self.close_endpoint(old);
        self.open_endpoint(lease)
    }
}
