//! Who gets a free slot, and when an offer moves on.
//!
//! A state machine without clock, thread or I/O. Events come in, each with the time at which it was seen; then
//! [`Scheduler::next`] is asked for actions, one by one, until it has none; then the driver sleeps until an event or
//! until [`Scheduler::next_due`]. Every event and every action costs O(log n): choices are first or last places in ordered
//! sets, which `index` keeps. (But for leases that were just given what they have: no more of them than slots.)
//!
//! | part | what |
//! |---|---|
//! | `policy` | every number |
//! | `order` | who comes first among leases |
//! | `station` | what is known about an endpoint |
//! | `index` | the ordered sets |
//! | `starts` | which process waits before it starts |
//! | `pick` | the next action |

mod index;
mod loans;
mod order;
mod pick;
pub mod policy;
mod starts;
mod station;
mod waits;

use std::collections::VecDeque;

use slotmap::SecondaryMap;

use crate::ledger::{EndpointId, LeaseId, Ledger, Returned, Stage, Terms};
use index::{Places, Share, Spot};
pub use pick::Action;
pub use starts::Start;
pub use station::Kind;
use station::{Average, Station};
pub use waits::Waits;

/// Nanoseconds since the server's start.
pub type Nanos = u64;

/// A withdrawal that the driver has not answered yet.
#[derive(Debug, Clone, Copy)]
struct Recall {
    endpoint: EndpointId,
    count: u32,
}

/// The pool's decisions. It keeps the accounts too: an action is booked when it is given out.
#[derive(Debug)]
pub struct Scheduler {
    ledger: Ledger,
    now: Nanos,
    shares: SecondaryMap<LeaseId, Share>,
    stations: SecondaryMap<EndpointId, Station>,
    spots: SecondaryMap<EndpointId, Spot>,
    came: u64,
    places: Places,
    recall: Option<Recall>,
    /// Processes that waited to start, and are to do so.
    started: VecDeque<EndpointId>,
    /// Since when slots are free.
    slack: Option<Nanos>,
    /// Clients that never wait are asked again from then on.
    ask_remote: Nanos,
    /// When an offer last moved from one client that may be idle to another.
    turned: Nanos,
    /// How often that was in vain, since a client last did anything.
    vain: u32,
    typical_job: Average,
    waits: Waits,
}

/// Events.
impl Scheduler {
    /// A pool of so many slots.
    pub fn new(capacity: u32) -> Self {
        Self {
            ledger: Ledger::new(capacity),
            now: 0,
            shares: SecondaryMap::new(),
            stations: SecondaryMap::new(),
            spots: SecondaryMap::new(),
            came: 0,
            places: Places::default(),
            recall: None,
            started: VecDeque::new(),
            slack: Some(0),
            ask_remote: 0,
            turned: 0,
            vain: 0,
            typical_job: Average::default(),
            waits: Waits::default(),
        }
    }

    /// The accounts.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// A lease was opened. [`Action::Grant`] says when its command may start, unless that is at once
    /// ([`Terms::inherited`], [`Terms::now`]).
    pub fn open_lease(&mut self, now: Nanos, terms: Terms) -> LeaseId {
        self.pass(now);
        let user = terms.user;
        let lease = self.ledger.open_lease(terms);
        self.enter(lease, user);
        if self.ledger.lease(lease).is_some_and(|account| account.stage() == Stage::Waiting) {
            self.enter_line(lease);
        }
        self.refresh_lease(lease);
        lease
    }

    /// The command of a lease is gone: its implicit slot is free.
    pub fn end_command(&mut self, now: Nanos, lease: LeaseId) {
        self.pass(now);
        self.ledger.end_command(lease);
        self.leave_line(lease);
        self.refresh_lease(lease);
    }

    /// Nobody speaks for the lease any more. What its processes hold stays counted.
    pub fn close_lease(&mut self, now: Nanos, lease: LeaseId) {
        self.pass(now);
        self.ledger.close_lease(lease);
        self.leave_line(lease);
        self.refresh_lease(lease);
    }

    /// A client, or a whole lease, has a way in. `None` when its lease is gone.
    pub fn open_endpoint(&mut self, now: Nanos, lease: LeaseId, kind: Kind) -> Option<EndpointId> {
        self.pass(now);
        let endpoint = self.ledger.open_endpoint(lease)?;
        self.vain = 0;
        self.stations.insert(endpoint, Station::new(kind, self.now));
        self.spots.insert(endpoint, Spot::default());
        self.refresh(endpoint);
        Some(endpoint)
    }

