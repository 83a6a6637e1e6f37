//! `jobserver`: puts any build under one pool of job slots.
//!
//! Arguments are read in `cli`, `run` tells the story of one run, and whatever is written goes through `report`, so
//! that every line has one form. Nothing here ends the process by itself: the status is returned from `main`, after
//! all that was made has been removed again.

#![deny(unsafe_code)]
// Where `run` isn't written yet, what it alone uses stands idle.
#![cfg_attr(not(unix), allow(dead_code))]

mod cli;
mod exit;
mod report;

#[cfg(unix)]
mod command_line;
#[cfg(target_os = "linux")]
mod leased;
#[cfg(all(unix, not(target_os = "linux")))]
#[path = "leased_elsewhere.rs"]
mod leased;
#[cfg(unix)]
mod nested;
#[cfg(unix)]
mod plan;
#[cfg(unix)]
mod pool;
#[cfg(unix)]
mod run;
#[cfg(target_os = "linux")]
mod serve;
#[cfg(unix)]
mod serving;
#[cfg(unix)]
mod signals;
#[cfg(unix)]
mod spawn;
#[cfg(target_os = "linux")]
mod status;
#[cfg(unix)]
mod style;
#[cfg(unix)]
#[allow(unsafe_code)]
mod sys;
#[cfg(unix)]
mod words;

#[cfg(not(unix))]
#[path = "elsewhere.rs"]
mod run;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    let status = match cli::Cli::try_parse() {
        Ok(cli) => match cli.action {
            cli::Action::Run(args) => run::run(&args),
            #[cfg(target_os = "linux")]
            cli::Action::Serve(args) => serve::run(&args),
            #[cfg(target_os = "linux")]
            cli::Action::Status(args) => status::run(&args),
            #[cfg(not(target_os = "linux"))]
            cli::Action::Serve(_) | cli::Action::Status(_) => {
                report::say("pools are served on Linux only so far: `jobserver run` makes one for its command");
                exit::OURS
            }
        },
        Err(answer) => report::usage(&answer),
    };
    ExitCode::from(status)
}
