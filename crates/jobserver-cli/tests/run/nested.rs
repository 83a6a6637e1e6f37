//! Inside another jobserver slots are drawn from it, within the cap, and go back.
//!
//! The outer pool's balance is what its own `run` says at the end (nothing), or what make says: "INTERNAL: Exiting with
//! N jobserver tokens available; should be M!".

use std::path::{Path, PathBuf};

use testkit::clients;
use testkit::spans::Recorder;

use crate::sandbox::{jobserver, text, Outcome, Sandbox};
use crate::slots::{flat, meeting};

/// An outer build of jobs of its own and one inner `jobserver run OPTIONS -- INNER`; all jobs are recorded, the inner
/// ones twice.
struct Nest {
    sandbox: Sandbox,
    all: Recorder,
    inner: Recorder,
}

impl Nest {
    /// The inner jobs wait until `width` of them run.
    fn new(width: usize, options: &str, inner_make: &Path) -> Nest {
        let nest = Nest { sandbox: Sandbox::new(), all: Recorder::new(), inner: Recorder::new() };
        let inner_job = meeting(&nest.sandbox, &nest.inner, "inner", width);
        let inner_job = format!("{} {inner_job}", nest.all.wrapper().display());
        nest.sandbox.write("inner.mk", &flat(&inner_job));
        let outer_job = meeting(&nest.sandbox, &nest.all, "outer", 1);
        let inner = format!("+{} run {options} -- {} --no-print-directory -f inner.mk", jobserver(), text(inner_make));
        let outer = format!("all: inner o1 o2 o3 o4 o5 o6 o7 o8\no%: ; @{outer_job}\ninner: ; @{inner}\n");
        nest.sandbox.write("Makefile", &outer);
        nest
    }

    fn build(&self, outer: &[&str]) -> Outcome {
        let mut command = self.sandbox.command(outer[0]);
        command.args(&outer[1..]);
        self.sandbox.finish(command)
    }

    #[track_caller]
    fn never_ran_more_than(&self, outer: usize, inner: usize) {
        assert_eq!((self.inner.spans().jobs(), self.all.spans().jobs()), (12, 20));
        assert_eq!(self.inner.spans().most_at_once(), inner);
        assert!(self.all.spans().most_at_once() <= outer, "{:?}", self.all.spans());
    }
}

fn makes() -> [PathBuf; 2] {
    [clients::make_4_3(), clients::make_4_4()]
}

#[test]
fn an_inner_run_keeps_to_its_cap_and_the_outer_make_gets_all_tokens_back() {
    for outer in makes() {
        for inner in makes() {
            let nest = Nest::new(2, "-j2", &inner);
            nest.build(&[text(&outer), "-j6"]).is_clean();
            nest.never_ran_more_than(6, 2);
        }
    }
}

#[test]
fn an_inner_run_keeps_to_its_cap_in_every_mix_of_styles() {
    let make = clients::make_4_4();
    for outer in ["fifo", "pipe"] {
        for inner in ["fifo", "pipe"] {
            let nest = Nest::new(3, &format!("-j3 --style {inner}"), &make);
            nest.build(&[jobserver(), "run", "-j6", "--style", outer, "--", text(&make)]).is_clean();
            nest.never_ran_more_than(6, 3);
        }
    }
}

#[test]
fn an_inner_run_of_one_slot_draws_nothing() {
    let nest = Nest::new(1, "-j1", &clients::make_4_4());
    nest.build(&[jobserver(), "run", "-j4", "--", text(&clients::make_4_4())]).is_clean();
    nest.never_ran_more_than(4, 1);
}

#[test]
fn an_inner_run_wider_than_the_outer_pool_gets_what_there_is() {
    let nest = Nest::new(3, "-j50", &clients::make_4_4());
    nest.build(&[jobserver(), "run", "-j3", "--", text(&clients::make_4_4())]).is_clean();
    nest.never_ran_more_than(3, 3);
}

#[test]
fn without_a_width_the_command_joins_the_inherited_jobserver_itself() {
    let sandbox = Sandbox::new();
    let inner = format!("{} run -- sh -c 'echo $MAKEFLAGS'", jobserver());
    for style in ["fifo", "pipe"] {
        let outcome = sandbox.run(&["-j4", "--style", style, "--", "sh", "-c", &format!("echo $MAKEFLAGS; {inner}")]);
        outcome.is_clean();
        let lines: Vec<&str> = outcome.out.lines().collect();
        if style == "fifo" {
            // Where make is old the inner one is on a pipe.
            let joined = lines[0].replace("-j4", "-j");
            assert!(lines[1] == joined || lines[1].contains("--jobserver-fds="), "{lines:?}");
        } else {
            assert!(lines[1].starts_with("-j --jobserver-fds="), "{lines:?}");
        }
    }
}

