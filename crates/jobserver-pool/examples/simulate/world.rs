//! Virtual time: an event queue, the FIFOs as counters, and a driver that drives the very scheduler as the server does.
//!
//! The driver sees what clients did only after a delay, as inotify and the system's scheduler give it, and finds bytes
//! gone that a client read meanwhile. Everything is drawn from one seed.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Instant;

use jobserver_pool::ledger::{EndpointId, LeaseId, Terms};
use jobserver_pool::scheduler::{Action, Kind, Nanos, Scheduler};
use slotmap::SecondaryMap;

use crate::clients::{Client, Nature};

pub const US: Nanos = 1_000;
pub const MS: Nanos = 1_000 * US;
pub const S: Nanos = 1_000 * MS;

/// A small generator (splitmix64): the same numbers from the same seed, everywhere.
#[derive(Debug)]
pub struct Chance(pub u64);

impl Chance {
    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.draw() % (high - low + 1)
    }

    /// Most wake-ups take 20 to 80 us, one in fifty a slice of the system's scheduler.
    pub fn wake_up(&mut self) -> Nanos {
        if self.draw() % 50 == 0 {
            self.between(MS, 3 * MS)
        } else {
            self.between(20 * US, 80 * US)
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Event {
    /// A build is started by a person.
    Arrive(usize),
    /// The server looks at a client's endpoint.
    Stir(usize),
    /// The server's timer.
    Due,
    /// A client starts, or may go on: an offer came, or a child ended, or it has work.
    Step(usize),
    /// One of its jobs ended; whether that was the one on the implicit slot.
    JobEnd(usize, u32, bool),
    /// SIGKILL.
    Kill(usize),
    /// The server learned that a process is gone.
    Gone(EndpointId),
    /// An idle client has something to do again.
    Work(usize),
    /// A command is gone.
    End(usize),
}

/// One command under a lease of its own.
#[derive(Debug)]
pub struct Build {
    pub terms: Terms,
    pub lease: Option<LeaseId>,
    /// What its command starts.
    pub plan: Vec<Client>,
    pub alive: u32,
    pub started: Option<Nanos>,
    pub ended: Option<Nanos>,
    /// When each of its jobs ended.
    pub done: Vec<Nanos>,
}

pub struct World {
    pub now: Nanos,
    pub chance: Chance,
    pub pool: Scheduler,
    pub builds: Vec<Build>,
    pub clients: Vec<Client>,
    pub at: SecondaryMap<EndpointId, usize>,
    of_lease: SecondaryMap<LeaseId, usize>,
    one_lease: bool,
    queue: BinaryHeap<Reverse<(Nanos, u64, Event)>>,
    pushed: u64,
    timer: Option<Nanos>,
    /// Wall time spent in the scheduler, calls of it, and actions that came out.
    pub spent: std::time::Duration,
    pub calls: u64,
    pub actions: u64,
}

impl World {
    pub fn new(seed: u64, capacity: u32) -> Self {
        Self {
            now: 0,
            chance: Chance(seed),
            pool: Scheduler::new(capacity),
            builds: Vec::new(),
            clients: Vec::new(),
            at: SecondaryMap::new(),
            of_lease: SecondaryMap::new(),
            one_lease: false,
            queue: BinaryHeap::new(),
            pushed: 0,
            timer: None,
            spent: std::time::Duration::ZERO,
            calls: 0,
            actions: 0,
        }
    }

    pub fn push(&mut self, at: Nanos, event: Event) {
        self.pushed += 1;
        self.queue.push(Reverse((at, self.pushed, event)));
    }

    pub fn build(&mut self, at: Nanos, terms: Terms, plan: Vec<Client>) -> usize {
        let (alive, done) = (0, Vec::new());
        self.builds.push(Build { terms, lease: None, plan, alive, started: None, ended: None, done });
        self.push(at, Event::Arrive(self.builds.len() - 1));
        self.builds.len() - 1
    }

    /// Runs until the time, or until nothing is left to do.
    pub fn run(&mut self, until: Nanos) {
        while let Some(&Reverse((at, _, event))) = self.queue.peek() {
            if at > until {
                break;
            }
            self.queue.pop();
            self.now = at;
            self.happen(event);
        }
        self.now = self.now.max(until);
    }

    /// Runs until every build but the given ones has ended.
    pub fn run_until_ended(&mut self, builds: &[usize], at_most: Nanos) {
        while builds.iter().any(|&build| self.builds[build].ended.is_none()) && self.now < at_most {
            let Some(Reverse((at, _, event))) = self.queue.pop() else {
                panic!("a build hangs: {:?}", self.pool.ledger())
            };
            self.now = at;
            self.happen(event);
        }
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Arrive(build) => {
                let terms = self.builds[build].terms.clone();
                let at_once = terms.inherited || terms.now;
                let shared = self.builds.iter().find_map(|build| build.lease).filter(|_| self.one_lease);
                let lease = shared.unwrap_or_else(|| self.ask(|pool, now| pool.open_lease(now, terms)));
                self.builds[build].lease = Some(lease);
                self.of_lease.insert(lease, build);
                if at_once {
                    self.start(build);
                }
                self.drive();
            }
            Event::Stir(client) => self.stir(client),
            Event::Due => {
                if self.timer.is_some_and(|timer| timer <= self.now) {
                    self.timer = None;
                    self.drive();
                }
            }
            Event::Gone(endpoint) => {
                self.ask(|pool, now| pool.close_endpoint(now, endpoint));
                self.drive();
            }
            Event::End(build) => {
                if let Some(lease) = self.builds[build].lease.filter(|_| !self.one_lease) {
                    self.ask(|pool, now| pool.close_lease(now, lease));
                }
                self.drive();
            }
            Event::Step(client) => self.step(client),
            Event::JobEnd(client, life, implicit) => self.job_end(client, life, implicit),
            Event::Kill(client) => self.kill(client),
            Event::Work(client) => self.work(client),
        }
    }

    /// All builds are commands of one lease, as under one `run`, with so many tokens beside its own slot.
    pub fn share_one_lease(&mut self, tokens: u32) {
        self.pool.resize(0, tokens);
        self.one_lease = true;
    }

    fn start(&mut self, build: usize) {
        let at = self.now + self.chance.between(2 * MS, 4 * MS);
        self.builds[build].started = Some(at);
        for client in std::mem::take(&mut self.builds[build].plan) {
            let client = self.admit(client, build);
            self.push(at, Event::Step(client));
        }
    }

    /// A client that is about to start; its endpoint is opened by its first step.
    pub fn admit(&mut self, mut client: Client, build: usize) -> usize {
        client.build = build;
        self.builds[build].alive += 1;
        self.clients.push(client);
        self.clients.len() - 1
    }

    pub fn open(&mut self, client: usize) {
        let Some(lease) = self.builds[self.clients[client].build].lease else { return };
        let kind = self.clients[client].nature.kind();
        if let Some(endpoint) = self.ask(|pool, now| pool.open_endpoint(now, lease, kind)) {
            self.clients[client].endpoint = Some(endpoint);
            self.at.insert(endpoint, client);
        }
        self.drive();
    }

    /// The client is done, or dead.
    pub fn leave(&mut self, client: usize) {
        if let Some(endpoint) = self.clients[client].endpoint.take() {
            self.at.remove(endpoint);
            let at = self.now + self.chance.between(150 * US, 400 * US);
            self.push(at, Event::Gone(endpoint));
        }
        let build = self.clients[client].build;
        self.builds[build].alive -= 1;
        if self.builds[build].alive == 0 {
            self.builds[build].ended = Some(self.now);
            let at = self.now + self.chance.between(150 * US, 400 * US);
            self.push(at, Event::End(build));
        }
    }

    /// A client read or wrote: the server will be told.
    pub fn touched(&mut self, client: usize) {
        if !self.clients[client].stirring {
            self.clients[client].stirring = true;
            let at = self.now + self.chance.wake_up();
            self.push(at, Event::Stir(client));
        }
    }

    /// OUT first, then how many bytes lie in IN.
    fn stir(&mut self, client: usize) {
        let state = &mut self.clients[client];
        state.stirring = false;
        let Some(endpoint) = state.endpoint else { return };
        let (out, lying) = (std::mem::take(&mut state.output), state.input);
        let offered = self.pool.ledger().endpoint(endpoint).map_or(0, |account| account.offered());
        let (taken, more) = (offered.saturating_sub(lying), lying.saturating_sub(offered));
        let answer = self.ask(|pool, now| pool.stirred(now, endpoint, taken, out + more, &[]));
        assert_eq!(answer.strays, 0, "no client here writes more than it read");
        self.drive();
    }

    fn drive(&mut self) {
        let before = self.actions;
        while let Some(action) = self.ask(Scheduler::next) {
            self.actions += 1;
            assert!(self.actions - before < 100_000, "it goes to and fro: {action:?}");
            match action {
                Action::Offer { endpoint, count } => {
                    if let Some(&client) = self.at.get(endpoint) {
                        self.clients[client].input += count;
                        if self.clients[client].blocked.is_some() {
                            let at = self.now + self.chance.wake_up();
                            self.push(at, Event::Step(client));
                        }
                    }
                }
                Action::Withdraw { endpoint, count } => {
                    let got = self.at.get(endpoint).map_or(count, |&client| {
                        let got = self.clients[client].input.min(count);
                        self.clients[client].input -= got;
                        got
                    });
                    self.ask(|pool, now| pool.withdrawn(now, endpoint, got));
                }
                Action::Grant { lease } => self.start(self.of_lease[lease]),
                other => panic!("the driver does not know {other:?}"),
            }
        }
        debug_assert!(self.pool.ledger().balanced());
        let due = self.pool.next_due();
        if due != self.timer {
            self.timer = due;
            if let Some(due) = due {
                self.push(due.max(self.now), Event::Due);
            }
        }
    }

    fn ask<T>(&mut self, question: impl FnOnce(&mut Scheduler, Nanos) -> T) -> T {
        let start = Instant::now();
        let answer = question(&mut self.pool, self.now);
        self.spent += start.elapsed();
        self.calls += 1;
        answer
    }
}

impl Nature {
    fn kind(&self) -> Kind {
        match self {
            Nature::Ninja | Nature::IdleNinja => Kind::NonWaiting,
            _ => Kind::Waiting,
        }
    }
}
