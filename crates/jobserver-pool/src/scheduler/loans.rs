//! Slots that are lent, as [the ledger](crate::ledger) has them.

use super::{Nanos, Scheduler};
use crate::ledger::{EndpointId, LeaseId};

impl Scheduler {
    /// As [`Ledger::lend`](crate::ledger::Ledger::lend).
    pub fn lend(&mut self, now: Nanos, lease: LeaseId) -> bool {
        self.pass(now);
        let lent = self.ledger.lend(lease);
        self.refresh_lease(lease);
        lent
    }

    /// As [`Ledger::regain`](crate::ledger::Ledger::regain).
    pub fn regain(&mut self, now: Nanos, endpoint: EndpointId) -> bool {
        self.pass(now);
        let regained = self.ledger.regain(endpoint);
        self.refresh(endpoint);
        regained
    }

    /// As [`Ledger::end_loan`](crate::ledger::Ledger::end_loan).
    pub fn end_loan(&mut self, now: Nanos, lease: LeaseId) {
        self.pass(now);
        self.ledger.end_loan(lease);
        self.refresh_lease(lease);
    }
}
