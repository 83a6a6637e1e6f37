//! What a lease's watcher hears: how it stands, each time that the pool sees a change.

use serde::{Deserialize, Serialize};

/// A lease from this moment on: what comes after [`Request::Watch`](super::Request::Watch).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
#[serde(default)]
pub struct Moved {
    /// When the pool saw it, in nanoseconds of the machine's `CLOCK_MONOTONIC`. It may have happened up to 16 ms before,
    /// while nobody could have won by an earlier look.
    pub at: u64,
    /// The slots of the pool that may be used now.
    pub in_force: u32,
    /// Nobody's.
    pub free: u32,
    /// Slots of this lease that are in use, its command's own one included.
    pub held: u32,
    /// Slots that lie at its clients.
    pub offered: u32,
    /// Clients of it that seem to wait for a token.
    pub waiting: u32,
    /// Those of its clients that have more or fewer than before.
    pub clients: Vec<Holding>,
}

/// What a client has.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
#[serde(default)]
pub struct Holding {
    /// Its process; null: processes that can't be told apart.
    pub pid: Option<u32>,
    /// Tokens that it has read and not returned.
    pub held: u32,
    /// Tokens that lie there for it.
    pub offered: u32,
}
