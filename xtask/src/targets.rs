//! `cargo xtask check-targets`: the library, and the command where it exists, type-checked for platforms that are not at
//! hand.
//!
//! A toolchain by rustup has no standard library for them without a download for each. Debian's `rustc-web` comes with
//! the sources of the standard library, so cargo checks both together and nothing has to be linked. A warning in what
//! is ours is an error.

use std::path::PathBuf;

use anyhow::{ensure, Result};
use xshell::cmd;

use crate::context::{write, Context};
use crate::root;

/// Which of our packages there is something to check of.
#[derive(Clone, Copy, PartialEq)]
enum Ours {
    Library,
    /// The command, and what it uses of the pool.
    Command,
}

/// 32-bit Android stands for all systems whose C types have unusual sizes.
const TARGETS: [(&str, Ours); 10] = [
    ("aarch64-apple-darwin", Ours::Command),
    ("x86_64-unknown-freebsd", Ours::Command),
    ("x86_64-unknown-linux-musl", Ours::Command),
    ("i686-unknown-linux-gnu", Ours::Command),
    ("i686-linux-android", Ours::Library),
    ("x86_64-pc-windows-gnu", Ours::Library),
    ("x86_64-pc-windows-msvc", Ours::Library),
    ("aarch64-pc-windows-msvc", Ours::Library),
    ("wasm32-unknown-unknown", Ours::Library),
    ("wasm32-wasip1", Ours::Library),
];

const PACKAGES: [&str; 3] = ["rustc-web", "cargo-web", "rust-web-src"];

/// Checks each target, runs what can be run, and prints which.
pub(crate) fn run(context: &Context) -> Result<()> {
    let missing: Vec<&str> = PACKAGES.into_iter().filter(|package| !root::is_installed(context, package)).collect();
    if !missing.is_empty() {
        root::install(context, &missing, "type-checking for other platforms")?;
    }
    let version = cmd!(context.sh, "/usr/bin/rustc --version").read()?;
    let everywhere = everywhere(context)?;
    let mut wrong = Vec::new();
    for (target, ours) in TARGETS {
        let mut checked = check(context, target, context.library.join("Cargo.toml"), &["--lib"])?;
        checked &= check(context, target, everywhere.join("Cargo.toml"), &["--lib"])?;
        if ours == Ours::Command {
            let manifest = context.root.join("crates/jobserver-cli/Cargo.toml");
            checked &= check(context, target, manifest, &["--bin", "jobserver"])?;
        }
        let what = if ours == Ours::Command { "the library and the command" } else { "the library" };
        println!("{target}: {what} {}", if checked { "checked" } else { "FAILED" });
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
