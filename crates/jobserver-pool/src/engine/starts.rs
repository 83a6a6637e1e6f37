//! Processes that start in a slot of their lease which others should have: they wait for it.
//!
//! Only where it is known whose slot that is: the process was started by a client of its lease that holds a token for
//! it. Each token counts once, however many programs its job starts, so that no slot is lent in which somebody works.

use std::collections::HashMap;
use std::io;

use super::Engine;
use crate::endpoint::{self, StartId};
use crate::ledger::{EndpointId, LeaseId};
use crate::process;
use crate::scheduler::Start;

/// Who waits.
#[derive(Debug, Default)]
pub(super) struct Starts {
    paused: HashMap<EndpointId, Paused>,
    /// The accounts of processes that wait, by lease and pid.
    of_process: HashMap<(LeaseId, u32), EndpointId>,
    /// The same by each question: several threads of a process may ask.
    of_start: HashMap<StartId, EndpointId>,
    /// The jobs of each client that wait, by their first process.
    jobs: HashMap<EndpointId, Vec<u32>>,
}

#[derive(Debug)]
struct Paused {
    lease: LeaseId,
    pid: u32,
    starts: Vec<StartId>,
    /// Whose job it is, and that job's first process.
    job: (EndpointId, u32),
}

impl Engine {
    /// Whether a process that starts may have to wait for it, and whose tokens are caught when they come back.
    pub(super) fn ask_first(&mut self) -> io::Result<()> {
        let contended = self.leases.len() > 1 || self.scheduler.has_too_much_out();
        self.endpoints.ask_first(contended);
        let clients = if contended { self.scheduler.to_catch() } else { Vec::new() };
        let clients = clients.into_iter();
        let numbers = clients.filter_map(|(client, most)| Some((self.clients.get(&client)?.number, most as usize)));
        self.endpoints.catch(numbers)
    }

    /// A process starts, or has to wait.
    pub(super) fn starting(&mut self, start: StartId, place: endpoint::LeaseId, pid: u32) {
        let Some(&lease) = self.places.get(&place) else { return self.let_start([start]) };
        if let Some(endpoint) = self.starts.of_process.get(&(lease, pid)) {
            self.starts.of_start.insert(start, *endpoint);
            if let Some(paused) = self.starts.paused.get_mut(endpoint) {
                paused.starts.push(start);
            }
            return;
        }
        let job = if self.scheduler.may_pause(lease) { self.job_of(place, pid) } else { None };
        let Some(job) = job else { return self.let_start([start]) };
        match self.scheduler.starts(self.now(), lease) {
            Start::Now => self.let_start([start]),
            Start::Later(endpoint) => {
                log::debug!("process {pid} waits to start");
                let starts = &mut self.starts;
                starts.paused.insert(endpoint, Paused { lease, pid, starts: vec![start], job });
                starts.of_process.insert((lease, pid), endpoint);
                starts.of_start.insert(start, endpoint);
                starts.jobs.entry(job.0).or_default().push(job.1);
            }
        }
    }

    /// The client that holds the token in which this process starts, and its child that leads to the process.
    fn job_of(&self, place: endpoint::LeaseId, pid: u32) -> Option<(EndpointId, u32)> {
        let mut first = pid;
        for parent in process::ancestors(pid) {
            let Some(&client) = self.by_pid.get(&(place, parent)) else {
                first = parent;
                continue;
            };
            let held = self.ledger().endpoint(client)?.held() as usize;
            let waiting = self.starts.jobs.get(&client).map_or(&[][..], Vec::as_slice);
            return (waiting.len() < held && !waiting.contains(&first)).then_some((client, first));
        }
        None
    }

    /// Its lease is due a slot, or it must not wait.
    pub(super) fn start_paused(&mut self, endpoint: EndpointId) {
        let starts = &mut self.starts;
        let Some(Paused { lease, pid, starts: questions, job }) = starts.paused.remove(&endpoint) else { return };
        starts.of_process.remove(&(lease, pid));
        if let Some(jobs) = starts.jobs.get_mut(&job.0) {
            jobs.retain(|&first| first != job.1);
            if jobs.is_empty() {
                starts.jobs.remove(&job.0);
            }
        }
        for start in &questions {
            starts.of_start.remove(start);
        }
        self.let_start(questions);
    }

    /// A signal has come for the process: if it isn't to die of that, it works with a slot that is owed.
    pub(super) fn interrupted(&mut self, start: StartId) {
        if let Some(&endpoint) = self.starts.of_start.get(&start) {
            self.start_without_slot(endpoint);
        }
    }

    /// The command of that lease is gone, and with it whoever would have had the slots.
    pub(super) fn start_all_of(&mut self, lease: LeaseId) {
        let all = self.starts.paused.iter().filter(|(_, paused)| paused.lease == lease);
        for endpoint in all.map(|(&endpoint, _)| endpoint).collect::<Vec<_>>() {
            self.start_without_slot(endpoint);
        }
    }

    fn start_without_slot(&mut self, endpoint: EndpointId) {
        self.scheduler.start_at_once(self.now(), endpoint);
        self.start_paused(endpoint);
    }

    fn let_start(&mut self, starts: impl IntoIterator<Item = StartId>) {
        for start in starts {
            // Whoever can't be answered is gone, or the mount is, and that is told.
            if let Err(error) = self.endpoints.let_start(start) {
                log::warn!("a process that waits to start can't be answered: {error}");
            }
        }
    }
}
