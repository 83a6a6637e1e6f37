//! `cargo xtask mixed`: the first command of the README, with the maximum that it prints checked.

use anyhow::{ensure, Result};

use crate::context::Context;

/// Builds the example in a pool of four slots; its report fails above four jobs at once, and the command's own line
/// about tokens, lost or stray, must not appear.
pub(crate) fn run(context: &Context) -> Result<()> {
    let build = ["run", "--release", "--", "run", "-j4", "--", "make", "-C", "examples/mixed", "MIXED_AT_MOST=4"];
    let output = context.cargo(15, &build).ignore_status().output()?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let warned = String::from_utf8_lossy(&output.stderr).into_owned();
    let report = said.lines().find(|line| line.contains(" at once"));
    ensure!(output.status.success(), "{}\n{said}\n{warned}", output.status);
    ensure!(!warned.lines().any(|line| line.starts_with("jobserver:")), "{warned}");
    println!("{}", report.unwrap_or("no report"));
    ensure!(report.is_some(), "{said}");
    Ok(())
}
