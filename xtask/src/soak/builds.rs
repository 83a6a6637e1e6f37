//! The builds that are shot at: one of each kind of client, long enough that most of them don't live to see their end.
//!
//! Jobs sleep, so that the machine's processors are not what is waited for, but for cargo's, which are real compilers:
//! rustc is a client of its own. A job is one process, a child of the client that started it, so that it can be counted.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use anyhow::{Context as _, Result};

use super::plan::{Start, WIDTH};
use crate::context::write;
use crate::pool::stage::{quiet, Served, Stage};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Make,
    /// `-k`, and every fifth job fails.
    KeepGoing,
    /// Three deep.
    Recursive,
    /// 4.3, by the two pipes of its lease.
    OldMake,
    Ninja,
    /// With build scripts.
    Cargo,
    /// A program that uses the library.
    Library,
}

impl Kind {
    pub(super) const ALL: [Kind; 7] =
        [Kind::Make, Kind::KeepGoing, Kind::Recursive, Kind::OldMake, Kind::Ninja, Kind::Cargo, Kind::Library];
}

/// Where the builds lie, and what runs them.
pub(super) struct Works {
    dir: PathBuf,
    program: PathBuf,
    make: PathBuf,
    old_make: PathBuf,
    ninja: PathBuf,
    library: PathBuf,
    /// How much nicer they are than we.
    nicer: u32,
    /// No target directory is used twice: what a killed cargo has started may still write there.
    started: usize,
}

/// `count` words of a name and a number.
fn numbered(name: &str, count: usize) -> String {
    (0..count).map(|number| format!("{name}{number}")).collect::<Vec<_>>().join(" ")
}

/// Between 10 and 90 ms, another one for each.
fn sleep(number: usize) -> String {
    format!("sleep 0.0{}", 1 + number * 5 % 9)
}

impl Works {
    pub(super) fn new(stage: &Stage, old_make: PathBuf, nicer: u32) -> Result<Works> {
        let program = PathBuf::from(stage.jobserver(&[]).get_program());
        let library = program.parent().context("the program lies in a folder")?.join("examples/slots");
        let dir = stage.folder("soak")?;
        let flat = |extra: &str, count: usize| {
            let job = |number| {
                let failing = if number % 5 == 4 { extra } else { "" };
                format!("j{number}: ; @{}\n{failing}", sleep(number))
            };
            format!("all: {}\n{}", numbered("j", count), (0..count).map(job).collect::<String>())
        };
        write(&dir.join("flat.mk"), flat("", 80))?;
        write(&dir.join("failing.mk"), flat("\t@false\n", 80))?;
        let deep = |next: &str| format!("all: {0}\n{0}: ; +@$(MAKE) -s -f {next}\n", numbered("d", 3));
        write(&dir.join("deep.mk"), deep("deeper.mk"))?;
        write(&dir.join("deeper.mk"), deep("deepest.mk"))?;
        write(&dir.join("deepest.mk"), flat("", 8))?;
        let edge = |number: usize| format!("build n{number}: job\n  time = 0.0{}\n", 1 + number * 5 % 9);
        let rule = "rule job\n  command = sleep $time\n";
        let ninja = format!("{rule}{}", (0..80).map(edge).collect::<String>());
        for place in 0..WIDTH {
            write(&dir.join(format!("ninja{place}/build.ninja")), &ninja)?;
        }
        crates(&dir.join("crates"))?;
        Ok(Works {
            dir,
            program,
            make: stage.make.clone(),
            old_make,
            ninja: stage.ninja.clone(),
            library,
            nicer,
            started: 0,
        })
    }

    /// The build under `jobserver run`, in a session of its own: that is how all its processes are known, whoever their
    /// parents are. Complaints go to [`Works::said`].
    pub(super) fn command(&mut self, served: &Served, start: Start, place: usize) -> Result<Command> {
        self.started += 1;
        let style = if start.kind == Kind::OldMake { "pipe" } else { "tracked" };
        let mut command = quiet(Path::new("setsid"));
        command
            .args(["nice", "-n", &self.nicer.to_string()])
            .arg(&self.program)
            .args(["run", "--style", style, "--pool"])
            .arg(&served.dir);
        if start.now {
            command.arg("--now");
        }
        command.arg("--").current_dir(&self.dir);
        match start.kind {
            Kind::Make => command.arg(&self.make).args(["-s", "-f", "flat.mk"]),
            Kind::KeepGoing => command.arg(&self.make).args(["-s", "-k", "-f", "failing.mk"]),
            Kind::Recursive => command.arg(&self.make).args(["-s", "-f", "deep.mk"]),
            Kind::OldMake => command.arg(&self.old_make).args(["-s", "-k", "-f", "flat.mk"]),
            Kind::Ninja => {
                let dir = self.dir.join(format!("ninja{place}"));
                // One that was killed while it wrote may not be readable.
                let _ = fs::remove_file(dir.join(".ninja_log"));
                command.arg(&self.ninja).args(["--quiet", "-k0"]).current_dir(dir)
            }
            Kind::Cargo => {
                for (name, _) in env::vars_os() {
                    let text = name.to_string_lossy();
                    if text.starts_with("RUSTC") || text.starts_with("CARGO_BUILD") || text.starts_with("CARGO_PKG") {
                        command.env_remove(name);
                    }
                }
                command.env("CARGO_TARGET_DIR", self.dir.join(format!("target{}", self.started)));
                command.current_dir(self.dir.join("crates"));
                command.args(["cargo", "build", "--workspace", "--offline", "--quiet", "--keep-going"])
            }
            Kind::Library => command.arg(&self.library).args((0..60).map(sleep)),
        };
        let said = self.said(self.started);
        command.stderr(fs::File::create(&said).with_context(|| said.display().to_string())?);
        Ok(command)
    }

    /// Which start was the last one.
    pub(super) fn last(&self) -> usize {
        self.started
    }

    /// Where a build's complaints are.
    pub(super) fn said(&self, start: usize) -> PathBuf {
        self.dir.join(format!("said{start}"))
    }

    /// Removes what a build has left; none of its processes is there any more.
    pub(super) fn clear(&self, start: usize) -> Result<()> {
        fs::remove_file(self.said(start))?;
        let target = self.dir.join(format!("target{start}"));
        if target.exists() {
            fs::remove_dir_all(&target).with_context(|| target.display().to_string())?;
        }
        Ok(())
    }
}

/// A workspace of crates with build scripts; each but the first three needs the third one before it.
fn crates(dir: &Path) -> Result<()> {
    write(&dir.join("Cargo.toml"), "[workspace]\nmembers = [\"c*\"]\nresolver = \"2\"\n")?;
    for number in 0..9 {
        let mut manifest = format!("[package]\nname = \"c{number}\"\nversion = \"0.0.0\"\nedition = \"2021\"\n");
        if number >= 3 {
            manifest += &format!("[dependencies]\nc{0}.path = \"../c{0}\"\n", number - 3);
        }
        let script =
            format!("fn main() {{ std::thread::sleep(std::time::Duration::from_millis({})) }}\n", 20 + 9 * number);
        write(&dir.join(format!("c{number}/Cargo.toml")), manifest)?;
        write(&dir.join(format!("c{number}/build.rs")), script)?;
        write(&dir.join(format!("c{number}/src/lib.rs")), "pub fn f() {}\n")?;
    }
    Ok(())
}
