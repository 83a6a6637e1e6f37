//! In a served pool: a lease of its own, whose first slot is the command's.

use std::process::{Child, Command};

use rustix::process::{kill_process, Pid, Signal};
use serde_json::Value;
use testkit::clients;
use testkit::spans::Recorder;

use crate::exec;
use crate::sandbox::{jobserver, start, text, wait, Sandbox};
use crate::served::{send, Served};

fn within(sandbox: &Sandbox, served: &Served, arguments: &[&str]) -> Command {
    let mut command = exec(sandbox, arguments);
    command.env("JOBSERVER_POOL", &served.dir);
    command
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
    // However the pool is reached.
    for style in ["tracked", "fifo", "pipe"] {
        let outcome =
            sandbox.finish(served.run(&["--style", style, "--", jobserver(), "exec", "-n", "5", "--", "true"]));
        assert_eq!(outcome.status, Some(125), "{style}: {outcome:?}");
        assert!(outcome.line().contains("the pool has 4"), "{style}: {outcome:?}");
    }
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

/// Between two attempts nothing of the earlier one is to be seen, though the process that waits is the same.
#[test]
fn who_waits_for_its_turn_leaves_no_lease_behind() {
    let sandbox = Sandbox::new();
    let served = Served::new(&sandbox, &["-j3"]);
    let first = sandbox.start(within(&sandbox, &served, &[&["-n", "2", "--"], &UNTIL_GO[..]].concat()));
    let waits = start(within(&sandbox, &served, &["-n", "3", "--", "true"]));
    for attempt in 1..=2 {
        served.until(&format!("attempt {attempt}"), |status| held(status) == 3);
        served.until(&format!("nothing of attempt {attempt} is left"), |status| {
            status["leases"].as_array().unwrap().len() == 1 && held(status) == 2
        });
    }
    sandbox.write("go", "");
    assert_eq!(wait(first).status, Some(0));
    assert_eq!(wait(waits).status, Some(0));
    served.finish();
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

/// Each recipe of one make needs all slots, and holds one: nobody could ever have all, if nobody did without his own.
#[test]
fn recipes_of_one_build_that_need_all_slots_lend_each_other_their_own() {
    let sandbox = Sandbox::new();
    let exec = format!("{} exec -n 4..4 --timeout 110 --", jobserver());
    let recorder = Recorder::new();
    let makefile = format!("all: a b c d e\na b c d e: ; @+{exec} {} true\n", recorder.wrapper().display());
    sandbox.write("Makefile", &makefile);
    let make = clients::make_4_4();
    let words = ["--style", "tracked", "--", text(&make), "-s"];
    let served = Served::new(&sandbox, &["-j4"]);
    for (number, run) in [served.run(&words), {
        let mut own = sandbox.jobserver(&["-j4", "--no-pool"]);
        own.args(words);
        own
    }]
    .into_iter()
    .enumerate()
    {
        let outcome = wait(start(run));
        assert_eq!(outcome.status, Some(0), "{outcome:?}");
        let lines: Vec<&str> = outcome.err.lines().collect();
        // Neither a lost token nor a stray is told at the end.
        assert!(lines.len() <= 5 && lines.iter().all(|line| line.contains("given back for now")), "{outcome:?}");
        let spans = recorder.spans();
        assert_eq!((spans.jobs(), spans.most_at_once()), (5 * (number + 1), 1), "four slots each");
    }
    let status = served.until("nothing is lent", |status| status["free"] == 4);
    assert_eq!((status["strays"].as_u64(), status["recovered"].as_u64()), (Some(0), Some(0)), "{status}");
    served.finish();
}

/// Who lends and is killed leaves its recipe's slot with the recipe.
#[test]
fn a_lender_that_is_killed_lends_no_more() {
    let sandbox = Sandbox::new();
    let wait_for = |file: &str| format!("until [ -e {file} ]; do sleep 0.01; done");
    // The make itself holds the first slot of two; the recipes cannot both have two.
    let script = format!(
        "{j} exec -n 2..2 -- true & echo $! >lender; {until}; kill -9 $(cat lender); touch killed; {end}",
        j = jobserver(),
        until = wait_for("lent"),
        end = wait_for("go")
    );
    let makefile = format!("all: a b\na: ; @+sh -c '{script}'\nb: ; @{}\n", wait_for("go").replace('$', "$$"));
    sandbox.write("Makefile", &makefile.replace("$!", "$$!").replace("$(cat", "$$(cat"));
    let served = Served::new(&sandbox, &["-j2"]);
    let make = clients::make_4_4();
    let build = start(served.run(&["--style", "tracked", "--", text(&make), "-s"]));
    served.until("a slot is lent", |status| status["leases"][0]["lent"] == 1);
    std::fs::write(sandbox.path("lent"), "").unwrap();
    served.until("and is held again", |status| {
        sandbox.path("killed").exists() && status["leases"][0]["lent"] == 0 && held(status) == 2
    });
    std::fs::write(sandbox.path("go"), "").unwrap();
    let outcome = wait(build);
    assert_eq!(outcome.status, Some(0), "{outcome:?}");
    served.finish();
}
