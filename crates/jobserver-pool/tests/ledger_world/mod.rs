//! FIFOs as counters, clients that do anything, and a driver that asserts what must always hold.

mod more;

use std::collections::BTreeMap;

use jobserver_pool::ledger::{EndpointId, LeaseId, Stage, Terms};
use jobserver_pool::scheduler::{Action, Kind, Nanos, Scheduler};

pub const MS: Nanos = 1_000_000;

#[derive(Debug)]
struct Fifo {
    lease: LeaseId,
    kind: Kind,
    lying: u32,
    output: u32,
    dirty: bool,
    shut: bool,
}

#[derive(Debug)]
pub struct World {
    now: Nanos,
    pool: Scheduler,
    leases: Vec<LeaseId>,
    fifos: BTreeMap<EndpointId, Fifo>,
    /// Tokens that processes of a lease have read and not written back.
    held: BTreeMap<LeaseId, u32>,
    strays: u64,
    /// Processes that wait to start.
    paused: BTreeMap<EndpointId, LeaseId>,
}

impl World {
    pub fn new(capacity: u32) -> Self {
        let pool = Scheduler::new(capacity);
        let (fifos, held, paused) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        Self { now: 0, pool, leases: Vec::new(), fifos, held, strays: 0, paused }
    }

    pub fn step(&mut self, word: u64) {
        let (what, a, b, count) = (word as u8 % 64, word >> 8 & 0xffff, word >> 24 & 0xffff, word >> 40 & 3);
        let endpoint = self.fifos.keys().nth(a as usize % self.fifos.len().max(1)).copied();
        let lease = self.leases.get(b as usize % self.leases.len().max(1)).copied();
        match (what, endpoint, lease) {
            (0..=1, ..) if self.leases.len() < 5 => self.open_lease(a, b),
            (2..=4, _, Some(lease)) if self.fifos.len() < 10 => self.open_endpoint(lease, a),
            (5, _, Some(lease)) => {
                self.pool.end_command(self.now, lease);
                self.start_all_of(lease);
            }
            (6, _, Some(lease)) => {
                self.pool.close_lease(self.now, lease);
                self.start_all_of(lease);
                self.leases.retain(|&other| other != lease);
            }
            (7, Some(endpoint), _) => self.exit(endpoint),
            (8, ..) => self.pool.resize(self.now, (a % 10) as u32),
            (9..=27, Some(endpoint), _) => self.read(endpoint, 1 + count as u32),
            (28..=44, Some(endpoint), _) => self.write(endpoint, 1 + count as u32 / 2, false),
            (45, Some(endpoint), _) => {
                // Where bytes stay lying, a read and a stray write between two looks can't be told from nothing.
                self.settle(b);
                self.write(endpoint, 1 + count as u32, true);
                self.settle(b);
            }
            (46..=53, ..) => self.settle(b),
            (54, ..) if a % 2 == 1 => self.settle(b),
            (54..=55, _, Some(lease)) if a % 2 == 0 => self.start_in(lease),
            (57, ..) if a % 4 == 0 => self.interrupt(b),
            (55, _, Some(lease)) => drop(self.pool.lend(self.now, lease)),
            (56, Some(endpoint), _) => self.regain(endpoint),
            (57, _, Some(lease)) => self.pool.end_loan(self.now, lease),
            (58, Some(endpoint), _) if b % 4 == 0 => self.repair(endpoint),
            (58..=60, ..) => self.now += a * MS / 1000,
            (61, ..) => self.now += a * MS,
            (62, _, Some(lease)) if b % 2 == 0 => self.set_terms(lease, a, b),
            (62, Some(endpoint), _) => self.set_shut(endpoint, a % 2 == 0),
            _ => self.now = self.pool.next_due().unwrap_or(self.now),
        }
        if what != 63 {
            self.drive();
        }
    }

    /// A lease whose first slot is its caller's.
    pub fn open_capped(&mut self, cap: u32) -> LeaseId {
        let mut terms = Terms::new("a lease");
        (terms.cap, terms.inherited) = (cap, true);
        let lease = self.pool.open_lease(self.now, terms);
        self.leases.push(lease);
        lease
    }

    /// A lease of that user, which waits for its first slot.
    pub fn open_of(&mut self, user: u32) -> LeaseId {
        let mut terms = Terms::new("a lease");
        terms.user = user;
        let lease = self.pool.open_lease(self.now, terms);
        self.leases.push(lease);
        self.drive();
        lease
    }

