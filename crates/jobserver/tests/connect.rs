//! `Client::connect`: safe at any time, refuses what is no jobserver without touching it, and says how to mend it.
#![cfg(unix)]

use std::fs::{self, File};
use std::io::{Read, Seek, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::Command;

use jobserver::{Client, Server};
use testkit::{clients, process};

/// Connects in a child of the test `name` with this MAKEFLAGS and standard input, and returns what it says.
fn try_connect(name: &str, flags: &str, stdin: Option<OwnedFd>) -> String {
    let mut child = process::me(name, "connect");
    child.env("MAKEFLAGS", flags);
    if let Some(stdin) = stdin {
        child.stdin(stdin);
    }
    process::output(&mut child)
}

fn report() {
    match Client::connect() {
        Ok(_) => println!("joined"),
        Err(error) => println!("{:?} by {:?}: {error}", error.kind(), error.variable()),
    }
}

#[test]
fn an_error_says_what_was_found_and_how_to_mend_it() {
    const NAME: &str = "an_error_says_what_was_found_and_how_to_mend_it";
    if process::role().is_some() {
        return report();
    }
    for (flags, kind, remedy) in [
        ("k", "NoJobserver", "run make with -jN"),
        (" -j2 --jobserver-auth=-2,-2", "NegativeFd", "leading `+`"),
        (
            " -j2 --jobserver-auth=997,998",
            "CannotOpenFd",
            "MAKEFLAGS names descriptors 997,998, but they are closed: the recipe that ran this command needs a leading \
             `+`, or make 4.4 with fifo style",
        ),
        (" -j2 --jobserver-auth=fifo:/nowhere/at/all", "CannotOpenPath", "unset MAKEFLAGS"),
        (" -j2 --jobserver-auth=some_semaphore", "CannotParse", "unset MAKEFLAGS"),
    ] {
        let said = try_connect(NAME, flags, None);
        assert!(said.contains(kind) && said.contains(remedy) && said.contains("MAKEFLAGS"), "{flags}: {said}");
    }
    let mut child = process::me(NAME, "connect");
    let said = process::output(&mut child);
    assert!(said.contains("NoEnvVar") && said.contains("jobserver run"), "{said}");
}

#[test]
fn a_stale_or_empty_cargo_makeflags_does_not_hide_a_good_makeflags() {
    const NAME: &str = "a_stale_or_empty_cargo_makeflags_does_not_hide_a_good_makeflags";
    if process::role().is_some() {
        // SAFETY: nothing in this process has opened a file yet.
        let found = unsafe { Client::from_env_ext(false) };
        println!("[{}]", if found.client.is_ok() { found.var.unwrap().0 } else { "none" });
        return report();
    }
    let server = Server::builder().slots(2).fifo().build().unwrap();
    let good = format!(" -j2 --jobserver-auth=fifo:{}", server.path().unwrap().display());
    for stale in ["", "-j", "-j --jobserver-auth=997,998", "-j --jobserver-auth=fifo:/nowhere/at/all"] {
        let mut child = process::me(NAME, "connect");
        let said = process::output(child.env("CARGO_MAKEFLAGS", stale).env("MAKEFLAGS", &good));
        assert!(said.contains("[MAKEFLAGS]") && said.contains("joined"), "{stale}: {said}");
        // With nothing better behind it, the error is about the variable that came first.
        let mut child = process::me(NAME, "connect");
        let said = process::output(child.env("CARGO_MAKEFLAGS", stale).env("MAKEFLAGS", "k"));
        assert!(said.contains("CARGO_MAKEFLAGS"), "{stale}: {said}");
    }
    assert_eq!(server.balance().unwrap().missing(), 0);
}

#[test]
fn nothing_but_a_pipe_or_a_device_is_joined_and_no_byte_of_it_is_read() {
    const NAME: &str = "nothing_but_a_pipe_or_a_device_is_joined_and_no_byte_of_it_is_read";
    if process::role().is_some() {
        return report();
    }
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(b"precious").unwrap();
    file.rewind().unwrap();
    // Read and write end are standard input, whatever that is.
    let numbers = " -j2 --jobserver-auth=0,0";
    for path in [file.path().to_str().unwrap(), "/", "/dev/null", "/dev/zero", "/dev/full"] {
        let opened = File::open(path).unwrap();
        let kept = opened.try_clone().unwrap();
        let said = try_connect(NAME, numbers, Some(opened.into()));
        assert!(said.contains("NotAPipe") && said.contains("left over"), "{path}: {said}");
        if kept.metadata().unwrap().is_file() {
            // The offset is shared with the child: nothing was read.
            assert_eq!((&kept).stream_position().unwrap(), 0);
        }
        let said = try_connect(NAME, &format!(" -j2 --jobserver-auth=fifo:{path}"), None);
        assert!(said.contains("CannotOpenPath"), "{path}: {said}");
    }
    let mut text = String::new();
    file.read_to_string(&mut text).unwrap();
    assert_eq!(text, "precious");
    // A character device that is not a memory device may be a jobserver.
    let said = try_connect(NAME, " -j2 --jobserver-auth=fifo:/dev/ptmx", None);
    assert_eq!(said.lines().filter(|line| line.contains("joined")).count(), 1, "{said}");
}

#[test]
fn a_descriptor_that_is_open_the_wrong_way_round_is_refused() {
    const NAME: &str = "a_descriptor_that_is_open_the_wrong_way_round_is_refused";
    if process::role().is_some() {
        return report();
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("fifo");
    assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
    let _both = File::options().read(true).write(true).open(&path).unwrap();
    let read = File::open(&path).unwrap();
    let said = try_connect(NAME, " -j2 --jobserver-auth=0,0", Some(read.into()));
    assert!(said.contains("CannotOpenFd") && said.contains("reading only") && said.contains("left over"), "{said}");
}

#[test]
fn a_socket_can_only_be_used_by_from_env() {
    const NAME: &str = "a_socket_can_only_be_used_by_from_env";
    match process::role().as_deref() {
        Some("connect") => return report(),
        Some(_) => {
            // SAFETY: nothing in this process has opened a file yet.
            let client = unsafe { Client::from_env() }.expect("a socket will do");
            let token = client.acquire().unwrap();
            assert!(client.try_acquire().unwrap().is_none());
            return token.release().unwrap();
        }
        None => {}
    }
    let (mut ours, theirs) = UnixStream::pair().unwrap();
    let said = try_connect(NAME, " -j2 --jobserver-auth=0,0", Some(theirs.try_clone().unwrap().into()));
    assert!(said.contains("CannotOpenFd") && said.contains("socket") && said.contains("`Client::from_env`"), "{said}");
    ours.write_all(b"x").unwrap();
    let mut child = process::me(NAME, "from_env");
    process::output(child.env("MAKEFLAGS", " -j2 --jobserver-auth=0,0").stdin(OwnedFd::from(theirs)));
    let mut byte = [0];
    ours.read_exact(&mut byte).unwrap();
    assert_eq!(byte, *b"x", "the byte that was read is the byte that comes back");
}

#[test]
fn it_works_any_number_of_times_and_leaves_everything_as_it_was() {
    const NAME: &str = "it_works_any_number_of_times_and_leaves_everything_as_it_was";
    if process::role().is_some() {
        let before: Vec<_> = std::env::vars_os().collect();
        let descriptors = testkit::procfs::fds(std::process::id());
        let first = Client::connect().unwrap();
        let held: Vec<_> = (0..2).map(|_| first.acquire().unwrap()).collect();
        let second = Client::connect().unwrap();
        assert!(second.try_acquire().unwrap().is_none(), "both are the same pool");
        drop(held);
        for _ in 0..100 {
            let client = Client::connect().unwrap();
            drop(client.acquire().unwrap());
            drop(client.try_acquire().unwrap().unwrap());
        }
        drop((first, second));
        assert_eq!(testkit::procfs::fds(std::process::id()), descriptors);
        assert_eq!(std::env::vars_os().collect::<Vec<_>>(), before);
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let me = std::env::current_exe().unwrap();
    let recipe = format!("all:\n\t@+{} {NAME} --exact --nocapture --quiet\n", me.display());
    fs::write(dir.path().join("Makefile"), recipe).unwrap();
    for (make, style) in [
        (clients::make_4_3(), None),
        (clients::make_4_4(), Some("--jobserver-style=pipe")),
        (clients::make_4_4(), Some("--jobserver-style=fifo")),
    ] {
        let mut command = Command::new(make);
        process::without_jobserver(&mut command);
        command.current_dir(dir.path()).arg("-j3").args(style).env("JOBSERVER_TEST_ROLE", "connect");
        // make itself complains about tokens that are missing at its end.
        let child = command.stderr(std::process::Stdio::piped()).stdout(std::process::Stdio::piped()).spawn().unwrap();
        let output = process::finish(child);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{style:?}: {said}{}", String::from_utf8_lossy(&output.stdout));
        assert_eq!(said, "", "{style:?}");
    }
}

#[test]
fn the_kind_is_the_same_as_from_env_has_it() {
    const NAME: &str = "the_kind_is_the_same_as_from_env_has_it";
    if process::role().is_some() {
        let kind = Client::connect().map(drop).map_err(|error| error.kind());
        // SAFETY: nothing in this process has opened a file yet.
        let other = unsafe { Client::from_env_ext(true) }.client.map(drop).map_err(|error| error.kind());
        println!("{kind:?} {other:?}");
        assert_eq!(format!("{kind:?}"), format!("{other:?}"));
        return;
    }
    for flags in ["k", " -j --jobserver-auth=-2,-2", " -j --jobserver-auth=997,998", " -j --jobserver-auth=fifo:/no"] {
        try_connect(NAME, flags, None);
    }
    let server = Server::builder().slots(1).fifo().build().unwrap();
    let said = try_connect(NAME, &format!(" -j --jobserver-auth=fifo:{}", server.path().unwrap().display()), None);
    assert!(said.contains("Ok(()) Ok(())"), "{said}");
}

#[test]
fn no_terminal_becomes_ours() {
    const NAME: &str = "no_terminal_becomes_ours";
    if process::role().is_some() {
        // Whatever this says, the process must not have got the terminal on standard input by it.
        let said = Client::connect().map(drop).map_err(|error| error.to_string());
        println!("{said:?}, /dev/tty: {:?}", File::open("/dev/tty").map(drop).map_err(|error| error.raw_os_error()));
        return;
    }
    // A new terminal that is nobody's yet, on standard input of the leader of a session that has none.
    let start = "import os, sys; _, tty = os.openpty(); os.dup2(tty, 0)\n\
                 pid = os.fork()\n\
                 if pid == 0: os.setsid(); os.execv(sys.argv[1], sys.argv[1:])\n\
                 sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))";
    let mut python = Command::new("python3");
    process::without_jobserver(&mut python);
    python.args(["-c", start]).arg(std::env::current_exe().unwrap()).args([NAME, "--exact", "--nocapture", "--quiet"]);
    python.env("JOBSERVER_TEST_ROLE", "connect").env("MAKEFLAGS", " -j --jobserver-auth=0,0");
    let said = process::output(&mut python);
    assert!(said.contains("Ok(())"), "the terminal is a character device, and joined: {said}");
    assert!(said.contains("/dev/tty: Err(Some(6))"), "{said}");
}
