//! Windows: named semaphores shared with GNU make for Windows and with other processes.
//!
//! Processes of a test are this very program again. Jobs are counted from outside by what they record; make ends with a
//! word on standard error when its pool is not as it was, so one that says nothing has its balance.
#![cfg(windows)]

use std::fs;
use std::io;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use jobserver::{Acquired, Auth, Canceller, Client, FromEnvErrorKind, Join, MakeFlags, Server, Slots};
use testkit::spans::{self, Recorder};
use testkit::{clients, process};

/// Far longer than anything here takes.
const BOUND: Duration = Duration::from_secs(60);

fn server(slots: usize) -> Server {
    Server::builder().slots(slots).build().unwrap()
}

fn is_whole(server: &Server) {
    let balance = server.balance().unwrap();
    assert_eq!((balance.missing(), balance.strays()), (0, 0));
}

/// A recipe's line that runs the test `name` as a process with that role.
fn recipe(name: &str) -> String {
    let me = std::env::current_exe().unwrap();
    format!("\t@{} {name} --exact --nocapture --quiet\n", me.display())
}

/// make, whose recipes have `role`, in a folder that has the makefile.
fn make(folder: &Path, makefile: &str, role: &str) -> Command {
    fs::write(folder.join("Makefile"), makefile).unwrap();
    let mut make = Command::new(clients::make_for_windows());
    process::without_jobserver(&mut make);
    make.current_dir(folder).env("JOBSERVER_TEST_ROLE", role);
    make
}

/// Runs make; it must succeed, and have nothing to say about tokens.
#[track_caller]
fn is_clean(mut make: Command) {
    let output = process::finish(make.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap());
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.is_empty(), "{}: {said}", output.status);
}

#[test]
fn makes_own_semaphore_is_shared_by_our_client_in_its_recipes_and_sub_makes() {
    const NAME: &str = "makes_own_semaphore_is_shared_by_our_client_in_its_recipes_and_sub_makes";
    if let Some(folder) = process::role() {
        let client = Client::connect().unwrap();
        assert_eq!(client.available().unwrap().min(1), client.available().unwrap(), "-j2 is one token");
        let slots = Slots::new(client);
        thread::scope(|scope| {
            for _ in 0..3 {
                let slot = slots.acquire().unwrap();
                let folder = &folder;
                scope.spawn(move || {
                    spans::job(Path::new(folder), 2, || thread::sleep(Duration::from_millis(20)));
                    slot.release().unwrap();
                });
            }
        });
        return;
    }
    let recorder = Recorder::new();
    let job = recipe(NAME);
    let makefile = format!("all: a b sub\nsub:\n\t@$(MAKE) below\nbelow: c d\na b c d:\n{job}.PHONY: all sub below\n");
    let mut make = make(recorder.path(), &makefile, recorder.path().to_str().unwrap());
    make.arg("-j2");
    is_clean(make);
    assert_eq!((recorder.spans().jobs(), recorder.spans().most_at_once()), (12, 2));
}

#[test]
fn make_uses_every_slot_of_our_server_and_never_more() {
    const NAME: &str = "make_uses_every_slot_of_our_server_and_never_more";
    if let Some(role) = process::role() {
        let (slots, folder) = role.split_once(' ').unwrap();
        spans::job(Path::new(folder), slots.parse().unwrap(), || thread::sleep(Duration::from_millis(20)));
        return;
    }
    for slots in [1, 2, 4] {
        let recorder = Recorder::new();
        let job = recipe(NAME);
        let makefile =
            format!("all: a b c d sub\nsub:\n\t@$(MAKE) below\nbelow: e f g h\na b c d e f g h:\n{job}.PHONY: below\n");
        let mut make = make(recorder.path(), &makefile, &format!("{slots} {}", recorder.path().display()));
        let server = server(slots);
        server.join_make(&mut make).unwrap();
        is_clean(make);
        assert_eq!((recorder.spans().jobs(), recorder.spans().most_at_once()), (8, slots));
        is_whole(&server);
    }
}

#[test]
fn configure_make_lets_make_join_as_in_0_1() {
    const NAME: &str = "configure_make_lets_make_join_as_in_0_1";
    if let Some(folder) = process::role() {
        return spans::job(Path::new(&folder), 3, || thread::sleep(Duration::from_millis(20)));
    }
    let recorder = Recorder::new();
    let makefile = format!("all: a b c d e f\na b c d e f:\n{}", recipe(NAME));
    let mut make = make(recorder.path(), &makefile, recorder.path().to_str().unwrap());
    let client = Client::new(2).unwrap();
    client.configure_make(&mut make);
    is_clean(make);
    assert_eq!((recorder.spans().jobs(), recorder.spans().most_at_once()), (6, 3));
    assert_eq!(client.available().unwrap(), 2);
}

