//! `status` in words and as JSON, and which pool is meant where none is named.

use serde_json::Value;
use testkit::clients;

use crate::build::{ask, output, Build};
use crate::sandbox::{jobserver, text, Sandbox};
use crate::served::Served;

#[test]
fn words_and_json_agree_with_what_runs() {
    let sandbox = Sandbox::new();
    let served = Served::new(&sandbox, &["-j4"]);
    let build = Build::start(&served, &sandbox, "kernel", 8);
    build.until_running(4);
    let status = served.until("all slots are in use", |status| status["held"] == 4);
    let lease = &status["leases"][0];
    let tokens: u64 =
        lease["endpoints"].as_array().unwrap().iter().map(|client| client["held"].as_u64().unwrap()).sum();
    // The slot of the command itself is no token.
    assert_eq!((lease["held"].as_u64(), tokens), (Some(4), 3), "{status}");
    let outcome = ask(&sandbox, &served, &["status"]);
    outcome.is_clean();
    assert!(outcome.out.contains("Slots      4: 4 in use, 0 free\n"), "{outcome:?}");
    assert!(
        outcome.out.contains("Guarantee  what a killed process held comes back at once (tracked)\n"),
        "{outcome:?}"
    );
    let line = |name: &str| {
        let line = outcome.out.lines().find(|line| line.trim_start().starts_with(name));
        line.unwrap_or_else(|| panic!("{outcome:?}")).split_whitespace().map(str::to_string).collect::<Vec<_>>()
    };
    let pid = lease["pid"].to_string();
    assert_eq!((&line("kernel ")[1], line("kernel ")[3].as_str()), (&pid, "4"), "{outcome:?}");
    let command = lease["command_pid"].to_string();
    assert_eq!((line("make ")[1].as_str(), line("make ")[2].as_str()), (command.as_str(), "4"), "{outcome:?}");
    assert!(!outcome.out.contains('\u{1b}'), "colours in a pipe: {outcome:?}");
    build.finish();
    let outcome = ask(&sandbox, &served, &["status"]);
    assert!(outcome.out.contains("No build is in it."), "{outcome:?}");
    served.finish();
}

#[test]
fn a_name_that_steers_a_terminal_is_shown_and_does_not() {
    let sandbox = Sandbox::new();
    let served = Served::new(&sandbox, &["-j2"]);
    let script = "echo ready; while ! [ -e go ]; do sleep 0.02; done";
    let child = sandbox.start(served.run(&["--name", "a\u{1b}]0;owned\u{7}\r\u{202e}z", "--", "sh", "-c", script]));
    let outcome = ask(&sandbox, &served, &["status"]);
    outcome.is_clean();
    assert!(outcome.out.contains("a\u{fffd}]0;owned\u{fffd}\u{fffd}\u{fffd}z"), "{outcome:?}");
    assert!(!outcome.out.chars().any(|letter| letter.is_control() && letter != '\n'), "{outcome:?}");
    sandbox.write("go", "");
    assert!(child.wait_with_output().unwrap().status.success());
    served.finish();
}

/// `status --json` of a recipe of `run`, with another pool served beside.
fn inside(make: &std::path::Path, style: &str) {
    let sandbox = Sandbox::new();
    let served = Served::new(&sandbox, &["-j5"]);
    sandbox.write("Makefile", "all: ; +@$(STATUS)\n");
    let mut command =
        sandbox.jobserver(&["-j3", "--no-pool", "--name", "mine", "--style", style, "--", text(make), "-s"]);
    command.env("STATUS", format!("{} status --json", jobserver())).env("JOBSERVER_POOL", &served.dir);
    let outcome = output(&mut command);
    outcome.is_clean();
    let status: Value = serde_json::from_str(&outcome.out).unwrap();
    assert_eq!(
        (status["capacity"].as_u64(), status["leases"][0]["name"].as_str()),
        (Some(3), Some("mine")),
        "{status}"
    );
    served.finish();
}

#[test]
fn in_a_recipe_it_is_the_pool_that_the_recipe_runs_in() {
    inside(&clients::make_4_4(), "tracked");
}

#[test]
fn in_a_recipe_of_an_old_make_it_is_found_by_the_inherited_pipes() {
    let sandbox = Sandbox::new();
    let served = Served::new(&sandbox, &["-j5"]);
    sandbox.write("Makefile", "all: ; +@$(STATUS)\n");
    let mut command = served.run(&["--name", "old", "--style", "pipe", "--", text(&clients::make_4_3()), "-s"]);
    command.env("STATUS", format!("{} status --json", jobserver()));
    let outcome = output(&mut command);
    outcome.is_clean();
    let status: Value = serde_json::from_str(&outcome.out).unwrap();
    assert_eq!((status["capacity"].as_u64(), status["leases"][0]["name"].as_str()), (Some(5), Some("old")), "{status}");
    served.finish();
}

#[test]
fn where_no_pool_is_served_the_pool_of_a_run_is_shown_and_several_are_listed() {
    let sandbox = Sandbox::new();
    let status = || output(sandbox.command(jobserver()).arg("status"));
    let outcome = status();
    assert_eq!(outcome.status, Some(125));
    assert!(outcome.line().contains("no pool is served"), "{outcome:?}");
    let script = "echo ready; while ! [ -e go ]; do sleep 0.02; done";
    let run = |slots, name| {
        sandbox.start(sandbox.jobserver(&[slots, "--style", "tracked", "--name", name, "--", "sh", "-c", script]))
    };
    let first = run("-j2", "first");
    let outcome = status();
    outcome.is_clean();
    assert!(outcome.out.contains("Slots      2: 1 in use, 1 free") && outcome.out.contains("\nfirst "), "{outcome:?}");
    let second = run("-j3", "second");
    let outcome = status();
    assert_eq!(outcome.status, Some(125));
    let said: Vec<&str> = outcome.err.lines().collect();
    assert!(said[0].starts_with("jobserver: no pool is served, and 2 builds have pools of their own"), "{outcome:?}");
    // Each line is a command that shows one of them.
    for line in &said[1..] {
        let words: Vec<&str> = line.split_whitespace().take_while(|&word| word != "#").collect();
        let outcome = output(sandbox.command(jobserver()).args(&words[1..]));
        outcome.is_clean();
        assert!(outcome.out.contains("\nfirst ") || outcome.out.contains("\nsecond "), "{outcome:?}");
    }
    assert_eq!(said.len(), 3, "{outcome:?}");
    sandbox.write("go", "");
    for child in [first, second] {
        assert!(child.wait_with_output().unwrap().status.success());
    }
    assert!(sandbox.pools().is_empty());
}

#[test]
fn a_pool_that_is_not_there_is_125_and_says_what_to_do() {
    let sandbox = Sandbox::new();
    for action in [&["status"][..], &["status", "--json"], &["set", "-j2"]] {
        let outcome = output(sandbox.command(jobserver()).args(action).args(["--pool", "nowhere"]));
        assert_eq!((outcome.status, outcome.out.as_str()), (Some(125), ""), "{outcome:?}");
        assert!(outcome.line().contains("no pool answers at nowhere/socket: "), "{outcome:?}");
    }
}
