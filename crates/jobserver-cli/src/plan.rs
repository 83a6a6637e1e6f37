//! Which pool a run is to use: decided before anything is made, so that it can be read off the arguments and the
//! environment alone.
//!
//! Slots are never created inside an inherited jobserver. Where one is named but can't be reached, make itself would run
//! one job at a time; without a width from the user so do we, and say so.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::thread;

use jobserver::{Client, ConnectError, FromEnvErrorKind};

use crate::cli;
use crate::report::say;
use crate::serving;
use crate::shim::Shims;
use crate::style::{self, Style, Way};

/// What of the arguments decides.
pub(crate) struct Wish<'a> {
    pub(crate) pool: Option<&'a Path>,
    pub(crate) no_pool: bool,
    pub(crate) jobs: Option<usize>,
    pub(crate) style: cli::Style,
    pub(crate) shim: cli::Shim,
    pub(crate) program: &'a OsStr,
}

impl Wish<'_> {
    pub(crate) fn of(args: &cli::Run) -> Wish<'_> {
        Wish {
            pool: args.pool.as_deref(),
            no_pool: args.no_pool,
            jobs: args.jobs,
            style: args.style,
            shim: args.shim(),
            program: &args.command[0],
        }
    }
}

pub(crate) enum Plan {
    /// A pool of our own.
    Own { slots: usize, style: Style },
    /// A lease of the pool that is served from there, for `cap` jobs at most.
    Lease { directory: PathBuf, cap: Option<usize>, style: Style },
    /// The command joins the inherited jobserver by itself.
    Join(Client),
    /// The command gets a pool that is filled from the inherited jobserver: to keep to a width (`jobs`), or because its
    /// make can't reach that one.
    Draw { from: Client, jobs: Option<usize>, style: Style },
}

impl Plan {
    /// How many jobs the command may run if nothing of the plan can be had: as many as were stated, or the one that
    /// whoever started us has given.
    pub(crate) fn jobs_alone(&self) -> usize {
        match *self {
            Plan::Own { slots, .. } => slots,
            Plan::Lease { cap, .. } => cap.unwrap_or(1),
            Plan::Join(_) | Plan::Draw { .. } => 1,
        }
    }
}

/// And the shims that the command gets with it.
pub(crate) fn make(args: &Wish) -> (Plan, Option<Shims>) {
    if let Some(directory) = args.pool {
        let Way { style, shims } = choose(args);
        return (Plan::Lease { directory: directory.to_path_buf(), cap: args.jobs, style }, shims);
    }
    let error = match Client::connect() {
        Ok(client) => return inside(client, args),
        Err(error) => error,
    };
    let served = if is_expected(&error) && !args.no_pool { serving::find() } else { None };
    let Way { style, shims } = choose(args);
    let plan = match served {
        Some(directory) => Plan::Lease { directory, cap: args.jobs, style },
        None => Plan::Own { slots: own_slots(args, &error), style },
    };
    (plan, shims)
}

fn inside(client: Client, args: &Wish) -> (Plan, Option<Shims>) {
    let inherited = style::of(&client);
    // Every make can use a pipe, so `auto` has nothing to change there.
    let as_it_is = args.style == cli::Style::Auto && inherited == Some(Style::Pipe);
    if args.jobs.is_none() && as_it_is {
        return (Plan::Join(client), None);
    }
    let Way { style, shims } = choose(args);
    let style = match style {
        // Whose tokens these are is known to the inherited pool, or to nobody.
        Style::Tracked => Style::Fifo,
        style => style,
    };
    if args.jobs.is_none() && inherited == Some(style) {
        return (Plan::Join(client), shims);
    }
    (Plan::Draw { from: client, jobs: args.jobs, style }, shims)
}

fn choose(args: &Wish) -> Way {
    style::choose(args.style, args.shim, args.program)
}

fn own_slots(args: &Wish, error: &ConnectError) -> usize {
    match (is_expected(error), args.jobs) {
        (true, Some(jobs)) => jobs,
        (true, None) => thread::available_parallelism().map_or_else(
            |error| {
                say(format_args!("the number of processors is unknown: {error}: one job at a time; -j N allows more"));
                1
            },
            usize::from,
        ),
        (false, Some(jobs)) => {
            say(format_args!("{error}; until then the command has a pool of its own, of -j{jobs}"));
            jobs
        }
        (false, None) => {
            say(format_args!("{error}; until then the command runs one job at a time (more with -j N)"));
            1
        }
    }
}

/// Whether no jobserver is named at all.
pub(crate) fn is_expected(error: &ConnectError) -> bool {
    use FromEnvErrorKind::{NoEnvVar, NoJobserver, Unsupported};
    matches!(error.kind(), NoEnvVar | NoJobserver | Unsupported)
}
