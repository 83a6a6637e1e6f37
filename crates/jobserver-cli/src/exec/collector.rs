//! A process that takes back the slot which `exec` has lent, should `exec` end before it can.
//!
//! At its time-out, at a signal, and where it is killed, `exec` must not wait until somebody has no more use for the slot
//! that it lent: whoever started it waits for its end. So this program is started once more, before anything is lent, in a
//! session of its own, with two descriptors: one on which it hears what `exec` owes, and that `exec` has ended; and the
//! end of the pool that is read. It must not have the other end: make before 4.4 reads its pool to the end of the file
//! when all is done, which comes when nobody can write any more. Then it takes one token, as soon as one is free, and
//! ends; it ends without one when the pool has no writer, or when whoever made it is gone.
//!
//! Linux only: elsewhere nobody tells that the maker of a pool is gone, and a named pipe can't be had without its other end.

use std::env;
use std::fs;
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, Command, Stdio};

use jobserver::Client;
use rustix::event::{poll, PollFd, PollFlags};
use rustix::io::{retry_on_intr, Errno};

use super::owner::Owner;
use crate::{exit, spawn, sys};

/// As what it is started, and seen in a list of processes.
const NAME: &str = "jobserver-takes-back";

/// Who made the pool is told as standard error.
const OWNED: &str = "owned";

const OWES: u8 = b'+';
const OWES_NOTHING: u8 = b'0';

/// The other process, as its starter has it. When this is dropped, or when its owner is killed, it takes what is owed.
pub(super) struct Collector {
    child: Child,
    ear: Option<ChildStdin>,
    owes: bool,
}

impl Collector {
    /// # Errors
    ///
    /// There are no descriptors, or no process can be had.
    pub(super) fn start(client: &Client, owner: Option<&Owner>) -> io::Result<Collector> {
        let tokens: OwnedFd = client.as_fd().try_clone_to_owned()?;
        let mut command = Command::new(spawn::this_program()?);
        command.arg0(NAME).stdin(Stdio::piped()).stdout(tokens).stderr(Stdio::null());
        if let Some(owner) = owner {
            command.arg(OWNED).stderr(owner.fd().try_clone_to_owned()?);
        }
        let mut child = command.spawn()?;
        let ear = child.stdin.take();
        Ok(Collector { child, ear, owes: false })
    }

    /// Whether it is to take one token after our end.
    pub(super) fn owe(&mut self, owes: bool) {
        self.owes = owes;
        // One that was killed hears nothing, and nobody can help that.
        let _ = self.ear.as_mut().map(|ear| ear.write_all(&[if owes { OWES } else { OWES_NOTHING }]));
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.ear = None;
        // It ends at once then.
        if !self.owes {
            let _ = self.child.wait();
        }
    }
}

/// The exit status, if this process was started as the collector.
pub(crate) fn act() -> Option<exit::Code> {
    if env::args_os().next()? != NAME {
        return None;
    }
    // Whatever goes wrong, there is nobody whom it could be told.
    let _ = collect();
    Some(0)
}

fn collect() -> io::Result<()> {
    spawn::be_called(NAME);
    // What is sent to the build's group, from a terminal or by `kill`, is not for this process, which ends by itself.
    let _ = rustix::process::setsid();
    keep_nothing_else();
    let error = io::stderr();
    let owner = env::args_os().nth(1).is_some_and(|word| word == OWNED).then(|| error.as_fd());
    if hear(owner)? {
        take_one(io::stdout().as_fd(), owner)?;
    }
    Ok(())
}

/// Whether anything was owed when our starter ended; no more, if the pool ended before it.
fn hear(owner: Option<BorrowedFd<'_>>) -> io::Result<bool> {
    let ear = io::stdin();
    let mut last = [OWES_NOTHING];
    loop {
        let mut fds = vec![PollFd::new(&ear, PollFlags::IN)];
        fds.extend(owner.map(|owner| PollFd::from_borrowed_fd(owner, PollFlags::IN)));
        retry_on_intr(|| poll(&mut fds, None))?;
        if fds.get(1).is_some_and(|owner| !owner.revents().is_empty()) {
            return Ok(false);
        }
        if retry_on_intr(|| rustix::io::read(&ear, &mut last))? == 0 {
            return Ok(last == [OWES]);
        }
    }
}

/// Descriptors that were inherited, the pool's other end among them, and the folder, which may be unmounted some day.
fn keep_nothing_else() {
    let _ = env::set_current_dir("/");
    let Ok(entries) = fs::read_dir("/dev/fd") else { return };
    let number = |name: std::ffi::OsString| name.to_str()?.parse().ok();
    let open: Vec<i32> = entries.filter_map(|entry| number(entry.ok()?.file_name())).collect();
    open.into_iter().filter(|&number| number > 2).for_each(sys::close);
}

fn take_one(tokens: BorrowedFd<'_>, owner: Option<BorrowedFd<'_>>) -> io::Result<()> {
    loop {
        let mut fds = vec![PollFd::new(&tokens, PollFlags::IN)];
        fds.extend(owner.map(|owner| PollFd::from_borrowed_fd(owner, PollFlags::IN)));
        retry_on_intr(|| poll(&mut fds, None))?;
        if !fds[0].revents().is_empty() {
            match retry_on_intr(|| rustix::io::read(tokens, &mut [0; 1])) {
                // Another one was quicker.
                Err(Errno::AGAIN) => {}
                // A token, or the end.
                other => return other.map(drop).map_err(io::Error::from),
            }
        }
        if fds.get(1).is_some_and(|owner| !owner.revents().is_empty()) {
            return Ok(());
        }
    }
}
