//! `exec`: one tool that doesn't speak the protocol, with as many slots as it is to use.

use std::ffi::OsString;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::builder::{OsStringValueParser, TypedValueParser};
use clap::Args;

/// Run a tool that knows nothing of jobservers with slots of the pool.
///
/// It takes MIN slots at least and MAX at most, waits until it has them, and runs the command with `{}` in its arguments
/// and $JOBSERVER_SLOTS and $PARALLELISM set to how many it got. They go back when the command has ended.
///
/// Inside a build that has a jobserver, the slot of the recipe or script that calls it is the first of them. In make a
/// recipe that calls it needs a leading `+`, unless make is 4.4 or later.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Exec {
    /// How many slots: exactly N, or from MIN to MAX (`2..8`)
    #[arg(short = 'n', long, value_name = "N|MIN..MAX", default_value = "1")]
    pub(crate) slots: Range,

    /// Wait no longer than this for the slots (`30`, `1.5s`, `10min`); then exit with 124
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub(crate) timeout: Option<Duration>,

    /// Set this variable too to the number of slots: CARGO_BUILD_JOBS, GOMAXPROCS, OMP_NUM_THREADS... (may be repeated)
    #[arg(short = 'e', long = "env", value_name = "NAME", value_parser = OsStringValueParser::new().try_map(variable))]
    pub(crate) variables: Vec<OsString>,

    /// Take the slots from the pool that is served from DIR [default: as for run]
    #[arg(long, value_name = "DIR")]
    pub(crate) pool: Option<PathBuf>,

    /// What the command is called in `status` [default: its file name]
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<String>,

    /// The command and its arguments
    #[arg(required = true, trailing_var_arg = true, value_name = "CMD")]
    pub(crate) command: Vec<OsString>,
}

const EXAMPLES: &str = "\
Examples:
  jobserver exec -n 2..8 -- pytest -n {}
  jobserver exec -n 4 -e GOMAXPROCS -- go build ./...
  jobserver exec -n 1..16 --timeout 10min -- xz -T{} big.tar

Without any pool the command runs with MAX slots, which is said; with one that can't be reached, with MIN. More than the \
pool has is an error at once. Who gets a part of MIN and no more gives it back after a while and tries again.

Tools below the command that do speak the protocol are left in the jobserver; what they take comes on top, in a served \
pool up to MAX. If exec itself is killed by SIGKILL, a pool in which processes are told apart (`status`: tracked) has its tokens \
back at once; any other, such as make's own, has lost them until its build ends.

Exit status: as for run; 124 if the slots were not to be had in time.";

/// How many slots a command is to have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Range {
    pub(crate) least: usize,
    pub(crate) most: usize,
}

impl FromStr for Range {
    type Err = String;

    fn from_str(text: &str) -> Result<Range, String> {
        let (least, most) = text.split_once("..").unwrap_or((text, text));
        let number = |text: &str| match text.parse() {
            Ok(0) => Err("a command has one slot at least".to_string()),
            Ok(number) => Ok(number),
            Err(_) => Err(format!("`{text}` is no number of slots: give one as in -n 4, or two as in -n 2..8")),
        };
        let range = Range { least: number(least)?, most: number(most.strip_prefix('=').unwrap_or(most))? };
        if range.least > range.most {
            return Err(format!("{} is more than {}: give the smaller number first", range.least, range.most));
        }
        Ok(range)
    }
}

fn variable(name: OsString) -> Result<OsString, &'static str> {
    match name.as_encoded_bytes() {
        [] => Err("a variable has a name"),
        bytes if bytes.iter().any(|byte| [b'=', 0].contains(byte)) => {
            Err("give the name alone: the value is the number")
        }
        _ => Ok(name),
    }
}

/// Seconds, or a number with its unit.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.find(|letter: char| !letter.is_ascii_digit() && letter != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let seconds: f64 = match unit.trim() {
        "ms" => 0.001,
        "" | "s" | "sec" => 1.0,
        "m" | "min" => 60.0,
        "h" => 3600.0,
        other => return Err(format!("`{other}` is no unit of time: ms, s, min or h")),
    };
    let number: f64 = number.parse().map_err(|_| "it is no time: give one as in 30, 1.5s or 10min".to_string())?;
    Duration::try_from_secs_f64(number * seconds).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_one_number_or_two() {
        let is = |text: &str, least, most| assert_eq!(text.parse(), Ok(Range { least, most }), "{text}");
        is("1", 1, 1);
        is("2..8", 2, 8);
        is("4..=4", 4, 4);
        for wrong in ["", "0", "0..3", "3..2", "..", "2..", "..4", "-1", "a", "1..2..3", "99999999999999999999999"] {
            assert!(wrong.parse::<Range>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_time_is_in_seconds_or_has_its_unit() {
        let is = |text, milliseconds| assert_eq!(duration(text), Ok(Duration::from_millis(milliseconds)), "{text}");
        is("30", 30_000);
        is("1.5s", 1_500);
        is("250ms", 250);
        is("10min", 600_000);
        is("2h", 7_200_000);
        for wrong in ["", "s", "1.2.3", "-1", "3 weeks", "1e3", "999999999999999999999h"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }
}
