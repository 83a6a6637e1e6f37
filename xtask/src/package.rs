//! `cargo xtask package`: the Debian package, made, and then installed, run and purged in clean systems.
//!
//! cargo-deb packs what `crates/jobserver-cli/Cargo.toml` names; man pages, completions and the licences of what is
//! linked in come from the command and from cargo. lintian judges the result, all but what it wants of an upload to
//! Debian. Two systems by debootstrap are used up: one without systemd, as a container or a build machine is, which
//! must be afterwards as it was before; and one that is booted, where the unit itself serves users
//! (`package/service.sh`). Needs root.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{ensure, Context as _, Result};
use xshell::cmd;

use crate::context::{write, Context};
use crate::{debian, root};

mod licences;

const CARGO_DEB: &str = "3.8.0";

/// The release whose glibc and systemd the package has to be content with.
const RELEASE: &str = "bookworm";

#[derive(Default, clap::Args)]
pub(crate) struct Options {
    /// Make none, but try this one.
    #[arg(long, value_name = "FILE")]
    deb: Option<PathBuf>,
}

/// Makes the package, and tries it.
pub(crate) fn run(context: &Context, options: &Options) -> Result<()> {
    for package in ["lintian", "systemd-container"] {
        if !root::is_installed(context, package) {
            root::install(context, &[package], "trying the package")?;
        }
    }
    let package = match &options.deb {
        Some(package) => package.clone(),
        None => {
            let package = make(context)?;
            by_cargo(context)?;
            package
        }
    };
    lint(context, &package)?;
    alone(context, &package)?;
    booted(context, &package)
}

/// Builds all that goes into the package, and the package.
fn make(context: &Context) -> Result<PathBuf> {
    context.cargo(20, &["build", "--profile", "dist", "--locked", "-p", "jobserver-cli"]).run()?;
    let built = context.target().join("dist");
    let command = built.join("jobserver");
    let assets = built.join("assets");
    if assets.exists() {
        fs::remove_dir_all(&assets)?;
    }
    let man = assets.join("man");
    cmd!(context.sh, "{command} man {man}").run()?;
    for page in fs::read_dir(&man)? {
        let page = page?.path();
        // -n: no time, so that the same page is the same file.
        cmd!(context.sh, "gzip -9n {page}").quiet().run()?;
    }
    for shell in ["bash", "zsh", "fish"] {
        let text = cmd!(context.sh, "{command} completions {shell}").quiet().read()?;
        write(&assets.join(format!("jobserver.{shell}")), text + "\n")?;
    }
    write(&assets.join("third-party"), licences::of_what_is_linked(context)?)?;
    write(&assets.join("changelog.Debian"), changelog(context)?)?;
    write(&assets.join("changelog"), fs::read(context.root.join("CHANGELOG.md"))?)?;
    for text in ["changelog.Debian", "changelog"].map(|name| assets.join(name)) {
        cmd!(context.sh, "gzip -9n {text}").quiet().run()?;
    }

    let tool = context.root.join("target/tools/bin/cargo-deb");
    if !cmd!(context.sh, "{tool} --version").quiet().ignore_stderr().read().is_ok_and(|said| said.contains(CARGO_DEB)) {
        let install = ["install", "--quiet", "--locked", "--force", "cargo-deb", "--version", CARGO_DEB, "--root"];
        context.cargo(30, &install).arg(context.root.join("target/tools")).run()?;
    }
    let said = cmd!(context.sh, "{tool} -p jobserver-cli --profile dist --no-build --no-strip").read()?;
    let package = PathBuf::from(said.lines().last().unwrap_or_default());
    let bytes = fs::metadata(&package).with_context(|| package.display().to_string())?.len();
    let binary = fs::metadata(&command)?.len();
    println!("{}: {bytes} bytes; the command alone: {binary}", package.display());
    Ok(package)
}

