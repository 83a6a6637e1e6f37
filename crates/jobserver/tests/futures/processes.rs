//! What only a process of its own can show: its threads and its end.

use std::sync::Arc;

use jobserver::{Client, Server};
use testkit::process;

use super::hand_made::{block_on, poll, until, until_ready, Flag};

/// How many threads of this process wait for tokens.
fn waiting_threads() -> usize {
    let threads = std::fs::read_dir("/proc/self/task").unwrap();
    let names = threads.map(|thread| std::fs::read_to_string(thread.unwrap().path().join("comm")));
    names.filter(|name| name.as_ref().is_ok_and(|name| name.trim() == "jobserver-async")).count()
}

/// The pipes, FIFOs and eventfds that this process has open.
fn descriptors() -> usize {
    let ours = |target: &str| ["pipe:", "/fifo", "eventfd"].iter().any(|kind| target.contains(kind));
    testkit::procfs::fds(std::process::id()).iter().filter(|(_, target)| ours(target)).count()
}

#[test]
fn one_thread_waits_for_all_futures_and_none_when_nobody_waits() {
    const NAME: &str = "processes::one_thread_waits_for_all_futures_and_none_when_nobody_waits";
    let Some(role) = process::role() else {
        let server = Server::builder().slots(3).fifo().build().unwrap();
        for role in ["own", "joined"] {
            let mut child = process::me(NAME, role);
            server.join_make(&mut child).unwrap();
            process::output(&mut child);
        }
        assert_eq!((server.balance().unwrap().free, server.balance().unwrap().strays()), (2, 0));
        return;
    };
    let before = descriptors();
    let client = if role == "own" { Client::new(2).unwrap() } else { Client::connect().unwrap() };
    let flag = Arc::new(Flag::default());
    let held = [block_on(client.acquire_async()).unwrap(), block_on(client.acquire_async()).unwrap()];
    let mut futures: Vec<_> = (0..1_000).map(|_| client.acquire_async()).collect();
    assert_eq!(waiting_threads(), 0, "what needn't wait needs no thread");
    for round in 0..20 {
        assert!(futures.iter_mut().all(|future| poll(future, &flag).is_pending()));
        // One that is about to end may still be there, and one that starts has its name a moment later.
        until("one thread waits for a thousand futures", || waiting_threads() == 1);
        // By turns from the front and from the back.
        futures.drain(..500 - round);
        futures.drain(1..);
        assert_eq!(waiting_threads(), 1);
        futures.clear();
        until("nobody waits", || waiting_threads() == 0);
        futures.extend((0..1_000).map(|_| client.clone().acquire_async()));
    }
    // The last one to wait ends the thread by being served.
    let mut last = client.acquire_async();
    assert!(poll(&mut last, &flag).is_pending());
    drop(held);
    drop(until_ready(&mut last).unwrap());
    until("the last one was served", || waiting_threads() == 0);
    // A future keeps the pool and its thread; with the last one all is gone.
    let all = [client.acquire().unwrap(), client.acquire().unwrap()];
    let mut orphan = client.acquire_async();
    assert!(poll(&mut orphan, &flag).is_pending());
    drop((futures, client, last));
    drop(all);
    drop(until_ready(&mut orphan).unwrap());
    drop(orphan);
    until("all is gone", || waiting_threads() == 0 && descriptors() == before);
}

#[test]
fn a_process_ends_although_futures_wait() {
    const NAME: &str = "processes::a_process_ends_although_futures_wait";
    if let Some(role) = process::role() {
        let client = Client::connect().unwrap();
        let flag = Arc::new(Flag::default());
        let mut futures: Vec<_> = (0..100).map(|_| client.acquire_async()).collect();
        assert!(futures.iter_mut().all(|future| poll(future, &flag).is_pending()));
        std::mem::forget(futures);
        return match role.as_str() {
            "exit" => std::process::exit(0),
            _ => drop(client),
        };
    }
    let server = Server::builder().slots(1).fifo().build().unwrap();
    for role in ["exit", "return"] {
        let mut child = process::me(NAME, role);
        server.join_make(&mut child).unwrap();
        process::output(&mut child);
    }
    // None of those who ended takes a token any more.
    server.client().release_raw().unwrap();
    drop(server.client().try_acquire().unwrap().unwrap());
    assert_eq!((server.balance().unwrap().free, server.balance().unwrap().strays()), (1, 1));
}

#[test]
fn a_future_without_a_descriptor_for_its_thread_is_an_error_and_the_next_one_waits() {
    const NAME: &str = "processes::a_future_without_a_descriptor_for_its_thread_is_an_error_and_the_next_one_waits";
    if process::role().is_none() {
        let mut shell = std::process::Command::new("sh");
        let me = process::me(NAME, "few descriptors");
        shell.args(["-c", "ulimit -n 64; exec \"$0\" \"$@\""]).arg(me.get_program()).args(me.get_args());
        shell.env("JOBSERVER_TEST_ROLE", "few descriptors");
        process::output(&mut shell);
        return;
    }
    let client = Client::new(0).unwrap();
    assert!(client.try_acquire().unwrap().is_none());
    let mut all = Vec::new();
    while let Ok(file) = std::fs::File::open("/dev/null") {
        all.push(file);
    }
    let flag = Arc::new(Flag::default());
    assert!(matches!(poll(&mut client.acquire_async(), &flag), std::task::Poll::Ready(Err(_))));
    drop(all);
    let mut next = client.acquire_async();
    assert!(poll(&mut next, &flag).is_pending());
    client.release_raw().unwrap();
    until_ready(&mut next).unwrap().drop_without_releasing();
    assert_eq!(client.available().unwrap(), 0);
}
