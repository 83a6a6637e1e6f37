//! Who comes first: the order over leases, and what it needs to remember.
//!
//! Floors first; then by what its user has, so that nobody gets more by opening more leases; then by what the lease has
//! for its weight; where two have the same, by who had less lately. The last one gives a slot that can't be divided to
//! each in turn.

use std::cmp::Ordering;

use super::policy::MEMORY;
use super::Nanos;
use crate::ledger::LeaseId;

/// The place of a lease among others. The least one is served first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Rank {
    /// 0 below its floor, else 1.
    pub above_floor: bool,
    /// Its width for its weight, were half a slot added.
    pub level: u64,
    /// What it had for its weight lately.
    pub service: u64,
    pub lease: LeaseId,
}

impl Rank {
    /// The half slot makes the next slot go where the shares after it are nearest to the weights (Sainte-Lague): with
    /// weights of 3 and 1, four slots are divided 3:1 rather than 2:2 or 4:0.
    pub fn new(width: u32, floor: u32, weight: u32, service: u64, lease: LeaseId) -> Self {
        let level = ((2 * u64::from(width) + 1) << 24) / u64::from(weight.max(1));
        Self { above_floor: width >= floor, level, service, lease }
    }
}

/// The place of a lease among those of all users. The least one is served first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    above_floor: bool,
    /// What its user has.
    width: u64,
    /// What its user had lately.
    service: u64,
    pub rank: Rank,
    user: u32,
}

impl Place {
    pub fn new(user: u32, width: u64, service: u64, rank: Rank) -> Self {
        Self { above_floor: rank.above_floor, width, service, rank, user }
    }

    /// How this place is to that of a lease that would give up a slot, by all but what both had lately. Between users a tie
    /// moves nothing: their leases have nothing in common that could be compared.
    pub fn level(&self, richer: &Place) -> Ordering {
        let floors = self.above_floor.cmp(&richer.above_floor);
        if self.user == richer.user {
            return floors.then(self.rank.level.cmp(&richer.rank.level));
        }
        floors.then(self.width.cmp(&richer.width)).then(Ordering::Greater)
    }
}

/// What a lease had for its weight, with old times fading.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Service {
    value: f64,
    since: Nanos,
    rate: f64,
}

impl Service {
    /// From now on the lease has `width` slots.
    pub fn change(&mut self, now: Nanos, width: u32, weight: u32) {
        let fade = (-(now.saturating_sub(self.since) as f64) / MEMORY as f64).exp();
        self.value = self.value * fade + self.rate * (1.0 - fade);
        self.since = now;
        self.rate = f64::from(width) / f64::from(weight.max(1));
    }

    /// In millionths of a slot.
    pub fn value(&self) -> u64 {
        (self.value * 1e6) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_divided_as_the_weights_are() {
        let (mut widths, weights) = ([0, 0, 0], [3, 1, 2]);
        for _ in 0..60 {
            let next = |&i: &usize| Rank::new(widths[i], 1, weights[i], 0, LeaseId::default());
            let least = (0..3).min_by_key(next).expect("three leases");
            widths[least] += 1;
        }
        assert_eq!(widths, [30, 10, 20]);
    }

    #[test]
    fn a_lease_below_its_floor_comes_first_whatever_it_weighs() {
        let poor = Rank::new(3, 4, 1, 900, LeaseId::default());
        let light = Rank::new(1, 1, 1000, 0, LeaseId::default());
        assert!(poor < light);
    }

    #[test]
    fn what_was_had_fades() {
        let mut service = Service::default();
        service.change(0, 4, 1);
        service.change(10 * MEMORY, 0, 1);
        assert!((3_990_000..=4_000_000).contains(&service.value()), "{service:?}");
        service.change(20 * MEMORY, 0, 1);
        assert!(service.value() < 1000, "{service:?}");
    }
}
