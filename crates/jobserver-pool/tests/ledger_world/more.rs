//! What a person and what processes do beside taking and returning: other terms, closed ends, loans, starts.

use jobserver_pool::ledger::{EndpointId, LeaseId, Stage};
use jobserver_pool::scheduler::{Nanos, Start, Waits};

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

    pub fn take_all(&mut self, endpoint: EndpointId) {
        self.take(endpoint, u32::MAX);
    }

    /// That client has started this one.
    pub fn start_by(&mut self, endpoint: EndpointId, parent: EndpointId) {
        self.pool.set_parent(self.now, endpoint, parent);
        self.drive();
    }

    /// Some client of its lease has started it, or none.
    pub fn start_by_any(&mut self, endpoint: EndpointId, which: u64) {
        let lease = self.fifos[&endpoint].lease;
        let mut others = self.fifos.iter().filter(|(&other, fifo)| other != endpoint && fifo.lease == lease);
        if let Some(parent) = others.nth(which as usize % 4).map(|(&parent, _)| parent) {
            self.start_by(endpoint, parent);
        }
    }

    pub fn regain(&mut self, endpoint: EndpointId) {
        self.settle(0);
        if self.pool.regain(self.now, endpoint) {
            *self.held.entry(self.fifos[&endpoint].lease).or_default() -= 1;
        }
    }

    /// A process starts in a slot that the lease holds, or waits to.
    pub fn start_in(&mut self, lease: LeaseId) {
        let before = self.held_by(lease);
        if let Start::Later(endpoint) = self.pool.starts(self.now, lease) {
            let account = self.pool.ledger().lease(lease).expect("it is open");
            assert!(account.held() >= account.terms().floor.min(before), "below its floor for others: {account:?}");
            self.paused.insert(endpoint, lease);
        }
        self.drive();
    }

    /// Processes of that lease that wait to start.
    pub fn paused_in(&self, lease: LeaseId) -> usize {
        self.paused.values().filter(|&&other| other == lease).count()
    }

    /// A signal comes for one that waits.
    pub fn interrupt(&mut self, which: u64) {
        if let Some(&endpoint) = self.paused.keys().nth(which as usize % self.paused.len().max(1)) {
            self.pool.start_at_once(self.now, endpoint);
            self.paused.remove(&endpoint);
        }
    }

    pub fn start_all_of(&mut self, lease: LeaseId) {
        let all: Vec<_> = self.paused.iter().filter(|(_, &other)| other == lease).map(|(&id, _)| id).collect();
        for endpoint in all {
            self.pool.start_at_once(self.now, endpoint);
            self.paused.remove(&endpoint);
        }
    }

    /// What others leave lying goes to whoever waits to start, in its time.
    pub fn nobody_waits_to_start_for_ever(&self) {
        let ledger = self.pool.ledger();
        let first = ledger.leases().any(|(_, lease)| lease.stage() == Stage::Waiting);
        for lease in self.paused.values() {
            let lease = ledger.lease(*lease).expect("its processes wait");
            let could = ledger.owed() == 0 && !first && lease.jobs() < lease.terms().cap && ledger.offered() > 0;
            assert!(ledger.free() == 0 || lease.jobs() >= lease.terms().cap, "a slot is free: {:?}", self.pool);
            assert!(!could || self.pool.next_due().is_some(), "it waits for ever: {:?}", self.pool);
        }
    }
}
