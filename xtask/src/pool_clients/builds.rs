//! One build: its folder, its jobs, and the check of what it made.
//!
//! A job writes the square of its number to a file that must not be there yet, so a job that ran twice fails. Where the
//! client has an order of things (make, ninja), a last step joins all of them.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{bail, ensure, Context as _, Result};
use testkit::spans::Recorder;

use super::kinds::{Kind, Tools};
use super::{cargo, lto, BOUND};
use crate::context::write;
use crate::pool::processes;
use crate::pool::stage::Served;

/// Of each build whose jobs are ours.
pub(super) const JOBS: usize = 24;

const JOB: &str = "#!/bin/sh\nset -C\nsleep 0.03\necho $(($1 * $1)) >\"$2\"\n";

/// A few of the jobs of each of two builds wait until the other's have begun as well, so that both ask for slots at once;
/// never all that the pool has, since the other one may need more than one before its first job.
const MEET: &str = r#"for place in 1 2 3; do
    if mkdir "MINE/waiting.$place" 2>/dev/null; then
        tries=0
        until [ -e 'OTHER/begun' ]; do
            tries=$((tries + 1))
            [ $tries -le 6000 ] || { echo 'the other build never began' >&2; exit 99; }
            sleep 0.01
        done
        break
    fi
done
"#;

pub(super) struct Build {
    kind: Kind,
    dir: PathBuf,
    jobs: usize,
    command: Vec<String>,
}

impl Build {
    /// A build, maybe beside another that is known by its name. Each of its jobs is recorded by all `recorders`.
    pub(super) fn new(
        tools: &Tools,
        kind: Kind,
        name: &str,
        other: Option<&str>,
        recorders: &[&Recorder],
    ) -> Result<Build> {
        let dir = tools.stage.folder(name)?;
        let mine = dir.display().to_string();
        let meet = other.map(|other| {
            let other = tools.stage.path(other).display().to_string();
            MEET.replace("MINE", &mine).replace("OTHER", &other)
        });
        let meet = meet.unwrap_or_default();
        script(&dir.join("begin"), &format!("#!/bin/sh\n: >>'{mine}/begun'\n{meet}exec \"$@\"\n"))?;
        // For jobs that are programs of the client's own: rustc, a compiler.
        let recorders: String = recorders.iter().map(|recorder| format!(" {}", recorder.wrapper().display())).collect();
        let record = format!("{recorders} {}", dir.join("begin").display());
        script(&dir.join("record"), &format!("#!/bin/sh\nexec{record} \"$@\"\n"))?;
        script(&dir.join("job"), &format!("#!/bin/sh\nexec{record} ./square \"$@\"\n"))?;
        script(&dir.join("square"), JOB)?;
        fs::create_dir(dir.join("out"))?;
        let jobs = match kind {
            Kind::Cargo => cargo::JOBS,
            Kind::Lto => lto::JOBS,
            // One fails.
            Kind::KeepGoing => JOBS + 1,
            _ => JOBS,
        };
        let command = kind.prepare(tools, &dir, other.is_none())?;
        Ok(Build { kind, dir, jobs, command })
    }

    /// How many jobs it has.
    pub(super) fn jobs(&self) -> usize {
        self.jobs
    }

    /// Starts it in the pool.
    pub(super) fn start<'a>(&'a self, tools: &'a Tools, served: &Served) -> Result<Started<'a>> {
        self.start_with(tools, served, &[])
    }

