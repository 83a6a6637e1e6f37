//! `jobserver`: puts any build under one pool of job slots.
//!
//! Arguments are read in `cli`, `run` tells the story of one run, and whatever is written goes through `report`, so
//! that every line has one form. Nothing here ends the process by itself: the status is returned from `main`, after
//! all that was made has been removed again.

#![deny(unsafe_code)]
// Where `run` isn't written yet, what it alone uses stands idle.
#![cfg_attr(not(any(unix, windows)), allow(dead_code))]

mod cli;
mod exit;
mod report;

#[cfg(unix)]
mod bond;
#[cfg(any(unix, windows))]
mod command_line;
#[cfg(unix)]
mod doctor;
#[cfg(any(unix, windows))]
mod each;
#[cfg(any(unix, windows))]
mod exec;
mod face;
#[cfg(target_os = "linux")]
mod leased;
#[cfg(all(any(unix, windows), not(target_os = "linux")))]
#[path = "leased_elsewhere.rs"]
mod leased;
#[cfg(any(unix, windows))]
mod make_version;
#[cfg(any(unix, windows))]
mod memory;
#[cfg(target_os = "linux")]
mod metrics;
#[cfg(any(unix, windows))]
mod nested;
#[cfg(any(unix, windows))]
mod plan;
#[cfg(any(unix, windows))]
mod pool;
#[cfg(any(unix, windows))]
mod run;
#[cfg(target_os = "linux")]
mod serve;
#[cfg(unix)]
mod serving;
#[cfg(target_os = "linux")]
mod set;
#[cfg(unix)]
mod shim;
#[cfg(unix)]
mod signals;
#[cfg(unix)]
mod spawn;
#[cfg(target_os = "linux")]
mod status;
#[cfg(any(unix, windows))]
mod style;
#[cfg(unix)]
#[allow(unsafe_code)]
mod sys;
#[cfg(target_os = "linux")]
mod timeline;
#[cfg(all(any(unix, windows), not(target_os = "linux")))]
#[path = "timeline_elsewhere.rs"]
mod timeline;
#[cfg(target_os = "linux")]
mod top;
#[cfg(windows)]
mod windows;
#[cfg(any(unix, windows))]
mod words;

#[cfg(not(any(unix, windows)))]
#[path = "elsewhere.rs"]
mod run;
#[cfg(windows)]
use windows::{bond, doctor, serving, shim, signals, spawn};

use std::process::ExitCode;

fn main() -> ExitCode {
    #[cfg(unix)]
    let other = shim::act();
    #[cfg(target_os = "linux")]
    let other = other.or_else(exec::collector::act);
    #[cfg(unix)]
    if let Some(status) = other {
        return exit::with(status);
    }
    let status = match cli::parse() {
        Ok(cli) => match cli.action {
            cli::Action::Run(args) => run::run(&args),
            cli::Action::Completions { shell } => face::completions(shell),
            cli::Action::Man { directory } => face::manual(directory.as_deref()),
            #[cfg(any(unix, windows))]
            cli::Action::Exec(args) => exec::run(&args),
            #[cfg(any(unix, windows))]
            cli::Action::Each(args) => each::run(&args),
            #[cfg(any(unix, windows))]
            cli::Action::Doctor(args) => doctor::run(&args),
            #[cfg(target_os = "linux")]
            cli::Action::Serve(args) => serve::run(&args),
            #[cfg(target_os = "linux")]
            cli::Action::Status(args) => status::run(&args),
            #[cfg(target_os = "linux")]
            cli::Action::Top(args) => top::run(&args),
            #[cfg(target_os = "linux")]
            cli::Action::Set(args) => set::run(&args),
            #[cfg(windows)]
            cli::Action::Serve(_) | cli::Action::Status(_) | cli::Action::Top(_) | cli::Action::Set(_) => {
                report::say(
                    "no pool can be served on Windows: a semaphore never tells who took from it, so there is nobody to \
                     show, to limit, or to take tokens back from: `jobserver run` makes a pool for its command",
                );
                exit::OURS
            }
            #[cfg(not(any(target_os = "linux", windows)))]
            cli::Action::Serve(_) | cli::Action::Status(_) | cli::Action::Top(_) | cli::Action::Set(_) => {
                report::say("a served pool needs Linux (FUSE, inotify, pidfds): `jobserver run` makes one of its own");
                exit::OURS
            }
            #[cfg(not(any(unix, windows)))]
            cli::Action::Exec(_) | cli::Action::Each(_) | cli::Action::Doctor(_) => {
                report::say("this command is there on Unix only so far");
                exit::OURS
            }
        },
        Err(answer) => report::usage(&answer),
    };
    exit::with(status)
}
