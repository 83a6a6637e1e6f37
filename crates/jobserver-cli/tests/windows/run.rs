//! `jobserver run`: the slots, the status, the report, and an end for all that the command has started.

use std::io::Read;
use std::net::{TcpListener, TcpStream};
use std::os::windows::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use jobserver::Client;
use testkit::process;
use testkit::spans::{self, Recorder};

use super::{finish, jobserver, line, make, makefile, me};

/// From winbase.h.
const CREATE_NEW_PROCESS_GROUP: u32 = 0x200;

#[test]
fn make_and_its_sub_make_use_every_slot_and_never_more() {
    const NAME: &str = "run::make_and_its_sub_make_use_every_slot_and_never_more";
    if let Some(role) = process::role() {
        let (slots, folder) = role.split_once(' ').unwrap();
        return spans::job(Path::new(folder), slots.parse().unwrap(), || thread::sleep(Duration::from_millis(20)));
    }
    for slots in ["1", "3"] {
        let recorder = Recorder::new();
        makefile(recorder.path(), &line(NAME));
        let mut run = jobserver(&["run", "-j", slots, "--", &make()]);
        run.current_dir(recorder.path());
        finish(run.env("JOBSERVER_TEST_ROLE", format!("{slots} {}", recorder.path().display()))).is_clean();
        let spans = recorder.spans();
        assert_eq!((spans.jobs(), spans.most_at_once().to_string()), (8, slots.to_string()));
    }
}

#[test]
fn the_status_is_the_commands_own_in_all_of_its_32_bits() {
    const NAME: &str = "run::the_status_is_the_commands_own_in_all_of_its_32_bits";
    if let Some(role) = process::role() {
        std::process::exit(role.parse().unwrap());
    }
    for status in [0, 7, 255, 256, -1_073_741_819] {
        let mut run = jobserver(&["run", "--"]);
        let outcome = finish(run.args(me(NAME)).env("JOBSERVER_TEST_ROLE", status.to_string()));
        assert_eq!((outcome.status, &*outcome.err), (Some(status), ""));
    }
    let outcome = finish(&mut jobserver(&["run", "--", "no-such-program"]));
    assert_eq!(outcome.status, Some(127));
    assert!(outcome.err.starts_with("jobserver: no-such-program: "), "{outcome:?}");
}

#[test]
fn a_tokens_loss_is_reported_and_only_after_all_have_ended() {
    const NAME: &str = "run::a_tokens_loss_is_reported_and_only_after_all_have_ended";
    match process::role().as_deref() {
        Some("dies") => {
            Client::connect().unwrap().acquire().unwrap().drop_without_releasing();
            std::process::exit(3);
        }
        // Ends while a process of its own still holds a token.
        Some("leaves") => {
            process::start_ready(process::me(NAME, "late").envs(flags()));
            std::process::exit(0);
        }
        Some(_) => {
            let token = Client::connect().unwrap().acquire().unwrap();
            process::ready();
            thread::sleep(Duration::from_millis(300));
            token.release().unwrap();
            std::process::exit(0);
        }
        None => {}
    }
    let run = |role: &str| finish(jobserver(&["run", "-j3", "--"]).args(me(NAME)).env("JOBSERVER_TEST_ROLE", role));
    let outcome = run("dies");
    assert_eq!(outcome.status, Some(3));
    assert!(outcome.err.starts_with("jobserver: 1 of 2 tokens did not come back: "), "{outcome:?}");
    assert_eq!(outcome.err.lines().count(), 1);
    let outcome = run("leaves");
    assert_eq!((outcome.status, &*outcome.err), (Some(0), ""), "{outcome:?}");
}

/// What `process::me` takes away.
fn flags() -> Vec<(String, String)> {
    std::env::vars().filter(|(name, _)| name.ends_with("MAKEFLAGS")).collect()
}

#[test]
fn all_that_the_command_has_started_ends_with_the_runner() {
    const NAME: &str = "run::all_that_the_command_has_started_ends_with_the_runner";
    if let Some(role) = process::role() {
        let (depth, address) = role.split_once(' ').unwrap();
        let mut connection = TcpStream::connect(address).unwrap();
        if depth == "1" {
            let mut below = process::me(NAME, &format!("2 {address}"));
            drop(below.spawn().unwrap());
        }
        // For ever: nobody writes.
        let _ = connection.read(&mut [0]);
        unreachable!("it was to be ended");
    }
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let mut run = jobserver(&["run", "-j2", "--"]);
    run.args(me(NAME)).env("JOBSERVER_TEST_ROLE", format!("1 {address}"));
    let mut runner = run.stdin(Stdio::null()).spawn().unwrap();
    let connections = [listener.accept().unwrap().0, listener.accept().unwrap().0];
    runner.kill().unwrap();
    runner.wait().unwrap();
    for mut connection in connections {
        connection.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        // The end of the file, or a reset: whichever, nobody holds the other end.
        let read = connection.read(&mut [0]);
        assert!(!matches!(&read, Err(error) if error.kind() == std::io::ErrorKind::TimedOut), "it still runs");
        assert!(!matches!(read, Ok(1..)));
    }
}

