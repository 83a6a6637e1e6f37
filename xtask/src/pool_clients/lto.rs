//! gcc 14's `-flto=jobserver`: a program of 24 C files, each a partition of its own when it is linked.
//!
//! gcc runs in the root of another system, on which this one's temporary files are laid in a mount namespace of the
//! command's own: the pool is in them. What counts as a job is a run of the real `lto1` on one partition, which gcc
//! finds behind a wrapper of that name. The makefile that gcc hands to make is its own affair.

use std::env;
use std::path::Path;
use std::process::Command;

use anyhow::{ensure, Context as _, Result};

use super::builds::script;
use super::kinds::Tools;
use crate::context::write;

pub(super) const JOBS: usize = 24;

/// `lto1` also reads the whole program, once, before there are partitions; that run names them by `-fltrans-output-list`.
const LTO1: &str = "#!/bin/sh\ncase \" $* \" in\n\
    *' -fltrans '*) exec RECORD sh -c '\"$@\" && sleep 0.03' lto1 REAL \"$@\" ;;\n*) exec REAL \"$@\" ;;\nesac\n";

/// Writes the program and compiles it, outside of the pool; returns what links it.
pub(super) fn prepare(tools: &Tools, dir: &Path) -> Result<Vec<String>> {
    let (mut declared, mut sum) = (String::new(), String::new());
    for number in 1..JOBS {
        write(
            &dir.join(format!("part_{number}.c")),
            // Inlined into main, it would leave nothing of its file.
            format!("__attribute__((noinline)) int part_{number}(int n) {{ return n * {number}; }}\n"),
        )?;
        declared += &format!("int part_{number}(int n);\n");
        sum += &format!(" + part_{number}(count)");
    }
    let main = format!(
        "#include <stdio.h>\n{declared}\nint main(int count, char **words) {{\n    printf(\"%d\\n\", 0{sum});\n    \
         return 0;\n}}\n"
    );
    write(&dir.join("main.c"), main)?;
    // Asked before the wrapper is there, which a gcc that finds it hands down to all that it starts.
    let real = output(&in_trixie(tools, dir, "gcc -print-prog-name=lto1 && gcc -O2 -flto -c *.c")?)?;
    let record = dir.join("record").display().to_string();
    script(&dir.join("wrapped/lto1"), &LTO1.replace("RECORD", &record).replace("REAL", real.trim()))?;
    in_trixie(tools, dir, "exec gcc -O2 -flto=jobserver -flto-partition=1to1 -B$PWD/wrapped/ *.o -o program")
}

/// Runs the program that was linked.
pub(super) fn check(tools: &Tools, dir: &Path) -> Result<()> {
    let said = output(&in_trixie(tools, dir, "exec ./program")?)?;
    let sum: usize = (1..JOBS).sum();
    ensure!(said == format!("{sum}\n"), "the program says {said:?}, not {sum}");
    Ok(())
}

fn output(words: &[String]) -> Result<String> {
    let output = Command::new(&words[0]).args(&words[1..]).output()?;
    ensure!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?)
}

fn in_trixie(tools: &Tools, dir: &Path, script: &str) -> Result<Vec<String>> {
    let root = tools.trixie.as_ref().context("gcc 14 was not fetched")?;
    let shared = env::temp_dir();
    let mounted = format!("{}{}", root.display(), shared.display());
    let enter = "mkdir -p \"$2\" && mount --rbind \"$1\" \"$2\" && exec chroot \"$3\" sh -c \"cd '$4' && $5\"";
    let words = ["unshare", "--mount", "sh", "-c", enter, "sh"].map(str::to_string);
    let arguments = [shared.display().to_string(), mounted, root.display().to_string(), dir.display().to_string()];
    Ok(words.into_iter().chain(arguments).chain([script.to_string()]).collect())
}
