//! `status`, `top` and `set`: a served pool, seen and steered.

use std::path::PathBuf;

use clap::{ArgGroup, Args};

use super::slots;

/// Show who holds the slots of a pool.
#[derive(Debug, Args)]
#[command(after_help = STATUS, after_long_help = STATUS_AND_COLUMNS)]
pub(crate) struct Status {
    /// The pool that is served from DIR [default: the one this runs under, or as for run]
    #[arg(long, value_name = "DIR")]
    pub(crate) pool: Option<PathBuf>,

    /// Write one JSON object; docs/control.md describes it
    #[arg(long)]
    pub(crate) json: bool,
}

/// Watch who holds the slots of a pool.
///
/// Keys: q or Ctrl-C quits, arrows and page keys scroll, p shows processes or hides them.
#[derive(Debug, Args)]
pub(crate) struct Top {
    /// The pool that is served from DIR [default: as for status]
    #[arg(long, value_name = "DIR")]
    pub(crate) pool: Option<PathBuf>,
}

/// Change the width of a pool, or of one build in it, while builds run.
///
/// What is free changes at once; what is in use follows as it comes back. Nothing is taken from a running job.
#[derive(Debug, Args)]
#[command(
    group = ArgGroup::new("what").args(["jobs", "lease"]).required(true).multiple(true),
    after_help = "Examples:\n  jobserver set -j 6\n  jobserver set --lease nightly --cap 2 --weight 1"
)]
pub(crate) struct Set {
    /// How many jobs may run at once, of all builds together
    #[arg(short, long, value_name = "N", value_parser = slots)]
    pub(crate) jobs: Option<usize>,

    /// The build, by its name or its pid in `status`; all of them if several have the name
    #[arg(long, value_name = "NAME|PID")]
    pub(crate) lease: Option<String>,

    /// So many slots at most for that build; `none`: as many as there are
    #[arg(long, value_name = "N|none", requires = "lease", value_parser = cap)]
    pub(crate) cap: Option<Cap>,

    /// Its share beside others: one with 2 gets twice the slots of one with 1
    #[arg(long, value_name = "W", requires = "lease", value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) weight: Option<u32>,

    /// The pool that is served from DIR [default: as for status]
    #[arg(long, value_name = "DIR")]
    pub(crate) pool: Option<PathBuf>,
}

/// At most so many; `None`: no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cap(pub(crate) Option<u32>);

fn cap(text: &str) -> Result<Cap, String> {
    if text == "none" {
        return Ok(Cap(None));
    }
    let slots = slots(text)?;
    u32::try_from(slots).map(|slots| Cap(Some(slots))).map_err(|_| "too many to be counted".to_string())
}

const STATUS: &str = "Example: jobserver status --json | jq '.leases[] | {name, held, waited}'";

const STATUS_AND_COLUMNS: &str = "\
Example: jobserver status --json | jq '.leases[] | {name, held, waited}'

Columns:
  PID     of the `jobserver run` that started the build; below, of the processes that use its slots
  HELD    slots in use, the build's own first one included; `of N`: its cap
  FLOOR   so many it gets before any other build gets more than its own floor
  WEIGHT  its share beside others
  PEAK    the most that it has held at once
  WAITED  how long its processes waited for slots, added up; an estimate";
