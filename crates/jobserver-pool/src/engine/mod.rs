//! The pool at work: carries out on the endpoints what the scheduler decides, and tells the scheduler what happened
//! there. For the server alone, which knows who speaks for a lease; here nothing is known of sockets and connections.
//!
//! One thread, no timer of its own: it is woken by [`Engine::fd`] or after [`Engine::timeout`], and then
//! [`Engine::turn`] does all there is to do.

mod act;
mod adopt;
mod client;
mod closing;
mod happen;
mod journal;
mod loans;
mod look;
mod parting;
mod rest;
mod starts;
mod watched;
mod width;
#[cfg(test)]
mod world;

use std::collections::{HashMap, HashSet, VecDeque};
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use rustix::event::epoll::EventFlags;

use crate::admission::Shortage;
use crate::control::Moved;
use crate::endpoint::{self, Endpoints, Event, Style};
use crate::ledger::{EndpointId, LeaseId, Ledger, Stage, Terms};
use crate::scheduler::{policy, Nanos, Scheduler};
use client::Client;
use closing::Closing;
use journal::{Found, Journal};
use rest::Rest;
use starts::Starts;
use watched::Watched;

/// What whoever speaks for a lease has to hear.
#[derive(Debug)]
pub enum Notice {
    /// The lease has its first slot: its command may start.
    Granted(LeaseId),
    /// A client of the lease has FIFOs: these are their descriptors, the one for offers first.
    Opened {
        /// Whose.
        lease: LeaseId,
        /// A number that is not used again.
        endpoint: u64,
        /// Its process; none if it can't be told apart from others.
        pid: Option<u32>,
        /// How it behaves.
        kind: endpoint::Kind,
        /// To be held by somebody who outlives this process.
        descriptors: Vec<OwnedFd>,
    },
    /// That client is gone.
    Closed {
        /// Whose.
        lease: LeaseId,
        /// The number that was given when it opened.
        endpoint: u64,
    },
    /// What was asked for by [`Engine::watch`].
    Moved {
        /// Whose.
        lease: LeaseId,
        /// How it stands.
        moved: Moved,
    },
    /// Something works less well than it was asked to: to be said once.
    Trouble(String),
}

/// The endpoints, and who decides about them.
#[derive(Debug)]
pub struct Engine {
    endpoints: Endpoints,
    scheduler: Scheduler,
    style: Style,
    /// Whether clients may get a FIFO of their own for returns.
    splits: bool,
    /// Those who have one, or what else does not lie in place.
    split: HashSet<EndpointId>,
    /// A turn was ended before all was done.
    more: bool,
    set: u32,
    /// How many of these slots are allowed, for want of what.
    allowed: Option<(u32, Shortage)>,
    start: Instant,
    since: SystemTime,
    rest: Rest,
    starts: Starts,
    leases: HashMap<LeaseId, Lease>,
    places: HashMap<endpoint::LeaseId, LeaseId>,
    clients: HashMap<EndpointId, Client>,
    numbers: HashMap<endpoint::EndpointId, EndpointId>,
    /// Clients by their processes.
    by_pid: HashMap<(endpoint::LeaseId, u32), EndpointId>,
    notices: VecDeque<Notice>,
    watched: HashMap<LeaseId, Watched>,
    /// Clients that took an offer while it was withdrawn.
    quicker: Vec<EndpointId>,
    closing: Closing,
    journal: Journal,
    /// What an earlier server knew of clients that have not come back to us yet.
    found: Found,
    /// Clients whose accounts may have changed in this turn.
    touched: Vec<EndpointId>,
    directory: PathBuf,
}

#[derive(Debug)]
struct Lease {
    place: endpoint::LeaseId,
    name: String,
    path: PathBuf,
    owner: Owner,
    since: SystemTime,
    /// Why some of its processes share one endpoint.
    sharing: Option<String>,
}

/// Who opened a lease, for those who want to know.
#[derive(Clone, Debug, Default)]
pub struct Owner {
    /// The process that speaks for it.
    pub pid: u32,
    /// The user whose lease it is: nobody else can open its path.
    pub uid: u32,
    /// What it runs, for people.
    pub command: String,
    /// The process of that, while it is known.
    pub command_pid: Option<u32>,
}

