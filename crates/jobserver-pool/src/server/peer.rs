//! One connection, and what it may do.
//!
//! Who a peer is, the kernel says; what it says itself of processes counts only for those of its own user. The name of a
//! lease has its user in it, so that nobody can go on with another's under a server that was started again.

use std::fs::{self, File, Permissions};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;

use nix::sys::socket::{getsockopt, sockopt::PeerCredentials};
use rustix::event::epoll::EventFlags;

use super::Server;
use crate::control::{Lines, Open, Reply, Request, VERSION};
use crate::endpoint::Kind;
use crate::engine::Owner;
use crate::fuse::Reach;
use crate::ledger::{LeaseId, Stage, Terms};
use crate::process::{self, Process};

/// Connections that one user may have: more than builds at once, fewer than our descriptors.
const CONNECTIONS_MOST: usize = 512;

/// So many lines of one peer, before others are heard.
const LINES_A_TURN: usize = 8;

/// Bytes of what a lease is called and runs: it is for people, and kept as long as the lease.
const WORDS_MOST: usize = 4096;

/// More would change nothing that could be seen.
pub(super) const WEIGHT_MOST: u32 = 1000;

#[derive(Debug)]
pub(super) struct Peer {
    /// None once it was closed: the lease lives on until its command has ended.
    lines: Option<Lines>,
    /// 0 if it lives in a pid namespace that can't be seen from here.
    pub(super) pid: u32,
    pub(super) uid: u32,
    pub(super) lease: Option<LeaseId>,
    pub(super) command: Option<Process>,
    /// The lease of which it does without a slot.
    lent: Option<LeaseId>,
    /// The lease of which it hears what moves.
    pub(super) watches: Option<LeaseId>,
}

impl Server {
    /// Leaves the socket to root and to members of `group`. To be called before [`publish`](Server::publish).
    ///
    /// # Errors
    /// The socket can't be given to the group: then it is left to root alone.
    pub fn for_group(&mut self, group: u32) -> io::Result<()> {
        // Nobody but root while it belongs to the wrong group.
        fs::set_permissions(&self.socket, Permissions::from_mode(0o600))?;
        std::os::unix::fs::chown(&self.socket, None, Some(group))?;
        fs::set_permissions(&self.socket, Permissions::from_mode(0o660))?;
        Ok(())
    }

