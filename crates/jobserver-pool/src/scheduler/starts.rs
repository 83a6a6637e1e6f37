//! Whether a process may start now, in a slot that its lease has already.
//!
//! cargo keeps each token that it has as long as a crate is ready: what it returns is nothing, and what it takes again
//! goes unheard. But each rustc that it starts follows its lease's link before it does anything else, and so do a
//! sub-make and a ninja. There a lease that has more than its share can be made to wait: the process waits for its
//! answer, and the slot in which it was started goes to whoever has less.

use slotmap::SecondaryMap;

use super::index::{Share, Spot, EMPTY};
use super::order::{Place, Rank};
use super::pick::Action;
use super::policy::CAUGHT;
use super::station::{Class, Kind, Station};
use super::{Nanos, Scheduler};
use crate::ledger::{EndpointId, LeaseId, Stage};

/// What a process that starts has to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Start {
    /// It starts.
    Now,
    /// It waits for [`Action::Start`] of this account.
    Later(EndpointId),
}

impl Scheduler {
    /// More slots are out than should be.
    pub fn has_too_much_out(&self) -> bool {
        self.ledger.owed() > 0 || !self.places.over.is_empty()
    }

    /// Clients that would read again what they return, while others should have it, and how much of it.
    pub fn to_catch(&self) -> Vec<(EndpointId, u32)> {
        let mut left: SecondaryMap<LeaseId, u32> = SecondaryMap::new();
        let mut caught = Vec::new();
        // They hold a token each: there are no more of them than slots.
        for &endpoint in &self.places.in_place {
            let Some(account) = self.ledger.endpoint(endpoint) else { continue };
            let lease = account.lease();
            if !left.contains_key(lease) {
                left.insert(lease, self.too_wide_by(lease));
            }
            let most = left[lease].min(account.held());
            if most > 0 && caught.len() < CAUGHT {
                left[lease] -= most;
                caught.push((endpoint, most));
            }
        }
        caught
    }

    /// Whether a process may have to wait at all: where not, there is no need to find out whose slot it starts in.
    pub fn may_pause(&self, lease: LeaseId) -> bool {
        self.pausable(lease) && (self.is_too_wide(lease) || self.first_paused(lease).is_some())
    }

    /// A process starts in a slot that this lease holds.
    pub fn starts(&mut self, now: Nanos, lease: LeaseId) -> Start {
        self.pass(now);
        if !self.pausable(lease) {
            return Start::Now;
        }
        let waits = if self.is_too_wide(lease) {
            self.ledger.pause(lease)
        } else {
            // Who has waited longest goes first.
            self.first_paused(lease).and_then(|first| {
                self.leave_paused(lease, first);
                self.started.push_back(first);
                self.ledger.swap_paused(first)
            })
        };
        let Some(endpoint) = waits else { return Start::Now };
        self.stations.insert(endpoint, Station::new(Kind::Paused, self.now));
        self.spots.insert(endpoint, Spot::default());
        if let Some(share) = self.shares.get_mut(lease) {
            share.paused.insert((self.now, endpoint));
        }
        self.refresh(endpoint);
        Start::Later(endpoint)
    }

    /// A process that waits to start does so now, or will never: it is counted as any other from here on.
    pub fn start_at_once(&mut self, now: Nanos, endpoint: EndpointId) {
        self.pass(now);
        let Some(lease) = self.ledger.endpoint(endpoint).map(|account| account.lease()) else { return };
        self.leave_paused(lease, endpoint);
        self.ledger.start_paused(endpoint);
        self.refresh_lease(lease);
    }

    fn leave_paused(&mut self, lease: LeaseId, endpoint: EndpointId) {
        let since = self.stations.remove(endpoint).map_or(self.now, |station| station.served);
        self.note_wait(endpoint, Some(self.now - since));
        self.unlist(endpoint, lease);
        if let Some(share) = self.shares.get_mut(lease) {
            share.paused.remove(&(since, endpoint));
        }
    }

    /// The next one that was told to start by another one's coming.
    pub(super) fn next_started(&mut self) -> Option<Action> {
        self.started.pop_front().map(|endpoint| Action::Start { endpoint })
    }

    /// Its command runs, and keeps a slot if one process waits.
    fn pausable(&self, lease: LeaseId) -> bool {
        self.ledger.lease(lease).is_some_and(|account| account.stage() == Stage::Running && account.held() > 0)
    }

    /// Others should have a slot of this lease.
    fn is_too_wide(&self, lease: LeaseId) -> bool {
        let (Some(account), Some(share)) = (self.ledger.lease(lease), self.shares.get(lease)) else { return false };
        let terms = account.terms();
        if account.held() <= terms.floor.max(1) || self.ledger.free() > 0 {
            return false;
        }
        if self.ledger.owed() > 0 || account.jobs() > terms.cap || self.places.next_in_line().is_some() {
            return true;
        }
        let Some((poor, class, _)) = self.hungriest(&EMPTY) else { return false };
        let Some(user) = self.places.users.get(&share.user()) else { return false };
        let rank = Rank::new(account.width() - 1, terms.floor, terms.weight, share.service(), lease);
        let rich = Place::new(share.user(), user.width.saturating_sub(1), user.service(), rank);
        let level = poor.level(&rich);
        let had_less = level.is_eq() && class == Class::Keen && poor.rank.service < rank.service;
        poor.rank.lease != lease && (level.is_lt() || had_less)
    }

    /// How many slots of this lease whoever has least should have: at least 1 if any. Where more are out than should be, one by
    /// one.
    fn too_wide_by(&self, lease: LeaseId) -> u32 {
        if !self.is_too_wide(lease) {
            return 0;
        }
        let known = |lease| Some((self.ledger.lease(lease)?, self.shares.get(lease)?));
        // One that may be idle is asked by one.
        let poor = self.hungriest(&EMPTY).filter(|(_, class, _)| *class == Class::Keen);
        let poor = poor.and_then(|(poor, ..)| known(poor.rank.lease));
        let (Some((rich, richs)), Some((poor, poors))) = (known(lease), poor) else { return 1 };
        let width = |share: &Share| self.places.users.get(&share.user()).map_or(0, |user| user.width);
        let by = if richs.user() == poors.user() {
            let [rich_weight, poor_weight] = [rich, poor].map(|account| u64::from(account.terms().weight));
            let [rich_width, poor_width] = [rich, poor].map(|account| u64::from(account.width()));
            (rich_width * poor_weight).saturating_sub(poor_width * rich_weight) / (rich_weight + poor_weight).max(1)
        } else {
            width(richs).saturating_sub(width(poors)) / 2
        };
        let above_floor = rich.held().saturating_sub(rich.terms().floor.max(1));
        u32::try_from(by).unwrap_or(u32::MAX).min(above_floor).max(1)
    }

    /// The process of a lease that has waited longest.
    pub(super) fn first_paused(&self, lease: LeaseId) -> Option<EndpointId> {
        self.shares.get(lease)?.paused.first().map(|paused| paused.1)
    }
}
