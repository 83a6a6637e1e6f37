//! The command as a lease of a pool that knows who holds what: one that is served by somebody, or by a thread of ours.

use std::env;
use std::fs;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use jobserver::{Auth, Client, MakeFlags};
use jobserver_pool::control::{Open, SOCKET};
use jobserver_pool::endpoint;
use jobserver_pool::fuse::Reach;
use jobserver_pool::lease::{self, Keeper, Lease};
pub(crate) use jobserver_pool::loan::Loan;
use jobserver_pool::server::Local;
use rustix::process::geteuid;

use crate::memory;
use crate::report::{say, Account};
use crate::serving;
use crate::style::{self, Style};
use crate::timeline::Source;
use crate::words::Words;

pub(crate) struct Leased {
    lease: Option<Lease>,
    keeper: Option<Keeper>,
    /// Where the command's tools find the pool.
    path: PathBuf,
    jobs: Option<usize>,
    /// For tools that open no path.
    pipes: Option<Client>,
    /// The pool, if it is ours.
    local: Option<Local>,
}

impl Leased {
    /// A pool of `slots` for this command alone.
    ///
    /// # Errors
    ///
    /// No FUSE, no directory for it, no thread.
    pub(crate) fn own(slots: usize, words: &Words, command: &mut Command) -> io::Result<Leased> {
        let capacity = u32::try_from(slots).map_err(|_| io::Error::other("more slots than can be counted"))?;
        let (local, mut lease) = local(capacity, &words.open(None), tell)?;
        // Nobody else has any of them.
        lease.wait(|_| (), || false)?;
        let mut leased = Leased::new(lease, Some(slots));
        leased.local = Some(local);
        leased.join_make(command)?;
        Ok(leased)
    }

    /// A lease of the pool that is served from `directory`. `None`: `give_up` said so while it waited.
    ///
    /// # Errors
    ///
    /// Nobody serves there that is trusted, or the server refuses, or what it serves can't be reached from here.
    pub(crate) fn of(
        directory: &Path,
        cap: Option<usize>,
        style: Style,
        words: &Words,
        command: &mut Command,
        give_up: impl FnMut() -> bool,
    ) -> io::Result<Option<Leased>> {
        let mut open = words.open(cap);
        open.pipes = style == Style::Pipe;
        let mut lease = Lease::open(directory, open)?;
        // The server sees it; here it may lie on a mount of another namespace, or of a user who lets nobody look.
        fs::symlink_metadata(lease.path()).map_err(|error| {
            let text = format!("{} can't be reached from here: {error}", lease.path().display());
            io::Error::new(error.kind(), text)
        })?;
        let waiting = |leases| {
            if words.said_waiting.replace(true) {
                return;
            }
            let builds = if leases == 1 {
                "the build that has".to_string()
            } else {
                format!("one of {leases} builds that have")
            };
            say(format_args!(
                "waiting for a first slot of the pool at {}: {builds} them has to end or to need fewer{}",
                directory.display(),
                words.remedy
            ));
        };
        if !lease.wait(waiting, give_up)? {
            return Ok(None);
        }
        let mut leased = Leased::new(lease, cap);
        leased.pipes = leased.lease.as_ref().and_then(Lease::pipes).map(client).transpose()?;
        leased.join_make(command)?;
        Ok(Some(leased))
    }

    fn new(lease: Lease, jobs: Option<usize>) -> Leased {
        let path = lease.path().to_path_buf();
        Leased { lease: Some(lease), keeper: None, path, jobs, pipes: None, local: None }
    }

    pub(crate) fn join_make(&self, command: &mut Command) -> io::Result<()> {
        if let Some(pipes) = &self.pipes {
            return pipes.join_make(command, self.jobs);
        }
        let auth = Auth::Fifo(self.path.clone());
        let flags = MakeFlags::parse(&env::var_os("MAKEFLAGS").unwrap_or_default());
        let invalid = |error| io::Error::new(io::ErrorKind::InvalidInput, error);
        command.env("MAKEFLAGS", flags.with_jobserver(&auth, self.jobs).map_err(invalid)?);
        let none = MakeFlags::parse("".as_ref());
        command.env("CARGO_MAKEFLAGS", none.with_jobserver(&auth, self.jobs).map_err(invalid)?);
        command.env_remove("MFLAGS");
        Ok(())
    }

    /// Where it can be seen how many slots are in use.
    pub(crate) fn source(&self) -> Source {
        directory_of(&self.path).map_or(Source::Unknown, |pool| Source::told(pool, &self.path, self.jobs))
    }

    /// A client of the lease for this process: what it takes goes back when this process ends, however it does, if
    /// the pool can tell its clients apart.
    ///
    /// # Errors
    ///
    /// The path can't be opened.
    pub(crate) fn client(&self) -> io::Result<Client> {
        Client::connect_to(&Auth::Fifo(self.path.clone())).map_err(io::Error::other)
    }

    /// The slots of the pool.
    pub(crate) fn capacity(&self) -> usize {
        self.lease.as_ref().map_or(usize::MAX, |lease| lease.capacity() as usize)
    }

