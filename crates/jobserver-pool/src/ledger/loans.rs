//! Slots that their holders do without for a while: a process that waits for several slots, in the slot of a recipe, lends
//! that one meanwhile. Without that, some that wait for each other would wait for ever.
//!
//! A loan is free like any slot. It ends when its holder has a token in place of it, when it says so, or when what was
//! lent is no longer held: then it is only no longer lent.

use super::{EndpointId, LeaseId, Ledger};

impl Ledger {
    /// Held -> free, and still to be returned by who holds it. False: nothing of the lease is held, or it is gone.
    pub fn lend(&mut self, lease: LeaseId) -> bool {
        match self.leases.get_mut(lease) {
            Some(account) if account.held() > 0 => {
                account.lent += 1;
                self.held -= 1;
                self.release(1);
                true
            }
            _ => false,
        }
    }

    /// The lender has taken a token at this endpoint, and that is the slot which it had lent: from now on it is held where
    /// it was before. False: nothing is held there, or nothing lent.
    pub fn regain(&mut self, endpoint: EndpointId) -> bool {
        let Some(account) = self.endpoints.get(endpoint) else { return false };
        let (lease, held) = (account.lease, account.held);
        let of_lease = &self.leases[lease];
        if held == 0 || of_lease.lent == of_lease.paused {
            return false;
        }
        self.leases[lease].lent -= 1;
        self.change_held(endpoint, -1);
        true
    }

    /// The lender needs it again, or is gone: from what is free, else owed. False: it is not lent any more.
    pub fn end_loan(&mut self, lease: LeaseId) -> bool {
        match self.leases.get_mut(lease) {
            Some(account) if account.lent > account.paused => {
                account.lent -= 1;
                self.hold(1);
                true
            }
            _ => false,
        }
    }

    /// What is lent and not held any more is no loan. Answers how many: those are free already.
    pub(super) fn end_loans(&mut self, lease: LeaseId) -> u32 {
        let Some(account) = self.leases.get_mut(lease) else { return 0 };
        let over = account.lent.saturating_sub(account.held + account.implicit);
        account.lent -= over;
        // Some that wait to start have nothing to come back to.
        account.paused = account.paused.min(account.lent);
        over
    }
}
