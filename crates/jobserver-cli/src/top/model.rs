//! What `top` knows: the latest status, the recent past, and what the person who looks has chosen to see.
//!
//! Only time and what the server says change it, both given as arguments, so that every screen can be made by a test.

use std::collections::{HashMap, VecDeque};
use std::fs;
use std::io;
use std::path::Path;
use std::thread;

use jobserver_pool::control::{LeaseStatus, Status};

use crate::status::{plain, processes, Process, Users};

/// Samples of the past; one comes with each answer of the server, twice a second.
pub(super) const HISTORY: usize = 360;

pub(super) struct Model {
    pub(super) place: String,
    pub(super) colour: bool,
    pub(super) status: Option<Status>,
    /// Since when there is no answer, and why.
    pub(super) gone: Option<(f64, String)>,
    /// Seconds since 1970.
    pub(super) now: f64,
    /// Slots in use, the latest last; none where there was no answer.
    pub(super) history: VecDeque<Option<u32>>,
    pub(super) machine: Machine,
    pub(super) with_processes: bool,
    /// The first line of the list that is shown.
    pub(super) top: usize,
    pub(super) users: Users,
    /// Which mark a lease has, as long as it lives.
    marks: HashMap<Id, usize>,
}

/// A pid may come again.
type Id = (u32, u64);

fn id(lease: &LeaseStatus) -> Id {
    (lease.pid, lease.since.to_bits())
}

/// A line of the list.
#[derive(Debug, PartialEq)]
pub(super) enum Row<'a> {
    Build(&'a LeaseStatus),
    Process(Process),
    /// So many more processes that hold nothing.
    Idle(usize),
}

impl Model {
    pub(super) fn new(directory: &Path, colour: bool) -> Model {
        Model {
            place: plain(&directory.to_string_lossy()),
            colour,
            status: None,
            gone: None,
            now: 0.0,
            history: VecDeque::new(),
            machine: Machine::default(),
            with_processes: true,
            top: 0,
            users: Users::default(),
            marks: HashMap::new(),
        }
    }

    /// What the server has answered.
    pub(super) fn update(&mut self, answer: io::Result<Status>, now: f64) {
        self.now = now;
        match answer {
            Ok(status) => {
                self.gone = None;
                self.remember(Some(status.held));
                self.mark(&status.leases);
                for lease in &status.leases {
                    self.users.name(lease.uid);
                }
                self.status = Some(status);
            }
            Err(error) => {
                self.remember(None);
                self.gone.get_or_insert_with(|| (now, plain(&error.to_string())));
            }
        }
    }

    fn remember(&mut self, held: Option<u32>) {
        self.history.push_back(held);
        if self.history.len() > HISTORY {
            self.history.pop_front();
        }
    }

    /// Gives each new lease the mark that the fewest have.
    fn mark(&mut self, leases: &[LeaseStatus]) {
        let alive: Vec<Id> = leases.iter().map(id).collect();
        self.marks.retain(|id, _| alive.contains(id));
        let mut used = [0usize; MARKS];
        for &mark in self.marks.values() {
            used[mark] += 1;
        }
        for id in alive {
            self.marks.entry(id).or_insert_with(|| {
                let mark = (0..MARKS).min_by_key(|&mark| used[mark]).unwrap_or(0);
                used[mark] += 1;
                mark
            });
        }
    }

    pub(super) fn mark_of(&self, lease: &LeaseStatus) -> usize {
        self.marks.get(&id(lease)).copied().unwrap_or(0)
    }

    /// The list: who holds most comes first, then who waits.
    pub(super) fn rows(&self) -> Vec<Row<'_>> {
        let leases = self.status.as_ref().map_or(&[][..], |status| &status.leases);
        let mut sorted: Vec<&LeaseStatus> = leases.iter().collect();
        sorted.sort_by_key(|lease| (std::cmp::Reverse(lease.held), lease.state != "waiting"));
        let mut rows = Vec::new();
        for lease in sorted {
            rows.push(Row::Build(lease));
            if self.with_processes {
                let processes = processes(lease);
                // The command alone: the row above has said all that its own would.
                let is_alone = matches!(&processes[..], [only] if only.pid.is_some() && only.pid == lease.command_pid);
                rows.extend(processes.into_iter().filter(|_| !is_alone).map(Row::Process));
                let is_idle = |pid: Option<u32>| pid.is_some() && (pid != lease.command_pid || lease.held == 0);
                let idle = lease.endpoints.iter().filter(|client| client.held == 0 && is_idle(client.pid)).count();
                rows.extend((idle > 0).then_some(Row::Idle(idle)));
            }
        }
        rows
    }

    /// Moves the list by some lines, of which `page` are seen at once.
    pub(super) fn scroll(&mut self, lines: isize, page: usize) {
        let last = self.rows().len().saturating_sub(page);
        self.top = self.top.saturating_add_signed(lines).min(last);
    }

    pub(super) fn toggle_processes(&mut self, page: usize) {
        self.with_processes = !self.with_processes;
        self.scroll(0, page);
    }
}

/// Builds that can be told apart by their marks.
pub(super) const MARKS: usize = 12;

/// How busy the whole machine is.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Machine {
    pub(super) load: Option<f64>,
    pub(super) processors: usize,
    /// Bytes that programs could still have, and all.
    pub(super) memory: Option<(u64, u64)>,
}

impl Machine {
    pub(super) fn now() -> Machine {
        let load = fs::read_to_string("/proc/loadavg").ok();
        let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
        let bytes = |name: &str| {
            let line = memory.lines().find_map(|line| line.strip_prefix(name))?;
            line.split_whitespace().next()?.parse::<u64>().ok()?.checked_mul(1024)
        };
        Machine {
            load: load.and_then(|text| text.split(' ').next()?.parse().ok()),
            processors: thread::available_parallelism().map_or(0, usize::from),
            memory: bytes("MemAvailable:").zip(bytes("MemTotal:")),
        }
    }
}