/// `cargo install --path`, as the README says.
fn by_cargo(context: &Context) -> Result<()> {
    let place = context.scratch("package")?.join("by-cargo");
    remove(&place)?;
    let install = ["install", "--quiet", "--locked", "--no-track", "--path", "crates/jobserver-cli", "--root"];
    context.cargo(20, &install).arg(&place).arg("--target-dir").arg(context.target()).run()?;
    let command = place.join("bin/jobserver");
    let said = cmd!(context.sh, "{command} --version").read()?;
    println!("cargo install --path: {said}");
    Ok(())
}

/// In the form that Debian's tools read; what changed is in CHANGELOG.md.
fn changelog(context: &Context) -> Result<String> {
    let metadata = context.metadata(&context.root.join("crates/jobserver-cli"))?;
    let package = crate::context::packages(&metadata, "jobserver-cli").next().context("no jobserver-cli")?;
    let version = package["version"].as_str().unwrap_or_default();
    let date = cmd!(context.sh, "git log -1 --format=%cD").quiet().read()?;
    Ok(format!(
        "jobserver ({version}-1) unstable; urgency=medium\n\n  * What changed is in changelog.gz beside this file.\n\n \
         -- The jobserver developers <>  {date}\n"
    ))
}

/// Fails on whatever lintian finds that the package's overrides don't explain.
fn lint(context: &Context, package: &Path) -> Result<()> {
    let lintian = context.bounded(5, "lintian").args(["--allow-root", "--fail-on", "error,warning"]).arg(package);
    lintian.run()?;
    println!("lintian: nothing but what is explained");
    Ok(())
}

const SETTINGS: &str =
    "apt-get -qq update >/dev/null; install() { apt-get -qq install -y --no-install-recommends \"$@\" \
                        >/tmp/said 2>&1 || { cat /tmp/said; exit 1; }; }; ";

