//! A lease, as the one who runs a command sees it: opened on a pool's socket, kept until the command has ended.
//!
//! The keeper holds the FIFOs of the lease's clients open as well. When the server is killed the clients neither read the
//! end of a file nor die of a broken pipe, and what they give back is laid where they take it from: the lease keeps the
//! width it has.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

use nix::sys::socket::{getsockopt, sockopt::PeerCredentials};
use rustix::event::{poll, PollFd, PollFlags, Timespec};
use rustix::process::{pidfd_open, Pid, PidfdFlags};

use crate::control::{Lines, Open, Reply, Request, Set, Status, SOCKET};
use crate::endpoint::Kind;
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
    /// What is needed to go on with it under another server.
    directory: PathBuf,
    open: Open,
    server: u64,
    /// The command's pidfd: what its pid is to us says nothing to a server in another pid namespace.
    command: Option<OwnedFd>,
}

/// Slots change hands all the time: a wait that is shorter is nothing that a person could do anything about.
const WORTH_A_LINE: Duration = Duration::from_secs(1);

/// Bytes. Thousands of builds and clients with long names: whoever serves the pool is trusted with the memory.
const STATUS_MOST: usize = 64 << 20;

/// How long an answer may take. A server that is well needs less than a millisecond.
const ANSWER: Duration = Duration::from_secs(5);

/// How often it is asked whether there is a server again.
const ASK_AGAIN: Duration = Duration::from_millis(100);

/// The FIFOs of each client, the one for offers first.
type Clients = BTreeMap<u64, Kept>;

#[derive(Debug)]
struct Kept {
    /// None: processes that can't be told apart.
    pid: Option<u32>,
    kind: Option<Kind>,
    descriptors: Vec<OwnedFd>,
}

impl Lease {
    /// Opens a lease in the pool that is served from `directory`.
    ///
    /// # Errors
    /// Nobody serves there, or another user than root and this one; the server refuses, and says why.
    pub fn open(directory: &Path, open: Open) -> io::Result<Lease> {
        Lease::over(connect_to_trusted(directory)?, directory, open, || ())
    }

