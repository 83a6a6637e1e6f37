//! `cargo xtask test`: every check, in order, until one fails.
//!
//! Each step is named and timed, and a step that cannot run is a failure, so the last line is true.

use std::time::Instant;

use anyhow::{ensure, Context as _, Result};

use crate::context::Context;
use crate::{
    api, clients, downstreams, fuzz, mixed, msrv, package, pool_clients, real_builds, root, sanitize, shim, simulate,
    soak, targets, timeline, upstream_tests, valgrind, windows,
};

/// A system that is not this one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Target {
    Windows,
}

/// Runs all of it; with `all` also what takes longer than a person waits.
pub(crate) fn run(context: &Context, all: bool) -> Result<()> {
    let mut steps = Steps { passed: 0 };
    let start = Instant::now();
    let cargo = |args: &[&str]| Ok(context.cargo(10, args).run()?);

    steps.step("clients", || clients::run(context))?;
    steps.step("testkit", || cargo(&["test", "-p", "testkit"]))?;
    steps.step("library", || cargo(&["test", "-p", "jobserver"]))?;
    steps.step("library without default features", || cargo(&["check", "-p", "jobserver", "--no-default-features"]))?;
    steps.step("pool", || {
        // An ordinary user mounts by its help.
        if cfg!(target_os = "linux") && !root::is_installed(context, "fuse3") {
            root::install(context, &["fuse3"], "the pool's mount")?;
        }
        cargo(&["test", "-p", "jobserver-pool"])
    })?;
    steps.step("command", || {
        shim::cmake(context)?;
        cargo(&["test", "-p", "jobserver-cli"])
    })?;
    steps.step("xtask", || cargo(&["test", "-p", "xtask"]))?;
    steps.step("compare", || {
        let manifest = "compare/Cargo.toml";
        ensure!(context.root.join(manifest).exists(), "{manifest} is missing");
        let longer = all.then_some(("JOBSERVER_TEST_ALL", "1"));
        Ok(context.cargo(20, &["test", "--manifest-path", manifest]).envs(longer).run()?)
    })?;
    steps.step("upstream's tests", || upstream_tests::run(context))?;
    steps.step("public API", || api::run(context))?;
    steps.step("downstream: cc under make", || downstreams::run(context))?;
    steps.step("the mixed example", || mixed::run(context))?;
    steps.step("the timeline in a browser", || timeline::run(context, &timeline::Options::default()))?;
    steps.step("every client in one served pool", || pool_clients::run(context, all))?;
    steps.step("signals at random, two minutes", || soak::run(context, &soak::Options::minutes(2)))?;
    if all {
        steps.step("downstreams: zstd-sys, libgit2-sys, cargo", || real_builds::run(context))?;
        steps.step("other targets", || targets::run(context, &targets::Options::default()))?;
        steps.step("Windows, under wine", || windows::run(context))?;
        steps.step("the Rust versions that are claimed", || msrv::run(context))?;
        steps.step("the packages as they would be published", || {
            // With the files as they are: a check comes before the commit.
            Ok(context.cargo(20, &["publish", "--workspace", "--dry-run", "--allow-dirty", "--quiet"]).run()?)
        })?;
        steps.step("the Debian package", || package::run(context, &package::Options::default()))?;
        steps.step("the pool's policy, simulated", || simulate::run(context))?;
        steps.step("fuzzing", || fuzz::run(context))?;
        steps.step("examples under valgrind", || valgrind::run(context))?;
        steps.step("ThreadSanitizer", || sanitize::run(context))?;
    }
    println!("\n{} steps passed, 0 failed, in {} s", steps.passed, start.elapsed().as_secs());
    Ok(())
}

struct Steps {
    passed: usize,
}

impl Steps {
    fn step(&mut self, name: &str, work: impl FnOnce() -> Result<()>) -> Result<()> {
        println!("\n=== {name}");
        let start = Instant::now();
        let result = work();
        let seconds = start.elapsed().as_secs_f32();
        match &result {
            Ok(()) => {
                self.passed += 1;
                println!("=== {name}: passed in {seconds:.1} s");
            }
            Err(_) => println!("=== {name}: FAILED after {seconds:.1} s\n\n{} steps passed, 1 failed", self.passed),
        }
        result.with_context(|| format!("step `{name}` failed"))
    }
}
