//! `jobserver status`: who holds the slots of a pool.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use jobserver_pool::control::{LeaseStatus, Status};
use jobserver_pool::lease;

use crate::report::say;
use crate::{cli, exit, serving};

pub(crate) fn run(args: &cli::Status) -> u8 {
    let Some(directory) = args.pool.clone().or_else(serving::find) else {
        say("no pool is served for this user: `jobserver serve` starts one, --pool DIR names one");
        return exit::OURS;
    };
    match lease::status(&directory) {
        Ok(status) => print(&status, &directory, args.json),
        Err(error) => {
            say(error);
            exit::OURS
        }
    }
}

fn print(status: &Status, directory: &Path, json: bool) -> u8 {
    let text = match json {
        true => serde_json::to_string(status).map(|text| text + "\n"),
        false => Ok(for_people(status, directory)),
    };
    match text.map(|text| std::io::stdout().write_all(text.as_bytes())) {
        Ok(Ok(())) => 0,
        Ok(Err(error)) => {
            say(format_args!("the status can't be written: {error}"));
            exit::OURS
        }
        Err(error) => {
            say(format_args!("the status can't be put in words: {error}"));
            exit::OURS
        }
    }
}

fn for_people(status: &Status, directory: &Path) -> String {
    let mut text = String::new();
    let promise = match status.style.as_str() {
        "tracked" => "a process that is killed gives back what it held",
        _ => "tokens that are lost come back when their build ends",
    };
    let _ = writeln!(
        text,
        "{}: {} slots, {} in use, {} free",
        directory.display(),
        status.capacity,
        status.held,
        status.free + status.offered
    );
    let _ = writeln!(text, "{}: {promise}; {} came back so, {} strays", status.style, status.recovered, status.strays);
    for lease in &status.leases {
        let _ = writeln!(text, "\n{}", of_lease(lease));
        if let Some(why) = &lease.sharing {
            let _ = writeln!(text, "  some processes share one endpoint: {why}");
        }
        for endpoint in lease.endpoints.iter().filter(|endpoint| endpoint.held > 0) {
            let pid = endpoint.pid.map_or("?".to_string(), |pid| pid.to_string());
            let command = plain(endpoint.command.as_deref().unwrap_or("?"));
            let _ = writeln!(text, "  {:>3}  {command} (pid {pid}), here for {}", endpoint.held, ago(endpoint.since));
        }
    }
    text
}

fn of_lease(lease: &LeaseStatus) -> String {
    let cap = lease.cap.map_or(String::new(), |cap| format!(" of {cap}"));
    let state = match lease.state.as_str() {
        "running" => String::new(),
        other => format!(", {other}"),
    };
    format!(
        "{:>3}{cap}  {} (pid {}, user {}){state}, for {}: {}",
        lease.held,
        plain(&lease.name),
        lease.pid,
        lease.uid,
        ago(lease.since),
        plain(&lease.command)
    )
}

/// Other users chose it: nothing in it may steer the terminal of whoever looks.
fn plain(text: &str) -> String {
    text.chars().map(|letter| if letter.is_control() { '\u{fffd}' } else { letter }).collect()
}

fn ago(since: f64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |now| now.as_secs_f64());
    let seconds = (now - since).max(0.0) as u64;
    match seconds {
        0..=119 => format!("{seconds} s"),
        120..=7199 => format!("{} min", seconds / 60),
        _ => format!("{} h", seconds / 3600),
    }
}
