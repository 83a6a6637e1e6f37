//! The operating system's side of the pool: who opened a lease's path, what they took, what they gave back, who ended.
//!
//! [`Endpoints`] owns the pool's directory, the mount with one symlink a lease, a private FIFO (or two) for each
//! process that follows it, and a pidfd for each. It puts tokens where it is told and tells what became of them; whose
//! they are and who gets them next is decided elsewhere.
//!
//! ```text
//!   path of a lease ── READLINK ──► which process? ──► ../f/17 (offers) or ../f/18 (returns)
//!   inotify, FIONREAD ──► Opened, Stirred      pidfd ──► Gone
//! ```
//!
//! It runs in one thread, never blocks, and has one descriptor to wait on. Events of the kernel only wake it up; what
//! lies in a FIFO is counted.
//!
//! A driver must apply the events in the order they come in: a token is told to be taken before it is told to be
//! returned, through whichever endpoint.

mod catch;
mod directory;
mod event;
mod fifo;
mod happen;
mod heirs;
mod lead;
mod member;
mod roles;
mod starts;
mod wait;
mod watch;

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::event::epoll;

use crate::fuse::{Fuse, Reach, ReadLink};
use crate::process::Process;
use directory::Directory;
pub use event::{EndpointId, Event, Hearing, Kind, LeaseId, Split, Stir, Style};
use fifo::{Fifo, Use};
use heirs::Heirs;
pub use heirs::{Abandoned, A_LOOK};
use member::Endpoint;
pub use starts::StartId;
use watch::Watch;

/// Removes what a killed server has left in its directory, but not the directory.
///
/// # Errors
/// It is in use, another user's, or can't be cleared.
pub fn clear(path: &Path) -> io::Result<()> {
    Directory::claim(path, Reach::Owner).map(drop)
}

/// All endpoints of a pool.
#[derive(Debug)]
pub struct Endpoints {
    // What `drop` leaves is dropped in this order: the mount before its directory.
    fuse: Option<Fuse>,
    endpoints: HashMap<EndpointId, Endpoint>,
    heirs: Heirs,
    directory: Directory,
    leases: HashMap<LeaseId, Lease>,
    /// Whose FIFO has that number.
    fifos: HashMap<u64, EndpointId>,
    /// Where the links of a lease lead a process.
    processes: HashMap<(LeaseId, u32), EndpointId>,
    /// What must be looked at.
    stirred: BTreeSet<EndpointId>,
    /// Heirs that have closed something.
    doubtful: BTreeSet<EndpointId>,
    events: VecDeque<Event>,
    watch: Watch,
    epoll: OwnedFd,
    /// What was found ready by a wait, and not looked at yet.
    ready: Option<Vec<u64>>,
    /// Which events of the FIFOs wake us.
    hearing: Hearing,
    /// What there was since the driver last asked.
    stir: Stir,
    split: Split,
    /// FIFOs of which the driver wants what comes back, and how much of it.
    caught: HashMap<u64, (EndpointId, usize)>,
    /// Whether the driver says when a process that is new starts.
    asks_first: bool,
    /// Those who wait for that.
    starting: HashMap<StartId, ReadLink>,
    next_number: u64,
}

#[derive(Debug)]
struct Lease {
    name: String,
    /// Made with the lease: when there are no descriptors left it must be there already.
    shared: EndpointId,
    told: bool,
}

impl Drop for Endpoints {
    /// The kernel sees the watches off while the mount is taken away.
    fn drop(&mut self) {
        self.endpoints.clear();
        self.heirs = Heirs::default();
        self.watch.end();
    }
}

/// Which descriptor epoll speaks of: these three, else an endpoint's pidfd by the endpoint's number.
const FUSE: u64 = 0;
const NEWS: u64 = 1;
const TAKES: u64 = 2;

impl Endpoints {
    /// Takes the directory, which is made if it is missing, removes what a killed server left there, and mounts.
    ///
    /// # Errors
    /// The directory is another user's, in use by another server, or has a path that can't stand in MAKEFLAGS; FUSE
    /// can't be had (only for [`Style::Tracked`]); no inotify, no descriptors. The error names what failed.
    pub fn start(path: &Path, style: Style) -> io::Result<Endpoints> {
        let (Style::Tracked(reach) | Style::Fifo(reach)) = style;
        let directory = Directory::claim(path, reach)?;
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let watch = Watch::new()?;
        let fuse = match style {
            Style::Tracked(reach) => Some(Fuse::mount(&directory.mount(), reach)?),
            Style::Fifo(_) => None,
        };
        if let Some(fuse) = &fuse {
            epoll::add(&epoll, fuse.fd(), epoll::EventData::new_u64(FUSE), epoll::EventFlags::IN)?;
        }
        let mut endpoints = Endpoints {
            fuse,
            endpoints: HashMap::new(),
            directory,
            leases: HashMap::new(),
            fifos: HashMap::new(),
            processes: HashMap::new(),
            stirred: BTreeSet::new(),
            doubtful: BTreeSet::new(),
            heirs: Heirs::default(),
            events: VecDeque::new(),
            watch,
            epoll,
            ready: None,
            hearing: Hearing::Nothing,
            stir: Stir::default(),
            split: Split::All,
            caught: HashMap::new(),
            asks_first: false,
            starting: HashMap::new(),
            // Above the numbers of epoll's other descriptors and of the mount's own node.
            next_number: Fuse::FIRST_NODE.max(TAKES + 1),
        };
        endpoints.hear(Hearing::All)?;
        Ok(endpoints)
    }

