//! What a recording consists of: what happened to processes and to slots, as it was heard, and how it was heard.

use std::collections::BTreeSet;

/// Nanoseconds of `CLOCK_MONOTONIC`, which the kernel, the pool and this process read alike.
pub(crate) type Nanos = u64;

/// Something that happened to a process of the build.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Event {
    pub(crate) at: Nanos,
    pub(crate) pid: u32,
    pub(crate) what: What,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum What {
    /// It is there, started by that process.
    Start { parent: u32 },
    /// It executes a program of this name from now on.
    Program(String),
    /// The whole command line of what it executes.
    Command(String),
    /// It is gone: its first thread is, and if another one lives on, it is told of once more.
    End,
    /// One of its other threads is gone. For `Family` alone.
    ThreadEnd,
}

/// How the slots stand from this moment on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stand {
    pub(crate) at: Nanos,
    /// In use by this build, its command's own slot included.
    pub(crate) in_use: u32,
    /// Those that the build could take at once.
    pub(crate) free: u32,
    /// The most that it may have.
    pub(crate) width: u32,
    /// Its clients that seem to wait for a token.
    pub(crate) waiting: u32,
}

/// How the commands became known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Commands {
    /// The kernel told each start and end.
    Kernel,
    /// By looks into `/proc`, at this distance at the most.
    Looks(Nanos),
}

/// How the slots became known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Slots {
    /// The pool told each change that it saw.
    Told,
    /// By looks at the tokens that lay in the pipe.
    Counted,
    /// Not at all: jobs are counted in their place.
    Unknown,
}

/// All of one build.
#[derive(Clone, Debug)]
pub(crate) struct Recording {
    pub(crate) begin: Nanos,
    pub(crate) end: Nanos,
    /// The command's process.
    pub(crate) root: u32,
    pub(crate) events: Vec<Event>,
    pub(crate) stands: Vec<Stand>,
    /// Processes that had tokens of the pool.
    pub(crate) clients: BTreeSet<u32>,
    pub(crate) commands: Commands,
    pub(crate) slots: Slots,
    /// Happenings that the kernel could not tell, for want of room.
    pub(crate) lost: u64,
}
