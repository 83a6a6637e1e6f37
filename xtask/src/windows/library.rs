//! What is run on Windows: the tests of the library, upstream's on the library, and the tests of the command.

use std::path::Path;

use anyhow::Result;

use super::machine::{windows_path, Machine};
use crate::upstream_tests::{self, Table};

/// The tests of the library, of which some drive make.
pub(super) fn own_tests(machine: &Machine, make: &Path) -> Result<()> {
    println!("\n--- the library's tests");
    let dir = &machine.context.library;
    Ok(machine
        .cargo(25, dir, &["test", "--tests", "--no-fail-fast"])
        .env("JOBSERVER_TEST_MAKE", windows_path(make)?)
        .run()?)
}

/// The five files of upstream, with the library in the place of its own.
pub(super) fn upstream_tests(machine: &Machine, make: &Path) -> Result<()> {
    println!("\n--- the tests of jobserver {} on the library", crate::upstream::VERSION);
    let (upstream, package) = upstream_tests::package(machine.context)?;
    machine.cargo(15, &package, &["test", "--quiet", "--tests", "--no-run"]).run()?;
    let mut table = Table::new();
    for file in &upstream_tests::FILES {
        upstream_tests::same_bytes(&upstream, &package, file.name)?;
        let test = machine.cargo(5, &package, &["test", "--quiet", "--test", file.name]);
        let output = test.env("MAKE", windows_path(make)?).quiet().ignore_status().output()?;
        table.add(file, "4.4.1", &["semaphore"], &output);
    }
    table.finish()
}

/// The tests of the command.
pub(super) fn command(machine: &Machine, make: &Path) -> Result<()> {
    println!("\n--- the command's tests");
    let dir = machine.context.root.join("crates/jobserver-cli");
    Ok(machine
        .cargo(25, &dir, &["test", "--tests", "--no-fail-fast"])
        .env("JOBSERVER_TEST_MAKE", windows_path(make)?)
        .run()?)
}
