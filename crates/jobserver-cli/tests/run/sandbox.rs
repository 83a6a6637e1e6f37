//! Where a test runs, and what came out.

use std::fs;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

/// A folder that is the current directory and TMPDIR of what runs in it.
pub(crate) struct Sandbox {
    dir: tempfile::TempDir,
}

/// How a run ended and what it wrote.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) status: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Outcome {
    /// That all went well: status 0 and no word on standard error, so no token was lost and no stray came.
    #[track_caller]
    pub(crate) fn is_clean(&self) {
        assert!(self.status == Some(0) && self.err.is_empty(), "{self:?}");
    }

    /// The one line that was said.
    #[track_caller]
    pub(crate) fn line(&self) -> &str {
        let mut lines = self.err.lines();
        let line = lines.next().unwrap_or_else(|| panic!("nothing was said: {self:?}"));
        assert_eq!(lines.next(), None, "more than one line: {self:?}");
        assert!(line.starts_with("jobserver: "), "{line}");
        line
    }
}

impl From<Output> for Outcome {
    fn from(output: Output) -> Outcome {
        Outcome {
            status: output.status.code(),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

impl Sandbox {
    pub(crate) fn new() -> Sandbox {
        Sandbox { dir: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, text).unwrap();
        path
    }

    pub(crate) fn script(&self, name: &str, text: &str) -> PathBuf {
        let path = self.write(name, text);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    /// A program in this sandbox, under no jobserver.
    pub(crate) fn command(&self, program: impl AsRef<Path>) -> Command {
        let mut command = Command::new(program.as_ref());
        command.current_dir(self.dir.path()).env("TMPDIR", self.dir.path());
        command.env("XDG_DATA_HOME", self.path("data")).env("XDG_CACHE_HOME", self.path("cache"));
        let flags = ["MAKEFLAGS", "GNUMAKEFLAGS", "CARGO_MAKEFLAGS", "MFLAGS", "MAKELEVEL", "CARGO_BUILD_JOBS"];
        for name in flags.into_iter().chain(["JOBSERVER_POOL", "XDG_RUNTIME_DIR", "JOBSERVER_FIFO", "JOBSERVER_SHIM"]) {
            command.env_remove(name);
        }
        command
    }

    /// `jobserver run` with these arguments, not started yet.
    pub(crate) fn jobserver(&self, arguments: &[&str]) -> Command {
        let mut command = self.command(jobserver());
        command.arg("run").args(arguments);
        command
    }

    /// `jobserver run` with these arguments, to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Outcome {
        self.finish(self.jobserver(arguments))
    }

    /// Any command to its end, after which no pool may be left behind.
    pub(crate) fn finish(&self, mut command: Command) -> Outcome {
        let outcome = command.stdin(Stdio::null()).output().unwrap().into();
        self.no_pool_is_left();
        outcome
    }

    /// Starts `command` and waits until it has printed the line `ready`.
    pub(crate) fn start(&self, mut command: Command) -> Child {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut said = [0; 6];
        child.stdout.as_mut().unwrap().read_exact(&mut said).unwrap();
        assert_eq!(&said, b"ready\n");
        child
    }

    pub(crate) fn wait(&self, child: Child) -> Outcome {
        let outcome = child.wait_with_output().unwrap().into();
        self.no_pool_is_left();
        outcome
    }

    /// The folders of pools that exist now.
    pub(crate) fn pools(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.dir.path()).unwrap().map(|entry| entry.unwrap());
        let is_pool = |name: &str| name.starts_with("jobserver-");
        entries.filter(|entry| is_pool(&entry.file_name().to_string_lossy())).map(|entry| entry.path()).collect()
    }

    #[track_caller]
    fn no_pool_is_left(&self) {
        assert_eq!(self.pools(), Vec::<PathBuf>::new());
    }
}

/// Starts it; what it writes is kept for [`wait`].
#[cfg(target_os = "linux")]
pub(crate) fn start(mut command: Command) -> Child {
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// How it ended.
#[cfg(target_os = "linux")]
pub(crate) fn wait(child: Child) -> Outcome {
    testkit::process::finish(child).into()
}

pub(crate) fn jobserver() -> &'static str {
    env!("CARGO_BIN_EXE_jobserver")
}

/// A path as an argument.
pub(crate) fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}
