//! `cargo xtask pool`: what the tracked pool costs, how fair it is, and how fast tokens come back, with real clients.
//!
//! The simulation shows the policy alone; this shows it with make 4.4.1, ninja 1.13.2 and cargo, on this machine's
//! scheduler. Jobs that sleep measure who gets the slots, jobs that do nothing measure what a slot costs. What is
//! compared runs in turns, so that a machine that slows down does so for all. A missed target is printed, and fails
//! only with `--check`: on a busy machine the numbers say little, so that no test depends on them.

pub(crate) mod builds;
mod cost;
mod fairness;
mod idle;
pub(crate) mod many;
pub(crate) mod processes;
mod real;
mod recovery;
pub(crate) mod row;
pub(crate) mod stage;
mod timeline;

use std::fs;
use std::path::PathBuf;
use std::time::Instant;

use anyhow::{ensure, Context as _, Result};
use clap::ValueEnum;
use serde_json::json;

use self::row::Row;
use self::stage::Stage;
use crate::context::Context;

#[derive(clap::Args)]
pub(crate) struct Options {
    /// A few rounds of each: within five minutes, for a first look.
    #[arg(long)]
    quick: bool,
    /// Write all that was measured to this file.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Measure nothing but this.
    #[arg(long, value_enum)]
    only: Option<Part>,
    /// Of fairness, nothing but rows with this in their names, such as `50 ms, cargo:make`.
    #[arg(long, value_name = "TEXT", default_value = "")]
    row: String,
    /// Fail if a target was missed.
    #[arg(long)]
    check: bool,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum Part {
    /// Jobs finished by builds that run at once.
    Fairness,
    /// A build beside ten clients that want nothing.
    Idle,
    /// A build under `run`, and without.
    Cost,
    /// Thousands of clients: what the server needs for them.
    Many,
    /// Real builds under `run`, and without: needs Debian's archives.
    Real,
    /// A build that is recorded, and one that is not.
    Timeline,
    /// From the death of a holder to the next one's token.
    Recovery,
}

/// Builds the command, measures, and prints each part when it is done.
pub(crate) fn run(context: &Context, options: &Options) -> Result<()> {
    let stage = Stage::new(context)?.only(&options.row);
    // Other work on the machine is in every number.
    let load = fs::read_to_string("/proc/loadavg")?.split(' ').next().unwrap_or_default().to_string();
    let start = Instant::now();
    let mut rows = Vec::new();
    type Measure = fn(&Stage, bool) -> Result<Vec<Row>>;
    let parts: [(Part, &str, Measure); 7] = [
        (Part::Recovery, "recovery: SIGKILL of a holder, until another client has its token", recovery::measure),
        (Part::Cost, "cost: -j4, as a ratio to make's own jobserver, interleaved", cost::measure),
        (Part::Timeline, "timeline: -j4, as a ratio to run without a recording, interleaved", timeline::measure),
        (Part::Many, "many: thousands of clients that open the path and do nothing", many::measure),
        (Part::Real, "real: -j4, as a ratio to make's own jobserver, interleaved", real::measure),
        (Part::Fairness, "fairness: six slots; jobs finished while all ran", fairness::measure),
        (Part::Idle, "idle: -j4 beside ten idle clients of another build, as a ratio to none", idle::measure),
    ];
    for (part, title, measure) in parts {
        if options.only.is_none_or(|only| only == part) {
            let measured = measure(&stage, options.quick).with_context(|| title.to_string())?;
            println!("{}", row::table(title, &measured));
            rows.extend(measured);
        }
    }
    let asked = rows.iter().filter(|row| row.passed().is_some()).count();
    let met = rows.iter().filter(|row| row.passed() == Some(true)).count();
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let seconds = start.elapsed().as_secs();
    println!("{met} of {asked} targets met, {processors} processors, load before {load}, {seconds} s of measuring");
    if let Some(file) = &options.json {
        let rows: Vec<_> = rows.iter().map(Row::to_json).collect();
        let all = json!({ "quick": options.quick, "processors": processors, "load": load, "rows": rows });
        fs::write(file, format!("{all:#}\n")).with_context(|| file.display().to_string())?;
    }
    ensure!(!options.check || met == asked, "{} of {asked} targets were missed", asked - met);
    Ok(())
}
