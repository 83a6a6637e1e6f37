//! A pool seen and steered while real builds run in it: `status`, `top`, `set`, and `serve --metrics`.
//!
//! What they say is held against what runs, counted from outside; each test ends with a pool that has all its slots.

#![cfg(target_os = "linux")]
#![allow(missing_docs)]

mod build;
mod metrics;
#[allow(dead_code)]
#[path = "../run/sandbox.rs"]
mod sandbox;
#[allow(dead_code)]
#[path = "../run/served.rs"]
mod served;
mod set;
mod status;
mod top;
