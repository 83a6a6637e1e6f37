//! Unix: `poll`, `waitid`, `kill`, `pread`.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::FileExt;
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ExitStatus};

use rustix::event::{poll, PollFd, PollFlags};
use rustix::io::Errno;
use rustix::process::{kill_process, waitid, Signal, WaitId, WaitIdOptions};

use super::Input;
use crate::exit;

pub(in crate::each) use rustix::process::Pid;

/// As a shell has it when somebody stops reading.
pub(in crate::each) const BROKEN_PIPE: exit::Code = 128 + libc::SIGPIPE as u8;

/// As much as a pipe holds.
const BLOCK: usize = 65_536;

/// Readable once the rope was pulled.
pub(in crate::each) struct Bell(UnixStream);
pub(in crate::each) struct Rope(UnixStream);

/// # Errors
///
/// The process has no descriptor left.
pub(in crate::each) fn pair() -> io::Result<(Bell, Rope)> {
    let (bell, rope) = UnixStream::pair()?;
    Ok((Bell(bell), Rope(rope)))
}

impl Rope {
    pub(in crate::each) fn pull(&self) {
        let _ = (&self.0).write(&[0]);
    }
}

impl Bell {
    /// # Errors
    ///
    /// Standard input can't be read.
    pub(in crate::each) fn input(&self) -> io::Result<Input> {
        let stdin = io::stdin();
        let mut fds = [PollFd::new(&stdin, PollFlags::IN), PollFd::new(&self.0, PollFlags::IN)];
        // Interrupted: looked at again.
        if poll(&mut fds, None).is_err() || fds[0].revents().is_empty() {
            return Ok(Input::Nothing);
        }
        let mut block = vec![0; BLOCK];
        match rustix::io::read(&stdin, &mut block) {
            Ok(0) => Ok(Input::End),
            Ok(count) => {
                block.truncate(count);
                Ok(Input::Bytes(block))
            }
            Err(Errno::INTR | Errno::AGAIN) => Ok(Input::Nothing),
            Err(error) => Err(error.into()),
        }
    }
}

/// A line is all before its end.
pub(in crate::each) fn line(bytes: Vec<u8>) -> Vec<u8> {
    bytes
}

/// An item is any bytes.
pub(in crate::each) fn item(bytes: Vec<u8>) -> OsString {
    OsString::from_vec(bytes)
}

pub(in crate::each) fn pid(child: &Child) -> Option<Pid> {
    i32::try_from(child.id()).ok().and_then(Pid::from_raw)
}

pub(in crate::each) fn send(pid: Pid, signal: i32) {
    if let Some(signal) = Signal::from_named_raw(signal) {
        // It may have ended, or have become another user's.
        let _ = kill_process(pid, signal);
    }
}

pub(in crate::each) fn wait_unreaped(child: &mut Child) {
    if let Some(pid) = pid(child) {
        let look = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        while waitid(WaitId::Pid(pid), look).is_err_and(|error| error == Errno::INTR) {}
    }
}

pub(in crate::each) fn read_at(file: &File, buffer: &mut [u8], at: u64) -> io::Result<usize> {
    file.read_at(buffer, at)
}

pub(in crate::each) fn write_all(to: &impl AsFd, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match rustix::io::write(to, bytes) {
            Ok(count) => bytes = &bytes[count..],
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => {
                // Interrupted: tried again.
                let _ = poll(&mut [PollFd::new(to, PollFlags::OUT)], None);
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// A file can be made all the same, and whoever writes to it fails.
///
/// # Errors
///
/// There is no room for so many bytes on its disk.
pub(in crate::each) fn has_room(file: &File, bytes: u64) -> io::Result<()> {
    let found = rustix::fs::fstatvfs(file)?;
    if found.f_bavail.saturating_mul(found.f_frsize) < bytes.max(1) {
        return Err(Errno::NOSPC.into());
    }
    Ok(())
}

/// Whether it is something that an end of another command brings back.
pub(in crate::each) fn is_short(error: &io::Error) -> bool {
    matches!(Errno::from_io_error(error), Some(Errno::AGAIN | Errno::NOMEM | Errno::MFILE | Errno::NFILE))
}

/// Whether it is about this item alone: too long a one, or one with a NUL.
pub(in crate::each) fn is_the_items(error: &io::Error) -> bool {
    matches!(Errno::from_io_error(error), Some(Errno::TOOBIG | Errno::NAMETOOLONG) | None)
}

pub(in crate::each) fn end(status: ExitStatus) -> String {
    match status.signal() {
        Some(signal) => format!("ended by signal {signal}"),
        None => format!("exit status {}", status.code().unwrap_or_default()),
    }
}
