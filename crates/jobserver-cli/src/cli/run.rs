//! `run`: a whole command under one pool.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::slots;

/// Run a command under a pool of job slots.
///
/// The command, and all that it starts, run at most N jobs at once, however many makes, ninjas and cargos there are
/// among them: each takes its slots from the same pool.
///
/// Inside a build that has a jobserver already, slots come from that one: all that it gives, or N at most with -j N.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES, after_long_help = EXAMPLES_AND_STATUSES)]
pub(crate) struct Run {
    /// How many jobs may run at once, the command's own first one included [default: one a processor, or what the
    /// jobserver gives under which this runs]
    #[arg(short, long, value_name = "N", value_parser = slots)]
    pub(crate) jobs: Option<usize>,

    /// How the tools reach the pool
    #[arg(long, value_enum, default_value_t)]
    pub(crate) style: Style,

    /// Keep the tools in the pool: make, ninja, samurai, `cmake --build` and cargo are found through a folder of shims,
    /// which drop the -jN that scripts give them (not -j1)
    #[arg(long, overrides_with = "no_shim")]
    pub(crate) shim: bool,

    /// No shims, not even the one that lets a make before 4.4 join a named pipe
    #[arg(long, overrides_with = "shim")]
    pub(crate) no_shim: bool,

    /// Take the slots from the pool that is served from DIR [default: the one at $JOBSERVER_POOL,
    /// $XDG_RUNTIME_DIR/jobserver or /run/jobserver, if there is one]
    #[arg(long, value_name = "DIR", conflicts_with = "no_pool")]
    pub(crate) pool: Option<PathBuf>,

    /// Make a pool of its own, whether or not one is served
    #[arg(long)]
    pub(crate) no_pool: bool,

    /// What the command is called in `status` [default: its file name]
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<String>,

    /// The command's share of a served pool beside others: one with 2 gets twice the slots of one with 1
    #[arg(long, value_name = "W", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) weight: u32,

    /// So many slots of a served pool it gets before any other command gets more than its own floor
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) floor: u32,

    /// Start at once, even if all slots of the pool are in use
    #[arg(long)]
    pub(crate) now: bool,

    /// Write a page to FILE that shows what ran when and how the slots were used: one file, for a browser
    #[arg(long, value_name = "FILE")]
    pub(crate) timeline: Option<PathBuf>,

    /// Write the same to FILE as trace events, for Perfetto (ui.perfetto.dev)
    #[arg(long, value_name = "FILE")]
    pub(crate) trace: Option<PathBuf>,

    /// The command and its arguments. Leave out its own -jN: with one, make and ninja go their own way
    #[arg(required = true, trailing_var_arg = true, value_name = "CMD")]
    pub(crate) command: Vec<OsString>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Style {
    /// Tracked, or fifo where that can't be had; a make before 4.4 joins through a shim, or on a pipe where it is called
    /// by its path or there are no shims
    #[default]
    Auto,
    /// A named pipe for each process, so that the tokens of one that is killed come back (Linux, with FUSE)
    Tracked,
    /// A named pipe: make 4.4, ninja 1.13, gcc 14 and later; cargo, rustc
    Fifo,
    /// Two inherited descriptors: make and gcc of any age; cargo, rustc
    Pipe,
}

/// Whether tools are found through shims.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shim {
    /// Make, where it is too old to do without.
    Auto,
    All,
    No,
}

impl Run {
    pub(crate) fn shim(&self) -> Shim {
        match (self.shim, self.no_shim) {
            (true, _) => Shim::All,
            (false, true) => Shim::No,
            (false, false) => Shim::Auto,
        }
    }
}

const EXAMPLES: &str = "Example: jobserver run -j4 -- make all";

const EXAMPLES_AND_STATUSES: &str = "\
Examples:
  jobserver run -j4 -- make all
  jobserver run -- sh -c 'make -C lib && cargo build'
  jobserver run --timeline build.html -- make

Exit status:
  that of the command
  128+n  a signal ended the command: 130 for Ctrl-C, 143 for TERM
  125    jobserver itself failed, or its arguments are wrong
  126    the command was found but can't be executed
  127    the command was not found

HUP, INT, QUIT, TERM, USR1 and USR2 are passed on to the command.";
