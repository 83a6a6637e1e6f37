//! What is left of leases that nobody speaks for: their clients, whoever has inherited from those, and endpoints of which no
//! event tells that nobody has them open. A lease is forgotten when there is nothing of it any more.

use std::io;
use std::time::{Duration, Instant};

use super::client::Client;
use super::{endpoint, Engine, Lease, Notice};
use crate::endpoint::{Abandoned, A_LOOK};
use crate::ledger::{EndpointId, LeaseId};

/// How soon, and how rarely, endpoints are looked at that nobody may have open any more. Not at once: most of them end a moment
/// after their lease, which is told.
const SWEEP: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(16));

#[derive(Debug)]
pub(super) struct Closing {
    /// Leases that nobody speaks for.
    leases: Vec<LeaseId>,
    /// When endpoints that outlive their lease are looked at next: no event tells when nobody has them open any more.
    sweep: Option<Instant>,
    after: Duration,
    search: Option<Abandoned>,
    /// What is told of clients that have ended once their heirs are known: who keeps their FIFOs open must not let go before.
    notices: Vec<(endpoint::LeaseId, Notice)>,
}

impl Default for Closing {
    fn default() -> Closing {
        Closing { leases: Vec::new(), sweep: None, after: SWEEP.0, search: None, notices: Vec::new() }
    }
}

impl Closing {
    /// There are endpoints of a closed lease, which nobody may have open.
    pub fn sweep_soon(&mut self) {
        let soon = Instant::now() + SWEEP.0;
        self.sweep = Some(self.sweep.map_or(soon, |sweep| sweep.min(soon)));
        self.after = SWEEP.0 * 2;
    }

    /// When there is something to do although nothing happened.
    pub fn timeout(&self) -> Option<Duration> {
        match self.search {
            Some(_) => Some(Duration::ZERO),
            None => self.sweep.map(|sweep| sweep.saturating_duration_since(Instant::now())),
        }
    }
}

impl Engine {
    /// The lease's command is gone and nobody speaks for it any more. What is held stays counted until it is returned
    /// or its holders end.
    pub fn close_lease(&mut self, lease: LeaseId) {
        if let Some(&Lease { place, .. }) = self.leases.get(&lease) {
            self.endpoints.close_lease(place);
            self.touched.extend(self.clients.iter().filter(|(_, known)| known.place == place).map(|(id, _)| *id));
            self.note_lease(lease, false);
            self.scheduler.end_command(self.now(), lease);
            self.start_all_of(lease);
            self.closing.leases.push(lease);
            self.closing.sweep_soon();
            self.forget_leases();
        }
    }

    /// Tells it as soon as no heirs are looked for in that lease.
    pub(super) fn tell_after_heirs(&mut self, place: endpoint::LeaseId, notice: Notice) {
        self.closing.notices.push((place, notice));
    }

    /// Forgets those of which nothing is left.
    pub(super) fn forget_leases(&mut self) {
        for (place, notice) in std::mem::take(&mut self.closing.notices) {
            if self.endpoints.seeks_heirs_of(place) {
                self.closing.notices.push((place, notice));
            } else {
                self.notices.push_back(notice);
            }
        }
        if self.closing.leases.is_empty() {
            return;
        }
        let is_done = |lease: &LeaseId| {
            let place = self.leases.get(lease).map(|lease| lease.place);
            let has_clients = self.ledger().lease(*lease).is_some_and(|account| account.endpoints() > 0);
            !has_clients && !place.is_some_and(|place| self.endpoints.seeks_heirs_of(place))
        };
        let (done, left): (Vec<_>, Vec<_>) = self.closing.leases.iter().partition(|lease| is_done(lease));
        self.closing.leases = left;
        for lease in done {
            if let Some(Lease { place, .. }) = self.leases.remove(&lease) {
                self.scheduler.close_lease(self.now(), lease);
                self.places.remove(&place);
                self.rest.fresh.remove(&lease);
            }
        }
    }

    /// Endpoints of leases that are closed, and of which no process can be watched, or whose process may have closed them: of
    /// one FIFO for both ways that can't be told from events, since two opens in a row are told as one. What stays is looked
    /// at ever more rarely: it costs a look at all descriptors of all processes, a few of them in each turn.
    pub(super) fn sweep(&mut self) -> io::Result<()> {
        let mut search = match self.closing.search.take() {
            Some(search) => search,
            None if self.closing.sweep.is_some_and(|sweep| sweep <= Instant::now()) => {
                let orphans = self.clients.iter().filter(|(id, client)| self.may_be_abandoned(**id, client));
                let numbers: Vec<_> = orphans.map(|(_, client)| client.number).collect();
                self.closing.sweep = (!numbers.is_empty()).then(|| Instant::now() + self.closing.after);
                if numbers.is_empty() {
                    return Ok(());
                }
                self.closing.after = (self.closing.after * 2).min(SWEEP.1);
                self.endpoints.abandoned(&numbers)
            }
            None => return Ok(()),
        };
        let Some(abandoned) = search.go_on(&self.endpoints, A_LOOK)? else {
            self.closing.search = Some(search);
            return Ok(());
        };
        for number in abandoned {
            let client = self.numbers.get(&number).and_then(|id| Some((*id, self.clients.get(id)?)));
            if client.is_some_and(|(id, client)| self.may_be_abandoned(id, client)) {
                self.endpoints.shut(number);
                self.gone(number);
            }
        }
        Ok(())
    }

    fn may_be_abandoned(&self, id: EndpointId, client: &Client) -> bool {
        let open = |place: endpoint::LeaseId| self.places.get(&place).is_some_and(|lease| !self.is_closed(*lease));
        let holds = || self.ledger().endpoint(id).is_some_and(|account| account.held() > 0);
        (client.process.is_none() || (!self.split.contains(&id) && !holds())) && !open(client.place)
    }

    pub(super) fn is_closed(&self, lease: LeaseId) -> bool {
        self.leases.get(&lease).is_none_or(|lease| self.endpoints.path(lease.place).is_none())
    }
}
