//! A lease as it is shown: which of its processes use its slots.

use jobserver_pool::control::LeaseStatus;

use super::words::plain;

/// A process of a lease and the slots that it uses.
#[derive(Debug, PartialEq)]
pub(crate) struct Process {
    /// None: processes that share an endpoint, or a command that has ended.
    pub(crate) pid: Option<u32>,
    pub(crate) name: String,
    pub(crate) held: u32,
    pub(crate) since: f64,
}

/// Those that hold something, most first: all together as many as the lease. The slot that a lease has beside its
/// tokens is that of its command.
pub(crate) fn processes(lease: &LeaseStatus) -> Vec<Process> {
    let mut processes: Vec<Process> = lease
        .endpoints
        .iter()
        .map(|endpoint| Process {
            pid: endpoint.pid,
            name: match (&endpoint.command, endpoint.pid) {
                (Some(command), _) => plain(command),
                (None, Some(_)) => "?".to_string(),
                (None, None) => "(shared)".to_string(),
            },
            held: endpoint.held,
            since: endpoint.since,
        })
        .collect();
    let tokens: u32 = processes.iter().map(|process| process.held).sum();
    let own = lease.held.saturating_sub(tokens);
    let command = lease.command_pid.and_then(|pid| processes.iter_mut().find(|process| process.pid == Some(pid)));
    match command {
        Some(process) => process.held += own,
        None => {
            let program = lease.command.split(' ').next().and_then(|program| program.rsplit('/').next());
            let name = match lease.command_pid {
                Some(_) => plain(program.unwrap_or_default()),
                None => "(its own slot)".to_string(),
            };
            processes.push(Process { pid: lease.command_pid, name, held: own, since: lease.since });
        }
    }
    processes.retain(|process| process.held > 0);
    processes.sort_by(|a, b| b.held.cmp(&a.held).then(a.since.total_cmp(&b.since)));
    processes
}
