//! Thousands of clients at once: what the server needs for them, and that each of them is known by itself.
//!
//! The clients open the path as make does, one end after the other, and then do nothing. Each is a process of its own.

use std::fs;
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{ensure, Context as _, Result};
use serde_json::{json, Value};

use super::processes::Kept;
use super::row::Row;
use super::stage::{Served, Stage};

const CLIENTS: &str = r#"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>
int main(int count, char **words) {
    char *path = strstr(getenv("MAKEFLAGS"), "fifo:");
    if (!path) return 2;
    path += 5;
    path[strcspn(path, " ")] = 0;
    for (int left = atoi(words[1]); left > 0; left--) {
        pid_t pid = fork();
        if (pid < 0) return 3;
        if (pid > 0) continue;
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (open(path, O_RDONLY) < 0 || open(path, O_WRONLY) < 0) _exit(4);
        if (write(1, ".", 1) != 1) _exit(5);
        for (;;) pause();
    }
    char byte;
    return read(0, &byte, 1) < 0;
}
"#;

/// Nothing takes that long, on a busy machine either.
const BOUND: Duration = Duration::from_secs(240);

pub(crate) fn measure(stage: &Stage, quick: bool) -> Result<Vec<Row>> {
    let program = compile(&stage.folder("clients")?)?;
    // An ordinary user has 16,384 pages for pipes, and a client takes two, or three.
    let counts: &[usize] = match (quick, fs::metadata("/proc/self")?.uid() == 0) {
        (true, _) => &[1000],
        (false, false) => &[1000, 4000],
        (false, true) => &[1000, 4000, 10_000],
    };
    let mut rows = Vec::new();
    for &count in counts {
        rows.extend(with(stage, &program, count)?);
    }
    Ok(rows)
}

fn with(stage: &Stage, program: &Path, count: usize) -> Result<Vec<Row>> {
    let served = Served::start(stage, 6)?;
    let server = served.server.0.id();
    let mut command = served.run();
    command.arg(program).arg(count.to_string()).stdin(Stdio::piped()).stdout(Stdio::piped());
    let start = Instant::now();
    let mut build = Kept::start(&mut command)?;
    let mut said = build.0.stdout.take().context("the clients' output is a pipe")?;
    said.read_exact(&mut vec![0; count]).context("not every client could open both ends")?;
    let opened = start.elapsed();
    // In a build that is alone each takes two descriptors of the server. Beyond its limit they share the endpoint of their
    // lease.
    let fit = (limit(server)? - 100) / 2 >= count;
    let known = loop {
        let status = served.status()?;
        if endpoints(&status) == count || (!fit && !status["leases"][0]["sharing"].is_null()) {
            break status;
        }
        ensure!(start.elapsed() < BOUND, "{count} clients, known: {}", known_of(&status));
        thread::sleep(Duration::from_millis(50));
    };
    ensure!(fit == known["leases"][0]["sharing"].is_null(), "clients share an endpoint, or not: {}", known_of(&known));
    let memory = kib(server, "VmRSS:")?;
    let descriptors = fs::read_dir(format!("/proc/{server}/fd"))?.count();
    // Nobody does anything: neither does the server, but for asking those who may be idle in turn.
    let before = cpu(server)?;
    thread::sleep(Duration::from_secs(2));
    let idle = (cpu(server)? - before) / 2.0;
    // It takes its clients along.
    build.end()?;
    served.finish()?;
    let row = |name: &str, value: f64, unit: &'static str, most: Option<f64>| Row {
        name: format!("{count} clients: {name}"),
        value,
        unit,
        bounds: (None, most),
        note: String::new(),
        rounds: json!(value),
    };
    Ok(vec![
        row("the server's memory", memory as f64 / 1024.0, "MiB", (count == 1000).then_some(16.0)),
        row("with an endpoint of their own", endpoints(&known) as f64 - f64::from(u8::from(!fit)), "", None),
        row("its descriptors", descriptors as f64, "", None),
        row("until all have opened the path", opened.as_secs_f64(), "s", None),
        row("its processor time while nothing happens, of one processor", 100.0 * idle, "%", None),
    ])
}

/// The program of the clients, in that folder.
pub(crate) fn compile(dir: &Path) -> Result<PathBuf> {
    let (source, program) = (dir.join("clients.c"), dir.join("clients"));
    fs::write(&source, CLIENTS).with_context(|| source.display().to_string())?;
    let status = Command::new("gcc").args(["-O2", "-static", "-o"]).arg(&program).arg(&source).status();
    ensure!(status.context("gcc: apt-get install gcc libc6-dev")?.success(), "gcc does not compile the clients");
    Ok(program)
}

pub(crate) fn endpoints(status: &Value) -> usize {
    let leases = status["leases"].as_array().map_or(&[][..], Vec::as_slice);
    leases.iter().filter_map(|lease| lease["endpoints"].as_array()).map(Vec::len).sum()
}

pub(crate) fn known_of(status: &Value) -> String {
    let mut status = status.clone();
    for lease in status["leases"].as_array_mut().into_iter().flatten() {
        lease["endpoints"] = json!("...");
    }
    status.to_string()
}

fn kib(pid: u32, field: &str) -> Result<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = text.lines().find_map(|line| line.strip_prefix(field)).context("no such field")?;
    Ok(line.trim().trim_end_matches(" kB").trim().parse()?)
}

/// Descriptors that a process may have.
fn limit(pid: u32) -> Result<usize> {
    let text = fs::read_to_string(format!("/proc/{pid}/limits"))?;
    let line = text.lines().find_map(|line| line.strip_prefix("Max open files")).context("no such limit")?;
    Ok(line.split_whitespace().next().context("no such limit")?.parse()?)
}

/// Seconds.
fn cpu(pid: u32) -> Result<f64> {
    let text = fs::read_to_string(format!("/proc/{pid}/schedstat"))?;
    let nanoseconds: f64 = text.split(' ').next().unwrap_or_default().parse()?;
    Ok(nanoseconds / 1e9)
}
