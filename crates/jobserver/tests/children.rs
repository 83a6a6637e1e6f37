//! What children get of the pool: the form they can read, the user's flags beside it, or nothing at all.
#![cfg(unix)]

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::ErrorKind;
use std::os::fd::{AsFd, AsRawFd};
use std::path::{Path, PathBuf};
use std::process::Command;

use jobserver::{Auth, Client, Join, MakeFlags, Server};
use testkit::spans::Recorder;
use testkit::{clients, process, procfs};

#[path = "children/sys.rs"]
mod sys;

fn fifo(slots: usize) -> Server {
    Server::builder().slots(slots).fifo().build().unwrap()
}

fn variable(command: &Command, name: &str) -> Option<OsString> {
    command.get_envs().find(|(known, _)| *known == name)?.1.map(OsString::from)
}

fn variables(command: &Command) -> BTreeMap<OsString, Option<OsString>> {
    command.get_envs().map(|(name, value)| (name.to_owned(), value.map(OsString::from))).collect()
}

fn auth(command: &Command, name: &str) -> Auth {
    let value = variable(command, name).unwrap_or_default();
    Auth::parse(MakeFlags::parse(&value).jobserver().expect("an auth")).unwrap()
}

fn make(program: &Path, makefile: &str, recorder: &Recorder) -> Command {
    fs::write(recorder.path().join("Makefile"), makefile).unwrap();
    let mut command = Command::new(program);
    process::without_jobserver(&mut command);
    command.current_dir(recorder.path());
    command
}

/// Twelve jobs, and what the variables behind ` -- ` have become.
fn twelve_jobs(recorder: &Recorder) -> String {
    let targets: Vec<String> = (0..12).map(|number| format!("t{number}")).collect();
    format!(
        "all: {0}\n\t@echo 'the variable is $(WORDS)'\n{0}:\n\t@{1} sleep 0.01\n",
        targets.join(" "),
        recorder.wrapper().display()
    )
}

#[test]
fn every_make_joins_every_pool_in_the_form_that_it_reads() {
    let pools = [fifo(3), Server::builder().slots(3).pipe().build().unwrap()];
    for (server, program, how) in [
        (&pools[0], clients::make_4_3(), Join::Descriptors),
        (&pools[0], clients::make_4_4(), Join::Descriptors),
        (&pools[0], clients::make_4_4(), Join::Path),
        (&pools[0], clients::make_4_3(), Join::Both),
        (&pools[0], clients::make_4_4(), Join::Both),
        (&pools[0], clients::make_4_4(), Join::Native),
        (&pools[1], clients::make_4_3(), Join::Native),
        (&pools[1], clients::make_4_4(), Join::Descriptors),
    ] {
        let recorder = Recorder::with_meeting(3);
        let mut command = make(&program, &twelve_jobs(&recorder), &recorder);
        command.env("MAKEFLAGS", "s -j9 --jobserver-auth=fifo:/gone -- WORDS=one\\ \\ two");
        // The client may be gone before the child is started.
        server.client().join(&mut command, how, Some(3)).unwrap();
        let said = process::output(&mut command);
        assert!(said.contains("the variable is one  two"), "{said}");
        assert_eq!(recorder.spans().jobs(), 12);
        assert_eq!(recorder.spans().most_at_once(), 3, "{} {how:?}", program.display());
        assert_eq!(server.balance().unwrap().missing(), 0);
        assert_eq!(server.balance().unwrap().strays(), 0);
    }
}

