//! Tokens come back when their process ends, by a signal or by itself, and the end is what it would have been.
#![cfg(unix)]

use std::fs::File;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use jobserver::{Client, Server};
use testkit::chance::Chance;
use testkit::process;

#[allow(dead_code)]
#[path = "terminate/sys.rs"]
mod sys;

use sys::{SIGHUP, SIGINT, SIGTERM};

/// A pool on a FIFO or on a pipe, and children that join it.
fn server(slots: usize, fifo: bool) -> Server {
    let builder = Server::builder().slots(slots);
    if fifo { builder.fifo() } else { builder.pipe() }.build().unwrap()
}

/// This test in another process, which has said `ready`.
fn start(name: &str, role: &str, server: &Server) -> Child {
    let mut command = process::me(name, role);
    server.join_make(&mut command).unwrap();
    process::start_ready(&mut command)
}

fn status(child: Child) -> ExitStatus {
    process::finish(child).status
}

/// The child holds what it took until somebody ends it.
fn wait_for_the_end() -> ! {
    loop {
        thread::park();
    }
}

fn assert_all_are_back(server: &Server, what: &str) {
    let balance = server.balance().unwrap();
    assert_eq!((balance.missing(), balance.strays()), (0, 0), "{what}");
}

fn joined() -> Client {
    let client = Client::connect().unwrap();
    jobserver::return_tokens_on_exit().unwrap();
    client
}

/// Eight threads that take and give back in all the ways there are, for ever.
fn move_tokens_for_ever(client: &Client) {
    let (got, has_got) = mpsc::channel();
    let helper = client.clone().into_helper_thread(move |token| drop(got.send(token))).unwrap();
    thread::scope(|scope| {
        for number in 0..8u64 {
            scope.spawn(move || {
                let mut chance = Chance(number * 77 + u64::from(std::process::id()) + 1);
                loop {
                    match chance.below(6) {
                        0 => drop(client.try_acquire().unwrap()),
                        1 => drop(client.acquire_timeout(Duration::from_micros(chance.below(300))).unwrap()),
                        2 => drop(client.acquire_up_to(3).unwrap()),
                        3 => {
                            client.acquire_raw().unwrap();
                            client.release_raw().unwrap();
                        }
                        4 => client.acquire().unwrap().release().unwrap(),
                        _ => {
                            let token = client.acquire().unwrap();
                            thread::sleep(Duration::from_micros(chance.below(200)));
                            drop(token);
                        }
                    }
                }
            });
        }
        // The helper's tokens take part.
        loop {
            helper.request_token();
            drop(has_got.recv().unwrap());
        }
    });
}

fn five_hundred_kills(name: &str, fifo: bool) {
    if process::role().is_some() {
        let client = joined();
        thread::spawn(|| {
            thread::sleep(Duration::from_millis(1));
            process::ready();
        });
        return move_tokens_for_ever(&client);
    }
    let seed = std::process::id().into();
    let mut chance = Chance(seed);
    let server = server(5, fifo);
    for round in 0..500 {
        let child = start(name, "moves", &server);
        thread::sleep(Duration::from_micros(chance.below(6_000)));
        let signal = [SIGINT, SIGTERM, SIGHUP][chance.below(3) as usize];
        sys::kill(&child, signal);
        if chance.below(4) == 0 {
            // Another one on the heels of the first.
            sys::kill(&child, signal);
        }
        assert_eq!(status(child).signal(), Some(signal), "seed {seed}, round {round}");
        assert_all_are_back(&server, &format!("seed {seed}, round {round}, signal {signal}"));
    }
}

#[test]
fn five_hundred_random_kills_on_a_fifo_cost_no_token() {
    five_hundred_kills("five_hundred_random_kills_on_a_fifo_cost_no_token", true);
}

#[test]
fn five_hundred_random_kills_on_an_inherited_pipe_cost_no_token() {
    five_hundred_kills("five_hundred_random_kills_on_an_inherited_pipe_cost_no_token", false);
}