    pub fn close(&mut self, lease: LeaseId) {
        self.pool.close_lease(self.now, lease);
        self.leases.retain(|&other| other != lease);
        self.drive();
    }

    /// Slots that it uses.
    pub fn held_by(&self, lease: LeaseId) -> u32 {
        self.pool.ledger().lease(lease).map_or(0, |account| account.held())
    }

    pub fn open_waiting(&mut self, lease: LeaseId) -> EndpointId {
        self.open(lease, Kind::Waiting)
    }

    pub fn open_non_waiting(&mut self, lease: LeaseId) -> EndpointId {
        self.open(lease, Kind::NonWaiting)
    }

    /// Time passes, and what is due by then is done.
    pub fn pass(&mut self, time: Nanos) {
        let until = self.now + time;
        while let Some(due) = self.pool.next_due().filter(|&due| due < until) {
            self.now = due;
            self.drive();
        }
        self.now = until;
        self.drive();
    }

    /// Whether nobody could win by what a client does now.
    pub fn is_calm(&self) -> bool {
        self.pool.is_calm()
    }

    pub fn lies_at(&self, endpoint: EndpointId) -> u32 {
        self.fifos[&endpoint].lying
    }

    pub fn take(&mut self, endpoint: EndpointId, most: u32) {
        self.read(endpoint, most);
        self.settle(0);
        self.drive();
    }

    /// One token.
    pub fn give_back(&mut self, endpoint: EndpointId) {
        self.write(endpoint, 1, false);
        self.settle(0);
        self.drive();
    }

    /// Nobody does anything.
    pub fn rest_until(&mut self, is_so: impl Fn(&World) -> bool) {
        self.drive();
        let until = self.now + 60_000 * MS;
        while !is_so(self) {
            self.now = self.pool.next_due().unwrap_or_else(|| panic!("nothing will happen: {:?}", self.pool));
            assert!(self.now < until, "it takes a minute: {:?}", self.pool);
            self.drive();
        }
    }

    fn open_lease(&mut self, a: u64, b: u64) {
        let mut terms = Terms::new("a lease");
        (terms.inherited, terms.now) = (a % 8 == 0, a % 8 == 1);
        terms.user = (b / 16 % 3) as u32;
        (terms.floor, terms.weight) = (1 + (b % 5 / 4) as u32, 1 + (b % 3) as u32);
        terms.cap = if b % 2 == 0 { 1 + (a / 8 % 5) as u32 } else { u32::MAX };
        self.leases.push(self.pool.open_lease(self.now, terms));
    }

    fn open_endpoint(&mut self, lease: LeaseId, a: u64) {
        let shared = Kind::Shared { in_place: a % 16 < 8 };
        let kind = [Kind::Waiting, Kind::NonWaiting, Kind::Unsplit, shared][a as usize % 4];
        let endpoint = self.open(lease, kind);
        self.start_by_any(endpoint, a / 16);
    }

    pub fn open(&mut self, lease: LeaseId, kind: Kind) -> EndpointId {
        let endpoint = self.pool.open_endpoint(self.now, lease, kind).expect("the lease is open");
        self.fifos.insert(endpoint, Fifo { lease, kind, lying: 0, output: 0, dirty: false, shut: false });
        endpoint
    }

    /// The roles of a client are learned after it was settled.
    fn repair(&mut self, endpoint: EndpointId) {
        self.settle(0);
        let fifo = self.fifos.get_mut(&endpoint).expect("it is open");
        fifo.kind = if fifo.kind == Kind::Waiting { Kind::NonWaiting } else { Kind::Waiting };
        self.pool.set_kind(self.now, endpoint, fifo.kind);
    }

    fn exit(&mut self, endpoint: EndpointId) {
        self.settle(0);
        let fifo = self.fifos.remove(&endpoint).expect("it is open");
        let held = self.pool.close_endpoint(self.now, endpoint);
        *self.held.entry(fifo.lease).or_default() -= held;
    }

    /// By the client itself, a child of its, or anybody who opened the same FIFO.
    fn read(&mut self, endpoint: EndpointId, count: u32) {
        let fifo = self.fifos.get_mut(&endpoint).expect("it is open");
        let count = if fifo.shut { 0 } else { fifo.lying.min(count) };
        fifo.lying -= count;
        fifo.dirty |= count > 0;
        *self.held.entry(fifo.lease).or_default() += count;
    }

