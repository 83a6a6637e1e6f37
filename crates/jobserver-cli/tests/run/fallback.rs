//! What can't be had is said once, and the build goes on at the stated width.

use std::process::Command;

use crate::sandbox::{jobserver, Outcome, Sandbox};

const SHOW: [&str; 4] = ["--", "/bin/sh", "-c", "echo $MAKEFLAGS; echo $CARGO_BUILD_JOBS $CMAKE_BUILD_PARALLEL_LEVEL"];

fn is_on_a_pipe(outcome: &Outcome) {
    assert_eq!(outcome.status, Some(0), "{outcome:?}");
    assert!(outcome.out.starts_with("-j3 --jobserver-fds="), "{outcome:?}");
    assert!(outcome.line().starts_with("jobserver: no named pipe can be made: "), "{outcome:?}");
}

#[test]
fn without_a_folder_for_the_named_pipe_there_is_an_unnamed_one() {
    let sandbox = Sandbox::new();
    let mut command = sandbox.jobserver(&[&["-j3", "--style", "fifo"][..], &SHOW].concat());
    command.env("TMPDIR", "/nonexistent");
    let outcome = sandbox.finish(command);
    is_on_a_pipe(&outcome);
    assert!(outcome.err.contains("/nonexistent/"), "{outcome:?}");
}

#[test]
fn a_full_disk_gives_an_unnamed_pipe() {
    let sandbox = Sandbox::new();
    std::fs::create_dir(sandbox.path("full")).unwrap();
    // The one inode is the root's.
    let script = "mount -t tmpfs -o nr_inodes=1 none \"$TMPDIR\" && exec \"$@\"";
    let mut command: Command = sandbox.command("unshare");
    command.args([
        "--map-root-user",
        "--mount",
        "sh",
        "-c",
        script,
        "sh",
        jobserver(),
        "run",
        "-j3",
        "--style",
        "fifo",
    ]);
    command.args(SHOW).env("TMPDIR", sandbox.path("full"));
    let outcome = sandbox.finish(command);
    assert!(
        outcome.err.starts_with("jobserver: "),
        "{outcome:?}: this needs unshare (apt-get install util-linux) and a mount namespace: run it as root"
    );
    is_on_a_pipe(&outcome);
}

#[test]
fn a_folder_whose_name_no_client_can_read_is_not_used() {
    let sandbox = Sandbox::new();
    let blank = sandbox.path("with blank");
    std::fs::create_dir(&blank).unwrap();
    let mut command = sandbox.jobserver(&[&["-j3", "--style", "fifo"][..], &SHOW].concat());
    command.env("TMPDIR", &blank);
    let outcome = sandbox.finish(command);
    outcome.is_clean();
    assert!(outcome.out.starts_with("-j3 --jobserver-auth=fifo:/tmp/jobserver-"), "{outcome:?}");
    assert_eq!(std::fs::read_dir(blank).unwrap().count(), 0);
}

#[test]
fn with_few_descriptors_the_command_still_runs_at_the_stated_width() {
    let sandbox = Sandbox::new();
    let (mut with, mut without) = (0, 0);
    for limit in 4..24 {
        for style in ["fifo", "pipe"] {
            let mut command = sandbox.command("/bin/sh");
            command.args(["-c", &format!("ulimit -n {limit}; exec \"$@\""), "sh", jobserver(), "run", "-j3"]);
            command.args(["--style", style]).args(SHOW).env("MAKEFLAGS", "k -- V=1");
            let outcome = sandbox.finish(command);
            assert_eq!(outcome.status, Some(0), "{limit} {outcome:?}");
            assert!(outcome.out.starts_with("k -j3") && outcome.out.contains("-- V=1"), "{limit} {outcome:?}");
            if outcome.out.contains("--jobserver-auth=") {
                assert_eq!(outcome.err, "", "{limit}");
                with += 1;
            } else {
                assert_eq!(outcome.out, "k -j3 -- V=1\n3 3\n", "{limit}");
                assert!(outcome.line().starts_with("jobserver: no pool of 3 slots can be made: "), "{outcome:?}");
                without += 1;
            }
        }
    }
    assert!(with > 0 && without > 0, "{with} {without}");
}

#[test]
fn more_slots_than_a_pool_holds_are_a_width_without_a_pool() {
    let sandbox = Sandbox::new();
    let outcome = sandbox.run(&[&["-j2000000", "--style", "pipe"][..], &SHOW].concat());
    assert_eq!(outcome.status, Some(0));
    assert_eq!(outcome.out, "-j2000000\n2000000 2000000\n");
    assert!(outcome.line().contains("the limit"), "{outcome:?}");
}

#[test]
fn a_jobserver_that_is_named_and_out_of_reach_is_said_once_with_the_width() {
    let sandbox = Sandbox::new();
    for stale in [
        "--jobserver-auth=77,78",
        "--jobserver-auth=-2,-2",
        "--jobserver-auth=fifo:/nonexistent/fifo",
        "--jobserver-auth=3",
    ] {
        let run = |arguments: &[&str]| {
            let mut command = sandbox.jobserver(&[arguments, &SHOW].concat());
            command.env("MAKEFLAGS", format!("k {stale} -- V=1"));
            sandbox.finish(command)
        };
        let one = run(&[]);
        assert!(one.status == Some(0) && one.out.starts_with("k -j1 --jobserver-"), "{one:?}");
        assert!(one.line().ends_with("the command runs one job at a time (more with -j N)"), "{one:?}");
        let three = run(&["-j3"]);
        assert!(three.status == Some(0) && three.out.starts_with("k -j3 --jobserver-"), "{three:?}");
        assert!(three.line().ends_with("the command has a pool of its own, of -j3"), "{three:?}");
        assert!(!three.out.contains(stale), "{three:?}");
    }
}

#[test]
fn with_few_descriptors_inside_a_jobserver_the_command_runs_and_the_outer_pool_is_whole() {
    let sandbox = Sandbox::new();
    for limit in 4..32 {
        for style in ["fifo", "pipe"] {
            let inner = format!("{} run -j3 --style {style} -- /bin/sh -c 'echo $MAKEFLAGS'", jobserver());
            let outer = format!("ulimit -n {limit}; exec {inner}");
            let outcome = sandbox.run(&["-j4", "--style", "fifo", "--", "/bin/sh", "-c", &outer]);
            assert_eq!(outcome.status, Some(0), "{limit} {outcome:?}");
            assert!(outcome.out.starts_with("-j") && outcome.out.lines().count() == 1, "{limit} {outcome:?}");
            assert!(!outcome.err.contains("come back"), "{limit} {outcome:?}");
            assert!(outcome.err.lines().all(|line| line.starts_with("jobserver: ")), "{limit} {outcome:?}");
            assert!(limit < 30 || outcome.err.is_empty(), "{limit} {outcome:?}");
        }
    }
}
