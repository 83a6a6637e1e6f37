//! A lease, as the one who runs a command sees it: opened on a pool's socket, kept until the command has ended.
//!
//! The keeper holds the FIFOs of the lease's clients open as well. When the server is killed the clients neither read the
//! end of a file nor die of a broken pipe, and what they give back is laid where they take it from: the lease keeps the
//! width it has.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

use rustix::event::{poll, PollFd, PollFlags, Timespec};

use crate::control::{Lines, Open, Reply, Request, Status, SOCKET};
use crate::failed::failed;

/// A lease whose command may not have started yet.
#[derive(Debug)]
pub struct Lease {
    lines: Lines,
    path: PathBuf,
    style: String,
    capacity: u32,
    granted: bool,
    clients: Clients,
}

/// Slots change hands all the time: a wait that is shorter is nothing that a person could do anything about.
const WORTH_A_LINE: Duration = Duration::from_secs(1);

/// The FIFOs of each client, the one for offers first.
type Clients = BTreeMap<u64, Vec<OwnedFd>>;

impl Lease {
    /// Opens a lease in the pool that is served from `directory`.
    ///
    /// # Errors
    /// Nobody serves there; the server refuses, and says why.
    pub fn open(directory: &Path, open: Open) -> io::Result<Lease> {
        let mut lines = connect(directory)?;
        lines.send(&Request::Open(open), Vec::new())?;
        match read(&mut lines)?.0 {
            Reply::Opened { path, style, capacity, .. } => {
                let path = PathBuf::from(path);
                Ok(Lease { lines, path, style, capacity, granted: false, clients: Clients::new() })
            }
            other => Err(unexpected(other)),
        }
    }

    /// What the command's tools open: the value of `--jobserver-auth=fifo:`.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// How the pool tells clients apart: `tracked` or `fifo`.
    pub fn style(&self) -> &str {
        &self.style
    }

    /// The slots of the pool.
    pub fn capacity(&self) -> u32 {
        self.capacity
    }

