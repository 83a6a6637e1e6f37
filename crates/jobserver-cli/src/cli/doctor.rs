//! `doctor`: why a build is not in the pool.

use std::ffi::OsString;

use clap::Args;

/// Explain which jobserver counts here, and what is wrong with it.
///
/// With a command, explain what that command would find: doctor doesn't run it.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  jobserver doctor
  jobserver doctor -- ninja -j8
  jobserver run -- jobserver doctor

With --json: version, command, variable, auth, kind (tracked, fifo, pipe, disabled, semaphore),
pool (slots) and available (tokens), null where they can't be told; does and run (what the
command and `jobserver run` would do); findings (code, severity, what, why, remedy).

Exit status: 0 if nothing is wrong, 1 if something is, 125 if doctor itself failed.")]
pub(crate) struct Doctor {
    /// Write one JSON object, for scripts: codes and names stay, texts may change
    #[arg(long)]
    pub(crate) json: bool,

    /// The command that is to be explained
    #[arg(trailing_var_arg = true, value_name = "CMD")]
    pub(crate) command: Vec<OsString>,
}
