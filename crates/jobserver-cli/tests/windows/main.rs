//! The command on Windows, driven as a user drives it: real make, statuses and lines as they come out.
//!
//! Processes of a test are this very program again, in a role. A run that lost no token says nothing, so an empty
//! standard error is the balance.

#![cfg(windows)]
#![allow(missing_docs)]

mod doctor;
mod more;
mod nested;
mod run;
#[allow(unsafe_code)]
mod sys;

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use testkit::process;

/// How a run ended and what it wrote.
#[derive(Debug)]
struct Outcome {
    status: Option<i32>,
    out: String,
    err: String,
}

impl Outcome {
    /// That all went well, with nothing to report.
    #[track_caller]
    fn is_clean(&self) {
        assert!(self.status == Some(0) && self.err.is_empty(), "{self:?}");
    }
}

/// `jobserver ARGUMENTS...`, under no jobserver.
fn jobserver(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_jobserver"));
    process::without_jobserver(&mut command);
    command.args(arguments).env_remove("JOBSERVER_POOL");
    command
}

/// Runs it to its end.
fn finish(command: &mut Command) -> Outcome {
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let output = process::finish(child);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).replace("\r\n", "\n");
    Outcome { status: output.status.code(), out: text(&output.stdout), err: text(&output.stderr) }
}

/// The words that run the test `name` of this program as a process in a role.
fn me(name: &str) -> Vec<String> {
    let me = std::env::current_exe().unwrap().to_str().unwrap().to_string();
    [&me, name, "--exact", "--include-ignored", "--nocapture", "--quiet"].map(str::to_string).to_vec()
}

fn line(name: &str) -> String {
    me(name).join(" ")
}

/// A makefile with a sub-make, of 4 jobs each, in this folder.
fn makefile(folder: &Path, job: &str) {
    let text = format!(
        "all: a b c d sub\nsub:\n\t@$(MAKE) below\nbelow: e f g h\na b c d e f g h:\n\t@{job}\n.PHONY: all sub below\n"
    );
    fs::write(folder.join("Makefile"), text).unwrap();
}

fn make() -> String {
    testkit::clients::make_for_windows().into_os_string().into_string().unwrap()
}