/// In a system without systemd.
fn alone(context: &Context, package: &Path) -> Result<()> {
    let system = fresh(context, "package-alone")?;
    let shared = shared(context, "alone", package)?;
    let before = files(&system)?;
    let groups = fs::read_to_string(system.join("etc/group"))?;
    // make 4.3 gets pipes; without FUSE and without a served pool there is nothing else either.
    // What `run` keeps for a user lies in the user's home, which is no package's to purge.
    let script = "export HOME=/tmp/home; mkdir $HOME
        install /shared/jobserver.deb
        jobserver --version
        printf 'all: a b\\na b: ; @echo $@\\n' >/tmp/Makefile
        jobserver run -j2 -- make -s -C /tmp 2>/tmp/warned
        [ -z \"$(cat /tmp/warned)\" ]
        man --pager=cat jobserver-run >/tmp/page
        grep -q 'under a pool of job slots' /tmp/page
        for page in /usr/share/man/man1/jobserver*; do
            said=$(man --warnings --pager=cat \"$(basename $page .1.gz)\" 2>&1 >/dev/null)
            [ -z \"$said\" ] || { echo \"$page: $said\"; exit 1; }
        done
        bash -c '. /usr/share/bash-completion/completions/jobserver; complete -p jobserver' >/dev/null
        getent group jobserver
        test -x /usr/bin/jobserver -a -s /usr/share/doc/jobserver/copyright -a -s /usr/share/doc/jobserver/third-party
        rm -r /tmp/*
        apt-get -qq purge -y --autoremove jobserver >/dev/null
        ! getent group jobserver";
    println!("{}", debian::within(context, &system, &shared, 10, &format!("{SETTINGS}{script}")).read()?);
    let left: Vec<_> = files(&system)?.difference(&before).cloned().collect();
    ensure!(left.is_empty(), "purged, it leaves {left:?}");
    ensure!(fs::read_to_string(system.join("etc/group"))? == groups, "purged, it leaves other groups");
    println!("a system without systemd: installed, run and purged; nothing is left");
    remove(&system)
}

/// In a system that systemd has booted.
fn booted(context: &Context, package: &Path) -> Result<()> {
    let system = fresh(context, "package-booted")?;
    let shared = shared(context, "booted", package)?;
    let script = format!("{SETTINGS}install systemd systemd-sysv; install /shared/jobserver.deb");
    debian::within(context, &system, &shared, 10, &script).run()?;
    write(&system.join("usr/local/bin/check"), include_str!("package/service.sh"))?;
    let unit = "[Unit]\nAfter=multi-user.target\nSuccessAction=exit\nFailureAction=exit\n\n[Service]\nType=oneshot\n\
                ExecStart=/bin/sh /usr/local/bin/check\nStandardOutput=file:/shared/said\nStandardError=inherit\n";
    write(&system.join("etc/systemd/system/check.service"), unit)?;
    let wants = system.join("etc/systemd/system/default.target.wants");
    fs::create_dir_all(&wants)?;
    std::os::unix::fs::symlink("../check.service", wants.join("check.service"))?;
    let bind = format!("--bind={}:/shared", shared.display());
    // Nothing that it does reaches the machine's own service manager, or the network. Which devices a service may open,
    // systemd says by the kernel's control groups, version 2, and a program for bpf.
    let boot = ["--quiet", "--register=no", "--keep-unit", "--private-network", "--boot", "--console=pipe", &bind];
    let boot = context.bounded(15, "systemd-nspawn").args(boot).args(["--bind=/dev/fuse", "--capability=all"]);
    let boot = boot.args(["--system-call-filter=bpf", "-D"]).arg(&system).env("SYSTEMD_NSPAWN_UNIFIED_HIERARCHY", "1");
    // What it exits with is not the check's own status in each version.
    boot.ignore_status().ignore_stdout().ignore_stderr().run()?;
    let said = fs::read_to_string(shared.join("said")).unwrap_or_default();
    print!("{said}");
    ensure!(said.ends_with("the unit: all is well\n"), "the unit does not do what it should");
    let script = "apt-get -qq purge -y jobserver >/dev/null; ! getent group jobserver; ! ls -d /usr/lib/*/jobserver* \
                  /etc/systemd/system/*/jobserver* /var/lib/systemd/deb-systemd-helper-*/jobserver* /run/jobserver \
                  2>/dev/null";
    debian::within(context, &system, &shared, 5, script).run()?;
    println!("a system that systemd has booted: installed, served and purged");
    remove(&system)
}

/// A system of its own, with make and manual pages.
fn fresh(context: &Context, name: &str) -> Result<PathBuf> {
    let is_right = |system: &Path| {
        cmd!(context.sh, "chroot {system} man --version").quiet().ignore_stdout().run()?;
        Ok(())
    };
    let base = debian::system(context, RELEASE, RELEASE, &["make", "man-db"], is_right)?;
    let system = context.scratch("package")?.join(name);
    remove(&system)?;
    cmd!(context.sh, "cp --archive --reflink=auto {base} {system}").run()?;
    Ok(system)
}

fn remove(system: &Path) -> Result<()> {
    if system.exists() {
        fs::remove_dir_all(system).with_context(|| system.display().to_string())?;
    }
    Ok(())
}

/// The folder that the system sees as /shared, with the package in it.
fn shared(context: &Context, name: &str, package: &Path) -> Result<PathBuf> {
    let shared = context.scratch("package")?.join(format!("shared-{name}"));
    remove(&shared)?;
    fs::create_dir_all(&shared)?;
    fs::copy(package, shared.join("jobserver.deb"))?;
    Ok(shared)
}

/// All files, but what the package manager keeps for itself, logs, caches, and the copies that the tools for accounts make
/// before each change.
fn files(system: &Path) -> Result<BTreeSet<String>> {
    let kept = ["var/lib/dpkg", "var/lib/apt", "var/cache", "var/log", "tmp", "proc", "shared", "etc/ld.so.cache"];
    let copies = ["etc/group-", "etc/gshadow-", "etc/passwd-", "etc/shadow-"];
    let own = kept.iter().chain(&copies).map(|path| format!("./{path}"));
    let prune: Vec<String> = own.flat_map(|path| ["-path", &path, "-prune", "-o"].map(str::to_string)).collect();
    let find = Command::new("find").arg(".").args(prune).arg("-print").current_dir(system).output()?;
    ensure!(find.status.success(), "find: {}", String::from_utf8_lossy(&find.stderr));
    Ok(String::from_utf8_lossy(&find.stdout).lines().map(str::to_string).collect())
}
