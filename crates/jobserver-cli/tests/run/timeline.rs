//! `run --timeline` and `--trace`: what is written about real builds, and that no build fails for it.
//!
//! What a person sees of the page is for `cargo xtask timeline`, in a real browser.

use std::fs;

use serde_json::Value;
use testkit::clients;

use crate::sandbox::{jobserver, start, text, wait, Sandbox};
use crate::served::{send, Served};

/// The events of a category.
fn of(trace: &Value, category: &str) -> Vec<Value> {
    let events = trace["traceEvents"].as_array().unwrap().iter();
    events.filter(|event| event["cat"] == category).cloned().collect()
}

fn names(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event["name"].as_str().unwrap()).collect()
}

fn counters(trace: &Value) -> Vec<Value> {
    let events = trace["traceEvents"].as_array().unwrap().iter();
    events.filter(|event| event["ph"] == "C").cloned().collect()
}

fn read(sandbox: &Sandbox, name: &str) -> Value {
    serde_json::from_slice(&fs::read(sandbox.path(name)).unwrap()).unwrap()
}

/// Six jobs that take a while.
const SLEEPERS: &str = "all: j1 j2 j3 j4 j5 j6\nj%: ; @sleep 0.3\n";

#[test]
fn each_job_of_a_make_is_there_with_its_command_and_its_time() {
    let sandbox = Sandbox::new();
    sandbox.write("Makefile", SLEEPERS);
    let make = clients::make_4_4();
    for style in ["tracked", "fifo", "pipe"] {
        sandbox
            .run(&["-j3", "--style", style, "--timeline", "a.html", "--trace", "a.json", "--", text(&make)])
            .is_clean();
        let trace = read(&sandbox, "a.json");
        let jobs = of(&trace, "job");
        assert_eq!(names(&jobs), ["sleep"; 6], "{style}");
        for job in &jobs {
            assert!(job["dur"].as_f64() >= Some(300_000.0), "{job}");
            assert_eq!(job["args"]["command"], "sleep 0.3");
        }
        let most = counters(&trace).iter().map(|counter| counter["args"]["in use"].as_u64().unwrap()).max();
        assert_eq!((most, &trace["otherData"]["width"]), (Some(3), &3.into()), "{style}");
        let page = fs::read_to_string(sandbox.path("a.html")).unwrap();
        assert!(page.contains("of 3 slots on average"), "{style}");
        assert_eq!(page.contains("told by the pool"), style == "tracked");
    }
}

/// All tokens lie where the client takes them, so while it only takes nobody else has to know.
#[test]
fn what_a_client_takes_is_seen_before_it_returns_any() {
    let sandbox = Sandbox::new();
    let script = "f=${MAKEFLAGS##*fifo:}; exec 3<>${f%% *}; t=$(head -c 1 <&3); printf %s $t >&3; \
                  sleep 1; t=$(head -c 1 <&3); sleep 2; printf %s $t >&3";
    sandbox.run(&["-j3", "--style", "tracked", "--trace", "a.json", "--", "sh", "-c", script]).is_clean();
    let trace = read(&sandbox, "a.json");
    let counters = counters(&trace);
    let end = 1e6 * trace["otherData"]["seconds"].as_f64().unwrap();
    let at = |place: usize| counters.get(place).map_or(end, |counter| counter["ts"].as_f64().unwrap());
    let taken = (0..counters.len()).rfind(|&place| counters[place]["args"]["in use"] == 2).unwrap();
    assert!(at(taken + 1) - at(taken) > 1e6, "{counters:?}");
}

#[test]
fn without_the_kernels_help_what_lives_for_a_while_is_found_all_the_same() {
    let sandbox = Sandbox::new();
    sandbox.write("Makefile", SLEEPERS);
    let make = clients::make_4_4();
    let mut command = sandbox.jobserver(&["-j3", "--timeline", "a.html", "--trace", "a.json", "--", text(&make)]);
    command.env("JOBSERVER_TIMELINE", "looks");
    sandbox.finish(command).is_clean();
    let trace = read(&sandbox, "a.json");
    assert_eq!(names(&of(&trace, "job")), ["sleep"; 6]);
    assert!(fs::read_to_string(sandbox.path("a.html")).unwrap().contains("they were looked for"));
}

/// The kernel tells the first thread's end, and the process goes on under its number.
#[test]
fn a_program_executed_by_another_thread_is_recorded_with_all_its_jobs() {
    let sandbox = Sandbox::new();
    sandbox.write("Makefile", SLEEPERS);
    let make = clients::make_4_4();
    let script = format!("import os, threading, time\nthreading.Thread(target=os.execv, args=({0:?}, [{0:?}])).start()\ntime.sleep(60)\n", text(&make));
    sandbox.write("execs.py", &script);
    let mut command = sandbox.command("python3");
    command.arg("--version");
    if command.output().map_or(true, |output| !output.status.success()) {
        return;
    }
    for line in ["python3 execs.py", "python3 execs.py; true"] {
        sandbox.run(&["-j3", "--timeline", "a.html", "--trace", "a.json", "--", "sh", "-c", line]).is_clean();
        let jobs = of(&read(&sandbox, "a.json"), "job");
        assert_eq!(names(&jobs).iter().filter(|&&name| name == "sleep").count(), 6, "{line}: {jobs:?}");
    }
}