#[test]
fn what_is_not_about_jobs_stays_in_makeflags_and_cargo_alone_changes_nothing_there() {
    let server = fifo(4);
    let path = Auth::Fifo(server.path().unwrap().into());
    for (how, makes, cargos) in [
        (Join::Native, Some("fifo"), "fifo"),
        (Join::Path, Some("fifo"), "fifo"),
        (Join::Descriptors, Some("pipe"), "pipe"),
        (Join::Both, Some("pipe"), "fifo"),
        (Join::Cargo, None, "fifo"),
    ] {
        let mut command = Command::new("true");
        command.env("MAKEFLAGS", "ks -j8 --jobserver-auth=5,6 -O -- V=1 W=--jobserver-auth=7,8").env("MFLAGS", "-ks");
        let before = variables(&command);
        server.client().join(&mut command, how, Some(4)).unwrap();
        let kind = |auth: &Auth| match auth {
            Auth::Fifo(_) => "fifo",
            _ => "pipe",
        };
        let cargo = auth(&command, "CARGO_MAKEFLAGS");
        assert_eq!(kind(&cargo), cargos, "{how:?}");
        if cargos == "fifo" {
            assert_eq!(cargo, path);
        }
        let Some(makes) = makes else {
            let mut after = variables(&command);
            after.remove(&OsString::from("CARGO_MAKEFLAGS"));
            assert_eq!(after, before);
            continue;
        };
        let value = variable(&command, "MAKEFLAGS").unwrap().into_string().unwrap();
        assert_eq!(kind(&auth(&command, "MAKEFLAGS")), makes, "{how:?}");
        assert!(value.starts_with("ks -j4 --jobserver-"), "{value}");
        assert!(value.ends_with(" -O -- V=1 W=--jobserver-auth=7,8"), "{value}");
        assert_eq!(variables(&command)[&OsString::from("MFLAGS")], None);
    }
}

#[test]
fn a_pool_without_a_path_says_so_and_leaves_the_command_as_it_was() {
    let client = Client::new(2).unwrap();
    for how in [Join::Path, Join::Both] {
        let mut command = Command::new("true");
        command.env("MAKEFLAGS", "k");
        let before = variables(&command);
        let error = client.join(&mut command, how, None).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{how:?}");
        assert!(error.to_string().contains("no path"), "{error}");
        assert_eq!(variables(&command), before);
    }
}

#[test]
fn cargo_below_an_old_make_finds_the_path_where_make_closes_the_descriptors() {
    const NAME: &str = "cargo_below_an_old_make_finds_the_path_where_make_closes_the_descriptors";
    if process::role().is_some() {
        let client = Client::connect().unwrap();
        drop(client.acquire().unwrap());
        // Both slots of the pool are in reach: make's own and the token.
        println!("joined by {:?}", std::env::var("CARGO_MAKEFLAGS"));
        return;
    }
    for program in [clients::make_4_3(), clients::make_4_4()] {
        let server = fifo(2);
        let recorder = Recorder::new();
        let mut command = make(&program, &recipe(NAME, "cargo", ""), &recorder);
        server.client().join(&mut command, Join::Both, None).unwrap();
        let said = process::output(&mut command);
        assert!(said.contains("joined by Ok(\"-j --jobserver-auth=fifo:"), "{said}");
        assert_eq!(server.balance().unwrap().missing(), 0);
    }
}

#[test]
fn a_child_that_joins_by_path_is_started_without_a_fork() {
    const NAME: &str = "a_child_that_joins_by_path_is_started_without_a_fork";
    if process::role().is_some() {
        sys::count_forks();
        let server = fifo(2);
        for (how, forks) in [(Join::Native, 0), (Join::Path, 0), (Join::Cargo, 0), (Join::Descriptors, 1)] {
            let before = sys::forks();
            let mut command = Command::new("true");
            server.client().join(&mut command, how, None).unwrap();
            assert!(command.status().unwrap().success());
            assert_eq!(sys::forks() - before, forks, "{how:?}");
        }
        let before = sys::forks();
        let mut command = Command::new("true");
        jobserver::keep_out(&mut command);
        assert!(command.status().unwrap().success());
        assert_eq!(sys::forks(), before);
        assert_eq!(server.balance().unwrap().missing(), 0);
        return;
    }
    process::output(&mut process::me(NAME, "spawns"));
}

/// A makefile whose only recipe starts the test `name` of this program in another role.
fn recipe(name: &str, role: &str, prefix: &str) -> String {
    let me = std::env::current_exe().unwrap();
    format!("all:\n\t{prefix}@JOBSERVER_TEST_ROLE={role} {} {name} --exact --nocapture --quiet\n", me.display())
}

