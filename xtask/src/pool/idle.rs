//! What clients cost that want nothing: a build beside another one whose ten clients have joined, had tokens, and wait
//! for a job that does not end.
//!
//! The other build is there in every lane, since it holds a slot of its own. Each round makes everything anew: what the
//! pool learns of the idle ones it learns while the clock runs.

use std::fs::OpenOptions;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{ensure, Result};

use super::builds::{self, Tool};
use super::cost::compared;
use super::processes::{time, wait, Kept};
use super::row::Row;
use super::stage::{Served, Stage};

/// Four for the build that is measured, one for the idle one.
const SLOTS: usize = 5;
const CLIENTS: usize = 10;
const BOUND: Duration = Duration::from_secs(60);

const LANES: [(Option<Tool>, &str); 3] =
    [(None, "none"), (Some(Tool::Make), "ten that wait (make)"), (Some(Tool::Ninja), "ten that never wait (ninja)")];

pub(crate) fn measure(stage: &Stage, quick: bool) -> Result<Vec<Row>> {
    let rounds = if quick { 3 } else { 9 };
    let builds = [
        ("20 x 20 jobs of 20 ms, recursive", builds::recursive(stage)?, 1.05),
        ("2,000 x /bin/true", builds::trivial(stage)?, 1.08),
    ];
    let mut rows = Vec::new();
    for (name, dir, most) in &builds {
        let mut times = Vec::new();
        for round in 0..rounds {
            let mut seconds = vec![0.0; LANES.len()];
            for turn in 0..LANES.len() {
                let lane = (round + turn) % LANES.len();
                seconds[lane] = beside(stage, LANES[lane].0, dir)?;
            }
            times.push(seconds);
        }
        for (number, (_, lane)) in LANES.iter().enumerate().skip(1) {
            rows.push(compared(&format!("{name}: {lane}"), &times, number, Some(*most)));
        }
    }
    Ok(rows)
}

fn beside(stage: &Stage, idle: Option<Tool>, dir: &Path) -> Result<f64> {
    let served = Served::start(stage, SLOTS)?;
    let mut other = served.run();
    let mut other = match idle {
        None => {
            let other = Kept::start(other.args(["sleep", "600"]))?;
            // Clients of a build that has just begun are expected for a second.
            thread::sleep(Duration::from_millis(1500));
            other
        }
        Some(tool) => ten(stage, other, tool)?,
    };
    let seconds = time(served.run().arg(&stage.make).arg("-s").current_dir(dir))?;
    ensure!(other.0.try_wait()?.is_none(), "the idle build has ended");
    if idle.is_some() {
        drop(OpenOptions::new().write(true).open(stage.path("idle").join(builds::GATE))?);
        let ended = wait(&mut other.0)?;
        ensure!(ended.success(), "the idle build: {ended}");
    }
    other.end()?;
    served.finish()?;
    Ok(seconds)
}

/// Starts ten idle clients, and waits until they are.
fn ten(stage: &Stage, mut run: Command, tool: Tool) -> Result<Kept> {
    let dir = builds::idle(stage, tool)?;
    let kept = Kept::start(run.args(["sh", "all.sh"]).current_dir(&dir))?;
    let start = Instant::now();
    while !(1..=CLIENTS).all(|number| dir.join(format!("idle.{number}")).exists()) {
        ensure!(start.elapsed() < BOUND, "the ten are not idle after {BOUND:?}");
        thread::sleep(Duration::from_millis(5));
    }
    Ok(kept)
}