    /// Waits until the command may start; false: `give_up` said so, which is asked ten times a second. `waiting` is told
    /// once how many leases are open besides, if it has to wait for more than a second.
    ///
    /// # Errors
    /// The server is gone, or says something else.
    pub fn wait(&mut self, waiting: impl Fn(usize), mut give_up: impl FnMut() -> bool) -> io::Result<bool> {
        self.lines.set_nonblocking()?;
        let start = Instant::now();
        let mut besides = None;
        while !self.granted {
            if let Some(line) = self.lines.line()? {
                match serde_json::from_slice(&line.text)? {
                    Reply::Granted => self.granted = true,
                    Reply::Waiting { leases } => besides = Some(leases),
                    other => keep(&mut self.clients, other, line.descriptors).map_err(unexpected)?,
                }
                continue;
            }
            let mut fds = [PollFd::from_borrowed_fd(self.lines.fd(), PollFlags::IN)];
            // Interrupted: looked at again.
            let _ = poll(&mut fds, Some(&Timespec { tv_sec: 0, tv_nsec: 100_000_000 }));
            if let Some(leases) = besides.take_if(|_| start.elapsed() >= WORTH_A_LINE) {
                waiting(leases);
            }
            if give_up() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The command has been started as process `pid`: a thread keeps the lease from now on.
    ///
    /// # Errors
    /// The server is gone; no thread or no descriptor can be had. The command is as well off as without the keeper.
    pub fn keep(mut self, pid: u32) -> io::Result<Keeper> {
        self.lines.set_nonblocking()?;
        self.lines.send(&Request::Command { pid }, Vec::new())?;
        let (stop, stopped) = UnixStream::pair()?;
        let body = move || {
            if let Some(clients) = follow(&mut self.lines, self.clients, &stopped) {
                pass_on(&clients, &stopped);
            }
        };
        let thread = Builder::new().name("lease".to_string()).spawn(body)?;
        Ok(Keeper { stop, thread })
    }
}

/// Keeps a lease while its command runs.
#[derive(Debug)]
pub struct Keeper {
    stop: UnixStream,
    thread: JoinHandle<()>,
}

impl Keeper {
    /// The command has ended: the lease is given back.
    pub fn close(self) {
        drop(self.stop);
        let _ = self.thread.join();
    }
}

/// How the pool stands that is served from `directory`.
///
/// # Errors
/// Nobody serves there; the server refuses, and says why.
pub fn status(directory: &Path) -> io::Result<Status> {
    let mut lines = connect(directory)?;
    lines.send(&Request::Status, Vec::new())?;
    match read(&mut lines)?.0 {
        Reply::Status(status) => Ok(status),
        other => Err(unexpected(other)),
    }
}

/// Another number of slots for the pool that is served from `directory`.
///
/// # Errors
/// Nobody serves there; the server refuses, and says why.
pub fn set_capacity(directory: &Path, capacity: u32) -> io::Result<()> {
    let mut lines = connect(directory)?;
    lines.send(&Request::Set { capacity }, Vec::new())?;
    match read(&mut lines)?.0 {
        Reply::Done => Ok(()),
        other => Err(unexpected(other)),
    }
}

fn connect(directory: &Path) -> io::Result<Lines> {
    let socket = directory.join(SOCKET);
    UnixStream::connect(&socket).map(Lines::new).map_err(|error| failed(error, "no pool answers at", &socket))
}

/// The next reply of a socket that blocks.
fn read(lines: &mut Lines) -> io::Result<(Reply, Vec<OwnedFd>)> {
    loop {
        if let Some(line) = lines.line()? {
            return Ok((serde_json::from_slice(&line.text)?, line.descriptors));
        }
    }
}

fn unexpected(reply: Reply) -> io::Error {
    match reply {
        Reply::Error { message } => io::Error::other(message),
        other => io::Error::new(io::ErrorKind::InvalidData, format!("an answer to another question: {other:?}")),
    }
}

/// Takes note of a client; what is none of a client's comes back.
fn keep(clients: &mut Clients, reply: Reply, descriptors: Vec<OwnedFd>) -> Result<(), Reply> {
    match reply {
        Reply::Endpoint { endpoint } => drop(clients.insert(endpoint, descriptors)),
        Reply::Closed { endpoint } => drop(clients.remove(&endpoint)),
        other => return Err(other),
    }
    Ok(())
}

/// Listens until the command has ended; or until the server is gone: then these are the clients.
fn follow(lines: &mut Lines, mut clients: Clients, stop: &UnixStream) -> Option<Clients> {
    loop {
        // Whole lines may be here already.
        loop {
            match lines.line() {
                // What a newer server says beyond this is not for us.
                Ok(Some(line)) => {
                    if let Ok(reply) = serde_json::from_slice(&line.text) {
                        drop(keep(&mut clients, reply, line.descriptors));
                    }
                }
                Ok(None) => break,
                Err(_) => return Some(clients),
            }
        }
        let mut fds = [PollFd::new(stop, PollFlags::IN), PollFd::from_borrowed_fd(lines.fd(), PollFlags::IN)];
        // Interrupted: looked at again.
        let _ = poll(&mut fds, None);
        if !fds[0].revents().is_empty() {
            return None;
        }
    }
}

/// In place of the server: what comes back goes where it was taken from.
fn pass_on(clients: &Clients, stop: &UnixStream) {
    let pairs: Vec<(&OwnedFd, &OwnedFd)> =
        clients.values().filter_map(|fifos| Some((fifos.first()?, fifos.get(1)?))).collect();
    loop {
        let mut fds = vec![PollFd::new(stop, PollFlags::IN)];
        fds.extend(pairs.iter().map(|(_, out)| PollFd::from_borrowed_fd(out.as_fd(), PollFlags::IN)));
        let waited = poll(&mut fds, None);
        if !fds[0].revents().is_empty() {
            return;
        }
        if waited.is_err() {
            continue;
        }
        for (fd, (inn, out)) in fds[1..].iter().zip(&pairs) {
            let mut bytes = [0; 64];
            if fd.revents().contains(PollFlags::IN) {
                if let Ok(count) = rustix::io::read(out, &mut bytes) {
                    // A FIFO that holds a page of tokens has room for those that were taken from it.
                    let _ = rustix::io::write(inn, &bytes[..count]);
                }
            }
        }
    }
}
