//! Where there is no jobserver: whether one was expected, and the pool that `run` would find.

use crate::doctor::finding::{note, problem, unset, Finding};
use crate::doctor::served::{Place, State};
use crate::doctor::situation::Situation;

pub(crate) fn rules(situation: &Situation) -> Vec<Finding> {
    if !situation.named.is_empty() {
        // What is served is not looked at by anyone then.
        return Vec::new();
    }
    let mut found = Vec::new();
    found.extend(without(situation));
    // A pool that answers ends the search.
    let tried = situation.served.iter().take_while(|place| !matches!(place.state, State::Answers(_)));
    found.extend(tried.filter_map(unused));
    found
}

fn without(situation: &Situation) -> Option<Finding> {
    if situation.variables.iter().any(|variable| variable.jobs.is_some()) {
        // `jobs-without-jobserver` has said it.
        return None;
    }
    Some(match situation.under_make {
        true => note(
            "make-without-jobs",
            "a make has started this, and has no jobserver".to_string(),
            "it runs without -j, or with -j1: what it starts runs one job at a time, or as many as it likes",
            situation.run_line(),
        ),
        false => note(
            "no-jobserver",
            "this is not under a jobserver".to_string(),
            match situation.serving() {
                Some(place) => format!(
                    "a pool is served at {}, and `jobserver run` is the way into it: what is started without decides by \
                     itself how many jobs it runs",
                    place.directory.display()
                ),
                None => "each tool that is started here decides by itself how many jobs it runs".to_string(),
            },
            situation.run_line(),
        ),
    })
}

fn unused(place: &Place) -> Option<Finding> {
    let at = place.directory.display();
    let mend = |variable: &'static str| unset(&[variable]);
    Some(match (&place.state, place.variable) {
        (State::Absent, Some(variable @ "JOBSERVER_POOL")) => problem(
            "pool-not-served",
            format!("JOBSERVER_POOL leads to {at}, where no pool is served"),
            "`jobserver run` then looks elsewhere, and may make a pool of its own beside the one that was meant",
            mend(variable),
        ),
        (State::Dead, Some(variable)) => problem(
            "pool-not-served",
            format!("nobody answers at {at}, where {variable} leads"),
            "its server was killed, or has no room for another connection; `jobserver run` makes a pool of its own",
            format!("jobserver serve --dir {at} &"),
        ),
        (State::Dead, None) => problem(
            "pool-not-served",
            format!("nobody answers at {at}, the pool of this machine"),
            "its server was killed, or has no room for another connection; `jobserver run` makes a pool of its own",
            "sudo jobserver serve &".to_string(),
        ),
        (State::Strangers(owner), Some(variable)) => problem(
            "pool-of-another-user",
            format!("the pool at {at}, where {variable} leads, belongs to user {owner} and is not used"),
            "whoever serves a pool decides over the builds in it; after `sudo -E` or `su` the variable is another user's",
            mend(variable),
        ),
        (State::Strangers(owner), None) => problem(
            "pool-of-another-user",
            format!("the pool of this machine at {at} belongs to user {owner} and is not used"),
            "whoever serves a pool decides over the builds in it, and that must be root",
            "sudo jobserver serve &".to_string(),
        ),
        (State::Forbidden, variable) => note(
            "pool-forbidden",
            format!("the pool at {at} is not open to this user"),
            "where there is a group `jobserver`, the machine's pool is for its members",
            match variable {
                Some(variable) => mend(variable),
                None => "sudo usermod -aG jobserver \"$(id -un)\"".to_string(),
            },
        ),
        (State::Absent | State::Answers(_), _) => return None,
    })
}
