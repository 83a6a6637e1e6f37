//! Tokens come back from `Slots` as well when their process ends: those in use, those that change hands inside the
//! process, and the one that its leader has just read. The implicit slot is not among them.
#![cfg(unix)]

use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::process::Child;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use jobserver::{Client, Server, Slots};
use testkit::chance::Chance;
use testkit::process;

#[allow(dead_code)]
#[path = "terminate/sys.rs"]
mod sys;

use sys::{SIGHUP, SIGINT, SIGTERM};

/// More than slots, so that a slot mostly finds a thread that waits for it.
const THREADS: u64 = 8;
const SLOTS: usize = 4;
/// What a child that ends by itself returns.
const CODE: i32 = 7;

fn server(fifo: bool) -> Server {
    let builder = Server::builder().slots(SLOTS);
    if fifo { builder.fifo() } else { builder.pipe() }.build().unwrap()
}

fn assert_all_are_back(server: &Server, what: &str) {
    let balance = server.balance().unwrap();
    assert_eq!((balance.missing(), balance.strays()), (0, 0), "{what}");
}

/// Starts this test in another process, which runs jobs by the time this returns.
fn start(name: &str, role: &str, server: &Server) -> Child {
    let mut command = process::me(name, role);
    server.join_make(&mut command).unwrap();
    process::start_ready(&mut command)
}

/// Eight threads that take slots in all the ways there are. A number as the role: the process ends itself so many
/// microseconds later, from a thread that has a slot.
fn run_jobs(role: &str) -> ! {
    jobserver::return_tokens_on_exit().unwrap();
    let slots = Slots::new(Client::connect().unwrap());
    let ended = AtomicUsize::new(0);
    thread::scope(|scope| {
        for number in 0..THREADS {
            let (slots, ended) = (&slots, &ended);
            scope.spawn(move || {
                let mut chance = Chance(number * 77 + u64::from(std::process::id()) + 1);
                loop {
                    let slot = match chance.below(4) {
                        0 => slots.try_acquire().unwrap(),
                        1 => slots.acquire_timeout(Duration::from_micros(chance.below(300))).unwrap(),
                        _ => Some(slots.acquire().unwrap()),
                    };
                    if chance.below(3) == 0 {
                        thread::sleep(Duration::from_micros(chance.below(200)));
                    }
                    ended.fetch_add(usize::from(slot.is_some()), Ordering::Relaxed);
                    match chance.below(2) {
                        0 => drop(slot),
                        _ => slot.map_or(Ok(()), |slot| slot.release()).unwrap(),
                    }
                }
            });
        }
        while ended.load(Ordering::Relaxed) < 20 {
            thread::yield_now();
        }
        let mut output = std::io::stdout();
        writeln!(output, "\nready").unwrap();
        output.flush().unwrap();
        if let Ok(delay) = role.parse() {
            thread::sleep(Duration::from_micros(delay));
            let _held = slots.acquire().unwrap();
            std::process::exit(CODE);
        }
    });
    unreachable!("the threads run until the process ends")
}

fn a_hundred_and_fifty_ends(name: &str, fifo: bool) {
    if let Some(role) = process::role() {
        run_jobs(&role);
    }
    let seed = std::process::id().into();
    let mut chance = Chance(seed);
    let server = server(fifo);
    for round in 0..150 {
        let what = format!("seed {seed}, round {round}");
        let delay = chance.below(4_000);
        if chance.below(4) == 0 {
            let child = start(name, &delay.to_string(), &server);
            assert_eq!(process::finish(child).status.code(), Some(CODE), "{what}");
            assert_all_are_back(&server, &format!("{what}, exit"));
            continue;
        }
        let child = start(name, "until a signal", &server);
        thread::sleep(Duration::from_micros(delay));
        let signal = [SIGINT, SIGTERM, SIGHUP][chance.below(3) as usize];
        sys::kill(&child, signal);
        assert_eq!(process::finish(child).status.signal(), Some(signal), "{what}");
        assert_all_are_back(&server, &format!("{what}, signal {signal}"));
    }
}

#[test]
fn slots_on_a_fifo_lose_no_token_in_a_hundred_and_fifty_ends() {
    a_hundred_and_fifty_ends("slots_on_a_fifo_lose_no_token_in_a_hundred_and_fifty_ends", true);
}

#[test]
fn slots_on_an_inherited_pipe_lose_no_token_in_a_hundred_and_fifty_ends() {
    a_hundred_and_fifty_ends("slots_on_an_inherited_pipe_lose_no_token_in_a_hundred_and_fifty_ends", false);
}

#[test]
fn slots_that_outlive_a_signal_give_nothing_back_twice() {
    const NAME: &str = "slots_that_outlive_a_signal_give_nothing_back_twice";
    static CALLED: AtomicUsize = AtomicUsize::new(0);
    extern "C" fn notes(_: i32) {
        CALLED.fetch_add(1, Ordering::SeqCst);
    }
    if process::role().is_some() {
        sys::handle(SIGINT, notes);
        jobserver::return_tokens_on_exit().unwrap();
        let client = Client::connect().unwrap();
        let slots = Slots::new(client.clone());
        for round in 1..=100 {
            let held = [(); SLOTS].map(|()| slots.acquire().unwrap());
            assert_eq!(client.available().unwrap(), 0);
            sys::raise(SIGINT);
            assert_eq!(CALLED.load(Ordering::SeqCst), round);
            assert_eq!(client.available().unwrap(), SLOTS - 1, "the implicit slot is not given back");
            drop(held);
            assert_eq!(client.available().unwrap(), SLOTS - 1, "the others are given back once");
        }
        return;
    }
    for fifo in [true, false] {
        let server = server(fifo);
        let mut command = process::me(NAME, "outlives");
        server.join_make(&mut command).unwrap();
        process::output(&mut command);
        assert_all_are_back(&server, NAME);
    }
}
