//! The mount itself: made, taken away, and found again after a server that was killed.
//!
//! With the right to mount (root, or root of a user namespace) it is one system call; without it the setuid helper
//! `fusermount3` mounts and sends the descriptor back through a socket. A killed server leaves a mount whose every use
//! is ENOTCONN: [`clear`] takes it away, and nothing else that may be mounted there.
//!
//! Nothing here may ask the mount anything while its server (this very thread) can't answer: the mount table is
//! read instead, or statx asked for the mount's number, of which its server doesn't hear, and the device is closed before the helper unmounts.

use std::ffi::CString;
use std::fs;
use std::io::{self, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::fs::{statx, AtFlags, Mode, OFlags, StatxFlags, CWD};
use rustix::mount::{MountFlags, UnmountFlags};
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags};

use super::Reach;
use crate::failed::failed;

const DEVICE: &str = "/dev/fuse";
const HELPER: &str = "fusermount3";
/// How the mount is called in the mount table: the type that [`clear`] looks for.
const TYPE: &str = "fuse.jobserver";
/// `STATX_MNT_ID_UNIQUE`. Unlike the number of `STATX_MNT_ID`, it is never given to a later mount.
const UNIQUE_ID: StatxFlags = StatxFlags::from_bits_retain(0x4000);

/// A mount that is taken away when this is dropped.
#[derive(Debug)]
pub(super) struct Mount {
    at: PathBuf,
    /// Its number among all mounts that there were, if the kernel tells (Linux 6.8).
    id: Option<u64>,
}

/// Mounts at `at`, an absolute path without links or dots, and returns the device that requests are read from.
pub(super) fn mount(at: &Path, reach: Reach) -> io::Result<(OwnedFd, Mount)> {
    let device = match directly(at, reach) {
        Ok(device) => device,
        Err(direct) => through_helper(at, reach).map_err(|helper| {
            let text = format!("can't mount {}: directly: {direct}; through {HELPER}: {helper}", at.display());
            io::Error::new(helper.kind(), text)
        })?,
    };
    let mount = Mount { at: at.to_owned(), id: mount_id(at) };
    rustix::io::ioctl_fionbio(&device, true)?;
    Ok((device, mount))
}

/// Takes away what a killed server left mounted at `at`. The caller makes sure that no server is alive there.
pub(super) fn clear(at: &Path) -> io::Result<()> {
    // Mounts can lie on top of each other; each round takes one away.
    while is_mounted(at)? {
        unmount(at).map_err(|error| failed(error, "can't take away the stale mount", at))?;
    }
    Ok(())
}

impl Drop for Mount {
    fn drop(&mut self) {
        // Somebody else may have taken ours away and mounted another thing. Best effort: the next start clears the rest.
        let is_ours = self.id.is_some() && mount_id(&self.at) == self.id;
        if is_ours || is_mounted(&self.at).unwrap_or(true) {
            let _ = unmount(&self.at);
        }
    }
}

fn directly(at: &Path, reach: Reach) -> io::Result<OwnedFd> {
    let flags = OFlags::RDWR | OFlags::CLOEXEC;
    let device = rustix::fs::open(DEVICE, flags, Mode::empty())
        .map_err(|error| failed(error.into(), "can't open", Path::new(DEVICE)))?;
    let (uid, gid) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    let everyone = if reach == Reach::Everyone { ",allow_other" } else { "" };
    let options = format!("fd={},rootmode=40000,user_id={uid},group_id={gid}{everyone}", device.as_fd().as_raw_fd());
    let options = CString::new(options)?;
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC | MountFlags::NOATIME;
    rustix::mount::mount("jobserver", at, TYPE, flags, Some(options.as_c_str()))?;
    Ok(device)
}