    /// What happened next; `None` when all is told. Never blocks. Clients that open the path wait until it is called.
    ///
    /// # Errors
    /// What the kernel says that is nobody's fault in particular; the pool is as good as before, and the next call
    /// goes on.
    // Not an iterator: it may be asked again after `None`.
    #[allow(clippy::should_implement_trait)]
    pub fn next(&mut self) -> io::Result<Option<Event>> {
        // A bound: who opens and closes without end must not keep us here; `has_more` tells of the rest.
        for _ in 0..4 {
            if !self.events.is_empty() {
                break;
            }
            self.turn()?;
            // Those whose returns are not looked at yet would wake nobody again.
            if self.stirred.is_empty() {
                break;
            }
        }
        Ok(self.events.pop_front())
    }

    /// What has happened already and is not told yet: unlike [`Endpoints::next`], it doesn't look for more.
    pub fn told(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// What there was since the last call.
    pub fn stir(&mut self) -> Stir {
        std::mem::take(&mut self.stir)
    }

    /// Whether [`Endpoints::next`] has something to say that no descriptor tells of.
    pub fn has_more(&self) -> bool {
        !self.events.is_empty() || !self.stirred.is_empty() || !self.doubtful.is_empty()
    }

    /// Who gets a second FIFO from now on.
    pub fn split(&mut self, split: Split) {
        self.split = split;
    }

    /// No lease will be opened under the name of an earlier one.
    pub fn never_rename(&mut self) {
        if let Some(fuse) = &mut self.fuse {
            fuse.never_rename();
        }
    }

    /// Opens a lease of user `uid` and returns it; its path goes into MAKEFLAGS.
    ///
    /// # Errors
    /// The name is taken or can't stand in MAKEFLAGS; no FIFO can be made.
    pub fn open_lease(&mut self, name: &str, uid: u32) -> io::Result<LeaseId> {
        if !directory::is_plain_name(name) || self.leases.values().any(|lease| lease.name == name) {
            let text = format!("a lease can't be called {name:?}: taken, or not made of A-Z a-z 0-9 _ . -");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        let lease = LeaseId(self.new_number());
        let fifo = self.new_fifo(uid, Use::Offers)?;
        let mut endpoint = Endpoint::new(lease, None);
        endpoint.inn = Some(fifo);
        let shared = self.insert(endpoint)?;
        self.leases.insert(lease, Lease { name: name.to_owned(), shared, told: false });
        if let Some(fuse) = &mut self.fuse {
            fuse.add(lease.0, name, uid);
        }
        Ok(lease)
    }

    /// Gives a lease of user `uid` a FIFO for each way, for clients that open no path: whoever speaks for the lease hands
    /// them [descriptors](Endpoints::descriptors).
    ///
    /// # Errors
    /// No FIFO can be made.
    pub fn open_pipes(&mut self, lease: LeaseId, uid: u32) -> io::Result<EndpointId> {
        let mut endpoint = Endpoint::new(lease, None);
        endpoint.inn = Some(self.new_fifo(uid, Use::Offers)?);
        endpoint.out = Some(self.new_fifo(uid, Use::Returns)?);
        let id = self.insert(endpoint)?;
        self.announce(id, Kind::Pipes);
        Ok(id)
    }

    /// The path that the clients of a lease open: `--jobserver-auth=fifo:PATH`.
    pub fn path(&self, lease: LeaseId) -> Option<PathBuf> {
        let lease = self.leases.get(&lease)?;
        if self.fuse.is_some() {
            return Some(self.directory.mount().join(&lease.name));
        }
        let shared = self.endpoints.get(&lease.shared)?;
        shared.inn.as_ref().map(|fifo| fifo.path().to_owned())
    }

    /// Closes a lease: its path is gone. Who has opened it is served until it ends; a shared endpoint that was opened
    /// stays until it is [shut](Endpoints::shut).
    pub fn close_lease(&mut self, lease: LeaseId) {
        let Some(Lease { shared, .. }) = self.leases.remove(&lease) else { return };
        if let Some(fuse) = &mut self.fuse {
            fuse.remove(lease.0);
        }
        if self.endpoints.get(&shared).is_some_and(|endpoint| endpoint.kind.is_none()) {
            self.shut(shared);
        }
    }

    /// Lays `count` tokens into an endpoint: all of them or, with an error, none.
    ///
    /// # Errors
    /// The endpoint is gone or can't be read from; its FIFO is full, which is told by its path.
    pub fn offer(&mut self, endpoint: EndpointId, count: usize) -> io::Result<()> {
        if let Some(number) = self.endpoints.get(&endpoint).and_then(|endpoint| Some(endpoint.inn.as_ref()?.number)) {
            self.let_go(number);
        }
        let fifo = self.endpoints.get_mut(&endpoint).and_then(|endpoint| endpoint.inn.as_mut());
        let missing = || io::Error::new(io::ErrorKind::NotFound, "nobody reads from this endpoint");
        fifo.ok_or_else(missing)?.put(count)
    }

    /// Takes back up to `count` of the tokens that lie in an endpoint, and returns how many: the client may have been
    /// quicker, which is then told by [`Event::Stirred`].
    ///
    /// # Errors
    /// What reading the FIFO says.
    pub fn withdraw(&mut self, endpoint: EndpointId, count: usize) -> io::Result<usize> {
        let fifo = self.endpoints.get_mut(&endpoint).and_then(|endpoint| endpoint.inn.as_mut());
        fifo.map_or(Ok(0), |fifo| fifo.take(count.min(fifo.lying())))
    }

    /// Ends an endpoint without an event: its FIFOs are removed with what lies in them. A client that still has them
    /// open reads their end from then on.
    pub fn shut(&mut self, endpoint: EndpointId) {
        self.forget(endpoint);
    }

    /// Descriptors of an endpoint's FIFOs, the one for offers first: whoever holds them keeps clients from reading the
    /// end, or dying of a broken pipe, when this process is killed. It
    /// is never taken for a client.
    ///
    /// # Errors
    /// EMFILE.
    pub fn descriptors(&self, endpoint: EndpointId) -> io::Result<Vec<OwnedFd>> {
        self.endpoints.get(&endpoint).map_or(Ok(Vec::new()), Endpoint::files)
    }

    /// Device and inode of its first FIFO: who doesn't have a descriptor of that has nothing to do with the endpoint.
    pub fn file_id(&self, endpoint: EndpointId) -> (u64, u64) {
        self.endpoints.get(&endpoint).and_then(|endpoint| endpoint.fifos().next()).map_or((0, 0), Fifo::file_id)
    }

    /// Takes over an endpoint of an earlier server, of process `pid`, by the descriptors that a runner kept of it, and
    /// returns it with what lies in it as an offer. It is told as [opened](Event::Opened), and served until the process
    /// closes it or ends; where the process opens the path again it gets another endpoint.
    ///
    /// # Errors
    /// The process is gone, or the descriptors are none of [`Endpoints::descriptors`]; EMFILE.
    pub fn adopt(
        &mut self,
        lease: LeaseId,
        pid: u32,
        kind: Kind,
        files: Vec<OwnedFd>,
    ) -> io::Result<(EndpointId, usize)> {
        // Pipes are nobody's in particular: as long as the lease is open, they are.
        let process = if kind == Kind::Pipes { None } else { Some(Process::of(pid)?) };
        let mut fifos = Vec::new();
        for file in files {
            let fifo = Fifo::adopt(file, self.new_number())?;
            self.watch.add(fifo.path(), fifo.number)?;
            fifos.push(fifo);
        }
        let mut endpoint = Endpoint::new(lease, process);
        endpoint.inherited = kind != Kind::Pipes;
        let mut fifos = fifos.into_iter();
        endpoint.inn = fifos.next();
        endpoint.out = fifos.next();
        let lying = endpoint.inn.as_ref().map_or(0, Fifo::lying);
        let id = self.insert(endpoint)?;
        self.announce(id, kind);
        // It may have stirred since the earlier server looked.
        self.stirred.insert(id);
        Ok((id, lying))
    }

    /// Gives an endpoint its number and listens to its process.
    fn insert(&mut self, endpoint: Endpoint) -> io::Result<EndpointId> {
        let id = EndpointId(self.new_number());
        if let Some(process) = &endpoint.process {
            epoll::add(&self.epoll, process.fd(), epoll::EventData::new_u64(id.0), epoll::EventFlags::IN)?;
        }
        for fifo in endpoint.fifos() {
            self.fifos.insert(fifo.number, id);
        }
        self.endpoints.insert(id, endpoint);
        Ok(id)
    }

    fn new_number(&mut self) -> u64 {
        self.next_number += 1;
        self.next_number
    }

    /// Makes a FIFO. It is watched after we opened it, so every open that is told is another's.
    fn new_fifo(&mut self, owner: u32, what: Use) -> io::Result<Fifo> {
        let number = self.new_number();
        let fifo = Fifo::create(&self.directory.fifos(), number, owner, what)?;
        self.watch.add(fifo.path(), number)?;
        Ok(fifo)
    }
}
