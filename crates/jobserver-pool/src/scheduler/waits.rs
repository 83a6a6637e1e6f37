//! How long clients waited, for those who look at the pool; nothing is decided by it.

use super::policy::WAITS;
use super::Share;
use super::{Nanos, Scheduler};
use crate::ledger::{EndpointId, LeaseId, Stage};
use crate::scheduler::station::Class;

/// All waits that are over, in classes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Waits {
    /// How many fell into each class of [`WAITS`]; the last class has no upper bound.
    pub counts: [u64; WAITS.len() + 1],
    /// All together.
    pub sum: Nanos,
}

impl Waits {
    fn add(&mut self, wait: Nanos) {
        self.counts[WAITS.partition_point(|&bound| bound < wait)] += 1;
        self.sum = self.sum.saturating_add(wait);
    }
}

impl Scheduler {
    /// The waits for first slots of leases, and those for tokens as far as they can be told.
    pub fn waits(&self) -> &Waits {
        &self.waits
    }

    /// How long a lease has waited for its first slot, and its clients for tokens.
    pub fn waited(&self, now: Nanos, lease: LeaseId) -> Nanos {
        let Some(share) = self.shares.get(lease) else { return 0 };
        let waits = self.ledger.lease(lease).is_some_and(|account| account.stage() == Stage::Waiting);
        share.waited + if waits { now.saturating_sub(share.opened) } else { 0 }
    }

    /// How many leases wait for their first slot, and clients seem to wait for a token (they took their last one and have
    /// none to take) or do wait to start. Those of a lease at its cap wait for nothing that the pool could give. It costs a
    /// look at each of these.
    pub fn waiting(&self) -> usize {
        let leases: usize = self.places.users.values().map(|user| user.line.len()).sum();
        leases + self.shares.iter().map(|(lease, share)| self.keen(lease, share)).sum::<usize>()
    }

    /// The clients among them that are of this lease.
    pub fn waiting_of(&self, lease: LeaseId) -> u32 {
        self.shares.get(lease).map_or(0, |share| self.keen(lease, share)) as u32
    }

    fn keen(&self, lease: LeaseId, share: &Share) -> usize {
        if self.ledger.lease(lease).is_some_and(|account| account.jobs() >= account.terms().cap) {
            return 0;
        }
        let keen = |turn: &super::index::Turn| {
            self.stations.get(turn.2).is_some_and(|station| match station.kind {
                super::Kind::Paused => true,
                kind => matches!(kind, super::Kind::Waiting | super::Kind::Unsplit) && station.proven,
            })
        };
        share.hungry[Class::Keen as usize].iter().filter(|turn| keen(turn)).count()
    }

    pub(super) fn note_wait(&mut self, endpoint: EndpointId, waited: Option<Nanos>) {
        let Some(waited) = waited else { return };
        self.waits.add(waited);
        let lease = self.ledger.endpoint(endpoint).map(|account| account.lease());
        if let Some(share) = lease.and_then(|lease| self.shares.get_mut(lease)) {
            share.waited = share.waited.saturating_add(waited);
        }
    }

    pub(super) fn note_first(&mut self, lease: LeaseId) {
        if let Some(share) = self.shares.get_mut(lease) {
            let waited = self.now.saturating_sub(share.opened);
            share.waited = share.waited.saturating_add(waited);
            self.waits.add(waited);
        }
    }
}
