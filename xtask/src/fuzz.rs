//! `cargo xtask fuzz`: the parsers under cargo-fuzz, a minute each.
//!
//! Needs a nightly toolchain, as the sanitizers do; cargo-fuzz itself is installed into the target folder.

use anyhow::{bail, Result};
use xshell::cmd;

use crate::context::Context;

const TARGETS: [&str; 2] = ["makeflags", "auth"];

/// Runs every target; an input that fails is a file in fuzz/artifacts.
pub(crate) fn run(context: &Context) -> Result<()> {
    if cmd!(context.sh, "cargo +nightly --version").quiet().ignore_stdout().ignore_stderr().run().is_err() {
        bail!("fuzzing needs a nightly toolchain: rustup toolchain install nightly");
    }
    let tools = context.scratch("tools")?;
    let fuzz = tools.join("bin/cargo-fuzz");
    if !fuzz.exists() {
        context.cargo(15, &["install", "--quiet", "--locked", "cargo-fuzz", "--root"]).arg(&tools).run()?;
    }
    let target_dir = context.scratch("fuzz")?;
    for target in TARGETS {
        let program = fuzz.to_string_lossy();
        let command = context.bounded(15, &program).args(["fuzz", "run", target, "--target-dir"]).arg(&target_dir);
        let options = ["--", "-max_total_time=60", "-verbosity=0", "-print_final_stats=1"];
        command.args(options).env("RUSTUP_TOOLCHAIN", "nightly").run()?;
    }
    Ok(())
}
