//! `cargo xtask check-targets`: the library type-checked for platforms that are not at hand.
//!
//! A toolchain by rustup has no standard library for them without a download for each. Debian's `rustc-web` comes with
//! the sources of the standard library, so cargo checks both together and nothing has to be linked. A warning in the
//! library is an error.

use anyhow::{ensure, Result};
use xshell::cmd;

use crate::context::Context;
use crate::root;

/// 32-bit Android stands for all systems whose C types have unusual sizes.
const TARGETS: [&str; 5] = [
    "x86_64-pc-windows-gnu",
    "wasm32-unknown-unknown",
    "aarch64-apple-darwin",
    "x86_64-unknown-freebsd",
    "i686-linux-android",
];

const PACKAGES: [&str; 3] = ["rustc-web", "cargo-web", "rust-web-src"];

/// Checks each target, and prints which.
pub(crate) fn run(context: &Context) -> Result<()> {
    let missing: Vec<&str> = PACKAGES.into_iter().filter(|package| !root::is_installed(context, package)).collect();
    if !missing.is_empty() {
        root::install(context, &missing, "type-checking for other platforms")?;
    }
    let version = cmd!(context.sh, "/usr/bin/rustc --version").read()?;
    let target_dir = context.scratch("targets")?;
    let mut wrong = Vec::new();
    for target in TARGETS {
        // `cargo rustc` gives `-D warnings` to the library alone: the standard library has warnings of its own.
        let check = context
            .bounded(10, "/usr/bin/cargo")
            .args(["rustc", "--quiet", "--lib", "--profile=check", "-Zbuild-std=std,panic_abort", "--target", target])
            .arg("--manifest-path")
            .arg(context.library.join("Cargo.toml"))
            .args(["--", "-D", "warnings"])
            .env("PATH", "/usr/bin:/bin")
            .env("RUSTC", "/usr/bin/rustc")
            .env("RUSTC_BOOTSTRAP", "1")
            .env("CARGO_TARGET_DIR", &target_dir);
        // The command has printed why.
        let checked = check.run().is_ok();
        println!("{target}: {}", if checked { "checked" } else { "FAILED" });
        if !checked {
            wrong.push(target);
        }
    }
    ensure!(wrong.is_empty(), "the library does not compile for {}", wrong.join(", "));
    println!("checked with {version}: {}", TARGETS.join(", "));
    Ok(())
}
