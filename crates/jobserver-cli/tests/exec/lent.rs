//! An `exec` that has lent its own slot in a plain pool, and ends before it has it back: at once, and the pool is right
//! again before its end.

use std::path::{Path, PathBuf};
use std::process::Child;
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use testkit::clients;

use crate::sandbox::{jobserver, start, text, wait, Sandbox};
use crate::served::send;

/// Nothing healthy takes that long.
const BOUND: Duration = Duration::from_secs(120);

/// Who makes the pool of two slots that `make` is in.
const POOLS: [&[&str]; 3] = [&[], &["run", "-j2", "--style", "fifo"], &["run", "-j2", "--style", "pipe"]];

fn each_pool(mut test: impl FnMut(&Path, &[&str])) {
    for (make, pools) in [(clients::make_4_3(), [POOLS[0], POOLS[2]]), (clients::make_4_4(), [POOLS[0], POOLS[1]])] {
        pools.into_iter().for_each(|pool| test(&make, pool));
    }
}

/// `x` needs both slots while `b` has the other one. What it lends goes to `c`, and nobody of the two gives it back before
/// `go`. At last it is counted how many slots there are.
fn build(sandbox: &Sandbox, make: &Path, pool: &[&str], x: &str) -> Child {
    // What a failed test leaves behind ends with its folder.
    let until = |file: &str| format!("until [ -e {file} ] || ! [ -e Makefile ]; do sleep 0.02; done");
    let makefile = format!(
        "last: x b c ; +EXEC -n 1..9 -- echo {{}}\n\
         x: ; +@{}; {x}; touch x-ended; {}\n\
         b: ; @touch b-started; {go}\n\
         c: ; @touch c-started; {go}; touch c-ended\n",
        until("b-started"),
        until("go-x"),
        go = until("go"),
    );
    sandbox.write("Makefile", &makefile.replace("EXEC", &format!("{} exec", jobserver())));
    let mut command = match pool {
        [] => sandbox.command(make),
        _ => {
            let mut run = sandbox.command(jobserver());
            run.args(pool).args(["--", text(make)]);
            run
        }
    };
    command.arg("-s").args(pool.is_empty().then_some("-j2"));
    start(command)
}

fn until(what: &str, build: &mut Child, is_so: impl Fn() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < BOUND, "in vain: {what}");
        assert!(build.try_wait().unwrap().is_none(), "the build has ended before {what}");
        sleep(Duration::from_millis(10));
    }
}

/// The processes of this sandbox that take a slot back.
fn collectors(sandbox: &Sandbox) -> usize {
    ours(sandbox, "jobserver-takes-back")
}

/// Those whose program's name begins so.
fn ours(sandbox: &Sandbox, word: &str) -> usize {
    let of = |process: &PathBuf| {
        let name = std::fs::read(process.join("cmdline")).unwrap_or_default();
        let environment = std::fs::read(process.join("environ")).unwrap_or_default();
        let here = text(&sandbox.path("")).trim_end_matches('/').as_bytes().to_vec();
        let program = name.split(|&byte| byte == 0).next().unwrap_or_default();
        let program = program.rsplit(|&byte| byte == b'/').next().unwrap_or_default();
        program.starts_with(word.as_bytes()) && environment.windows(here.len()).any(|part| part == here)
    };
    std::fs::read_dir("/proc").unwrap().filter(|entry| of(&entry.as_ref().unwrap().path())).count()
}

/// `x` has ended its `exec` while others hold all slots; then its end brings the token that is owed.
fn finish(sandbox: &Sandbox, mut build: Child) {
    assert_eq!(collectors(sandbox), 1);
    assert!(!sandbox.path("c-ended").exists());
    sandbox.write("go-x", "");
    until("the slot is taken back", &mut build, || collectors(sandbox) == 0);
    sandbox.write("go", "");
    let outcome = wait(build);
    assert_eq!((outcome.status, outcome.out.as_str()), (Some(0), "2\n"), "{outcome:?}");
    // Neither make nor `run` counts one too many.
    let told = |line: &str| {
        ["given back for now", "did not come in"].iter().any(|words| line.contains(words)) || line == "Killed"
    };
    assert!(outcome.err.lines().all(told), "{outcome:?}");
}

