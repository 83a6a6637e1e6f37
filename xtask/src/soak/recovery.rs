//! How long it takes until the tokens of processes that were killed are free.

use std::time::{Duration, Instant};

use super::tree;
use super::watch::{Client, Status};

/// A kill that was met with tokens in hand.
#[derive(Clone, Copy)]
pub(super) struct Recovery {
    /// From before the signal to the first status in which all their tokens were free.
    pub(super) since_kill: Duration,
    /// From just before a process was last seen to live, of all of them the longest: nobody can take back what it holds as
    /// long as it lives, and a process that is killed dies when it gets a processor.
    pub(super) since_death: Duration,
}

/// Those who held tokens when they were killed, at `start`.
pub(super) struct Killed {
    start: Instant,
    /// Who is still counted, and when it was last seen alive.
    counted: Vec<(Client, Duration)>,
    longest: Duration,
}

impl Killed {
    pub(super) fn new(start: Instant, holders: Vec<Client>) -> Killed {
        Killed {
            start,
            counted: holders.into_iter().map(|holder| (holder, Duration::ZERO)).collect(),
            longest: Duration::ZERO,
        }
    }

    /// Once nobody of them is counted any more; `status` was asked for just now.
    pub(super) fn recovered(&mut self, status: &Status) -> Option<Recovery> {
        let since_kill = self.start.elapsed();
        let is_counted =
            |holder: &Client| status.clients().any(|now| (now.pid, now.since) == (holder.pid, holder.since));
        let (left, gone): (Vec<_>, Vec<_>) = self.counted.drain(..).partition(|(holder, _)| is_counted(holder));
        self.counted = left;
        let times = gone.into_iter().map(|(_, alive)| since_kill - alive);
        self.longest = times.fold(self.longest, Duration::max);
        self.counted.is_empty().then_some(Recovery { since_kill, since_death: self.longest })
    }

    /// Looks who of them still lives.
    pub(super) fn look(&mut self) {
        for (holder, alive) in &mut self.counted {
            let look = self.start.elapsed();
            if !tree::has_ended(holder.pid) {
                *alive = look;
            }
        }
    }
}
