//! The next action, and when to look again.
//!
//! In this order: whoever was told to start does; what is owed is taken back; what lies in a lease beyond its cap, or where nobody
//! would see it, too; a lease that waits gets its first slot; a free slot goes to the
//! hungriest; and where none is free, an offer moves: out of a place that has more than the hungriest, or out of one
//! where it lay too long.

use super::index::{Turn, EMPTY};
use super::order::Place;
use super::policy::{ASKED_PART, DEPTH, SLACK, TURN, TURN_AT_LAST};
use super::station::Class;
use super::{Nanos, Recall, Scheduler};
use crate::ledger::{EndpointId, LeaseId};

/// What the driver has to do. It is booked already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Action {
    /// Write so many bytes where this endpoint reads. If that fails: [`Scheduler::refused`].
    Offer {
        /// Where.
        endpoint: EndpointId,
        /// How many.
        count: u32,
    },
    /// Read back at most so many bytes, without blocking, and say at once how many there were
    /// ([`Scheduler::withdrawn`]): the client may have been quicker. There is no next action before that.
    Withdraw {
        /// Where.
        endpoint: EndpointId,
        /// How many.
        count: u32,
    },
    /// This lease has its first slot: its command may start.
    Grant {
        /// Which.
        lease: LeaseId,
    },
    /// The process that waits to start ([`Scheduler::starts`]) does so now.
    Start {
        /// Its account, which is closed already.
        endpoint: EndpointId,
    },
}

/// The place of the lease that should get a slot, and the class and the turn of its endpoint.
type Hungriest = (Place, Class, Turn);

impl Scheduler {
    /// The next action, if there is one. Ask until there is none.
    pub fn next(&mut self, now: Nanos) -> Option<Action> {
        self.pass(now);
        if self.recall.is_some() {
            return None;
        }
        let action = self
            .next_started()
            .or_else(|| self.debts())
            .or_else(|| self.excess())
            .or_else(|| self.unseen())
            .or_else(|| self.first_slots())
            .or_else(|| self.free_slots())
            .or_else(|| self.moves());
        if action.is_none() {
            self.slack = (self.ledger.free() > 0).then(|| self.slack.unwrap_or(self.now));
        }
        action
    }

    /// When to ask for actions again if no event comes before. `None`: no timer is needed.
    pub fn next_due(&self) -> Option<Nanos> {
        let places = &self.places;
        let rested = places.resting.first().map(|rest| rest.0);
        let ripe = places.ripe.first().map(|ripe| ripe.0);
        let keen = places.is_hungry(Class::Keen);
        let moves = if self.recall.is_some() {
            return None;
        } else if let Some(slack) = self.slack {
            let early = (!places.rests.is_empty()).then_some(slack + SLACK);
            rested.into_iter().chain(early).min()
        } else if keen {
            ripe
        } else if !places.asks.is_empty() {
            let stale = places.stale.first().map(|stale| stale.0.max(self.turned + self.turn()));
            stale.into_iter().chain(ripe.map(|ripe| ripe.max(self.turned + TURN_AT_LAST))).min()
        } else {
            ripe.and(rested)
        };
        let inner = places.stuck.first().map(|stuck| stuck.0);
        [moves, inner].into_iter().flatten().min()
    }

    /// Nobody could win by what a client does now: nothing is free or owed, no lease waits, and nobody is hungry, or a
    /// single client that takes again itself what it returns, and nobody else has anything to return. Who is asked whether he
    /// wants something has time to think about it.
    pub fn is_calm(&self) -> bool {
        let ledger = &self.ledger;
        if ledger.free() + ledger.owed() > 0 || self.recall.is_some() || self.places.next_in_line().is_some() {
            return false;
        }
        if !self.places.over.is_empty() {
            return false;
        }
        let mut wanting = self.places.wanting.iter();
        let (Some(&endpoint), next) = (wanting.next(), wanting.next()) else { return true };
        let Some(account) = ledger.endpoint(endpoint).filter(|_| next.is_none()) else { return false };
        let asked = |&(_, endpoint): &(Nanos, EndpointId)| ledger.endpoint(endpoint).map_or(0, |asked| asked.offered());
        let lies = ledger.offered() - account.offered();
        let has_all = account.held() == ledger.tokens() && lies == self.places.asked.iter().map(asked).sum::<u32>();
        has_all && self.stations[endpoint].kind.in_place()
    }

