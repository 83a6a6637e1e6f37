//! The two ends of a pool, opened to be inherited: by the tool that this process is about to become, and all that comes
//! after (`act`), or by every command that it starts (`offer`).

use std::fs;
use std::io;
use std::os::fd::{AsRawFd, IntoRawFd, OwnedFd};
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use jobserver::Auth;
use rustix::fs::{fcntl_getfl, fcntl_setfl, open, FileType, Mode, OFlags};
use rustix::io::{fcntl_dupfd_cloexec, fcntl_setfd, retry_on_intr, FdFlags};

use crate::sys;

/// Numbers that no script uses for a redirection; make has to select on them, so below 1024.
const FIRST: i32 = 100;

/// Opens the path, which is a link or a named pipe itself, to be inherited. In the order of make 4.4, so that a pool which
/// tells its clients apart knows this one, by the process that it stays.
///
/// # Errors
///
/// It is gone, or not ours, or no pipe.
pub(super) fn open_at(path: &Path, is_link: bool) -> io::Result<Auth> {
    // A link is answered by a server that lives. A plain named pipe may have been left by one that was killed: opened
    // as make opens it, it would wait for ever for somebody to open the other end.
    let flags = OFlags::CLOEXEC | OFlags::NOCTTY;
    let quick = if is_link { OFlags::empty() } else { OFlags::NONBLOCK };
    let read = retry_on_intr(|| open(path, OFlags::RDONLY | flags | quick, Mode::empty()))?;
    if FileType::from_raw_mode(rustix::fs::fstat(&read)?.st_mode) != FileType::Fifo {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no named pipe"));
    }
    if !is_link {
        fcntl_setfl(&read, fcntl_getfl(&read)? - OFlags::NONBLOCK)?;
    }
    let write = retry_on_intr(|| open(path, OFlags::WRONLY | flags, Mode::empty()))?;
    Ok(Auth::Pipe { read: hand_down(read)?.into_raw_fd(), write: hand_down(write)?.into_raw_fd() })
}

/// The ends for tools that go past the shims. Whatever this process starts has them, until this is dropped.
pub(super) struct Ends {
    read: OwnedFd,
    write: OwnedFd,
    /// As long as it is open, the pool takes this process for one that does not wait.
    _quick: OwnedFd,
}

impl Ends {
    /// Who never goes past the shims never reads here. So they are opened as ninja does it: a client that does not wait is
    /// seldom asked while others want what it leaves lying, and has one pipe for both ways.
    ///
    /// # Errors
    ///
    /// It is gone, or no descriptors are left.
    pub(super) fn open(path: &Path) -> io::Result<Ends> {
        let flags = OFlags::CLOEXEC | OFlags::NOCTTY;
        let quick = retry_on_intr(|| open(path, OFlags::RDONLY | OFlags::NONBLOCK | flags, Mode::empty()))?;
        // The same pipe, without asking for it again, where there is such a path.
        let same = PathBuf::from(format!("/proc/self/fd/{}", quick.as_raw_fd()));
        let at = |path: &Path, how| retry_on_intr(|| open(path, how | flags, Mode::empty()));
        let again = |how| at(&same, how).or_else(|_| at(path, how));
        // In this order neither waits for somebody to open the other end.
        let write = hand_down(again(OFlags::WRONLY)?)?;
        let read = hand_down(again(OFlags::RDONLY)?)?;
        Ok(Ends { read, write, _quick: quick })
    }

    pub(super) fn auth(&self) -> Auth {
        Auth::Pipe { read: self.read.as_raw_fd(), write: self.write.as_raw_fd() }
    }
}

fn hand_down(end: OwnedFd) -> io::Result<OwnedFd> {
    // With a low limit there are no such numbers: any other will do.
    let end = fcntl_dupfd_cloexec(&end, FIRST).unwrap_or(end);
    fcntl_setfd(&end, FdFlags::empty())?;
    Ok(end)
}

/// Whether both are there, and pipes.
pub(super) fn are_open(auth: &Auth) -> bool {
    matches!(auth, &Auth::Pipe { read, write } if is_pipe(read) && is_pipe(write))
}

/// What a shim above has opened: who reads there counts as that one. Only numbers that are surely ours.
pub(super) fn of_shim_above(auth: Option<&Auth>) -> Vec<i32> {
    match auth {
        Some(&Auth::Pipe { read, write }) => {
            [read, write].into_iter().filter(|&number| number >= FIRST && is_pipe(number)).collect()
        }
        _ => Vec::new(),
    }
}

pub(super) fn close(numbers: Vec<i32>) {
    numbers.into_iter().for_each(sys::close);
}

fn is_pipe(number: i32) -> bool {
    number >= 0 && fs::metadata(format!("/dev/fd/{number}")).is_ok_and(|found| found.file_type().is_fifo())
}
