//! Builds that share a served pool: never more jobs than slots, nothing lost by any death, nobody harmed by a bad peer.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::process::Child;

use rustix::process::Signal;
use serde_json::Value;
use testkit::clients;
use testkit::spans::Recorder;

use crate::sandbox::{start, text, wait, Sandbox};
use crate::served::{send, Served};
use crate::slots::flat;

fn held(status: &Value) -> u64 {
    status["held"].as_u64().unwrap()
}

#[test]
fn builds_of_every_kind_share_one_pool_and_never_run_more_jobs_than_it_has_slots() {
    for style in ["tracked", "fifo"] {
        let sandbox = Sandbox::new();
        let recorder = Recorder::new();
        let served = Served::new(&sandbox, &["-j4", "--style", style]);
        let job = format!("{} sleep 0.05", recorder.wrapper().display());
        sandbox.write("Makefile", &flat(&job));
        let edges: String = (0..12).map(|number| format!("build n{number}: job\n")).collect();
        sandbox.write("build.ninja", &format!("rule job\n command = {job}\n{edges}"));
        let (new, old, ninja) = (clients::make_4_4(), clients::make_4_3(), clients::ninja());
        let builds = [[text(&new), "-s"], [text(&new), "-s"], [text(&old), "-s"], [text(&ninja), "--quiet"]];
        let children: Vec<Child> =
            builds.iter().map(|words| start(served.run(&[&["--"], words.as_slice()].concat()))).collect();
        for child in children {
            wait(child).is_clean();
        }
        let spans = recorder.spans();
        assert_eq!(spans.jobs(), 48);
        assert!(spans.most_at_once() <= 4, "{style}: {} at once", spans.most_at_once());
        served.finish();
    }
}

#[test]
fn what_a_killed_client_held_comes_back_while_its_build_goes_on() {
    let sandbox = Sandbox::new();
    let served = Served::new(&sandbox, &["-j4"]);
    // make -k outlives its killed child, which is a make of its own that holds tokens.
    sandbox.write(
        "Makefile",
        "all: sub\n\t@echo ready; while ! [ -e go ]; do sleep 0.02; done\nsub: ; -@+$(MAKE) -s -f sub.mk\n",
    );
    sandbox.write("sub.mk", "all: a b c d\na b c d: ; @echo $$PPID > $@.pid; while ! [ -e go ]; do sleep 0.02; done\n");
    let make = clients::make_4_4();
    let child = start(served.run(&["--", text(&make), "-s"]));
    let status = served.until("all slots are in use", |status| held(status) == 4);
    assert_eq!(status["leases"][0]["held"], 4, "{status}");
    let pid: i32 = std::fs::read_to_string(sandbox.path("a.pid")).unwrap().trim().parse().unwrap();
    rustix::process::kill_process(rustix::process::Pid::from_raw(pid).unwrap(), Signal::KILL).unwrap();
    let status = served.until("its tokens are back", |status| status["recovered"].as_u64() == Some(3));
    assert_eq!(status["strays"], 0, "{status}");
    sandbox.write("go", "");
    wait(child);
    served.finish();
}

#[test]
fn a_build_waits_for_its_first_slot_and_says_so_and_now_does_not() {
    let sandbox = Sandbox::new();
    let served = Served::new(&sandbox, &["-j1"]);
    let script = "echo ready; while ! [ -e go ]; do sleep 0.02; done";
    let first = sandbox.start(served.run(&["--", "sh", "-c", script]));
    let mut second = start(served.run(&["--name", "second", "--", "echo", "second"]));
    let mut said = String::new();
    BufReader::new(second.stderr.as_mut().unwrap()).read_line(&mut said).unwrap();
    assert!(said.starts_with("jobserver: waiting for a first slot of the pool at "), "{said}");
    let status = served.until("it waits", |status| status["leases"].as_array().unwrap().len() == 2);
    assert_eq!(
        (status["leases"][1]["name"].as_str(), status["leases"][1]["state"].as_str()),
        (Some("second"), Some("waiting"))
    );
    let outcome = sandbox.finish(served.run(&["--now", "--", "echo", "now"]));
    assert_eq!((outcome.out.as_str(), outcome.status), ("now\n", Some(0)), "{outcome:?}");
    // Ctrl-C while it waits: there is no command that could be asked.
    let third = start(served.run(&["--", "echo", "third"]));
    let waiting = |status: &Value| {
        status["leases"].as_array().unwrap().iter().filter(|lease| lease["state"] == "waiting").count()
    };
    served.until("it waits", |status| waiting(status) == 2);
    send(&third, Signal::INT);
    assert_eq!(wait(third).status, Some(130));
    sandbox.write("go", "");
    assert_eq!(wait(first).status, Some(0));
    let outcome = wait(second);
    assert_eq!((outcome.out.as_str(), outcome.status), ("second\n", Some(0)));
    served.finish();
}