/// A process of this test in that role, in the pool, once it says that it is ready.
fn start(name: &str, role: &str, server: &Server) -> Child {
    let mut child = process::me(name, role);
    server.join_make(&mut child).unwrap();
    // It stays until its standard input is closed.
    process::start_ready(child.stdin(Stdio::piped()))
}

/// At the end of a process that said it was ready: nobody reads what the test's harness would say after that.
fn give_back(token: Acquired) {
    token.release().unwrap();
    std::process::exit(0);
}

#[test]
fn two_processes_meet_in_one_semaphore() {
    const NAME: &str = "two_processes_meet_in_one_semaphore";
    if process::role().is_some() {
        let client = Client::connect().unwrap();
        let token = client.acquire().unwrap();
        process::ready();
        io::copy(&mut io::stdin(), &mut io::sink()).unwrap();
        return give_back(token);
    }
    let server = server(3);
    let ours = server.client();
    let theirs = start(NAME, "holds one", &server);
    assert_eq!(ours.available().unwrap(), 1);
    let token = ours.acquire().unwrap();
    assert!(ours.try_acquire().unwrap().is_none());
    thread::scope(|scope| {
        // The other's token comes to who waits here.
        let waiter = scope.spawn(|| ours.acquire_timeout(BOUND).unwrap().is_some());
        assert!(process::finish(theirs).status.success());
        assert!(waiter.join().unwrap());
    });
    drop(token);
    is_whole(&server);
}

#[test]
fn waits_for_another_process_end_at_a_deadline_when_cancelled_or_with_its_token() {
    const NAME: &str = "waits_for_another_process_end_at_a_deadline_when_cancelled_or_with_its_token";
    if process::role().is_some() {
        let token = Client::connect().unwrap().acquire().unwrap();
        process::ready();
        io::copy(&mut io::stdin(), &mut io::sink()).unwrap();
        return give_back(token);
    }
    let server = server(2);
    let client = server.client();
    let theirs = start(NAME, "holds it", &server);
    let begin = Instant::now();
    assert!(client.acquire_timeout(Duration::from_millis(30)).unwrap().is_none());
    assert!(begin.elapsed() >= Duration::from_millis(30));
    let canceller = Canceller::new().unwrap();
    thread::scope(|scope| {
        let waiter = scope.spawn(|| client.acquire_unless(&canceller, None).unwrap().is_none());
        canceller.cancel();
        assert!(waiter.join().unwrap());
    });
    smol::block_on(async {
        let give_up = async {
            smol::Timer::after(Duration::from_millis(10)).await;
            None
        };
        let got = smol::future::or(async { Some(client.acquire_async().await.unwrap()) }, give_up).await;
        assert!(got.is_none(), "the other has it");
    });
    // And a future that was there before it is given back.
    let awaited = smol::spawn(client.acquire_async());
    assert!(process::finish(theirs).status.success());
    drop(smol::block_on(awaited).unwrap());
    is_whole(&server);
}

#[test]
fn what_a_killed_process_held_is_missing_and_the_rest_goes_round() {
    const NAME: &str = "what_a_killed_process_held_is_missing_and_the_rest_goes_round";
    if process::role().is_some() {
        let client = Client::connect().unwrap();
        let _token = client.acquire().unwrap();
        process::ready();
        io::copy(&mut io::stdin(), &mut io::sink()).unwrap();
        unreachable!("it is killed");
    }
    let server = server(4);
    let mut holder = start(NAME, "holds", &server);
    holder.kill().unwrap();
    assert!(!holder.wait().unwrap().success());
    // Windows gives back nothing of it, whatever the handle's end: said by the balance, and by nobody else.
    assert_eq!(server.balance().unwrap().missing(), 1);
    let client = server.client();
    for _ in 0..3 {
        let both = [client.try_acquire().unwrap().unwrap(), client.try_acquire().unwrap().unwrap()];
        assert!(client.try_acquire().unwrap().is_none());
        drop(both);
    }
    // Who serves the pool can put back what it knows to be lost.
    client.release_raw().unwrap();
    is_whole(&server);
}

#[test]
fn a_pool_of_no_tokens_gives_none_and_holds_the_one_that_is_released() {
    let client = Client::new(0).unwrap();
    assert_eq!(client.available().unwrap(), 0);
    assert!(client.try_acquire().unwrap().is_none());
    assert!(client.acquire_timeout(Duration::from_millis(5)).unwrap().is_none());
    client.release_raw().unwrap();
    assert_eq!(client.available().unwrap(), 1);
    drop(client.acquire().unwrap());
}

#[test]
fn a_token_too_many_is_an_error_that_says_so_and_keeps_its_number() {
    let client = Client::new(2).unwrap();
    let error = client.release_raw().unwrap_err();
    assert!(error.to_string().contains("more tokens were given back to the jobserver than were taken"), "{error}");
    assert!(error.to_string().contains("298"), "{error}");
    let cause = error.get_ref().and_then(|inner| inner.source()).and_then(|cause| cause.downcast_ref::<io::Error>());
    assert_eq!(cause.and_then(io::Error::raw_os_error), Some(298));
    // Where nobody looks at the time of the fault, it is kept for who asks later.
    drop(client.from_raw(b'+'));
    let kept = client.take_release_error().expect("it is kept").to_string();
    assert!(kept.contains("298"), "{kept}");
    assert_eq!(client.available().unwrap(), 2);
}

