//! The pool that `run` would find: the same places as [`serving::find`](crate::serving::find) looks at, in the same
//! order, but with the reason why each is used or not.

use std::env;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use rustix::process::geteuid;

use crate::serving;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) directory: PathBuf,
    /// The variable that leads there.
    pub(crate) variable: Option<&'static str>,
    pub(crate) state: State,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Answers(Option<Counts>),
    /// There is no socket.
    Absent,
    /// A socket that nobody listens at.
    Dead,
    /// This user is not meant to use it.
    Forbidden,
    /// Of another user than root and this one.
    Strangers(u32),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) slots: usize,
    pub(crate) free: usize,
    pub(crate) builds: usize,
    pub(crate) is_tracked: bool,
}

pub(crate) fn places() -> Vec<Place> {
    let named = env::var_os("JOBSERVER_POOL").filter(|path| !path.is_empty());
    let named = named.map(PathBuf::from).map(|path| (path, Some("JOBSERVER_POOL")));
    let users = serving::of_user().map(|path| (path, Some("XDG_RUNTIME_DIR")));
    let mut places: Vec<Place> = Vec::new();
    for (directory, variable) in [named, users, Some((serving::MACHINE.into(), None))].into_iter().flatten() {
        if !places.iter().any(|place| place.directory == directory) {
            places.push(Place { state: state(&directory), directory, variable });
        }
    }
    places
}

fn state(directory: &Path) -> State {
    let socket = directory.join("socket");
    let found = match fs::metadata(&socket) {
        Ok(found) if found.file_type().is_socket() => found,
        Err(error) if error.kind() == ErrorKind::PermissionDenied => return State::Forbidden,
        _ => return State::Absent,
    };
    let owners = [fs::metadata(directory).map_or(found.uid(), |directory| directory.uid()), found.uid()];
    let me = geteuid().as_raw();
    if let Some(stranger) = owners.into_iter().find(|owner| ![0, me].contains(owner)) {
        return State::Strangers(stranger);
    }
    match UnixStream::connect(&socket) {
        Ok(_) => State::Answers(status(directory)),
        Err(error) if error.kind() == ErrorKind::PermissionDenied => State::Forbidden,
        Err(_) => State::Dead,
    }
}

/// Slots, free ones, and whether processes are told apart, of the pool of ours in `directory`.
pub(crate) fn counts(directory: &Path) -> Option<(usize, usize, bool)> {
    status(directory).map(|counts| (counts.slots, counts.free, counts.is_tracked))
}

#[cfg(target_os = "linux")]
fn status(directory: &Path) -> Option<Counts> {
    let status = jobserver_pool::lease::status(directory).ok()?;
    Some(Counts {
        slots: status.capacity as usize,
        free: (status.free + status.offered) as usize,
        builds: status.leases.len(),
        is_tracked: status.style == "tracked",
    })
}

/// Pools are served on Linux only.
#[cfg(not(target_os = "linux"))]
fn status(_: &Path) -> Option<Counts> {
    None
}
