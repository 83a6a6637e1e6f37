//! The clients: what each one's build looks like, and what it is started with.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;
use testkit::clients::MAKE_4_3;

use super::builds::{words, JOBS};
use super::{cargo, jobslot, lto};
use crate::clients::{python_clients, Python};
use crate::context::{write, Context};
use crate::pool::stage::Stage;

#[derive(Clone, Copy, PartialEq)]
pub(super) enum Kind {
    Make,
    /// `make -k` with a target that fails.
    KeepGoing,
    /// Three makes deep.
    Recursive,
    OldMake,
    Ninja,
    /// With rustc, a build script, and cc in it.
    Cargo,
    Jobslot,
    Tokenpool,
    Pytest,
    Lto,
}

/// Where the clients are.
pub(super) struct Tools<'a> {
    pub(super) stage: &'a Stage,
    pub(super) cargo: cargo::Packages,
    /// With gcc 14, if it was asked for.
    pub(super) trixie: Option<PathBuf>,
    jobslot: PathBuf,
    python: Python,
}

impl<'a> Tools<'a> {
    pub(super) fn new(context: &Context, stage: &'a Stage) -> Result<Tools<'a>> {
        let (cargo, jobslot) = (cargo::Packages::new(context)?, jobslot::build(context)?);
        Ok(Tools { stage, cargo, trixie: None, jobslot, python: python_clients(context)? })
    }
}

impl Kind {
    pub(super) const ALL: [Kind; 10] = [
        Kind::Make,
        Kind::KeepGoing,
        Kind::Recursive,
        Kind::OldMake,
        Kind::Ninja,
        Kind::Cargo,
        Kind::Jobslot,
        Kind::Tokenpool,
        Kind::Pytest,
        Kind::Lto,
    ];

    /// Neither cargo with its compiler nor an interpreter: a pair of these takes a second.
    pub(super) fn begins_at_once(self) -> bool {
        matches!(self, Kind::Make | Kind::Recursive | Kind::OldMake | Kind::Ninja | Kind::Jobslot)
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Kind::Make => "make 4.4.1",
            Kind::KeepGoing => "make -k",
            Kind::Recursive => "recursive make",
            Kind::OldMake => "make 4.3",
            Kind::Ninja => "ninja",
            Kind::Cargo => "cargo",
            Kind::Jobslot => "jobslot",
            Kind::Tokenpool => "gnumake-tokenpool",
            Kind::Pytest => "pytest-jobserver",
            Kind::Lto => "gcc -flto=jobserver",
        }
    }

    /// The higher, the longer from its start to its first job.
    pub(super) fn slowness(self) -> usize {
        match self {
            Kind::Pytest => 2,
            Kind::Cargo | Kind::Lto => 1,
            _ => 0,
        }
    }

    /// Whether a last step of the build itself joins what the jobs made.
    pub(super) fn joins(self) -> bool {
        matches!(self, Kind::Make | Kind::Recursive | Kind::OldMake | Kind::Ninja)
    }

    /// Writes what it builds into `dir`; returns the command.
    pub(super) fn prepare(self, tools: &Tools, dir: &Path, is_alone: bool) -> Result<Vec<String>> {
        let file = |name: &str, text: &str| write(&dir.join(name), text);
        let outs = |numbers: std::ops::RangeInclusive<usize>| -> String {
            numbers.map(|number| format!(" out/{number}")).collect()
        };
        let all = outs(1..=JOBS);
        let jobs = JOBS.to_string();
        let join = format!("result:{all} ; @cat $^ >$@\nout/%: ; @./job $* $@\n");
        Ok(match self {
            Kind::Make => {
                file("Makefile", &join)?;
                words(&tools.stage.make, ["-s"])
            }
            Kind::OldMake => {
                file("Makefile", &join)?;
                words(&MAKE_4_3.path(), ["-s"])
            }
            Kind::KeepGoing => {
                let fails = format!("bad: ; @./job {} $@; exit 3\nnever: bad ; @: >$@\n", JOBS + 1);
                file("Makefile", &format!("all:{all} never\nout/%: ; @./job $* $@\n{fails}.PHONY: all bad\n"))?;
                words(&tools.stage.make, ["-s", "-k"])
            }
            Kind::Recursive => {
                // Three of the second kind, and six of the third with four jobs each.
                file(
                    "Makefile",
                    &format!("result: a b c ; @cat{all} >$@\na b c: ; @+$(MAKE) -f middle.mk OF=$@\n.PHONY: a b c\n"),
                )?;
                file("middle.mk", "all: x y\nx y: ; @+$(MAKE) -f $(OF)$@.mk\n.PHONY: all x y\n")?;
                for (index, leaf) in ["ax", "ay", "bx", "by", "cx", "cy"].into_iter().enumerate() {
                    let share = JOBS / 6;
                    let mine = outs(index * share + 1..=(index + 1) * share);
                    file(&format!("{leaf}.mk"), &format!("all:{mine}\nout/%: ; @./job $* $@\n.PHONY: all\n"))?;
                }
                words(&tools.stage.make, ["-s"])
            }
            Kind::Ninja => {
                let edges: String =
                    (1..=JOBS).map(|number| format!("build out/{number}: job\n number = {number}\n")).collect();
                let rules = "rule job\n command = ./job $number $out\nrule join\n command = cat $in >$out\n";
                file("build.ninja", &format!("{rules}{edges}build result: join{all}\n"))?;
                words(&tools.stage.ninja, ["--quiet"])
            }
            Kind::Jobslot => words(&tools.jobslot, [&jobs]),
            Kind::Tokenpool => {
                file("tokens.py", include_str!("tokenpool.py"))?;
                words(Path::new(tools.python.program), ["tokens.py", &jobs])
            }
            Kind::Pytest => {
                file("test_jobs.py", include_str!("pytest_jobs.py"))?;
                // Alone, one worker more than there are slots; each costs most of a second of processor time.
                let workers = if is_alone { "7" } else { "4" };
                // Plugins that happen to be on the machine stay out of it.
                let plugins = ["-p", "no:cacheprovider", "-p", "xdist.plugin", "-p", "pytest_jobserver.plugin"];
                let mut command = words(Path::new(tools.python.program), ["-m", "pytest", "-q", "-n", workers]);
                command.extend(plugins.map(str::to_string));
                command
            }
            Kind::Cargo => tools.cargo.command(dir)?,
            Kind::Lto => lto::prepare(tools, dir)?,
        })
    }

    /// What the command needs in its environment.
    pub(super) fn environment(self, tools: &Tools, dir: &Path, command: &mut Command) -> Result<()> {
        match self {
            Kind::Cargo => tools.cargo.environment(dir, command)?,
            Kind::Tokenpool | Kind::Pytest => {
                command.env("PYTHONPATH", &tools.python.packages).env("PYTHONDONTWRITEBYTECODE", "1");
                command.env("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1").env("JOBS", JOBS.to_string());
            }
            _ => {}
        }
        Ok(())
    }
}
