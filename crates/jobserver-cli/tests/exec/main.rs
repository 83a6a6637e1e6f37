//! `jobserver exec`, driven as a user drives it: inside real makes, in served pools, and where there is none.
//!
//! Each test that has a pool ends with its balance: a served pool's by its status, make's by make itself, which says
//! "INTERNAL: Exiting with N jobserver tokens available; should be M!" when it is not as it was.

#![cfg(target_os = "linux")]
#![allow(missing_docs)]

mod inherited;
mod lent;
#[allow(dead_code)]
#[path = "../run/sandbox.rs"]
mod sandbox;
mod served_pool;
mod stated;

#[allow(dead_code)]
#[path = "../run/served.rs"]
mod served;

use std::process::Command;

use crate::sandbox::{jobserver, Sandbox};

/// `jobserver exec ARGUMENTS...`.
fn exec(sandbox: &Sandbox, arguments: &[&str]) -> Command {
    let mut command = sandbox.command(jobserver());
    command.arg("exec").args(arguments);
    command
}
