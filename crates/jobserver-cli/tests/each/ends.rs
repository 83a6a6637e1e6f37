//! How it ends: by its items, by a failure, by a signal.

use std::process::Stdio;

use rustix::process::Signal;

use crate::sandbox::Sandbox;
use crate::served::send;
use crate::{each, fed};

#[test]
fn the_status_is_how_many_failed_up_to_a_hundred() {
    let sandbox = Sandbox::new();
    for (failures, status) in [(0, 0), (3, 3), (100, 100), (101, 101), (150, 101)] {
        let input = "1\n".repeat(failures) + "0\n0\n";
        let outcome = fed(&sandbox, &["-j4", "--", "sh", "-c", "exit $1", "sh"], input.as_bytes());
        assert_eq!(outcome.status, Some(status), "{failures}");
        assert_eq!(outcome.err.lines().count(), failures, "{outcome:?}");
    }
}

#[test]
fn the_first_failure_is_the_last_start_if_it_is_to_be() {
    let sandbox = Sandbox::new();
    let words = ["--fail-fast", "-j1", "--", "sh", "-c", "echo $1; exit $1", "sh", ":::", "0", "1", "0", "2"];
    let outcome = sandbox.finish(each(&sandbox, &words));
    assert_eq!((outcome.status, outcome.out.as_str()), (Some(1), "0\n1\n"), "{outcome:?}");
    // Those that run are not disturbed.
    let script =
        "case $1 in fails) while ! [ -e runs ]; do sleep 0.02; done; exit 1;; *) touch runs; sleep 0.3; echo $1;; esac";
    let words = ["--fail-fast", "-j2", "--", "sh", "-c", script, "sh", ":::", "fails", "other", "third"];
    let outcome = sandbox.finish(each(&sandbox, &words));
    assert_eq!((outcome.status, outcome.out.as_str()), (Some(1), "other\n"), "{outcome:?}");
}

#[test]
fn a_command_that_is_not_there_is_127_at_once() {
    let sandbox = Sandbox::new();
    let outcome = sandbox.finish(each(&sandbox, &["-j4", "--", "no-such-program", ":::", "1", "2", "3"]));
    assert_eq!(outcome.status, Some(127), "{outcome:?}");
    assert!(outcome.line().starts_with("jobserver: no-such-program: "), "{outcome:?}");
    // As an item it is one of several.
    sandbox.script("there", "echo here\n");
    let outcome = sandbox.finish(each(&sandbox, &["-j4", "--", "./{}", ":::", "no-such-program", "there"]));
    assert_eq!((outcome.status, outcome.out.as_str()), (Some(1), "here\n"), "{outcome:?}");
}

#[test]
fn a_signal_goes_to_all_that_run_and_no_more_are_started() {
    for (signal, status) in [(Signal::INT, 130), (Signal::TERM, 143), (Signal::HUP, 129)] {
        let sandbox = Sandbox::new();
        // Told as soon as all run; none waits for its time.
        let script = "trap 'touch $1.told; exit 1' INT TERM HUP; touch $1.runs; while :; do sleep 0.02; done";
        let mut command = each(&sandbox, &["-j3", "--", "sh", "-c", script, "sh", ":::", "a", "b", "c", "d"]);
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        while !["a", "b", "c"].iter().all(|name| sandbox.path(&format!("{name}.runs")).exists()) {
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        send(&child, signal);
        let outcome = sandbox.wait(child);
        assert_eq!(outcome.status, Some(status), "{outcome:?}");
        assert!(outcome.line().contains("no further items were started"), "{outcome:?}");
        let is_there = |name: &str| sandbox.path(name).exists();
        assert!(["a.told", "b.told", "c.told"].iter().all(|name| is_there(name)) && !is_there("d.runs"));
    }
}

#[test]
fn a_signal_ends_the_wait_for_items() {
    let sandbox = Sandbox::new();
    let mut command = each(&sandbox, &["-j2", "--", "touch"]);
    let mut child = command.stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    std::io::Write::write_all(child.stdin.as_mut().unwrap(), b"first\n").unwrap();
    while !sandbox.path("first").exists() {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    send(&child, Signal::TERM);
    let input = child.stdin.take();
    assert_eq!(child.wait().unwrap().code(), Some(143));
    drop(input);
}
