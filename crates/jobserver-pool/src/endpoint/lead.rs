//! Where a process is led that follows a lease's link.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use rustix::event::epoll;
use rustix::io::Errno;
use rustix::process::{getrlimit, Resource};

use super::directory::Directory;
use super::fifo::Use;
use super::member::Endpoint;
use super::roles::{End, Roles};
use super::{EndpointId, Endpoints, Event, Kind, LeaseId};
use crate::fuse::{Question, ReadLink};
use crate::process::{self, Process};

impl Endpoints {
    /// Answers all processes that have followed a link, but for those that the driver has to ask about.
    pub(super) fn answer_all(&mut self) -> io::Result<()> {
        while let Some(fuse) = &mut self.fuse {
            match fuse.next() {
                Ok(None) => return Ok(()),
                Ok(Some(Question::ReadLink(question))) => {
                    self.stir.asked = true;
                    if let Some(question) = self.ask(question) {
                        self.lead(question)?;
                    }
                }
                Ok(Some(Question::Interrupted(unique))) => self.interrupted(unique),
                Err(error) => {
                    // Its descriptor leaves the epoll set with it.
                    self.fuse = None;
                    self.events.push_back(Event::Unmounted { error });
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Leads a process to where it opens next.
    pub(super) fn lead(&mut self, question: ReadLink) -> io::Result<()> {
        // What the process has opened so far decides where it is led now.
        let caught_up = self.catch_up();
        let target = self.target(&question);
        let Some(fuse) = &self.fuse else { return Ok(()) };
        match target {
            Ok(number) => fuse.answer(question, &Directory::target(number))?,
            Err(errno) => fuse.refuse(question, errno)?,
        }
        caught_up
    }

    /// The FIFO for whoever asks.
    fn target(&mut self, question: &ReadLink) -> Result<u64, Errno> {
        let lease = LeaseId(question.node);
        if !self.leases.contains_key(&lease) {
            return Err(Errno::NOENT);
        }
        let own = if question.thread == 0 { Ok(None) } else { self.own(lease, question) };
        match own {
            Ok(Some(number)) => Ok(number),
            Ok(None) => self.shared(lease),
            // It was killed while it asked.
            Err(error) if is_gone(&error) => Err(Errno::SRCH),
            Err(error) => {
                self.tell(lease, error);
                self.shared(lease)
            }
        }
    }

    /// The process's own endpoint, found or made.
    fn own(&mut self, lease: LeaseId, question: &ReadLink) -> io::Result<Option<u64>> {
        // Mostly it is its process's first thread, which is known by its number; to ask the kernel costs more.
        if let Some(id) = self.known(lease, question.thread)? {
            return self.end_of(id, question).map(Some);
        }
        let process = match Process::of(question.thread) {
            Ok(process) => process,
            Err(_) => {
                let pid = process::group_of(question.thread)?;
                if let Some(id) = self.known(lease, pid)? {
                    return self.end_of(id, question).map(Some);
                }
                Process::of(pid)?
            }
        };
        is_for_clients(process.fd())?;
        let pid = process.id().pid;
        let id = self.insert(Endpoint::new(lease, Some(process)))?;
        self.processes.insert((lease, pid), id);
        let number = self.end_of(id, question);
        if number.is_err() {
            self.forget(id);
        }
        number.map(Some)
    }

    /// The endpoint of a process that lives, if it has one.
    fn known(&mut self, lease: LeaseId, pid: u32) -> io::Result<Option<EndpointId>> {
        let Some(&id) = self.processes.get(&(lease, pid)) else { return Ok(None) };
        let process = self.endpoints[&id].process.as_ref();
        if process.is_some_and(|process| matches!(process.has_ended(), Ok(false))) {
            return Ok(Some(id));
        }
        // Another process has got the pid before we heard that its first owner ended.
        self.ended(vec![id])?;
        Ok(None)
    }

    /// The FIFO of an endpoint that its process opens next, made if it is missing.
    fn end_of(&mut self, id: EndpointId, question: &ReadLink) -> io::Result<u64> {
        let endpoint = self.endpoints.get_mut(&id).ok_or(Errno::SRCH)?;
        endpoint.asked_by(question.thread);
        if endpoint.unseen && endpoint.roles == Roles::Fresh {
            self.opened(id, End::In)?;
        }
        let endpoint = self.endpoints.get_mut(&id).ok_or(Errno::SRCH)?;
        if let Some(number) = endpoint.next_fifo() {
            return Ok(number);
        }
        let what = if endpoint.roles.next() == End::In { Use::Offers } else { Use::Returns };
        let fifo = self.new_fifo(question.uid, what)?;
        is_for_clients(fifo.file())?;
        let number = fifo.number;
        self.fifos.insert(number, id);
        let endpoint = self.endpoints.get_mut(&id).ok_or(Errno::SRCH)?;
        endpoint.add(fifo);
        if let Some(kind) = endpoint.kind {
            // Whoever holds its descriptors has to hold this one as well.
            self.events.push_back(Event::Changed { endpoint: id, kind });
        }
        Ok(number)
    }

    fn shared(&mut self, lease: LeaseId) -> Result<u64, Errno> {
        let shared = self.leases[&lease].shared;
        let endpoint = self.endpoints.get_mut(&shared).ok_or(Errno::NOENT)?;
        endpoint.inn.as_ref().map(|fifo| fifo.number).ok_or(Errno::NOENT)
    }

    fn tell(&mut self, lease: LeaseId, error: io::Error) {
        let Some(known) = self.leases.get_mut(&lease) else { return };
        if !std::mem::replace(&mut known.told, true) {
            self.events.push_back(Event::Sharing { lease, error });
        }
    }

    /// The first time that somebody opens an endpoint, or when it turns out to be of another kind.
    pub(super) fn announce(&mut self, id: EndpointId, kind: Kind) {
        let Some(endpoint) = self.endpoints.get_mut(&id) else { return };
        let was_shut = std::mem::take(&mut endpoint.shut);
        match endpoint.kind.replace(kind) {
            None => self.events.push_back(Event::Opened {
                endpoint: id,
                lease: endpoint.lease,
                process: endpoint.owner,
                parent: endpoint.process.as_ref().map(Process::parent),
                kind,
            }),
            Some(old) if old != kind || was_shut => self.events.push_back(Event::Changed { endpoint: id, kind }),
            Some(_) => {}
        }
    }

    /// All endpoints of the process whose this one is, in their lease, if it has closed all of them: nobody has any open.
    pub fn closed_by_owner(&self, endpoint: EndpointId) -> Option<Vec<EndpointId>> {
        let Endpoint { lease, owner, .. } = self.endpoints.get(&endpoint)?;
        let first = *self.processes.get(&(*lease, owner.as_ref()?.pid))?;
        let known = self.endpoints.get(&first).filter(|first| first.shut)?;
        let all: Vec<_> = [first].into_iter().chain(known.parts.iter().copied()).collect();
        // A descriptor that was only copied makes it unsure for good; the owner lives, so it can be asked.
        let is_closed = |endpoint: &Endpoint| {
            endpoint.is_surely_closed() || (endpoint.is_told_closed() && !endpoint.is_open_at_owner())
        };
        all.iter().all(|id| self.endpoints.get(id).is_none_or(is_closed)).then_some(all)
    }

    /// Removes an endpoint and its FIFOs.
    pub(super) fn forget(&mut self, id: EndpointId) -> Option<Endpoint> {
        let caught = self.endpoints.get(&id)?.inn.as_ref().map(|fifo| fifo.number);
        if let Some(number) = caught {
            self.let_go(number);
        }
        let endpoint = self.endpoints.remove(&id)?;
        self.stirred.remove(&id);
        for fifo in endpoint.fifos() {
            self.fifos.remove(&fifo.number);
        }
        if let Some(process) = &endpoint.process {
            // Explicitly: a copy of the descriptor elsewhere would keep it in the set.
            let _ = epoll::delete(&self.epoll, process.fd());
            let place = (endpoint.lease, process.id().pid);
            if self.processes.get(&place) == Some(&id) {
                self.processes.remove(&place);
            }
        }
        Some(endpoint)
    }
}

/// Whether a client may have that descriptor. Numbers are given from the lowest on; the last ones are for leases, for those
/// who ask how the pool stands, and for its looks at others.
fn is_for_clients(descriptor: BorrowedFd<'_>) -> io::Result<()> {
    let limit = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    if descriptor.as_raw_fd() as u64 > limit - limit.min(256) / 4 {
        return Err(Errno::MFILE.into());
    }
    Ok(())
}

pub(super) fn is_gone(error: &io::Error) -> bool {
    matches!(Errno::from_io_error(error), Some(Errno::SRCH | Errno::NOENT))
}
