//! `serve` as a service: what it tells the service manager and the log, how it ends, and clients of other pid namespaces.

use std::fs;
use std::io::Read;
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::process::Command;
use std::time::Duration;

use rustix::process::{kill_process, Pid, Signal};
use testkit::clients;

use crate::sandbox::{start, text, wait, Sandbox};
use crate::served::Served;
use crate::slots::flat;
use crate::users::WAIT;

/// Nothing healthy takes that long.
const BOUND: Duration = Duration::from_secs(60);

#[test]
fn the_service_manager_is_told_when_it_is_ready_and_when_it_ends() {
    let sandbox = Sandbox::new();
    let manager = UnixDatagram::bind(sandbox.path("notify")).unwrap();
    manager.set_read_timeout(Some(BOUND)).unwrap();
    let mut wrapper = sandbox.command("env");
    wrapper.env("NOTIFY_SOCKET", sandbox.path("notify"));
    let hear = || {
        let mut text = [0; 1000];
        let length = manager.recv(&mut text).unwrap();
        String::from_utf8_lossy(&text[..length]).into_owned()
    };
    let served = Served::under(&sandbox, wrapper, &["-j2"]);
    let told = hear();
    assert!(told.lines().any(|line| line == "READY=1"), "{told:?}");
    UnixStream::connect(served.dir.join("socket")).unwrap();
    served.finish();
    let told = hear();
    assert!(told.lines().any(|line| line == "STOPPING=1"), "{told:?}");
}

#[test]
fn the_log_tells_of_builds_and_clients_when_it_is_asked_to_and_of_nothing_else() {
    for (option, level, leases, clients) in [
        (&[][..], None, false, false),
        (&["-v"], None, true, false),
        (&["-vv"], None, true, true),
        (&[], Some("info"), true, false),
        (&[], Some("debug"), true, true),
        (&["-vv"], Some("off"), true, true),
    ] {
        let sandbox = Sandbox::new();
        sandbox.write("Makefile", &flat("true"));
        let mut wrapper = sandbox.command("env");
        wrapper.envs(level.map(|level| ("JOBSERVER_LOG", level)));
        let mut served = Served::under(&sandbox, wrapper, &[&["-j2"], option].concat());
        let mut said = served.server.as_mut().unwrap().stderr.take().unwrap();
        wait(start(served.run(&["--name", "a\u{7}b", "--", text(&clients::make_4_4()), "-s"]))).is_clean();
        served.finish();
        let mut lines = String::new();
        said.read_to_string(&mut lines).unwrap();
        assert!(lines.lines().all(|line| line.starts_with("jobserver: ") && !line.contains('\u{7}')), "{lines}");
        assert_eq!((lines.contains("is opened"), lines.contains("has ended")), (leases, leases), "{option:?} {lines}");
        assert_eq!(lines.contains("is process"), clients, "{option:?} {lines}");
    }
}

#[test]
fn every_signal_that_ends_it_ends_it_cleanly_with_builds_in_it() {
    for signal in [Signal::TERM, Signal::INT, Signal::HUP] {
        let sandbox = Sandbox::new();
        let mut served = Served::new(&sandbox, &["-j2"]);
        let build = sandbox.start(served.run(&["--", "sh", "-c", WAIT]));
        served.signal(signal);
        assert!(served.server.take().unwrap().wait().unwrap().success());
        assert_eq!(fs::read_dir(&served.dir).unwrap().count(), 0);
        let table = fs::read_to_string("/proc/self/mountinfo").unwrap();
        assert!(!table.contains(text(&served.dir)), "{table}");
        sandbox.write("go", "");
        assert_eq!(wait(build).status, Some(0));
    }
}

#[test]
fn a_build_in_a_pid_namespace_of_its_own_is_a_build_like_any_other() {
    assert!(rustix::process::geteuid().is_root(), "only root can make a pid namespace: run the tests as root");
    let sandbox = Sandbox::new();
    let mut served = Served::new(&sandbox, &["-j3"]);
    let make = clients::make_4_4();
    sandbox.write("Makefile", &format!("all: a b\na b: ; @{WAIT}\n"));
    let build = |words: &[&str]| {
        let run = served.run(&[&["--style", "tracked", "--"], words].concat());
        let mut command = sandbox.command("unshare");
        command
            .args(["--pid", "--fork", "--kill-child", "--mount-proc", "--"])
            .arg(run.get_program())
            .args(run.get_args());
        command
    };
    let first = start(build(&[text(&make), "-s"]));
    let again = build(&["true"]);
    let running = |served: &Served<'_>| {
        let status =
            served.until("two jobs run", |status| status["held"] == 2 && status["leases"][0]["command_pid"] != 0);
        let pid = status["leases"][0]["command_pid"].as_u64().unwrap();
        assert_eq!(fs::read_to_string(format!("/proc/{pid}/comm")).unwrap(), "make\n", "{status}");
        assert_eq!(status["leases"][0]["endpoints"][0]["pid"].as_u64(), Some(pid), "{status}");
    };
    running(&served);
    served.signal(Signal::KILL);
    served.server.take().unwrap().wait().unwrap();
    served.start(&["-j3"]);
    running(&served);
    sandbox.write("go", "");
    assert_eq!(wait(first).status, Some(0));
    wait(start(again)).is_clean();
    served.finish();
}

/// The process that `unshare --fork` has started.
fn child_of(pid: u32) -> Pid {
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
    Pid::from_raw(children.trim().parse().unwrap()).unwrap()
}

#[test]
fn a_server_in_a_pid_namespace_of_its_own_serves_whoever_can_reach_it() {
    assert!(rustix::process::geteuid().is_root(), "only root can make a pid namespace: run the tests as root");
    for (options, reached) in [
        (&["--pid", "--fork", "--kill-child"][..], true),
        (&["--pid", "--fork", "--kill-child", "--mount-proc"], false),
    ] {
        let sandbox = Sandbox::new();
        sandbox.write("Makefile", &flat("sleep 0.02"));
        let mut wrapper: Command = sandbox.command("unshare");
        wrapper.args(options);
        let mut served = Served::under(&sandbox, wrapper, &["-j3"]);
        let make = clients::make_4_4();
        for _ in 0..2 {
            let outcome = wait(start(served.run(&["-j2", "--", text(&make), "-s"])));
            if reached {
                outcome.is_clean();
            } else {
                assert!(
                    outcome.status == Some(0) && outcome.line().contains("can't be reached from here"),
                    "{outcome:?}"
                );
            }
        }
        served.until("all is back", |status| status["free"] == status["capacity"]);
        let mut server = served.server.take().unwrap();
        kill_process(child_of(server.id()), Signal::TERM).unwrap();
        assert!(server.wait().unwrap().success());
        assert_eq!(fs::read_dir(&served.dir).unwrap().count(), 0);
    }
}
