//! `cargo xtask test --target windows`: the library and the command, built for Windows and really run, under wine.
//!
//! wine is not Windows: what it shows is that we call the right functions in the right order, and that GNU make for
//! Windows and we meet in one semaphore. The workflow in `.github` runs the same tests on the real one.
//!
//! All that is fetched lies in `target/xtask/windows` and stays there, so a second run only builds what has changed. The
//! Debian packages are installed by root.

mod console;
mod library;
mod machine;
mod make;

use anyhow::Result;

use self::machine::Machine;
use crate::context::Context;

/// Sets it all up and runs every test that there is for Windows.
pub(crate) fn run(context: &Context) -> Result<()> {
    let machine = Machine::set_up(context)?;
    let make = make::fetch(context)?;
    machine.greet(&make)?;
    library::own_tests(&machine, &make)?;
    library::upstream_tests(&machine, &make)?;
    library::command(&machine, &make)?;
    console::check(&machine)
}