#[test]
fn what_a_lease_is_to_be_is_what_its_status_says() {
    let sandbox = Sandbox::new();
    let served = Served::new(&sandbox, &["-j3"]);
    let script = "echo ready; while ! [ -e go ]; do sleep 0.02; done";
    let options = ["-j2", "--name", "build", "--weight", "3", "--floor", "2"];
    let child = sandbox.start(served.run(&[&options[..], &["--", "sh", "-c", script]].concat()));
    let status = served.status();
    let lease = &status["leases"][0];
    assert_eq!((lease["name"].as_str(), lease["cap"].as_u64()), (Some("build"), Some(2)), "{lease}");
    assert_eq!((lease["weight"].as_u64(), lease["floor"].as_u64()), (Some(3), Some(2)), "{lease}");
    assert_eq!(lease["uid"].as_u64(), Some(u64::from(rustix::process::geteuid().as_raw())));
    assert_eq!((status["version"].as_u64(), status["in_force"].as_u64()), (Some(1), Some(3)));
    sandbox.write("go", "");
    assert_eq!(wait(child).status, Some(0));
    served.finish();
}

#[test]
fn a_lease_lasts_as_long_as_its_command_even_if_the_runner_is_killed() {
    let sandbox = Sandbox::new();
    let served = Served::new(&sandbox, &["-j3"]);
    let script = "echo ready; while ! [ -e go ]; do sleep 0.02; done; : > done";
    let mut runner = sandbox.start(served.run(&["--", "sh", "-c", script]));
    served.until("the server knows the command", |status| status["leases"][0]["command_pid"].is_u64());
    runner.kill().unwrap();
    runner.wait().unwrap();
    let status = served.status();
    assert_eq!((held(&status), status["leases"][0]["state"].as_str()), (1, Some("running")), "{status}");
    sandbox.write("go", "");
    served.until("its slot is free", |status| held(status) == 0);
    assert!(sandbox.path("done").exists());
    served.finish();
}

#[test]
fn builds_go_on_with_the_width_they_have_when_the_server_is_killed() {
    let sandbox = Sandbox::new();
    let recorder = Recorder::new();
    let mut served = Served::new(&sandbox, &["-j4"]);
    let job = format!("{} sh -c ': > begun; sleep 0.05'", recorder.wrapper().display());
    sandbox.write("Makefile", &format!("all: $(addprefix j,$(shell seq 60))\nj%: ; @{job}\n"));
    let make = clients::make_4_4();
    let child = start(served.run(&["--", text(&make), "-s"]));
    while !sandbox.path("begun").exists() {
        std::thread::yield_now();
    }
    served.until("it holds all", |status| held(status) == 4);
    served.signal(Signal::KILL);
    served.server.take().unwrap().wait().unwrap();
    let outcome = wait(child);
    assert_eq!(outcome.status, Some(0), "{outcome:?}");
    let spans = recorder.spans();
    assert_eq!(spans.jobs(), 60);
    assert!(spans.most_at_once() <= 4, "{}", spans.most_at_once());
    // What it left is no hindrance for the next one.
    served.start(&["-j2"]);
    wait(start(served.run(&["--", "true"]))).is_clean();
    served.finish();
}