/// So many events, and so many actions, before others get their turn.
const A_TURN: usize = 1024;

impl Engine {
    /// Takes the directory and serves `capacity` slots from it.
    ///
    /// # Errors
    /// As [`Endpoints::start`].
    pub fn start(directory: &Path, style: Style, capacity: u32) -> io::Result<Engine> {
        let endpoints = Endpoints::start(directory, style)?;
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        // Two servers of one directory never start at the same moment, since it is locked.
        let (journal, found) = Journal::open(directory, since.as_nanos() as u64);
        Ok(Engine {
            endpoints,
            scheduler: Scheduler::new(capacity),
            style,
            splits: true,
            split: HashSet::new(),
            more: false,
            set: capacity,
            allowed: None,
            start: Instant::now(),
            since: SystemTime::now(),
            rest: Rest::default(),
            starts: Starts::default(),
            leases: HashMap::new(),
            places: HashMap::new(),
            clients: HashMap::new(),
            numbers: HashMap::new(),
            by_pid: HashMap::new(),
            notices: VecDeque::new(),
            watched: HashMap::new(),
            quicker: Vec::new(),
            closing: Closing::default(),
            journal,
            found,
            touched: Vec::new(),
            directory: directory.to_path_buf(),
        })
    }

    /// Gives each client one FIFO for both ways: for a pool whose server may end before its clients while nobody else
    /// holds their FIFOs. What they return lies where they read it, so they live on.
    pub fn never_split(&mut self) {
        self.splits = false;
        self.choose_split();
        // Nor will there be another server, whose builds would go on under their names.
        self.endpoints.never_rename();
        self.journal.stop(&self.directory);
    }

    /// Whether clients may get a FIFO of their own for returns.
    pub fn splits(&self) -> bool {
        self.splits
    }

    /// The accounts.
    pub fn ledger(&self) -> &Ledger {
        self.scheduler.ledger()
    }

