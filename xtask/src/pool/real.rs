//! What real builds take longer under `run`: zlib and lz4, as Debian has them, compiled by make 4.4.1.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{ensure, Context as _, Result};

use super::cost::{compared, server};
use super::processes::spend;
use super::row::Row;
use super::stage::{quiet, Stage};

/// Each with what it needs before its first make.
const PACKAGES: [(&str, Option<&str>); 2] = [("zlib", Some("./configure")), ("lz4", None)];
const LANES: [&str; 3] = ["make -j4", "make -j4 again", "run --style tracked"];
const TRACKED: usize = 2;

pub(crate) fn measure(stage: &Stage, quick: bool) -> Result<Vec<Row>> {
    let sources = fetch(stage)?;
    let mut rows = Vec::new();
    for (package, configure) in PACKAGES {
        let dir = folder(&sources, package)?;
        if let Some(configure) = configure {
            succeed(quiet(Path::new(configure)).current_dir(&dir))?;
        }
        rows.extend(of(stage, package, &dir, if quick { 2 } else { 9 })?);
    }
    Ok(rows)
}

fn of(stage: &Stage, package: &str, dir: &Path, rounds: usize) -> Result<Vec<Row>> {
    let (mut walls, mut tracked) = (Vec::new(), Vec::new());
    for round in 0..rounds {
        let mut times = vec![0.0; LANES.len()];
        for turn in 0..LANES.len() {
            let lane = (round + turn) % LANES.len();
            succeed(quiet(&stage.make).args(["-s", "clean"]).current_dir(dir))?;
            let mut command = if lane == TRACKED {
                let mut run = stage.jobserver(&["run", "-j4", "--no-pool", "--style", "tracked", "--"]);
                run.arg(&stage.make).arg("-s");
                run
            } else {
                let mut make = quiet(&stage.make);
                make.args(["-s", "-j4"]);
                make
            };
            let spent = spend(command.current_dir(dir))?;
            times[lane] = spent.wall;
            if lane == TRACKED {
                tracked.push(spent);
            }
        }
        walls.push(times);
    }
    let row =
        |lane: usize| compared(&format!("{package}: {}", LANES[lane]), &walls, lane, (lane == TRACKED).then_some(1.03));
    let mut rows: Vec<Row> = (1..LANES.len()).map(row).collect();
    rows.extend(server(package, &tracked));
    Ok(rows)
}

/// The sources, by an apt of its own that asks the machine's archives for sources as well.
fn fetch(stage: &Stage) -> Result<PathBuf> {
    let dir = stage.folder("sources")?;
    let (parts, lists) = (dir.join("parts"), dir.join("lists"));
    fs::create_dir_all(lists.join("partial")).and_then(|()| fs::create_dir(&parts)).context("folders for apt")?;
    let debian = Path::new("/etc/apt/sources.list.d/debian.sources");
    let text = fs::read_to_string(debian).with_context(|| format!("{}: this needs Debian", debian.display()))?;
    fs::write(parts.join("sources.sources"), text.replace("Types: deb\n", "Types: deb-src\n"))?;
    let apt = |arguments: &[&str]| {
        let mut command = quiet(Path::new("apt-get"));
        command.args(["-q", "-o", "Dir::Etc::sourcelist=/dev/null", "-o", "APT::Sandbox::User=root"]);
        command.arg("-o").arg(format!("Dir::Etc::sourceparts={}", parts.display()));
        command.arg("-o").arg(format!("Dir::State::lists={}", lists.display()));
        command.args(arguments).current_dir(&dir);
        command
    };
    succeed(&mut apt(&["update"]))?;
    succeed(apt(&["source"]).args(PACKAGES.map(|(package, _)| package)))?;
    Ok(dir)
}

fn folder(sources: &Path, package: &str) -> Result<PathBuf> {
    let start = format!("{package}-");
    let mut entries = fs::read_dir(sources)?.flatten();
    let found = entries.find(|entry| entry.path().is_dir() && entry.file_name().to_string_lossy().starts_with(&start));
    Ok(found.with_context(|| format!("apt-get source {package} brought no folder"))?.path())
}

fn succeed(command: &mut Command) -> Result<()> {
    let output = command.output().with_context(|| format!("{command:?}"))?;
    ensure!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}
