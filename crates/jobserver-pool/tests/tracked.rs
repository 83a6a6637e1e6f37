//! Tracked endpoints with real clients, under the simplest driver there is.
//!
//! Every test ends with the balance of the pool, and with nothing left in its directory.
#![cfg(target_os = "linux")]

#[path = "tracked/builds.rs"]
mod builds;
#[path = "tracked/driver.rs"]
mod driver;
#[path = "tracked/kills.rs"]
mod kills;
#[path = "tracked/measure.rs"]
mod measure;
#[path = "tracked/naps.rs"]
mod naps;
#[path = "tracked/odd.rs"]
mod odd;
#[path = "tracked/servers.rs"]
mod servers;
