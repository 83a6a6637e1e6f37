//! Ctrl-C as a person presses it: in a terminal, while items of `jobserver each` run.
//!
//! The console tells every process of it. The item ends, and `jobserver` has to live on until then and say so. Not with
//! make: make for Windows did not end after a Ctrl-C under wine 8, for a reason that is not known; perhaps its own handler's.

use std::io::{Read, Write};
use std::process::{Command, Stdio};

use anyhow::{ensure, Context as _, Result};

use super::machine::{text, Machine};

/// Longer than the test would ever take.
const EACH: &str = "each --no-pool -- ping -n 100 ::: 127.0.0.1";
const SAID: &str = "no further items were started, and those that ran have ended";
const CTRL_C: &[u8] = b"\x03";

pub(super) fn check(machine: &Machine) -> Result<()> {
    println!("\n--- Ctrl-C in a terminal");
    machine.cargo(15, &machine.context.root.join("crates/jobserver-cli"), &["build"]).run()?;
    let line = format!("{} {EACH}", machine.wine_line(&text(&machine.built("jobserver.exe"))?));
    // It makes a terminal, and passes on what it reads.
    let mut script = machine.dress(Command::new("timeout"));
    script.args(["--foreground", "--kill-after=10s", "2m", "script", "--quiet", "--return", "--command", &line]);
    script.arg("/dev/null").stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut terminal = script.spawn().context("`script` of util-linux")?;
    let mut keys = terminal.stdin.take().context("no keys")?;
    let mut screen = terminal.stdout.take().context("no screen")?;
    let (mut shown, mut pressed, mut piece) = (String::new(), false, [0; 4096]);
    while let count @ 1.. = screen.read(&mut piece)? {
        shown += &String::from_utf8_lossy(&piece[..count]);
        // The bar has been drawn, and drawn again a second later: the item runs.
        if !pressed && shown.contains(" 0 of 1") && shown.contains("1s") {
            keys.write_all(CTRL_C)?;
            pressed = true;
        }
    }
    let status = terminal.wait()?;
    // The terminal breaks lines.
    let line = shown.replace(['\r', '\n'], "");
    ensure!(pressed && !status.success() && line.contains(SAID), "{status}: {shown}");
    println!("jobserver lived on to say: {SAID}");
    Ok(())
}