#[test]
fn a_served_pool_tells_what_moves_in_the_lease() {
    let sandbox = Sandbox::new();
    sandbox.write("Makefile", SLEEPERS);
    let served = Served::new(&sandbox, &["-j4"]);
    for (make, jobs) in [(clients::make_4_4(), "-j3"), (clients::make_4_3(), "-j2")] {
        let style = if jobs == "-j2" { "pipe" } else { "tracked" };
        sandbox.finish(served.run(&[jobs, "--style", style, "--trace", "a.json", "--", text(&make)])).is_clean();
        let trace = read(&sandbox, "a.json");
        assert_eq!(names(&of(&trace, "job")), ["sleep"; 6]);
        let width: u64 = jobs[2..].parse().unwrap();
        let most = counters(&trace).iter().map(|counter| counter["args"]["in use"].as_u64().unwrap()).max();
        assert_eq!((most, &trace["otherData"]["width"]), (Some(width), &width.into()));
    }
    served.finish();
}

#[test]
fn under_another_jobserver_jobs_are_counted_in_place_of_slots() {
    let sandbox = Sandbox::new();
    sandbox.write("inner.mk", SLEEPERS);
    let make = clients::make_4_4();
    let run = format!("{} run --timeline a.html --trace a.json -- {} -f inner.mk", jobserver(), text(&make));
    sandbox.write("Makefile", &format!("all: ; +@{run}\n"));
    let mut command = sandbox.command(&make);
    command.arg("-j2");
    sandbox.finish(command).is_clean();
    let trace = read(&sandbox, "a.json");
    assert_eq!(names(&of(&trace, "job")), ["sleep"; 6]);
    assert!(fs::read_to_string(sandbox.path("a.html")).unwrap().contains("jobs are counted in their place"));
}

#[test]
fn the_status_is_the_commands_own_and_what_it_did_is_written_however_it_ends() {
    let sandbox = Sandbox::new();
    let outcome = sandbox.run(&["--timeline", "a.html", "--", "sh", "-c", "exit 7"]);
    assert_eq!((outcome.status, outcome.err.as_str()), (Some(7), ""));
    assert!(fs::read_to_string(sandbox.path("a.html")).unwrap().contains("exit status: 7"));
    let command = sandbox.jobserver(&["--timeline", "b.html", "--", "sh", "-c", "echo ready; exec sleep 60"]);
    let child = sandbox.start(command);
    send(&child, rustix::process::Signal::TERM);
    let outcome = sandbox.wait(child);
    assert_eq!((outcome.status, outcome.err.as_str()), (Some(143), ""));
    assert!(fs::read_to_string(sandbox.path("b.html")).unwrap().contains("signal: 15"));
}

#[test]
fn a_file_that_cannot_be_written_is_an_error_before_the_command_starts() {
    let sandbox = Sandbox::new();
    for option in ["--timeline", "--trace"] {
        let outcome = sandbox.run(&[option, "no/such/folder", "--", "touch", "started"]);
        assert_eq!(outcome.status, Some(125));
        assert!(outcome.line().starts_with("jobserver: no/such/folder can't be written: "), "{outcome:?}");
    }
    let outcome = sandbox.run(&["--timeline", "same", "--trace", "same", "--", "touch", "started"]);
    assert!(outcome.status == Some(125) && outcome.line().contains("a file each"), "{outcome:?}");
    assert!(!sandbox.path("started").exists());
}

#[test]
fn a_file_that_can_no_longer_be_written_is_said_and_the_status_stays() {
    let sandbox = Sandbox::new();
    fs::create_dir(sandbox.path("out")).unwrap();
    let outcome = sandbox.run(&["--timeline", "out/a.html", "--", "sh", "-c", "rm -r out; exit 3"]);
    assert_eq!(outcome.status, Some(3));
    assert!(outcome.line().starts_with("jobserver: out/a.html can't be written: "), "{outcome:?}");
}

#[test]
fn a_command_that_does_not_start_leaves_no_empty_file_and_an_old_one_as_it_was() {
    let sandbox = Sandbox::new();
    sandbox.write("old.json", "old");
    let outcome = sandbox.run(&["--timeline", "new.html", "--trace", "old.json", "--", "no-such-command"]);
    assert_eq!(outcome.status, Some(127));
    assert!(!sandbox.path("new.html").exists());
    assert_eq!(fs::read_to_string(sandbox.path("old.json")).unwrap(), "old");
}

#[test]
fn two_timelines_at_once_do_not_meet() {
    let sandbox = Sandbox::new();
    sandbox.write("Makefile", SLEEPERS);
    let make = clients::make_4_4();
    let children =
        ["a.json", "b.json"].map(|file| start(sandbox.jobserver(&["-j3", "--trace", file, "--", text(&make)])));
    children.into_iter().for_each(|child| wait(child).is_clean());
    for file in ["a.json", "b.json"] {
        assert_eq!(names(&of(&read(&sandbox, file), "job")), ["sleep"; 6], "{file}");
    }
}