#[test]
fn two_different_signals_at_once_cost_no_token() {
    const NAME: &str = "two_different_signals_at_once_cost_no_token";
    if process::role().is_some() {
        let client = joined();
        thread::spawn(process::ready);
        return move_tokens_for_ever(&client);
    }
    let server = server(5, true);
    for round in 0..100 {
        let child = start(NAME, "moves", &server);
        sys::kill(&child, SIGTERM);
        sys::kill(&child, SIGINT);
        sys::kill(&child, SIGHUP);
        let signal = status(child).signal();
        assert!([Some(SIGTERM), Some(SIGINT), Some(SIGHUP)].contains(&signal), "{signal:?}");
        assert_all_are_back(&server, &format!("round {round}"));
    }
}

#[test]
fn exit_and_the_end_of_main_give_back_what_is_held() {
    const NAME: &str = "exit_and_the_end_of_main_give_back_what_is_held";
    if let Some(role) = process::role() {
        let client = joined();
        let token = client.acquire().unwrap();
        client.acquire_raw().unwrap();
        if role == "ends" {
            // The test harness ends by itself.
            token.drop_without_releasing();
            std::mem::forget(client);
            return;
        }
        let batch = client.acquire_up_to(1).unwrap();
        thread::spawn(move || move_tokens_for_ever(&client));
        thread::sleep(Duration::from_millis(2));
        let _held = (token, batch);
        std::process::exit(7);
    }
    for fifo in [true, false] {
        let server = server(8, fifo);
        for _ in 0..20 {
            for (role, code) in [("exits", 7), ("ends", 0)] {
                let mut command = process::me(NAME, role);
                server.join_make(&mut command).unwrap();
                let child = command.stdout(Stdio::null()).spawn().unwrap();
                assert_eq!(status(child).code(), Some(code), "{role}");
                assert_all_are_back(&server, role);
            }
        }
    }
}

#[test]
fn an_earlier_handler_runs_and_says_how_the_process_ends() {
    const NAME: &str = "an_earlier_handler_runs_and_says_how_the_process_ends";
    extern "C" fn exits(_: i32) {
        sys::exit_now(42);
    }
    extern "C" fn raises_another(_: i32) {
        sys::raise(SIGTERM);
        sys::exit_now(1);
    }
    if process::role().is_some() {
        sys::handle(SIGTERM, exits);
        sys::handle(SIGINT, raises_another);
        let client = joined();
        let _held = client.acquire().unwrap();
        thread::spawn(process::ready);
        return move_tokens_for_ever(&client);
    }
    let server = server(5, true);
    for signal in [SIGTERM, SIGINT] {
        for round in 0..20 {
            let child = start(NAME, "holds", &server);
            sys::kill(&child, signal);
            assert_eq!(status(child).code(), Some(42), "signal {signal}");
            assert_all_are_back(&server, &format!("signal {signal}, round {round}"));
        }
    }
}

#[test]
fn a_process_that_outlives_its_signal_goes_on_with_a_count_that_is_right() {
    const NAME: &str = "a_process_that_outlives_its_signal_goes_on_with_a_count_that_is_right";
    static CALLED: AtomicUsize = AtomicUsize::new(0);
    extern "C" fn notes(_: i32) {
        CALLED.fetch_add(1, Ordering::SeqCst);
    }
    if process::role().is_some() {
        sys::handle(SIGINT, notes);
        sys::handle_once(SIGHUP, notes);
        let client = joined();
        let mut held = vec![client.acquire().unwrap(), client.acquire().unwrap()];
        let batch = client.acquire_up_to(1).unwrap();
        assert_eq!(client.available().unwrap(), 1);
        for signal in [SIGINT, SIGHUP, SIGINT] {
            sys::raise(signal);
            assert_eq!(client.available().unwrap(), 4, "the handler has written them back");
        }
        assert_eq!(CALLED.load(Ordering::SeqCst), 3);
        let fresh = client.acquire().unwrap();
        drop(held.pop());
        drop(batch);
        drop(held);
        assert_eq!(client.available().unwrap(), 3, "none is given back twice");
        drop(fresh);
        assert_eq!(client.available().unwrap(), 4);
        let later = sys::handle_and_pass_on(SIGTERM);
        let passing = client.acquire().unwrap();
        sys::raise(SIGTERM);
        assert!(later.load(Ordering::SeqCst));
        assert_eq!(client.available().unwrap(), 4);
        drop(passing);
        let _held = client.acquire().unwrap();
        let byte = client.acquire().unwrap().into_raw();
        let _from_elsewhere = client.from_raw(byte);
        process::ready();
        // The handler of SIGHUP was to be called once.
        wait_for_the_end();
    }
    let server = server(5, true);
    let child = start(NAME, "outlives", &server);
    assert_eq!(server.client().available().unwrap(), 2);
    sys::kill(&child, SIGHUP);
    assert_eq!(status(child).signal(), Some(SIGHUP));
    assert_all_are_back(&server, "outlives");
}

