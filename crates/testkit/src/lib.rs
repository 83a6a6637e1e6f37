//! What the tests of this workspace share.
//!
//! - [`chance`]: numbers by chance, the same in every run;
//! - [`clients`]: the real makes and ninjas, or a panic that says how to get them;
//! - [`process`]: children that must not hang a test;
//! - [`spans`]: how many jobs ran at once, counted from outside by a wrapper that records each job;
//! - [`procfs`]: what another process can be seen doing: flags of its descriptors, context switches.
//!
//! It knows nothing of the `jobserver` crate, so that tests against upstream can use it as well.

pub mod chance;
pub mod clients;
pub mod process;
pub mod procfs;
pub mod spans;
