//! Ctrl-C as a person presses it: in a terminal, while items of `jobserver each` run.
//!
//! The console tells every process of it. The item tidies up and ends, and `jobserver` has to live on until then and say
//! so. Not with make: make for Windows did not end after a Ctrl-C under wine 8, for a reason that is not known; perhaps its
//! own handler's.

use std::io::{Read, Write};
use std::process::{Command, Stdio};

use anyhow::{ensure, Context as _, Result};
use xshell::cmd;

use super::machine::{text, windows_path, Machine};
use crate::context::write;

/// An item that takes a while to end after a Ctrl-C: one that ended at once could do so before `jobserver` is told, and
/// with wine's status for that, which is 0. What it prints is kept until its end, so it writes to the console when it
/// can be told.
const ITEM: &str = "\
#include <stdio.h>
#include <windows.h>
static HANDLE pressed;
static BOOL WINAPI hear(DWORD event)
{
    SetEvent(pressed);
    return TRUE;
}
int main(void)
{
    FILE *console = fopen(\"CONOUT$\", \"w\");
    pressed = CreateEvent(NULL, TRUE, FALSE, NULL);
    SetConsoleCtrlHandler(hear, TRUE);
    fputs(\"it can be told\", console);
    fclose(console);
    if (WaitForSingleObject(pressed, 100000) != WAIT_OBJECT_0)
        return 1;
    Sleep(1000);
    puts(\"tidied up\");
    return 0;
}
";
const READY: &str = "it can be told";
const TIDIED: &str = "tidied up";
const SAID: &str = "no further items were started, and those that ran have ended";
const CTRL_C: &[u8] = b"\x03";

pub(super) fn check(machine: &Machine) -> Result<()> {
    println!("\n--- Ctrl-C in a terminal");
    machine.cargo(15, &machine.context.root.join("crates/jobserver-cli"), &["build"]).run()?;
    let scratch = machine.context.scratch("windows")?;
    let (source, item) = (scratch.join("item.c"), scratch.join("item.exe"));
    write(&source, ITEM)?;
    cmd!(machine.context.sh, "x86_64-w64-mingw32-gcc -o {item} {source}").run()?;
    let jobserver = machine.wine_line(&text(&machine.built("jobserver.exe"))?);
    let line = format!("{jobserver} each --no-pool -- '{}' ::: one", windows_path(&item)?);
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
        if !pressed && shown.contains(READY) {
            keys.write_all(CTRL_C)?;
            pressed = true;
        }
    }
    let status = terminal.wait()?;
    // The terminal breaks lines.
    let line = shown.replace(['\r', '\n'], "");
    ensure!(pressed && !status.success() && line.contains(TIDIED) && line.contains(SAID), "{status}: {shown}");
    println!("jobserver lived on to say: {SAID}");
    Ok(())
}
