//! Clean Debian systems in folders, by debootstrap, and commands in them. Root's, as a chroot is.

use std::path::{Path, PathBuf};

use anyhow::{ensure, Result};
use xshell::{cmd, Cmd};

use crate::clients;
use crate::context::Context;
use crate::root;

/// The root of a Debian of this release with these packages, made once; `check` says whether it is as it should be.
pub(crate) fn system(
    context: &Context,
    name: &str,
    release: &str,
    packages: &[&str],
    check: impl Fn(&Path) -> Result<()>,
) -> Result<PathBuf> {
    let system = testkit::clients::dir().join(name);
    if !system.is_dir() || check(&system).is_err() {
        if !root::is_installed(context, "debootstrap") {
            root::install(context, &["debootstrap"], name)?;
        }
        ensure!(cmd!(context.sh, "id -u").quiet().read()? == "0", "{name} comes by debootstrap, which needs root");
        let include = format!("--include={}", packages.join(","));
        clients::install_folder(name, |folder| {
            // Some of the machine's own settings would go with it.
            let make = cmd!(context.sh, "debootstrap --variant=minbase {include} {release} {folder}");
            make.ignore_stdout().run()?;
            check(folder)
        })?;
    }
    Ok(system)
}

/// `sh -c SCRIPT` in the system, with a /proc of its own and `shared` at /shared, for as long as it runs.
pub(crate) fn within<'a>(context: &'a Context, system: &Path, shared: &Path, minutes: u32, script: &str) -> Cmd<'a> {
    let enter = "mkdir -p \"$1/shared\" && mount --rbind \"$2\" \"$1/shared\" && mount -t proc proc \"$1/proc\" && \
                 exec chroot \"$1\" sh -ec \"$3\"";
    let words = ["--mount", "sh", "-c", enter, "sh"];
    let command = context.bounded(minutes, "unshare").args(words).arg(system).arg(shared).arg(script);
    command
        .env("LC_ALL", "C.UTF-8")
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .env("DEBIAN_FRONTEND", "noninteractive")
}
