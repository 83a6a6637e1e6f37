//! Debian packages, installed where that can be done without asking: as root, on a machine with apt.
//!
//! Anyone else is told the command. Nothing is installed that is there already.

use anyhow::{bail, Result};
use xshell::cmd;

use crate::context::Context;

/// Installs `packages`, or says how to.
pub(crate) fn install(context: &Context, packages: &[&str], what_for: &str) -> Result<()> {
    let sh = &context.sh;
    let command = format!("apt-get install -y --no-install-recommends {}", packages.join(" "));
    let is_root = cmd!(sh, "id -u").quiet().read()? == "0";
    let has_apt = cmd!(sh, "apt-get --version").quiet().ignore_stdout().run().is_ok();
    if !is_root || !has_apt {
        bail!("{what_for} needs {}; on Debian, as root: {command}", packages.join(", "));
    }
    cmd!(sh, "apt-get update -q").env("DEBIAN_FRONTEND", "noninteractive").ignore_stdout().run()?;
    cmd!(sh, "apt-get install -q -y --no-install-recommends {packages...}")
        .env("DEBIAN_FRONTEND", "noninteractive")
        .ignore_stdout()
        .run()?;
    Ok(())
}

/// Whether the Debian package is installed.
pub(crate) fn is_installed(context: &Context, package: &str) -> bool {
    let status = cmd!(context.sh, "dpkg-query --show").args(["--showformat=${db:Status-Status}", package]);
    status.quiet().ignore_stderr().read().is_ok_and(|status| status == "installed")
}
