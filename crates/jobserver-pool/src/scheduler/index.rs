//! The ordered sets from which every choice is the first or the last, and the two functions that keep them.
//!
//! After each change to an endpoint, `refresh` computes in which sets it and its lease stand now, takes them out where
//! they stood, and puts them in. Nobody else touches a set, so none can disagree with the accounts for long.

use std::collections::btree_map::{BTreeMap, Entry};
use std::collections::BTreeSet;

use super::order::{Place, Rank, Service};
use super::policy::{BREAK, DEPTH, TURN};
use super::station::Class;
use super::{Nanos, Scheduler};
use crate::ledger::{EndpointId, LeaseId, Stage};

/// The order within a lease: who has least for itself, then who was served longest ago. The slot in which it was started is
/// its own; one that it has lent to another client, which it has started, is not: a make whose sub-makes run has no job of
/// its own. Of one that may be idle it is not known what it would do with more.
pub(super) type Turn = (u32, Nanos, EndpointId);

/// The classes of endpoints without an offer.
pub(super) const EMPTY: [Class; 3] = [Class::Keen, Class::Doubtful, Class::Remote];

/// Over all leases.
#[derive(Debug, Default)]
pub(super) struct Places {
    /// Users with a lease. A choice looks at each of them: they are few, however many leases they have.
    pub users: BTreeMap<u32, User>,
    /// Endpoints that would take an offer, or have one that comes to us when it is returned.
    pub wanting: BTreeSet<EndpointId>,
    /// Leases below their cap with an endpoint that may be idle and has no offer, by which was asked longest ago.
    pub asks: BTreeSet<(Nanos, LeaseId)>,
    /// Leases in which an offer should move from one endpoint to one that has less, by the class of that one.
    pub unfair: [BTreeSet<LeaseId>; 3],
    /// Leases at their cap with a hungry endpoint, by when an offer of theirs has lain too long.
    pub stuck: BTreeSet<(Nanos, LeaseId)>,
    /// Endpoints with an offer, by when it may go elsewhere.
    pub ripe: BTreeSet<(Nanos, EndpointId)>,
    /// The same, by when it may go to one that may be idle as well.
    pub stale: BTreeSet<(Nanos, EndpointId)>,
    /// Doubtful endpoints with an offer, by when they got it.
    pub asked: BTreeSet<(Nanos, EndpointId)>,
    /// Endpoints that rest, by when that ends.
    pub resting: BTreeSet<(Nanos, EndpointId)>,
    /// Endpoints where a token is held, and would lie in place if it came back.
    pub in_place: BTreeSet<EndpointId>,
    /// Endpoints that nobody has open, with an offer.
    pub unseen: BTreeSet<EndpointId>,
    /// Leases above their cap, which was lowered.
    pub over: BTreeSet<LeaseId>,
    /// Those of them that have an offer lying.
    pub excess: BTreeSet<LeaseId>,
    /// Leases below their cap with an endpoint that rests, by when the first one's rest ends.
    pub rests: BTreeSet<(Nanos, LeaseId)>,
}

/// Over the leases of one user.
#[derive(Debug, Default)]
pub(super) struct User {
    /// The jobs that his leases run or may start at once.
    pub width: u64,
    service: Service,
    leases: usize,
    /// Leases that wait for their first slot, in the order in which they came.
    pub line: BTreeMap<u64, LeaseId>,
    /// Leases below their cap with an endpoint that may get an offer, for each class.
    pub hungry: [BTreeSet<Rank>; 4],
    /// Leases with an offer lying, each with the rank it would have with one less.
    pub offering: BTreeSet<Rank>,
}

