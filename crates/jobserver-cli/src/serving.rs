//! Where a pool is served that this user may use.

use std::env;
use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use rustix::process::geteuid;
#[cfg(target_os = "linux")]
use rustix::process::{getrlimit, setrlimit, Resource, Rlimit};

use crate::report::say;

/// The machine's pool.
pub(crate) const MACHINE: &str = "/run/jobserver";

/// The pool of this user, where the session has a place for one.
pub(crate) fn of_user() -> Option<PathBuf> {
    env::var_os("XDG_RUNTIME_DIR")
        .map(PathBuf::from)
        .filter(|path| path.is_absolute())
        .map(|path| path.join("jobserver"))
}

/// The first pool that answers: at $JOBSERVER_POOL, this user's, the machine's.
pub(crate) fn find() -> Option<PathBuf> {
    let named = env::var_os("JOBSERVER_POOL").map(PathBuf::from);
    let mut places: Vec<PathBuf> = [named, of_user(), Some(MACHINE.into())].into_iter().flatten().collect();
    places.dedup();
    places.into_iter().find(|directory| is_served(directory))
}

/// Somebody else's pool (as `sudo -E` finds it) is not used: they would decide over our build.
fn is_served(directory: &Path) -> bool {
    let socket = directory.join("socket");
    let Ok(found) = fs::metadata(&socket) else { return false };
    if !found.file_type().is_socket() {
        return false;
    }
    let owners = [fs::metadata(directory).map_or(found.uid(), |directory| directory.uid()), found.uid()];
    let me = geteuid().as_raw();
    if let Some(stranger) = owners.into_iter().find(|owner| ![0, me].contains(owner)) {
        say(format_args!(
            "the pool at {} is not used: it belongs to user {stranger}, and this is user {me}: `unset JOBSERVER_POOL \
             XDG_RUNTIME_DIR` where they are another user's",
            directory.display()
        ));
        return false;
    }
    UnixStream::connect(&socket).is_ok()
}

/// For whoever serves: each client takes some descriptors, and the usual soft limit is for programs that use `select`,
/// which the commands that we start may be. So not before they are started.
#[cfg(target_os = "linux")]
pub(crate) fn raise_limit() {
    let most = std::fs::read_to_string("/proc/sys/fs/nr_open").ok().and_then(|text| text.trim().parse().ok());
    let limit = getrlimit(Resource::Nofile);
    // Only root may go beyond the hard one.
    for maximum in most.map(Some).into_iter().chain([limit.maximum]) {
        if setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).is_ok() {
            return;
        }
    }
}
