//! What a stranger meets first: help, manual pages, completions, and the one form of an error.

#![cfg(unix)]
#![allow(missing_docs)]

use std::fs;
use std::io::Write;
use std::process::{Command, Output, Stdio};

const COMMANDS: [&str; 10] = ["run", "exec", "each", "serve", "status", "top", "set", "doctor", "completions", "man"];

fn jobserver(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_jobserver"));
    testkit::process::without_jobserver(&mut command);
    command.args(arguments).env_remove("JOBSERVER_POOL").env_remove("XDG_RUNTIME_DIR").stdin(Stdio::null());
    command.output().unwrap()
}

fn text(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(output.stderr.is_empty(), "{output:?}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[test]
fn the_first_page_names_every_command_in_a_group_and_every_command_has_a_page() {
    let first = text(&jobserver(&["--help"]));
    for title in ["Run under a pool:", "Share a machine:", "Find out what is wrong:", "Install:", "Examples:"] {
        assert!(first.lines().any(|line| line == title), "{title}: {first}");
    }
    for command in COMMANDS {
        assert!(first.lines().any(|line| line.trim_start().starts_with(&format!("{command} "))), "{command}: {first}");
        for ask in [&[command, "--help"][..], &["help", command]] {
            let page = text(&jobserver(ask));
            assert!(page.contains(&format!("Usage: jobserver {command}")), "{page}");
            assert!(page.lines().all(|line| line.len() <= 100), "{page}");
        }
    }
}

#[test]
fn no_colour_goes_into_a_pipe() {
    for ask in [&["--help"][..], &["help", "run"], &["man"]] {
        assert!(!text(&jobserver(ask)).contains('\u{1b}'), "{ask:?}");
    }
}

#[test]
fn there_is_a_manual_page_for_each_command_and_its_options_are_in_it() {
    let dir = tempfile::tempdir().unwrap();
    let pages = dir.path().join("man");
    text(&jobserver(&["man", pages.to_str().unwrap()]));
    let mut names: Vec<_> = fs::read_dir(&pages).unwrap().map(|page| page.unwrap().file_name()).collect();
    names.sort();
    let mut expected: Vec<std::ffi::OsString> =
        COMMANDS.iter().map(|command| format!("jobserver-{command}.1").into()).collect();
    expected.push("jobserver.1".into());
    expected.sort();
    assert_eq!(names, expected);
    for (page, words) in [
        ("jobserver-run.1", &["\\-\\-style", ".SH EXAMPLES", ".SH \"EXIT STATUS\"", "\\fBjobserver run\\fR"][..]),
        ("jobserver-exec.1", &["\\-\\-timeout", "124", "\\fBjobserver exec\\fR [OPTIONS] <CMD>..."]),
        ("jobserver-status.1", &[".SH COLUMNS"]),
        ("jobserver.1", &[".TH jobserver 1", "jobserver\\-each(1)", "\\fBjobserver\\fR <COMMAND>"]),
    ] {
        let text = fs::read_to_string(pages.join(page)).unwrap();
        for word in words {
            assert!(text.contains(word), "{word}: {text}");
        }
    }
    // Each title once, and no line that is kept is longer than a screen is wide.
    for name in &names {
        let text = fs::read_to_string(pages.join(name)).unwrap();
        assert_eq!(text.matches(".SH SYNOPSIS").count(), 1, "{text}");
        assert!(text.matches(".SH NOTES").count() <= 1, "{text}");
        for kept in text.split(".nf\n").skip(1).map(|rest| rest.split(".fi\n").next().unwrap()) {
            assert!(kept.lines().all(|line| line.len() <= 120), "{name:?}: {kept}");
        }
    }
    let output = jobserver(&["man", "/proc/none"]);
    assert_eq!(output.status.code(), Some(125), "{output:?}");
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.starts_with("jobserver: the manual pages in /proc/none can't be written: "), "{said}");
}

#[test]
fn completions_are_scripts_that_their_shell_can_read() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = text(&jobserver(&["completions", shell]));
        for command in COMMANDS {
            assert!(script.contains(command), "{shell}: {command}");
        }
        if shell == "bash" {
            let mut bash = Command::new("bash").arg("-n").stdin(Stdio::piped()).spawn().unwrap();
            bash.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
            assert!(bash.wait().unwrap().success());
        }
    }
}

#[test]
fn a_wrong_argument_is_one_error_that_names_it() {
    for (arguments, named) in [
        (&["exec", "-n", "8..2", "--", "true"][..], "8 is more than 2"),
        (&["exec", "--timeout", "soon", "--", "true"], "--timeout"),
        (&["set"], "--jobs"),
        (&["set", "--cap", "2"], "--lease"),
        (&["set", "--lease", "x", "--cap", "0"], "--cap"),
        (&["each", "-j0", "--", "true"], "a pool has one slot at least"),
        (&["completions", "csh"], "csh"),
        (&["fly"], "fly"),
    ] {
        let output = jobserver(arguments);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(125), "{arguments:?}: {said}");
        assert!(said.starts_with("jobserver: ") && said.contains(named), "{arguments:?}: {said}");
        assert!(said.lines().count() == 1 && said.ends_with("--help` says what there is\n"), "{arguments:?}: {said}");
        assert!(output.stdout.is_empty());
    }
}
