//! `jobserver run`, driven as a user drives it: real commands, real makes, statuses and lines as they come out.
//!
//! Each test runs in a folder of its own that is also TMPDIR, and [`Sandbox::run`] checks after each run that nothing
//! is left there. A run that lost no token and got no stray says nothing, so an empty standard error is the balance.

#![cfg(unix)]
#![allow(missing_docs)]

mod environment;
mod explicit;
#[cfg(target_os = "linux")]
mod fake_server;
mod fallback;
#[cfg(target_os = "linux")]
mod fuse;
mod nested;
#[cfg(target_os = "linux")]
mod pool;
#[cfg(target_os = "linux")]
mod pressure;
mod report;
#[cfg(target_os = "linux")]
mod restart;
mod sandbox;
#[cfg(target_os = "linux")]
mod served;
#[cfg(target_os = "linux")]
mod service;
#[cfg(target_os = "linux")]
mod shim;
#[cfg(target_os = "linux")]
mod shim_calls;
#[cfg(target_os = "linux")]
mod shim_mixed;
mod signals;
mod slots;
#[cfg(target_os = "linux")]
mod speaker;
#[cfg(target_os = "linux")]
mod starts;
mod status;
#[cfg(target_os = "linux")]
mod surroundings;
#[cfg(target_os = "linux")]
mod timeline;
#[cfg(target_os = "linux")]
mod users;
