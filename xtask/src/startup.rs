//! `cargo xtask startup`: what a build pays before its first job, as `jobserver run -- true` beside `env true`.
//!
//! In turns, each round begun by another lane, so that a machine that is busy slows both. The difference is taken
//! round by round; its median is what counts. Each style is a lane: `auto` asks a make for its version when it is not
//! known yet, `tracked` mounts and starts a thread.

use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{ensure, Context as _, Result};

use crate::context::Context;
use crate::pool::row::{lane, median, quantile};

/// More than this is for a person to feel, in a build that has nothing to do.
const AIM: f64 = 0.003;

const LANES: [(&str, &[&str]); 5] = [
    ("env true", &[]),
    ("env true, again", &[]),
    ("run -- true", &["run", "-j4", "--no-pool", "--", "true"]),
    ("run --style tracked -- true", &["run", "-j4", "--no-pool", "--style", "tracked", "--", "true"]),
    ("run --style fifo -- true", &["run", "-j4", "--no-pool", "--style", "fifo", "--", "true"]),
];

#[derive(clap::Args)]
pub(crate) struct Options {
    /// How many rounds.
    #[arg(long, default_value_t = 200)]
    rounds: usize,
    /// Fail if it takes longer than is aimed at.
    #[arg(long)]
    check: bool,
}

/// Builds the command as it is released, and measures.
pub(crate) fn run(context: &Context, options: &Options) -> Result<()> {
    context.cargo(20, &["build", "--quiet", "--release", "-p", "jobserver-cli"]).run()?;
    let jobserver = context.target().join("release/jobserver");
    let mut rounds = Vec::new();
    for round in 0..options.rounds {
        let mut times = vec![0.0; LANES.len()];
        for turn in 0..LANES.len() {
            let at = (round + turn) % LANES.len();
            let words = LANES[at].1;
            let mut command = Command::new(if words.is_empty() { "env".as_ref() } else { jobserver.as_os_str() });
            command.args(if words.is_empty() { &["true"] } else { words }).stdin(Stdio::null());
            let start = Instant::now();
            let status = command.status().with_context(|| LANES[at].0)?;
            times[at] = start.elapsed().as_secs_f64();
            ensure!(status.success(), "{}: {status}", LANES[at].0);
        }
        rounds.push(times);
    }
    let mut slow = Vec::new();
    println!("{:30}  {:>8}  {:>8}  {:>16}", "in ms", "median", "more", "quartiles of it");
    for (at, (name, words)) in LANES.iter().enumerate() {
        let more: Vec<f64> = rounds.iter().map(|round| round[at] - round[0]).collect();
        let [below, middle, above] = [0.25, 0.5, 0.75].map(|share| 1e3 * quantile(&more, share));
        println!("{name:30}  {:8.2}  {middle:8.2}  {below:8.2} {above:7.2}", 1e3 * median(&lane(&rounds, at)));
        if !words.is_empty() && median(&more) > AIM {
            slow.push(*name);
        }
    }
    println!("aim: {} ms more than env; {}", 1e3 * AIM, if slow.is_empty() { "kept" } else { "missed" });
    ensure!(!options.check || slow.is_empty(), "longer than {} ms: {}", 1e3 * AIM, slow.join(", "));
    Ok(())
}