    /// Over a connection that is there; `asked` is called between question and answer.
    pub(crate) fn over(mut lines: Lines, directory: &Path, open: Open, asked: impl FnOnce()) -> io::Result<Lease> {
        lines.send(&Request::Open(open.clone()), Vec::new())?;
        asked();
        match read(&mut lines)?.0 {
            Reply::Opened { path, style, capacity, server, .. } => {
                let (path, directory) = (PathBuf::from(path), directory.to_path_buf());
                let clients = Clients::new();
                Ok(Lease {
                    lines,
                    path,
                    style,
                    capacity,
                    granted: false,
                    clients,
                    directory,
                    open,
                    server,
                    command: None,
                })
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

    /// What the command's tools read tokens from and write them to, if they open no path ([`Open::pipes`]) and the wait
    /// is over.
    pub fn pipes(&self) -> Option<(BorrowedFd<'_>, BorrowedFd<'_>)> {
        let kept = self.clients.values().find(|kept| kept.kind == Some(Kind::Pipes))?;
        let [inn, out] = &kept.descriptors[..] else { return None };
        Some((inn.as_fd(), out.as_fd()))
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
        let (mut besides, mut granted) = (None, None);
        while !self.granted || (self.open.pipes && self.pipes().is_none()) {
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
            // What comes with the slot comes at once, or the server can't give it.
            if self.granted && granted.get_or_insert_with(Instant::now).elapsed() > ANSWER {
                return Err(io::Error::new(io::ErrorKind::TimedOut, "its pipes don't come"));
            }
        }
        Ok(true)
    }

    /// The command has been started as process `pid`: the pool watches it. Nobody keeps the lease if the server ends before
    /// the command: for one that is served in this very process.
    ///
    /// # Errors
    /// The server is gone.
    pub fn started(&mut self, pid: u32) -> io::Result<()> {
        // Not reaped yet, so the pid is its own. Without a pidfd (an old kernel, no descriptor left) the pid has to do.
        let number = i32::try_from(pid).ok().and_then(Pid::from_raw);
        self.command = number.and_then(|number| pidfd_open(number, PidfdFlags::empty()).ok());
        self.lines.set_nonblocking()?;
        self.lines.send(&Request::Command { pid }, self.beside())
    }

    /// The command has been started as process `pid`: a thread keeps the lease from now on.
    ///
    /// # Errors
    /// No thread or no descriptor can be had: the lease comes back. It lasts as long as it is not dropped, only nobody
    /// keeps its clients when the server is killed.
    pub fn keep(mut self, pid: u32) -> Result<Keeper, (io::Error, Box<Lease>)> {
        let prepared = self.started(pid).and_then(|()| UnixStream::pair());
        let (stop, stopped) = match prepared {
            Ok(pair) => pair,
            Err(error) => return Err((error, Box::new(self))),
        };
        let (hand_over, lease) = std::sync::mpsc::channel::<Lease>();
        let body = move || {
            if let Ok(mut lease) = lease.recv() {
                while lease.follow(&stopped) && lease.bridge(pid, &stopped) {}
            }
        };
        match Builder::new().name("lease".to_string()).spawn(body) {
            Ok(thread) => {
                // It waits for this.
                let _ = hand_over.send(self);
                Ok(Keeper { stop, thread })
            }
            Err(error) => Err((error, Box::new(self))),
        }
    }

    /// What goes with the command's pid.
    fn beside(&self) -> Vec<OwnedFd> {
        self.command.iter().filter_map(|pidfd| pidfd.try_clone().ok()).collect()
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
    lines.allow(STATUS_MOST);
    lines.send(&Request::Status, Vec::new())?;
    match read(&mut lines)?.0 {
        Reply::Status(status) => Ok(*status),
        other => Err(unexpected(other)),
    }
}

/// Another width, of the pool that is served from `directory` or of leases in it.
///
/// # Errors
/// Nobody serves there; the server refuses, and says why.
pub fn set(directory: &Path, set: Set) -> io::Result<()> {
    let mut lines = connect(directory)?;
    lines.send(&Request::Set(set), Vec::new())?;
    match read(&mut lines)?.0 {
        Reply::Done => Ok(()),
        other => Err(unexpected(other)),
    }
}

/// A server decides what a build opens and how much it may do: only root and the own user are trusted with that. The
/// kernel says who listens, whatever the path leads through.
fn connect_to_trusted(directory: &Path) -> io::Result<Lines> {
    let lines = connect(directory)?;
    let (server, me) = (getsockopt(&lines.fd(), PeerCredentials)?.uid(), rustix::process::geteuid().as_raw());
    if server == 0 || server == me {
        return Ok(lines);
    }
    let text = format!("it is served by user {server}, and this is user {me}");
    Err(io::Error::new(io::ErrorKind::PermissionDenied, text))
}

pub(crate) fn connect(directory: &Path) -> io::Result<Lines> {
    let socket = directory.join(SOCKET);
    let failed = |error| failed(error, "no pool answers at", &socket);
    UnixStream::connect(&socket).and_then(patient).map_err(failed)
}

/// A connection on which answers are waited for.
pub(crate) fn patient(stream: UnixStream) -> io::Result<Lines> {
    // A server that was stopped must not stop everybody.
    stream.set_read_timeout(Some(ANSWER))?;
    stream.set_write_timeout(Some(ANSWER))?;
    Ok(Lines::new(stream))
}

/// The next reply of a socket that blocks.
pub(crate) fn read(lines: &mut Lines) -> io::Result<(Reply, Vec<OwnedFd>)> {
    let silent = || io::Error::new(io::ErrorKind::TimedOut, "the pool's server does not answer");
    let line = lines.line()?.ok_or_else(silent)?;
    Ok((serde_json::from_slice(&line.text)?, line.descriptors))
}

pub(crate) fn unexpected(reply: Reply) -> io::Error {
    match reply {
        Reply::Error { message } => io::Error::other(message),
        other => io::Error::new(io::ErrorKind::InvalidData, format!("an answer to another question: {other:?}")),
    }
}

/// Takes note of a client; what is none of a client's comes back.
fn keep(clients: &mut Clients, reply: Reply, descriptors: Vec<OwnedFd>) -> Result<(), Reply> {
    match reply {
        Reply::Endpoint { endpoint, pid, kind } => drop(clients.insert(endpoint, Kept { pid, kind, descriptors })),
        Reply::Closed { endpoint } => drop(clients.remove(&endpoint)),
        other => return Err(other),
    }
    Ok(())
}

impl Lease {
    /// Listens until the server is gone; false: the command has ended.
    fn follow(&mut self, stop: &UnixStream) -> bool {
        loop {
            // Whole lines may be here already.
            loop {
                match self.lines.line() {
                    // What a newer server says beyond this is not for us.
                    Ok(Some(line)) => {
                        if let Ok(reply) = serde_json::from_slice(&line.text) {
                            drop(keep(&mut self.clients, reply, line.descriptors));
                        }
                    }
                    Ok(None) => break,
                    Err(_) => return true,
                }
            }
            let mut fds = [PollFd::new(stop, PollFlags::IN), PollFd::from_borrowed_fd(self.lines.fd(), PollFlags::IN)];
            // Interrupted: looked at again.
            let _ = poll(&mut fds, None);
            if !fds[0].revents().is_empty() {
                return false;
            }
        }
    }

    /// In place of the server: what comes back goes where it was taken from. True: another server has taken over; false:
    /// the command has ended.
    fn bridge(&mut self, pid: u32, stop: &UnixStream) -> bool {
        let mut asked = Instant::now();
        loop {
            self.pass_on();
            let returns = self.clients.values().filter_map(|kept| kept.descriptors.get(1));
            let mut fds = vec![PollFd::new(stop, PollFlags::IN)];
            fds.extend(returns.map(|out| PollFd::from_borrowed_fd(out.as_fd(), PollFlags::IN)));
            // Interrupted: looked at again.
            let _ = poll(&mut fds, Some(&Timespec { tv_sec: 0, tv_nsec: 100_000_000 }));
            if !fds[0].revents().is_empty() {
                return false;
            }
            if asked.elapsed() >= ASK_AGAIN {
                asked = Instant::now();
                if self.resume(pid).is_ok() {
                    return true;
                }
            }
        }
    }

    fn pass_on(&self) {
        for kept in self.clients.values() {
            let [inn, out] = &kept.descriptors[..] else { continue };
            let mut bytes = [0; 64];
            // They never block. A FIFO that has room for a page of tokens has it for those that were taken from it.
            while let Ok(count @ 1..) = rustix::io::read(out, &mut bytes) {
                let _ = rustix::io::write(inn, &bytes[..count]);
            }
        }
    }

    /// Goes on with the lease under a server that is in the place of the first.
    fn resume(&mut self, pid: u32) -> io::Result<()> {
        let mut lines = connect_to_trusted(&self.directory)?;
        let path = self.path.display().to_string();
        lines.send(&Request::Resume { open: self.open.clone(), path, pid }, self.beside())?;
        let mut clients = Clients::new();
        let Reply::Opened { server, .. } = answer(&mut lines, &mut clients)? else {
            return Err(io::Error::other("the lease is not taken over"));
        };
        for (&endpoint, kept) in &self.clients {
            let (pid, kind) = match (kept.pid, kept.kind) {
                (Some(pid), Some(kind)) => (pid, kind),
                // Nobody's in particular: the pid only fills its field.
                (None, Some(Kind::Pipes)) => (pid, Kind::Pipes),
                // A path that no other server serves.
                _ => continue,
            };
            let descriptors = kept.descriptors.iter().map(OwnedFd::try_clone).collect::<io::Result<Vec<_>>>()?;
            lines.send(&Request::Adopt { server: self.server, endpoint, pid, kind }, descriptors)?;
            // One that has ended meanwhile is refused.
            answer(&mut lines, &mut clients)?;
        }
        lines.set_nonblocking()?;
        // The old descriptors may go: the new server has all of them, and has told us of them.
        (self.lines, self.clients, self.server) = (lines, clients, server);
        Ok(())
    }
}

/// The answer to a request, while clients come and go.
fn answer(lines: &mut Lines, clients: &mut Clients) -> io::Result<Reply> {
    loop {
        let (reply, descriptors) = read(lines)?;
        match keep(clients, reply, descriptors) {
            Ok(()) | Err(Reply::Granted) => {}
            Err(reply) => return Ok(reply),
        }
    }
}
