//! What an auth leads to: looked at, and opened only where that wakes nobody and changes nothing.
//!
//! Descriptors are looked at before this process opens any file, which could get a number that is closed. A FIFO is
//! opened only once some process is seen to hold both of its ends: opening lets go who waits for another end. Tokens
//! are counted, never read.

use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use jobserver::{Auth, Client};
use rustix::fs::{accessat, Access, AtFlags, CWD};
use rustix::io::Errno;

use super::holders::{self, Holders};
use super::served;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Channel {
    Joinable(Reached),
    /// A negative number: make has switched it off for this recipe.
    Disabled,
    NotUnderstood(String),
    Semaphore,
    /// These descriptors aren't open.
    Closed(Vec<i32>),
    /// This descriptor is a file, a terminal...
    Something {
        fd: i32,
        is: &'static str,
    },
    /// The one for reading can't be read, or the one for writing not written.
    WrongWay {
        are_swapped: bool,
        fd: i32,
    },
    /// Open, and not to be opened anew: another user's pipe.
    Unopenable {
        why: String,
    },
    Missing,
    /// The path leads to a file, a folder...
    NotAFifo(&'static str),
    Forbidden {
        owner: Option<u32>,
        is_own: bool,
    },
    /// A FIFO that no process has open.
    Unserved,
    /// A pool of ours whose server has ended, with or without leaving its FIFOs.
    ServerGone,
    Failed(String),
}

#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub(crate) struct Reached {
    /// Tokens that lie there, or slots that are free in a pool of ours; None: not to be counted without a trace.
    pub(crate) available: Option<usize>,
    /// A pool of ours, which knows more.
    pub(crate) pool: Option<Ours>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ours {
    pub(crate) directory: PathBuf,
    pub(crate) slots: usize,
    pub(crate) is_tracked: bool,
}

impl Channel {
    pub(crate) fn is_joinable(&self) -> bool {
        matches!(self, Channel::Joinable(_))
    }

    pub(crate) fn reached(&self) -> Option<&Reached> {
        match self {
            Channel::Joinable(reached) => Some(reached),
            _ => None,
        }
    }
}

pub(crate) fn look(auth: &Result<Auth, String>) -> Channel {
    match auth {
        Err(why) => Channel::NotUnderstood(why.clone()),
        Ok(Auth::Pipe { read, write }) if *read < 0 || *write < 0 => Channel::Disabled,
        Ok(Auth::Pipe { read, write }) => descriptors(*read, *write),
        Ok(Auth::Fifo(path)) => fifo(path),
        Ok(_) => Channel::Semaphore,
    }
}

fn descriptors(read: i32, write: i32) -> Channel {
    let [found_read, found_write] = [read, write].map(|fd| fs::metadata(format!("/dev/fd/{fd}")));
    let closed = |(fd, found): (i32, &io::Result<fs::Metadata>)| found.is_err().then_some(fd);
    let closed: Vec<i32> = [(read, &found_read), (write, &found_write)].into_iter().filter_map(closed).collect();
    for (fd, found) in [(read, &found_read), (write, &found_write)] {
        if let Some(is) = found.as_ref().ok().and_then(is_something) {
            return Channel::Something { fd, is };
        }
    }
    if !closed.is_empty() {
        return Channel::Closed(closed);
    }
    let (reads, writes) = (way(read), way(write));
    let unfit = match (reads, writes) {
        (Some((false, true)), _) => Some(read),
        (_, Some((true, false))) => Some(write),
        _ => None,
    };
    if let Some(fd) = unfit {
        let are_swapped = matches!((reads, writes), (Some((_, true)), Some((true, _))));
        return Channel::WrongWay { are_swapped, fd };
    }
    match Client::connect_to(&Auth::Pipe { read, write }) {
        Ok(client) => Channel::Joinable(Reached { available: client.available().ok(), pool: None }),
        Err(error) => Channel::Unopenable { why: error.to_string() },
    }
}

/// Whether descriptor `fd` is for reading, and for writing, where the system tells.
fn way(fd: i32) -> Option<(bool, bool)> {
    holders::way(&fs::read_to_string(format!("/proc/self/fdinfo/{fd}")).ok()?)
}

/// What it is if it can't be a jobserver.
fn is_something(file: &fs::Metadata) -> Option<&'static str> {
    let kind = file.file_type();
    if kind.is_fifo() {
        None
    } else if kind.is_socket() {
        Some("a socket")
    } else if kind.is_char_device() {
        device(file.rdev())
    } else if kind.is_dir() {
        Some("a folder")
    } else if kind.is_file() {
        Some("a plain file")
    } else {
        Some("a block device")
    }
}

