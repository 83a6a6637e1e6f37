//! The arguments, and nothing else.

use std::ffi::OsString;

use clap::{Args, Parser, Subcommand, ValueEnum};

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

    /// The command and its arguments. Leave out its own -jN: with one, make and ninja go their own way
    #[arg(required = true, trailing_var_arg = true, value_name = "CMD")]
    pub(crate) command: Vec<OsString>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Style {
    /// Pipe if the make that will be used is older than 4.4, else fifo
    #[default]
    Auto,
    /// A named pipe: make 4.4, ninja 1.13, gcc 14 and later; cargo, rustc
    Fifo,
    /// Two inherited descriptors: make and gcc of any age; cargo, rustc
    Pipe,
}

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
