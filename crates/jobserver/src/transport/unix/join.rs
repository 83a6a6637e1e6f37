//! Joining a pool that somebody else made: what the environment names, looked at before it is opened.
//!
//! A stale MAKEFLAGS names descriptors that are closed, or something else by now. Nothing is read or written here, no
//! flag of an inherited descriptor changes, and whatever can't be a jobserver is refused.

use std::fs::{self, File, Metadata};
use std::io;
#[cfg(not(any(target_os = "linux", target_os = "android")))]
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::sync::OnceLock;

use super::super::Access;
use super::pipe::{self, End};
use super::{fifo, sys, Route, Transport};
use crate::auth::Auth;
use crate::error::FromEnvErrorInner as Error;

impl Transport {
    pub(super) fn open_path(path: &Path) -> io::Result<Transport> {
        // Looked at before it is opened, since opening alone does something to a device, and after, since it may be
        // another file by then.
        let check = |file: io::Result<Metadata>| match fifo::is_jobserver(&file?) {
            true => Ok(()),
            false => Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a named pipe")),
        };
        check(fs::metadata(path))?;
        // Reading first, writing second, and no third time: a server may give each of the two a channel of its own.
        let read = pipe::open_path(path, false)?;
        check(read.metadata())?;
        let write = pipe::open_path(path, true)?;
        let route = Route::Path(path.to_path_buf());
        Ok(Transport { read, write, write_blocks: AtomicBool::new(false), spare: OnceLock::new(), route })
    }

    pub(crate) fn open(auth: &Auth, access: Access) -> Result<Transport, Error> {
        match auth {
            Auth::Fifo(path) => Transport::open_path(path)
                .map_err(|error| Error::CannotOpenPath(path.to_string_lossy().into_owned(), error)),
            &Auth::Pipe { read, write } => Transport::open_numbers(read, write, access),
            Auth::Semaphore(name) => Err(Error::CannotParse(format!("expected `fifo:PATH` or `R,W`, found `{name}`"))),
        }
    }

    fn open_numbers(read: i32, write: i32, access: Access) -> Result<Transport, Error> {
        if let Some(&negative) = [read, write].iter().find(|&&fd| fd < 0) {
            return Err(Error::NegativeFd(negative));
        }
        // That one of them is something else by now says more than that the other is closed.
        match (check_number(read, End::Read, access), check_number(write, End::Write, access)) {
            (Err(error @ Error::NotAPipe(..)), _) | (_, Err(error @ Error::NotAPipe(..))) => return Err(error),
            (read, write) => read.and(write)?,
        }
        // Where opening anew duplicates, the flags are others' as well, who may change them at any time.
        let mut is_shared = !cfg!(any(target_os = "linux", target_os = "android"));
        let mut ends = open_both(read, write, &|fd, end| open_anew(fd, end, access));
        if ends.is_err() && access != Access::Checked {
            is_shared = true;
            ends = open_both(read, write, &|fd, _| sys::duplicate(fd));
        }
        let (read, write) = ends?;
        let (write_blocks, route) = (AtomicBool::new(is_shared), Route::Ends(OnceLock::new()));
        Ok(Transport { read, write, write_blocks, spare: OnceLock::new(), route })
    }
}

fn open_both(read: i32, write: i32, open: &dyn Fn(i32, End) -> io::Result<File>) -> Result<(File, File), Error> {
    let open = |fd, end| open(fd, end).map_err(|error| Error::CannotOpenFd(fd, error));
    Ok((open(read, End::Read)?, open(write, End::Write)?))
}

/// Whether descriptor `fd` can be the jobserver's, as far as the kernel tells without touching it.
fn check_number(fd: i32, end: End, access: Access) -> Result<(), Error> {
    let stat = sys::stat(fd).map_err(|error| Error::CannotOpenFd(fd, error))?;
    // 32-bit Android has st_mode and these constants in different sizes.
    #[allow(clippy::unnecessary_cast)]
    let [mask, pipe, device, socket] =
        [libc::S_IFMT as u32, libc::S_IFIFO as u32, libc::S_IFCHR as u32, libc::S_IFSOCK as u32];
    #[allow(clippy::unnecessary_cast)]
    let kind = stat.st_mode as u32 & mask;
    let is_pipe = kind == pipe;
    let is_device = kind == device && !fifo::is_memory_device(stat.st_rdev as u64);
    let fits = match access {
        Access::Vouched { only_pipes: true } => is_pipe,
        // 0.1 takes anything; but tokens are never eaten from a plain file nor written into it.
        Access::Vouched { only_pipes: false } => is_pipe || is_device || kind == socket,
        Access::Checked => is_pipe || is_device,
    };
    if !fits && kind == socket && access == Access::Checked {
        // It may well be the jobserver.
        return Err(Error::CannotOpenFd(fd, io::Error::new(io::ErrorKind::Unsupported, "it is a socket")));
    }
    if !fits {
        return Err(Error::NotAPipe(fd, None));
    }
    let mode = sys::status_flags(fd).map_err(|error| Error::CannotOpenFd(fd, error))? & libc::O_ACCMODE;
    let (unfit, text) = match end {
        End::Write => (libc::O_RDONLY, "it is open for reading only"),
        _ => (libc::O_WRONLY, "it is open for writing only"),
    };
    if access == Access::Checked && mode == unfit {
        return Err(Error::CannotOpenFd(fd, io::Error::new(io::ErrorKind::InvalidInput, text)));
    }
    Ok(())
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn open_anew(fd: i32, end: End, access: Access) -> io::Result<File> {
    let file = pipe::reopen(fd, end)?;
    // Nobody vouches that the number is still what it was a moment ago.
    if access == Access::Checked && !fifo::is_jobserver(&file.metadata()?) {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    Ok(file)
}

/// `/dev/fd/N` duplicates here: it takes no ownership, so it is sound for a number, but it has nothing of its own.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn open_anew(fd: i32, end: End, access: Access) -> io::Result<File> {
    if access != Access::Checked {
        return Err(io::ErrorKind::Unsupported.into());
    }
    let mut options = std::fs::OpenOptions::new();
    let file = options.read(end != End::Write).write(end == End::Write).open(format!("/dev/fd/{fd}"))?;
    // Some systems ignore O_CLOEXEC when they duplicate.
    sys::set_cloexec(file.as_fd(), true)?;
    sys::above_stdio(file)
}
