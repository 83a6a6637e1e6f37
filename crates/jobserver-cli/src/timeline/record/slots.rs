//! How many slots are in use: told by the pool, or counted in its pipe.

use std::path::Path;

use jobserver::Client;
use jobserver_pool::moves::Moves;

use super::now;
use crate::timeline::event::{Recording, Slots, Stand};

/// Where that is known from.
pub(crate) enum Source {
    /// A pool that tells what moves in a lease.
    Told { moves: Moves, cap: u32 },
    /// A pool of so many slots, of which this command alone takes.
    Counted { client: Client, slots: u32 },
    /// Nobody says.
    Unknown,
}

impl Source {
    /// The lease of which `path` is opened, of the pool that is served from `directory`.
    pub(crate) fn told(directory: &Path, path: &Path, cap: Option<usize>) -> Source {
        let cap = cap.and_then(|cap| u32::try_from(cap).ok()).unwrap_or(u32::MAX);
        Moves::of(directory, path).map_or(Source::Unknown, |moves| Source::Told { moves, cap })
    }

    pub(super) fn kind(&self) -> Slots {
        match self {
            Source::Told { .. } => Slots::Told,
            Source::Counted { .. } => Slots::Counted,
            Source::Unknown => Slots::Unknown,
        }
    }

    pub(super) fn look(&mut self, recording: &mut Recording) {
        match self {
            Source::Told { moves, cap } => {
                // A server that is gone tells no more: what was last true stays, to the end.
                while let Ok(Some(moved)) = moves.fetch() {
                    let width = moved.in_force.min(*cap);
                    let room = width.saturating_sub(moved.held + moved.offered);
                    recording.clients.extend(moved.clients.iter().filter_map(|client| client.pid));
                    recording.stands.push(Stand {
                        at: moved.at,
                        in_use: moved.held,
                        free: moved.offered + moved.free.min(room),
                        width,
                        waiting: moved.waiting,
                    });
                }
            }
            Source::Counted { client, slots } => {
                let Ok(free) = client.available() else { return };
                let free = u32::try_from(free).unwrap_or(u32::MAX).min(*slots - 1);
                let stand = Stand { at: now(), in_use: *slots - free, free, width: *slots, waiting: 0 };
                let is_new = recording.stands.last().is_none_or(|last| Stand { at: stand.at, ..*last } != stand);
                if is_new {
                    recording.stands.push(stand);
                }
            }
            Source::Unknown => {}
        }
    }
}
