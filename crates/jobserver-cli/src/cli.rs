//! The arguments, and nothing else.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};

/// One pool of job slots for every build tool: make, ninja, cargo and all that speak the GNU make jobserver.
#[derive(Debug, Parser)]
#[command(name = "jobserver", version, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) action: Action,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Action {
    Run(Run),
    Serve(Serve),
    Status(Status),
}

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

    /// The command and its arguments. Leave out its own -jN: with one, make and ninja go their own way
    #[arg(required = true, trailing_var_arg = true, value_name = "CMD")]
    pub(crate) command: Vec<OsString>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Style {
    /// Pipe if the make that will be used is older than 4.4; else tracked, or fifo where that can't be had
    #[default]
    Auto,
    /// A named pipe for each process, so that the tokens of one that is killed come back (Linux, with FUSE)
    Tracked,
    /// A named pipe: make 4.4, ninja 1.13, gcc 14 and later; cargo, rustc
    Fifo,
    /// Two inherited descriptors: make and gcc of any age; cargo, rustc
    Pipe,
}

/// Serve a pool of job slots to all builds of a user, or of the machine.
///
/// Every `jobserver run` takes its slots from it, as long as it is there; one that ends gives back all it had, however it
/// ends. Root serves the machine's pool: each user sees and uses it, and nobody sees another's builds. Where there is a
/// group `jobserver`, only its members do.
///
/// It tells systemd when it is ready (Type=notify), and ends on TERM, INT and HUP.
#[derive(Debug, Args)]
#[command(after_long_help = LOG)]
pub(crate) struct Serve {
    /// How many jobs may run at once, of all builds together [default: one a processor]
    #[arg(short, long, value_name = "N", value_parser = slots)]
    pub(crate) jobs: Option<usize>,

    /// Where the pool is [default: $XDG_RUNTIME_DIR/jobserver; for root /run/jobserver]
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,

    /// How the tools reach the pool: tracked, or fifo where FUSE can't be had
    #[arg(long, value_enum, default_value_t)]
    pub(crate) style: ServeStyle,

    /// Tell of builds that come and go, and of what was recovered; twice: of their clients too
    #[arg(short, long, action = ArgAction::Count)]
    pub(crate) verbose: u8,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum ServeStyle {
    /// Tracked, or fifo where that can't be had
    #[default]
    Auto,
    /// A named pipe for each process
    Tracked,
    /// A named pipe for each build
    Fifo,
}

/// Show who holds the slots of a pool.
#[derive(Debug, Args)]
pub(crate) struct Status {
    /// The pool that is served from DIR [default: as for run]
    #[arg(long, value_name = "DIR")]
    pub(crate) pool: Option<PathBuf>,

    /// Write one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

const LOG: &str = "\
Without -v only what a person must know is written, to standard error. $JOBSERVER_LOG sets it as well: error, warn (the
default), info (as -v), debug (as -vv) or off.";

const EXAMPLES: &str = "Example: jobserver run -j4 -- make all";

const EXAMPLES_AND_STATUSES: &str = "\
Examples:
  jobserver run -j4 -- make all
  jobserver run -- sh -c 'make -C lib && cargo build'

Exit status:
  that of the command
  128+n  a signal ended the command: 130 for Ctrl-C, 143 for TERM
  125    jobserver itself failed, or its arguments are wrong
  126    the command was found but can't be executed
  127    the command was not found

HUP, INT, QUIT, TERM, USR1 and USR2 are passed on to the command.";

fn slots(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) => Err("a pool has one slot at least, the command's own; give 1 or more, or leave -j out".to_string()),
        Ok(slots) => Ok(slots),
        Err(_) => Err("it is no number of jobs, or too large a one; give one as in -j4, or leave -j out".to_string()),
    }
}