#[test]
fn what_is_left_when_the_command_ends_is_ended_and_its_token_reported() {
    const NAME: &str = "run::what_is_left_when_the_command_ends_is_ended_and_its_token_reported";
    if let Some(role) = process::role() {
        let (what, address) = role.split_once(' ').unwrap();
        if what == "command" {
            process::start_ready(process::me(NAME, &format!("daemon {address}")).envs(flags()));
            std::process::exit(0);
        }
        let _token = Client::connect().unwrap().acquire().unwrap();
        let mut connection = TcpStream::connect(address).unwrap();
        process::ready();
        let _ = connection.read(&mut [0]);
        unreachable!("it was to be ended");
    }
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let role = format!("command {}", listener.local_addr().unwrap());
    let outcome = finish(jobserver(&["run", "-j2", "--"]).args(me(NAME)).env("JOBSERVER_TEST_ROLE", role));
    assert_eq!(outcome.status, Some(0));
    assert!(outcome.err.contains("1 of 1 token did not come back"), "{outcome:?}");
    let mut connection = listener.accept().unwrap().0;
    connection.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let read = connection.read(&mut [0]);
    assert!(!matches!(&read, Err(error) if error.kind() == std::io::ErrorKind::TimedOut), "it still runs");
}

/// `cargo xtask test --target windows` presses Ctrl-C in a terminal instead, under `each`.
#[test]
#[ignore = "wine 8 has no GenerateConsoleCtrlEvent: every call fails; .ci/windows runs it on the real Windows"]
fn a_break_ends_the_command_and_the_runner_lives_on_to_report() {
    const NAME: &str = "run::a_break_ends_the_command_and_the_runner_lives_on_to_report";
    if let Some(address) = process::role() {
        let _token = Client::connect().unwrap().acquire().unwrap();
        let mut connection = TcpStream::connect(address).unwrap();
        let _ = connection.read(&mut [0]);
        unreachable!("it was to be ended");
    }
    super::sys::have_console();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut run = jobserver(&["run", "-j3", "--"]);
    run.args(me(NAME)).env("JOBSERVER_TEST_ROLE", listener.local_addr().unwrap().to_string());
    run.creation_flags(CREATE_NEW_PROCESS_GROUP).stdin(Stdio::null()).stderr(Stdio::piped());
    let runner = run.spawn().unwrap();
    let _holds_its_token = listener.accept().unwrap();
    super::sys::break_group(runner.id()).unwrap();
    let output = process::finish(runner);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("1 of 2 tokens did not come back"), "{}: {said}", output.status);
    // STATUS_CONTROL_C_EXIT, the command's own.
    assert_eq!(output.status.code(), Some(0xC000_013A_u32 as i32), "{said}");
}

#[test]
fn a_make_of_msys2_is_told_a_width_and_no_semaphore() {
    let folder = tempfile::tempdir().unwrap();
    let script =
        "@if \"%~1\"==\"--version\" (echo GNU Make 4.4.1& echo Built for x86_64-pc-msys) else (echo [%MAKEFLAGS%])\r\n";
    std::fs::write(folder.path().join("make.cmd"), script).unwrap();
    let run = |arguments: &[&str]| {
        let mut command: Command = jobserver(arguments);
        let path = std::env::var_os("PATH").unwrap_or_default();
        let folders = [folder.path().to_path_buf()].into_iter().chain(std::env::split_paths(&path));
        finish(command.env("PATH", std::env::join_paths(folders).unwrap()))
    };
    let outcome = run(&["run", "-j3", "--", "make"]);
    assert_eq!(outcome.status, Some(0), "{outcome:?}");
    assert!(outcome.err.contains("make is MSYS2's") && outcome.err.contains("3 jobs at most"), "{outcome:?}");
    assert!(outcome.out.contains("-j3") && !outcome.out.contains("jobserver-auth"), "{outcome:?}");
}