#[test]
fn a_daemon_that_is_kept_out_has_no_trace_of_makes_pool() {
    const NAME: &str = "a_daemon_that_is_kept_out_has_no_trace_of_makes_pool";
    match process::role().as_deref() {
        Some("daemon") => {
            let traces: Vec<_> = std::env::vars().filter(|(_, value)| value.contains("--jobserver")).collect();
            let flags = std::env::var("MAKEFLAGS").unwrap_or_default();
            let pool = std::env::var("THE_POOL").unwrap();
            let open: Vec<_> = procfs::fds(std::process::id()).into_iter().filter(|(_, file)| *file == pool).collect();
            println!("daemon: {traces:?} {open:?} {flags:?}");
            assert!(Client::connect().is_err());
        }
        Some(style) => {
            let client = Client::connect().unwrap();
            let token = client.acquire().unwrap();
            let value = std::env::var_os("MAKEFLAGS").unwrap();
            let (named, pool) = match Auth::parse(MakeFlags::parse(&value).jobserver().unwrap()).unwrap() {
                Auth::Fifo(path) => (vec![], path),
                Auth::Pipe { read, write } => {
                    (vec![read, write], fs::read_link(format!("/proc/self/fd/{read}")).unwrap())
                }
                other => panic!("{other}"),
            };
            assert_eq!(named.is_empty(), style == "path");
            let open = procfs::fds(std::process::id());
            assert!(open.iter().any(|(_, file)| Path::new(file) == pool), "{} isn't in {open:?}", pool.display());
            let mut daemon = process::me(NAME, "daemon");
            // `me` has removed them; the daemon would have had what this process has.
            daemon.env("MAKEFLAGS", &value).env("CARGO_MAKEFLAGS", &value).env("MFLAGS", &value);
            client.join(&mut daemon, Join::Native, None).unwrap();
            jobserver::keep_out(&mut daemon);
            daemon.env("THE_POOL", &pool);
            println!("{}", process::output(&mut daemon));
            for fd in named {
                assert!(sys::is_shared(fd), "{fd} has changed in this process");
            }
            drop(token);
        }
        None => {
            let (old, new) = (clients::make_4_3(), clients::make_4_4());
            for (program, argument, role) in
                [(&old, "-j2", "numbers"), (&new, "--jobserver-style=pipe", "numbers"), (&new, "-j2", "path")]
            {
                let recorder = Recorder::new();
                let mut command = make(program, &recipe(NAME, role, "+"), &recorder);
                let said = process::output(command.args(["-k", "-j2", argument, "V=1"]));
                assert!(said.contains("daemon: [] [] \"k -- V=1\""), "{} {argument}: {said}", program.display());
            }
        }
    }
}

#[test]
fn numbers_that_stand_for_something_else_by_now_are_left_to_the_child() {
    const NAME: &str = "numbers_that_stand_for_something_else_by_now_are_left_to_the_child";
    if let Some(numbers) = process::role() {
        for number in numbers.split(',') {
            let open = PathBuf::from(format!("/proc/self/fd/{number}")).exists();
            assert!(open, "{number} was closed");
        }
        return;
    }
    let file = sys::copy(File::open("/dev/null").unwrap().as_fd());
    let (socket, _peer) = std::os::unix::net::UnixStream::pair().unwrap();
    let socket = sys::copy(socket.as_fd());
    sys::share(&file);
    sys::share(&socket);
    let numbers = format!("{},{}", file.as_raw_fd(), socket.as_raw_fd());
    for value in [format!("--jobserver-auth={numbers}"), "--jobserver-auth=1,2".into(), "--jobserver-auth=-2,-2".into()]
    {
        let mut child = process::me(NAME, &format!("{numbers},0,1,2"));
        child.env("MAKEFLAGS", &value).env("GNUMAKEFLAGS", &value);
        jobserver::keep_out(&mut child);
        assert_eq!(variable(&child, "MAKEFLAGS"), None);
        assert_eq!(variable(&child, "GNUMAKEFLAGS"), None);
        process::output(&mut child);
    }
}

#[test]
fn the_last_of_join_and_keep_out_counts() {
    let server = fifo(2);
    for how in [Join::Native, Join::Descriptors] {
        let mut command = Command::new("true");
        jobserver::keep_out(&mut command);
        server.client().join(&mut command, how, None).unwrap();
        auth(&command, "MAKEFLAGS");
        auth(&command, "CARGO_MAKEFLAGS");
        jobserver::keep_out(&mut command);
        assert_eq!(variable(&command, "MAKEFLAGS"), None);
        assert_eq!(variable(&command, "CARGO_MAKEFLAGS"), None);
        assert!(command.status().unwrap().success());
    }
    assert_eq!(server.balance().unwrap().missing(), 0);
}
