//! The pool of job slots.

#[cfg(target_os = "linux")]
pub mod admission;
#[cfg(target_os = "linux")]
pub mod control;
#[cfg(target_os = "linux")]
pub mod endpoint;
#[cfg(target_os = "linux")]
pub mod engine;
#[cfg(target_os = "linux")]
mod failed;
#[cfg(target_os = "linux")]
pub mod fuse;
#[cfg(target_os = "linux")]
pub mod lease;
pub mod ledger;
#[cfg(target_os = "linux")]
pub mod loan;
#[cfg(target_os = "linux")]
pub mod moves;
#[cfg(target_os = "linux")]
pub mod process;
pub mod scheduler;
#[cfg(target_os = "linux")]
pub mod server;
#[cfg(target_os = "linux")]
mod sys;
