//! `exec` and `each`, and what Windows can't do.

use std::io::Write;
use std::path::Path;
use std::process::Stdio;
use std::thread;
use std::time::Duration;

use jobserver::Server;
use testkit::process;
use testkit::spans::{self, Recorder};

use super::{finish, jobserver, me};

#[test]
fn exec_tells_a_tool_how_many_slots_it_got_and_gives_them_back() {
    let server = Server::builder().slots(4).build().unwrap();
    for (range, slots) in [("3", "3"), ("2..8", "4"), ("1", "1")] {
        let mut exec = jobserver(&["exec", "-n", range, "--", "cmd", "/c", "echo {} %JOBSERVER_SLOTS%"]);
        server.join_make(&mut exec).unwrap();
        let outcome = finish(&mut exec);
        outcome.is_clean();
        assert_eq!(outcome.out.trim(), format!("{slots} {slots}"));
        assert_eq!(server.balance().unwrap().missing(), 0);
    }
    let token = server.client().acquire().unwrap();
    let mut exec = jobserver(&["exec", "-n", "4", "--timeout", "100ms", "--", "cmd", "/c", "exit 0"]);
    server.join_make(&mut exec).unwrap();
    let outcome = finish(&mut exec);
    assert_eq!(outcome.status, Some(124), "{outcome:?}");
    drop(token);
    assert_eq!(server.balance().unwrap().missing(), 0);
    let outcome = finish(&mut jobserver(&["exec", "-n", "2", "--", "cmd", "/c", "exit 9"]));
    assert_eq!(outcome.status, Some(9));
    assert!(outcome.err.contains("there is no pool here"), "{outcome:?}");
}

#[test]
fn several_that_want_more_than_there_is_take_turns() {
    let server = Server::builder().slots(4).build().unwrap();
    let start = || {
        let mut exec = jobserver(&["exec", "-n", "3", "--", "cmd", "/c", "exit 0"]);
        server.join_make(&mut exec).unwrap();
        exec.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    for child in [start(), start(), start()] {
        let output = process::finish(child);
        assert!(output.status.success(), "{output:?}");
    }
    assert_eq!(server.balance().unwrap().missing(), 0);
}

#[test]
fn each_runs_an_item_in_each_slot() {
    const NAME: &str = "more::each_runs_an_item_in_each_slot";
    if let Some(folder) = process::role() {
        return spans::job(Path::new(&folder), 3, || thread::sleep(Duration::from_millis(20)));
    }
    let recorder = Recorder::new();
    let server = Server::builder().slots(3).build().unwrap();
    let mut each = jobserver(&["each", "--"]);
    server.join_make(&mut each).unwrap();
    // The item is one more filter of the tests' names, which changes nothing.
    each.args(me(NAME)).arg(":::").args(["each_runs"; 9]).env("JOBSERVER_TEST_ROLE", recorder.path());
    let outcome = finish(&mut each);
    assert_eq!((outcome.status, &*outcome.err), (Some(0), ""), "{outcome:?}");
    assert_eq!((recorder.spans().jobs(), recorder.spans().most_at_once()), (9, 3));
    assert_eq!(server.balance().unwrap().missing(), 0);
}

#[test]
fn each_reads_its_items_and_writes_whole_outputs_in_their_order() {
    let mut each = jobserver(&["each", "-k", "-j2", "--no-pool", "--", "cmd", "/c", "echo [{}]& echo end"]);
    let mut child = each.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"one\r\n\r\ntwo words\r\nthree").unwrap();
    let output = process::finish(child);
    let said = String::from_utf8_lossy(&output.stdout).replace("\r\n", "\n");
    assert!(output.status.success(), "{output:?}");
    assert_eq!(said.lines().map(str::trim).collect::<Vec<_>>().join("|"), "[one]|end|[two words]|end|[three]|end");
    // As many as have failed.
    let outcome = finish(&mut jobserver(&["each", "--no-pool", "--", "cmd", "/c", "exit {}", ":::", "0", "1", "3"]));
    assert_eq!(outcome.status, Some(2), "{outcome:?}");
    assert!(outcome.err.contains("exit status 3"), "{outcome:?}");
}

#[test]
fn what_windows_can_not_do_is_said_with_its_reason() {
    for arguments in [&["status"][..], &["top"], &["set", "-j", "3"], &["serve", "-j", "2"]] {
        let outcome = finish(&mut jobserver(arguments));
        assert_eq!(outcome.status, Some(125), "{arguments:?} {outcome:?}");
        assert!(outcome.err.contains("a semaphore never tells who took from it"), "{arguments:?} {outcome:?}");
    }
    for (option, said) in [("--style=fifo", "Windows has semaphores only"), ("--shim", "Windows has no shims")] {
        let outcome = finish(&mut jobserver(&["run", option, "-j2", "--", "cmd", "/c", "exit 0"]));
        assert_eq!(outcome.status, Some(0));
        assert!(outcome.err.contains(said), "{outcome:?}");
    }
    for arguments in [&["completions", "powershell"][..], &["man"], &["--help"]] {
        let outcome = finish(&mut jobserver(arguments));
        assert!(outcome.status == Some(0) && outcome.out.len() > 500, "{arguments:?} {outcome:?}");
    }
}
