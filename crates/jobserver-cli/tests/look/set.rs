//! `set`: another width while a build runs, seen by how many of its jobs run.

use std::fs;
use std::io::Write;
use std::process::{Child, Stdio};

use serde_json::Value;
use testkit::clients;
use testkit::spans::Recorder;

use crate::build::{ask, until, Build};
use crate::sandbox::{jobserver, text, Outcome, Sandbox};
use crate::served::Served;

/// One line on standard output, and nothing else.
#[track_caller]
fn line(outcome: &Outcome) -> &str {
    outcome.is_clean();
    assert_eq!(outcome.out.lines().count(), 1, "{outcome:?}");
    outcome.out.trim_end()
}

/// Ends jobs one by one, each of which lets another one begin, and counts what runs at every look.
fn go_on(build: &Build<'_>, width: usize, jobs: usize) {
    for _ in 0..jobs {
        let running = build.running();
        let ended = &running[0];
        build.end(ended);
        until("another job begins", || {
            let now = build.running();
            assert!(now.len() <= width, "{now:?} at once, {width} allowed");
            (now.len() == width && !now.contains(ended)).then_some(())
        });
    }
}

/// Another build, which has a token and wants more until it is told not to, and then keeps its one slot. A make that begins
/// beside it returns its tokens to the pool, which has them at once; one that is alone may be quicker to take them again.
struct Other(Child);

const WANTS: &str =
    "path=${MAKEFLAGS##*fifo:}; exec 3<>${path%% *}; t=$(head -c 1 <&3); read x; printf $t >&3; exec cat";

impl Other {
    fn start(served: &Served<'_>) -> Other {
        let mut other = served.run(&["--name", "other", "--", "sh", "-c", WANTS]);
        let other = other.stdin(Stdio::piped()).spawn().unwrap();
        served.until("the other build has a token", |status| status["leases"][0]["held"] == 2);
        Other(other)
    }

    /// A build has begun beside it, which has all other slots but one: that one as well from now on.
    fn let_go(&mut self) {
        self.0.stdin.as_mut().unwrap().write_all(b"\n").unwrap();
    }

    fn finish(mut self) {
        drop(self.0.stdin.take());
        assert!(self.0.wait().unwrap().success());
    }
}

#[test]
fn a_pool_that_becomes_narrower_takes_nothing_from_running_jobs_and_gives_no_more_and_can_become_wider_again() {
    let sandbox = Sandbox::new();
    let served = Served::new(&sandbox, &["-j7"]);
    let mut other = Other::start(&served);
    let build = Build::start(&served, &sandbox, "kernel", 60);
    build.until_running(5);
    other.let_go();
    let running = build.until_running(6);
    served.until("all slots are in use", |status| status["held"] == 7);
    let outcome = ask(&sandbox, &served, &["set", "-j3"]);
    let said = "3 slots; 7 are still in use by kernel (6), other (1): 4 follow as they come back";
    assert_eq!(line(&outcome), said);
    assert_eq!(build.running().len(), 6, "running jobs are left alone");
    for job in &running[..4] {
        build.end(job);
    }
    let status = served.until("they have come back", |status| status["owed"] == 0);
    assert_eq!((status["capacity"].as_u64(), status["held"].as_u64()), (Some(3), Some(3)), "{status}");
    build.until_running(2);
    go_on(&build, 2, 5);
    let outcome = ask(&sandbox, &served, &["set", "-j", "5"]);
    assert!(line(&outcome).starts_with("5 slots, "), "{outcome:?}");
    build.until_running(4);
    go_on(&build, 4, 5);
    let recorder = build.finish();
    let spans = recorder.spans();
    assert_eq!((spans.jobs(), spans.most_at_once()), (60, 6));
    other.finish();
    served.finish();
}

/// How soon is a race, which this says nothing about.
#[test]
fn a_pool_that_becomes_narrower_gives_no_more_to_a_build_that_is_alone_either() {
    let sandbox = Sandbox::new();
    let served = Served::new(&sandbox, &["-j6"]);
    let build = Build::start(&served, &sandbox, "kernel", 40);
    build.until_running(6);
    ask(&sandbox, &served, &["set", "-j2"]).is_clean();
    let recorder = build.finish();
    assert_eq!((recorder.spans().jobs(), recorder.spans().most_at_once()), (40, 6));
    let status = served.until("all is back", |status| status["held"] == 0);
    assert_eq!((status["free"].as_u64(), status["owed"].as_u64()), (Some(2), Some(0)), "{status}");
    served.finish();
}

