//! Runs one scenario on one crate, in a process of its own.
//!
//! Upstream's crate hangs in some of them, so each has a bound: what is still running then is ended and reported as
//! [`Ending::Hung`]. The bound for what must not hang is two minutes: no check depends on a time being short.
//! The result goes through a file: some scenarios close standard output.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use crate::either::Which;
use crate::sys;

/// After this time a scenario that must end has failed.
const PATIENCE: Duration = Duration::from_secs(120);
/// So long we watch one that is expected to hang.
const GLANCE: Duration = Duration::from_secs(3);

/// The user whom nobody is.
const NOBODY: u32 = 65534;

/// What became of a scenario.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It ended well and said this.
    Said(String),
    /// It ended otherwise: its status and its standard error.
    Failed(String),
    /// It was still there at the end of its time.
    Hung,
}

impl Ending {
    /// The ending of a scenario that says `text`.
    pub fn said(text: impl Into<String>) -> Ending {
        Ending::Said(text.into())
    }
}

/// A scenario that is about to begin: `ACTOR WHICH SCENARIO RESULT-FILE ARGUMENT...`.
#[derive(Debug)]
pub struct Actor {
    command: Command,
    given: Vec<(OwnedFd, i32)>,
    dir: tempfile::TempDir,
}

/// A scenario under way; it is ended when this is dropped.
#[derive(Debug)]
pub struct Running {
    child: Child,
    dir: tempfile::TempDir,
}

impl Actor {
    /// `program` is `env!("CARGO_BIN_EXE_actor")`. The actor inherits no jobserver of the tests' own.
    pub fn new(program: &str, which: Which, scenario: &str) -> Actor {
        let dir = tempfile::tempdir().unwrap();
        // An actor that runs as another user writes there, too.
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let result = dir.path().join("said");
        File::create(&result).unwrap().set_permissions(fs::Permissions::from_mode(0o666)).unwrap();
        let stderr = File::create(dir.path().join("stderr")).unwrap();
        let mut command = Command::new(program);
        command.args([which.name(), scenario]).arg(&result);
        for name in ["CARGO_MAKEFLAGS", "MAKEFLAGS", "MFLAGS"] {
            command.env_remove(name);
        }
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(stderr).process_group(0);
        Actor { command, given: Vec::new(), dir }
    }

    /// One more argument of the scenario.
    pub fn arg(mut self, arg: impl ToString) -> Actor {
        self.command.arg(arg.to_string());
        self
    }

    /// A variable of its environment.
    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Actor {
        self.command.env(name, value);
        self
    }

    /// A file that it finds open at this number.
    pub fn give(mut self, file: impl Into<OwnedFd>, number: i32) -> Actor {
        self.given.push((file.into(), number));
        self
    }

    /// Runs it as a user without privileges; if the tests are not root's, that is who runs them.
    pub fn as_nobody(mut self) -> Actor {
        if sys::is_root() {
            self.command.uid(NOBODY).gid(NOBODY);
        }
        self
    }

    /// Where its standard output goes: nowhere if this isn't called.
    pub fn stdout(mut self, stdout: impl Into<Stdio>) -> Actor {
        self.command.stdout(stdout);
        self
    }

    /// Where its standard input comes from: nowhere if this isn't called.
    pub fn stdin(mut self, stdin: impl Into<Stdio>) -> Actor {
        self.command.stdin(stdin);
        self
    }

    /// Starts it.
    pub fn start(self) -> Running {
        let Actor { mut command, given, dir } = self;
        let program: OsString = command.get_program().into();
        sys::give(&mut command, given);
        let child = command.spawn().unwrap_or_else(|error| {
            panic!("{program:?}: {error}; if it is run as another user, that user must be able to reach its folder")
        });
        Running { child, dir }
    }

    /// Runs it to its end, which must come.
    pub fn run(self) -> Ending {
        self.start().wait(PATIENCE)
    }

    /// Runs it with a bound of its own.
    pub fn run_within(self, bound: Duration) -> Ending {
        self.start().wait(bound)
    }

    /// Runs it to its end if that comes soon: where it is known to hang.
    pub fn glance(self) -> Ending {
        self.start().wait(GLANCE)
    }
}

impl Running {
    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it has said so far, at its end or before.
    pub fn said(&self) -> String {
        fs::read_to_string(self.file("said")).unwrap()
    }

    /// Waits until it has said something: it is ready.
    pub fn wait_until_ready(mut self) -> Running {
        let end = Instant::now() + PATIENCE;
        while self.said().is_empty() {
            if let Some(status) = self.child.try_wait().unwrap() {
                panic!("{}", self.failure(status));
            }
            assert!(Instant::now() < end, "an actor never got ready");
            std::thread::sleep(Duration::from_millis(2));
        }
        self
    }

    /// Waits for its end.
    pub fn wait(mut self, bound: Duration) -> Ending {
        let end = Instant::now() + bound;
        let mut pause = Duration::from_micros(200);
        loop {
            match self.child.try_wait().unwrap() {
                Some(status) if status.success() => return Ending::Said(self.said()),
                Some(status) => return Ending::Failed(self.failure(status)),
                None if Instant::now() >= end => return Ending::Hung,
                None => std::thread::sleep(pause),
            }
            pause = (pause * 2).min(Duration::from_millis(20));
        }
    }

    fn failure(&self, status: ExitStatus) -> String {
        let end = match status.signal() {
            Some(signal) => format!("signal {signal}"),
            None => format!("status {}", status.code().unwrap_or_default()),
        };
        let stderr = fs::read(self.file("stderr")).unwrap();
        format!("{end}: {}", String::from_utf8_lossy(&stderr).trim_end())
    }

    fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            // Its children as well: some scenarios leave them waiting.
            sys::kill_group(self.child.id());
            let _ = self.child.wait();
        }
    }
}
