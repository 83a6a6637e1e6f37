//! What a person and what processes do beside taking and returning: other terms, closed ends, loans.

use jobserver_pool::ledger::{EndpointId, LeaseId};
use jobserver_pool::scheduler::{Nanos, Waits};

use super::World;

impl World {
    pub fn set_cap(&mut self, lease: LeaseId, cap: u32) {
        assert!(self.pool.set_terms(self.now, lease, Some(cap), None));
        self.drive();
    }

    pub fn waits(&self, lease: LeaseId) -> (&Waits, Nanos) {
        (self.pool.waits(), self.pool.waited(self.now, lease))
    }

    pub fn offered_in(&self, lease: LeaseId) -> u32 {
        self.pool.ledger().lease(lease).map_or(0, |account| account.offered())
    }

    pub fn set_terms(&mut self, lease: LeaseId, a: u64, b: u64) {
        let caps = [None, Some(u32::MAX), Some(1 + (a / 4 % 5) as u32), Some(1 + (a / 4 % 5) as u32)];
        let weight = (b % 2 == 0).then_some(1 + (b / 2 % 3) as u32);
        let is_there = self.pool.set_terms(self.now, lease, caps[a as usize % 4], weight);
        assert_eq!(is_there, self.pool.ledger().lease(lease).is_some());
    }

    pub fn set_shut(&mut self, endpoint: EndpointId, shut: bool) {
        self.settle(0);
        self.fifos.get_mut(&endpoint).expect("it is open").shut = shut;
        self.pool.set_shut(self.now, endpoint, shut);
        self.drive();
    }

    pub fn regain(&mut self, endpoint: EndpointId) {
        self.settle(0);
        if self.pool.regain(self.now, endpoint) {
            *self.held.entry(self.fifos[&endpoint].lease).or_default() -= 1;
        }
    }
}