    pub(super) fn accept(&mut self) {
        loop {
            match self.listener.accept() {
                Ok((socket, _)) => {
                    // A peer that is gone again, or one too many, is no trouble of ours.
                    let _ = self.admit(socket);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(_) => {
                    // No descriptor left: turned away, or it would wake us for ever.
                    self.spare = None;
                    drop(self.listener.accept());
                    self.spare = File::open("/dev/null").ok();
                    return;
                }
            }
        }
    }

    pub(super) fn admit(&mut self, socket: UnixStream) -> io::Result<()> {
        socket.set_nonblocking(true)?;
        let peer = getsockopt(&socket, PeerCredentials)?;
        let (pid, uid) = (u32::try_from(peer.pid()).unwrap_or(0), peer.uid());
        let mut lines = Lines::new(socket);
        let refused = if self.reach == Reach::Owner && !self.is_master(uid) {
            Some(format!("this pool belongs to another user than {uid}"))
        } else if self.peers.values().filter(|peer| peer.uid == uid).count() >= CONNECTIONS_MOST {
            Some(format!("user {uid} has {CONNECTIONS_MOST} connections already: some builds have to end first"))
        } else {
            None
        };
        if let Some(message) = refused {
            return lines.send(&Reply::Error { message }, Vec::new());
        }
        let id = self.next_peer;
        self.next_peer += 2;
        self.engine.watch_also(lines.fd(), id, EventFlags::IN)?;
        self.peers
            .insert(id, Peer { lines: Some(lines), pid, uid, lease: None, command: None, lent: None, watches: None });
        Ok(())
    }

    /// Whether this user may see and change all.
    pub(super) fn is_master(&self, uid: u32) -> bool {
        uid == 0 || uid == rustix::process::geteuid().as_raw()
    }

    /// The socket of a peer has something, or has room again.
    pub(super) fn hear(&mut self, id: u64) {
        for _ in 0..LINES_A_TURN {
            let Some(lines) = self.peers.get_mut(&id).and_then(|peer| peer.lines.as_mut()) else { return };
            let line = match lines.flush().and_then(|()| lines.line()) {
                Ok(Some(line)) => line,
                Ok(None) => return self.watch_room(id),
                Err(_) => return self.hang_up(id),
            };
            let reply = match serde_json::from_slice(&line.text) {
                Ok(request) => self.answer(id, request, line.descriptors),
                Err(error) => Some(Reply::Error { message: format!("not understood: {error}") }),
            };
            if let Some(reply) = reply {
                self.say(id, &reply, Vec::new());
            }
        }
        self.again.push(id);
    }

    pub(super) fn say(&mut self, id: u64, reply: &Reply, descriptors: Vec<OwnedFd>) {
        let Some(peer) = self.peers.get_mut(&id) else { return };
        let Some(lines) = peer.lines.as_mut() else { return };
        if let Reply::Error { message } = reply {
            log::info!("user {}: refused: {message}", peer.uid);
        }
        match lines.send(reply, descriptors) {
            Ok(()) => self.watch_room(id),
            Err(_) => self.hang_up(id),
        }
    }

    /// Asks for room as long as something is unsent.
    fn watch_room(&mut self, id: u64) {
        let Some(lines) = self.peers.get(&id).and_then(|peer| peer.lines.as_ref()) else { return };
        let room = if lines.is_full() { EventFlags::OUT } else { EventFlags::empty() };
        let _ = self.engine.watch_also(lines.fd(), id, EventFlags::IN | room);
    }

    fn answer(&mut self, id: u64, request: Request, descriptors: Vec<OwnedFd>) -> Option<Reply> {
        match request {
            Request::Open(open) => self.open(id, open, None),
            Request::Resume { mut open, path, pid } => {
                // Its command runs, so it has its slot: one that is not free is owed.
                open.now = !open.inherited;
                // Who may go on with it is known before anything is opened: who may not moves nothing.
                let process = match self.own_command(id, pid, descriptors) {
                    Ok(process) => process,
                    Err(message) => return Some(refusal(message)),
                };
                match self.open(id, open, Some((path, process.id().pid))) {
                    Some(refused @ Reply::Error { .. }) => Some(refused),
                    opened => self.follow(id, process).err().map(refusal).or(opened),
                }
            }
            Request::Adopt { server, endpoint, pid, kind } => {
                Some(self.adopt(id, (server, endpoint), pid, kind, descriptors))
            }
            Request::Command { pid } => {
                self.process(id, pid, descriptors).and_then(|process| self.follow(id, process)).err().map(refusal)
            }
            Request::Lend { path } => Some(self.lend(id, &path)),
            Request::Regain => Some(self.regain(id)),
            Request::Watch { path } => Some(self.watch(id, &path)),
            Request::Status => {
                let asks = self.peers.get(&id)?.uid;
                let all = self.is_master(asks);
                Some(Reply::Status(Box::new(self.engine.status(|uid| all || uid == asks))))
            }
            Request::Set(set) => Some(self.set(id, &set)),
        }
    }

    /// `old`: the path of a lease of an earlier server, and the process of its command.
    fn open(&mut self, id: u64, open: Open, old: Option<(String, u32)>) -> Option<Reply> {
        let (path, command_pid) = old.unzip();
        let peer = self.peers.get(&id)?;
        if peer.lease.is_some() {
            return Some(refusal("this connection has a lease already: a second one needs a second connection"));
        }
        let capacity = self.engine.capacity();
        let Open { mut name, mut command, floor, cap, weight, now, inherited, pipes } = open;
        shorten(&mut name);
        shorten(&mut command);
        if floor == 0 || weight == 0 || cap == Some(0) {
            return Some(refusal("floor, cap and weight are 1 at least"));
        }
        let others = self.peers.values().filter(|other| other.uid == peer.uid && other.lease.is_some()).count();
        let is_greedy = floor > 1 || weight > 1 || (now && others > 0 && path.is_none());
        if is_greedy && !self.is_master(peer.uid) {
            let text = "only root may have a floor or a weight above 1 in the machine's pool, or start a second build with now";
            return Some(refusal(text));
        }
        // What a person calls it need not be unique, nor fit into a path; and no later server may use it again.
        let new = format!("{:x}-{}-{id}", self.engine.server(), peer.uid);
        let place = match path.as_ref().and_then(|path| path.rsplit('/').next()) {
            Some(old) if old.split('-').nth(1).is_some_and(|uid| uid.parse() == Ok(peer.uid)) => old.to_string(),
            Some(old) if self.engine.style_name() == "tracked" => {
                return Some(refusal(format!("{old:?} is no lease of user {}", peer.uid)));
            }
            // Where a path is not made of the name, there is nothing to go on with but the slot.
            _ => new,
        };
        let (uid, pid) = (peer.uid, peer.pid);
        // One that nobody knows of waits like any other, whoever says that it runs.
        let had = command_pid.and_then(|pid| self.engine.had_lease(&place, uid, pid));
        if had == Some(false) {
            return Some(refusal(format!("the command of lease {place} is another process")));
        }
        let is_known =
            path.is_none() || had.is_some() || (self.engine.style_name() != "tracked" && self.is_master(uid));
        let now = now && is_known;
        let verb = if path.is_some() { "goes on" } else { "is opened" };
        log::info!("user {uid}: lease {place} {verb} for process {pid}: {name:?}, {command:?}");
        let mut terms = Terms::new(name);
        terms.floor = floor.min(capacity);
        terms.cap = cap.unwrap_or(u32::MAX);
        terms.weight = weight.min(WEIGHT_MOST);
        (terms.now, terms.inherited) = (now, inherited);
        let owner = Owner { pid, uid, command, command_pid: None };
        let lease = match self.engine.open_lease(&place, terms, owner) {
            Ok(lease) => lease,
            Err(error) => return Some(refusal(format!("no lease can be opened: {error}"))),
        };
        self.engine.forget_had_lease(&place);
        if pipes && !self.engine.splits() {
            self.engine.close_lease(lease);
            return Some(refusal("this pool is of one command: it has no pipes for make before 4.4"));
        }
        // One that goes on brings its own.
        if let Some(error) = (pipes && path.is_none()).then(|| self.engine.open_pipes(lease).err()).flatten() {
            self.engine.close_lease(lease);
            return Some(refusal(format!("no lease can be opened: {error}")));
        }
        self.peers.get_mut(&id)?.lease = Some(lease);
        self.speakers.insert(lease, id);
        let path = self.engine.path(lease)?.display().to_string();
        let style = self.engine.style_name().to_string();
        let server = self.engine.server();
        self.say(id, &Reply::Opened { version: VERSION, path, style, capacity, server }, Vec::new());
        self.turn_engine();
        let waits = self.engine.ledger().lease(lease).is_some_and(|account| account.stage() == Stage::Waiting);
        waits.then(|| Reply::Waiting { leases: self.engine.ledger().leases().count() - 1 })
    }

    /// `pid` is how the peer calls it; a pidfd beside says which process that is, whatever the peer's pid namespace.
    fn process(&mut self, id: u64, pid: u32, descriptors: Vec<OwnedFd>) -> Result<Process, String> {
        let Peer { uid, pid: speaker, .. } = *self.peers.get(&id).ok_or("no such peer")?;
        let process = match descriptors.into_iter().next() {
            Some(pidfd) => Process::of_pidfd(pidfd),
            None if process::counts_alike(speaker) => Process::of(pid),
            None => Err(io::Error::other("its pid is of another pid namespace: its pidfd has to come with it")),
        };
        let process = process.map_err(|error| format!("process {pid} can't be watched: {error}"))?;
        let pid = process.id().pid;
        let about = process::about(pid).map_err(|error| format!("process {pid} can't be looked at: {error}"))?;
        if about.uid != uid && uid != 0 {
            return Err(format!("process {pid} belongs to another user"));
        }
        Ok(process)
    }

    /// The same of a command that runs already: who has started it speaks for it.
    fn own_command(&mut self, id: u64, pid: u32, descriptors: Vec<OwnedFd>) -> Result<Process, String> {
        let process = self.process(id, pid, descriptors)?;
        let (pid, speaker) = (process.id().pid, self.peers.get(&id).map_or(0, |peer| peer.pid));
        // One that can't be seen is none of its parents either.
        if speaker != 0 && pid != speaker && !process::about(pid).is_ok_and(|about| about.parent == speaker) {
            return Err(format!("process {pid} was started by another process than the one that asks"));
        }
        Ok(process)
    }

    /// The lease of this peer lasts until that process has ended.
    fn follow(&mut self, id: u64, process: Process) -> Result<(), String> {
        let pid = process.id().pid;
        self.engine.watch_also(process.fd(), id + 1, EventFlags::IN).map_err(|error| error.to_string())?;
        let peer = self.peers.get_mut(&id).ok_or("no such peer")?;
        if peer.lease.is_none() || peer.command.is_some() {
            self.engine.watch_no_more(process.fd());
            return Err("a command needs a lease that has none".to_string());
        }
        peer.command = Some(process);
        if let Some(lease) = peer.lease {
            self.engine.set_command(lease, Some(pid));
        }
        Ok(())
    }

    fn adopt(&mut self, id: u64, old: (u64, u64), pid: u32, kind: Kind, descriptors: Vec<OwnedFd>) -> Reply {
        let Some(&Peer { uid, lease: Some(lease), .. }) = self.peers.get(&id) else {
            return refusal("a client needs a lease: resume it first");
        };
        // What it holds is counted against its own user only.
        match process::about(pid) {
            _ if kind == Kind::Pipes => {}
            Ok(about) if about.uid == uid || uid == 0 => {}
            Ok(_) => return refusal(format!("process {pid} belongs to another user")),
            Err(error) => return refusal(format!("process {pid} can't be looked at: {error}")),
        }
        match self.engine.adopt(lease, old, pid, kind, descriptors) {
            Ok(()) => Reply::Done,
            Err(error) => refusal(format!("process {pid} can't be taken over: {error}")),
        }
    }

    fn lend(&mut self, id: u64, path: &str) -> Reply {
        let Some(Peer { uid, lent: None, .. }) = self.peers.get(&id) else {
            return refusal("this connection lends a slot already");
        };
        let Some(lease) = self.engine.lend(path, *uid) else {
            return refusal(format!("no lease of user {uid} at {path} holds a slot"));
        };
        if let Some(peer) = self.peers.get_mut(&id) {
            peer.lent = Some(lease);
        }
        Reply::Done
    }

    fn regain(&mut self, id: u64) -> Reply {
        // What it has just taken is known by then.
        self.turn_engine();
        let Some(peer) = self.peers.get_mut(&id) else { return Reply::Done };
        let pid = peer.pid;
        match peer.lent {
            Some(lease) if self.engine.regain(lease, pid) => {
                peer.lent = None;
                Reply::Done
            }
            Some(_) => refusal("this process holds no token of that lease"),
            None => refusal("this connection lends no slot"),
        }
    }

    /// The connection is over; the lease too, unless its command still runs.
    fn hang_up(&mut self, id: u64) {
        let Some(peer) = self.peers.get_mut(&id) else { return };
        if let Some(lease) = peer.lent.take() {
            self.engine.end_loan(lease);
        }
        if let Some(lease) = peer.watches.take() {
            self.engine.unwatch(lease);
        }
        if let Some(lines) = peer.lines.take() {
            self.engine.watch_no_more(lines.fd());
        }
        if peer.command.is_none() {
            self.end_lease(id);
        }
    }

    pub(super) fn command_ended(&mut self, id: u64) {
        let Some(peer) = self.peers.get_mut(&id) else { return };
        if let Some(process) = peer.command.take() {
            self.engine.watch_no_more(process.fd());
        }
        match (&peer.lines, peer.lease) {
            (Some(_), Some(lease)) => self.engine.end_command(lease),
            _ => self.end_lease(id),
        }
    }

    fn end_lease(&mut self, id: u64) {
        let Some(peer) = self.peers.remove(&id) else { return };
        if let Some(lease) = peer.lease {
            self.speakers.remove(&lease);
            self.engine.close_lease(lease);
            let ledger = self.engine.ledger();
            let (recovered, strays) = (ledger.recovered(), ledger.strays());
            log::info!("user {}: a lease has ended; so far {recovered} recovered, {strays} strays", peer.uid);
        }
    }
}

fn shorten(text: &mut String) {
    if let Some((end, _)) = text.char_indices().find(|&(at, _)| at >= WORDS_MOST) {
        text.truncate(end);
    }
}

pub(super) fn refusal(message: impl Into<String>) -> Reply {
    Reply::Error { message: message.into() }
}