    /// Readable when [`turn`](Engine::turn) has something to do.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.endpoints.fd()
    }

    /// As [`Endpoints::wait`], for as long as `turn` has nothing to do.
    ///
    /// # Errors
    /// epoll itself fails.
    pub fn wait(&mut self, most: Option<Duration>) -> io::Result<Vec<u64>> {
        let timeout = self.timeout().into_iter().chain(most).min();
        self.endpoints.wait(timeout)
    }

    /// As [`Endpoints::watch_also`].
    ///
    /// # Errors
    /// The kernel has no memory, or no more watches, for it.
    pub fn watch_also(&self, fd: BorrowedFd<'_>, number: u64, events: EventFlags) -> io::Result<()> {
        self.endpoints.watch_also(fd, number, events)
    }

    /// As [`Endpoints::watch_no_more`].
    pub fn watch_no_more(&self, fd: BorrowedFd<'_>) {
        self.endpoints.watch_no_more(fd);
    }

    /// When `turn` has something to do although nothing happened; `None`: never.
    pub fn timeout(&self) -> Option<Duration> {
        if self.more || self.endpoints.has_more() || self.endpoints.seeks_heirs() {
            return Some(Duration::ZERO);
        }
        let due = self.scheduler.next_due().into_iter().chain(self.rest.look).chain(self.rest.watch).min();
        let due = due.map(|due| Duration::from_nanos(due.saturating_sub(self.now())));
        due.into_iter().chain(self.closing.timeout()).min()
    }

    /// Opens a lease; `name` is the last part of its path. Its command may start when [`Notice::Granted`] says so, which
    /// may be at once.
    ///
    /// # Errors
    /// The name is in use or can't be one; no FIFO can be made for it.
    pub fn open_lease(&mut self, name: &str, mut terms: Terms, owner: Owner) -> io::Result<LeaseId> {
        terms.user = owner.uid;
        let place = self.endpoints.open_lease(name, owner.uid)?;
        let path = self.endpoints.path(place).expect("the lease was opened a line above");
        let at_once = terms.inherited || terms.now;
        let lease = self.scheduler.open_lease(self.now(), terms);
        self.leases.insert(
            lease,
            Lease { place, name: name.to_string(), path, owner, since: SystemTime::now(), sharing: None },
        );
        self.places.insert(place, lease);
        self.choose_split();
        if at_once {
            self.granted(lease);
        }
        Ok(lease)
    }

    /// As [`Endpoints::open_pipes`]: they are told by [`Notice::Opened`].
    ///
    /// # Errors
    /// The lease is gone; no FIFO can be made.
    pub fn open_pipes(&mut self, lease: LeaseId) -> io::Result<()> {
        let gone = || io::Error::new(io::ErrorKind::NotFound, "the lease is gone");
        let Lease { place, owner, .. } = self.leases.get(&lease).ok_or_else(gone)?;
        self.endpoints.open_pipes(*place, owner.uid).map(drop)
    }

    /// What the clients of the lease open: `--jobserver-auth=fifo:PATH`.
    pub fn path(&self, lease: LeaseId) -> Option<&Path> {
        self.leases.get(&lease).map(|lease| lease.path.as_path())
    }

    /// Which server this is: no other has the number.
    pub fn server(&self) -> u64 {
        self.journal.server
    }

    /// The lease's command runs as this process, or does no more.
    pub fn set_command(&mut self, lease: LeaseId, pid: Option<u32>) {
        if let Some(lease) = self.leases.get_mut(&lease) {
            lease.owner.command_pid = pid;
        }
        let runs = self.ledger().lease(lease).is_some_and(|account| account.stage() == Stage::Running);
        if pid.is_some() && runs {
            self.note_lease(lease, true);
        }
    }

    /// The lease's command is gone; somebody still speaks for it.
    pub fn end_command(&mut self, lease: LeaseId) {
        self.set_command(lease, None);
        self.scheduler.end_command(self.now(), lease);
        self.start_all_of(lease);
    }

    /// Does all there is to do, and never blocks.
    ///
    /// # Errors
    /// What the kernel says that is nobody's fault in particular. The pool is as good as before.
    pub fn turn(&mut self) -> io::Result<()> {
        let quicker = std::mem::take(&mut self.quicker);
        let (result, events) = self.hear();
        events.into_iter().for_each(|event| self.happened(event));
        for client in quicker {
            // Its own events, if there were any, have been told; if not, it has put back what it took.
            let _ = self.scheduler.stirred(self.now(), client, 0, 0, &[]);
        }
        let swept = self.sweep();
        let acted = self.act();
        let asked = self.ask_first();
        self.part_with_idle();
        self.forget_leases();
        let forgot = if acted { self.endpoints.forget_own_moves() } else { Ok(()) };
        self.note_moves();
        self.write_journal();
        debug_assert!(self.ledger().balanced());
        result.and(swept).and(asked).and(forgot).and(self.listen())
    }

    /// All that has happened.
    fn hear(&mut self) -> (io::Result<()>, Vec<Event>) {
        let mut events = Vec::new();
        let mut result = Ok(());
        match self.endpoints.next() {
            Ok(event) => events.extend(event),
            Err(error) => result = Err(error),
        }
        // A client that never stops must not keep the others, and whoever ends the server, waiting.
        while let Some(event) = (events.len() < A_TURN).then(|| self.endpoints.told()).flatten() {
            events.push(event);
        }
        events.iter().for_each(|event| log::trace!("{event:?}"));
        (result, events)
    }

    /// What has to be told, in the order in which it happened.
    pub fn notice(&mut self) -> Option<Notice> {
        self.notices.pop_front()
    }

    fn now(&self) -> Nanos {
        self.start.elapsed().as_nanos() as Nanos
    }

    fn granted(&mut self, lease: LeaseId) {
        self.rest.fresh.insert(lease, self.now() + policy::FRESH);
        self.note_lease(lease, true);
        self.notices.push_back(Notice::Granted(lease));
    }

    fn number(&self, client: EndpointId) -> Option<endpoint::EndpointId> {
        self.clients.get(&client).map(|client| client.number)
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        Journal::remove(&self.directory);
    }
}
