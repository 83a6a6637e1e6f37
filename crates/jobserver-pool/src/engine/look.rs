//! What a person may see of the pool at one moment.

use std::collections::HashMap;
use std::time::{SystemTime, UNIX_EPOCH};

use super::client::command_of;
use super::{Engine, Style};
use crate::admission::Shortage;
use crate::control::{EndpointStatus, LeaseStatus, Status, Waits};
use crate::ledger::{EndpointAccount, EndpointId, LeaseAccount, LeaseId, Stage};
use crate::scheduler::{policy, Nanos};

/// So many clients that hold nothing are called by their names: each costs a look into `/proc`, while which nothing else is
/// done.
const NAMED_MOST: u32 = 1000;

impl Engine {
    /// How clients are told apart.
    pub fn style_name(&self) -> &'static str {
        match self.style {
            Style::Tracked(_) => "tracked",
            Style::Fifo(_) => "fifo",
        }
    }

    /// All accounts. `seen` says whose leases are shown by name: others are counted and not described.
    pub fn status(&self, seen: impl Fn(u32) -> bool) -> Status {
        let ledger = self.ledger();
        let mut endpoints: HashMap<LeaseId, Vec<(EndpointId, &EndpointAccount)>> = HashMap::new();
        for (id, account) in ledger.endpoints() {
            endpoints.entry(account.lease()).or_default().push((id, account));
        }
        let mut named = NAMED_MOST;
        let mut leases: Vec<LeaseStatus> = ledger
            .leases()
            .filter(|(id, _)| self.leases.get(id).is_some_and(|lease| seen(lease.owner.uid)))
            // Of which nothing is left but that heirs are looked for.
            .filter(|(id, account)| account.endpoints() > 0 || !self.is_closed(*id))
            .map(|(id, account)| self.lease_status(id, account, &endpoints.remove(&id).unwrap_or_default(), &mut named))
            .collect();
        leases.sort_by(|a, b| a.since.total_cmp(&b.since));
        Status {
            version: 1,
            style: self.style_name().to_string(),
            capacity: self.set,
            in_force: ledger.capacity(),
            decided_by: match self.allowed {
                Some((slots, Shortage::Load)) if slots < self.set => "load".to_string(),
                Some((slots, Shortage::Memory)) if slots < self.set => "memory".to_string(),
                _ => "person".to_string(),
            },
            guarantee: if self.style_name() == "tracked" { "tracked" } else { "session" }.to_string(),
            since: seconds(self.since),
            free: ledger.free(),
            offered: ledger.offered(),
            held: ledger.held(),
            owed: ledger.owed(),
            recovered: ledger.recovered(),
            strays: ledger.strays(),
            waiting: self.scheduler.waiting() as u32,
            waits: self.waits(),
            leases,
        }
    }

    fn waits(&self) -> Waits {
        let waits = self.scheduler.waits();
        Waits {
            bounds: policy::WAITS.map(in_seconds).to_vec(),
            counts: waits.counts.to_vec(),
            sum: in_seconds(waits.sum),
        }
    }

    fn lease_status(
        &self,
        id: LeaseId,
        account: &LeaseAccount,
        endpoints: &[(EndpointId, &EndpointAccount)],
        named: &mut u32,
    ) -> LeaseStatus {
        let lease = &self.leases[&id];
        let terms = account.terms();
        let mut endpoints: Vec<EndpointStatus> = endpoints
            .iter()
            .filter_map(|&(id, endpoint)| {
                let client = self.clients.get(&id)?;
                let pid = client.process.map(|process| process.pid);
                let is_named = endpoint.held() > 0 || *named > 0;
                *named -= u32::from(is_named && *named > 0);
                Some(EndpointStatus {
                    pid,
                    command: pid.filter(|_| is_named).and_then(|pid| command_of(pid).ok()),
                    held: endpoint.held(),
                    offered: endpoint.offered(),
                    since: seconds(client.since),
                })
            })
            .collect();
        endpoints.sort_by(|a, b| a.since.total_cmp(&b.since));
        LeaseStatus {
            name: terms.name.clone(),
            pid: lease.owner.pid,
            uid: lease.owner.uid,
            command: lease.owner.command.clone(),
            command_pid: lease.owner.command_pid,
            since: seconds(lease.since),
            state: match account.stage() {
                Stage::Waiting => "waiting".to_string(),
                Stage::Running => "running".to_string(),
                Stage::Ended => "ended".to_string(),
            },
            floor: terms.floor,
            cap: (terms.cap != u32::MAX).then_some(terms.cap),
            weight: terms.weight,
            held: account.held(),
            offered: account.offered(),
            peak: account.peak(),
            lent: account.lent() - account.paused(),
            paused: account.paused(),
            waited: in_seconds(self.scheduler.waited(self.now(), id)),
            sharing: lease.sharing.clone(),
            endpoints,
        }
    }
}

fn in_seconds(time: Nanos) -> f64 {
    time as f64 / 1e9
}

fn seconds(time: SystemTime) -> f64 {
    time.duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_millis() as f64 / 1000.0)
}
