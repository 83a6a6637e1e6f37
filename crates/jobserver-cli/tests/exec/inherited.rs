//! Inside a jobserver: make's own, of both ages, and ours.

use std::path::PathBuf;

use testkit::clients;

use crate::sandbox::{jobserver, text, Outcome, Sandbox};

fn makes() -> [PathBuf; 2] {
    [clients::make_4_3(), clients::make_4_4()]
}

fn make(sandbox: &Sandbox, make: &std::path::Path, jobs: usize, makefile: &str) -> Outcome {
    sandbox.write("Makefile", &makefile.replace("EXEC", &format!("{} exec", jobserver())));
    let mut command = sandbox.command(make);
    command.args(["-s", &format!("-j{jobs}")]);
    sandbox.finish(command)
}

#[test]
fn the_slot_of_the_recipe_is_the_first_and_tokens_of_make_are_the_rest() {
    for path in makes() {
        for (range, got) in [("1", 1), ("2..3", 3), ("1..9", 4), ("4", 4)] {
            let sandbox = Sandbox::new();
            let outcome = make(&sandbox, &path, 4, &format!("all: ; +EXEC -n {range} -- echo {{}}\n"));
            outcome.is_clean();
            assert_eq!(outcome.out, format!("{got}\n"), "{range}");
        }
    }
}

#[test]
fn more_than_make_has_is_an_error_at_once() {
    for path in makes() {
        let sandbox = Sandbox::new();
        let outcome = make(&sandbox, &path, 4, "all: ; +EXEC -n 5..8 -- echo never\n");
        assert!(outcome.out.is_empty() && outcome.err.contains("5 slots can't be had: the pool has 4"), "{outcome:?}");
        assert!(outcome.err.contains("Error 125") && !outcome.err.contains("INTERNAL"), "{outcome:?}");
    }
}

#[test]
fn more_than_a_run_has_is_an_error_at_once_in_every_style() {
    for style in ["tracked", "fifo", "pipe"] {
        let sandbox = Sandbox::new();
        let outcome = sandbox.run(&["-j3", "--style", style, "--", jobserver(), "exec", "-n", "4", "--", "true"]);
        assert_eq!(outcome.status, Some(125), "{outcome:?}");
        assert!(outcome.line().contains("4 slots can't be had: the pool has 3"), "{style}: {outcome:?}");
        let outcome = sandbox.run(&["-j3", "--style", style, "--", jobserver(), "exec", "-n", "3", "--", "echo", "{}"]);
        outcome.is_clean();
        assert_eq!(outcome.out, "3\n", "{style}");
    }
}

#[test]
fn several_that_need_all_slots_of_make_take_turns() {
    for path in makes() {
        let sandbox = Sandbox::new();
        // One at a time: each would see the other's file.
        let job = "mkdir busy && sleep 0.1 && rmdir busy && echo {}";
        let outcome = make(
            &sandbox,
            &path,
            4,
            &format!("all: a b c d e\na b c d e: ; +EXEC -n 4..4 --timeout 110 -- sh -c '{job}'\n"),
        );
        assert_eq!(
            (outcome.status, outcome.out.as_str()),
            (Some(0), "4\n4\n4\n4\n4\n"),
            "{}: {outcome:?}",
            text(&path)
        );
        let lines: Vec<&str> = outcome.err.lines().collect();
        assert!(!lines.is_empty() && lines.len() <= 5, "once each: {outcome:?}");
        assert!(lines.iter().all(|line| line.contains("given back for now")), "{outcome:?}");
    }
}