/// Where a lease stands.
#[derive(Debug, Default)]
pub(super) struct Share {
    pub hungry: [BTreeSet<Turn>; 4],
    pub asks: BTreeSet<(Nanos, EndpointId)>,
    pub offering: BTreeSet<Turn>,
    pub ripe: BTreeSet<(Nanos, EndpointId)>,
    pub resting: BTreeSet<(Nanos, EndpointId)>,
    /// Processes that wait to start, by when they came.
    pub paused: BTreeSet<(Nanos, EndpointId)>,
    pub place_in_line: Option<u64>,
    /// When it was opened.
    pub opened: Nanos,
    /// How long it waited for its first slot, and its clients for tokens.
    pub waited: Nanos,
    user: u32,
    width: u32,
    service: Service,
    in_hungry: [Option<Rank>; 4],
    in_asks: Option<(Nanos, LeaseId)>,
    in_offering: Option<Rank>,
    in_unfair: [Option<LeaseId>; 3],
    in_stuck: Option<(Nanos, LeaseId)>,
    in_rests: Option<(Nanos, LeaseId)>,
    in_over: Option<LeaseId>,
    in_excess: Option<LeaseId>,
}

/// Where an endpoint stands.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Spot {
    hungry: Option<(Class, Turn)>,
    offering: Option<Turn>,
    ripe: Option<Nanos>,
    stale: Option<Nanos>,
    asked: Option<Nanos>,
    resting: Option<Nanos>,
    /// Nobody has it open, and an offer lies there.
    unseen: bool,
    /// What it returns lies in place, and nothing lies there now.
    in_place: bool,
    /// It has an offer, which it takes unheard, and what it returns then comes to us.
    takes: bool,
}

fn move_in<T: Ord + Copy>(set: &mut BTreeSet<T>, old: Option<T>, new: Option<T>) {
    if old != new {
        old.map(|old| set.remove(&old));
        new.map(|new| set.insert(new));
    }
}

impl Scheduler {
    /// Computes anew where an endpoint and its lease stand.
    pub(super) fn refresh(&mut self, endpoint: EndpointId) {
        let Some(account) = self.ledger.endpoint(endpoint) else { return };
        let (lease, held, offered) = (account.lease(), account.held(), account.offered());
        let Some(station) = self.stations.get(endpoint) else { return };
        let mut spot = Spot::default();
        let class = station.class();
        let lent = if class.asks() { 0 } else { station.lent };
        let own = (held + 1).saturating_sub(lent);
        let all = (held + offered + 1).saturating_sub(lent);
        if station.shut {
            spot.unseen = offered > 0 && !station.quicker;
        } else if offered == 0 {
            // Of those who are asked and have as much, who never was comes first, then each in turn.
            let asked = if station.misses > 0 { station.offered_at } else { 0 };
            let next = if class.asks() { asked } else { station.served };
            match station.resting {
                Some(until) => spot.resting = Some(until),
                None => spot.hungry = Some((class, (own, next, endpoint))),
            }
        } else if !station.quicker {
            spot.offering = Some((all, station.served, endpoint));
            spot.ripe = Some(station.ripe_at);
            spot.stale = Some(station.ripe_at.max(if station.proven { station.served + BREAK } else { 0 }));
            spot.asked = class.asks().then_some(station.offered_at);
            spot.takes = !station.kind.in_place();
            if class == Class::Keen && station.proven && offered < DEPTH {
                spot.hungry = Some((Class::More, (all, station.served, endpoint)));
            }
        }
        spot.in_place = station.kind.in_place() && held > 0 && offered == 0;
        self.list(endpoint, lease, spot);
        self.refresh_lease(lease);
    }

    /// Takes an endpoint out of all sets for good.
    pub(super) fn unlist(&mut self, endpoint: EndpointId, lease: LeaseId) {
        self.list(endpoint, lease, Spot::default());
        self.spots.remove(endpoint);
    }

