//! Processes that are waited for with a bound, ended when nobody waits for them, and asked what they cost.

use std::collections::BTreeMap;
use std::fs;
use std::process::{Child, Command, ExitStatus};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{bail, ensure, Context as _, Result};

/// Nothing that is measured takes that long; what does, hangs.
const BOUND: Duration = Duration::from_secs(180);
/// How often a process is asked for its processor time: what it uses after the last time is not seen.
const GLANCE: Duration = Duration::from_millis(20);

/// A child that is asked to end, and waited for, when this is dropped.
pub(crate) struct Kept(pub(crate) Child);

impl Kept {
    pub(crate) fn start(command: &mut Command) -> Result<Kept> {
        Ok(Kept(command.spawn().with_context(|| format!("{command:?}"))?))
    }

    /// Ends it by SIGTERM.
    pub(crate) fn end(&mut self) -> Result<ExitStatus> {
        if let Some(status) = self.0.try_wait()? {
            return Ok(status);
        }
        signal("TERM", self.0.id())?;
        wait(&mut self.0)
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        if let Err(error) = self.end() {
            eprintln!("a process can't be ended: {error:#}");
        }
    }
}

/// Waits for a child; one that hangs is killed, and an error.
pub(crate) fn wait(child: &mut Child) -> Result<ExitStatus> {
    watch(child, |_| {})
}

/// Runs a command that must succeed, and returns how many seconds it took.
pub(crate) fn time(command: &mut Command) -> Result<f64> {
    let start = Instant::now();
    let mut child = command.spawn().with_context(|| format!("{command:?}"))?;
    let status = wait(&mut child)?;
    let seconds = start.elapsed().as_secs_f64();
    ensure!(status.success(), "{command:?}: {status}");
    Ok(seconds)
}

/// What one command took, in seconds.
pub(crate) struct Spent {
    pub(crate) wall: f64,
    /// Of processor time: the command's with all its descendants'.
    pub(crate) tree: f64,
    /// The command's own threads, by name.
    pub(crate) threads: BTreeMap<String, f64>,
}

/// Runs a command that must succeed, and asks meanwhile for the processor time of its threads.
pub(crate) fn spend(command: &mut Command) -> Result<Spent> {
    let before = children_seconds()?;
    let start = Instant::now();
    let mut child = command.spawn().with_context(|| format!("{command:?}"))?;
    let pid = child.id();
    let mut threads = BTreeMap::new();
    let status = watch(&mut child, |threads_of| threads.extend(threads_of))?;
    let wall = start.elapsed().as_secs_f64();
    ensure!(status.success(), "process {pid}, {command:?}: {status}");
    let mut by_name = BTreeMap::new();
    for (name, seconds) in threads.into_values() {
        *by_name.entry(name).or_insert(0.0) += seconds;
    }
    Ok(Spent { wall, tree: children_seconds()? - before, threads: by_name })
}

type Threads = BTreeMap<String, (String, f64)>;

/// Waits for a child, while another thread looks at it: the end is seen at once.
fn watch(child: &mut Child, mut look: impl FnMut(Threads) + Send) -> Result<ExitStatus> {
    let pid = child.id();
    let (done, ended) = mpsc::channel::<()>();
    thread::scope(|scope| {
        let watchdog = scope.spawn(move || -> Result<()> {
            let start = Instant::now();
            while ended.recv_timeout(GLANCE) == Err(RecvTimeoutError::Timeout) {
                look(threads(pid));
                if start.elapsed() > BOUND {
                    // Not waited for yet, so the number is still its own.
                    signal("KILL", pid)?;
                    bail!("process {pid} hung and was killed after {BOUND:?}");
                }
            }
            Ok(())
        });
        let status = child.wait();
        drop(done);
        watchdog.join().expect("the watchdog does not panic")?;
        Ok(status?)
    })
}

fn signal(name: &str, pid: u32) -> Result<()> {
    let status = Command::new("kill").args(["-s", name, &pid.to_string()]).status()?;
    ensure!(status.success(), "kill -s {name} {pid}: {status}");
    Ok(())
}

/// Name and seconds of processor time of each thread, by its number; none once the process has ended.
fn threads(pid: u32) -> Threads {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let one = |task: fs::DirEntry| {
        let name = fs::read_to_string(task.path().join("comm")).ok()?;
        // Nanoseconds, where `stat` counts hundredths of a second.
        let spent = fs::read_to_string(task.path().join("schedstat")).ok()?;
        let nanoseconds: f64 = spent.split(' ').next()?.parse().ok()?;
        let number = task.file_name().to_string_lossy().into_owned();
        Some((number, (name.trim_end().to_string(), nanoseconds / 1e9)))
    };
    tasks.filter_map(one).collect()
}

/// The processor time of all children that were waited for, and of theirs.
fn children_seconds() -> Result<f64> {
    let text = fs::read_to_string("/proc/self/stat")?;
    // The second field is a name in parentheses, which may hold anything.
    let after = text.rsplit(')').next().unwrap_or_default();
    let ticks = after.split_whitespace().skip(13).take(2).map(str::parse::<f64>).sum::<Result<f64, _>>()?;
    // USER_HZ, which is 100 on every architecture that Rust runs on but one.
    Ok(ticks / 100.0)
}

/// Seconds since the start of the machine, as every process reads them, to a hundredth.
pub(crate) fn uptime() -> Result<f64> {
    let text = fs::read_to_string("/proc/uptime")?;
    Ok(text.split(' ').next().unwrap_or_default().parse()?)
}
