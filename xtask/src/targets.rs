//! `cargo xtask check-targets`: the library, the pool and the command for platforms that are not at hand.
//!
//! All of them are type-checked, with a program that names all that the library offers. A warning in what is ours is an
//! error. What can be linked and run here as well, is: a static C library and a 32-bit one by this machine's kernel, and
//! WebAssembly by wasmtime. The last lines say which is which.

use std::path::{Path, PathBuf};

use anyhow::{ensure, Result};

use self::toolchain::Toolchain;
use crate::context::{write, Context};

mod toolchain;

struct Target {
    name: &'static str,
    /// Whether there is a command for it, and its pool.
    command: bool,
    tests: Tests,
}

enum Tests {
    /// Its programs can't be linked or run here.
    None,
    /// Likewise, and those of the library, the pool and the command are type-checked, without a warning.
    Checked,
    /// The program that uses all that needs no other process.
    Works,
    /// Those of the library, the pool and the command.
    All,
}

/// 32-bit Android stands for all systems whose C types have unusual sizes.
const TARGETS: [Target; 10] = [
    Target { name: "aarch64-apple-darwin", command: true, tests: Tests::Checked },
    Target { name: "x86_64-unknown-freebsd", command: true, tests: Tests::Checked },
    Target { name: "x86_64-unknown-linux-musl", command: true, tests: Tests::All },
    Target { name: "i686-unknown-linux-gnu", command: true, tests: Tests::All },
    Target { name: "i686-linux-android", command: false, tests: Tests::None },
    Target { name: "x86_64-pc-windows-gnu", command: true, tests: Tests::None },
    Target { name: "x86_64-pc-windows-msvc", command: true, tests: Tests::None },
    Target { name: "aarch64-pc-windows-msvc", command: true, tests: Tests::None },
    Target { name: "wasm32-unknown-unknown", command: false, tests: Tests::None },
    Target { name: "wasm32-wasip1", command: false, tests: Tests::Works },
];

/// The packages whose tests are checked or run.
const TESTED: [&str; 6] = ["-p", "jobserver", "-p", "jobserver-pool", "-p", "jobserver-cli"];

#[derive(Default, clap::Args)]
pub(crate) struct Options {
    /// Only these, and not all.
    #[arg(value_name = "TARGET")]
    only: Vec<String>,
    /// Type-check, and run nothing.
    #[arg(long)]
    no_tests: bool,
}

/// Checks each target, and says what was seen of each.
pub(crate) fn run(context: &Context, options: &Options) -> Result<()> {
    for name in &options.only {
        ensure!(TARGETS.iter().any(|target| target.name == name), "{name} is none of the targets that are checked");
    }
    let chosen = |target: &&Target| options.only.is_empty() || options.only.iter().any(|name| name == target.name);
    let toolchain = Toolchain::set_up(context)?;
    let everywhere = everywhere(context)?;
    let mut said = Vec::new();
    let mut wrong = Vec::new();
    for target in TARGETS.iter().filter(chosen) {
        let outcome = check(context, &toolchain, target, &everywhere).and_then(|checked| {
            let run = if options.no_tests { None } else { tests(context, &toolchain, target, &everywhere)? };
            Ok(format!("{checked} type-checked; {}", run.map_or("nothing run".to_string(), |run| format!("{run} run"))))
        });
        if let Err(error) = &outcome {
            println!("{}: {error:#}", target.name);
            wrong.push(target.name);
        }
        said.push(format!("{:26} {}", target.name, outcome.unwrap_or_else(|_| "FAILED".to_string())));
    }
    println!("\n{}\nwith {}", said.join("\n"), toolchain.version);
    ensure!(wrong.is_empty(), "it does not compile or work for {}", wrong.join(", "));
    Ok(())
}

/// What there is for this target; an error if something does not compile.
fn check(context: &Context, toolchain: &Toolchain, target: &Target, everywhere: &Path) -> Result<&'static str> {
    let (pool, command) = (context.root.join("crates/jobserver-pool"), context.root.join("crates/jobserver-cli"));
    let mut parts: Vec<(&Path, &[&str])> =
        vec![(&context.library, &["--lib"]), (everywhere, &["--lib"]), (everywhere, &["--bin", "works"])];
    if target.command {
        parts.extend([(pool.as_path(), &["--lib"][..]), (command.as_path(), &["--bin", "jobserver"])]);
    }
    for (package, what) in parts {
        // `cargo rustc` gives `-D warnings` to ours alone: the standard library has warnings of its own.
        let check = toolchain.cargo(10, "rustc", target.name, &package.join("Cargo.toml"));
        check.arg("--profile=check").args(what).args(["--", "-D", "warnings"]).run()?;
    }
    if let Tests::Checked = target.tests {
        let check = toolchain.cargo(15, "check", target.name, &context.root.join("Cargo.toml"));
        let said = check.arg("--all-targets").args(TESTED).read_stderr()?;
        // Clippy is for macOS what it is for Linux.
        ensure!(!said.lines().any(|line| line.starts_with("warning")), "{said}");
        return Ok("library, pool, command and their tests");
    }
    Ok(if target.command { "library, pool and command" } else { "library" })
}

/// What was run, if anything can be.
fn tests(context: &Context, toolchain: &Toolchain, target: &Target, everywhere: &Path) -> Result<Option<&'static str>> {
    if let Tests::None | Tests::Checked = target.tests {
        return Ok(None);
    }
    let linking = toolchain.linking(target.name)?;
    let works = toolchain.cargo(10, "run", target.name, &everywhere.join("Cargo.toml"));
    works.args(["--bin", "works"]).envs(linking.clone()).run()?;
    if let Tests::Works = target.tests {
        return Ok(Some("a program that uses the library"));
    }
    // Some tests run them, and `--tests` builds none.
    let examples = toolchain.cargo(15, "build", target.name, &context.root.join("Cargo.toml"));
    examples.args(["--examples", "-p", "jobserver"]).envs(linking.clone()).run()?;
    let tests = toolchain.cargo(45, "test", target.name, &context.root.join("Cargo.toml"));
    tests.args(["--tests", "--no-fail-fast"]).args(TESTED).envs(linking).run()?;
    Ok(Some("the tests of all three"))
}

/// A package that names all that the library offers, and a program that uses some of it.
fn everywhere(context: &Context) -> Result<PathBuf> {
    let package = context.scratch("targets/everywhere")?;
    write(&package.join("Cargo.toml"), dependent("everywhere", context))?;
    write(&package.join("src/lib.rs"), include_str!("targets/everywhere.rs"))?;
    write(&package.join("src/bin/works.rs"), include_str!("targets/works.rs"))?;
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
