//! Learning that somebody has read from a pool or written to it.
//!
//! On Linux inotify tells, for named pipes by their path and for others through `/proc/self/fd` (measured with Linux
//! 6.18: both report each read as IN_ACCESS and each write as IN_MODIFY). Elsewhere, and where the user has no inotify
//! instance left, the pool is looked at every 20 ms while something is drawn.

#[cfg(unix)]
use std::os::fd::BorrowedFd;
use std::time::Duration;

use jobserver::Client;

#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) use self::linux::Watch;
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(crate) use self::timer::Watch;

const INTERVAL: Duration = Duration::from_millis(20);

#[cfg(any(target_os = "linux", target_os = "android"))]
mod linux {
    use std::mem::MaybeUninit;
    use std::os::fd::{AsFd, OwnedFd};
    use std::path::PathBuf;

    use jobserver::Auth;
    use rustix::fs::inotify::{self, CreateFlags, Reader, WatchFlags};

    use super::{BorrowedFd, Client, Duration, INTERVAL};
    use crate::style;

    /// `None`: no events, look now and then.
    pub(crate) struct Watch(Option<OwnedFd>);

    impl Watch {
        pub(crate) fn on(pool: &Client) -> Watch {
            Watch(watch(pool))
        }

        /// As where no events are to be had.
        #[cfg(test)]
        pub(crate) fn blind() -> Watch {
            Watch(None)
        }

        /// Forgets all events so far; true if there were any.
        pub(crate) fn drain(&self) -> bool {
            let Some(watch) = &self.0 else { return false };
            let mut buffer = [MaybeUninit::uninit(); 1024];
            let mut reader = Reader::new(watch, &mut buffer);
            let mut any = false;
            while reader.next().is_ok() {
                any = true;
            }
            any
        }

        /// Readable when something has happened.
        pub(crate) fn fd(&self) -> Option<BorrowedFd<'_>> {
            self.0.as_ref().map(OwnedFd::as_fd)
        }

        /// How often to look in place of events.
        pub(crate) fn interval(&self) -> Option<Duration> {
            self.0.is_none().then_some(INTERVAL)
        }
    }

    fn watch(pool: &Client) -> Option<OwnedFd> {
        let path = match style::auth_of(pool)? {
            Auth::Fifo(path) => path,
            Auth::Pipe { read, .. } => PathBuf::from(format!("/proc/self/fd/{read}")),
            _ => return None,
        };
        let watch = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK).ok()?;
        inotify::add_watch(&watch, &path, WatchFlags::ACCESS | WatchFlags::MODIFY).ok()?;
        Some(watch)
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn a_read_and_a_write_are_seen_in_both_kinds_of_pool() {
            let fifo = jobserver::Server::builder().fifo().build().unwrap();
            for pool in [Client::new(0).unwrap(), fifo.client()] {
                let watch = Watch::on(&pool);
                assert!(watch.fd().is_some());
                assert!(!watch.drain());
                pool.release_raw().unwrap();
                assert!(watch.drain());
                pool.acquire_raw().unwrap();
                assert!(watch.drain());
                assert_eq!(pool.available().unwrap(), 0);
                assert!(!watch.drain(), "counting is no event");
            }
        }
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
mod timer {
    #[cfg(unix)]
    use super::BorrowedFd;
    use super::{Client, Duration, INTERVAL};

    pub(crate) struct Watch;

    impl Watch {
        pub(crate) fn on(_: &Client) -> Watch {
            Watch
        }

        #[cfg(test)]
        pub(crate) fn blind() -> Watch {
            Watch
        }

        pub(crate) fn drain(&self) -> bool {
            false
        }

        #[cfg(unix)]
        pub(crate) fn fd(&self) -> Option<BorrowedFd<'_>> {
            None
        }

        pub(crate) fn interval(&self) -> Option<Duration> {
            Some(INTERVAL)
        }
    }
}
