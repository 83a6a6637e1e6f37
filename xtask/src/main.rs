//! The chores of this repository: `cargo xtask --help`.
//!
//! This file is the table of contents; each command is a file of its own. `test` runs them all, in order.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod api;
mod bench;
mod clients;
mod context;
mod coverage;
mod debian;
mod downstreams;
mod each;
mod fuzz;
mod machine;
mod mixed;
mod msrv;
mod package;
mod pool;
mod pool_clients;
mod real_builds;
mod root;
mod sanitize;
mod shim;
mod simulate;
mod soak;
mod startup;
mod targets;
mod test;
mod timeline;
mod upstream;
mod upstream_tests;
mod valgrind;
mod windows;

/// Checks and chores of this repository.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Args {
    /// The library to check, in place of crates/jobserver: another checkout, or 0.1.35 itself.
    #[arg(long, global = true, value_name = "DIR")]
    library: Option<PathBuf>,
    #[command(subcommand)]
    command: Chore,
}

#[derive(Subcommand)]
enum Chore {
    /// Fetch the real clients that tests drive into target/clients.
    Clients,
    /// Run every test.
    Test {
        /// Also what takes long: large downstreams, type-checks for other platforms, fuzzing, longer races.
        #[arg(long)]
        all: bool,
        /// Only the tests of another system, set up here: Windows runs under wine.
        #[arg(long, value_name = "SYSTEM", conflicts_with = "all")]
        target: Option<test::Target>,
    },
    /// Run the tests of `jobserver` 0.1.35, unmodified, against the library.
    UpstreamTests,
    /// Compare the public API with that of `jobserver` 0.1.35.
    Api,
    /// Build real downstreams with the library in the place of 0.1.
    Downstreams {
        /// Also zstd-sys with libgit2-sys, and cargo itself.
        #[arg(long)]
        all: bool,
    },
    /// Type-check the library, the pool and the command for other platforms, and run there what can be run here.
    CheckTargets(targets::Options),
    /// Compile each package with the very version of Rust that it claims to be content with.
    Msrv,
    /// Make the Debian package; install, run and purge it in clean systems, and start its unit. Needs root.
    Package(package::Options),
    /// Fuzz the parsers, a minute each.
    Fuzz,
    /// Run the stress tests under ThreadSanitizer.
    Sanitize,
    /// Run the examples under valgrind.
    Valgrind,
    /// Measure how much of the library its tests run.
    Coverage,
    /// Measure the library beside `jobserver` 0.1.35.
    Bench(bench::Options),
    /// Serve ten thousand clients in a virtual machine, where root may have as many descriptors as that needs.
    Machine(machine::Options),
    /// Build examples/mixed as the README says, and fail if ever more jobs ran than slots.
    Mixed,
    /// Run the pool's scheduler under thousands of simulated clients; fail if a target is missed.
    Simulate,
    /// Measure the tracked pool with real clients: fairness, cost, recovery.
    Pool(pool::Options),
    /// Measure how much later a command starts under `jobserver run`.
    Startup(startup::Options),
    /// Send signals to real clients of one pool at random moments; fail if the pool loses anything or a build hangs.
    Soak(soak::Options),
    /// Measure `jobserver each` beside `xargs -P` and GNU parallel.
    Each(each::Options),
    /// Build with `--timeline` and compare what a browser shows with the recorded events.
    Timeline(timeline::Options),
    /// Measure what a call through a shim of `jobserver run --shim` costs.
    Shim,
    /// Run every real client in one served pool, alone and in pairs.
    PoolClients {
        /// All pairs; and gcc 14's `-flto=jobserver`, in a Debian 13 of its own, which needs root.
        #[arg(long)]
        all: bool,
    },
}

fn main() -> ExitCode {
    match run(Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: Args) -> anyhow::Result<()> {
    let context = context::Context::new(args.library)?;
    match args.command {
        Chore::Clients => clients::run(&context),
        Chore::Test { target: Some(test::Target::Windows), .. } => windows::run(&context),
        Chore::Test { all, target: None } => test::run(&context, all),
        Chore::UpstreamTests => upstream_tests::run(&context),
        Chore::Api => api::run(&context),
        Chore::Downstreams { all: false } => downstreams::run(&context),
        Chore::Downstreams { all: true } => downstreams::run(&context).and_then(|()| real_builds::run(&context)),
        Chore::CheckTargets(options) => targets::run(&context, &options),
        Chore::Msrv => msrv::run(&context),
        Chore::Package(options) => package::run(&context, &options),
        Chore::Fuzz => fuzz::run(&context),
        Chore::Sanitize => sanitize::run(&context),
        Chore::Valgrind => valgrind::run(&context),
        Chore::Coverage => coverage::run(&context),
        Chore::Bench(options) => bench::run(&context, &options),
        Chore::Machine(options) => machine::run(&context, &options),
        Chore::Mixed => mixed::run(&context),
        Chore::Simulate => simulate::run(&context),
        Chore::Pool(options) => pool::run(&context, &options),
        Chore::Startup(options) => startup::run(&context, &options),
        Chore::Soak(options) => soak::run(&context, &options),
        Chore::Each(options) => each::run(&context, &options),
        Chore::Timeline(options) => timeline::run(&context, &options),
        Chore::Shim => shim::run(&context),
        Chore::PoolClients { all } => pool_clients::run(&context, all),
    }
}