#[test]
fn a_bad_peer_harms_only_itself() {
    let sandbox = Sandbox::new();
    let served = Served::new(&sandbox, &["-j2"]);
    let connect = || UnixStream::connect(served.dir.join("socket")).unwrap();
    let ask = |text: &str| {
        let mut peer = connect();
        peer.write_all(text.as_bytes()).unwrap();
        let mut answer = String::new();
        BufReader::new(peer).read_line(&mut answer).unwrap();
        serde_json::from_str::<Value>(&answer).unwrap()
    };
    for nonsense in
        ["hello\n", "{}\n", "{\"request\":\"fly\"}\n", "\n", "{\"request\":\"open\",\"cap\":0}\n", "\u{0}\n"]
    {
        assert_eq!(ask(nonsense)["reply"], "error", "{nonsense:?}");
    }
    assert_eq!(ask("{\"request\":\"command\",\"pid\":1}\n")["reply"], "error");
    // One that sends without end is cut off, one that reads nothing too, and silent ones are no trouble.
    let mut endless = connect();
    while endless.write_all(&[b'x'; 65536]).is_ok() {}
    let mut deaf = connect();
    deaf.set_nonblocking(true).unwrap();
    while deaf.write(b"{\"request\":\"status\"}\n").is_ok() {}
    let silent: Vec<UnixStream> = (0..100).map(|_| connect()).collect();
    wait(start(served.run(&["--", "true"]))).is_clean();
    drop((endless, deaf, silent));
    let mut lease = connect();
    lease.write_all(b"{\"request\":\"open\",\"name\":\"gone\"}\n").unwrap();
    lease.read_exact(&mut [0]).unwrap();
    drop(lease);
    served.finish();
}

#[test]
fn a_pool_that_is_not_there_or_not_ours_costs_a_line_and_not_the_build() {
    let sandbox = Sandbox::new();
    let outcome = sandbox.run(&["-j3", "--pool", "/nonexistent", "--", "echo", "built"]);
    assert_eq!((outcome.status, outcome.out.as_str()), (Some(0), "built\n"));
    assert!(outcome.line().contains("/nonexistent") && outcome.line().contains("-j3"), "{outcome:?}");
}

