//! The shims before a command: `run`, `each` and `exec` call this after the command was let into a pool.

use std::env;
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use jobserver::{Auth, Jobs, MakeFlags};

use super::ends::Ends;
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
        let program = Path::new(command.get_program());
        let through_shim =
            ["make", "gmake"].map(Path::new).iter().any(|name| program == *name || program == self.folder.join(name));
        // If this process has opened the ends already, for another command, make inherits them: so its shim is told their
        // numbers, and closes those that it does not use.
        if !self.old_make || (through_shim && self.ends.get().is_none()) {
            return;
        }
        let jobs = jobs(flags);
        let ends = self.ends.get_or_init(|| Ends::open(path).ok());
        let joined = ends.as_ref().and_then(|ends| flags.with_jobserver(&ends.auth(), jobs).ok());
        // A make that goes past the shims runs one job at a time without.
        let makeflags = joined.unwrap_or_else(|| flags.without_jobserver());
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
