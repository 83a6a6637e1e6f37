//! Who sleeps beside a process that ends is woken for the tokens that are free then, whichever thread the kernel chose.
#![cfg(unix)]

use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ExitStatus};
use std::thread;
use std::time::{Duration, Instant};

use jobserver::{Client, Server};
use testkit::process;

#[allow(dead_code, unused_imports)]
#[path = "terminate/sys.rs"]
mod sys;

use sys::SIGTERM;

/// For waits that end by themselves on any machine.
const BOUND: Duration = Duration::from_secs(60);

fn server(slots: usize, fifo: bool) -> Server {
    let builder = Server::builder().slots(slots);
    if fifo { builder.fifo() } else { builder.pipe() }.build().unwrap()
}

fn start(name: &str, role: &str, server: &Server) -> Child {
    let mut command = process::me(name, role);
    server.join_make(&mut command).unwrap();
    process::start_ready(&mut command)
}

fn status(child: Child) -> ExitStatus {
    process::finish(child).status
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

#[test]
fn tokens_that_come_back_wake_others_and_not_the_threads_that_end() {
    const NAME: &str = "tokens_that_come_back_wake_others_and_not_the_threads_that_end";
    if process::role().is_some() {
        let client = joined();
        let _held = client.acquire().unwrap();
        thread::scope(|scope| {
            for _ in 0..16 {
                scope.spawn(|| client.acquire().unwrap().drop_without_releasing());
            }
            thread::sleep(Duration::from_millis(3));
            process::ready();
        });
        return;
    }
    for fifo in [true, false] {
        let server = server(2, fifo);
        for round in 0..40 {
            // Those that end were there first, so the token is offered to them first.
            let child = start(NAME, "waits", &server);
            let client = server.client();
            let waiter = thread::spawn(move || {
                let start = Instant::now();
                drop(client.acquire_timeout(BOUND).unwrap().expect("the token came back"));
                start.elapsed()
            });
            thread::sleep(Duration::from_millis(2));
            sys::kill(&child, SIGTERM);
            assert_eq!(status(child).signal(), Some(SIGTERM));
            assert!(waiter.join().unwrap() < BOUND, "round {round}: asleep beside a free token");
            assert_all_are_back(&server, "waits");
        }
    }
}
