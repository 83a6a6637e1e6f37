//! `cargo xtask simulate`: the pool's scheduler under thousands of simulated clients, in virtual time.
//!
//! Fails when a target of fairness or of cost is missed; prints the tables that show why each number of the policy is
//! what it is.

use anyhow::Result;

use crate::context::Context;

/// Runs both halves: a few builds on six slots, and a thousand leases.
pub(crate) fn run(context: &Context) -> Result<()> {
    context.cargo(15, &["run", "--quiet", "--release", "-p", "jobserver-pool", "--example", "simulate"]).run()?;
    Ok(())
}