#[test]
fn a_slot_that_was_given_away_and_a_pool_that_is_gone_are_counted_right() {
    const NAME: &str = "a_slot_that_was_given_away_and_a_pool_that_is_gone_are_counted_right";
    if let Some(folder) = process::role() {
        let client = joined();
        // As rustc does: it gives its implicit slot away and takes one for its first job.
        client.release_raw().unwrap();
        let _held = [client.acquire().unwrap(), client.acquire().unwrap()];
        // A pool that came and went, whose descriptors have other owners by now.
        let gone = Client::new(2).unwrap();
        gone.acquire_raw().unwrap();
        drop(gone);
        let _others = [0, 1, 2, 3, 4].map(|name| File::create(format!("{folder}/{name}")).unwrap());
        process::ready();
        wait_for_the_end();
    }
    let server = server(5, true);
    let folder = tempfile::tempdir().unwrap();
    let child = start(NAME, folder.path().to_str().unwrap(), &server);
    assert_eq!(server.client().available().unwrap(), 3);
    sys::kill(&child, SIGTERM);
    assert_eq!(status(child).signal(), Some(SIGTERM));
    assert_all_are_back(&server, "rustc");
    for name in 0..5 {
        assert_eq!(folder.path().join(name.to_string()).metadata().unwrap().len(), 0, "a token in another's file");
    }
}

#[test]
fn signals_are_left_alone_unless_asked_and_ignored_ones_always() {
    const NAME: &str = "signals_are_left_alone_unless_asked_and_ignored_ones_always";
    if let Some(role) = process::role() {
        sys::ignore(SIGHUP);
        let client = Client::connect().unwrap();
        let caught = sys::caught_signals();
        if role == "asks" {
            jobserver::return_tokens_on_exit().unwrap();
            jobserver::return_tokens_on_exit().unwrap();
            assert_eq!(sys::caught_signals(), caught | sys::bit(SIGINT) | sys::bit(SIGTERM));
        }
        let _held = client.acquire().unwrap();
        drop(client.acquire().unwrap());
        if role != "asks" {
            assert_eq!(sys::caught_signals(), caught);
            assert_eq!(caught & (sys::bit(SIGINT) | sys::bit(SIGTERM)), 0);
        }
        process::ready();
        wait_for_the_end();
    }
    for (role, missing) in [("asks", 0), ("asks not", 1)] {
        let server = server(3, true);
        let child = start(NAME, role, &server);
        sys::kill(&child, SIGHUP);
        sys::kill(&child, SIGTERM);
        assert_eq!(status(child).signal(), Some(SIGTERM), "{role}");
        assert_eq!(server.balance().unwrap().missing(), missing, "{role}");
    }
}

#[test]
fn a_child_between_fork_and_exec_gives_nothing_back_that_its_parent_holds() {
    const NAME: &str = "a_child_between_fork_and_exec_gives_nothing_back_that_its_parent_holds";
    if process::role().is_some() {
        let client = joined();
        let held = client.acquire().unwrap();
        let mut command = Command::new("true");
        sys::raise_before_exec(&mut command, SIGINT);
        let status = command.spawn().unwrap().wait().unwrap();
        assert_eq!(status.signal(), Some(SIGINT));
        assert_eq!(client.available().unwrap(), 1);
        drop(held);
        assert_eq!(client.available().unwrap(), 2);
        return;
    }
    let server = server(3, true);
    let mut command = process::me(NAME, "forks");
    server.join_make(&mut command).unwrap();
    process::output(&mut command);
    assert_all_are_back(&server, "forks");
}
