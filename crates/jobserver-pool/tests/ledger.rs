//! The accounts beside a model that knows nothing of running sums: it counts everything again after each move.
//!
//! Eight million moves in random order, also such as no client should make.

use std::collections::BTreeMap;

use jobserver_pool::ledger::{EndpointId, LeaseId, Ledger, Stage, Terms};
use proptest::prelude::*;
use proptest::test_runner::Config;

const CASES: u32 = 8_000;
const MOVES: usize = 1_000;

#[derive(Debug, Default)]
struct Model {
    capacity: u32,
    leases: BTreeMap<LeaseId, (u32, bool)>,
    endpoints: BTreeMap<EndpointId, (LeaseId, u32, u32)>,
}

impl Model {
    fn held(&self) -> u32 {
        self.endpoints.values().map(|e| e.1).sum::<u32>() + self.leases.values().map(|l| l.0).sum::<u32>()
    }

    fn offered(&self) -> u32 {
        self.endpoints.values().map(|e| e.2).sum()
    }

    /// Slots above the capacity end as soon as nobody has them.
    fn free(&self) -> u32 {
        self.capacity.saturating_sub(self.held() + self.offered())
    }

    fn forget(&mut self, lease: LeaseId) {
        if self.leases.get(&lease).is_some_and(|lease| lease.1) && !self.endpoints.values().any(|e| e.0 == lease) {
            self.leases.remove(&lease);
        }
    }

    /// Who pays for bytes that came through an endpoint; answers what nobody can pay.
    fn pay(&mut self, endpoint: EndpointId, count: u32, before: &[EndpointId]) -> u32 {
        let lease = self.endpoints[&endpoint].0;
        let mut left = count;
        let mut order = vec![endpoint];
        order.extend(before);
        while left > 0 {
            let mine = |id: &EndpointId| self.endpoints.get(id).is_some_and(|e| e.0 == lease && e.1 > 0);
            let named = order.iter().copied().find(mine);
            let most = self.endpoints.iter().filter(|(_, e)| e.0 == lease && e.1 > 0).max_by_key(|(id, e)| (e.1, **id));
            let Some(payer) = named.or(most.map(|(id, _)| *id)) else { break };
            self.endpoints.get_mut(&payer).expect("it pays").1 -= 1;
            left -= 1;
            // Whoever was asked once pays all it has before the next one is.
            if named.is_none() {
                order.push(payer);
            }
        }
        left
    }
}

fn pick<T: Copy>(from: impl ExactSizeIterator<Item = T>, number: u32) -> Option<T> {
    let len = from.len();
    from.into_iter().nth(number as usize % len.max(1))
}

fn step(ledger: &mut Ledger, model: &mut Model, word: u64) {
    let (what, a, b, count) = (word as u8 % 32, (word >> 8) as u16, (word >> 24) as u16, (word >> 40) as u32 % 4);
    let endpoint = pick(model.endpoints.keys().copied(), u32::from(a));
    let lease = pick(model.leases.keys().copied(), u32::from(b));
    match what {
        0 | 1 if model.leases.len() < 5 => {
            let mut terms = Terms::new("a lease");
            (terms.inherited, terms.now) = (count == 1, count == 2);
            let lease = ledger.open_lease(terms);
            model.leases.insert(lease, (u32::from(count == 2), false));
        }
        2 | 3 => {
            let Some(lease) = lease else { return };
            let waits = ledger.lease(lease).is_some_and(|lease| lease.stage() == Stage::Waiting);
            assert_eq!(ledger.start(lease), waits && model.free() > 0, "a lease starts when a slot is free");
            if waits && model.free() > 0 {
                model.leases.get_mut(&lease).expect("it is open").0 = 1;
            }
        }
        4 | 5 => {
            let Some(lease) = lease else { return };
            if what == 4 {
                ledger.end_command(lease);
            } else {
                ledger.close_lease(lease);
                model.leases.get_mut(&lease).expect("it is open").1 = true;
            }
            model.leases.get_mut(&lease).expect("it is open").0 = 0;
            model.forget(lease);
        }
        6..=8 if model.endpoints.len() < 12 => {
            let Some(lease) = lease else { return };
            let endpoint = ledger.open_endpoint(lease).expect("the lease is open");
            model.endpoints.insert(endpoint, (lease, 0, 0));
        }
        9 => {
            let Some(endpoint) = endpoint else { return };
            let (lease, held, _) = model.endpoints.remove(&endpoint).expect("it is open");
            assert_eq!(ledger.close_endpoint(endpoint), held, "a client's end gives back what it held");
            model.forget(lease);
        }
        10 => {
            model.capacity = u32::from(a % 12);
            ledger.resize(model.capacity);
        }
        11..=17 => {
            let Some(endpoint) = endpoint else { return };
            let moved = model.free().min(count);
            assert_eq!(ledger.offer(endpoint, count), moved, "only what is free is offered");
            model.endpoints.get_mut(&endpoint).expect("it is open").2 += moved;
        }
        18..=20 => {
            let Some(endpoint) = endpoint else { return };
            let account = model.endpoints.get_mut(&endpoint).expect("it is open");
            let moved = account.2.min(count);
            assert_eq!(ledger.withdraw(endpoint, count), moved, "only what was offered is read back");
            account.2 -= moved;
        }
        21..=25 => {
            let Some(endpoint) = endpoint else { return };
            let account = model.endpoints.get_mut(&endpoint).expect("it is open");
            let offered = account.2.min(count);
            assert_eq!(ledger.taken(endpoint, count), offered);
            (account.1, account.2) = (account.1 + count, account.2 - offered);
        }
        _ => {
            let Some(endpoint) = endpoint else { return };
            let (in_place, other) = (b % 2 == 0, pick(model.endpoints.keys().copied(), u32::from(b)));
            let before: Vec<_> = other.into_iter().collect();
            let strays = model.pay(endpoint, count, &before);
            let returned = ledger.returned(endpoint, count, in_place, &before);
            assert_eq!((returned.settled, returned.strays), (count - strays, strays));
            if in_place {
                model.endpoints.get_mut(&endpoint).expect("it is open").2 += count;
            }
        }
    }
}

proptest! {
    #![proptest_config(Config { failure_persistence: None, ..Config::with_cases(CASES) })]

    #[test]
    fn every_slot_is_somewhere_after_every_move(words in prop::collection::vec(any::<u64>(), MOVES)) {
        let (mut ledger, mut model) = (Ledger::new(5), Model { capacity: 5, ..Model::default() });
        for word in words {
            step(&mut ledger, &mut model, word);
            prop_assert!(ledger.balanced());
            let sums = (ledger.capacity(), ledger.held(), ledger.offered(), ledger.free());
            prop_assert_eq!(sums, (model.capacity, model.held(), model.offered(), model.free()));
            prop_assert!(ledger.held() <= ledger.capacity() + ledger.owed());
            if word % 16 == 0 {
                prop_assert_eq!(ledger.recount(), Ok(()));
                for (id, account) in ledger.endpoints() {
                    let expected = model.endpoints.get(&id).copied();
                    prop_assert_eq!(expected, Some((account.lease(), account.held(), account.offered())));
                }
            }
        }
    }
}
