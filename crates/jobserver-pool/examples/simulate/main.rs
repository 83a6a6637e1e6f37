//! A deterministic simulation of the pool: `cargo xtask simulate`.
//!
//! Clients as they are, in virtual time, under the very scheduler that the server runs, through the same interface.
//! Ends with status 1 when a target is missed. `simulate small` and `simulate crowd` run one half.

mod clients;
mod crowd;
mod scenarios;
mod world;

use std::process::ExitCode;

fn main() -> ExitCode {
    let which = std::env::args().nth(1).unwrap_or_default();
    let mut good = true;
    if which != "crowd" {
        good &= scenarios::run();
    }
    if which != "small" {
        good &= crowd::run();
    }
    if good {
        ExitCode::SUCCESS
    } else {
        eprintln!("error: a target was missed");
        ExitCode::FAILURE
    }
}