    fn list(&mut self, endpoint: EndpointId, lease: LeaseId, new: Spot) {
        let (Some(spot), Some(share)) = (self.spots.get_mut(endpoint), self.shares.get_mut(lease)) else { return };
        let old = std::mem::replace(spot, new);
        if old == new {
            return;
        }
        let at = |time: Option<Nanos>| time.map(|time| (time, endpoint));
        for class in Class::ALL {
            let turn = |spot: Spot| spot.hungry.filter(|hungry| hungry.0 == class).map(|hungry| hungry.1);
            move_in(&mut share.hungry[class as usize], turn(old), turn(new));
        }
        let asks = |spot: Spot| spot.hungry.filter(|hungry| hungry.0.asks()).map(|(_, (_, next, id))| (next, id));
        move_in(&mut share.asks, asks(old), asks(new));
        move_in(&mut share.offering, old.offering, new.offering);
        move_in(&mut share.ripe, at(old.ripe), at(new.ripe));
        move_in(&mut share.resting, at(old.resting), at(new.resting));
        let places = &mut self.places;
        let is_keen = |spot: Spot| spot.hungry.is_some_and(|hungry| hungry.0 == Class::Keen);
        let wants = |spot: Spot| (spot.takes || is_keen(spot)).then_some(endpoint);
        move_in(&mut places.wanting, wants(old), wants(new));
        move_in(&mut places.ripe, at(old.ripe), at(new.ripe));
        move_in(&mut places.stale, at(old.stale), at(new.stale));
        move_in(&mut places.asked, at(old.asked), at(new.asked));
        let unseen = |spot: Spot| spot.unseen.then_some(endpoint);
        move_in(&mut places.unseen, unseen(old), unseen(new));
        let in_place = |spot: Spot| spot.in_place.then_some(endpoint);
        move_in(&mut places.in_place, in_place(old), in_place(new));
        move_in(&mut places.resting, at(old.resting), at(new.resting));
    }

    /// A lease begins.
    pub(super) fn enter(&mut self, lease: LeaseId, user: u32) {
        self.shares.insert(lease, Share { user, opened: self.now, ..Share::default() });
        self.places.users.entry(user).or_default().leases += 1;
    }

    fn leave(&mut self, lease: LeaseId) {
        let Some(Share { user, width, .. }) = self.shares.remove(lease) else { return };
        let Entry::Occupied(mut entry) = self.places.users.entry(user) else { return };
        let user = entry.get_mut();
        (user.width, user.leases) = (user.width - u64::from(width), user.leases - 1);
        if user.leases == 0 {
            entry.remove();
        }
    }

    /// The weight of a lease is another one: what it has counts by that from now on.
    pub(super) fn reweigh(&mut self, lease: LeaseId) {
        if let (Some(share), Some(account)) = (self.shares.get_mut(lease), self.ledger.lease(lease)) {
            share.service.change(self.now, share.width, account.terms().weight);
        }
    }

