//! The shims before a command: `run`, `each` and `exec` call this after the command was let into a pool.

use std::env;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use jobserver::{Auth, Client, Jobs, Join, MakeFlags};
use rustix::fs::{open, Mode, OFlags};
use rustix::io::retry_on_intr;

use super::{folder, real, words, Which, MODE};

/// A folder of shims, for one command or several.
pub(crate) struct Shims {
    folder: PathBuf,
    which: Which,
    /// Whether there is a make that takes pipes only.
    old_make: bool,
    /// The pool's ends for tools that go past the shims, opened once for all commands.
    ends: OnceLock<Option<Ends>>,
}

struct Ends {
    client: Client,
    /// As long as these are open, the pool takes this process for one that does not wait.
    _quick: [OwnedFd; 2],
}

impl Ends {
    /// Who never goes past the shims never reads here. So they are opened as ninja does it: a client that does not wait is
    /// seldom asked while others want what it leaves lying.
    fn open(path: &Path) -> io::Result<Ends> {
        let flags = OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
        let open = |flags| retry_on_intr(|| open(path, flags, Mode::empty()));
        let (read, write) = (open(OFlags::RDONLY | flags)?, open(OFlags::WRONLY | flags)?);
        let auth = Auth::Pipe { read: read.as_raw_fd(), write: write.as_raw_fd() };
        let client = Client::connect_to(&auth).map_err(io::Error::other)?;
        Ok(Ends { client, _quick: [read, write] })
    }
}

impl Shims {
    /// # Errors
    ///
    /// There is no place for them.
    pub(crate) fn make(which: Which, old_make: bool) -> io::Result<Shims> {
        Ok(Shims { folder: folder::make(which)?, which, old_make, ends: OnceLock::new() })
    }

    fn lead(&self, command: &mut Command, path: &Path, flags: &MakeFlags) {
        command.env("PATH", self.path());
        command.env(words::FIFO, words::value(path));
        if self.which == Which::All {
            command.env(MODE, "all");
        }
        // The shim of make opens the path, for all below it.
        let through_shim = ["make", "gmake"].iter().any(|name| command.get_program() == *name);
        if !self.old_make || through_shim {
            return;
        }
        let jobs = jobs(flags);
        // Who reads CARGO_MAKEFLAGS reads paths.
        let cargo = get(command, "CARGO_MAKEFLAGS");
        let ends = self.ends.get_or_init(|| Ends::open(path).ok());
        let joined = ends.as_ref().is_some_and(|ends| ends.client.join(command, Join::Descriptors, jobs).is_ok());
        if !joined {
            // A make that goes past the shims runs one job at a time.
            command.env("MAKEFLAGS", flags.without_jobserver());
        }
        if let Some(cargo) = cargo {
            command.env("CARGO_MAKEFLAGS", cargo);
        }
        let makeflags = get(command, "MAKEFLAGS").unwrap_or_default();
        command.env("MAKEFLAGS", words::with(&makeflags, path));
    }

    fn path(&self) -> OsString {
        let rest = env::var_os("PATH").unwrap_or_else(|| "/usr/local/bin:/usr/bin:/bin".into());
        // Those of a `run` above may be fewer, or do less.
        let rest = env::split_paths(&rest).filter(|folder| !real::is_of_shims(folder));
        let folders = [self.folder.clone()].into_iter().chain(rest);
        env::join_paths(folders).unwrap_or_default()
    }
}

/// Puts the shims before a command that was let into a pool; without them sees to it that no shim leads to another one.
pub(crate) fn hand(shims: Option<&Shims>, command: &mut Command) {
    let makeflags = get(command, "MAKEFLAGS");
    let own = makeflags.clone().or_else(|| env::var_os("MAKEFLAGS")).unwrap_or_default();
    let flags = MakeFlags::parse(&words::without(&own));
    let auth = flags.jobserver().and_then(|text| Auth::parse(text).ok());
    let inherited = env::var_os(words::FIFO);
    match (auth, shims) {
        (Some(Auth::Fifo(path)), Some(shims)) => {
            command.env("MAKEFLAGS", words::without(&own));
            shims.lead(command, &path, &flags);
        }
        // The shims of a run above are in PATH, and lead to this pool from now on.
        (Some(Auth::Fifo(path)), None) if inherited.is_some() && makeflags.is_some() => {
            command.env("MAKEFLAGS", words::without(&own)).env(words::FIFO, words::value(&path));
        }
        // By descriptors that were inherited with the path beside them.
        _ if inherited.is_none() || makeflags.is_none() => {}
        _ => {
            command.env("MAKEFLAGS", words::without(&own)).env_remove(words::FIFO).env_remove(MODE);
        }
    }
}

/// A value of MAKEFLAGS, or of its kind, as who comes through a shim or looks for a path sees it: for `doctor` and `exec`.
pub(crate) fn as_tools_see(value: OsString) -> OsString {
    let flags = MakeFlags::parse(&words::without(&value));
    let is_pipe = flags.jobserver().is_some_and(|text| matches!(Auth::parse(text), Ok(Auth::Pipe { .. })));
    let path = env::var_os(words::FIFO).as_deref().and_then(words::path).filter(|_| is_pipe);
    let jobs = jobs(&flags);
    path.and_then(|path| flags.with_jobserver(&Auth::Fifo(path), jobs).ok()).unwrap_or(value)
}

fn jobs(flags: &MakeFlags) -> Option<usize> {
    match flags.jobs() {
        Some(Jobs::Limit(jobs)) => Some(jobs as usize),
        _ => None,
    }
}

fn get(command: &Command, name: &str) -> Option<OsString> {
    let found = command.get_envs().find(|(key, _)| *key == OsStr::new(name))?;
    found.1.map(OsStr::to_os_string)
}
