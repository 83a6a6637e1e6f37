//! What the command is told, and what it gets where no pool is.

use rustix::process::Signal;

use crate::exec;
use crate::sandbox::Sandbox;
use crate::served::send;

#[test]
fn without_a_pool_the_command_has_the_most_that_was_stated_and_that_is_said_once() {
    let sandbox = Sandbox::new();
    let script = "echo $1 $2 $JOBSERVER_SLOTS $PARALLELISM $GOMAXPROCS $OMP_NUM_THREADS";
    let options = ["-n", "2..6", "-e", "GOMAXPROCS", "-e", "OMP_NUM_THREADS", "--"];
    let words = ["sh", "-c", script, "sh", "-n{}", "{}x{}"];
    let outcome = sandbox.finish(exec(&sandbox, &[&options[..], &words].concat()));
    assert_eq!((outcome.status, outcome.out.as_str()), (Some(0), "-n6 6x6 6 6 6 6\n"), "{outcome:?}");
    assert!(outcome.line().contains("no pool") && outcome.line().contains("6 slots"), "{outcome:?}");
}

#[test]
fn the_status_is_that_of_the_command() {
    let sandbox = Sandbox::new();
    for (words, status) in [
        (&["sh", "-c", "exit 7"][..], 7),
        (&["sh", "-c", "kill -TERM $$"], 143),
        (&["no-such-program"], 127),
        (&["/"], 126),
    ] {
        let outcome = sandbox.finish(exec(&sandbox, &[&["--"], words].concat()));
        assert_eq!(outcome.status, Some(status), "{words:?}: {outcome:?}");
    }
    for wrong in [&["-n", "0", "--", "true"][..], &["-n", "3..2", "true"], &["-e", "", "true"], &["-e", "A=B", "true"]]
    {
        let outcome = sandbox.finish(exec(&sandbox, wrong));
        assert_eq!(outcome.status, Some(125), "{wrong:?}: {outcome:?}");
    }
}

#[test]
fn a_jobserver_that_is_not_there_gives_the_least_that_was_stated() {
    let sandbox = Sandbox::new();
    for flags in
        [" -j8 --jobserver-auth=-2,-2", " -j8 --jobserver-auth=fifo:/nonexistent/fifo", " -j8 --jobserver-auth=77,78"]
    {
        let mut command = exec(&sandbox, &["-n", "2..8", "--", "echo", "{}"]);
        command.env("MAKEFLAGS", flags);
        let outcome = sandbox.finish(command);
        assert_eq!((outcome.status, outcome.out.as_str()), (Some(0), "2\n"), "{outcome:?}");
        assert!(outcome.line().contains("as if it had 2 slots"), "{outcome:?}");
    }
}

#[test]
fn a_signal_reaches_the_command() {
    let sandbox = Sandbox::new();
    let script = "trap 'echo caught; exit 3' TERM; echo ready; while :; do sleep 0.02; done";
    let child = sandbox.start(exec(&sandbox, &["--", "sh", "-c", script]));
    send(&child, Signal::TERM);
    let outcome = sandbox.wait(child);
    assert_eq!((outcome.status, outcome.out.as_str()), (Some(3), "caught\n"), "{outcome:?}");
}
