//! Processes that have followed a lease's link for the first time, and wait for the answer.
//!
//! Until it comes they have done nothing: so the driver may let one wait that would start in a slot which others should
//! have. A signal ends the wait, also one that kills: the kernel lets nobody go whose question was heard, until it is
//! answered.

use std::io;

use super::{Endpoints, Event, LeaseId};
use crate::fuse::ReadLink;
use crate::process;

/// A process that waits for its answer; no number is used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StartId(u64);

impl Endpoints {
    /// Whether a process that is new to a lease waits ([`Event::Starting`]) until the driver
    /// [lets it start](Endpoints::let_start).
    pub fn ask_first(&mut self, ask: bool) {
        self.asks_first = ask;
    }

    /// Leads that process to its FIFO.
    ///
    /// # Errors
    /// As [`Endpoints::next`].
    pub fn let_start(&mut self, start: StartId) -> io::Result<()> {
        let Some(question) = self.starting.remove(&start) else { return Ok(()) };
        self.stir.asked = true;
        self.lead(question)
    }

    /// Keeps the question of a process that is new, if those are to be told; else gives it back.
    pub(super) fn ask(&mut self, question: ReadLink) -> Option<ReadLink> {
        let lease = LeaseId(question.node);
        if !self.asks_first || question.thread == 0 || !self.leases.contains_key(&lease) {
            return Some(question);
        }
        let is_known = |pid| self.processes.contains_key(&(lease, pid));
        let pid = match process::group_of(question.thread) {
            Ok(pid) if !is_known(question.thread) && !is_known(pid) => pid,
            _ => return Some(question),
        };
        let start = StartId(question.unique());
        self.starting.insert(start, question);
        self.events.push_back(Event::Starting { start, lease, pid });
        None
    }

    /// A signal has come for the process that asked so.
    pub(super) fn interrupted(&mut self, unique: u64) {
        let start = StartId(unique);
        if self.starting.contains_key(&start) {
            self.events.push_back(Event::Interrupted { start });
        }
    }
}