/// A pool may be a device of its own kind; these are known to be none.
fn device(number: u64) -> Option<&'static str> {
    let is = |path: &str| fs::metadata(path).is_ok_and(|known| known.rdev() == number);
    if is("/dev/null") || is("/dev/zero") {
        return Some("/dev/null or the like");
    }
    // Consoles, serial lines, pseudo terminals; Documentation/admin-guide/devices.txt of Linux.
    let terminals = [4, 5, 204].into_iter().chain(136..144);
    let is_terminal = cfg!(target_os = "linux") && terminals.into_iter().any(|major| major == major_of(number));
    is_terminal.then_some("a terminal")
}

fn major_of(number: u64) -> u32 {
    rustix::fs::major(number as rustix::fs::Dev) as u32
}

fn fifo(path: &Path) -> Channel {
    let ours = pool_of(path);
    let gone = Errno::NOTCONN.raw_os_error();
    match fs::symlink_metadata(path) {
        Err(error) if error.raw_os_error() == Some(gone) => return Channel::ServerGone,
        Err(error) if error.kind() == ErrorKind::NotFound => return Channel::Missing,
        Err(error) if error.kind() == ErrorKind::PermissionDenied => {
            return Channel::Forbidden { owner: None, is_own: false }
        }
        Err(error) => return Channel::Failed(error.to_string()),
        Ok(found) if found.is_symlink() && ours.is_some() => {}
        Ok(found) if found.is_symlink() || found.file_type().is_fifo() => {
            if let Some(refused) = plain_fifo(path) {
                return refused;
            }
        }
        Ok(found) => {
            // The library takes a device too.
            if let Some(is) = is_something(&found) {
                return Channel::NotAFifo(is);
            }
        }
    }
    if let Some(directory) = ours {
        return match served::counts(&directory) {
            Some((slots, free, is_tracked)) => {
                Channel::Joinable(Reached { available: Some(free), pool: Some(Ours { directory, slots, is_tracked }) })
            }
            None if UnixStream::connect(directory.join("socket")).is_err() => Channel::ServerGone,
            None => Channel::Joinable(Reached::default()),
        };
    }
    match holders::of(path) {
        Holders::BothEnds => {
            let client = Client::connect_to(&Auth::Fifo(path.to_path_buf()));
            let available = client.ok().and_then(|client| client.available().ok());
            Channel::Joinable(Reached { available, pool: None })
        }
        Holders::Some => Channel::Joinable(Reached::default()),
        Holders::Nobody => Channel::Unserved,
    }
}

/// Why it can't be used, if so.
fn plain_fifo(path: &Path) -> Option<Channel> {
    let found = match fs::metadata(path) {
        Ok(found) => found,
        Err(error) if error.kind() == ErrorKind::NotFound => return Some(Channel::Missing),
        Err(error) if error.kind() == ErrorKind::PermissionDenied => {
            return Some(Channel::Forbidden { owner: None, is_own: false })
        }
        Err(error) => return Some(Channel::Failed(error.to_string())),
    };
    if let Some(is) = is_something(&found) {
        return Some(Channel::NotAFifo(is));
    }
    let both = Access::READ_OK | Access::WRITE_OK;
    let is_own = found.uid() == rustix::process::geteuid().as_raw();
    let forbidden = || Channel::Forbidden { owner: Some(found.uid()), is_own };
    accessat(CWD, path, both, AtFlags::EACCESS).is_err().then(forbidden)
}

/// The directory of our own pool that the path lies in: DIR/mnt/LEASE, or DIR/f/NUMBER.
fn pool_of(path: &Path) -> Option<PathBuf> {
    let folder = path.parent()?;
    let directory = folder.parent()?;
    let is_ours = ["mnt", "f"].iter().any(|name| folder.file_name().is_some_and(|folder| folder == *name))
        && fs::metadata(directory.join("socket")).is_ok_and(|found| found.file_type().is_socket());
    is_ours.then(|| directory.to_path_buf())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pipe_is_joinable_and_its_tokens_are_counted_and_left() {
        use std::os::fd::AsRawFd;
        let server = jobserver::Server::builder().slots(4).fifo().build().unwrap();
        let file = fs::OpenOptions::new().read(true).write(true).open(server.path().unwrap()).unwrap();
        let number = file.as_raw_fd();
        for auth in [Auth::Fifo(server.path().unwrap().into()), Auth::Pipe { read: number, write: number }] {
            let counted = Reached { available: Some(3), pool: None };
            assert_eq!(look(&Ok(auth)), Channel::Joinable(counted));
        }
        assert_eq!(server.balance().unwrap().free, 3);
    }
}
