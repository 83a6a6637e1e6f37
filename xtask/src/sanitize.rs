//! `cargo xtask sanitize`: the stress tests under ThreadSanitizer, which sees each access to memory that two threads
//! make without an order between them.
//!
//! The standard library has to be built with it too, else each of its locks and channels looks like a race. The
//! toolchains of rustup come without its sources; Debian's `rustc-web` has them, but not the sanitizer's runtime, which
//! is clang's. Both are of one LLVM. The runtime stands before everything else that is linked: its functions are to be
//! found before those of libc.
//!
//! Tests start themselves as other processes, and kill some. So reports go to files, one a process, and any file is a
//! failure, whatever became of its process.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{ensure, Context as _, Result};
use xshell::cmd;

use crate::context::{write, Context};
use crate::root;

const PACKAGES: [&str; 4] = ["rustc-web", "cargo-web", "rust-web-src", "libclang-rt-22-dev"];

const RUNTIME: &str = "/usr/lib/llvm-22/lib/clang/22/lib/linux/libclang_rt.tsan-x86_64.a";

const TARGET: &str = "x86_64-unknown-linux-gnu";

/// Those that have many threads at work; what loom models is not among them.
const TESTS: [&str; 7] =
    ["slots", "slots_terminate", "ending_waits", "futures", "waiting", "terminate", "terminate_wakes"];

/// Those that ask what happens inside a signal handler. ThreadSanitizer puts a handler of its own before each, which
/// blocks all signals and calls the real one later, at the next call that waits: a signal that is raised in a handler
/// comes after it, and one that is raised before `exec` never.
/// Of several that come at once, each is handled at another thread's next wait, and on a busy machine a process lived on
/// for more than a minute.
const NOT_UNDER_IT: [&str; 3] = [
    "two_different_signals_at_once_cost_no_token",
    "a_child_between_fork_and_exec_gives_nothing_back_that_its_parent_holds",
    "an_earlier_handler_runs_and_says_how_the_process_ends",
];

/// Fails on the first run that has a race in any of its processes.
pub(crate) fn run(context: &Context) -> Result<()> {
    let missing: Vec<&str> = PACKAGES.into_iter().filter(|package| !root::is_installed(context, package)).collect();
    if !missing.is_empty() {
        root::install(context, &missing, "ThreadSanitizer")?;
    }
    let dir = context.scratch("sanitize")?;
    let flags = [
        "-Zsanitizer=thread",
        "-Zexternal-clangrt",
        &format!("-Zpre-link-arg=-Wl,--whole-archive,{RUNTIME},--no-whole-archive"),
        "-Zpre-link-arg=-Wl,--export-dynamic",
    ];
    let cargo = |minutes: u32, tail: &[&str]| {
        let tests = TESTS.iter().flat_map(|test| ["--test", test]);
        let command = context.bounded(minutes, "/usr/bin/cargo").args(["test", "-Zbuild-std", "--target", TARGET]);
        command
            .args(["-p", "jobserver", "--lib"])
            .args(tests)
            .args(tail)
            .env("PATH", "/usr/bin:/bin")
            .env("RUSTC", "/usr/bin/rustc")
            .env("RUSTC_BOOTSTRAP", "1")
            .env("RUSTFLAGS", flags.join(" "))
            .env("CARGO_TARGET_DIR", dir.join("target"))
    };
    cargo(15, &["--quiet", "--no-run"]).run()?;
    control(context, &dir, &flags)?;

    let reports = dir.join("reports");
    if reports.exists() {
        fs::remove_dir_all(&reports).with_context(|| reports.display().to_string())?;
    }
    fs::create_dir_all(&reports).with_context(|| reports.display().to_string())?;
    let options = format!("log_path={}/race", reports.display());
    let skipped = NOT_UNDER_IT.iter().flat_map(|test| ["--skip", test]);
    let tests = cargo(25, &["--no-fail-fast", "--"]).args(skipped);
    let passed = tests.env("TSAN_OPTIONS", options).run();
    let found = races(&reports)?;
    for path in &found {
        println!("{}", fs::read_to_string(path)?);
    }
    ensure!(found.is_empty(), "{} processes had races: the reports are in {}", found.len(), reports.display());
    passed?;
    let version = cmd!(context.sh, "/usr/bin/rustc --version").read()?;
    println!("no race in the unit tests, {}, but for {}; {version}", TESTS.join(", "), NOT_UNDER_IT.join(", "));
    Ok(())
}

/// A program that has a race, to see that one would be seen.
const RACE: &str = "static mut COUNT: u32 = 0;
fn main() {
    let other = std::thread::spawn(|| unsafe { COUNT += 1 });
    unsafe { COUNT += 1 };
    other.join().unwrap();
}
";

fn control(context: &Context, dir: &Path, flags: &[&str]) -> Result<()> {
    let package = dir.join("control");
    let manifest = "[package]\nname = \"control\"\nversion = \"0.0.0\"\nedition = \"2021\"\n\n[workspace]\n";
    write(&package.join("Cargo.toml"), manifest)?;
    write(&package.join("src/main.rs"), RACE)?;
    let manifest = package.join("Cargo.toml").display().to_string();
    let run = ["run", "--quiet", "-Zbuild-std", "--target", TARGET, "--manifest-path", &manifest];
    let said = context
        .bounded(5, "/usr/bin/cargo")
        .args(run)
        .env("PATH", "/usr/bin:/bin")
        .env("RUSTC", "/usr/bin/rustc")
        .env("RUSTC_BOOTSTRAP", "1")
        .env("RUSTFLAGS", flags.join(" "))
        .env("CARGO_TARGET_DIR", dir.join("target"))
        .ignore_status()
        .read_stderr()?;
    ensure!(said.contains("ThreadSanitizer: data race"), "a race that is there was not reported: {said}");
    Ok(())
}

fn races(reports: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(reports).with_context(|| reports.display().to_string())?;
    entries.map(|entry| Ok(entry?.path())).collect()
}
