//! What a person may see of the pool at one moment.

use std::time::{SystemTime, UNIX_EPOCH};

use super::client::command_of;
use super::{Engine, Style};
use crate::control::{EndpointStatus, LeaseStatus, Status};
use crate::ledger::{LeaseAccount, LeaseId, Stage};

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
        let mut leases: Vec<LeaseStatus> = ledger
            .leases()
            .filter(|(id, _)| self.leases.get(id).is_some_and(|lease| seen(lease.owner.uid)))
            .map(|(id, account)| self.lease_status(id, account))
            .collect();
        leases.sort_by(|a, b| a.since.total_cmp(&b.since));
        Status {
            version: 1,
            style: self.style_name().to_string(),
            capacity: ledger.capacity(),
            in_force: ledger.capacity(),
            free: ledger.free(),
            offered: ledger.offered(),
            held: ledger.held(),
            owed: ledger.owed(),
            recovered: ledger.recovered(),
            strays: ledger.strays(),
            leases,
        }
    }

    fn lease_status(&self, id: LeaseId, account: &LeaseAccount) -> LeaseStatus {
        let lease = &self.leases[&id];
        let terms = account.terms();
        let mut endpoints: Vec<EndpointStatus> = self
            .ledger()
            .endpoints()
            .filter(|(_, endpoint)| endpoint.lease() == id)
            .filter_map(|(id, endpoint)| {
                let client = self.clients.get(&id)?;
                let pid = client.process.map(|process| process.pid);
                Some(EndpointStatus {
                    pid,
                    command: pid.and_then(|pid| command_of(pid).ok()),
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
            sharing: lease.sharing.clone(),
            endpoints,
        }
    }
}

fn seconds(time: SystemTime) -> f64 {
    time.duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_millis() as f64 / 1000.0)
}