#[test]
fn a_build_gets_a_cap_and_a_weight_and_loses_them_again() {
    let sandbox = Sandbox::new();
    let served = Served::new(&sandbox, &["-j7"]);
    let mut other = Other::start(&served);
    let build = Build::start(&served, &sandbox, "nightly", 60);
    build.until_running(5);
    other.let_go();
    let running = build.until_running(6);
    let nightly = |status: &Value| {
        let mut leases = status["leases"].as_array().unwrap().iter();
        leases.find(|lease| lease["name"] == "nightly").unwrap().clone()
    };
    let status = served.until("all slots are in use", |status| status["held"] == 7);
    let pid = nightly(&status)["pid"].to_string();
    let outcome = ask(&sandbox, &served, &["set", "--lease", "nightly", "--cap", "2", "--weight", "3"]);
    let said = format!("nightly ({pid}): 2 slots at most, weight 3, 6 in use; 4 too many follow as they come back");
    assert_eq!(line(&outcome), said);
    for job in &running[..4] {
        build.end(job);
    }
    let lease = nightly(&served.until("they have come back", |status| nightly(status)["held"] == 2));
    assert_eq!((lease["cap"].as_u64(), lease["weight"].as_u64()), (Some(2), Some(3)), "{lease}");
    build.until_running(2);
    go_on(&build, 2, 5);
    let outcome = ask(&sandbox, &served, &["set", "--lease", &pid, "--cap", "none"]);
    assert!(line(&outcome).starts_with(&format!("nightly ({pid}): no limit of its own, weight 3, ")), "{outcome:?}");
    build.until_running(6);
    build.finish();
    other.finish();
    served.finish();
}

#[test]
fn what_cannot_be_set_changes_nothing_and_is_125() {
    let sandbox = Sandbox::new();
    let served = Served::new(&sandbox, &["-j3"]);
    let build = Build::start(&served, &sandbox, "kernel", 4);
    build.until_running(3);
    let before = served.until("all slots are in use", |status| status["held"] == 3);
    let pid = &before["leases"][0]["pid"];
    // With 32 bits it is no number at all.
    let too_many = if usize::BITS > 32 { "too many to be counted" } else { "too large a one" };
    for (arguments, said) in [
        (
            &["set", "--lease", "kernle", "--cap", "1"][..],
            format!("no build is called `kernle`: there are kernel ({pid})"),
        ),
        (&["set", "-j5", "--lease", "1", "--cap", "1"], format!("no build is called `1`: there are kernel ({pid})")),
        (&["set", "--lease", "kernel"], "nothing is to be changed".to_string()),
        (&["set", "-j4294967296"], too_many.to_string()),
        (&["set", "-j0"], "a pool has one slot at least".to_string()),
        (&["set", "--cap", "2"], "--lease".to_string()),
        (&["set"], "--jobs".to_string()),
    ] {
        let outcome = ask(&sandbox, &served, arguments);
        assert_eq!((outcome.status, outcome.out.as_str()), (Some(125), ""), "{arguments:?}: {outcome:?}");
        assert!(outcome.err.starts_with("jobserver: ") && outcome.err.contains(&said), "{arguments:?}: {outcome:?}");
    }
    let after = served.status();
    for what in ["capacity", "held"] {
        assert_eq!(before[what], after[what], "{after}");
    }
    assert_eq!(before["leases"][0]["cap"], after["leases"][0]["cap"]);
    build.finish();
    served.finish();
}

#[test]
fn a_recipe_may_widen_the_pool_that_run_made_for_its_build() {
    let sandbox = Sandbox::new();
    // They wait for each other: four at once, or the build fails.
    let recorder = Recorder::with_meeting(4);
    let makefile = format!(
        "all: a b c d\na b c d: wide ; @{job} true\nwide: ; @+{jobserver} set -j4 >said\n",
        job = recorder.wrapper().display(),
        jobserver = jobserver()
    );
    sandbox.write("Makefile", &makefile);
    let make = clients::make_4_4();
    let outcome = sandbox.run(&["-j2", "--no-pool", "--style", "tracked", "--", text(&make), "-s"]);
    outcome.is_clean();
    assert_eq!((recorder.spans().jobs(), recorder.spans().most_at_once()), (4, 4));
    assert!(fs::read_to_string(sandbox.path("said")).unwrap().starts_with("4 slots, "));
}
