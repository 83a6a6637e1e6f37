//! `cargo xtask shim`: what one call through a shim costs.
//!
//! `TOOL --version` in the environment of a build under `jobserver run --shim`, found through the shim and called by its
//! path in turn, each round beginning with the other one. make 4.3 is the dearest: its shim opens the pool's path twice,
//! and the pool makes a named pipe for it.

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{ensure, Context as _, Result};
use serde_json::json;
use testkit::clients::MAKE_4_3;

use crate::context::Context;
use crate::pool::row::{self, median, Row};
use crate::pool::stage::Stage;
use crate::{clients, root};

const ROUNDS: usize = 300;
/// Milliseconds.
const MOST: f64 = 5.0;

pub(crate) fn run(context: &Context) -> Result<()> {
    clients::run(context)?;
    cmake(context)?;
    let stage = Stage::new(context)?;
    let tools = stage.folder("tools")?;
    let cargo = PathBuf::from(env!("CARGO"));
    let found = |name: &str| -> Result<PathBuf> {
        let path = context.sh.cmd("sh").args(["-c", &format!("command -v {name}")]).quiet().read()?;
        Ok(path.into())
    };
    let tools_and_paths = [
        ("make", "make 4.3", MAKE_4_3.path()),
        ("gmake", "make 4.4.1", stage.make.clone()),
        ("ninja", "ninja", stage.ninja.clone()),
        ("cmake", "cmake", found("cmake")?),
        ("cargo", "cargo", cargo),
    ];
    for (name, _, path) in &tools_and_paths {
        symlink(fs::canonicalize(path)?, tools.join(name))?;
    }
    let build = Build::start(&stage, &tools)?;
    let mut rows = Vec::new();
    for (name, title, _) in &tools_and_paths {
        rows.push(build.measure(name, title, &tools.join(name))?);
    }
    build.end()?;
    println!("{}", row::table("TOOL --version in a pool, by a shim and without, interleaved", &rows));
    ensure!(rows.iter().all(|row| row.passed() != Some(false)), "a call costs more than {MOST} ms");
    Ok(())
}

/// For the tests as well, which configure and build with it.
pub(crate) fn cmake(context: &Context) -> Result<()> {
    let is_there = context.sh.cmd("cmake").arg("--version").quiet().ignore_stdout().ignore_stderr().run().is_ok();
    if is_there {
        return Ok(());
    }
    root::install(context, &["cmake"], "testing with cmake")
}

/// A build that does nothing, and what it found in its environment.
struct Build {
    runner: Child,
    environment: Vec<(OsString, OsString)>,
}

impl Build {
    fn start(stage: &Stage, tools: &Path) -> Result<Build> {
        let path = format!("{}:{}", tools.display(), std::env::var("PATH")?);
        let noted = stage.path("environment");
        let script = "env -0 >\"$0.new\" && mv \"$0.new\" \"$0\" && exec cat";
        let mut run = stage.jobserver(&["run", "-j4", "--no-pool", "--shim", "--", "sh", "-c", script]);
        run.arg(&noted)
            .env("PATH", path)
            .env("XDG_DATA_HOME", stage.path("data"))
            .env("XDG_CACHE_HOME", stage.path(""));
        let mut runner = run.stdin(Stdio::piped()).spawn()?;
        while !noted.exists() {
            ensure!(runner.try_wait()?.is_none(), "the build has ended at once");
            thread::sleep(Duration::from_millis(5));
        }
        let text = fs::read(&noted)?;
        let pair = |entry: &[u8]| {
            let at = entry.iter().position(|&byte| byte == b'=')?;
            Some((OsString::from_vec(entry[..at].to_vec()), OsString::from_vec(entry[at + 1..].to_vec())))
        };
        let environment = text.split(|&byte| byte == 0).filter_map(pair).collect();
        Ok(Build { runner, environment })
    }

    fn measure(&self, name: &str, title: &str, real: &Path) -> Result<Row> {
        let path = self.environment.iter().find(|(key, _)| key == "PATH").context("there is no PATH")?;
        let shim = std::env::split_paths(&path.1).next().context("PATH is empty")?.join(name);
        ensure!(shim.is_symlink(), "{} is no shim", shim.display());
        let mut times = Vec::new();
        for round in 0..ROUNDS {
            let mut time = [0.0; 2];
            for turn in 0..2 {
                let which = (round + turn) % 2;
                time[which] = self.time(if which == 0 { &shim } else { real })?;
            }
            times.push(time);
        }
        let of = |which: usize| median(&times.iter().map(|time| time[which]).collect::<Vec<_>>());
        let costs: Vec<f64> = times.iter().map(|time| time[0] - time[1]).collect();
        Ok(Row {
            name: title.to_string(),
            value: median(&costs),
            unit: "ms",
            bounds: (None, Some(MOST)),
            note: format!("{:.2} ms by the shim, {:.2} ms without", of(0), of(1)),
            rounds: json!(times),
        })
    }

    fn time(&self, program: &Path) -> Result<f64> {
        let mut command = Command::new(program);
        let environment = self.environment.iter().map(|(key, value)| (key, value));
        command.arg("--version").env_clear().envs(environment).stdin(Stdio::null());
        let start = Instant::now();
        let status = command.stdout(Stdio::null()).status()?;
        let time = start.elapsed().as_secs_f64() * 1e3;
        ensure!(status.success(), "{}: {status}", program.display());
        Ok(time)
    }

    fn end(mut self) -> Result<()> {
        drop(self.runner.stdin.take());
        let status = self.runner.wait()?;
        ensure!(status.success(), "jobserver run: {status}");
        Ok(())
    }
}
