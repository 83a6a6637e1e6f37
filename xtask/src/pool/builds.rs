//! The builds: what each client runs, with jobs that do nothing but last.
//!
//! A job notes when it ended with what a shell can do by itself: a process more per job would be measured as well.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{ensure, Context as _, Result};

use super::stage::{Served, Stage};

#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Tool {
    Make,
    Ninja,
    /// All crates are ready at once. cargo gives no token back as long as one is.
    Cargo,
    /// Crates in layers of [`LAYER`], of which each needs all of the one before: between them cargo gives tokens back.
    Layers,
}

/// Both three slots and six have equally long rounds of it.
const LAYER: usize = 12;

impl Tool {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Tool::Make => "make",
            Tool::Ninja => "ninja",
            Tool::Cargo => "cargo",
            Tool::Layers => "cargo in layers",
        }
    }
}

/// A build of equal jobs that depend on nothing.
pub(crate) struct Flat {
    tool: Tool,
    dir: PathBuf,
    jobs: usize,
    /// Against that of other builds.
    pub(crate) weight: u32,
}

impl Flat {
    pub(crate) fn new(stage: &Stage, name: &str, tool: Tool, jobs: usize, each: Duration) -> Result<Flat> {
        let build = Flat { tool, dir: stage.folder(name)?, jobs, weight: 1 };
        let job = format!(
            "sleep {}; read now rest </proc/uptime; echo $now >>'{}'",
            each.as_secs_f64(),
            build.log().display()
        );
        match tool {
            Tool::Make => {
                let job = job.replace('$', "$$");
                build.write("Makefile", &format!("all: {}\nj%: ; @{job}\n", numbered("j", jobs).join(" ")))?;
            }
            Tool::Ninja => {
                let job = job.replace('$', "$$");
                let edges = numbered("build j", jobs).join(": job\n");
                build.write("build.ninja", &format!("rule job\n  command = {job}\n{edges}: job\n"))?;
            }
            Tool::Cargo | Tool::Layers => {
                build.write("Cargo.toml", "[workspace]\nmembers = [\"job*\"]\nresolver = \"2\"\n")?;
                let layer = if tool == Tool::Layers { LAYER } else { jobs };
                for number in 0..jobs {
                    let mut manifest = format!(
                        "[package]\nname = \"job{number}\"\nversion = \"0.0.0\"\nedition = \"2021\"\n\n[dependencies]\n"
                    );
                    let first = number / layer * layer;
                    for needed in first.saturating_sub(layer)..first {
                        manifest += &format!("job{needed}.path = \"../job{needed}\"\n");
                    }
                    build.write(&format!("job{number}/Cargo.toml"), &manifest)?;
                    build.write(&format!("job{number}/src/lib.rs"), "")?;
                }
                // In the place of the compiler, whose work would be the machine's and not the pool's. Like the compiler it
                // opens the jobserver's path twice before anything else.
                let open = "path=${CARGO_MAKEFLAGS##*fifo:}; path=${path%% *}; exec 3<>\"$path\" 4<>\"$path\"";
                let script = format!(
                    "#!/bin/sh\ncase \" $* \" in\n*' --crate-name job'*) {open}; {job} ;;\n*) exec \"$@\" ;;\nesac\n"
                );
                build.write("rustc", &script)?;
                fs::set_permissions(build.dir.join("rustc"), fs::Permissions::from_mode(0o755))?;
            }
        }
        Ok(build)
    }

    /// The command that builds it from nothing in a served pool.
    pub(crate) fn start(&self, stage: &Stage, served: &Served) -> Result<Command> {
        for old in [self.log(), self.dir.join(".ninja_log"), self.dir.join(".ninja_deps")] {
            if old.exists() {
                fs::remove_file(&old).with_context(|| old.display().to_string())?;
            }
        }
        let target = self.dir.join("target");
        if target.exists() {
            fs::remove_dir_all(&target).with_context(|| target.display().to_string())?;
        }
        let mut command = served.run_weighing(self.weight);
        command.current_dir(&self.dir);
        match self.tool {
            Tool::Make => command.arg(&stage.make).arg("-s"),
            Tool::Ninja => command.arg(&stage.ninja).arg("--quiet"),
            Tool::Cargo | Tool::Layers => {
                for name in ["RUSTC", "RUSTC_WORKSPACE_WRAPPER", "CARGO_BUILD_JOBS"] {
                    command.env_remove(name);
                }
                command.env("CARGO_TARGET_DIR", &target).env("RUSTC_WRAPPER", self.dir.join("rustc"));
                command.args(["cargo", "check", "--workspace", "--offline", "--quiet"])
            }
        };
        Ok(command)
    }

