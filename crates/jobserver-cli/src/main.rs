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
#[cfg(unix)]
mod doctor;
#[cfg(unix)]
mod each;
#[cfg(unix)]
mod exec;
mod face;
#[cfg(target_os = "linux")]
mod leased;
#[cfg(all(unix, not(target_os = "linux")))]
#[path = "leased_elsewhere.rs"]
mod leased;
#[cfg(target_os = "linux")]
mod metrics;
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
#[cfg(target_os = "linux")]
mod set;
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
#[cfg(target_os = "linux")]
mod top;
#[cfg(unix)]
mod words;

#[cfg(not(unix))]
#[path = "elsewhere.rs"]
mod run;

use std::process::ExitCode;

fn main() -> ExitCode {
    let status = match cli::parse() {
        Ok(cli) => match cli.action {
            cli::Action::Run(args) => run::run(&args),
            cli::Action::Completions { shell } => face::completions(shell),
            cli::Action::Man { directory } => face::manual(directory.as_deref()),
            #[cfg(unix)]
            cli::Action::Exec(args) => exec::run(&args),
            #[cfg(unix)]
            cli::Action::Each(args) => each::run(&args),
            #[cfg(unix)]
            cli::Action::Doctor(args) => doctor::run(&args),
            #[cfg(target_os = "linux")]
            cli::Action::Serve(args) => serve::run(&args),
            #[cfg(target_os = "linux")]
            cli::Action::Status(args) => status::run(&args),
            #[cfg(target_os = "linux")]
            cli::Action::Top(args) => top::run(&args),
            #[cfg(target_os = "linux")]
            cli::Action::Set(args) => set::run(&args),
            #[cfg(not(target_os = "linux"))]
            cli::Action::Serve(_) | cli::Action::Status(_) | cli::Action::Top(_) | cli::Action::Set(_) => {
                report::say("pools are served on Linux only so far: `jobserver run` makes one for its command");
                exit::OURS
            }
            #[cfg(not(unix))]
            cli::Action::Exec(_) | cli::Action::Each(_) | cli::Action::Doctor(_) => {
                report::say("this command is there on Unix only so far");
                exit::OURS
            }
        },
        Err(answer) => report::usage(&answer),
    };
    ExitCode::from(status)
}
