//! What the tests of the engine stand on: a pool that goes with the test, leases of this user, and turns as a server takes them.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use rustix::event::{poll, PollFd, PollFlags, Timespec};
use tempfile::TempDir;

use super::{Engine, Owner};
use crate::endpoint::Style;
use crate::fuse::Reach;
use crate::ledger::{LeaseId, Terms};

/// Nothing healthy takes that long.
pub(super) const BOUND: Duration = Duration::from_secs(60);
/// What is waited for may be none of the engine's business.
const LOOK: Duration = Duration::from_millis(20);

pub(super) fn pool(slots: u32) -> (TempDir, Engine) {
    let parent = tempfile::tempdir().unwrap();
    let engine = Engine::start(&parent.path().join("pool"), Style::Tracked(Reach::Owner), slots).unwrap();
    (parent, engine)
}

pub(super) fn lease(engine: &mut Engine, name: &str) -> (LeaseId, PathBuf) {
    let owner = Owner { uid: rustix::process::geteuid().as_raw(), ..Owner::default() };
    let lease = engine.open_lease(name, Terms::new("a build"), owner).unwrap();
    engine.turn().unwrap();
    (lease, engine.path(lease).unwrap().to_path_buf())
}

/// Takes turns until it is so.
pub(super) fn until(what: &str, engine: &mut Engine, is_so: impl Fn(&Engine) -> bool) {
    let start = Instant::now();
    while !is_so(engine) {
        assert!(start.elapsed() < BOUND, "in vain: {what}");
        let timeout = Timespec::try_from(engine.timeout().map_or(LOOK, |timeout| timeout.min(LOOK))).unwrap();
        poll(&mut [PollFd::from_borrowed_fd(engine.fd(), PollFlags::IN)], Some(&timeout)).unwrap();
        engine.turn().unwrap();
    }
}
