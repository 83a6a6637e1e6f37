//! `jobserver doctor`, in traps set by real tools: each is told by its code, and its remedy is pasted into a shell, after
//! which doctor has nothing to object to.
//!
//! What stands under `jobserver run` ends with the balance of its pool: a run that lost no token says nothing.

#![cfg(target_os = "linux")]
#![allow(missing_docs)]

#[path = "../run/sandbox.rs"]
#[allow(dead_code)]
mod sandbox;
#[path = "../run/served.rs"]
#[allow(dead_code)]
mod served;

mod channels;
mod healthy;
mod machine;
mod paths;
mod pools;
mod seen;
mod tools;
mod variables;
