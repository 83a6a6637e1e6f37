//! What the threads of `each` share: which commands run, how it went so far, and whether it is over.
//!
//! A signal goes only to commands that have not been waited for: an ended one leaves the list under the same lock under
//! which it is reaped, so its number can't be another process's yet.

use std::collections::BTreeMap;
use std::io;
use std::process::{Child, ExitStatus};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use super::system::{self, Bell, Pid, Rope};
use crate::exit;
use crate::signals::ends;

/// Outputs that wait for being written, each with two files: more than a reader falls behind by, fewer than a process may
/// have open.
const UNWRITTEN_MOST: usize = 200;

/// Why nothing more is started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// One has failed, and that is enough.
    Enough,
    /// All would fail: with this status.
    Failed(exit::Code),
    /// Somebody wants it to end.
    Signal(i32),
}

pub(super) struct Crew {
    state: Mutex<State>,
    changed: Condvar,
    /// Rings once it is over.
    bell: Bell,
    rope: Rope,
}

#[derive(Default)]
struct State {
    running: BTreeMap<u64, Pid>,
    /// Those that have ended.
    ended: u64,
    failures: u64,
    /// Those whose output is still in files.
    unwritten: usize,
    stop: Option<Stop>,
}

impl Crew {
    /// # Errors
    ///
    /// The process has no descriptor left.
    pub(super) fn new() -> io::Result<Crew> {
        let (bell, rope) = system::pair()?;
        Ok(Crew { state: Mutex::default(), changed: Condvar::new(), bell, rope })
    }

    pub(super) fn bell(&self) -> &Bell {
        &self.bell
    }

    /// Nothing more is started. What was said first counts, but for a signal.
    pub(super) fn stop(&self, why: Stop) {
        let mut state = self.lock();
        if state.stop.is_none() {
            self.rope.pull();
        }
        if state.stop.is_none() || matches!((state.stop, why), (Some(Stop::Enough | Stop::Failed(_)), Stop::Signal(_)))
        {
            state.stop = Some(why);
        }
        self.changed.notify_all();
    }

    pub(super) fn stopped(&self) -> Option<Stop> {
        self.lock().stop
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.stopped().is_some()
    }

    pub(super) fn failures(&self) -> u64 {
        self.lock().failures
    }

    pub(super) fn running(&self) -> usize {
        self.lock().running.len()
    }

    /// A signal has come, to all in the terminal if `reached`.
    pub(super) fn signal(&self, signal: i32, reached: bool) {
        if ends(signal) {
            self.stop(Stop::Signal(signal));
        }
        if !reached {
            self.lock().running.values().for_each(|&pid| system::send(pid, signal));
        }
    }

    /// A command was started.
    pub(super) fn started(&self, number: u64, child: &Child) {
        let mut state = self.lock();
        if let Some(pid) = system::pid(child) {
            state.running.insert(number, pid);
            // It came too late to be told.
            if let Some(Stop::Signal(signal)) = state.stop {
                system::send(pid, signal);
            }
        }
        state.unwritten += 1;
    }

    /// Waits for the end of a command.
    ///
    /// # Errors
    ///
    /// It can't be waited for.
    pub(super) fn wait_for(&self, number: u64, child: &mut Child) -> io::Result<ExitStatus> {
        system::wait_unreaped(child);
        let mut state = self.lock();
        let status = child.wait();
        state.running.remove(&number);
        state.ended += 1;
        self.changed.notify_all();
        status
    }

    pub(super) fn failed(&self) {
        self.lock().failures += 1;
    }

    /// So many outputs are in files no longer.
    pub(super) fn written(&self, count: usize) {
        self.lock().unwritten -= count;
        self.changed.notify_all();
    }

    /// Waits until fewer than `most` run, and until most of what they print is written.
    pub(super) fn wait_for_room(&self, most: usize) {
        self.wait_while(|state| {
            let waits = state.unwritten - state.running.len().min(state.unwritten);
            state.stop.is_none() && (state.running.len() >= most || waits >= UNWRITTEN_MOST)
        });
    }

    /// Waits until one more has ended. False: none runs.
    pub(super) fn wait_for_one(&self) -> bool {
        let (ended, runs) = {
            let state = self.lock();
            (state.ended, !state.running.is_empty())
        };
        self.wait_while(|state| !state.running.is_empty() && state.ended == ended);
        runs
    }

    /// Waits until none runs.
    pub(super) fn wait_for_none(&self) {
        self.wait_while(|state| !state.running.is_empty());
    }

    /// Waits until none runs and all is written.
    pub(super) fn wait_for_all(&self) {
        self.wait_while(|state| !state.running.is_empty() || state.unwritten > 0);
    }

    fn wait_while(&self, holds: impl Fn(&State) -> bool) {
        let state = self.changed.wait_while(self.lock(), |state| holds(state));
        drop(state.unwrap_or_else(PoisonError::into_inner));
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
