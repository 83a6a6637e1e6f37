//! What wakes the pool, and whoever shares its thread.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use rustix::buffer::spare_capacity;
use rustix::event::{epoll, Timespec};
use rustix::io::Errno;

use super::watch::Watch;
use super::{Endpoints, Hearing, NEWS, TAKES};

/// Set in what epoll speaks of another's descriptors with.
const OTHERS: u64 = 1 << 63;
/// So many descriptors are looked at in one turn; the others wake the next one.
const A_TURN: usize = 1024;

impl Endpoints {
    /// Readable when [`Endpoints::next`] has something to say; can lie in another epoll set.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.epoll.as_fd()
    }

    /// Waits until there is something to do here, or with a descriptor of [`watch_also`](Endpoints::watch_also): the numbers
    /// of those. `None`: for ever.
    ///
    /// # Errors
    /// epoll itself fails.
    pub fn wait(&mut self, timeout: Option<Duration>) -> io::Result<Vec<u64>> {
        // Early is harmless: it comes again.
        let timeout = timeout.map(|timeout| Timespec::try_from(timeout).unwrap_or(Timespec { tv_sec: 1, tv_nsec: 0 }));
        let mut ready = Vec::with_capacity(A_TURN);
        match epoll::wait(&self.epoll, spare_capacity(&mut ready), timeout.as_ref()) {
            Err(Errno::INTR) => return Ok(Vec::new()),
            result => result?,
        };
        let ready = ready.iter().map(|event| event.data.u64());
        let (others, ours): (Vec<u64>, Vec<u64>) = ready.partition(|number| number & OTHERS != 0);
        self.ready = Some(ours);
        Ok(others.into_iter().map(|number| number & !OTHERS).collect())
    }

    /// What is ready now.
    pub(super) fn ready(&mut self) -> io::Result<Vec<u64>> {
        match self.ready.take() {
            Some(ready) => Ok(ready),
            None => {
                // What else is ready is found again by whoever waits for it.
                self.wait(Some(Duration::ZERO))?;
                Ok(self.ready.take().unwrap_or_default())
            }
        }
    }

    /// [Waits](Endpoints::wait) for this descriptor as well, or for something else of it than until now.
    ///
    /// # Errors
    /// The kernel has no memory, or no more watches, for it.
    pub fn watch_also(&self, fd: BorrowedFd<'_>, number: u64, events: epoll::EventFlags) -> io::Result<()> {
        let data = epoll::EventData::new_u64(number | OTHERS);
        match epoll::add(&self.epoll, fd, data, events) {
            Err(Errno::EXIST) => Ok(epoll::modify(&self.epoll, fd, data, events)?),
            result => Ok(result?),
        }
    }

    /// Waits no more for a descriptor of [`watch_also`](Endpoints::watch_also).
    pub fn watch_no_more(&self, fd: BorrowedFd<'_>) {
        // Explicitly: a copy of the descriptor elsewhere would keep it in the set.
        let _ = epoll::delete(&self.epoll, fd);
    }

    /// What of that which clients do with their tokens makes [`Endpoints::fd`] readable. Who comes and who ends always
    /// does; the rest is told when `next` is called. The kernel keeps 16,384 events; beyond that all FIFOs are looked at.
    ///
    /// # Errors
    /// The kernel has no memory for it.
    pub fn hear(&mut self, what: Hearing) -> io::Result<()> {
        let Watch { news, takes, .. } = &self.watch;
        let was = self.hearing;
        for (source, id, least) in [(news, NEWS, Hearing::Returns), (takes, TAKES, Hearing::All)] {
            match (was >= least, what >= least) {
                // It may have been added before another one failed.
                (false, true) => {
                    match epoll::add(&self.epoll, source.fd(), epoll::EventData::new_u64(id), epoll::EventFlags::IN) {
                        Ok(()) | Err(Errno::EXIST) => {}
                        Err(error) => return Err(error.into()),
                    }
                }
                // With an empty mask it would wake us in vain still, since inotify doesn't say why it wakes.
                (true, false) => match epoll::delete(&self.epoll, source.fd()) {
                    Ok(()) | Err(Errno::NOENT) => {}
                    Err(error) => return Err(error.into()),
                },
                _ => {}
            }
        }
        self.hearing = what;
        Ok(())
    }
}
