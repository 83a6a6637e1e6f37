//! The machine is looked at once a second while somebody has a lease, if anything is to be kept free there.

use std::io;
use std::time::{Duration, Instant};

use super::Server;
use crate::admission::{Admission, Limits, Machine};
use crate::ledger::{LeaseAccount, Stage};

/// Jobs of a build last about so long, and the kernel's own figures change no faster.
const EACH: Duration = Duration::from_secs(1);

impl Server {
    /// Fewer slots are given out while the machine has less than this.
    pub fn limit(&mut self, limits: Limits) {
        self.admission = Admission::new(limits);
    }

    /// When there is something to be looked at; never in an idle pool.
    pub(super) fn next_look(&self) -> Option<Duration> {
        self.look.map(|look| look.saturating_duration_since(Instant::now()))
    }

    pub(super) fn look_at_machine(&mut self) {
        if !self.admission.is_needed() {
            return;
        }
        // One that has ended is nothing to look for: a service that a build left behind may live for weeks.
        let counts = |lease: &LeaseAccount| lease.stage() != Stage::Ended || lease.held() > 0;
        if !self.engine.ledger().leases().any(|(_, lease)| counts(lease)) {
            if self.look.take().is_some() {
                self.admission.forget();
                self.engine.allow(None);
            }
            return;
        }
        let now = Instant::now();
        if self.look.is_some_and(|look| look > now) {
            return;
        }
        self.look = Some(now + EACH);
        match Machine::here().read() {
            Ok(reading) => {
                let before = self.engine.ledger().capacity();
                self.engine.allow(self.admission.step(reading, self.engine.usage()));
                let slots = self.engine.ledger().capacity();
                if slots != before {
                    log::info!("{slots} of {} slots are in force: {reading:?}", self.engine.capacity());
                }
            }
            // No descriptor or no memory is left: all the more what is in force stays so, and the next second tells.
            Err(error) if !is_final(&error) => log::warn!("the machine can't be watched just now: {error}"),
            Err(error) => {
                (self.tell)(&format!("the machine can't be watched: {error}: all slots stay in force"));
                self.limit(Limits::default());
                self.engine.allow(None);
                self.look = None;
            }
        }
    }
}

/// The kernel tells no such figures, or not to us.
fn is_final(error: &io::Error) -> bool {
    use io::ErrorKind::{InvalidData, NotFound, PermissionDenied};
    matches!(error.kind(), NotFound | PermissionDenied | InvalidData)
}