    /// How a client reaches its tokens, as far as is known.
    pub fn kind(&self, endpoint: EndpointId) -> Option<Kind> {
        self.stations.get(endpoint).map(|station| station.kind)
    }

    /// This client was started by that one, in one of its slots.
    pub fn set_parent(&mut self, now: Nanos, endpoint: EndpointId, parent: EndpointId) {
        self.pass(now);
        if let Some(station) = self.stations.get_mut(endpoint) {
            let before = station.parent.replace(parent);
            before.into_iter().for_each(|before| self.change_lent(before, -1));
            self.change_lent(parent, 1);
        }
    }

    fn change_lent(&mut self, parent: EndpointId, by: i32) {
        if let Some(station) = self.stations.get_mut(parent) {
            station.lent = station.lent.saturating_add_signed(by);
            self.refresh(parent);
        }
    }

    /// The driver learned better how this client reaches its tokens.
    pub fn set_kind(&mut self, now: Nanos, endpoint: EndpointId, kind: Kind) {
        self.pass(now);
        if let Some(station) = self.stations.get_mut(endpoint) {
            station.kind = kind;
            self.refresh(endpoint);
        }
    }

    /// Nobody has the endpoint open any more, or somebody has again. What lies there is taken back, and nothing is laid there
    /// meanwhile; what its client holds stays counted.
    pub fn set_shut(&mut self, now: Nanos, endpoint: EndpointId, shut: bool) {
        self.pass(now);
        if let Some(station) = self.stations.get_mut(endpoint) {
            station.shut = shut;
            self.refresh(endpoint);
        }
    }

    /// So many tokens were taken from an endpoint, and so many bytes came back through it, since it was last looked
    /// at; in that order, for what was returned may have been taken in between. `before` are other endpoints of the
    /// lease that may have read what this one returned, the likeliest first.
    ///
    /// Bytes that lie in place are counted, not read: `returned` is by how many more there are than were offered.
    pub fn stirred(
        &mut self,
        now: Nanos,
        endpoint: EndpointId,
        taken: u32,
        returned: u32,
        before: &[EndpointId],
    ) -> Returned {
        let in_place = self.kind(endpoint).is_some_and(Kind::in_place);
        let (out, left) = if in_place { (0, returned) } else { (returned, 0) };
        self.moved(now, endpoint, taken, out, left, before)
    }

    /// The same where the driver knows of every byte that came back whether it is out of the FIFO, or left lying where
    /// the client reads: a client that waits may write there too.
    pub fn moved(
        &mut self,
        now: Nanos,
        endpoint: EndpointId,
        taken: u32,
        out: u32,
        left: u32,
        before: &[EndpointId],
    ) -> Returned {
        self.pass(now);
        let (now, returned) = (self.now, out + left);
        if taken + returned > 0 {
            self.vain = 0;
        }
        let Some(station) = self.stations.get_mut(endpoint) else {
            return self.ledger.returned(endpoint, returned, false, &[]);
        };
        let in_place = station.kind.in_place();
        station.quicker = false;
        if taken > 0 {
            let held = self.ledger.endpoint(endpoint).map_or(0, |account| account.held());
            let waited = station.waited(now, self.typical_job.get());
            station.took(now, held);
            self.ledger.taken(endpoint, taken);
            if self.ledger.endpoint(endpoint).is_some_and(|account| account.offered() > 0) {
                station.goes_on(now, self.typical_job.get());
            }
            // What it waited for until now is counted once, also where more lies there for it.
            station.empty_since = now;
            self.note_wait(endpoint, waited);
        }
        let Some(station) = self.stations.get_mut(endpoint) else { return Returned::default() };
        let mut answer = Returned::default();
        if returned > 0 {
            let account = self.ledger.endpoint(endpoint);
            let (held, lay) = account.map_or((0, 0), |account| (account.held(), account.offered()));
            if held > 0 {
                let job = station.ended(now, held, returned);
                self.typical_job.add(job);
            }
            if in_place {
                station.laid = false;
                station.looks(now, lay == 0);
            }
            for (count, lies) in [(out, false), (left, true)] {
                let part = self.ledger.returned(endpoint, count, lies, before);
                answer.settled += part.settled;
                answer.strays += part.strays;
                answer.payers.extend(part.payers);
            }
        }
        if taken == 0 && returned == 0 && in_place {
            station.looks(now, false);
        }
        for &payer in &answer.payers {
            self.refresh(payer);
        }
        self.refresh(endpoint);
        answer
    }