    /// When each job ended. All of them must have.
    pub(crate) fn ends(&self) -> Result<Vec<f64>> {
        let log = self.log();
        let text = fs::read_to_string(&log).with_context(|| log.display().to_string())?;
        let ends = text.lines().map(str::parse).collect::<Result<Vec<f64>, _>>()?;
        ensure!(ends.len() == self.jobs, "{}: {} jobs of {} ended", log.display(), ends.len(), self.jobs);
        Ok(ends)
    }

    fn log(&self) -> PathBuf {
        self.dir.join("ends.log")
    }

    fn write(&self, name: &str, text: &str) -> Result<()> {
        write(&self.dir, name, text)
    }
}

/// A make whose work is done by other makes: 20 of them, with 20 jobs of 20 ms each.
pub(crate) fn recursive(stage: &Stage) -> Result<PathBuf> {
    let dir = stage.folder("recursive")?;
    let top = format!("all: {}\nd%: ; +@$(MAKE) -s -f jobs.mk\n", numbered("d", 20).join(" "));
    write(&dir, "Makefile", &top)?;
    write(&dir, "jobs.mk", &format!("all: {}\nj%: ; @sleep 0.02\n", numbered("j", 20).join(" ")))?;
    Ok(dir)
}

/// 2,000 jobs that do nothing: all that is left is what a job costs.
pub(crate) fn trivial(stage: &Stage) -> Result<PathBuf> {
    let dir = stage.folder("trivial")?;
    write(&dir, "Makefile", &format!("all: {}\nj%: ; @/bin/true\n", numbered("j", 2000).join(" ")))?;
    Ok(dir)
}

/// A named pipe: who opens it for writing lets the idle clients end.
pub(crate) const GATE: &str = "gate";

/// Ten clients in one build that have had tokens and want none any more: each has run four jobs at once, and runs a
/// last one until it may end. It says by a file `idle.N` when that has begun.
pub(crate) fn idle(stage: &Stage, tool: Tool) -> Result<PathBuf> {
    let dir = stage.folder("idle")?;
    let first = numbered("j", 4).join(" ");
    let last = format!(": >'{0}/idle.'$$IDLE; read end <'{0}/{GATE}' || :", dir.display());
    let make = format!("last: {first} ; @{last}\nj%: ; @sleep 0.05\n");
    let edges = numbered("build j", 4).join(": job\n");
    let ninja = format!(
        "rule job\n  command = sleep 0.05\nrule last\n  command = {last}\n{edges}: job\nbuild last: last {first}\n"
    );
    write(&dir, "Makefile", &make)?;
    write(&dir, "build.ninja", &ninja)?;
    let made = Command::new("mkfifo").arg(dir.join(GATE)).status()?;
    ensure!(made.success(), "mkfifo: {made}");
    let client = match tool {
        Tool::Make => format!("exec '{}' -s", stage.make.display()),
        // Its log of one build would keep another from running.
        _ => format!("cd $IDLE; ln -sf ../build.ninja .; exec '{}' --quiet", stage.ninja.display()),
    };
    let script = format!(
        "for IDLE in 1 2 3 4 5 6 7 8 9 10; do\n\tmkdir -p $IDLE\n\texport IDLE\n\t({client}) &\n\
         \tall=\"$all $!\"\ndone\n\
         trap 'kill $all; wait; exit 0' TERM\nwait\n"
    );
    write(&dir, "all.sh", &script)?;
    Ok(dir)
}

fn write(dir: &Path, name: &str, text: &str) -> Result<()> {
    crate::context::write(&dir.join(name), text)
}

fn numbered(name: &str, count: usize) -> Vec<String> {
    (1..=count).map(|number| format!("{name}{number}")).collect()
}