#[test]
fn a_server_that_is_started_again_takes_the_builds_over_with_what_they_hold() {
    // One opens the path, the other inherits pipes.
    for make in [clients::make_4_4(), clients::make_4_3()] {
        let sandbox = Sandbox::new();
        let recorder = Recorder::new();
        let mut served = Served::new(&sandbox, &["-j4"]);
        let job =
            format!("{} sh -c ': > begun.$@; while ! [ -e go ]; do sleep 0.02; done'", recorder.wrapper().display());
        sandbox.write("Makefile", &format!("all: $(addprefix j,$(shell seq 12))\nj%: ; @{job}\n"));
        let child = start(served.run(&["--", text(&make), "-s"]));
        while !(1..=4).all(|number| sandbox.path(&format!("begun.j{number}")).exists()) {
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        served.until("it holds all", |status| held(status) == 4);
        served.signal(Signal::KILL);
        served.server.take().unwrap().wait().unwrap();
        served.start(&["-j4"]);
        let status = served.until("the build is taken over", |status| held(status) == 4);
        assert_eq!(status["leases"][0]["held"], 4, "{status}");
        // Nothing is free, so another build waits; and the rest of the first one runs through the new server.
        let second = start(served.run(&["--", "true"]));
        sandbox.write("go", "");
        wait(child).is_clean();
        assert_eq!(wait(second).status, Some(0));
        let spans = recorder.spans();
        assert_eq!(spans.jobs(), 12);
        assert!(spans.most_at_once() <= 4, "{}", spans.most_at_once());
        served.finish();
    }
}

#[test]
fn an_old_make_that_has_work_shares_what_it_returns() {
    let sandbox = Sandbox::new();
    let served = Served::new(&sandbox, &["-j4"]);
    let jobs = "all: $(addprefix j,$(shell seq 4000))\nj%: ; @[ -e go ] || sleep 0.02\n";
    sandbox.write("Makefile", jobs);
    let (old, new) = (clients::make_4_3(), clients::make_4_4());
    let first = start(served.run(&["--name", "old", "--", text(&old), "-s"]));
    served.until("it holds all", |status| held(status) == 4);
    let second = start(served.run(&["--name", "new", "--", text(&new), "-s"]));
    let of = |status: &Value, name: &str| {
        let lease = status["leases"].as_array().unwrap().iter().find(|lease| lease["name"] == name);
        lease.map_or(0, held)
    };
    served.until("both have half of it", |status| of(status, "old") == 2 && of(status, "new") == 2);
    sandbox.write("go", "");
    wait(first).is_clean();
    wait(second).is_clean();
    served.finish();
}

#[test]
fn a_client_that_writes_what_it_never_took_stops_nobody() {
    let sandbox = Sandbox::new();
    sandbox.write("Makefile", &flat("true"));
    let make = clients::make_4_4();
    let flood = "path=${MAKEFLAGS##*fifo:}; timeout 1 head -c 20000 /dev/zero >$path;";
    let script = format!("{flood} exec {} -s", text(&make));
    let outcome = sandbox.run(&["-j4", "--style", "tracked", "--", "sh", "-c", &script]);
    assert_eq!(outcome.status, Some(0), "{outcome:?}");
    assert!(outcome.line().contains("came back that nobody had taken"), "{outcome:?}");
    let served = Served::new(&sandbox, &["-j4"]);
    let mut endless = start(served.run(&[
        "--style",
        "tracked",
        "--",
        "sh",
        "-c",
        "exec head -c 50000000 /dev/zero >${MAKEFLAGS##*fifo:}",
    ]));
    served.until("the flood has begun", |status| status["leases"][0]["endpoints"][0]["command"] == "head");
    wait(start(served.run(&["--", text(&make), "-s"]))).is_clean();
    send(&endless, Signal::TERM);
    endless.wait().unwrap();
    served.finish();
}

#[test]
fn a_build_that_outlives_its_command_ends_as_it_would_have() {
    let sandbox = Sandbox::new();
    let make = clients::make_4_4();
    sandbox.write("Makefile", &flat("sleep 0.05"));
    let script = format!("({} -s; echo $? >status.tmp; mv status.tmp status) & sleep 0.1", text(&make));
    let outcome = sandbox.run(&["-j3", "--style", "tracked", "--", "sh", "-c", &script]);
    assert_eq!(outcome.status, Some(0), "{outcome:?}");
    while !sandbox.path("status").exists() {
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    assert_eq!(std::fs::read_to_string(sandbox.path("status")).unwrap(), "0\n");
}

#[test]
fn a_server_that_does_not_answer_costs_seconds_and_not_the_build() {
    let sandbox = Sandbox::new();
    let served = Served::new(&sandbox, &["-j4"]);
    served.signal(Signal::STOP);
    let outcome = sandbox.finish(served.run(&["-j2", "--", "echo", "built"]));
    assert_eq!((outcome.status, outcome.out.as_str()), (Some(0), "built\n"), "{outcome:?}");
    assert!(outcome.line().contains("does not answer"), "{outcome:?}");
    served.signal(Signal::CONT);
    served.finish();
}

#[test]
fn nothing_is_offered_to_a_process_that_has_closed_its_end_until_it_opens_it_again() {
    let sandbox = Sandbox::new();
    let served = Served::new(&sandbox, &["-j2"]);
    let script = "path=${MAKEFLAGS##*fifo:}; exec 3<>$path; exec 3>&-; until [ -e go ]; do sleep 0.01; done
        exec 3<>$path; token=$(head -c 1 <&3) && [ \"$token\" = + ] && printf + >&3";
    let build = start(served.run(&["--style", "tracked", "--", "sh", "-c", script]));
    let status = served.until("what lay there is free", |status| {
        status["leases"][0]["endpoints"][0]["offered"] == 0 && status["free"] == 1
    });
    assert_eq!(status["held"], 1, "{status}");
    fs::write(sandbox.path("go"), "").unwrap();
    wait(build).is_clean();
    served.finish();
}
