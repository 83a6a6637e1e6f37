//! `cargo xtask soak`: signals at random moments to all kinds of clients of one served pool, for as long as one likes.
//!
//! Round after round, builds of every kind run beside each other while processes of their trees are killed, interrupted,
//! stopped, or left without memory: clients, jobs, runners, whole builds. Builds may fail; they may not hang, and the
//! pool may lose nothing: its accounts balance in each status seen, and after each round all of it is there, with no
//! lease, endpoint or pipe left. Every third round runs without anybody asking for the status: a question wakes the
//! server, and would hide that nothing else did.
//!
//! What is random comes of a seed, so a run can be repeated in all that it decides; what each signal meets is the
//! machine's. Recovery times are printed and judged, and fail nothing: a busy machine is slow for everybody.

mod builds;
mod guard;
mod plan;
mod recovery;
mod round;
mod tally;
mod tree;
pub(crate) mod watch;

use std::path::{Path, PathBuf};
use std::process::{self, Stdio};
use std::time::{Duration, Instant, SystemTime};

use anyhow::{ensure, Context as _, Result};
use testkit::clients::{Program, MAKE_4_3};

use self::builds::Works;
use self::guard::Guard;
use self::plan::Plan;
use self::tally::Tally;
use self::watch::{Health, Watch};
use crate::context::Context;
use crate::pool::stage::{quiet, Served, Stage};

/// Slots of the pool.
const SLOTS: usize = 6;
/// Rounds after which the server has seen everything once: what it needs then it may need for ever, and no more.
const FIRST_ROUNDS: u64 = 5;

#[derive(clap::Args)]
pub(crate) struct Options {
    /// For how long.
    #[arg(long, value_name = "N", default_value_t = 60)]
    minutes: u64,
    /// Make the choices of an earlier run, which printed this.
    #[arg(long, value_name = "S")]
    seed: Option<u64>,
}

impl Options {
    /// Other choices each time.
    pub(crate) fn minutes(minutes: u64) -> Options {
        Options { minutes, seed: None }
    }
}

/// Everything that the rounds share.
struct Soak<'a> {
    served: &'a Served<'a>,
    works: Works,
    guard: Guard,
    watch: Watch,
    tally: Tally,
}

/// Runs rounds until the time is over, and prints what was seen.
pub(crate) fn run(context: &Context, options: &Options) -> Result<()> {
    let seed = options.seed.unwrap_or_else(seed_of_now);
    println!("seed {seed}: `cargo xtask soak --minutes {} --seed {seed}` makes these choices again", options.minutes);
    context.cargo(10, &["build", "--release", "--quiet", "-p", "jobserver", "--example", "slots"]).run()?;
    let stage = Stage::new(context)?;
    let served = Served::start(&stage, SLOTS)?;
    let server = served.server.0.id();
    let guard = Guard::start(server)?;
    let lead = step_forward(guard.pid());
    let mut soak = Soak {
        served: &served,
        works: Works::new(&stage, old_make()?, lead)?,
        guard,
        watch: Watch::connect(&served.dir)?,
        tally: Tally::default(),
    };
    let start = Instant::now();
    let end = start + Duration::from_secs(60 * options.minutes);
    let mut first = None;
    let mut number = 0;
    while Instant::now() < end || number <= FIRST_ROUNDS {
        let plan = Plan::new(seed, number);
        round::run(&mut soak, &plan).with_context(|| format!("round {number} of seed {seed}"))?;
        number += 1;
        if number == FIRST_ROUNDS {
            first = Some(Health::of(server)?);
        }
        if number % 50 == 0 {
            println!("{number} rounds, {} signals, {} s", soak.tally.signals(), start.elapsed().as_secs());
        }
    }
    let last = Health::of(server)?;
    let first = first.context("there were first rounds")?;
    println!("\n{number} rounds in {} s", start.elapsed().as_secs());
    print!("{}", soak.tally.report(&soak.watch, SLOTS));
    println!("the server after {FIRST_ROUNDS} rounds: {first}; at the end: {last}");
    let strays = soak.watch.strays;
    soak.guard.dismiss()?;
    drop(soak);
    served.finish()?;
    ensure!(strays == 0, "{strays} tokens came back that nobody had taken");
    last.no_worse_than(&first)
}

fn old_make() -> Result<PathBuf> {
    let Program { says, .. } = MAKE_4_3;
    let path = MAKE_4_3.path();
    ensure!(MAKE_4_3.check(&path).is_ok(), "{says} is missing: `cargo xtask clients` fetches it");
    Ok(path)
}

/// Who measures must not wait for a processor behind the builds; the server, which is measured, does. Returns by how much
/// builds have to be nicer than we are in order to be like any other process. Only root may do that: without it the
/// times are longer, and nothing else is different.
fn step_forward(guard: u32) -> u32 {
    let by = |words: &[&str], pid: u32| {
        let mut command = quiet(Path::new(words[0]));
        let status = command.args(&words[1..]).arg(pid.to_string()).stderr(Stdio::null()).status();
        status.is_ok_and(|status| status.success())
    };
    // What we start is like any other process again.
    let real_time = ["chrt", "--reset-on-fork", "--fifo", "--pid", "1"];
    if by(&real_time, process::id()) {
        by(&real_time, guard);
        return 0;
    }
    if by(&["renice", "-n", "-10", "-p"], process::id()) {
        10
    } else {
        0
    }
}

fn seed_of_now() -> u64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    now.as_micros() as u64 % 1_000_000_000
}
