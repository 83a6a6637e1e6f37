//! `cargo xtask machine`: a pool of ten thousand clients, where a process may have as many descriptors as root elsewhere.
//!
//! Each client takes two or three descriptors of the server, and some machines (containers, build farms) allow even root no more
//! than 20,000. So this boots a virtual one: a Debian kernel, and a folder in memory with the command in it. Also on a
//! processor that is emulated: nothing is timed that is compared with anything.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{ensure, Context as _, Result};
use serde_json::Value;
use xshell::cmd;

use crate::context::{write, Context};
use crate::pool::many;
use crate::{clients, root};

const PACKAGES: [&str; 3] = ["qemu-system-x86", "busybox-static", "cpio"];
const INIT: &str = include_str!("machine/init.sh");
/// Ten thousand processes of 0.2 MiB or so, and their FIFOs.
const MEMORY: &str = "6G";

#[derive(clap::Args)]
pub(crate) struct Options {
    /// How many clients.
    #[arg(long, default_value_t = 10_000)]
    clients: usize,
}

pub(crate) fn run(context: &Context, options: &Options) -> Result<()> {
    ensure!(cfg!(target_arch = "x86_64"), "the machine is one of x86_64, as this one has to be");
    if PACKAGES.iter().any(|package| !root::is_installed(context, package)) {
        root::install(context, &PACKAGES, "a virtual machine")?;
    }
    let kernel = kernel(context)?;
    context.cargo(20, &["build", "--release", "--quiet", "-p", "jobserver-cli"]).run()?;
    let scratch = context.scratch("machine")?;
    let files = scratch.join("files");
    fill(context, &files, &kernel, options.clients)?;
    let (disk, said) = (scratch.join("files.cpio"), scratch.join("said"));
    let pack = "cd \"$1\" && find . | cpio --create --format=newc --quiet >\"$2\"";
    cmd!(context.sh, "sh -ec {pack} sh {files} {disk}").run()?;
    let serial = format!("file:{}", said.display());
    let log = format!("file:{}", scratch.join("log").display());
    let vmlinuz = find(&kernel.join("boot"), "vmlinuz-")?;
    println!("{} clients in a virtual machine, {}", options.clients, vmlinuz.display());
    let machine = ["-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2", "-nic", "none", "-display", "none"];
    let machine = context.bounded(30, "qemu-system-x86_64").args(machine).args(["-m", MEMORY, "-no-reboot"]);
    let machine = machine.arg("-kernel").arg(vmlinuz).arg("-initrd").arg(disk).args(["-serial", &log]);
    machine.args(["-serial", &serial, "-append", "console=ttyS0 quiet panic=-1"]).run()?;
    let said = fs::read_to_string(&said).with_context(|| said.display().to_string())?;
    judge(&Said(&said), options.clients).with_context(|| format!("what the machine said is in {}", scratch.display()))
}

/// What it says of itself, a line each.
struct Said<'a>(&'a str);

impl Said<'_> {
    fn text(&self, name: &str) -> Result<&str> {
        let line = self.0.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
        Ok(line.with_context(|| format!("the machine did not say {name:?}"))?.trim())
    }

    fn number(&self, name: &str) -> Result<usize> {
        self.text(name)?.parse().with_context(|| name.to_string())
    }

    fn status(&self, name: &str) -> Result<Value> {
        serde_json::from_str(self.text(name)?).with_context(|| name.to_string())
    }
}

fn judge(said: &Said<'_>, clients: usize) -> Result<()> {
    let (all, end) = (said.status("all")?, said.status("end")?);
    println!(
        "{} opened both ends; {} have an endpoint of their own; the server has {} descriptors (limit {}), {:.1} MiB; while \
         nothing happened it used {:.2} % of one emulated processor",
        said.number("opened")?,
        many::endpoints(&all),
        said.number("descriptors")?,
        said.number("limit")?,
        said.number("memory")? as f64 / 1024.0,
        said.number("idle")? as f64 / 1e8,
    );
    ensure!(said.number("opened")? == clients, "not every client could open both ends");
    ensure!(many::endpoints(&all) == clients, "not every client has an endpoint: {}", many::known_of(&all));
    ensure!(all["leases"][0]["sharing"].is_null(), "some share one: {}", many::known_of(&all));
    let balance = |status: &Value| {
        let of = |name: &str| status[name].as_u64().unwrap_or_default();
        of("capacity") + of("owed") == of("free") + of("offered") + of("held")
    };
    ensure!(balance(&all) && balance(&end), "the accounts: {} {end}", many::known_of(&all));
    ensure!(end["held"] == 0 && end["strays"] == 0, "not all is back at the end: {end}");
    ensure!(said.number("server")? == 0, "the server's exit status is {}", said.number("server")?);
    println!("all slots back, no strays, the server has ended in good order");
    Ok(())
}

/// Debian's kernel for virtual machines, unpacked.
fn kernel(context: &Context) -> Result<PathBuf> {
    let name = "linux-cloud";
    let folder = testkit::clients::dir().join(name);
    if find(&folder.join("boot"), "vmlinuz-").is_err() {
        clients::install_folder(name, |folder| {
            const NEWEST: &str = "linux-image-cloud-amd64";
            let depends = cmd!(context.sh, "apt-cache depends {NEWEST}").read()?;
            let package = depends.split_whitespace().find(|word| word.starts_with("linux-image-") && *word != NEWEST);
            let package = package.with_context(|| format!("apt knows of no {NEWEST}: apt-get update"))?;
            let get = "cd \"$1\" && apt-get download -q \"$2\" && dpkg -x ./*.deb . && rm ./*.deb";
            cmd!(context.sh, "sh -ec {get} sh {folder} {package}").ignore_stdout().run()?;
            find(&folder.join("boot"), "vmlinuz-").map(drop)
        })?;
    }
    Ok(folder)
}

/// The folder in memory that the machine starts from.
fn fill(context: &Context, files: &Path, kernel: &Path, count: usize) -> Result<()> {
    let bin = files.join("bin");
    for folder in ["bin", "proc", "dev", "tmp"] {
        fs::create_dir_all(files.join(folder))?;
    }
    let copy = |from: &Path, to: &Path| {
        fs::create_dir_all(to.parent().context("no folder")?)?;
        fs::copy(from, to).map(drop).with_context(|| from.display().to_string())
    };
    let program = context.target().join("release/jobserver");
    let modules = find(&kernel.join("lib/modules"), "")?;
    copy(&modules.join("kernel/fs/fuse/fuse.ko"), &files.join("fuse.ko"))?;
    copy(Path::new("/bin/busybox"), &bin.join("busybox"))?;
    copy(&program, &bin.join("jobserver"))?;
    copy(&many::compile(files)?, &bin.join("clients"))?;
    for library in cmd!(context.sh, "ldd {program}").read()?.split_whitespace().filter(|word| word.starts_with('/')) {
        copy(Path::new(library), &files.join(&library[1..]))?;
    }
    let init = files.join("init");
    write(&init, INIT.replacen("export PATH", &format!("clients={count}\nexport PATH"), 1))?;
    fs::set_permissions(&init, fs::Permissions::from_mode(0o755))?;
    Ok(())
}

/// What begins so, in that folder.
fn find(folder: &Path, start: &str) -> Result<PathBuf> {
    let entries = fs::read_dir(folder).with_context(|| folder.display().to_string())?;
    let mut paths = entries.filter_map(Result::ok).map(|entry| entry.path());
    let begins = |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(start));
    paths.find(begins).with_context(|| format!("no {start}* in {}", folder.display()))
}
