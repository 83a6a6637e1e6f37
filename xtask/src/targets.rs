//! `cargo xtask check-targets`: the library type-checked for platforms that are not at hand, with all that it offers named.
//!
//! A toolchain by rustup has no standard library for them without a download for each. Debian's `rustc-web` comes with
//! the sources of the standard library, so cargo checks both together and nothing has to be linked. A warning in what
//! is ours is an error.

use std::path::PathBuf;

use anyhow::{ensure, Result};
use xshell::cmd;

use crate::context::{write, Context};
use crate::root;

/// 32-bit Android stands for all systems whose C types have unusual sizes.
const TARGETS: [&str; 10] = [
    "aarch64-apple-darwin",
    "x86_64-unknown-freebsd",
    "x86_64-unknown-linux-musl",
    "i686-unknown-linux-gnu",
    "i686-linux-android",
    "x86_64-pc-windows-gnu",
    "x86_64-pc-windows-msvc",
    "aarch64-pc-windows-msvc",
    "wasm32-unknown-unknown",
    "wasm32-wasip1",
];

const PACKAGES: [&str; 3] = ["rustc-web", "cargo-web", "rust-web-src"];

/// Checks each target, and prints which.
pub(crate) fn run(context: &Context) -> Result<()> {
    let missing: Vec<&str> = PACKAGES.into_iter().filter(|package| !root::is_installed(context, package)).collect();
    if !missing.is_empty() {
        root::install(context, &missing, "type-checking for other platforms")?;
    }
    let version = cmd!(context.sh, "/usr/bin/rustc --version").read()?;
    let everywhere = everywhere(context)?;
    let mut wrong = Vec::new();
    for target in TARGETS {
        let mut checked = check(context, target, context.library.join("Cargo.toml"), &["--lib"])?;
        checked &= check(context, target, everywhere.join("Cargo.toml"), &["--lib"])?;
        println!("{target}: {}", if checked { "checked" } else { "FAILED" });
        if !checked {
            wrong.push(target);
        }
    }
    ensure!(wrong.is_empty(), "it does not compile for {}", wrong.join(", "));
    println!("checked with {version}");
    Ok(())
}

/// A package that names all that the library offers.
fn everywhere(context: &Context) -> Result<PathBuf> {
    let package = context.scratch("targets/everywhere")?;
    write(&package.join("Cargo.toml"), dependent("everywhere", context))?;
    write(&package.join("src/lib.rs"), include_str!("targets/everywhere.rs"))?;
    Ok(package)
}

/// The manifest of a package that depends on the library.
fn dependent(name: &str, context: &Context) -> String {
    format!(
        "[package]\nname = \"{name}\"\nversion = \"0.0.0\"\nedition = \"2021\"\n\n[workspace]\n\n\
         [dependencies]\njobserver = {{ path = {:?} }}\n",
        context.library
    )
}

/// Whether it compiles; if not, the compiler has printed why.
fn check(context: &Context, target: &str, manifest: PathBuf, what: &[&str]) -> Result<bool> {
    let target_dir = context.scratch("targets")?;
    // `cargo rustc` gives `-D warnings` to ours alone: the standard library has warnings of its own.
    let check = context.bounded(10, "/usr/bin/cargo").args(["rustc", "--quiet", "--profile=check"]).args(what);
    let check = check.args(["-Zbuild-std=std,panic_abort", "--target", target]).arg("--manifest-path").arg(manifest);
    let check = check
        .args(["--", "-D", "warnings"])
        .env("PATH", "/usr/bin:/bin")
        .env("RUSTC", "/usr/bin/rustc")
        .env("RUSTC_BOOTSTRAP", "1")
        .env("CARGO_TARGET_DIR", target_dir);
    Ok(check.run().is_ok())
}
