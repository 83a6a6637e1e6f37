//! Getting open files of our own onto a pipe or FIFO, and making a pipe that holds the tokens asked for.
//!
//! `O_NONBLOCK` belongs to the open file, not to the descriptor, and everyone who inherited the descriptor shares it:
//! make 4.2 and others break on a flag that they did not set. So every descriptor here is opened anew, never
//! duplicated, wherever the system allows it.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
#[cfg(any(target_os = "linux", target_os = "android"))]
use std::os::fd::AsFd;
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use super::sys;

/// How a file is opened anew.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum End {
    Read,
    ReadNow,
    Write,
}

/// Opens the file behind descriptor number `fd` once more: an open file with flags of its own.
///
/// Only Linux does so; elsewhere `/dev/fd/N` duplicates, which shares the flags, and this is `Unsupported`. ENXIO: a
/// socket. EACCES: the pipe of another user. ENOENT: /proc isn't mounted.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(super) fn reopen(fd: i32, end: End) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(end != End::Write).write(end == End::Write).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY);
    let file = sys::above_stdio(options.open(format!("/proc/self/fd/{fd}"))?)?;
    if end == End::Read {
        // It was opened with O_NONBLOCK because a plain O_RDONLY waits for a writer, who may be gone.
        sys::set_nonblocking(file.as_fd(), false)?;
    }
    Ok(file)
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(super) fn reopen(_fd: i32, _end: End) -> io::Result<File> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Opens a named pipe in the way that never waits for a peer: for reading and writing at once (0.1 does the same).
pub(super) fn open_path(path: &Path, nonblocking: bool) -> io::Result<File> {
    let flags = if nonblocking { libc::O_NONBLOCK } else { 0 };
    // O_NOCTTY: a terminal in a hostile or stale MAKEFLAGS must not become ours.
    let mut options = OpenOptions::new();
    options.read(true).write(true).custom_flags(flags | libc::O_NOCTTY);
    sys::above_stdio(options.open(path)?)
}

/// Whether two descriptors stand for the same file.
pub(super) fn same_file(one: &File, other: &File) -> bool {
    match (sys::stat(one.as_raw_fd()), sys::stat(other.as_raw_fd())) {
        (Ok(one), Ok(other)) => (one.st_dev, one.st_ino) == (other.st_dev, other.st_ino),
        _ => false,
    }
}

/// The largest number of tokens a pool on a pipe can have on this system.
///
/// Linux lets any user have a pipe of 1 MiB (`/proc/sys/fs/pipe-max-size`); one page of it stays in hand, since a
/// pipe filled to the last byte takes nothing back until a whole page was read.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn most_tokens() -> usize {
    (1 << 20) - sys::page_size()
}

/// Fills an empty pipe with `tokens` tokens by one write that can't block, growing the pipe only if it must.
///
/// Growing every pipe broke builds once (rust-lang/rust 88091): a user may hold only so many pages in pipes.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(super) fn seed(mut write: &File, tokens: usize) -> io::Result<()> {
    let page = sys::page_size();
    // The smallest pipe that the kernel makes, for a user past the quota, has two pages.
    if tokens > page {
        if tokens > most_tokens() {
            return Err(too_many(tokens, most_tokens()));
        }
        let room = tokens + page;
        if sys::pipe_capacity(write.as_fd())? < room {
            sys::set_pipe_capacity(write.as_fd(), room).map_err(|error| no_room(tokens, &error))?;
        }
    }
    write.write_all(&vec![b'+'; tokens])
}

/// As above, where pipes can't be grown: what does not fit at once is an error. The write end does not block.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(super) fn seed(mut write: &File, tokens: usize) -> io::Result<()> {
    let chunk = [b'+'; 4096];
    let mut written = 0;
    while written < tokens {
        match write.write(&chunk[..chunk.len().min(tokens - written)]) {
            Ok(count) if count > 0 => written += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Err(error),
            _ => return Err(too_many(tokens, written)),
        }
    }
    // For poll a pipe has room if PIPE_BUF bytes fit: that much stays in hand, so that tokens can come back.
    match sys::poll(&mut [sys::pollfd(write, libc::POLLOUT)], 0)? {
        0 => Err(too_many(tokens, written.saturating_sub(libc::PIPE_BUF))),
        _ => Ok(()),
    }
}

fn too_many(tokens: usize, limit: usize) -> io::Error {
    let message = format!("a jobserver of {tokens} tokens can't be made: the limit of a pipe here is {limit}");
    io::Error::new(io::ErrorKind::InvalidInput, message)
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn no_room(tokens: usize, error: &io::Error) -> io::Error {
    let message = format!(
        "a jobserver of {tokens} tokens can't be made: the pipe can't grow ({error}); this user's pipes are at the \
         limit of /proc/sys/fs/pipe-user-pages-soft, or /proc/sys/fs/pipe-max-size is lower than usual"
    );
    io::Error::new(error.kind(), message)
}