#[test]
fn what_does_not_come_in_time_is_124_and_make_has_all_its_tokens() {
    for path in makes() {
        let sandbox = Sandbox::new();
        let other = "touch started; while ! [ -e go ]; do sleep 0.02; done";
        let waits = "while ! [ -e started ]; do sleep 0.02; done; EXEC -n 3 --timeout 600ms -- echo never; \
                     echo $$? >status; touch go";
        let outcome = make(&sandbox, &path, 3, &format!("all: other waits\nother: ; {other}\nwaits: ; +{waits}\n"));
        assert_eq!((outcome.status, outcome.out.as_str()), (Some(0), ""), "{outcome:?}");
        assert_eq!(std::fs::read_to_string(sandbox.path("status")).unwrap(), "124\n");
        assert!(outcome.err.contains("3 slots did not come in 0.6 s, 2 at most"), "{outcome:?}");
        assert!(!outcome.err.contains("INTERNAL"), "{outcome:?}");
    }
}

/// A `run` that can't tell processes apart, alone and inside a make's jobserver, where a broker counts its tokens.
#[test]
fn several_that_need_all_slots_of_a_run_take_turns() {
    let jobs = "all: a b c d e\na b c d e: ; @+EXEC -n 3..3 --timeout 110 -- sh -c \
                'mkdir busy && sleep 0.1 && rmdir busy && echo {}'\n";
    for path in makes() {
        let styles: &[&str] = if path == clients::make_4_3() { &["pipe", "fifo --shim"] } else { &["pipe", "fifo"] };
        for (style, outer) in styles.iter().flat_map(|&style| [(style, None), (style, Some(&path))]) {
            let sandbox = Sandbox::new();
            sandbox.write("inner.mk", &jobs.replace("EXEC", &format!("{} exec", jobserver())));
            let run: Vec<&str> = ["-j3", "--style"].into_iter().chain(style.split(' ')).collect();
            let run = [&run[..], &["--", text(&path), "-s", "-f", "inner.mk"]].concat();
            let outcome = match outer {
                None => sandbox.run(&run),
                Some(outer) => {
                    let words = run.join(" ");
                    make(&sandbox, outer, 4, &format!("all: ; +{} run {words}\n", jobserver()))
                }
            };
            let expected = (Some(0), "3\n3\n3\n3\n3\n");
            assert_eq!((outcome.status, outcome.out.as_str()), expected, "{style} {outer:?}: {outcome:?}");
            let lines: Vec<&str> = outcome.err.lines().collect();
            // Neither a lost token nor a stray is told at the end.
            assert!(lines.len() <= 5 && lines.iter().all(|line| line.contains("given back for now")), "{outcome:?}");
        }
    }
}

/// cargo keeps a token that it has no use for until one of its jobs ends: nothing that waits may be lent to it.
#[test]
fn in_a_build_script_a_wait_ends_at_its_time_too() {
    let sandbox = Sandbox::new();
    std::fs::create_dir(sandbox.path("src")).unwrap();
    sandbox.write("src/main.rs", "fn main() {}");
    sandbox.write("Cargo.toml", "[package]\nname = \"it\"\nedition = \"2021\"\n[workspace]\n");
    let script = format!(
        "{j} exec -n 2 -- sh -c 'touch held; until [ -e go ]; do sleep 0.02; done' & until [ -e held ]; do sleep 0.02; done; \
         {j} exec -n 4 --timeout 1 -- echo never; echo status $?; touch go; wait; {j} exec -n 2 --timeout 110 -- echo got {{}}",
        j = jobserver()
    );
    sandbox.write("script", &script);
    let build = "fn main() {
        let output = std::process::Command::new(\"sh\").arg(\"script\").output().unwrap();
        for line in String::from_utf8(output.stdout).unwrap().lines() { println!(\"cargo:warning={line}\"); }
    }";
    sandbox.write("build.rs", build);
    let mut cargo = sandbox.command("cargo");
    cargo.args(["build", "-j4", "--offline", "--color", "never"]).env_remove("CARGO_TARGET_DIR");
    let outcome = sandbox.finish(cargo);
    assert_eq!(outcome.status, Some(0), "{outcome:?}");
    let said = |what: &str| outcome.err.lines().any(|line| line.ends_with(what));
    assert!(said(": status 124") && said(": got 2"), "{outcome:?}");
}
