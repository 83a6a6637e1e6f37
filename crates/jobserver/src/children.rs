//! What a child is told of the pool: everything it needs to join, in the form that it reads, or nothing at all.
//!
//! Two forms exist, descriptors (`R,W`) and a path, and no variable can hold both: make takes the last auth in MAKEFLAGS
//! and no other. But the clients on this crate look into CARGO_MAKEFLAGS first, so a child can be given one form for
//! make and the other for cargo, rustc and cc.

use std::ffi::{OsStr, OsString};
use std::io;
use std::process::Command;

use crate::auth::Auth;
use crate::client::{flags, Client};
use crate::makeflags::MakeFlags;

/// How a child joins a pool: [`Client::join`].
///
/// | | in MAKEFLAGS | in CARGO_MAKEFLAGS | for |
/// |---|---|---|---|
/// | `Native` | as the pool is | the same | what the user's tools are known to read |
/// | `Descriptors` | `R,W` | the same | make before 4.4, gcc before 13 |
/// | `Path` | `fifo:PATH` | the same | make 4.4, ninja 1.13, gcc 14 and later |
/// | `Both` | `R,W` | `fifo:PATH` | make of any age, with cargo, rustc and cc below it |
/// | `Cargo` | as it was | as the pool is | cargo, rustc, cc and nothing else |
///
/// ```
/// # #[cfg(unix)] {
/// use std::process::Command;
/// use jobserver::{Join, Server};
///
/// let server = Server::builder().slots(4).fifo().build()?;
/// let mut make = Command::new("make"); // 4.3: it can't open a path
/// server.client().join(&mut make, Join::Both, Some(4))?;
/// # }
/// # std::io::Result::Ok(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Join {
    /// By the path if the pool is a named pipe, by descriptors if it is a pipe, by the name of a Windows semaphore.
    Native,
    /// By two descriptors that the child inherits, opened for it if the pool is a named pipe. Unix only.
    Descriptors,
    /// By the path. The child inherits nothing and can be started without a fork. A pool that has no path is an error.
    Path,
    /// By descriptors for those who read MAKEFLAGS, and by the path for those who read CARGO_MAKEFLAGS.
    ///
    /// make before 4.4 closes the descriptors to a recipe without a leading `+`; cargo and cc in it find the path all the
    /// same. ninja reads MAKEFLAGS alone and needs a path there. A pool that has no path is an error.
    Both,
    /// By CARGO_MAKEFLAGS, which cargo, rustc, cc and others on this crate read first. MAKEFLAGS is left alone, so a make
    /// keeps to the pool that it would have joined anyway, if any.
    Cargo,
}

impl Client {
    /// Lets the child that `command` will start join this pool, in the way that suits it.
    ///
    /// The rest of the MAKEFLAGS that it would have had stays: the user's flags, and the variables behind ` -- `. An auth
    /// that stood there is replaced. `jobs` is the width to name (`-jN`); no client counts on it, but it is what make
    /// would write. MFLAGS is removed, unless the way is [`Join::Cargo`] (make writes it and never reads it). The command
    /// keeps what it needs: it does not matter when the `Client` is dropped.
    ///
    /// "Would have had" is what was set with [`Command::env`], else this process's own: whether
    /// [`Command::env_clear`] was called can't be seen. Call `env_remove("MAKEFLAGS")` with it.
    ///
    /// ```
    /// use std::process::Command;
    /// use jobserver::{Client, Join};
    ///
    /// let client = Client::new(3)?;
    /// let mut cargo = Command::new("cargo");
    /// client.join(&mut cargo, Join::Cargo, None)?;
    /// # std::io::Result::Ok(())
    /// ```
    ///
    /// # Errors
    ///
    /// `Unsupported`: the pool can't be joined in this way, here or anywhere. `InvalidInput`: a named pipe whose path no
    /// client could read from MAKEFLAGS (blanks, `$`, a relative path). What the system answers when it can't open the
    /// pipe for the child. The command is unchanged then.
    ///
    /// # Platform behaviour
    ///
    /// On Windows a pool has a name that is neither a path nor descriptors: `Native` and `Cargo`. On systems other than
    /// Unix and Windows no child can join.
    #[inline]
    pub fn join(&self, command: &mut Command, how: Join, jobs: Option<usize>) -> io::Result<()> {
        let before = inherited(command, "MAKEFLAGS").unwrap_or_default();
        let before = MakeFlags::parse(&before);
        let written = |auth: &Auth| {
            let joined = before.with_jobserver(auth, jobs);
            joined.map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))
        };
        // Descriptors come last: they can be written always, and with them the command is not as it was.
        let (make, cargo) = match how {
            Join::Native | Join::Cargo => {
                let auth = self.pool.transport.hand_to(command)?;
                (written(&auth)?, auth)
            }
            Join::Descriptors => {
                let auth = self.descriptors(command)?;
                (written(&auth)?, auth)
            }
            Join::Path => {
                let path = self.path()?;
                (written(&path)?, path)
            }
            Join::Both => {
                let path = self.path()?;
                written(&path)?;
                (written(&self.descriptors(command)?)?, path)
            }
        };
        command.env("CARGO_MAKEFLAGS", flags(&cargo));
        if how != Join::Cargo {
            command.env("MAKEFLAGS", make).env_remove("MFLAGS");
        }
        Ok(())
    }

    #[cfg(unix)]
    #[inline]
    fn path(&self) -> io::Result<Auth> {
        self.pool.transport.path().ok_or_else(|| unsupported("this pool has no path: it is on a pipe without a name"))
    }

    #[cfg(not(unix))]
    #[inline]
    fn path(&self) -> io::Result<Auth> {
        Err(unsupported("a pool has no path on this platform"))
    }

    #[cfg(unix)]
    #[inline]
    fn descriptors(&self, command: &mut Command) -> io::Result<Auth> {
        self.pool.transport.hand_ends_to(command)
    }

    #[cfg(not(unix))]
    #[inline]
    fn descriptors(&self, _: &mut Command) -> io::Result<Auth> {
        Err(unsupported("a pool can't be inherited as descriptors on this platform"))
    }
}

