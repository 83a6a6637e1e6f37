//! Which pool is meant by who names none: the one that this process runs in, else the one that is served, else the one
//! that a `run` made for its command.

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use jobserver::{Auth, MakeFlags};
use jobserver_pool::control::SOCKET;
use jobserver_pool::lease;
use jobserver_pool::server::OF_ONE_COMMAND;
use rustix::process::geteuid;

use super::words::{count, plain};
use crate::memory;
use crate::report::say;
use crate::serving;

/// Such a one is gone for good when its command has ended.
pub(crate) fn is_of_one_command(directory: &Path) -> bool {
    directory.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(OF_ONE_COMMAND.as_bytes()))
}

/// The pool, or `None` once it has been said why there is none. `action` is what `jobserver` was called for.
pub(crate) fn find(asked: Option<&Path>, action: &str) -> Option<PathBuf> {
    if let Some(found) = asked.map(Path::to_path_buf).or_else(inherited).or_else(serving::find) {
        return Some(found);
    }
    let mut found = of_commands();
    match found.len() {
        0 => say(
            "no pool is served for this user, and no `jobserver run` has one: `jobserver serve` starts one, --pool \
             DIR names one",
        ),
        1 => return found.pop(),
        several => say(format_args!(
            "no pool is served, and {several} builds have pools of their own: name one of them:{}",
            found.iter().map(|directory| line_of(directory, action)).collect::<String>()
        )),
    }
    None
}

/// The pool of ours that this process's tools would use.
fn inherited() -> Option<PathBuf> {
    // cargo tells of its own pool in the first, and passes ours on in the second.
    ["CARGO_MAKEFLAGS", "MAKEFLAGS"].into_iter().filter_map(env::var_os).find_map(|value| told_by(&value))
}

fn told_by(flags: &OsStr) -> Option<PathBuf> {
    let place = match Auth::parse(MakeFlags::parse(flags).jobserver()?).ok()? {
        Auth::Fifo(path) => path,
        // Make before 4.4 is given descriptors of the same FIFOs.
        Auth::Pipe { read, .. } => fs::read_link(format!("/proc/self/fd/{read}")).ok()?,
        _ => return None,
    };
    let directory = directory_of(&place)?;
    answers(directory).then(|| directory.to_path_buf())
}

/// A lease lies in a pool's `mnt`, a FIFO in its `f`.
fn directory_of(place: &Path) -> Option<&Path> {
    let folder = place.parent()?;
    ["mnt", "f"].map(OsStr::new).contains(&folder.file_name()?).then(|| folder.parent())?
}

fn answers(directory: &Path) -> bool {
    UnixStream::connect(directory.join(SOCKET)).is_ok()
}

/// The pools that this user's `run`s have made for their commands.
fn of_commands() -> Vec<PathBuf> {
    let runtime = env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|path| path.is_absolute());
    let me = geteuid().as_raw();
    let mut found: Vec<PathBuf> = runtime
        .into_iter()
        .chain(memory::roots())
        .chain([env::temp_dir()])
        .filter_map(|parent| fs::read_dir(parent).ok())
        .flat_map(|entries| entries.flatten())
        .filter(|entry| entry.metadata().is_ok_and(|entry| entry.is_dir() && entry.uid() == me))
        .map(|entry| entry.path())
        .filter(|path| is_of_one_command(path) && answers(path))
        .collect();
    found.sort();
    found.dedup();
    found
}

fn line_of(directory: &Path, action: &str) -> String {
    let what = lease::status(directory).map_or_else(
        |error| error.to_string(),
        |status| {
            let command = status.leases.first().map_or("", |lease| &lease.command);
            format!("{} of {} in use: {}", status.held, count(status.capacity.into(), "slot"), plain(command))
        },
    );
    format!("\n  jobserver {action} --pool {}   # {what}", plain(&directory.to_string_lossy()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pool_is_known_by_where_its_leases_and_fifos_lie() {
        for (place, directory) in [
            ("/run/jobserver/mnt/1f-1000-4", Some("/run/jobserver")),
            ("/tmp/pool/f/17", Some("/tmp/pool")),
            ("/tmp/GMfifo4711", None),
            ("/tmp/jobserver-1-2/fifo", None),
            ("mnt/x", Some("")),
            ("/f", None),
            ("pipe:[4711]", None),
        ] {
            assert_eq!(directory_of(Path::new(place)), directory.map(Path::new), "{place}");
        }
        assert_eq!(told_by("-j --jobserver-auth=fifo:/nonexistent/mnt/a".as_ref()), None);
        assert_eq!(told_by(" -j4 --jobserver-auth=-2,-2".as_ref()), None);
        assert!(
            is_of_one_command(Path::new("/tmp/jobserver-run-17-0a")) && !is_of_one_command(Path::new("/run/jobserver"))
        );
    }
}