fn through_helper(at: &Path, reach: Reach) -> io::Result<OwnedFd> {
    let (ours, theirs) = rustix::net::socketpair(
        rustix::net::AddressFamily::UNIX,
        rustix::net::SocketType::STREAM,
        rustix::net::SocketFlags::CLOEXEC,
        None,
    )?;
    let everyone = if reach == Reach::Everyone { ",allow_other" } else { "" };
    let mut command = Command::new(HELPER);
    command.arg("-o").arg(format!("nosuid,nodev,noexec,noatime,fsname=jobserver,subtype=jobserver{everyone}"));
    // The socket as standard input: it reaches the helper alone, whatever else is forked at the same time.
    command.arg("--").arg(at).env("_FUSE_COMMFD", "0").stdin(Stdio::from(theirs));
    command.stdout(Stdio::null()).stderr(Stdio::piped());
    let child = command.spawn().map_err(|error| failed(error, "can't run", Path::new(HELPER)))?;
    // Our copy of its end, so that a helper that gives up is the end of the stream.
    drop(command);
    let device = receive(&ours);
    let output = child.wait_with_output();
    match device? {
        Some(device) => Ok(device),
        None => {
            let said = output.map(|output| String::from_utf8_lossy(&output.stderr).trim().to_owned());
            Err(io::Error::other(said.unwrap_or_else(|error| error.to_string())))
        }
    }
}

/// The descriptor that comes through `socket`; `None` if it ends without one.
fn receive(socket: &OwnedFd) -> io::Result<Option<OwnedFd>> {
    let mut byte = [0];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    rustix::io::retry_on_intr(|| {
        rustix::net::recvmsg(socket, &mut [IoSliceMut::new(&mut byte)], &mut control, RecvFlags::CMSG_CLOEXEC)
    })?;
    let descriptors = control.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(descriptors) => Some(descriptors),
        _ => None,
    });
    Ok(descriptors.and_then(|mut descriptors| descriptors.next()))
}

fn unmount(at: &Path) -> io::Result<()> {
    let flags = UnmountFlags::DETACH | UnmountFlags::NOFOLLOW;
    let Err(direct) = rustix::mount::unmount(at, flags) else { return Ok(()) };
    if direct != rustix::io::Errno::PERM {
        return Err(direct.into());
    }
    let mut command = Command::new(HELPER);
    command.args(["-u", "-q", "-z", "--"]).arg(at).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let output = command.output().map_err(|error| failed(error, "can't run", Path::new(HELPER)))?;
    if output.status.success() {
        return Ok(());
    }
    Err(io::Error::other(format!("{HELPER}: {}", String::from_utf8_lossy(&output.stderr).trim())))
}

/// The number of the mount that `at` is on, which no other mount ever gets, without a question to its server.
fn mount_id(at: &Path) -> Option<u64> {
    let flags = AtFlags::STATX_DONT_SYNC | AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT;
    let found = statx(CWD, at, flags, UNIQUE_ID).ok()?;
    (found.stx_mask & UNIQUE_ID.bits() != 0).then_some(found.stx_mnt_id)
}

/// Whether a mount of our type is at `at`.
fn is_mounted(at: &Path) -> io::Result<bool> {
    let table = fs::read_to_string("/proc/self/mountinfo")?;
    Ok(table.lines().any(|line| is_ours(line, at)))
}

/// One line of the mount table: `36 35 98:0 /root /at options shared:1 - type source options`. Paths with blanks are
/// escaped there; ours have none.
fn is_ours(line: &str, at: &Path) -> bool {
    let Some((place, filesystem)) = line.split_once(" - ") else { return false };
    let is_there = place.split(' ').nth(4).is_some_and(|path| Path::new(path) == at);
    is_there && filesystem.split(' ').next() == Some(TYPE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_kind_of_mount_at_that_very_place_counts() {
        let line = "88 20 0:51 / /run/jobserver/mnt rw,nosuid,nodev - fuse.jobserver jobserver rw,user_id=0";
        assert!(is_ours(line, Path::new("/run/jobserver/mnt")));
        assert!(!is_ours(line, Path::new("/run/jobserver")));
        assert!(!is_ours(&line.replace("fuse.jobserver", "fuse.sshfs"), Path::new("/run/jobserver/mnt")));
        assert!(!is_ours("", Path::new("/run/jobserver/mnt")));
    }
}