/// Keeps the pool of this process's environment out of a child: for a daemon that outlives the build.
///
/// Such a program (a compiler cache's server, a language server) must not hold the pool's pipe open after the build has
/// ended, nor let its own children take tokens of a build that is not theirs: make would wait for it.
///
/// The child finds neither `CARGO_MAKEFLAGS` nor `MFLAGS`; `MAKEFLAGS` and `GNUMAKEFLAGS` keep what is not about jobs.
/// Descriptors that these variables name and that are pipes are closed in it. In this process nothing changes.
///
/// ```
/// use std::process::Command;
///
/// let mut daemon = Command::new("sccache");
/// daemon.arg("--start-server");
/// jobserver::keep_out(&mut daemon);
/// ```
///
/// Call it after whatever sets variables of the command; the last of `keep_out` and [`Client::join`] counts. A variable
/// that a cleared environment would not have passes on its rest again: call [`Command::env_clear`] after this.
///
/// # Platform behaviour
///
/// Where there are descriptors to close, the child is started by a fork. Those of a [`Client`] need no care: no child
/// inherits them. On Windows a pool is nothing but its name, so the variables are all.
#[inline]
pub fn keep_out(command: &mut Command) {
    let mut fds = Vec::new();
    for name in ["CARGO_MAKEFLAGS", "MFLAGS", "MAKEFLAGS", "GNUMAKEFLAGS"] {
        // What this process inherited may be open even if the child would have been told of another pool.
        let values = [std::env::var_os(name), inherited(command, name)];
        fds.extend(values.iter().flatten().flat_map(|value| descriptors_in(value)));
        let Some(value) = &values[1] else { continue };
        let rest = MakeFlags::parse(value).without_jobserver();
        let is_makes = name == "MAKEFLAGS" || name == "GNUMAKEFLAGS";
        if is_makes && !rest.is_empty() {
            command.env(name, rest);
        } else {
            command.env_remove(name);
        }
    }
    // The child's standard streams have these numbers by the time it could close anything.
    fds.retain(|&fd| fd > 2);
    fds.sort_unstable();
    fds.dedup();
    close_in_child(command, fds);
}

#[inline]
fn descriptors_in(value: &OsStr) -> Vec<i32> {
    match MakeFlags::parse(value).jobserver().map(Auth::parse) {
        Some(Ok(Auth::Pipe { read, write })) => vec![read, write],
        _ => Vec::new(),
    }
}

#[cfg(unix)]
#[inline]
fn close_in_child(command: &mut Command, fds: Vec<i32>) {
    if !fds.is_empty() {
        crate::transport::keep_back(command, fds);
    }
}

#[cfg(not(unix))]
#[inline]
fn close_in_child(_: &mut Command, _: Vec<i32>) {}

/// The variable as the child would have it.
#[inline]
fn inherited(command: &Command, name: &str) -> Option<OsString> {
    match command.get_envs().find(|(known, _)| *known == name) {
        Some((_, value)) => value.map(OsString::from),
        None => std::env::var_os(name),
    }
}

#[inline]
fn unsupported(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::Unsupported, why)
}