    /// The answer to [`Action::Withdraw`]: so many bytes were read back.
    pub fn withdrawn(&mut self, now: Nanos, endpoint: EndpointId, got: u32) {
        self.pass(now);
        let Some(recall) = self.recall.take_if(|recall| recall.endpoint == endpoint) else { return };
        let got = got.min(recall.count);
        self.ledger.withdraw(endpoint, got);
        if let Some(station) = self.stations.get_mut(endpoint) {
            station.quicker = got < recall.count;
            let empty = self.ledger.endpoint(endpoint).is_some_and(|account| account.offered() == 0);
            station.empty_since = if empty { self.now } else { station.empty_since };
            let vain = (got > 0 && empty).then(|| station.withdrawn(self.now, self.typical_job.get())).flatten();
            if let Some(vain) = vain.filter(|_| station.kind == Kind::NonWaiting) {
                let slots = Nanos::from(self.ledger.capacity().max(1));
                self.ask_remote = self.now + vain * policy::ASKED_UNSPLIT_PART / slots;
            }
            self.refresh(endpoint);
        }
    }

    /// The answer to an [`Action::Offer`] that could not be carried out: so many tokens don't lie there after all. The
    /// endpoint is left alone for a while.
    pub fn refused(&mut self, now: Nanos, endpoint: EndpointId, count: u32) {
        self.pass(now);
        self.ledger.withdraw(endpoint, count);
        if let Some(station) = self.stations.get_mut(endpoint) {
            station.missed(self.now, self.typical_job.get());
            // Or whoever rests would be roused at once for the slot that is still free.
            self.slack = None;
            self.refresh(endpoint);
        }
    }

    /// A process was found to hold so many tokens, as after a restart of the server.
    pub fn adopt(&mut self, now: Nanos, endpoint: EndpointId, held: u32) {
        self.pass(now);
        self.ledger.adopt(endpoint, held);
        self.refresh(endpoint);
    }

    /// The client is gone: all that was counted there is free. Answers what it held.
    pub fn close_endpoint(&mut self, now: Nanos, endpoint: EndpointId) -> u32 {
        self.pass(now);
        let Some(lease) = self.ledger.endpoint(endpoint).map(|account| account.lease()) else { return 0 };
        self.recall.take_if(|recall| recall.endpoint == endpoint);
        let parent = self.stations.remove(endpoint).and_then(|station| station.parent);
        parent.into_iter().for_each(|parent| self.change_lent(parent, -1));
        self.unlist(endpoint, lease);
        let held = self.ledger.close_endpoint(endpoint);
        if held > 0 {
            // Nobody is between two jobs: whoever rests is asked at once.
            self.slack = Some(self.now.saturating_sub(policy::SLACK));
        }
        self.refresh_lease(lease);
        held
    }

    /// Another capacity.
    pub fn resize(&mut self, now: Nanos, capacity: u32) {
        self.pass(now);
        self.ledger.resize(capacity);
    }

    /// Another cap, another weight for a lease: what lies at its clients beyond the cap is taken back, what they hold stays
    /// with them until they return it. Answers whether there is such a lease.
    pub fn set_terms(&mut self, now: Nanos, lease: LeaseId, cap: Option<u32>, weight: Option<u32>) -> bool {
        self.pass(now);
        let is_there = self.ledger.set_terms(lease, cap, weight);
        self.reweigh(lease);
        self.refresh_lease(lease);
        is_there
    }

    /// Time passes: whoever rested long enough may be asked again.
    fn pass(&mut self, now: Nanos) {
        self.now = self.now.max(now);
        while let Some(&(until, endpoint)) = self.places.resting.first() {
            if until > self.now {
                break;
            }
            self.rouse(endpoint);
        }
    }

    fn rouse(&mut self, endpoint: EndpointId) {
        if let Some(station) = self.stations.get_mut(endpoint) {
            station.resting = None;
        }
        self.refresh(endpoint);
    }

    fn enter_line(&mut self, lease: LeaseId) {
        let Some(share) = self.shares.get_mut(lease) else { return };
        let Some(user) = self.places.users.get_mut(&share.user()) else { return };
        self.came += 1;
        user.line.insert(self.came, lease);
        share.place_in_line = Some(self.came);
    }

    fn leave_line(&mut self, lease: LeaseId) {
        let Some(share) = self.shares.get_mut(lease) else { return };
        let Some(user) = self.places.users.get_mut(&share.user()) else { return };
        share.place_in_line.take().map(|place| user.line.remove(&place));
    }
}
