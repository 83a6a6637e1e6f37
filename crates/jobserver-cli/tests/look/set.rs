//! `set`: another width while a build runs, seen by how many of its jobs run.

use std::fs;

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

/// Ends jobs until as many slots have come back as should. A make that is alone may take again what it has just returned,
/// before the pool does: then it is taken the next time.
fn end_until(build: &Build<'_>, served: &Served<'_>, width: usize, is_back: impl Fn(&Value) -> bool) -> Value {
    until("they have come back", || {
        let status = served.status();
        if is_back(&status) {
            return Some(status);
        }
        let running = build.running();
        assert!(running.len() <= 6, "{running:?}: more than before");
        if let Some(job) = running.get(width) {
            build.end(job);
            until("it has ended", || (!build.running().contains(job)).then_some(()));
        }
        None
    })
}

#[test]
fn a_pool_that_becomes_narrower_takes_nothing_from_running_jobs_and_gives_no_more_and_can_become_wider_again() {
    let sandbox = Sandbox::new();
    let served = Served::new(&sandbox, &["-j6"]);
    let build = Build::start(&served, &sandbox, "kernel", 300);
    build.until_running(6);
    served.until("all slots are in use", |status| status["held"] == 6);
    let outcome = ask(&sandbox, &served, &["set", "-j2"]);
    assert_eq!(line(&outcome), "2 slots; 6 are still in use by kernel (6): 4 follow as they come back");
    assert_eq!(build.running().len(), 6, "running jobs are left alone");
    let status = end_until(&build, &served, 2, |status| status["owed"] == 0 && status["held"] == 2);
    assert_eq!((status["capacity"].as_u64(), status["held"].as_u64()), (Some(2), Some(2)), "{status}");
    build.until_running(2);
    go_on(&build, 2, 5);
    let outcome = ask(&sandbox, &served, &["set", "-j", "4"]);
    assert!(line(&outcome).starts_with("4 slots, "), "{outcome:?}");
    build.until_running(4);
    go_on(&build, 4, 5);
    let recorder = build.finish();
    let spans = recorder.spans();
    assert_eq!((spans.jobs(), spans.most_at_once()), (300, 6));
    served.finish();
}

#[test]
fn a_build_gets_a_cap_and_a_weight_and_loses_them_again() {
    let sandbox = Sandbox::new();
    let served = Served::new(&sandbox, &["-j6"]);
    let build = Build::start(&served, &sandbox, "nightly", 300);
    build.until_running(6);
    let status = served.until("all slots are in use", |status| status["held"] == 6);
    let pid = status["leases"][0]["pid"].to_string();
    let outcome = ask(&sandbox, &served, &["set", "--lease", "nightly", "--cap", "2", "--weight", "3"]);
    let said = format!("nightly ({pid}): 2 slots at most, weight 3, 6 in use; 4 too many follow as they come back");
    assert_eq!(line(&outcome), said);
    let status = end_until(&build, &served, 2, |status| status["leases"][0]["held"] == 2);
    let lease = &status["leases"][0];
    assert_eq!((lease["cap"].as_u64(), lease["weight"].as_u64()), (Some(2), Some(3)), "{status}");
    build.until_running(2);
    go_on(&build, 2, 5);
    let outcome = ask(&sandbox, &served, &["set", "--lease", &pid, "--cap", "none"]);
    assert!(line(&outcome).starts_with(&format!("nightly ({pid}): no limit of its own, weight 3, ")), "{outcome:?}");
    build.until_running(6);
    build.finish();
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
    for (arguments, said) in [
        (
            &["set", "--lease", "kernle", "--cap", "1"][..],
            format!("no build is called `kernle`: there are kernel ({pid})"),
        ),
        (&["set", "-j5", "--lease", "1", "--cap", "1"], format!("no build is called `1`: there are kernel ({pid})")),
        (&["set", "--lease", "kernel"], "nothing is to be changed".to_string()),
        (&["set", "-j4294967296"], "too many to be counted".to_string()),
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
