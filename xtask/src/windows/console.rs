//! Ctrl-C as a person presses it: in a terminal, while a build runs under `jobserver run`.
//!
//! The console tells every process of it. make ends with the tokens that it holds (it returns none, on no system), and
//! `jobserver` has to live on and say so.

use std::io::{Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{ensure, Context as _, Result};

use super::machine::{text, windows_path, Machine};
use crate::context::write;

/// Longer than the test would ever take.
const MAKEFILE: &str = "all: a b c\na b c:\n\t@ping -n 100 127.0.0.1\n";
const SAID: &str = "2 of 2 tokens did not come back";
const CTRL_C: &[u8] = b"\x03";

pub(super) fn check(machine: &Machine, make: &Path) -> Result<()> {
    println!("\n--- Ctrl-C in a terminal");
    machine.cargo(15, &machine.context.root.join("crates/jobserver-cli"), &["build"]).run()?;
    let folder = machine.context.scratch("windows")?.join("console");
    write(&folder.join("Makefile"), MAKEFILE)?;
    let run = format!("run -j3 -- '{}'", windows_path(make)?);
    let line = format!("{} {run}", machine.wine_line(&text(&machine.built("jobserver.exe"))?));
    // It makes a terminal, and passes on what it reads.
    let mut script = machine.dress(Command::new("timeout"));
    script.args(["--foreground", "--kill-after=10s", "3m", "script", "--quiet", "--return", "--command", &line]);
    script.arg("/dev/null").current_dir(&folder).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut terminal = script.spawn().context("`script` of util-linux")?;
    let mut keys = terminal.stdin.take().context("no keys")?;
    let mut screen = terminal.stdout.take().context("no screen")?;
    let (mut shown, mut pressed, mut piece) = (String::new(), false, [0; 4096]);
    while let count @ 1.. = screen.read(&mut piece)? {
        shown += &String::from_utf8_lossy(&piece[..count]);
        // All three are at work: make holds both tokens.
        if !pressed && shown.matches("Pinging").count() == 3 {
            keys.write_all(CTRL_C)?;
            pressed = true;
        }
    }
    let status = terminal.wait()?;
    // The terminal breaks lines.
    let line = shown.replace(['\r', '\n'], "");
    ensure!(pressed && !status.success() && line.contains(SAID), "{status}: {shown}");
    println!("the runner lived on to say: {SAID}");
    Ok(())
}