fn variable(command: &Command, name: &str) -> Option<String> {
    let value = command.get_envs().find(|(known, _)| *known == name)?.1?;
    Some(value.to_str().unwrap().to_string())
}

fn name_of(client: &Client) -> String {
    let mut command = Command::new("nobody");
    client.join(&mut command, Join::Cargo, None).unwrap();
    let value = variable(&command, "CARGO_MAKEFLAGS").unwrap();
    let auth = MakeFlags::parse(value.as_ref()).jobserver().map(Auth::parse);
    let Some(Ok(Auth::Semaphore(name))) = auth else { panic!("{value}") };
    name
}

#[test]
fn a_semaphore_has_a_name_that_nobody_can_guess() {
    let names: Vec<String> = (0..64).map(|_| name_of(&Client::new(1).unwrap())).collect();
    for (at, name) in names.iter().enumerate() {
        let random = name.strip_prefix("jobserver_").unwrap();
        assert!(random.len() == 32 && random.bytes().all(|digit| digit.is_ascii_hexdigit()), "{name}");
        assert!(!names[..at].contains(name));
    }
    // Nowhere among 64 numbers of 32 digits is a digit fixed.
    for digit in "jobserver_".len().."jobserver_".len() + 32 {
        assert!(names.iter().any(|name| name.as_bytes()[digit] != names[0].as_bytes()[digit]), "digit {digit}");
    }
    // With its last holder it is gone.
    let auth = Auth::parse(names[0].as_ref()).unwrap();
    let gone = Client::connect_to(&auth).unwrap_err();
    assert!(matches!(gone.kind(), FromEnvErrorKind::CannotOpenPath), "{gone}");
}

#[test]
fn a_child_is_told_the_name_and_nothing_that_windows_has_not() {
    let server = server(3);
    let name = name_of(&server.client());
    let mut command = Command::new("nobody");
    command.env("MAKEFLAGS", "k -j9 --jobserver-auth=gmake_semaphore_7 -- V=one\\ two");
    server.join_make(&mut command).unwrap();
    let expected = format!("k -j3 --jobserver-auth={name} -- V=one\\ two");
    assert_eq!(variable(&command, "MAKEFLAGS").unwrap(), expected);
    for how in [Join::Descriptors, Join::Path, Join::Both] {
        let mut command = Command::new("nobody");
        let error = server.client().join(&mut command, how, None).unwrap_err();
        assert_eq!((error.kind(), command.get_envs().count()), (io::ErrorKind::Unsupported, 0), "{how:?}");
    }
    for builder in [Server::builder().pipe(), Server::builder().fifo()] {
        assert_eq!(builder.slots(2).build().unwrap_err().kind(), io::ErrorKind::Unsupported);
    }
    jobserver::keep_out(&mut command);
    assert_eq!(variable(&command, "MAKEFLAGS").unwrap(), "k -- V=one\\ two");
}

#[test]
fn what_makeflags_names_is_joined_or_explained() {
    const NAME: &str = "what_makeflags_names_is_joined_or_explained";
    if process::role().is_some() {
        match Client::connect() {
            Ok(_) => println!("[joined]"),
            Err(error) => println!("[{:?} by {:?}: {error}]", error.kind(), error.variable()),
        }
        return;
    }
    let server = server(2);
    let good = format!(" -j2 --jobserver-auth={}", name_of(&server.client()));
    let say = |cargo: Option<&str>, make: &str| {
        let mut child = process::me(NAME, "connect");
        if let Some(cargo) = cargo {
            child.env("CARGO_MAKEFLAGS", cargo);
        }
        process::output(child.env("MAKEFLAGS", make))
    };
    for (flags, kind, words) in [
        ("k", "NoJobserver", "run make with -jN"),
        (" -j2 --jobserver-auth=3,4", "CannotOpenPath", "MSYS2's or Cygwin's make"),
        (" -j2 --jobserver-auth=fifo:/tmp/GMfifo77", "CannotOpenPath", "MSYS2's or Cygwin's make"),
        (" -j2 --jobserver-auth=gmake_semaphore_0", "CannotOpenPath", "gmake_semaphore_0"),
    ] {
        let said = say(None, flags);
        assert!(said.contains(kind) && said.contains(words) && said.contains("MAKEFLAGS"), "{flags}: {said}");
    }
    assert!(say(None, &good).contains("[joined]"));
    // One left over from a cargo that is gone hides nothing.
    for stale in ["", "-j", "-j --jobserver-auth=jobserver_0", "-j --jobserver-auth=3,4"] {
        assert!(say(Some(stale), &good).contains("[joined]"), "{stale}");
    }
    is_whole(&server);
}
