//! `jobserver set`: another width for a pool, or for one build in it, while builds run.
//!
//! The answer is one line that says what is in force now, read back from the server: what is in use is never taken away,
//! so a smaller width may take a while.

use std::io::{self, Write};
use std::path::Path;

use jobserver_pool::control::{LeaseStatus, Set, Status};
use jobserver_pool::lease;

use crate::report::say;
use crate::status::{count, find, plain};
use crate::{cli, exit};

pub(crate) fn run(args: &cli::Set) -> u8 {
    if args.jobs.is_none() && args.cap.is_none() && args.weight.is_none() {
        say("nothing is to be changed: give --cap N or --weight W with --lease");
        return exit::OURS;
    }
    let Some(directory) = find(args.pool.as_deref(), "set") else { return exit::OURS };
    match change(args, &directory) {
        Ok(line) => {
            // It is done, whether or not anybody reads of it.
            let _ = writeln!(io::stdout(), "{line}");
            0
        }
        Err(error) => {
            say(error);
            exit::OURS
        }
    }
}

fn change(args: &cli::Set, directory: &Path) -> io::Result<String> {
    let status = lease::status(directory).map_err(|error| {
        io::Error::other(format!("{error}: `jobserver serve` serves a pool, --pool DIR names another one"))
    })?;
    let mut set = Set::default();
    if let Some(jobs) = args.jobs {
        let text = || format!("-j{jobs}: too many to be counted: give a smaller number");
        set.capacity = Some(u32::try_from(jobs).map_err(|_| io::Error::other(text()))?);
    }
    if let Some(name) = &args.lease {
        if !status.leases.iter().any(|lease| is_meant(lease, name)) {
            return Err(io::Error::other(unknown(name, &status)));
        }
        set.lease = Some(name.clone());
        set.cap = args.cap.map(|cap| cap.0.unwrap_or(0));
        set.weight = args.weight;
    }
    lease::set(directory, set)?;
    let status = lease::status(directory)?;
    let mut lines = Vec::new();
    if args.jobs.is_some() {
        lines.push(of_pool(&status));
    }
    if let Some(name) = &args.lease {
        lines.extend(status.leases.iter().filter(|lease| is_meant(lease, name)).map(of_lease));
    }
    Ok(lines.join("\n"))
}

fn is_meant(lease: &LeaseStatus, name: &str) -> bool {
    let pid = name.parse().ok();
    lease.name == name || (pid.is_some() && (pid == Some(lease.pid) || pid == lease.command_pid))
}

fn unknown(name: &str, status: &Status) -> String {
    let names: Vec<String> =
        status.leases.iter().map(|lease| format!("{} ({})", plain(&lease.name), lease.pid)).collect();
    match names.len() {
        0 => format!("no build is called `{}`: there is none in the pool", plain(name)),
        _ => format!("no build is called `{}`: there are {}", plain(name), names.join(", ")),
    }
}

fn of_pool(status: &Status) -> String {
    let slots = count(status.capacity.into(), "slot");
    let fewer = if status.in_force < status.capacity && status.owed == 0 {
        format!(", {} of them in force", status.in_force)
    } else {
        String::new()
    };
    if status.held <= status.capacity {
        return format!("{slots}{fewer}, {} in use", status.held);
    }
    let mut holders: Vec<&LeaseStatus> = status.leases.iter().filter(|lease| lease.held > 0).collect();
    holders.sort_by_key(|lease| std::cmp::Reverse(lease.held));
    let mut names: Vec<String> =
        holders.iter().take(3).map(|lease| format!("{} ({})", plain(&lease.name), lease.held)).collect();
    if holders.len() > 3 {
        names.push(format!("{} more", count(holders.len() as u64 - 3, "build")));
    }
    let by = if names.is_empty() { String::new() } else { format!(" by {}", names.join(", ")) };
    format!("{slots}; {} are still in use{by}: {} follow as they come back", status.held, status.held - status.capacity)
}

fn of_lease(lease: &LeaseStatus) -> String {
    let cap =
        lease.cap.map_or("no limit of its own".to_string(), |cap| format!("{} at most", count(cap.into(), "slot")));
    let late = match lease.held.saturating_sub(lease.cap.unwrap_or(u32::MAX)) {
        0 => String::new(),
        more => format!("; {more} too many follow as they come back"),
    };
    format!("{} ({}): {cap}, weight {}, {} in use{late}", plain(&lease.name), lease.pid, lease.weight, lease.held)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn status(capacity: u32, held: u32) -> Status {
        let lease = |name: &str, pid: u32, held: u32| {
            json!({"name": name, "pid": pid, "uid": 0, "command": "make", "since": 0.0, "floor": 1, "cap": 2, "weight": 3, "held": held, "offered": 0,
                "state": "running", "endpoints": []})
        };
        let pool = json!({"version": 1, "style": "tracked", "capacity": capacity, "in_force": capacity, "free": capacity.saturating_sub(held), "offered": 0,
            "held": held, "owed": held.saturating_sub(capacity), "recovered": 0, "strays": 0,
            "leases": [lease("web", 7, 1), lease("kernel\u{1b}", 8, held - 1)]});
        serde_json::from_value(pool).unwrap()
    }

    #[test]
    fn one_line_says_what_is_in_force() {
        assert_eq!(of_pool(&status(6, 4)), "6 slots, 4 in use");
        assert_eq!(of_pool(&status(1, 1)), "1 slot, 1 in use");
        assert_eq!(
            of_pool(&status(2, 6)),
            "2 slots; 6 are still in use by kernel\u{fffd} (5), web (1): 4 follow as they come back"
        );
        assert_eq!(of_lease(&status(6, 3).leases[1]), "kernel\u{fffd} (8): 2 slots at most, weight 3, 2 in use");
        assert_eq!(
            of_lease(&status(6, 6).leases[1]),
            "kernel\u{fffd} (8): 2 slots at most, weight 3, 5 in use; 3 too many follow as they come back"
        );
    }

    #[test]
    fn a_name_that_is_unknown_is_answered_by_those_there_are() {
        let status = status(6, 4);
        assert_eq!(unknown("wbe", &status), "no build is called `wbe`: there are web (7), kernel\u{fffd} (8)");
        assert!(
            is_meant(&status.leases[0], "web") && is_meant(&status.leases[0], "7") && !is_meant(&status.leases[0], "8")
        );
    }
}
