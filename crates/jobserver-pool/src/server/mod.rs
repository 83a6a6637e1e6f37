//! The server of a pool: who may open leases, and which connection speaks for which. `jobserver serve` runs it as a
//! process, `jobserver run` without one as a thread of its own.
//!
//! One thread around the one epoll set of its [engine](crate::engine), without a timer while nothing happens. A peer that
//! says nonsense, or nothing, or reads nothing, loses its own connection and nothing else. A lease ends when its connection
//! is closed *and* its command is gone.

mod local;
mod peer;
mod pressure;
mod set;
mod watchers;

use std::collections::HashMap;
use std::fs::{self, File, Permissions};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::event::epoll::EventFlags;

use crate::admission::{Admission, Limits};
use crate::control::{Reply, SOCKET};
use crate::endpoint::Style;
use crate::engine::{Engine, Notice};
use crate::failed::failed;
use crate::fuse::Reach;
use crate::ledger::LeaseId;
use crate::sys;
pub use local::{Local, OF_ONE_COMMAND};
use peer::Peer;

/// A pool that is being served.
#[derive(Debug)]
pub struct Server {
    engine: Engine,
    listener: UnixListener,
    socket: PathBuf,
    peers: HashMap<u64, Peer>,
    /// Who speaks for a lease.
    speakers: HashMap<LeaseId, u64>,
    next_peer: u64,
    /// Peers that have said more than was heard in their turn.
    again: Vec<u64>,
    reach: Reach,
    /// Given up for a moment when no other descriptor is left, to turn a new peer away.
    spare: Option<File>,
    admission: Admission,
    /// When the machine is looked at next.
    look: Option<Instant>,
    tell: fn(&str),
}

/// What the socket is called until whoever may not connect can't.
pub(super) const UNNAMED: &str = "socket.new";

/// Nanoseconds. What it does in a turn takes 20 to 200 us; to be late costs a killed client's token, or one that its client
/// takes again. The shortest slice that Linux gives.
const SLICE: u64 = 100_000;
/// For the same reason, where the system allows it: root, and whom RLIMIT_NICE lets.
const NICE: i32 = -10;

/// Which descriptor is ready; from [`PEERS`] on, two for each peer: its socket and its command.
const LISTENER: u64 = 1;
const STOP: u64 = 2;
const PEERS: u64 = 4;

impl Server {
    /// A pool of `capacity` slots in a directory, which is made if it is missing; nobody finds it before
    /// [`publish`](Server::publish). `tell` is called with what a person should know, each once.
    ///
    /// # Errors
    /// As [`Engine::start`]; the socket can't be made.
    pub fn start(directory: &Path, style: Style, capacity: u32, tell: fn(&str)) -> io::Result<Server> {
        let engine = Engine::start(directory, style, capacity)?;
        let (Style::Tracked(reach) | Style::Fifo(reach)) = style;
        let socket = directory.join(SOCKET);
        // The directory is locked by now, so whoever made it is gone.
        if fs::symlink_metadata(&socket).is_ok_and(|found| !found.file_type().is_socket()) {
            let text = format!("{} is no socket: a pool needs a directory of its own", socket.display());
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, text));
        }
        let unnamed = directory.join(UNNAMED);
        for left in [&socket, &unnamed] {
            match fs::remove_file(left) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(failed(error, "can't remove", left))
                }
                _ => {}
            }
        }
        let socket = unnamed;
        let listener = UnixListener::bind(&socket).map_err(|error| failed(error, "can't make", &socket))?;
        listener.set_nonblocking(true)?;
        let mode = if reach == Reach::Everyone { 0o666 } else { 0o600 };
        fs::set_permissions(&socket, Permissions::from_mode(mode))?;
        engine.watch_also(listener.as_fd(), LISTENER, EventFlags::IN)?;
        Ok(Server {
            engine,
            listener,
            socket,
            peers: HashMap::new(),
            speakers: HashMap::new(),
            next_peer: PEERS,
            again: Vec::new(),
            reach,
            spare: File::open("/dev/null").ok(),
            admission: Admission::new(Limits::default()),
            look: None,
            tell,
        })
    }

    /// Gives the socket its name: from now on whoever may connect is let in, and nobody else ever was.
    ///
    /// # Errors
    /// It can't be renamed.
    pub fn publish(&mut self) -> io::Result<()> {
        let socket = self.socket.with_file_name(SOCKET);
        fs::rename(&self.socket, &socket).map_err(|error| failed(error, "can't make", &socket))?;
        self.socket = socket;
        Ok(())
    }

    /// As [`Engine::never_split`].
    pub fn never_split(&mut self) {
        self.engine.never_split();
    }

    /// The accounts, and the work on them.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Serves until `stop` is readable.
    ///
    /// # Errors
    /// epoll itself fails.
    pub fn serve(&mut self, stop: BorrowedFd<'_>) -> io::Result<()> {
        sys::prefer_to_be_woken_soon(SLICE, NICE);
        self.engine.watch_also(stop, STOP, EventFlags::IN)?;
        loop {
            // Before the turns: what they ask for is done before we sleep.
            for id in std::mem::take(&mut self.again) {
                self.hear(id);
            }
            self.look_at_machine();
            self.turn_engine();
            let at_once = (!self.again.is_empty()).then_some(Duration::ZERO);
            let most = at_once.or_else(|| self.next_look());
            for ready in self.engine.wait(most)? {
                match ready {
                    STOP => {
                        self.engine.watch_no_more(stop);
                        return Ok(());
                    }
                    LISTENER => self.accept(),
                    id if id % 2 == 0 => self.hear(id),
                    id => self.command_ended(id - 1),
                }
            }
        }
    }

    fn turn_engine(&mut self) {
        if let Err(error) = self.engine.turn() {
            (self.tell)(&format!("the pool goes on after an error: {error}"));
        }
        while let Some(notice) = self.engine.notice() {
            let (lease, reply, descriptors) = match notice {
                Notice::Granted(lease) => (lease, Reply::Granted, Vec::new()),
                Notice::Opened { lease, endpoint, pid, kind, descriptors } => {
                    (lease, Reply::Endpoint { endpoint, pid, kind: Some(kind) }, descriptors)
                }
                Notice::Closed { lease, endpoint } => (lease, Reply::Closed { endpoint }, Vec::new()),
                Notice::Moved { lease, moved } => {
                    self.tell_watchers(lease, moved);
                    continue;
                }
                Notice::Trouble(text) => {
                    (self.tell)(&text);
                    continue;
                }
            };
            if let Some(&id) = self.speakers.get(&lease) {
                self.say(id, &reply, descriptors);
            }
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.socket);
    }
}