#[test]
fn an_old_make_inside_a_fifo_pool_gets_a_pipe_that_is_filled_from_it() {
    let nest = Nest::new(4, "", &clients::make_4_3());
    nest.build(&[text(&clients::make_4_4()), "-j4"]).is_clean();
    nest.never_ran_more_than(4, 4);
}

#[test]
fn a_fifo_inside_a_pipe_pool_is_made_when_asked_for() {
    let nest = Nest::new(4, "--style fifo", &clients::make_4_4());
    nest.build(&[text(&clients::make_4_3()), "-j4"]).is_clean();
    nest.never_ran_more_than(4, 4);
}

#[test]
fn an_idle_inner_run_does_not_keep_what_others_need() {
    let sandbox = Sandbox::new();
    let until =
        |file: &str| format!("for i in $(seq 1200); do [ -e {file} ] && break; sleep 0.05; done; [ -e {file} ]");
    let take = "exec 3<>${MAKEFLAGS##*fifo:}; token=$(timeout 60 dd bs=1 count=1 <&3 2>log) && [ -n \"$token\" ]";
    // The only token of the outer pool was drawn for sure, and then nobody wants it inside.
    let inner = format!("{take} && printf %s \"$token\" >&3 && touch drawn && {}", until("done"));
    sandbox.write("inner.sh", &inner);
    let outer = format!(
        "{} run -j2 --style fifo -- sh inner.sh & {} && {take} && touch done && wait $! && printf %s \"$token\" >&3",
        jobserver(),
        until("drawn")
    );
    sandbox.run(&["-j2", "--style", "fifo", "--", "sh", "-c", &outer]).is_clean();
}

#[test]
fn what_the_inner_command_loses_is_said_and_made_good() {
    let sandbox = Sandbox::new();
    let eat = "exec 3<>${MAKEFLAGS##*fifo:}; dd bs=1 count=1 <&3 >eaten 2>log";
    sandbox.script("eat", &format!("#!/bin/sh\n{eat}\n"));
    let inner = format!("{} run -j3 --style fifo -- ./eat", jobserver());
    let outcome = sandbox.run(&["-j4", "--style", "fifo", "--", "sh", "-c", &inner]);
    assert_eq!(outcome.status, Some(0), "{outcome:?}");
    let said = outcome.line();
    assert!(said.contains(" did not come back: "), "{said}");
    assert!(said.contains("the inherited jobserver has them back"), "{said}");
}

#[test]
fn strays_of_the_inner_command_do_not_reach_the_outer_pool() {
    let sandbox = Sandbox::new();
    sandbox.script("add", "#!/bin/sh\nexec 3<>${MAKEFLAGS##*fifo:}; printf +++++ >&3\n");
    let inner = format!("{} run -j2 --style fifo -- ./add", jobserver());
    let outcome = sandbox.run(&["-j4", "--style", "fifo", "--", "sh", "-c", &inner]);
    assert_eq!(outcome.status, Some(0), "{outcome:?}");
    assert!(outcome.line().contains("5 tokens came back that nobody had taken"), "{outcome:?}");
}

#[test]
fn a_run_inside_a_run_inside_a_run_keeps_every_cap() {
    let nest = Nest::new(2, &format!("-j3 -- {} run -j2", jobserver()), &clients::make_4_4());
    nest.build(&[jobserver(), "run", "-j5", "--", text(&clients::make_4_4())]).is_clean();
    nest.never_ran_more_than(5, 2);
}

#[test]
fn a_command_that_is_killed_inside_leaves_the_outer_pool_whole() {
    let sandbox = Sandbox::new();
    let recorder = Recorder::new();
    let job = meeting(&sandbox, &recorder, "all", 3);
    // Once three jobs run, one of them kills the make that holds their tokens.
    sandbox.write("inner.mk", &flat(&format!("{job}; kill -9 $$PPID 2>&- || true")));
    let make = clients::make_4_4();
    let inner = format!("{} run -j3 -- {} -f inner.mk; echo $?", jobserver(), text(&make));
    let outcome = sandbox.run(&["-j4", "--style", "fifo", "--", "sh", "-c", &inner]);
    assert_eq!((outcome.status, outcome.out.as_str()), (Some(0), "137\n"), "{outcome:?}");
    assert!(outcome.line().contains("the inherited jobserver has them back"), "{outcome:?}");
}
