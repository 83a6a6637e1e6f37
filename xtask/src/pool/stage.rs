//! Where it all happens: the release build of the command, a folder for the builds, and pools served from it.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{bail, ensure, Context as _, Result};
use serde_json::Value;
use testkit::clients::{Program, MAKE_4_4, NINJA};
use testkit::process::without_jobserver;

use super::processes::Kept;
use crate::context::Context;

/// Longer than anything here takes to come about.
const BOUND: Duration = Duration::from_secs(30);

pub(crate) struct Stage {
    /// `jobserver`, optimized.
    program: PathBuf,
    pub(crate) make: PathBuf,
    pub(crate) ninja: PathBuf,
    /// Short, since a socket's path is, and outside of the repository.
    dir: PathBuf,
    /// For the pools: in memory, as `/run` and a user's runtime directory are. On a disk (ext4) a FIFO takes up to 2 ms to
    /// be made, and as long to be let go.
    pools: PathBuf,
    /// Part of the names of the rows that are wanted.
    rows: String,
}

impl Stage {
    pub(crate) fn new(context: &Context) -> Result<Stage> {
        context.cargo(10, &["build", "--release", "--quiet", "-p", "jobserver-cli"]).run()?;
        let scratch = context.scratch("pool")?;
        let target = scratch.ancestors().nth(2).context("the scratch folder is in the target directory")?;
        let (make, ninja) = (client(&MAKE_4_4)?, client(&NINJA)?);
        let name = format!("jobserver-measured-{}", std::process::id());
        let dir = std::env::temp_dir().join(&name);
        fs::create_dir(&dir).with_context(|| dir.display().to_string())?;
        let in_memory = Path::new("/dev/shm").join(name);
        let pools = if fs::create_dir(&in_memory).is_ok() { in_memory } else { dir.join("pools") };
        let program = target.join("release/jobserver");
        let stage = Stage { program, make, ninja, dir, pools, rows: String::new() };
        ensure!(stage.program.is_file(), "{} was not built", stage.program.display());
        Ok(stage)
    }

    /// Rows with this in their names are wanted.
    pub(crate) fn only(mut self, rows: &str) -> Stage {
        self.rows = rows.to_string();
        self
    }

    /// Whether a row of that name is to be measured.
    pub(crate) fn wants(&self, row: &str) -> bool {
        row.contains(&self.rows)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// An empty folder.
    pub(crate) fn folder(&self, name: &str) -> Result<PathBuf> {
        empty(self.path(name))
    }

    /// `jobserver ARGS...`.
    pub(crate) fn jobserver(&self, args: &[&str]) -> Command {
        let mut command = quiet(&self.program);
        command.args(args);
        command
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        for dir in [&self.pools, &self.dir] {
            if let Err(error) = fs::remove_dir_all(dir) {
                if error.kind() != ErrorKind::NotFound {
                    eprintln!("{} is left behind: {error}", dir.display());
                }
            }
        }
    }
}

fn empty(dir: PathBuf) -> Result<PathBuf> {
    if dir.exists() {
        fs::remove_dir_all(&dir).with_context(|| dir.display().to_string())?;
    }
    fs::create_dir_all(&dir).with_context(|| dir.display().to_string())?;
    Ok(dir)
}

fn client(program: &Program) -> Result<PathBuf> {
    let path = program.path();
    match program.check(&path) {
        Ok(()) => Ok(path),
        Err(why) => bail!("{why}; `cargo xtask clients` fetches it"),
    }
}

/// A program that joins nobody's jobserver, and of which only complaints are seen.
pub(crate) fn quiet(program: &Path) -> Command {
    let mut command = Command::new(program);
    without_jobserver(&mut command);
    command.env_remove("JOBSERVER_POOL").stdin(Stdio::null()).stdout(Stdio::null());
    command
}

/// A pool of its own, served by a process of its own.
pub(crate) struct Served<'a> {
    stage: &'a Stage,
    pub(crate) dir: PathBuf,
    pub(crate) server: Kept,
}

impl<'a> Served<'a> {
    pub(crate) fn start(stage: &'a Stage, slots: usize) -> Result<Served<'a>> {
        let dir = empty(stage.pools.join("served"))?;
        let slots = format!("-j{slots}");
        let server = Kept::start(stage.jobserver(&["serve", &slots, "--style", "tracked", "--dir"]).arg(&dir))?;
        let mut served = Served { stage, dir, server };
        let start = Instant::now();
        let status = loop {
            if let Ok(status) = served.status() {
                break status;
            }
            if let Some(status) = served.server.0.try_wait()? {
                bail!("the server ended before it was ready: {status}");
            }
            ensure!(start.elapsed() < BOUND, "the server is not ready after {BOUND:?}");
            thread::sleep(Duration::from_millis(5));
        };
        ensure!(status["style"] == "tracked", "the pool is not tracked: {status}");
        Ok(served)
    }

    /// `jobserver run` in this pool.
    pub(crate) fn run(&self) -> Command {
        self.run_weighing(1)
    }

    pub(crate) fn run_weighing(&self, weight: u32) -> Command {
        // By default a make on PATH has its say, and that need not be the one that runs.
        let mut command = self.stage.jobserver(&["run", "--style", "tracked", "--pool"]);
        command.arg(&self.dir).arg(format!("--weight={weight}")).arg("--");
        command
    }

    pub(crate) fn status(&self) -> Result<Value> {
        let mut command = self.stage.jobserver(&["status", "--json", "--pool"]);
        // Not there yet is no complaint.
        let output = command.arg(&self.dir).stderr(Stdio::null()).stdout(Stdio::piped()).output()?;
        ensure!(output.status.success(), "status: {}", output.status);
        Ok(serde_json::from_slice(&output.stdout)?)
    }

    /// Waits until every build has ended, checks that every slot is there, and ends the server. What is offered to a
    /// process that has outlived its build is there.
    pub(crate) fn finish(mut self) -> Result<Value> {
        let start = Instant::now();
        let status = loop {
            let status = self.status()?;
            let leases = status["leases"].as_array().context("the status has no leases")?;
            if leases.iter().all(|lease| lease["state"] == "ended" && lease["held"] == 0) {
                break status;
            }
            ensure!(start.elapsed() < BOUND, "a build that has ended still holds slots: {status}");
            thread::sleep(Duration::from_millis(5));
        };
        let there = status["free"].as_u64().zip(status["offered"].as_u64()).map(|(free, offered)| free + offered);
        let whole = status["held"] == 0 && status["strays"] == 0 && there == status["capacity"].as_u64();
        ensure!(whole, "not every slot is back, or one too many: {status}");
        let ended = self.server.end()?;
        ensure!(ended.success(), "the server: {ended}");
        Ok(status)
    }
}
