//! The arguments, and nothing else.

mod doctor;
mod each;
mod exec;
mod look;
mod run;
mod serve;

use std::fmt::Write as _;

use clap::builder::Styles;
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

pub(crate) use doctor::Doctor;
pub(crate) use each::Each;
pub(crate) use exec::{Exec, Range};
pub(crate) use look::{Set, Status, Top};
pub(crate) use run::{Run, Shim, Style};
#[cfg_attr(not(target_os = "linux"), allow(unused_imports))]
pub(crate) use serve::{Memory, Serve, ServeStyle};

/// One pool of job slots for every build tool: make, ninja, cargo and all that speak the GNU make jobserver.
#[derive(Debug, Parser)]
#[command(name = "jobserver", version, max_term_width = 100, subcommand_required = true, arg_required_else_help = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) action: Action,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Action {
    Run(Run),
    Exec(Exec),
    Each(Each),
    Serve(Serve),
    Status(Status),
    Top(Top),
    Set(Set),
    Doctor(Doctor),
    /// Print the completions of a shell
    Completions {
        /// Whose
        shell: clap_complete::Shell,
    },
    /// Write the manual pages, one for each command
    Man {
        /// Where to [default: the page of `jobserver` itself, to standard output]
        #[arg(value_name = "DIR")]
        directory: Option<std::path::PathBuf>,
    },
}

/// What a person looks for, and the commands for it.
const GROUPS: [(&str, &[&str]); 4] = [
    ("Run under a pool", &["run", "exec", "each"]),
    ("Share a machine", &["serve", "status", "top", "set"]),
    ("Find out what is wrong", &["doctor"]),
    ("Install", &["completions", "man"]),
];

const EXAMPLES: &str = "\
Examples:
  jobserver run -j4 -- make all           all tools of one build share four slots
  jobserver serve -j8 &                   from now on all builds share eight
  jobserver exec -n 2..8 -- pytest -n {}  a tool that knows nothing of jobservers
  jobserver each -- gcc -c {} ::: *.c     a command for each file
  jobserver doctor                        why is this build not in the pool?

`jobserver help COMMAND` says more about each.";

/// The arguments of this process.
pub(crate) fn parse() -> Result<Cli, clap::Error> {
    let mut command = command();
    let matches = command.try_get_matches_from_mut(std::env::args_os())?;
    Cli::from_arg_matches(&matches).map_err(|error| error.format(&mut command))
}

/// The whole command, with its commands in groups.
pub(crate) fn command() -> clap::Command {
    let command = Cli::command().after_help(EXAMPLES);
    let styles = Styles::styled();
    let (header, name) = (styles.get_header(), styles.get_literal());
    let mut text = "{about-with-newline}\n{usage-heading} {usage}\n".to_string();
    for (title, names) in GROUPS {
        let _ = write!(text, "\n{header}{title}:{header:#}\n");
        for subcommand in names.iter().filter_map(|name| command.find_subcommand(name)) {
            let about = subcommand.get_about().map(ToString::to_string).unwrap_or_default();
            let _ = writeln!(text, "  {name}{:11}{name:#}  {about}", subcommand.get_name());
        }
    }
    let _ = write!(text, "\n{header}Options:{header:#}\n{{options}}{{after-help}}");
    command.help_template(text)
}

pub(super) fn slots(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) => Err("a pool has one slot at least, the command's own; give 1 or more, or leave -j out".to_string()),
        Ok(slots) => Ok(slots),
        Err(_) => Err("it is no number of jobs, or too large a one; give one as in -j4, or leave -j out".to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_is_in_one_group_and_clap_finds_no_fault() {
        command().debug_assert();
        let grouped: Vec<_> = GROUPS.iter().flat_map(|(_, names)| names.iter().copied()).collect();
        let command = command();
        let names: Vec<_> = command.get_subcommands().map(clap::Command::get_name).collect();
        assert_eq!(grouped, names);
    }
}
