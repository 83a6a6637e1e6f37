//! What the ledger writes down of one lease and of one endpoint.
//!
//! Plain records: every change goes through a move of the [`Ledger`](super::Ledger), which keeps the sums.

use std::collections::BTreeSet;

slotmap::new_key_type! {
    /// Names one lease, for as long as anything is counted for it.
    pub struct LeaseId;
    /// Names one endpoint, until it is closed.
    pub struct EndpointId;
}

/// What a lease asks for when it is opened.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Terms {
    /// What a person calls it.
    pub name: String,
    /// Whose it is: slots are divided among users first, and what a user has among his leases.
    pub user: u32,
    /// So many slots it gets before any lease above its own floor gets another one.
    pub floor: u32,
    /// Never more jobs than this, the command's implicit slot included.
    pub cap: u32,
    /// Its share of the slots, in relation to the weights of the others.
    pub weight: u32,
    /// The command owns its caller's slot, which is none of this pool's: it never waits for a first one.
    pub inherited: bool,
    /// Start at once and owe the first slot where none is free.
    pub now: bool,
}

impl Terms {
    /// One slot at least, no cap, the same weight as everyone.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), user: 0, floor: 1, cap: u32::MAX, weight: 1, inherited: false, now: false }
    }
}

/// Where a lease stands in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Opened; its command waits for its first slot.
    Waiting,
    /// Its command runs.
    Running,
    /// Its command is gone; processes it left behind may still hold slots.
    Ended,
}

/// The account of one lease.
#[derive(Debug)]
pub struct LeaseAccount {
    pub(super) terms: Terms,
    pub(super) stage: Stage,
    pub(super) closed: bool,
    pub(super) implicit: u32,
    pub(super) held: u32,
    pub(super) offered: u32,
    pub(super) peak: u32,
    pub(super) lent: u32,
    /// Of those, the ones that processes do without which wait to start.
    pub(super) paused: u32,
    pub(super) endpoints: u32,
    /// Endpoints that hold something, by how much: the last one pays for a byte nobody else accounts for.
    pub(super) holders: BTreeSet<(u32, EndpointId)>,
}

impl LeaseAccount {
    pub(super) fn new(terms: Terms) -> Self {
        Self {
            terms,
            stage: Stage::Waiting,
            closed: false,
            implicit: 0,
            held: 0,
            offered: 0,
            peak: 0,
            lent: 0,
            paused: 0,
            endpoints: 0,
            holders: BTreeSet::new(),
        }
    }

    /// What it asked for.
    pub fn terms(&self) -> &Terms {
        &self.terms
    }

    /// Where it stands in its life.
    pub fn stage(&self) -> Stage {
        self.stage
    }

    /// Slots of this pool that run its jobs, its command's implicit slot included, and without those that were lent.
    pub fn held(&self) -> u32 {
        (self.held + self.implicit).saturating_sub(self.lent)
    }

    /// Slots whose holders do without them for a while.
    pub fn lent(&self) -> u32 {
        self.lent
    }

    /// Those of them that processes do without which wait to start.
    pub fn paused(&self) -> u32 {
        self.paused
    }

    /// Tokens that lie at its endpoints unread.
    pub fn offered(&self) -> u32 {
        self.offered
    }

    /// The most that it has held at once.
    pub fn peak(&self) -> u32 {
        self.peak
    }

    pub(super) fn note_peak(&mut self) {
        self.peak = self.peak.max(self.held());
    }

    /// Tokens at its endpoints, read and unread.
    pub fn tokens(&self) -> u32 {
        self.held + self.offered
    }

    /// Endpoints open in its name.
    pub fn endpoints(&self) -> u32 {
        self.endpoints
    }

    /// The jobs it runs or may start at once: the measure for floors and shares. The command's own job counts also where
    /// its slot is the caller's, as a `-j3` means three jobs wherever the first slot comes from. What is lent counts too:
    /// nobody gets a larger share by saying that he lends. What the pool itself keeps from starting does not.
    pub fn width(&self) -> u32 {
        (self.held + self.offered + u32::from(self.stage == Stage::Running)).saturating_sub(self.paused)
    }

    /// The same without what is lent: the measure for caps.
    pub fn jobs(&self) -> u32 {
        self.width().saturating_sub(self.lent - self.paused)
    }
}

/// The account of one endpoint.
#[derive(Debug)]
pub struct EndpointAccount {
    pub(super) lease: LeaseId,
    pub(super) held: u32,
    pub(super) offered: u32,
}

impl EndpointAccount {
    /// The lease it belongs to.
    pub fn lease(&self) -> LeaseId {
        self.lease
    }

    /// Tokens read and not returned yet.
    pub fn held(&self) -> u32 {
        self.held
    }

    /// Tokens that lie there unread.
    pub fn offered(&self) -> u32 {
        self.offered
    }
}
