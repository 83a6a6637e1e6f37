//! What wakes the broker: a letter, something that has happened in the command's pool, or a time.
//!
//! On Unix a descriptor, to be waited for beside the watch's. Elsewhere nothing tells of the pool but a look now and
//! then, so a channel does.

use std::io;
use std::time::Duration;

use super::watch::Watch;

#[cfg(not(unix))]
pub(super) use self::channel::{pair, Bell, Ringer};
#[cfg(unix)]
pub(super) use self::descriptor::{pair, Bell, Ringer};

#[cfg(unix)]
mod descriptor {
    use std::io::{Read, Write};
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixStream;

    use rustix::event::{poll, PollFd, PollFlags, Timespec};

    use super::{io, Duration, Watch};

    pub(in crate::nested) struct Bell(UnixStream);
    pub(in crate::nested) struct Ringer(UnixStream);

    pub(in crate::nested) fn pair() -> io::Result<(Bell, Ringer)> {
        let (bell, ringer) = UnixStream::pair()?;
        bell.set_nonblocking(true)?;
        ringer.set_nonblocking(true)?;
        Ok((Bell(bell), Ringer(ringer)))
    }

    impl Ringer {
        pub(in crate::nested) fn ring(&self) {
            // Full: then it rings already.
            let _ = (&self.0).write(&[0]);
        }

        pub(in crate::nested) fn try_clone(&self) -> io::Result<Ringer> {
            self.0.try_clone().map(Ringer)
        }
    }

    impl Bell {
        pub(in crate::nested) fn silence(&self) {
            let mut rings = [0; 64];
            while matches!((&self.0).read(&mut rings), Ok(1..)) {}
        }

        /// Until it rings, the watch sees something, or `left` is over.
        pub(in crate::nested) fn sleep(&self, watch: &Watch, left: Option<Duration>) {
            let timeout = left.and_then(|left| Timespec::try_from(left).ok());
            let bell = self.0.as_fd();
            let mut fds = vec![PollFd::from_borrowed_fd(bell, PollFlags::IN)];
            if let Some(watch) = watch.fd() {
                fds.push(PollFd::from_borrowed_fd(watch, PollFlags::IN));
            }
            // Woken for nothing is fine; an error other than EINTR can't be, with these arguments.
            let _ = poll(&mut fds, timeout.as_ref());
        }
    }
}

#[cfg(not(unix))]
mod channel {
    use std::sync::mpsc::{sync_channel, Receiver, SyncSender};

    use super::{io, Duration, Watch};

    pub(in crate::nested) struct Bell(Receiver<()>);
    pub(in crate::nested) struct Ringer(SyncSender<()>);

    pub(in crate::nested) fn pair() -> io::Result<(Bell, Ringer)> {
        let (ringer, bell) = sync_channel(1);
        Ok((Bell(bell), Ringer(ringer)))
    }

    impl Ringer {
        pub(in crate::nested) fn ring(&self) {
            // Full: then it rings already.
            let _ = self.0.try_send(());
        }

        pub(in crate::nested) fn try_clone(&self) -> io::Result<Ringer> {
            Ok(Ringer(self.0.clone()))
        }
    }

    impl Bell {
        pub(in crate::nested) fn silence(&self) {
            while self.0.try_recv().is_ok() {}
        }

        /// Until it rings or `left` is over.
        pub(in crate::nested) fn sleep(&self, _: &Watch, left: Option<Duration>) {
            // Woken for nothing is fine; and there is always a ringer, ours.
            let _ = match left {
                Some(left) => self.0.recv_timeout(left).is_ok(),
                None => self.0.recv().is_ok(),
            };
        }
    }
}
