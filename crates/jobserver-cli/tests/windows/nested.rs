//! `run` inside a jobserver: it takes its slots from that one, and what is lost inside is there again afterwards.

use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use jobserver::{Client, Server};
use testkit::process;
use testkit::spans::{self, Recorder};

use super::{finish, jobserver, line, make, makefile, me};

#[test]
fn a_narrower_run_inside_another_keeps_to_both() {
    const NAME: &str = "nested::a_narrower_run_inside_another_keeps_to_both";
    if let Some(folder) = process::role() {
        return spans::job(Path::new(&folder), 2, || thread::sleep(Duration::from_millis(20)));
    }
    for (outer, inner) in [("4", &["-j2"][..]), ("2", &[]), ("2", &["-j9"])] {
        let recorder = Recorder::new();
        makefile(recorder.path(), &line(NAME));
        let mut run = jobserver(&["run", "-j", outer, "--", env!("CARGO_BIN_EXE_jobserver"), "run"]);
        run.args(inner).args(["--", &make()]).current_dir(recorder.path());
        finish(run.env("JOBSERVER_TEST_ROLE", recorder.path())).is_clean();
        assert_eq!((recorder.spans().jobs(), recorder.spans().most_at_once()), (8, 2), "{outer} {inner:?}");
    }
}

#[test]
fn under_make_a_recipes_run_takes_its_slots_from_make() {
    const NAME: &str = "nested::under_make_a_recipes_run_takes_its_slots_from_make";
    if let Some(folder) = process::role() {
        return spans::job(Path::new(&folder), 3, || thread::sleep(Duration::from_millis(20)));
    }
    for width in ["", "-j3 "] {
        let recorder = Recorder::new();
        makefile(recorder.path(), &line(NAME));
        let recipe = format!("\t@{} run {width}-- {} all\n", env!("CARGO_BIN_EXE_jobserver"), make());
        std::fs::write(recorder.path().join("outer.mk"), format!("outer:\n{recipe}")).unwrap();
        let mut command = Command::new(make());
        process::without_jobserver(&mut command);
        command.args(["-j3", "-f", "outer.mk"]).current_dir(recorder.path());
        // make says on standard error what its own pool is short of.
        finish(command.env("JOBSERVER_TEST_ROLE", recorder.path())).is_clean();
        assert_eq!((recorder.spans().jobs(), recorder.spans().most_at_once()), (8, 3), "{width:?}");
    }
}

#[test]
fn what_is_lost_inside_is_restored_and_said() {
    const NAME: &str = "nested::what_is_lost_inside_is_restored_and_said";
    if process::role().is_some() {
        let client = Client::connect().unwrap();
        client.acquire().unwrap().drop_without_releasing();
        client.acquire().unwrap().drop_without_releasing();
        std::process::exit(5);
    }
    let server = Server::builder().slots(4).build().unwrap();
    let mut run = jobserver(&["run", "-j3", "--"]);
    server.join_make(&mut run).unwrap();
    let outcome = finish(run.args(me(NAME)).env("JOBSERVER_TEST_ROLE", "loses").stdin(Stdio::null()));
    assert_eq!(outcome.status, Some(5), "{outcome:?}");
    assert!(outcome.err.contains("2 of 2 tokens did not come back"), "{outcome:?}");
    assert!(outcome.err.contains("the inherited jobserver has them back all the same"), "{outcome:?}");
    let balance = server.balance().unwrap();
    assert_eq!((balance.free, balance.missing()), (3, 0));
}