    /// The command runs: the lease is its own from now on.
    pub(crate) fn started(&mut self, pid: u32) {
        // The clients' FIFOs come to both: to who serves them, and to who keeps them open.
        serving::raise_limit();
        self.belongs_to(pid);
    }

    /// The lease is that process's own: it may be this one, whose children are not to inherit another limit.
    pub(crate) fn belongs_to(&mut self, pid: u32) {
        if let (Some(_), Some(lease)) = (&self.local, &mut self.lease) {
            if let Err(error) = lease.started(pid) {
                say(format_args!("the pool does not know which command is its own: {error}"));
            }
            return;
        }
        match self.lease.take().map(|lease| lease.keep(pid)) {
            Some(Ok(keeper)) => self.keeper = Some(keeper),
            Some(Err((error, lease))) => {
                say(format_args!("nobody keeps the pool's pipes should its server be killed: {error}"));
                self.lease = Some(*lease);
            }
            None => {}
        }
    }

    /// Gives the lease back, and tells what a pool of our own has to account for.
    pub(crate) fn close(self) -> Account {
        let mut account = Account::default();
        // Whatever of it is open then, somebody else has.
        drop(self.pipes);
        if let Some(keeper) = self.keeper {
            keeper.close();
        }
        if let Some(local) = self.local {
            match local.finish() {
                Ok(status) => {
                    account.tokens = status.capacity as usize - 1;
                    account.strays += status.strays as usize;
                }
                Err(error) => say(format_args!("the pool ended before the command: {error}")),
            }
        }
        account
    }
}

/// A server in a thread, in which processes are told apart.
fn local(capacity: u32, open: &Open, tell: fn(&str)) -> io::Result<(Local, Lease)> {
    let style = endpoint::Style::Tracked(Reach::Owner);
    let start = |parent: &Path| Local::start(parent, style, capacity, open.clone(), tell);
    // In memory, if there is such a place and it can be written to.
    let in_memory = runtime().into_iter().chain(memory::folder()).find_map(|parent| start(&parent).ok());
    in_memory.map_or_else(|| start(&env::temp_dir()), Ok)
}

/// Makes such a pool and takes it down again.
///
/// # Errors
///
/// Why none can be made here.
pub(crate) fn can_track() -> io::Result<()> {
    let (local, _lease) = local(1, &Open::default(), |_| ())?;
    local.finish().map(drop)
}

/// Where an inherited pool of ours is, and the lease whose path was inherited.
pub(crate) struct Place {
    pub(crate) directory: PathBuf,
    pub(crate) path: PathBuf,
}

/// `None`: it is none of ours, or it was inherited by descriptors.
pub(crate) fn place(client: &Client) -> Option<Place> {
    let Auth::Fifo(path) = style::auth_of(client)? else { return None };
    let directory = directory_of(&path)?.to_path_buf();
    Some(Place { directory, path })
}

fn directory_of(path: &Path) -> Option<&Path> {
    path.ancestors().skip(1).take(3).find(|directory| directory.join(SOCKET).exists())
}

/// How many slots there are at most for who joins the pool at this path, which this process has joined. `None`: the pool
/// doesn't tell.
pub(crate) fn room(path: &Path) -> Option<usize> {
    let status = lease::status(directory_of(path)?).ok()?;
    let me = Some(std::process::id());
    let mine = status.leases.iter().find(|lease| lease.endpoints.iter().any(|endpoint| endpoint.pid == me));
    let cap = mine.and_then(|lease| lease.cap).unwrap_or(u32::MAX);
    Some(status.capacity.min(cap) as usize)
}

/// How many slots are free in the pool that is served from there.
pub(crate) fn free(directory: &Path) -> Option<usize> {
    let status = lease::status(directory).ok()?;
    Some((status.free + status.offered) as usize)
}

/// The place of this session for what goes with it.
fn runtime() -> Option<PathBuf> {
    let runtime = env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
    // Another user's (after `su`, `sudo -E`) could be changed under us.
    let is_ours = |path: &PathBuf| {
        let found = fs::metadata(path);
        path.is_absolute() && found.is_ok_and(|found| found.is_dir() && found.uid() == geteuid().as_raw())
    };
    runtime.filter(is_ours)
}

/// The library's client on the lease's pipes, which knows how a command inherits them.
fn client((inn, out): (BorrowedFd<'_>, BorrowedFd<'_>)) -> io::Result<Client> {
    let auth = Auth::Pipe { read: inn.as_raw_fd(), write: out.as_raw_fd() };
    Client::connect_to(&auth).map_err(io::Error::other)
}

fn tell(text: &str) {
    say(text);
}

impl Words {
    fn open(&self, cap: Option<usize>) -> Open {
        let mut open = Open::default();
        open.name = self.name.clone();
        open.command = self.command.clone();
        open.cap = cap.map(|cap| u32::try_from(cap).unwrap_or(u32::MAX));
        open.now = self.now;
        open.weight = self.weight;
        open.floor = self.floor;
        open
    }
}
