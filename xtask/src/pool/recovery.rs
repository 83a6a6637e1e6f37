//! How soon the token of a process that is killed reaches a client that waits for one.
//!
//! One token: the holder, a process of its own, takes it and is killed while this process is blocked in a read of its
//! own FIFO. The clock runs from before the signal until that read returns.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{bail, ensure, Context as _, Result};
use serde_json::json;
use testkit::chance::Chance;

use super::processes::Kept;
use super::row::{quantile, Row};
use super::stage::{quiet, Served, Stage};

const BOUND: Duration = Duration::from_secs(30);

/// A client that takes one token and goes on as another program, small enough that its end takes no time of its own.
const HOLDER: &str = "exec 3<\"$1\" 4>\"$1\"; dd bs=1 count=1 <&3 status=none >/dev/null; echo; exec sleep 600";

pub(crate) fn measure(stage: &Stage, quick: bool) -> Result<Vec<Row>> {
    let rounds = if quick { 30 } else { 200 };
    // One slot for the command that keeps the lease open, one token.
    let served = Served::start(stage, 2)?;
    let told = stage.folder("recovery")?.join("told");
    let mut keeper = served.run();
    let keeper = keeper.args(["sh", "-c", "echo \"$MAKEFLAGS\" >\"$0.new\"; mv \"$0.new\" \"$0\"; exec sleep 600"]);
    let mut keeper = Kept::start(keeper.arg(&told))?;
    let path = path_told(&told)?;
    let (mut input, mut output) = (File::open(&path)?, OpenOptions::new().write(true).open(&path)?);

    let (asked, asks) = mpsc::channel::<()>();
    let (answer, answers) = mpsc::channel::<std::io::Result<Instant>>();
    let waiter = thread::spawn(move || {
        while asks.recv().is_ok() {
            let mut token = [0];
            let read = input.read_exact(&mut token).map(|()| Instant::now());
            // Given back only now that it has counted.
            if answer.send(read.and_then(|at| output.write_all(&token).map(|()| at))).is_err() {
                return;
            }
        }
    });
    let mut chance = Chance(0x9e37_79b9);
    let mut times = Vec::new();
    for _ in 0..rounds {
        let mut holder = hold(&path)?;
        asked.send(()).context("the waiter has ended")?;
        // Until it is blocked, and so that the kill meets the pool's timers at any moment.
        thread::sleep(Duration::from_micros(5_000 + chance.below(15_000)));
        ensure!(answers.try_recv().is_err(), "two clients have the one token");
        let start = Instant::now();
        holder.0.kill()?;
        let got = answers.recv_timeout(BOUND).context("the token does not come back")??;
        times.push(1e3 * got.duration_since(start).as_secs_f64());
        holder.0.wait()?;
    }
    drop(asked);
    waiter.join().expect("the waiter does not panic");
    keeper.end()?;
    let status = served.finish()?;
    ensure!(status["recovered"] == rounds, "{rounds} were killed, but: {status}");
    let row = |share: f64, name: &str, most: Option<f64>| Row {
        name: format!("{rounds} kills: {name}"),
        value: quantile(&times, share),
        unit: "ms",
        bounds: (None, most),
        note: String::new(),
        rounds: json!(times),
    };
    Ok(vec![row(0.5, "p50", None), row(0.99, "p99", Some(10.0)), row(1.0, "max", None)])
}

/// The path that the pool's clients are told.
fn path_told(told: &Path) -> Result<PathBuf> {
    let start = Instant::now();
    while !told.exists() {
        ensure!(start.elapsed() < BOUND, "the lease's command does not start");
        thread::sleep(Duration::from_millis(5));
    }
    let flags = std::fs::read_to_string(told)?;
    let path = flags.split_whitespace().find_map(|word| word.strip_prefix("--jobserver-auth=fifo:"));
    path.map(PathBuf::from).with_context(|| format!("no path in {flags:?}"))
}

/// Starts a holder, and waits until it holds the token.
fn hold(path: &Path) -> Result<Kept> {
    let mut command: Command = quiet(Path::new("sh"));
    command.args(["-c", HOLDER, "holder"]).arg(path).stdout(Stdio::piped());
    let mut holder = Kept::start(&mut command)?;
    let mut said = holder.0.stdout.take().expect("it was asked for");
    match said.read(&mut [0])? {
        0 => bail!("a client ended without a token"),
        _ => Ok(holder),
    }
}
