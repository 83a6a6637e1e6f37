//! Clients as they are, each one by what it does when it may go on and when a job of it ends.

use jobserver_pool::ledger::EndpointId;
use jobserver_pool::scheduler::Nanos;

use crate::world::{Event, World, MS, US};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nature {
    /// Blocks in a read for every job but one; a token goes back whenever more than one job runs.
    Make,
    /// A make whose jobs are makes, with so many jobs each.
    Recursive(u32),
    /// Looks when it wants to start jobs; returns a token when its job ended and looks again 70-150 us later.
    Ninja,
    /// Asks for as many tokens as it has jobs ready; keeps a token for its next job where there is one.
    Keeping,
    /// Opens, and has something to do now and then: so often, in nanoseconds (0: never).
    Idle(Nanos),
    /// Opens and never looks.
    IdleNinja,
    /// Never returns anything.
    Greedy,
}

#[derive(Debug, Clone)]
pub struct Client {
    pub nature: Nature,
    pub build: usize,
    pub parent: Option<(usize, bool)>,
    pub endpoint: Option<EndpointId>,
    /// Killed at random, after this time on average.
    pub dies: Option<Nanos>,
    /// Counts lives: what a dead process had started ends for nobody.
    life: u32,
    opened: bool,
    pub todo: u32,
    running: u32,
    implicit: bool,
    job: Nanos,
    limit: u32,
    tokens: u32,
    /// Since when it waits in a read.
    pub blocked: Option<Nanos>,
    stepping: bool,
    pub stirring: bool,
    /// Bytes that lie where it reads, and where it wrote.
    pub input: u32,
    pub output: u32,
    /// How long it waited in reads, each time.
    pub waits: Vec<Nanos>,
}

impl Client {
    pub fn new(nature: Nature, todo: u32, job: Nanos) -> Self {
        Self {
            nature,
            build: 0,
            parent: None,
            endpoint: None,
            dies: None,
            life: 0,
            opened: false,
            todo,
            running: 0,
            implicit: false,
            job,
            limit: u32::MAX,
            tokens: 0,
            blocked: None,
            stepping: false,
            stirring: false,
            input: 0,
            output: 0,
            waits: Vec::new(),
        }
    }

    pub fn dying(mut self, after: Nanos) -> Self {
        self.dies = Some(after);
        self
    }

    fn lasting(&self) -> bool {
        matches!(self.nature, Nature::Idle(_) | Nature::IdleNinja)
    }
}

impl World {
    /// The client may go on: starts what it can.
    pub fn step(&mut self, id: usize) {
        if !self.clients[id].opened {
            self.clients[id].opened = true;
            self.open(id);
            if let Some(mean) = self.clients[id].dies {
                let at = self.now + self.chance.between(mean / 2, mean * 3 / 2);
                self.push(at, Event::Kill(id));
            }
            if let Nature::Idle(period) = self.clients[id].nature {
                if period > 0 {
                    let at = self.now + self.chance.between(period / 2, period * 3 / 2);
                    self.push(at, Event::Work(id));
                }
            }
        }
        let now = self.now;
        let client = &mut self.clients[id];
        client.stepping = false;
        if client.endpoint.is_none() || client.todo == 0 || client.running >= client.limit {
            client.blocked = None;
            return;
        }
        let implicit = !client.implicit && (client.nature == Nature::Ninja || client.running == 0);
        if !implicit {
            if client.input == 0 {
                if client.nature != Nature::Ninja {
                    client.blocked.get_or_insert(now);
                }
                return;
            }
            client.input -= 1;
            client.tokens += 1;
        }
        if let Some(since) = client.blocked.take() {
            client.waits.push(now - since);
        }
        client.implicit |= implicit;
        if !implicit {
            self.touched(id);
        }
        self.begin(id, implicit);
        self.go_on(id, 300 * US, 500 * US);
    }

    fn begin(&mut self, id: usize, implicit: bool) {
        let client = &mut self.clients[id];
        client.todo -= 1;
        client.running += 1;
        let (job, life, build) = (client.job, client.life, client.build);
        if let Nature::Recursive(jobs) = client.nature {
            let mut child = Client::new(Nature::Make, jobs, job);
            child.parent = Some((id, implicit));
            let child = self.admit(child, build);
            let at = self.now + self.chance.between(2 * MS, 3 * MS);
            self.push(at, Event::Step(child));
            return;
        }
        let at = self.now + self.chance.between(job * 4 / 5, job * 6 / 5);
        self.push(at, Event::JobEnd(id, life, implicit));
    }

    fn go_on(&mut self, id: usize, least: Nanos, most: Nanos) {
        if !self.clients[id].stepping {
            self.clients[id].stepping = true;
            let at = self.now + self.chance.between(least, most);
            self.push(at, Event::Step(id));
        }
    }

    pub fn job_end(&mut self, id: usize, life: u32, implicit: bool) {
        if self.clients[id].life != life {
            return;
        }
        let recursive = matches!(self.clients[id].nature, Nature::Recursive(_));
        if !recursive {
            let build = self.clients[id].build;
            self.builds[build].done.push(self.now);
        }
        let client = &mut self.clients[id];
        client.running -= 1;
        match client.nature {
            Nature::Ninja | Nature::IdleNinja => {
                client.implicit &= !implicit;
                if !implicit {
                    client.tokens -= 1;
                    client.input += 1;
                    self.touched(id);
                }
                self.go_on(id, 70 * US, 150 * US);
            }
            Nature::Keeping if client.todo > 0 => self.begin(id, implicit),
            Nature::Greedy if client.todo > 0 => self.begin(id, implicit),
            Nature::Greedy => {}
            Nature::Make | Nature::Recursive(_) | Nature::Keeping | Nature::Idle(_) => {
                if client.tokens > 0 {
                    client.tokens -= 1;
                    client.output += 1;
                    self.touched(id);
                } else {
                    client.implicit = false;
                }
                self.clients[id].implicit = self.clients[id].running > 0;
                if self.clients[id].running == 0 {
                    self.go_on(id, 20 * US, 60 * US);
                }
            }
        }
        let client = &self.clients[id];
        let done = client.todo == 0 && client.running == 0;
        if done && !client.lasting() && client.dies.is_none() {
            let parent = client.parent;
            self.leave(id);
            if let Some((parent, implicit)) = parent {
                let life = self.clients[parent].life;
                let at = self.now + 500 * US;
                self.push(at, Event::JobEnd(parent, life, implicit));
            }
        }
    }

    /// SIGKILL; another one like it starts a little later.
    pub fn kill(&mut self, id: usize) {
        let client = &mut self.clients[id];
        if client.endpoint.is_none() {
            return;
        }
        client.life += 1;
        let mut next = Client::new(client.nature, client.todo.max(20), client.job);
        next.dies = client.dies;
        let build = client.build;
        let next = self.admit(next, build);
        self.leave(id);
        let at = self.now + self.chance.between(50 * MS, 150 * MS);
        self.push(at, Event::Step(next));
    }

    pub fn work(&mut self, id: usize) {
        if let Nature::Idle(period) = self.clients[id].nature {
            self.clients[id].todo += 2;
            let at = self.now + self.chance.between(period / 2, period * 3 / 2);
            self.push(at, Event::Work(id));
            self.go_on(id, 20 * US, 60 * US);
        }
    }
}
