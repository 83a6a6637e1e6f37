//! Our `jobserver` beside upstream's 0.1.35, in one scenario each.
//!
//! - [`either`]: one trait for both crates, so that the very same code runs on either;
//! - [`actor`]: runs a scenario in a process of its own, which may hang, die or ruin its descriptors;
//! - [`pools`]: pools that belong to no crate, for both to join;
//! - [`wakeups`]: how many sleepers one token wakes.
//!
//! The scenarios are in `src/bin/actor/`, what each crate must answer is in `tests/`.

#![deny(unsafe_code)]

pub mod actor;
pub mod either;
pub mod pools;
#[allow(unsafe_code)]
pub mod sys;
pub mod wakeups;

/// Whether the long versions of the checks were asked for (`cargo xtask test --all` does).
pub fn long() -> bool {
    std::env::var_os("JOBSERVER_TEST_ALL").is_some_and(|value| value == "1")
}
