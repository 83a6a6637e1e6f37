//! What the machine gives a pool: FUSE, room for a named pipe, descriptors.
//!
//! Whether a named pipe can be made is tried, in a folder that is removed at once; `/dev/fuse` is opened and closed,
//! since its mode doesn't tell what a container's rules forbid. Where nothing speaks against it a pool is made and taken
//! down again: only that tells whether a mount is allowed.

use std::env;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use jobserver::Server;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::process::{getrlimit, Resource};

use super::tools;
use crate::leased;

const DEVICE: &str = "/dev/fuse";
const HELPER: &str = "fusermount3";
/// Its bit in the sets of capabilities, linux/capability.h.
const CAP_SYS_ADMIN: u32 = 21;

/// Why processes can't be told apart, if so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fuse {
    Usable,
    /// No device, or no driver behind it.
    Missing,
    /// The device can't be opened by this user.
    Forbidden(String),
    /// Only root may mount without the helper, and it is not on PATH.
    NoHelper,
    /// The helper has lost its right, or may not use it here.
    HelperWithoutRight(&'static str),
    /// Root of a container that may not mount.
    NoCapability,
    /// All is there, and a pool can't be made all the same.
    Refused(String),
    Elsewhere,
}

impl Fuse {
    pub(crate) fn find() -> Fuse {
        if !cfg!(target_os = "linux") {
            return Fuse::Elsewhere;
        }
        let flags = OFlags::RDWR | OFlags::CLOEXEC;
        match rustix::fs::open(DEVICE, flags, Mode::empty()) {
            Ok(_) => {}
            Err(Errno::NOENT | Errno::NODEV | Errno::NXIO | Errno::NOTDIR) => return Fuse::Missing,
            Err(error) => return Fuse::Forbidden(said(&std::io::Error::from(error))),
        }
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        if may_mount(&status) {
            return Fuse::Usable;
        }
        if rustix::process::geteuid().is_root() {
            return Fuse::NoCapability;
        }
        let Some(helper) = tools::find(HELPER) else { return Fuse::NoHelper };
        let is_setuid = fs::metadata(helper).is_ok_and(|found| found.mode() & 0o4000 != 0 && found.uid() == 0);
        if !is_setuid {
            return Fuse::HelperWithoutRight("it is not setuid root");
        }
        match field(&status, "NoNewPrivs:") {
            Some("1") => Fuse::HelperWithoutRight("this process may gain no rights (no_new_privs)"),
            _ => Fuse::Usable,
        }
    }
}

impl Fuse {
    /// What comes of it if a pool is really made.
    pub(crate) fn tried(self) -> Fuse {
        match self {
            Fuse::Usable => match leased::can_track() {
                Ok(()) => Fuse::Usable,
                Err(error) => Fuse::Refused(said(&error)),
            },
            other => other,
        }
    }
}

/// The system's words alone: neither the path of ours that it was about nor the number helps anybody.
fn said(error: &std::io::Error) -> String {
    let text = error.to_string();
    let words = text.rsplit_once(": ").map_or(text.as_str(), |(_, why)| why);
    words.split(" (os error").next().unwrap_or_default().to_string()
}

fn field<'a>(status: &'a str, name: &str) -> Option<&'a str> {
    status.lines().find_map(|line| line.strip_prefix(name)).map(str::trim)
}

fn may_mount(status: &str) -> bool {
    let effective = field(status, "CapEff:").and_then(|set| u64::from_str_radix(set, 16).ok());
    effective.is_some_and(|set| set & (1 << CAP_SYS_ADMIN) != 0)
}

/// Whether a named pipe can be made in the folder for temporary files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Room {
    pub(crate) folder: PathBuf,
    pub(crate) state: RoomState,
    /// Where there is room, if not here.
    pub(crate) other: PathBuf,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum RoomState {
    Enough,
    /// A path with a blank or the like.
    Misread,
    None {
        why: String,
        is_full: bool,
    },
}

impl Room {
    pub(crate) fn untried() -> Room {
        let folder = env::temp_dir();
        Room { other: folder.clone(), folder, state: RoomState::Enough }
    }

    pub(crate) fn find() -> Room {
        let folder = env::temp_dir();
        let state = match Server::builder().slots(1).fifo().directory(&folder).build() {
            Ok(_) => RoomState::Enough,
            Err(error) if error.kind() == ErrorKind::InvalidInput => RoomState::Misread,
            Err(error) => {
                let why = said(&error);
                RoomState::None { is_full: why.contains("No space left") || why.contains("quota"), why }
            }
        };
        let other = if state == RoomState::Enough { folder.clone() } else { other(&folder) };
        Room { folder, state, other }
    }
}

fn other(folder: &Path) -> PathBuf {
    let home = env::var_os("HOME").map(PathBuf::from);
    let places = ["/tmp", "/dev/shm", "/var/tmp"].iter().map(PathBuf::from).chain(home);
    let fits = |place: &PathBuf| Server::builder().slots(1).fifo().directory(place).build().is_ok();
    places.filter(|place| place != folder).find(fits).unwrap_or_else(|| "/tmp".into())
}

/// How many descriptors a process may have; None: any number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limit {
    pub(crate) soft: Option<u64>,
    pub(crate) hard: Option<u64>,
}

pub(crate) fn descriptors() -> Limit {
    let limit = getrlimit(Resource::Nofile);
    Limit { soft: limit.current, hard: limit.maximum }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_may_mount_is_read_off_the_capabilities() {
        for (set, may) in [("000001ffffffffff", true), ("00000000a80425fb", false), ("0000000000000000", false)] {
            assert_eq!(may_mount(&format!("Name:\tx\nCapEff:\t{set}\n")), may, "{set}");
        }
        assert!(!may_mount(""));
    }
}