    /// The leases with a client that would take a slot now, as far as is known; one that waits for its first slot is one of
    /// them. Some are told more than once.
    pub fn wanting(&self) -> impl Iterator<Item = LeaseId> + '_ {
        let keen = [Class::Keen, Class::More].map(|class| class as usize);
        let users = self.places.users.values();
        let ranks = users.flat_map(move |user| keen.into_iter().flat_map(|class| &user.hungry[class]));
        ranks.map(|rank| rank.lease).chain(self.places.next_in_line())
    }

    /// Offers lie at several clients: who takes its own may then want what another one leaves lying.
    pub fn offers_lie_apart(&self) -> bool {
        self.shares.values().map(|share| share.offering.len()).sum::<usize>() > 1
    }

    fn debts(&mut self) -> Option<Action> {
        let owed = self.ledger.owed();
        let endpoint = (owed > 0).then(|| self.richest()).flatten()?;
        self.recall(endpoint, owed)
    }

    fn excess(&mut self) -> Option<Action> {
        let &lease = self.places.excess.first()?;
        let above = self.ledger.lease(lease).map_or(0, |account| account.jobs().saturating_sub(account.terms().cap));
        let endpoint = self.shares[lease].offering.last()?.2;
        self.recall(endpoint, above)
    }

    fn unseen(&mut self) -> Option<Action> {
        let &endpoint = self.places.unseen.first()?;
        self.recall(endpoint, u32::MAX)
    }

    fn first_slots(&mut self) -> Option<Action> {
        let lease = self.places.next_in_line()?;
        if self.ledger.start(lease) {
            self.leave_line(lease);
            self.refresh_lease(lease);
            self.note_first(lease);
            return Some(Action::Grant { lease });
        }
        let rich = self.places.richest().is_some_and(|place| place.rank.above_floor);
        let endpoint = rich.then(|| self.richest()).flatten()?;
        self.recall(endpoint, 1)
    }

    fn free_slots(&mut self) -> Option<Action> {
        if self.ledger.free() == 0 {
            return None;
        }
        if self.slack.is_some_and(|slack| slack + SLACK <= self.now) {
            // Not in a lease at its cap, which has nothing to win: its slots would go round among those who rest.
            while self.served_next().is_none() {
                let Some(&(_, lease)) = self.places.rests.first() else { break };
                let Some(&(_, endpoint)) = self.shares[lease].resting.first() else { break };
                self.rouse(endpoint);
            }
        }
        let (lease, class, endpoint) = self.served_next()?;
        // Before anybody gets a token more: a job that waits to start has one already.
        if let Some(endpoint) = self.first_paused(lease) {
            self.start_at_once(self.now, endpoint);
            return Some(Action::Start { endpoint });
        }
        let count = match class {
            Class::Keen | Class::More => self.depth(endpoint, lease),
            _ => 1,
        };
        if class != Class::More {
            let typical_job = self.typical_job.get();
            self.stations[endpoint].offered(self.now, typical_job);
        }
        let count = self.ledger.offer(endpoint, count);
        self.refresh(endpoint);
        Some(Action::Offer { endpoint, count })
    }

    fn moves(&mut self) -> Option<Action> {
        if let Some(endpoint) = self.inner() {
            return self.recall(endpoint, 1);
        }
        if self.ledger.free() > 0 {
            return None;
        }
        let keen = self.places.is_hungry(Class::Keen);
        let turns = !self.places.asks.is_empty() && self.turned + self.turn() <= self.now;
        let at_last = self.turned + TURN_AT_LAST <= self.now;
        let (ripe, stale) = (self.places.ripe.first(), self.places.stale.first());
        let over = if keen || (turns && at_last) { ripe } else { stale.filter(|_| turns) };
        if let Some(endpoint) = over.filter(|over| over.0 <= self.now).map(|over| over.1) {
            (self.turned, self.vain) = (self.now, self.vain.saturating_add(1));
            return self.recall(endpoint, u32::MAX);
        }
        if keen && self.places.asked.len() > self.asked_most() {
            let &(_, endpoint) = self.places.asked.first()?;
            return self.recall(endpoint, 1);
        }
        // Whoever loses an offer here may be keen itself, so this may not hang on nobody being keen: it would go to and fro.
        let (poor, class, _) = self.hungriest(&EMPTY)?;
        let rich = self.places.richest()?;
        let endpoint = self.richest()?;
        let in_place = self.stations.get(endpoint)?.kind.in_place();
        let level = poor.level(&rich);
        let had_less = level.is_eq() && class == Class::Keen && in_place && poor.rank.service < rich.rank.service;
        if poor.rank.lease != rich.rank.lease && (level.is_lt() || had_less) {
            return self.recall(endpoint, 1);
        }
        None
    }

    /// How long an offer lies at clients that may be idle, while others that may be idle have none.
    fn turn(&self) -> Nanos {
        let rounds = self.vain as usize / (self.stations.len() + 1);
        (TURN.0 << rounds.min(8)).min(TURN.1)
    }

    /// The endpoint that gives up an offer for another one of its lease.
    fn inner(&self) -> Option<EndpointId> {
        let unfair = EMPTY.iter().filter(|&&to| self.may_move_to(to));
        let from = unfair
            .flat_map(|&to| &self.places.unfair[to as usize])
            .filter_map(|&lease| self.shares[lease].offering.last().map(|turn| turn.2))
            // What it is about to take is no sign that it has too much.
            .find(|&endpoint| self.stations.get(endpoint).is_some_and(|s| !s.laid || s.ripe_at <= self.now));
        if from.is_some() {
            return from;
        }
        let &(_, lease) = self.places.stuck.first().filter(|stuck| stuck.0 <= self.now)?;
        self.shares[lease].ripe.first().map(|ripe| ripe.1)
    }

    /// Where an offer lies in the lease that has most for its weight.
    fn richest(&self) -> Option<EndpointId> {
        let lease = self.places.richest()?.rank.lease;
        self.shares[lease].offering.last().map(|turn| turn.2)
    }

    /// Who gets a free slot. Where nobody is keen it costs nothing to ask, so all are asked in turn, however much
    /// their lease has: this way nobody waits for ever.
    fn served_next(&self) -> Option<(LeaseId, Class, EndpointId)> {
        let hungriest = self.hungriest(&Class::ALL).map(|(place, class, turn)| (place.rank.lease, class, turn.2));
        if !self.no_one_keen() || hungriest.is_some_and(|(_, class, _)| !class.asks()) {
            return hungriest;
        }
        let &(_, lease) = self.places.asks.first()?;
        let &(_, endpoint) = self.shares[lease].asks.first()?;
        Some((lease, self.stations[endpoint].class(), endpoint))
    }

    /// Who comes first among endpoints of these classes that may get something others might want.
    pub(super) fn hungriest(&self, classes: &[Class]) -> Option<Hungriest> {
        let first = |&class: &Class| {
            let place = self.places.poorest(class)?;
            let lease = place.rank.lease;
            let turn = *self.shares[lease].hungry[class as usize].first()?;
            let may = match class {
                Class::Keen | Class::Doubtful | Class::Remote => self.may_move_to(class),
                Class::More => self.stations[turn.2].ripe_at > self.now || self.alone(lease),
            };
            may.then_some((place, class, turn))
        };
        classes.iter().filter_map(first).min_by_key(|&(place, class, (width, ..))| (place, width, class))
    }

    /// Whether one of this class may get what others might want: only so many are asked at once.
    fn may_move_to(&self, class: Class) -> bool {
        match class {
            Class::Keen => true,
            Class::Doubtful => self.places.asked.len() < self.asked_most(),
            Class::Remote => self.places.asked.len() < self.asked_most() && self.ask_remote <= self.now,
            Class::More => false,
        }
    }

    fn no_one_keen(&self) -> bool {
        !self.places.is_hungry(Class::Keen)
    }

    fn asked_most(&self) -> usize {
        (self.ledger.capacity() / ASKED_PART).max(1) as usize
    }

    /// Nobody in another lease could use a free slot now, and in this one only one endpoint.
    fn alone(&self, lease: LeaseId) -> bool {
        let counts = |hungry: &[usize; 4]| hungry.iter().sum::<usize>() == 1;
        let users = self.places.users.values();
        let leases = [0, 1, 2, 3].map(|class| users.clone().map(|user| user.hungry[class].len()).sum());
        let endpoints = [0, 1, 2, 3].map(|class| self.shares[lease].hungry[class].len());
        counts(&leases) && counts(&endpoints)
    }

    /// How many tokens an endpoint gets that gets one. The only client that there is may have them all, proven or not: else a
    /// make would have less than it can start at once, and its first sub-make what it is about to ask for.
    fn depth(&self, endpoint: EndpointId, lease: LeaseId) -> u32 {
        let is_known = self.stations[endpoint].proven || self.stations.len() == 1;
        if !is_known || !self.alone(lease) {
            return 1;
        }
        let lying = self.ledger.endpoint(endpoint).map_or(0, |account| account.offered());
        let below_cap =
            self.ledger.lease(lease).map_or(0, |account| account.terms().cap.saturating_sub(account.jobs()));
        (DEPTH - lying).min(below_cap)
    }

    fn recall(&mut self, endpoint: EndpointId, count: u32) -> Option<Action> {
        let count = self.ledger.endpoint(endpoint)?.offered().min(count);
        self.recall = Some(Recall { endpoint, count });
        Some(Action::Withdraw { endpoint, count })
    }
}
