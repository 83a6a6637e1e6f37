//! Leases whose moves somebody wants to hear. Where nobody does it costs one look at an empty map a turn.

use std::collections::HashMap;

use rustix::time::{clock_gettime, ClockId};

use super::{Engine, Notice};
use crate::control::{Holding, Moved};
use crate::ledger::{EndpointId, LeaseId};

/// What its watchers know of a lease.
#[derive(Debug, Default)]
pub(super) struct Watched {
    watchers: usize,
    told: Option<Moved>,
    clients: HashMap<EndpointId, (u32, u32)>,
}

impl Engine {
    /// From now on [`Notice::Moved`] tells what moves in the lease with that path, of user `uid`; the next turn begins with
    /// how it stands. None: there is no such lease of that user.
    pub fn watch(&mut self, path: &str, uid: u32) -> Option<LeaseId> {
        let id = self.lease_at(path, uid)?;
        let watched = self.watched.entry(id).or_default();
        watched.watchers += 1;
        // All of it again, for who is new.
        (watched.told, watched.clients) = (None, HashMap::new());
        self.touched.extend(self.clients.keys());
        Some(id)
    }

    /// One watcher fewer.
    pub fn unwatch(&mut self, lease: LeaseId) {
        if let Some(watched) = self.watched.get_mut(&lease) {
            watched.watchers -= 1;
            if watched.watchers == 0 {
                self.watched.remove(&lease);
            }
        }
    }

    pub(super) fn is_watched(&self) -> bool {
        !self.watched.is_empty()
    }

    /// Tells what this turn has changed, before it is forgotten which clients it touched.
    pub(super) fn note_moves(&mut self) {
        for (id, mut watched) in std::mem::take(&mut self.watched) {
            let Some(account) = self.ledger().lease(id) else { continue };
            let mut moved = Moved {
                at: 0,
                in_force: self.ledger().capacity(),
                free: self.ledger().free(),
                held: account.held(),
                offered: account.offered(),
                waiting: self.scheduler.waiting_of(id),
                clients: Vec::new(),
            };
            let is_new = watched.told.as_ref() != Some(&moved);
            let holdings: Vec<_> = self.touched.iter().filter_map(|&client| self.holding(id, client)).collect();
            for (client, holding) in holdings {
                let sums = (holding.held, holding.offered);
                if watched.clients.insert(client, sums) != Some(sums) {
                    moved.clients.push(holding);
                }
            }
            if is_new || !moved.clients.is_empty() {
                let told = Moved { clients: Vec::new(), ..moved };
                moved = Moved { at: monotonic(), ..moved };
                watched.told = Some(told);
                self.notices.push_back(Notice::Moved { lease: id, moved });
            }
            self.watched.insert(id, watched);
        }
    }

    fn holding(&self, lease: LeaseId, client: EndpointId) -> Option<(EndpointId, Holding)> {
        let account = self.ledger().endpoint(client).filter(|account| account.lease() == lease)?;
        let process = self.clients.get(&client)?.process;
        let pid = process.map(|process| process.pid);
        Some((client, Holding { pid, held: account.held(), offered: account.offered() }))
    }

    pub(super) fn lease_at(&self, path: &str, uid: u32) -> Option<LeaseId> {
        let is_it = |lease: &super::Lease| lease.path.as_os_str() == path && (uid == 0 || lease.owner.uid == uid);
        self.leases.iter().find_map(|(&id, lease)| is_it(lease).then_some(id))
    }
}

/// A clock that other processes read as well.
fn monotonic() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}