    /// The same, with more in its environment.
    pub(super) fn start_with<'a>(
        &'a self,
        tools: &'a Tools,
        served: &Served,
        more: &[(&str, &Path)],
    ) -> Result<Started<'a>> {
        // make 4.3 has to be found out by itself; the others can be tracked, whatever make is on PATH.
        let style = if self.kind == Kind::OldMake { "auto" } else { "tracked" };
        let mut command = tools.stage.jobserver(&["run", "--style", style, "--pool"]);
        command.arg(&served.dir).arg("--").args(&self.command).current_dir(&self.dir);
        for name in ["RUSTC", "RUSTC_WRAPPER", "RUSTC_WORKSPACE_WRAPPER", "CARGO_BUILD_JOBS", "PYTEST_ADDOPTS"] {
            command.env_remove(name);
        }
        self.kind.environment(tools, &self.dir, &mut command)?;
        command.envs(more.iter().copied());
        command.stdout(File::create(self.dir.join("stdout"))?).stderr(File::create(self.dir.join("stderr"))?);
        let child = command.spawn().with_context(|| format!("{command:?}"))?;
        Ok(Started { build: self, tools, child: Some(child) })
    }

    /// The numbers that the jobs had, squared, in order.
    fn check_squares(&self) -> Result<()> {
        let squares: Vec<String> = (1..=JOBS).map(|number| format!("{}\n", number * number)).collect();
        for (square, number) in squares.iter().zip(1..) {
            let path = self.dir.join(format!("out/{number}"));
            let made = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
            ensure!(made == *square, "{}: {made:?}", path.display());
        }
        if self.kind.joins() {
            let made = fs::read_to_string(self.dir.join("result"))?;
            ensure!(made == squares.concat(), "result: {made:?}");
        }
        Ok(())
    }
}

/// A build that runs. One that is given up is waited for all the same, so that no job of it stays behind.
pub(super) struct Started<'a> {
    build: &'a Build,
    tools: &'a Tools<'a>,
    child: Option<Child>,
}

impl Started<'_> {
    /// Waits until its first job has begun.
    pub(super) fn wait_for_jobs(&mut self) -> Result<()> {
        let start = Instant::now();
        let child = self.child.as_mut().expect("it is not finished");
        while !self.build.dir.join("begun").exists() {
            if let Some(status) = child.try_wait()? {
                bail!("it ended before its first job: {status}");
            }
            ensure!(start.elapsed() < BOUND, "no job has begun");
            thread::sleep(Duration::from_millis(2));
        }
        Ok(())
    }

    /// Waits for it, and checks what it made and what it said.
    pub(super) fn finish(mut self) -> Result<()> {
        let build = self.build;
        let mut child = self.child.take().expect("it is finished once");
        let status = processes::wait(&mut child)?;
        let said = self.read("stdout")? + &self.read("stderr")?;
        // One line is no fault: the other build was quicker to take all slots.
        let is_fault = |line: &&str| !line.starts_with("jobserver: waiting for a first slot");
        let errors = self.read("stderr")?;
        let faults: Vec<&str> = errors.lines().filter(is_fault).collect();
        let name = build.kind.name();
        if build.kind == Kind::KeepGoing {
            ensure!(status.code() == Some(2), "{name}: {status}: {said}");
            let of_the_target = |line: &&str| line.contains("bad] Error 3") || line.contains("not remade");
            ensure!(faults.iter().all(of_the_target), "{name}: {faults:?}");
            ensure!(!build.dir.join("never").exists(), "{name} built what needs the target that failed");
        } else {
            ensure!(status.success(), "{name}: {status}: {said}");
            ensure!(faults.is_empty(), "{name}: {faults:?}");
        }
        match build.kind {
            Kind::Cargo => self.tools.cargo.check(&build.dir),
            Kind::Lto => lto::check(self.tools, &build.dir),
            _ => build.check_squares(),
        }
    }

    fn read(&self, name: &str) -> Result<String> {
        let path = self.build.dir.join(name);
        fs::read_to_string(&path).with_context(|| path.display().to_string())
    }
}

impl Drop for Started<'_> {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            if let Err(error) = processes::wait(child) {
                eprintln!("a build can't be ended: {error:#}");
            }
        }
    }
}

pub(super) fn script(path: &Path, text: &str) -> Result<()> {
    write(path, text)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).with_context(|| path.display().to_string())
}

/// A command as words.
pub(super) fn words<const N: usize>(program: &Path, arguments: [&str; N]) -> Vec<String> {
    let program = program.display().to_string();
    std::iter::once(program).chain(arguments.map(str::to_string)).collect()
}
