//! Fewer slots while the machine is short of something: a limit that no machine can keep stands for a shortage.

use std::fs;

use testkit::clients;
use testkit::spans::Recorder;

use crate::sandbox::{start, text, wait, Sandbox};
use crate::served::Served;

/// Jobs that are short once there is a file `enough`, and eight after them.
fn build_under(limit: &[&str], works: &str, decided_by: &str) {
    let sandbox = Sandbox::new();
    let recorder = Recorder::new();
    let makefile = format!(
        "all: $(addprefix b,1 2 3 4 5 6 7 8)\n\
         b%: $(addprefix a,$(shell seq 600)) ; @{job} sleep 0.02\n\
         a%: ; @[ -e enough ] || {works}\n",
        job = recorder.wrapper().display()
    );
    sandbox.write("Makefile", &makefile);
    let served = Served::under(&sandbox, sandbox.command("env"), &[&["-j4"], limit].concat());
    let status = served.status();
    assert_eq!((status["in_force"].as_u64(), status["decided_by"].as_str()), (Some(4), Some("person")));
    let build = start(served.run(&["--", text(&clients::make_4_4()), "-s"]));
    served.until("the build runs", |status| status["leases"][0]["endpoints"][0]["pid"].is_u64());
    let status = served.until("no more than the floor is in force", |status| status["in_force"] == 1);
    assert_eq!((status["capacity"].as_u64(), status["decided_by"].as_str()), (Some(4), Some(decided_by)), "{status}");
    fs::write(sandbox.path("enough"), "").unwrap();
    wait(build).is_clean();
    let spans = recorder.spans();
    assert_eq!((spans.jobs(), spans.most_at_once()), (8, 1));
    let status = served.until("nobody is held back", |status| status["in_force"] == 4);
    assert_eq!((status["owed"].as_u64(), status["decided_by"].as_str()), (Some(0), Some("person")));
    served.finish();
}

#[test]
fn while_memory_is_short_a_build_goes_down_to_its_floor_and_ends_well() {
    build_under(&["--min-memory", "100%"], "sleep 0.1", "memory");
}

#[test]
fn while_too_many_processes_run_a_build_goes_down_to_its_floor_and_ends_well() {
    build_under(
        &["--min-memory", "none", "--max-load", "0.01"],
        "timeout 0.1 sh -c 'while :; do :; done' || :",
        "load",
    );
}

#[test]
fn a_limit_that_is_none_is_refused() {
    let sandbox = Sandbox::new();
    for (option, value) in
        [("--max-load", "0"), ("--max-load", "much"), ("--min-memory", "-1"), ("--min-memory", "200%")]
    {
        let mut command = sandbox.command(crate::sandbox::jobserver());
        command.args(["serve", "--dir"]).arg(sandbox.path("pool")).arg(format!("{option}={value}"));
        let outcome = sandbox.finish(command);
        assert!(outcome.status == Some(125) && outcome.err.contains(value), "{outcome:?}");
    }
}
