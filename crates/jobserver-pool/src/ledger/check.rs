//! Is every slot somewhere? Once from the running sums, at no cost, and once by counting all accounts again.

use std::collections::BTreeMap;

use super::{LeaseId, Ledger, Stage};

impl Ledger {
    /// The rule of the ledger, from the running sums: cheap enough to be asked after every move.
    pub fn balanced(&self) -> bool {
        let has = u64::from(self.capacity) + u64::from(self.owed);
        let counted = u64::from(self.free) + u64::from(self.offered) + u64::from(self.held);
        has == counted && (self.owed == 0 || self.free == 0)
    }

    /// Counts every account again.
    ///
    /// # Errors
    /// Says which sum is wrong. Nothing that a client does may lead here.
    pub fn recount(&self) -> Result<(), String> {
        if !self.balanced() {
            return Err(format!("the sums don't balance: {self:?}"));
        }
        let mut of_lease: BTreeMap<LeaseId, (u32, u32, u32)> = BTreeMap::new();
        for (id, endpoint) in &self.endpoints {
            let sums = of_lease.entry(endpoint.lease).or_default();
            *sums = (sums.0 + endpoint.held, sums.1 + endpoint.offered, sums.2 + 1);
            let listed = self.leases[endpoint.lease].holders.contains(&(endpoint.held, id));
            if listed != (endpoint.held > 0) {
                return Err(format!("{id:?} holds {} and is listed: {listed}", endpoint.held));
            }
        }
        let (mut held, mut offered, mut tokens) = (0, 0, 0);
        for (id, lease) in &self.leases {
            let sums = of_lease.get(&id).copied().unwrap_or_default();
            if sums != (lease.held, lease.offered, lease.endpoints) {
                return Err(format!("{id:?} says {lease:?}, its endpoints say {sums:?}"));
            }
            if lease.implicit > u32::from(lease.stage == Stage::Running && !lease.terms.inherited) {
                return Err(format!("{id:?} holds an implicit slot that it has no right to: {lease:?}"));
            }
            if lease.lent > lease.held + lease.implicit || lease.paused > lease.lent {
                return Err(format!("{id:?} has lent what it doesn't have: {lease:?}"));
            }
            held += lease.held();
            offered += lease.offered;
            tokens += lease.held;
        }
        if (held, offered, tokens) != (self.held, self.offered, self.tokens) {
            return Err(format!("counted {held} held, {tokens} of them tokens, and {offered} offered: {self:?}"));
        }
        Ok(())
    }
}
