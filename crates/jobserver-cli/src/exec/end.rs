//! When a wait for slots ends without them: a time, or a signal.

use std::io;
use std::time::{Duration, Instant};

use jobserver::{Canceller, Client};

use crate::signals::{Alarm, Signals};

/// What is free is had even by who waits for nothing: a pool that knows its clients lays it down once they have come.
const ANSWER: Duration = Duration::from_millis(50);

pub(super) struct End {
    pub(super) deadline: Option<Instant>,
    pub(super) canceller: Canceller,
    /// A pool of no tokens: waiting in it is a pause that a signal ends.
    nothing: Client,
    _alarm: Alarm,
}

impl End {
    /// # Errors
    ///
    /// No descriptors or no thread are left.
    pub(super) fn new(timeout: Option<Duration>, signals: &Signals) -> io::Result<End> {
        let canceller = Canceller::new()?;
        let alarm = signals.alarm(canceller.clone())?;
        // A time that no clock can show is none.
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout.max(ANSWER)));
        Ok(End { deadline, canceller, nothing: Client::new(0)?, _alarm: alarm })
    }

    pub(super) fn is_late(&self) -> bool {
        self.deadline.is_some_and(|deadline| deadline <= Instant::now())
    }

    pub(super) fn is_over(&self) -> bool {
        self.canceller.is_cancelled() || self.is_late()
    }

    /// `time` from now, or the end if that is earlier.
    pub(super) fn within(&self, time: Option<Duration>) -> Option<Instant> {
        let then = time.and_then(|time| Instant::now().checked_add(time));
        match (then, self.deadline) {
            (Some(then), Some(deadline)) => Some(then.min(deadline)),
            (then, deadline) => then.or(deadline),
        }
    }

    /// Waits so long, or until the end.
    ///
    /// # Errors
    ///
    /// What the system answers.
    pub(super) fn pause(&self, time: Duration) -> io::Result<()> {
        self.nothing.acquire_unless(&self.canceller, self.within(Some(time))).map(drop)
    }
}
