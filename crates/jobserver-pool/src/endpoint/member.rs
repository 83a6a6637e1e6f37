//! One endpoint: the FIFOs of one process (or of a whole lease), and what they hold.

use std::io;
use std::os::fd::OwnedFd;

use super::fifo::Fifo;
use super::roles::{End, Roles};
use super::{EndpointId, Kind, LeaseId};
use crate::process::{self, Opened, Process, ProcessId};

/// What has moved at an endpoint, as [`Event::Stirred`](super::Event::Stirred) tells it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Moved {
    pub taken: usize,
    pub returned: usize,
    pub left: usize,
}

#[derive(Debug)]
pub(super) struct Endpoint {
    pub lease: LeaseId,
    /// Whose it is; none if all processes that can't be told apart share it.
    pub owner: Option<ProcessId>,
    /// Tells when the owner ends. A part of another endpoint has none and ends with that one.
    pub process: Option<Process>,
    /// What was parted from it.
    pub parts: Vec<EndpointId>,
    pub inn: Option<Fifo>,
    pub out: Option<Fifo>,
    pub roles: Roles,
    /// Its first open was told before the descriptor could be seen.
    pub unseen: bool,
    /// Set once somebody opened it: from then on the driver knows it.
    pub kind: Option<Kind>,
    /// The driver was told that nobody has it open.
    pub shut: bool,
    /// The thread that followed the link last, and how many opens there had been.
    asked: Option<(u32, u64)>,
    /// Bytes that were taken out as they came back, and are not told yet.
    pub caught: usize,
    /// There may have been more opens than were told: two threads at once, or lost events.
    pub crowded: bool,
    /// The owner has it from its parent, or from the time of an earlier server.
    pub inherited: bool,
}

impl Endpoint {
    pub fn new(lease: LeaseId, process: Option<Process>) -> Endpoint {
        Endpoint {
            lease,
            owner: process.as_ref().map(Process::id),
            roles: if process.is_some() { Roles::Fresh } else { Roles::Single },
            process,
            parts: Vec::new(),
            inn: None,
            out: None,
            unseen: false,
            kind: None,
            shut: false,
            asked: None,
            caught: 0,
            crowded: false,
            inherited: false,
        }
    }

    /// A FIFO of process `owner` that can't be one endpoint with its other one.
    pub fn part(lease: LeaseId, owner: Option<ProcessId>, fifo: Fifo) -> Endpoint {
        Endpoint { owner, inn: Some(fifo), ..Endpoint::new(lease, None) }
    }

    /// Whether links lead to it, so that its roles matter.
    pub fn is_led_to(&self) -> bool {
        self.process.is_some() && !self.inherited
    }

    pub fn fifos(&self) -> impl Iterator<Item = &Fifo> {
        self.inn.iter().chain(&self.out)
    }

    pub fn fifo_mut(&mut self, number: u64) -> Option<(End, &mut Fifo)> {
        let inn = self.inn.iter_mut().map(|fifo| (End::In, fifo));
        let out = self.out.iter_mut().map(|fifo| (End::Out, fifo));
        inn.chain(out).find(|(_, fifo)| fifo.number == number)
    }

    /// How its process has that FIFO open now.
    pub fn seen(&self, end: End) -> Vec<Opened> {
        let fifo = if end == End::In { &self.inn } else { &self.out };
        let (Some(owner), Some(fifo)) = (&self.owner, fifo) else { return Vec::new() };
        // What can't be seen is treated as unknown, which is safe.
        process::descriptors(owner.pid, fifo.name(), fifo.inode()).unwrap_or_default()
    }

    /// So many descriptors of its owner were seen on that FIFO.
    pub fn note_found(&mut self, end: End, count: u64) {
        let fifo = if end == End::In { &mut self.inn } else { &mut self.out };
        if let Some(fifo) = fifo {
            fifo.found = fifo.found.max(count);
        }
    }

    /// What came back since the last look, and what was taken.
    pub fn look(&mut self) -> io::Result<Moved> {
        let returned = self.out.as_mut().map_or(Ok(0), Fifo::empty)?;
        let returned = returned + std::mem::take(&mut self.caught);
        let (taken, left) = self.inn.as_mut().map_or(Ok((0, 0)), Fifo::moved)?;
        Ok(Moved { taken, returned, left })
    }

    /// What was taken since the last look.
    pub fn takes(&mut self) -> io::Result<usize> {
        self.inn.as_mut().map_or(Ok(0), Fifo::removed)
    }

    /// Whether nobody has moved a token since the last look.
    pub fn is_as_known(&self) -> io::Result<bool> {
        for fifo in self.fifos() {
            if !fifo.is_as_known()? {
                return Ok(false);
            }
        }
        Ok(self.caught == 0)
    }

    /// A thread follows the link: what it followed it for before is over, whether that was an open or not.
    pub fn asked_by(&mut self, thread: u32) {
        let opens = self.opens();
        let others = self.asked.is_some_and(|(other, before)| other != thread && before == opens);
        self.crowded |= others;
        self.asked = Some((thread, opens));
    }

    /// How often any of it was opened, as far as was told.
    pub fn opens(&self) -> u64 {
        self.fifos().map(|fifo| fifo.opens).sum()
    }

    /// Whether it was told that nobody has any of it open.
    pub fn is_told_closed(&self) -> bool {
        !self.crowded && !self.inherited && self.fifos().all(Fifo::is_closed)
    }

    /// Whether that can be relied on, as far as was seen: no more descriptors than opens.
    pub fn is_surely_closed(&self) -> bool {
        self.is_told_closed() && self.fifos().all(|fifo| fifo.found <= fifo.opens)
    }

    /// Whether its owner has any of it open.
    pub fn is_open_at_owner(&self) -> bool {
        [End::In, End::Out].into_iter().any(|end| !self.seen(end).is_empty())
    }

    /// The FIFO that the next open leads to, by its number, if it is there already.
    pub fn next_fifo(&mut self) -> Option<u64> {
        // A process that only wrote and has closed it again: what it had serves for whatever comes next.
        if self.roles == Roles::Fresh && self.inn.is_none() {
            self.inn = self.out.take();
        }
        let slot = if self.roles.next() == End::In { &self.inn } else { &self.out };
        slot.as_ref().map(|fifo| fifo.number)
    }

    /// Takes a FIFO for the next open.
    pub fn add(&mut self, fifo: Fifo) {
        let slot = if self.roles.next() == End::In { &mut self.inn } else { &mut self.out };
        *slot = Some(fifo);
    }

    /// The process turned out to use what it was given for returns only. `old` becomes the FIFO that served for them
    /// before. False if that is still open, or offers lie in the first one: then it must stay what it is.
    pub fn turn_writer(&mut self, old: &mut Option<Fifo>) -> bool {
        let is_in_use = self.out.as_ref().is_some_and(|out| !out.is_closed());
        if is_in_use || self.inn.as_ref().is_some_and(|inn| inn.lying() > 0) {
            return false;
        }
        *old = std::mem::replace(&mut self.out, self.inn.take());
        true
    }

    /// The descriptors of both FIFOs, to be held by somebody else as well.
    pub fn files(&self) -> io::Result<Vec<OwnedFd>> {
        self.fifos().map(|fifo| fifo.file().try_clone_to_owned()).collect()
    }
}
