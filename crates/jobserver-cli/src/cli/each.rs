//! `each`: one command for each of many items.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::Args;

use super::slots;

/// Run a command for each item, as many at once as there are slots.
///
/// Items follow `:::`, or come from standard input, one a line. `{}` in the command is replaced by the item; without
/// one, the item is the last argument. The output of each item is written in one piece when it has ended.
///
/// Inside a build that has a jobserver, each takes its slots from that one, the caller's own first. In make a recipe that
/// calls it needs a leading `+`, unless make is 4.4 or later.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Each {
    /// How many items at once at most [default: as many as the pool gives, or one a processor without a pool]
    #[arg(short, long, value_name = "N", value_parser = slots)]
    pub(crate) jobs: Option<usize>,

    /// Write the output in the order of the items
    #[arg(short, long)]
    pub(crate) keep_order: bool,

    /// Start no further items once one has failed
    #[arg(long)]
    pub(crate) fail_fast: bool,

    /// Items on standard input end with a NUL byte, as `find -print0` writes them
    #[arg(short = '0', long)]
    pub(crate) null: bool,

    /// Show no progress
    #[arg(short, long)]
    pub(crate) quiet: bool,

    /// Take the slots from the pool that is served from DIR [default: as for run]
    #[arg(long, value_name = "DIR", conflicts_with = "no_pool")]
    pub(crate) pool: Option<PathBuf>,

    /// Make a pool of its own, whether or not one is served
    #[arg(long)]
    pub(crate) no_pool: bool,

    /// What this is called in `status` [default: the command's file name]
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<String>,

    /// The command, its arguments, and the items after `:::`
    #[arg(required = true, trailing_var_arg = true, value_name = "CMD")]
    pub(crate) command: Vec<OsString>,
}

const EXAMPLES: &str = "\
Examples:
  jobserver each -- gcc -c {} ::: *.c
  find . -name '*.png' -print0 | jobserver each -0 -- optipng -quiet {}
  seq 8 | jobserver each -k -- sh -c 'echo part $1 of 8' sh

Empty lines are no items. The commands have no standard input. An item that fails is named on standard error; a signal \
starts no further items and is passed on to those that run.

Exit status: 0 to 100: so many items failed; 101: more than 100; 125 to 127: as for run; 128+n: signal n ended it.";