#[test]
fn a_time_out_is_not_late_by_the_jobs_that_use_what_was_lent() {
    each_pool(|make, pool| {
        // If the others come too late to take it, once more with more time.
        for seconds in [1, 4, 16, 64] {
            let sandbox = Sandbox::new();
            let x = format!("EXEC -n 2 --timeout {seconds} -- echo never; echo $$? >status");
            let mut build = build(&sandbox, make, pool, &x);
            until("its time is over", &mut build, || sandbox.path("x-ended").exists());
            assert_eq!(std::fs::read_to_string(sandbox.path("status")).unwrap(), "124\n");
            if sandbox.path("c-started").exists() {
                return finish(&sandbox, build);
            }
            ["go-x", "go"].iter().for_each(|file| drop(sandbox.write(file, "")));
            assert_eq!(wait(build).status, Some(0));
        }
        panic!("the other job was never started in the slot that was lent");
    });
}

#[test]
fn one_that_is_ended_or_killed_while_it_lends_leaves_the_pool_as_it_was() {
    for signal in [Signal::TERM, Signal::KILL] {
        each_pool(|make, pool| {
            let sandbox = Sandbox::new();
            let x = format!(
                "EXEC -n 2 -- echo never & until [ -e c-started ]; do sleep 0.02; done; kill -{} $$!; wait $$!; true",
                signal.as_raw()
            );
            let mut build = build(&sandbox, make, pool, &x);
            until("it was ended", &mut build, || sandbox.path("x-ended").exists());
            finish(&sandbox, build);
        });
    }
}

/// The others keep make's pool open, and nothing lies in it.
#[test]
fn what_is_to_take_it_back_ends_with_the_owner_of_the_pool() {
    for make in [clients::make_4_3(), clients::make_4_4()] {
        let sandbox = Sandbox::new();
        let x = "EXEC -n 2 -- echo never & until [ -e c-started ]; do sleep 0.02; done; kill -9 $$!; wait $$!; true";
        let mut build = build(&sandbox, &make, &[], x);
        until("it was killed", &mut build, || sandbox.path("x-ended").exists());
        assert_eq!(collectors(&sandbox), 1);
        send(&build, Signal::KILL);
        build.wait().unwrap();
        gone(&sandbox);
        ["go-x", "go"].iter().for_each(|file| drop(sandbox.write(file, "")));
    }
}

/// Waits until nothing of ours is left in the sandbox.
fn gone(sandbox: &Sandbox) {
    let start = Instant::now();
    while ours(sandbox, "jobserver") > 0 {
        assert!(start.elapsed() < BOUND, "{} processes are left", ours(sandbox, "jobserver"));
        sleep(Duration::from_millis(10));
    }
}

/// As whoever stops a build does: the signal is for make, and not for what it has started.
#[test]
fn one_that_waits_ends_when_make_is_gone_or_wants_to_end() {
    for (make, signal) in [
        (clients::make_4_3(), Signal::KILL),
        (clients::make_4_4(), Signal::KILL),
        (clients::make_4_4(), Signal::TERM),
        // It waits for its jobs, and has removed its pool.
        (clients::make_4_4(), Signal::INT),
    ] {
        let sandbox = Sandbox::new();
        let mut build = build(&sandbox, &make, &[], "EXEC -n 2 -- echo never 2>said");
        until("it lends its slot", &mut build, || sandbox.path("c-started").exists());
        send(&build, signal);
        if signal == Signal::INT {
            ["go-x", "go"].iter().for_each(|file| drop(sandbox.write(file, "")));
        }
        build.wait().unwrap();
        gone(&sandbox);
        let said = std::fs::read_to_string(sandbox.path("said")).unwrap();
        assert!(said.contains("the pool has ended while this command waited for 2 slots"), "{signal:?}: {said}");
        ["go-x", "go"].iter().for_each(|file| drop(sandbox.write(file, "")));
    }
}