    /// Whoever in the lease read it, it is written here; `too_many`: also what nobody read.
    fn write(&mut self, endpoint: EndpointId, count: u32, too_many: bool) {
        let fifo = self.fifos.get_mut(&endpoint).expect("it is open");
        let held = self.held.entry(fifo.lease).or_default();
        let real = (*held).min(count);
        *held -= real;
        let count = if too_many { count } else { real };
        self.strays += u64::from(count - real);
        if fifo.kind.in_place() {
            fifo.lying += count;
        } else {
            fifo.output += count;
        }
        fifo.dirty |= count > 0;
    }

    /// Looks at all FIFOs that stirred: first at what was taken, for what came back may have been read elsewhere.
    fn settle(&mut self, b: u64) {
        let dirty: Vec<_> = self.fifos.iter().filter(|(_, fifo)| fifo.dirty).map(|(id, _)| *id).collect();
        let any = self.fifos.keys().nth(b as usize % self.fifos.len().max(1)).copied();
        for &endpoint in &dirty {
            let taken = self.offered(endpoint).saturating_sub(self.fifos[&endpoint].lying);
            if taken > 0 {
                let _ = self.pool.stirred(self.now, endpoint, taken, 0, &[]);
            }
        }
        for &endpoint in &dirty {
            let more = self.fifos[&endpoint].lying.saturating_sub(self.offered(endpoint));
            let fifo = self.fifos.get_mut(&endpoint).expect("it is open");
            let returned = more + std::mem::take(&mut fifo.output);
            fifo.dirty = false;
            let before: Vec<_> = any.into_iter().collect();
            let _ = self.pool.stirred(self.now, endpoint, 0, returned, &before);
        }
        assert_eq!(self.pool.ledger().strays(), self.strays, "what nobody read is a stray, and nothing else");
    }

    fn offered(&self, endpoint: EndpointId) -> u32 {
        self.pool.ledger().endpoint(endpoint).map_or(0, |account| account.offered())
    }

    fn drive(&mut self) {
        let (mut actions, mut in_vain) = (0, Vec::new());
        while let Some(action) = self.pool.next(self.now) {
            actions += 1;
            assert!(actions < 400, "it goes to and fro: {action:?}, {:?}", self.pool);
            match action {
                Action::Offer { endpoint, count } => self.offer(endpoint, count),
                Action::Withdraw { endpoint, count } => {
                    assert_eq!(self.pool.next(self.now), None, "nothing before a withdrawal is answered");
                    assert!(!in_vain.contains(&endpoint), "asked again for what a client was quicker to take");
                    let fifo = self.fifos.get_mut(&endpoint).expect("withdrawals are for open endpoints");
                    let got = fifo.lying.min(count);
                    fifo.lying -= got;
                    if got < count {
                        in_vain.push(endpoint);
                    }
                    assert!(count > 0, "a withdrawal of nothing");
                    self.pool.withdrawn(self.now, endpoint, got);
                }
                Action::Grant { lease } => {
                    let stage = self.pool.ledger().lease(lease).map(|lease| lease.stage());
                    assert_eq!(stage, Some(Stage::Running), "only an open lease starts");
                }
                Action::Start { endpoint } => {
                    self.paused.remove(&endpoint).expect("it waits to start");
                }
                other => panic!("{other:?} is new"),
            }
            assert!(self.pool.ledger().balanced());
        }
        self.check();
    }

    fn offer(&mut self, endpoint: EndpointId, count: u32) {
        let fifo = self.fifos.get_mut(&endpoint).expect("offers are for open endpoints");
        assert!(!fifo.shut, "an offer that nobody sees");
        fifo.lying += count;
        let ledger = self.pool.ledger();
        let lease = ledger.lease(fifo.lease).expect("its lease is counted");
        assert!(count > 0, "an offer of nothing");
        assert!(lease.jobs() <= lease.terms().cap, "more than its cap: {lease:?}");
        let extra = lease.stage() == Stage::Ended || lease.width() - count >= lease.terms().floor;
        let waits = ledger.leases().any(|(_, other)| other.stage() == Stage::Waiting);
        assert!(!(extra && waits), "a lease above its floor got another slot before a new one got its first");
    }

