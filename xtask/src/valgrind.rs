//! `cargo xtask valgrind`: the examples under memcheck, each in a pool that the example `serve` gives it, itself under
//! memcheck as well.
//!
//! An error is: a use of memory that is not there or not set, memory that is lost for certain, a descriptor of the
//! library's that is open at the end. What a process keeps for as long as it lives is none: the main thread's handle in
//! std ("possibly lost"), the runtimes' epoll and signal pipes. helgrind is not asked: it doesn't know the locks of
//! std, which are no pthread mutexes; ThreadSanitizer does, in `sanitize`.

use std::fs;
use std::path::Path;

use anyhow::{ensure, Context as _, Result};
use xshell::cmd;

use crate::context::Context;
use crate::root;

/// The examples, each with its arguments, and what it prints beside the balance.
const EXAMPLES: [(&str, &[&str], &str); 4] = [
    ("connect", &[], "room for 3 jobs\n"),
    ("slots", &["true", "true", "true", "true"], ""),
    ("async", &["true", "true"], "true: exit status: 0\ntrue: exit status: 0\n"),
    ("event_loop", &["true", "true", "true"], "exit status: 0\nexit status: 0\nexit status: 0\n"),
];

/// Runs each of them in both kinds of pool.
pub(crate) fn run(context: &Context) -> Result<()> {
    if cmd!(context.sh, "valgrind --version").quiet().ignore_stdout().ignore_stderr().run().is_err() {
        root::install(context, &["valgrind"], "memcheck")?;
    }
    let dir = context.scratch("valgrind")?;
    context.cargo(10, &["build", "--quiet", "-p", "jobserver", "--examples", "--target-dir"]).arg(&dir).run()?;
    let program = |name: &str| dir.join("debug/examples").join(name);
    let logs = dir.join("logs");
    if logs.exists() {
        fs::remove_dir_all(&logs).with_context(|| logs.display().to_string())?;
    }
    fs::create_dir_all(&logs).with_context(|| logs.display().to_string())?;
    let log = format!("--log-file={}/%p", logs.display());
    let valgrind = ["valgrind", "--leak-check=full", "--errors-for-leak-kinds=definite", "--track-fds=yes", &log];
    for pool in ["", "--fifo"] {
        for (name, args, says) in EXAMPLES {
            let serve = context.bounded(5, valgrind[0]).args(&valgrind[1..]).arg(program("serve"));
            let serve = serve.args(Some(pool).filter(|pool| !pool.is_empty())).arg("3");
            let said = serve.args(valgrind).arg(program(name)).args(args).quiet().output()?;
            let said = String::from_utf8_lossy(&said.stdout).into_owned();
            ensure!(said == format!("{says}2 of 2 tokens are in the pool\n"), "{name}, {pool}: {said}");
        }
    }
    let ended = judge(&logs)?;
    // Of each run two processes end by themselves; the jobs are forked, and their logs end where another program begins.
    let expected = 4 * EXAMPLES.len();
    ensure!(ended == expected, "{ended} processes in place of {expected} have said how they ended");
    println!("{ended} processes without an error: serve, {}", EXAMPLES.map(|(name, ..)| name).join(", "));
    Ok(())
}

/// How many processes have told their errors; one that has any is an error.
fn judge(logs: &Path) -> Result<usize> {
    let mut ended = 0;
    for entry in fs::read_dir(logs).with_context(|| logs.display().to_string())? {
        let path = entry?.path();
        let log = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        if let Some(summary) = log.lines().find(|line| line.contains("ERROR SUMMARY:")) {
            ended += 1;
            ensure!(summary.contains(" 0 errors "), "{}:\n{log}", path.display());
            ensure!(!left_open(&log), "{}: a descriptor of the library is open at the end:\n{log}", path.display());
        }
    }
    Ok(ended)
}

/// Whether a descriptor is open at the end that was opened in the library: its entry has the calls that led there.
fn left_open(log: &str) -> bool {
    let entries = log.split("Open file descriptor").skip(1);
    let calls = entries.map(|entry| entry.split("HEAP SUMMARY").next().unwrap_or_default());
    calls.into_iter().any(|calls| calls.contains("jobserver::"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_descriptor_is_the_librarys_if_the_library_opened_it() {
        let inherited = "FILE DESCRIPTORS: 4 open\nOpen file descriptor 3:\n   <inherited from parent>\n\n";
        let mio =
            "Open file descriptor 5:\n   at 0x1: pipe2 (pipe.c:1)\n   by 0x2: mio::unix::pipe::new (pipe.rs:2)\n\n";
        let ours = "Open file descriptor 6:\n   at 0x1: open\n   by 0x2: jobserver::transport::open (mod.rs:9)\n\n";
        let heap = "HEAP SUMMARY:\n 1 byte\n by 0x2: jobserver::client::Client::new (client.rs:1)\n";
        assert!(!left_open(&format!("{inherited}{mio}{heap}")));
        assert!(left_open(&format!("{inherited}{ours}{mio}{heap}")));
        assert!(!left_open(heap));
    }
}