    /// Computes anew where a lease stands among the others.
    pub(super) fn refresh_lease(&mut self, lease: LeaseId) {
        let Some(share) = self.shares.get_mut(lease) else { return };
        let Some(user) = self.places.users.get_mut(&share.user) else { return };
        let (mut hungry, mut asks, mut offering, mut unfair) = ([None; 4], None, None, [None; 3]);
        let (mut stuck, mut rests, mut over, mut excess) = (None, None, None, None);
        let account = self.ledger.lease(lease);
        if let Some(account) = account {
            let (width, terms) = (account.width(), account.terms());
            if width != share.width {
                share.service.change(self.now, width, terms.weight);
                user.width = user.width + u64::from(width) - u64::from(share.width);
                user.service.change(self.now, u32::try_from(user.width).unwrap_or(u32::MAX), 1);
                share.width = width;
            }
            let floor = if account.stage() == Stage::Ended { 0 } else { terms.floor };
            let rank = |width| Rank::new(width, floor, terms.weight, share.service.value(), lease);
            let capped = account.jobs() >= terms.cap;
            hungry = share.hungry.each_ref().map(|turns| (!capped && !turns.is_empty()).then(|| rank(width)));
            asks = share.asks.first().filter(|_| !capped).map(|ask| (ask.0, lease));
            offering = (!share.offering.is_empty()).then(|| rank(width.saturating_sub(1)));
            let in_place = |endpoint| self.stations.get(endpoint).is_some_and(|s| s.kind.in_place());
            unfair = EMPTY.map(|to| share.is_unfair(to, in_place).then_some(lease));
            let waits = EMPTY.iter().any(|&class| !share.hungry[class as usize].is_empty());
            rests = share.resting.first().filter(|_| !capped).map(|rest| (rest.0, lease));
            stuck = share.ripe.first().filter(|_| capped && waits).map(|ripe| (ripe.0 + TURN.0, lease));
            over = (account.jobs() > terms.cap).then_some(lease);
            excess = over.filter(|_| !share.offering.is_empty());
        }
        for (class, new) in hungry.into_iter().enumerate() {
            move_in(&mut user.hungry[class], share.in_hungry[class], new);
        }
        move_in(&mut user.offering, share.in_offering, offering);
        let places = &mut self.places;
        move_in(&mut places.asks, share.in_asks, asks);
        for (to, new) in unfair.into_iter().enumerate() {
            move_in(&mut places.unfair[to], share.in_unfair[to], new);
        }
        move_in(&mut places.stuck, share.in_stuck, stuck);
        move_in(&mut places.rests, share.in_rests, rests);
        move_in(&mut places.over, share.in_over, over);
        move_in(&mut places.excess, share.in_excess, excess);
        (share.in_hungry, share.in_asks, share.in_offering) = (hungry, asks, offering);
        (share.in_unfair, share.in_stuck, share.in_rests) = (unfair, stuck, rests);
        (share.in_over, share.in_excess) = (over, excess);
        if account.is_none() {
            self.leave(lease);
        }
    }
}

impl User {
    /// What his leases had lately.
    pub fn service(&self) -> u64 {
        self.service.value()
    }

    fn place(&self, id: u32, width: u64, rank: Rank) -> Place {
        Place::new(id, width, self.service.value(), rank)
    }
}

impl Places {
    /// Whether any lease below its cap has an endpoint of this class that may get an offer.
    pub fn is_hungry(&self, class: Class) -> bool {
        self.users.values().any(|user| !user.hungry[class as usize].is_empty())
    }

    /// The lease that has least, of those with an endpoint of this class that may get an offer.
    pub fn poorest(&self, class: Class) -> Option<Place> {
        let first =
            |(&id, user): (&u32, &User)| Some(user.place(id, user.width, *user.hungry[class as usize].first()?));
        self.users.iter().filter_map(first).min()
    }

    /// The lease that has most, of those with an offer lying, with one less.
    pub fn richest(&self) -> Option<Place> {
        let last =
            |(&id, user): (&u32, &User)| Some(user.place(id, user.width.saturating_sub(1), *user.offering.last()?));
        self.users.iter().filter_map(last).max()
    }

    /// Who gets the next first slot: the user who has least, and of his leases the one that came first.
    pub fn next_in_line(&self) -> Option<LeaseId> {
        let first = |user: &User| user.line.first_key_value().map(|(&came, &lease)| (user.width, came, lease));
        self.users.values().filter_map(first).min().map(|(.., lease)| lease)
    }
}

impl Share {
    /// Whose lease it is.
    pub fn user(&self) -> u32 {
        self.user
    }

    /// What it had for its weight lately.
    pub fn service(&self) -> u64 {
        self.service.value()
    }

    /// An offer should move from the endpoint that has most to one without. Ties count only where the byte was just
    /// returned in place: a client that waits is about to read its offer.
    fn is_unfair(&self, to: Class, in_place: impl Fn(EndpointId) -> bool) -> bool {
        let (Some(&(least, next, _)), Some(&(most, served, from))) =
            (self.hungry[to as usize].first(), self.offering.last())
        else {
            return false;
        };
        let longer = to == Class::Keen && next < served && in_place(from);
        least + 1 < most || (least + 1 == most && longer)
    }
}