    fn check(&self) {
        let ledger = self.pool.ledger();
        ledger.recount().expect("every slot is somewhere");
        assert!(ledger.held() <= ledger.capacity() + ledger.owed());
        assert!(self.pool.next_due().is_none_or(|due| due > self.now), "due now: {:?}", self.pool);
        let waits = ledger.leases().any(|(_, lease)| lease.stage() == Stage::Waiting);
        assert!(!waits || ledger.free() == 0, "a lease waits beside a free slot");
        for (&endpoint, fifo) in self.fifos.iter().filter(|(_, fifo)| !fifo.dirty) {
            assert_eq!(fifo.lying, self.offered(endpoint), "an offer was lost at {endpoint:?}");
            assert!(!fifo.shut || fifo.lying == 0, "what nobody would see is taken back");
        }
        if self.fifos.values().all(|fifo| !fifo.dirty) {
            for (id, lease) in ledger.leases() {
                let implicit = u32::from(lease.stage() == Stage::Running && !lease.terms().inherited);
                let held = self.held.get(&id).copied().unwrap_or(0);
                assert_eq!(lease.held() + lease.lent() - implicit, held, "what a lease holds");
                let within = lease.jobs() <= lease.terms().cap;
                assert!(within || lease.offered() == 0, "what lies there beyond its cap is taken back: {lease:?}");
            }
            self.nobody_starves();
            self.nobody_waits_to_start_for_ever();
            self.calm_is_whoever_has_nothing_to_wait_for();
        }
    }

    /// Whoever waits without an offer, and could get one, has a moment at which that is looked at again.
    fn nobody_starves(&self) {
        let waits = |(endpoint, fifo): (&EndpointId, &Fifo)| {
            fifo.kind == Kind::Waiting && !fifo.shut && self.could_get(*endpoint)
        };
        let starves = self.fifos.iter().find(|&(endpoint, fifo)| fifo.lying == 0 && waits((endpoint, fifo)));
        if let Some((endpoint, _)) = starves {
            assert!(self.pool.next_due().is_some(), "{endpoint:?} starves: {:?}", self.pool);
        }
    }

    /// The pool looks away while it is calm. Then nobody takes an offer and returns what comes of it where only the pool
    /// reads, nor waits for a slot while others have some.
    fn calm_is_whoever_has_nothing_to_wait_for(&self) {
        if !self.pool.is_calm() {
            return;
        }
        let ledger = self.pool.ledger();
        assert_eq!((ledger.free(), ledger.owed()), (0, 0), "calm, and something is free or owed");
        assert!(ledger.leases().all(|(_, lease)| lease.stage() != Stage::Waiting), "calm, and a lease waits");
        let unheard = self.fifos.iter().find(|(_, fifo)| fifo.lying > 0 && !fifo.kind.in_place());
        assert!(unheard.is_none(), "calm, and what is taken here comes back unheard: {unheard:?}");
    }

    /// While the others leave everything lying, each client that waits without an offer gets one, if there is any.
    pub fn everyone_who_waits_is_asked(&mut self) {
        self.settle(0);
        self.drive();
        let waiting: Vec<_> =
            self.fifos.iter().filter(|(_, fifo)| fifo.kind == Kind::Waiting && !fifo.shut).map(|f| *f.0).collect();
        for endpoint in waiting {
            let until = self.now + 60_000 * MS;
            while self.fifos[&endpoint].lying == 0 && self.could_get(endpoint) {
                let due = self.pool.next_due();
                self.now = due.unwrap_or_else(|| panic!("{endpoint:?} starves: {:?}", self.pool));
                assert!(self.now < until, "{endpoint:?} waits for a minute: {:?}", self.pool);
                self.drive();
            }
        }
    }

    fn could_get(&self, endpoint: EndpointId) -> bool {
        let ledger = self.pool.ledger();
        let lease = ledger.lease(self.fifos[&endpoint].lease).expect("its lease is counted");
        let inside = lease.offered() > 0;
        let below_cap = lease.jobs() < lease.terms().cap;
        let waits = ledger.leases().any(|(_, other)| other.stage() == Stage::Waiting);
        let outside = ledger.free() > 0 || ledger.offered() > 0;
        ledger.owed() == 0 && !waits && (inside || (below_cap && outside))
    }

    pub fn all_slots_come_back(&mut self) {
        while !self.paused.is_empty() {
            self.interrupt(0);
            self.drive();
        }
        for endpoint in self.fifos.keys().copied().collect::<Vec<_>>() {
            self.exit(endpoint);
            self.drive();
        }
        for lease in std::mem::take(&mut self.leases) {
            self.pool.close_lease(self.now, lease);
            self.drive();
        }
        let ledger = self.pool.ledger();
        let all = (ledger.free(), ledger.held(), ledger.offered(), ledger.owed());
        assert_eq!(all, (ledger.capacity(), 0, 0, 0), "all slots are free at the end");
        assert_eq!((ledger.leases().count(), ledger.endpoints().count()), (0, 0));
        assert_eq!(self.pool.next_due(), None, "no timer in an empty pool");
    }
}
