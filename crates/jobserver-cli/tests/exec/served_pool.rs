//! In a served pool: a lease of its own, whose first slot is the command's.

use std::process::{Child, Command, Stdio};

use rustix::process::{kill_process, Pid, Signal};
use serde_json::Value;

use crate::exec;
use crate::sandbox::{jobserver, Outcome, Sandbox};
use crate::served::{send, Served};

fn within(sandbox: &Sandbox, served: &Served, arguments: &[&str]) -> Command {
    let mut command = exec(sandbox, arguments);
    command.env("JOBSERVER_POOL", &served.dir);
    command
}

fn start(mut command: Command) -> Child {
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn wait(child: Child) -> Outcome {
    child.wait_with_output().unwrap().into()
}

fn held(status: &Value) -> u64 {
    status["held"].as_u64().unwrap()
}

/// A command that says `ready` and lasts until there is a file `go`.
const UNTIL_GO: [&str; 3] = ["sh", "-c", "echo ready; while ! [ -e go ]; do sleep 0.02; done"];

#[test]
fn it_takes_as_many_as_are_free_within_its_range() {
    for style in ["tracked", "fifo"] {
        let sandbox = Sandbox::new();
        let served = Served::new(&sandbox, &["-j6", "--style", style]);
        let first = sandbox.start(within(&sandbox, &served, &[&["-n", "2", "--"], &UNTIL_GO[..]].concat()));
        assert_eq!(held(&served.status()), 2);
        let outcome = sandbox.finish(within(&sandbox, &served, &["-n", "2..9", "--", "echo", "{}"]));
        outcome.is_clean();
        // All four if the server is quick: it is not waited for longer than for what is needed.
        let got: usize = outcome.out.trim().parse().unwrap();
        assert!((2..=4).contains(&got), "{style}: {got}");
        sandbox.write("go", "");
        assert_eq!(wait(first).status, Some(0));
        served.finish();
    }
}

#[test]
fn more_than_the_pool_has_is_an_error_at_once() {
    let sandbox = Sandbox::new();
    let served = Served::new(&sandbox, &["-j4"]);
    let outcome = sandbox.finish(within(&sandbox, &served, &["-n", "5", "--", "true"]));
    assert_eq!(outcome.status, Some(125), "{outcome:?}");
    assert!(outcome.line().contains("5 slots can't be had: the pool has 4"), "{outcome:?}");
    // The lease of whoever is above bounds it as well.
    let exec = ["-j2", "--", jobserver(), "exec", "-n", "3", "--", "true"];
    let outcome = sandbox.finish(served.run(&exec));
    assert_eq!(outcome.status, Some(125), "{outcome:?}");
    assert!(outcome.line().contains("the pool has 2"), "{outcome:?}");
    served.finish();
}

#[test]
fn several_that_need_all_slots_take_turns() {
    for style in ["tracked", "fifo"] {
        let sandbox = Sandbox::new();
        let served = Served::new(&sandbox, &["-j4", "--style", style]);
        let job = "mkdir busy && sleep 0.1 && rmdir busy && echo {}";
        let words = ["-n", "4..4", "--timeout", "110", "--", "sh", "-c", job];
        let children: Vec<Child> = (0..6).map(|_| start(within(&sandbox, &served, &words))).collect();
        for child in children {
            let outcome = wait(child);
            assert_eq!((outcome.status, outcome.out.as_str()), (Some(0), "4\n"), "{style}: {outcome:?}");
            assert!(outcome.err.lines().count() <= 2, "{outcome:?}");
        }
        served.finish();
    }
}

#[test]
fn a_wait_ends_at_its_time_or_by_a_signal_and_leaves_nothing_behind() {
    let sandbox = Sandbox::new();
    let served = Served::new(&sandbox, &["-j3"]);
    let first = sandbox.start(within(&sandbox, &served, &[&["-n", "2", "--"], &UNTIL_GO[..]].concat()));
    let outcome = sandbox.finish(within(&sandbox, &served, &["-n", "2", "--timeout", "700ms", "--", "true"]));
    assert_eq!(outcome.status, Some(124), "{outcome:?}");
    assert!(outcome.err.contains("2 slots did not come in 0.7 s, 1 at most"), "{outcome:?}");
    for (signal, status) in [(Signal::INT, 130), (Signal::TERM, 143), (Signal::HUP, 129)] {
        let waits = start(within(&sandbox, &served, &["-n", "2", "--", "true"]));
        served.until("it has its first slot", |status| held(status) == 3);
        send(&waits, signal);
        assert_eq!(wait(waits).status, Some(status));
        served.until("its slot is back", |status| held(status) == 2);
    }
    sandbox.write("go", "");
    assert_eq!(wait(first).status, Some(0));
    served.finish();
}

#[test]
fn all_come_back_when_it_or_its_command_is_killed() {
    let sandbox = Sandbox::new();
    let served = Served::new(&sandbox, &["-j4"]);
    let words = [&["-n", "4", "--"], &UNTIL_GO[..]].concat();
    let mut child = sandbox.start(within(&sandbox, &served, &words));
    served.until("it holds all", |status| held(status) == 4);
    send(&child, Signal::KILL);
    child.wait().unwrap();
    // The command, which nobody watches any more, is one job and keeps one slot.
    let status = served.until("its tokens are back", |status| held(status) == 1);
    assert_eq!((status["recovered"].as_u64(), status["strays"].as_u64()), (Some(3), Some(0)), "{status}");
    sandbox.write("go", "");
    served.until("the command has ended", |status| held(status) == 0);
    std::fs::remove_file(sandbox.path("go")).unwrap();
    let child = sandbox.start(within(&sandbox, &served, &words));
    let status = served.until("it holds all", |status| held(status) == 4);
    let command = status["leases"].as_array().unwrap().iter().find_map(|lease| lease["command_pid"].as_i64()).unwrap();
    kill_process(Pid::from_raw(command as i32).unwrap(), Signal::KILL).unwrap();
    assert_eq!(wait(child).status, Some(137));
    let status = served.until("all are back", |status| held(status) == 0);
    assert_eq!((status["recovered"].as_u64(), status["strays"].as_u64()), (Some(3), Some(0)), "{status}");
    served.finish();
}
