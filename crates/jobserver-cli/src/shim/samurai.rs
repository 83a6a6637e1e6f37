//! samurai, which knows no jobserver: in how many slots it is to run. Pure.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use jobserver::Jobs;

use crate::{command_line, spawn};

/// Options of its own, which it reads before those of the command line.
pub(super) const FLAGS: &str = "SAMUFLAGS";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Plan {
    /// The call as it was written: it runs one job at a time, or none.
    AsWritten,
    /// One job, in the slot that it has: `exec` would take a word of it for the place of the number.
    One,
    /// As many jobs as it gets slots, of these at the most.
    Slots(usize),
}

/// `words` are the whole call, `flags` the variable's value.
pub(super) fn plan(words: &[OsString], flags: &OsStr, processors: usize) -> Plan {
    if command_line::runs_no_jobs(words) {
        return Plan::AsWritten;
    }
    let flags = flags.as_bytes().split(|&byte| byte == b' ').filter(|word| !word.is_empty());
    let flags: Vec<OsString> =
        [b"samu".to_vec()].into_iter().chain(flags.map(<[u8]>::to_vec)).map(OsString::from_vec).collect();
    let width = command_line::width(words).or_else(|| command_line::width(&flags));
    match width {
        Some(Jobs::Limit(1)) => Plan::AsWritten,
        _ if words.iter().any(|word| spawn::has_place(word)) => Plan::One,
        Some(Jobs::Limit(jobs)) => Plan::Slots(jobs as usize),
        _ => Plan::Slots(processors),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_counts_before_the_variable_and_what_runs_no_jobs_is_as_written() {
        for (line, flags, expected) in [
            ("samu all", "", Plan::Slots(5)),
            ("samu -j8 all", "-j1", Plan::Slots(8)),
            ("samu all", "-v -j1", Plan::AsWritten),
            ("samu all", "-j 3", Plan::Slots(3)),
            ("ninja all", "-vj4", Plan::Slots(4)),
            ("samu -j0", "", Plan::Slots(5)),
            ("samu -j8 {}", "", Plan::One),
            ("samu -t clean", "", Plan::AsWritten),
            ("samu -j8 -C out -tcompdb {}", "", Plan::AsWritten),
            ("samu -h", "", Plan::AsWritten),
            ("samu -C out --version", "-j4", Plan::AsWritten),
            ("samu -C -h", "", Plan::Slots(5)),
            ("samu -- -h", "", Plan::Slots(5)),
        ] {
            let words: Vec<OsString> = line.split(' ').map(OsString::from).collect();
            assert_eq!(plan(&words, flags.as_ref(), 5), expected, "{line} {flags}");
        }
    }
}
