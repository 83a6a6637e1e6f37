//! Another width for the pool or for leases of it: who may ask for it, and whose it is.

use super::peer::{refusal, WEIGHT_MOST};
use super::Server;
use crate::control::{Reply, Set};
use crate::ledger::LeaseId;

impl Server {
    /// All of it or nothing.
    pub(super) fn set(&mut self, id: u64, set: &Set) -> Reply {
        let Some(uid) = self.peers.get(&id).map(|peer| peer.uid) else { return Reply::Done };
        if set.capacity.is_some() && !self.is_master(uid) {
            return refusal("only root and who runs the server may set the number of slots");
        }
        if set.capacity == Some(0) {
            return refusal("a pool has one slot at least");
        }
        if set.cap.is_none() && set.weight.is_none() && (set.capacity.is_none() || set.lease.is_some()) {
            return refusal("nothing to set: a capacity, or the cap or the weight of a lease");
        }
        let leases = match &set.lease {
            Some(name) => self.named(uid, name),
            None if set.cap.is_some() || set.weight.is_some() => {
                return refusal("a cap or a weight is that of a lease")
            }
            None => Vec::new(),
        };
        if let Some(name) = set.lease.as_ref().filter(|_| leases.is_empty()) {
            return refusal(format!("no lease of user {uid} has the name or the pid {name:?}"));
        }
        match set.weight {
            Some(0) => return refusal("a weight is 1 at least"),
            Some(2..) if !self.is_master(uid) => {
                return refusal("only root may give a weight above 1 in the machine's pool")
            }
            _ => {}
        }
        let cap = set.cap.map(|cap| if cap == 0 { u32::MAX } else { cap });
        for lease in leases {
            self.engine.set_terms(lease, cap, set.weight.map(|weight| weight.min(WEIGHT_MOST)));
        }
        if let Some(capacity) = set.capacity {
            self.engine.resize(capacity);
        }
        Reply::Done
    }

    /// The leases that this user may change and that are called so, by their name, or by the pid of who speaks for them or
    /// of their command.
    fn named(&self, uid: u32, name: &str) -> Vec<LeaseId> {
        let all = self.is_master(uid);
        // 0 is the pid of all whom the server can't see.
        let pid = name.parse().ok().filter(|&pid: &u32| pid > 0);
        let mine = || self.peers.values().filter(|peer| all || peer.uid == uid);
        let by_pid = mine().filter_map(|peer| {
            let command = peer.command.as_ref().map(|process| process.id().pid);
            peer.lease.filter(|_| pid.is_some() && (pid == Some(peer.pid) || pid == command))
        });
        let by_pid: Vec<_> = by_pid.collect();
        // Who calls his lease by a number gets nothing that was meant for a process.
        if !by_pid.is_empty() {
            return by_pid;
        }
        let is_called =
            |lease: &LeaseId| self.engine.ledger().lease(*lease).is_some_and(|account| account.terms().name == name);
        mine().filter_map(|peer| peer.lease.filter(is_called)).collect()
    }
}
