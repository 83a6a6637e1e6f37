//! What a driver and the endpoints say to each other: names, kinds of clients, events.

use std::io;

use super::StartId;
use crate::fuse::Reach;
use crate::process::ProcessId;

/// A lease, as long as these [`Endpoints`](super::Endpoints) live.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LeaseId(pub u64);

/// An endpoint; no number is used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EndpointId(pub u64);

/// How clients reach a lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// Each process is led to FIFOs of its own.
    Tracked(Reach),
    /// One FIFO for the whole lease, where FUSE can't be had.
    Fifo(Reach),
}

/// What kind of client is at an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Kind {
    /// It waits for a token in a read or poll.
    Waiting,
    /// It waits as well, and has one FIFO for both ways: it takes again what it returns without anybody's help.
    Unsplit,
    /// Its reads never wait; it looks when it has work, mostly after one of its own jobs ended.
    NonWaiting,
    /// So far it can only return tokens: offers would lie there unseen.
    Writing,
    /// Processes that can't be told apart.
    Shared,
    /// The same, with a FIFO for each way: make before 4.4, which opens no path and inherits descriptors.
    Pipes,
}

/// What happened.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event {
    /// A process has followed a lease's link for the first time, and waits until the driver
    /// [lets it start](super::Endpoints::let_start): only after [`ask_first`](super::Endpoints::ask_first).
    Starting {
        /// By what it is told.
        start: StartId,
        /// The lease.
        lease: LeaseId,
        /// The process.
        pid: u32,
    },
    /// That process has got a signal: it must not wait any more, as it may have to die of it.
    Interrupted {
        /// By what it is told.
        start: StartId,
    },
    /// A process opened a lease's path for the first time: offers can be made to it.
    Opened {
        /// The new endpoint.
        endpoint: EndpointId,
        /// Its lease.
        lease: LeaseId,
        /// Whose it is; none if [`Kind::Shared`] or [`Kind::Pipes`].
        process: Option<ProcessId>,
        /// The parent of that when it was found, where it is known.
        parent: Option<u32>,
        /// How it behaves.
        kind: Kind,
    },
    /// A client has another FIFO, or turned out to be of another kind: it opened a second end, or all anew.
    Changed {
        /// The endpoint.
        endpoint: EndpointId,
        /// How it behaves from now on.
        kind: Kind,
    },
    /// A client that lives on has closed all it had open: nobody would see an offer, until it opens something again
    /// ([`Changed`](Event::Changed)).
    Shut {
        /// The endpoint.
        endpoint: EndpointId,
    },
    /// Tokens moved.
    Stirred {
        /// The endpoint.
        endpoint: EndpointId,
        /// So many offers were read by the client.
        taken: usize,
        /// So many bytes the client gave back; they are out of the FIFO.
        returned: usize,
        /// So many bytes the client gave back into the FIFO that it reads from; they lie there like offers.
        left: usize,
    },
    /// The process has ended, or nobody has it open any more: all that lay in its FIFOs is taken out, and they are gone, or
    /// become another endpoint if somebody has inherited them, which is told later.
    Gone {
        /// The endpoint.
        endpoint: EndpointId,
    },
    /// A process could not be given an endpoint of its own and shares that of its lease; said once a lease.
    Sharing {
        /// The lease.
        lease: LeaseId,
        /// Why.
        error: io::Error,
    },
    /// The mount can't be served any more (somebody took it away): who has opened is served on, nobody new can.
    Unmounted {
        /// Why.
        error: io::Error,
    },
}

/// Whose clients get a FIFO of their own for what they return, if they wait and open their first end from now on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Split {
    /// Nobody's.
    Nobody,
    /// Those of all leases but this one.
    AllBut(LeaseId),
    /// Everybody's.
    All,
}

impl Split {
    pub(super) fn holds_for(self, lease: LeaseId) -> bool {
        match self {
            Split::Nobody => false,
            Split::AllBut(other) => other != lease,
            Split::All => true,
        }
    }
}

/// What of that which clients do with their tokens is heard of at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Hearing {
    /// Nothing.
    Nothing,
    /// What they return.
    Returns,
    /// What they take as well.
    All,
}

/// What there was lately, whether or not anything is different for it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Stir {
    /// A FIFO was touched.
    pub moved: bool,
    /// One was closed: mostly its client ends.
    pub closed: bool,
    /// Somebody followed a link, and is about to open a FIFO.
    pub asked: bool,
}
