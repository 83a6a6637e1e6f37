//! Who has made the pool that this process is in. When that one is gone, or has removed its pool, nobody lays a token there
//! any more, though others may keep it open.

use std::fs;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use jobserver::{Canceller, Client};
use rustix::event::{poll, PollFd, PollFlags, Timespec};
use rustix::io::retry_on_intr;
use rustix::process::{pidfd_open, Pid, PidfdFlags};

/// The kernel tells nobody that a pipe was removed.
const LOOK: Duration = Duration::from_secs(1);

/// The highest of our parents that has the pool open. Those between may have closed it, or hide it from their children.
pub(super) struct Owner {
    process: OwnedFd,
}

impl Owner {
    /// None where no parent is seen to have it: one of another user, or in another mount namespace. To be asked before there
    /// is any wait: once it is gone, another one is the highest.
    pub(super) fn of(client: &Client) -> Option<Owner> {
        let pool = link("self", client.as_fd().as_raw_fd())?;
        let above = |pid: i32| {
            let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
            let parent = status.lines().find_map(|line| line.strip_prefix("PPid:"))?.trim().parse().ok()?;
            (parent > 0).then_some(parent)
        };
        let own = i32::try_from(std::process::id()).ok()?;
        let parents = std::iter::successors(above(own), |&pid| above(pid));
        let highest = parents.filter(|&pid| has_open(pid, &pool)).last()?;
        let process = pidfd_open(Pid::from_raw(highest)?, PidfdFlags::empty()).ok()?;
        Some(Owner { process })
    }

    /// The same, for whoever else has to know.
    pub(super) fn shared(&self) -> io::Result<Owner> {
        Ok(Owner { process: self.process.try_clone()? })
    }

    /// Readable when it is gone.
    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.process.as_fd()
    }
}

/// What is open there, as the kernel calls it, and whether that was removed.
fn link(process: &str, number: i32) -> Option<PathBuf> {
    fs::read_link(format!("/proc/{process}/fd/{number}")).ok()
}

fn has_open(pid: i32, pool: &Path) -> bool {
    let Ok(entries) = fs::read_dir(format!("/proc/{pid}/fd")) else { return false };
    entries.flatten().any(|entry| fs::read_link(entry.path()).is_ok_and(|target| target == pool))
}

/// Ends a wait when the pool has ended.
pub(super) struct Watch {
    has_ended: Arc<AtomicBool>,
    is_over: Arc<AtomicBool>,
}

impl Watch {
    /// # Errors
    ///
    /// No descriptors or no thread are left.
    pub(super) fn over(client: &Client, owner: Option<&Owner>, canceller: &Canceller) -> io::Result<Watch> {
        let tokens = client.as_fd().try_clone_to_owned()?;
        let canceller = canceller.clone();
        let owner = owner.map(Owner::shared).transpose()?;
        let watch = Watch { has_ended: Arc::default(), is_over: Arc::default() };
        let (has_ended, is_over) = (watch.has_ended.clone(), watch.is_over.clone());
        thread::Builder::new().name("owner".to_string()).spawn(move || {
            while !is_over.load(Ordering::Relaxed) {
                if is_gone(owner.as_ref(), &tokens) {
                    has_ended.store(true, Ordering::Release);
                    return canceller.cancel();
                }
            }
        })?;
        Ok(watch)
    }

    pub(super) fn has_ended(&self) -> bool {
        self.has_ended.load(Ordering::Acquire)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
    }
}

/// Waits a moment for its end.
fn is_gone(owner: Option<&Owner>, tokens: &OwnedFd) -> bool {
    let mut fds: Vec<_> = owner.iter().map(|owner| PollFd::from_borrowed_fd(owner.fd(), PollFlags::IN)).collect();
    let time = Timespec::try_from(LOOK).ok();
    let ended = retry_on_intr(|| poll(&mut fds, time.as_ref())).is_ok_and(|ready| ready > 0);
    ended || link("self", tokens.as_raw_fd()).is_some_and(|target| target.to_string_lossy().ends_with(" (deleted)"))
}
