//! `jobserver each`, driven as a user drives it: alone, inside real makes, under `run`, and in served pools.
//!
//! How many items ran at once is counted from outside. Each test that has a pool ends with its balance: a served pool's by
//! its status, one of its own by an empty standard error, make's by make itself.

#![cfg(target_os = "linux")]
#![allow(missing_docs)]

mod ends;
mod items;
mod output;
#[allow(dead_code)]
#[path = "../run/sandbox.rs"]
mod sandbox;
#[allow(dead_code)]
#[path = "../run/served.rs"]
mod served;
mod slots;

use std::process::{Command, Stdio};

use crate::sandbox::{jobserver, Outcome, Sandbox};

/// `jobserver each ARGUMENTS...`.
fn each(sandbox: &Sandbox, arguments: &[&str]) -> Command {
    let mut command = sandbox.command(jobserver());
    command.arg("each").args(arguments);
    command
}

/// The same to its end, with this on standard input.
fn fed(sandbox: &Sandbox, arguments: &[&str], input: &[u8]) -> Outcome {
    let path = sandbox.path("input");
    std::fs::write(&path, input).unwrap();
    let mut command = each(sandbox, arguments);
    command.stdin(std::fs::File::open(path).unwrap()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().unwrap().wait_with_output().unwrap().into()
}
