//! How wide the pool is, and its leases: what a person sets, and what the machine allows of it.

use super::Engine;
use crate::admission::{Shortage, Use};
use crate::ledger::{LeaseId, Stage};

impl Engine {
    /// The slots that a person has set.
    pub fn capacity(&self) -> u32 {
        self.set
    }

    /// Another number of slots; those above are taken back as they come.
    pub fn resize(&mut self, capacity: u32) {
        self.set = capacity;
        self.put_in_force();
    }

    /// Fewer slots than a person has set, for want of something; none: all of them.
    pub fn allow(&mut self, allowed: Option<(u32, Shortage)>) {
        self.allowed = allowed;
        self.put_in_force();
    }

    fn put_in_force(&mut self) {
        let slots = self.allowed.map_or(self.set, |(slots, _)| slots.min(self.set));
        if slots != self.ledger().capacity() {
            self.scheduler.resize(self.now(), slots);
        }
    }

    /// What decides how many slots may be out.
    pub fn usage(&self) -> Use {
        let open = self.ledger().leases().filter(|(_, lease)| lease.stage() != Stage::Ended);
        let floors = open.map(|(_, lease)| lease.terms().floor.min(lease.terms().cap)).fold(0, u32::saturating_add);
        Use { set: self.set, held: self.ledger().held(), floors }
    }

    /// Another cap or weight for leases; what they have beyond it comes back as they return it.
    pub fn set_terms(&mut self, lease: LeaseId, cap: Option<u32>, weight: Option<u32>) {
        self.scheduler.set_terms(self.now(), lease, cap, weight);
    }
}
