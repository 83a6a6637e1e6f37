//! Waits that end without a token, batches, and tokens that change hands: nothing is lost, nobody is left asleep.

mod pools;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use jobserver::{Canceller, Client};
use pools::{clients, server};
use testkit::chance::Chance;
use testkit::process;

/// Far longer than anything here takes: a waiter that is left asleep is a failure and no hang.
const BOUND: Duration = Duration::from_secs(60);

#[test]
fn a_deadline_ends_a_wait_and_never_early() {
    for client in clients(1) {
        let token = client.acquire_timeout(BOUND).unwrap().expect("it is free");
        let start = Instant::now();
        assert!(client.acquire_timeout(Duration::from_millis(30)).unwrap().is_none());
        assert!(start.elapsed() >= Duration::from_millis(30));
        let start = Instant::now();
        assert!(client.acquire_deadline(start + Duration::from_micros(1500)).unwrap().is_none());
        assert!(start.elapsed() >= Duration::from_micros(1500));
        // A time that has passed, and one that no clock can show.
        assert!(client.acquire_deadline(start).unwrap().is_none());
        drop(token);
        assert!(client.acquire_deadline(start).unwrap().is_some());
        assert!(client.acquire_timeout(Duration::MAX).unwrap().is_some());
        assert_eq!(client.available().unwrap(), 1);
    }
}

#[test]
fn one_canceller_ends_many_waits_and_stays_cancelled() {
    for client in clients(0) {
        let canceller = Canceller::new().unwrap();
        thread::scope(|scope| {
            let waiters: Vec<_> =
                (0..8).map(|_| scope.spawn(|| client.acquire_unless(&canceller, None).unwrap().is_none())).collect();
            assert!(!canceller.is_cancelled());
            canceller.clone().cancel();
            canceller.cancel();
            for waiter in waiters {
                assert!(waiter.join().unwrap());
            }
        });
        assert!(canceller.is_cancelled());
        client.release_raw().unwrap();
        assert!(client.acquire_unless(&canceller, None).unwrap().is_none(), "cancelled comes before a token");
        assert!(client.try_acquire().unwrap().is_some());
        assert_eq!(client.available().unwrap(), 1);
    }
}

#[test]
fn a_wait_with_a_canceller_ends_at_its_deadline_and_with_a_token() {
    for client in clients(0) {
        let canceller = Canceller::new().unwrap();
        let soon = Instant::now() + Duration::from_millis(5);
        assert!(client.acquire_unless(&canceller, Some(soon)).unwrap().is_none());
        thread::scope(|scope| {
            let waiter = scope.spawn(|| client.acquire_unless(&canceller, Some(Instant::now() + BOUND)).unwrap());
            client.release_raw().unwrap();
            assert!(waiter.join().unwrap().is_some());
        });
        assert_eq!(client.available().unwrap(), 1);
    }
}

#[test]
fn no_waiter_sleeps_while_a_token_lies_free() {
    // Two waiters that can't be cancelled and three that can; two tokens come while the three are cancelled. Whoever is
    // cancelled may have been woken for a token, and each one who gets a token gives it back.
    for client in clients(0) {
        let mut chance = Chance(0x9E37_79B9_7F4A_7C15);
        for _ in 0..if cfg!(windows) { 300 } else { 1_500 } {
            let canceller = &Canceller::new().unwrap();
            let (got, has_got) = mpsc::channel();
            thread::scope(|scope| {
                for number in 0..2 {
                    let (client, got) = (&client, got.clone());
                    scope.spawn(move || {
                        let token = match number {
                            0 => client.acquire().unwrap(),
                            _ => client.acquire_timeout(BOUND).unwrap().expect("a token lies free and this waits"),
                        };
                        got.send(token).unwrap();
                    });
                }
                for _ in 0..3 {
                    scope.spawn(|| drop(client.acquire_unless(canceller, None).unwrap()));
                }
                let pause = chance.below(300);
                scope.spawn(move || {
                    thread::sleep(Duration::from_micros(pause));
                    canceller.cancel();
                });
                thread::sleep(Duration::from_micros(chance.below(300)));
                client.release_raw().unwrap();
                client.release_raw().unwrap();
                for _ in 0..2 {
                    has_got.recv_timeout(BOUND).expect("a token lies free and this waits").drop_without_releasing();
                }
            });
        }
        assert_eq!(client.available().unwrap(), 0);
    }
}

/// Given up by each process of the storm. Under wine a wait costs several messages to its server.
const GIVEN_UP: usize = if cfg!(windows) { 1_000 } else { 25_000 };

/// Lets some time pass, up to some tens of microseconds. To yield would be to wait for a slice of everybody else's, each time,
/// where the machine is busy.
fn pass(steps: u64) {
    (0..64 * steps).for_each(|_| std::hint::spin_loop());
}

/// One process of the storm: 16 threads, of which each acquires in every way there is, and gives up as often as not.
fn storm(client: &Client, seed: u64) -> usize {
    let given_up = AtomicUsize::new(0);
    thread::scope(|scope| {
        for number in 0..16 {
            let given_up = &given_up;
            let mut chance = Chance(seed * 31 + number + 1);
            scope.spawn(move || {
                while given_up.load(Ordering::Relaxed) < GIVEN_UP {
                    let way = chance.below(8);
                    let got = match way {
                        0 => client.try_acquire().unwrap(),
                        1 => Some(client.acquire().unwrap()),
                        2 => client.try_acquire_many(3).unwrap().pop(),
                        3 => client.acquire_up_to(2).unwrap().pop(),
                        4 | 5 => client.acquire_timeout(Duration::from_micros(chance.below(400))).unwrap(),
                        _ => {
                            let canceller = Canceller::new().unwrap();
                            let theirs = canceller.clone();
                            let pause = chance.below(100);
                            thread::scope(|inner| {
                                inner.spawn(move || {
                                    pass(pause);
                                    theirs.cancel();
                                });
                                client.acquire_unless(&canceller, None).unwrap()
                            })
                        }
                    };
                    // Those who only looked have not waited.
                    if got.is_none() && way >= 4 {
                        given_up.fetch_add(1, Ordering::Relaxed);
                    }
                    pass(chance.below(20));
                }
            });
        }
    });
    given_up.into_inner()
}

#[test]
fn waits_given_up_by_64_threads_of_4_processes_by_the_thousand_cost_no_token() {
    const NAME: &str = "waits_given_up_by_64_threads_of_4_processes_by_the_thousand_cost_no_token";
    if let Some(seed) = process::role() {
        let client = Client::connect().unwrap();
        println!("[{}]", storm(&client, seed.parse().unwrap()));
        assert!(client.take_release_error().is_none());
        return;
    }
    let server = server(4);
    let storms: Vec<_> = (1..=4)
        .map(|seed| {
            let mut child = process::me(NAME, &seed.to_string());
            server.join_make(&mut child).unwrap();
            child.stdout(std::process::Stdio::piped()).spawn().unwrap()
        })
        .collect();
    let mut given_up = 0;
    for storm in storms {
        let output = process::finish(storm);
        assert!(output.status.success());
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        given_up += said.split(['[', ']']).nth(1).unwrap().parse::<usize>().unwrap();
    }
    assert!(given_up >= 4 * GIVEN_UP, "{given_up}");
    let balance = server.balance().unwrap();
    assert_eq!((balance.free, balance.missing(), balance.strays()), (3, 0, 0));
}

#[test]
fn a_batch_takes_what_there_is_and_gives_it_back_at_once() {
    for client in clients(10) {
        let mut three = client.acquire_up_to(3).unwrap();
        let rest = client.acquire_up_to(100).unwrap();
        assert_eq!((three.len(), rest.len(), client.available().unwrap()), (3, 7, 0));
        assert!(client.try_acquire_many(5).unwrap().is_empty());
        let one = three.pop().unwrap();
        drop(three);
        assert_eq!(client.available().unwrap(), 2);
        rest.release().unwrap();
        drop(one);
        assert_eq!(client.available().unwrap(), 10);
        let singles: Vec<_> = client.acquire_up_to(4).unwrap().collect();
        assert_eq!((singles.len(), client.available().unwrap()), (4, 6));
        drop(singles);
        assert_eq!(client.acquire_up_to(0).unwrap_err().kind(), std::io::ErrorKind::InvalidInput);
        assert!(client.try_acquire_many(0).unwrap().is_empty());
        assert_eq!(client.try_acquire_many(usize::MAX).unwrap().len(), 10);
        assert_eq!(client.available().unwrap(), 10);
    }
}

#[test]
fn a_batch_waits_for_its_first_token_only() {
    for client in clients(0) {
        thread::scope(|scope| {
            let waiter = scope.spawn(|| client.acquire_up_to(5).unwrap().len());
            client.release_raw().unwrap();
            assert_eq!(waiter.join().unwrap(), 1);
        });
        assert_eq!(client.available().unwrap(), 1);
    }
}

#[test]
fn a_large_pool_goes_out_and_back_in_batches() {
    // A semaphore gives one at a time.
    let tokens = if cfg!(windows) { 10_000 } else { 200_000 };
    let client = Client::new(tokens).unwrap();
    let mut batches = Vec::new();
    while let batch @ 1.. = client.available().unwrap() {
        batches.push(client.acquire_up_to(batch).unwrap());
    }
    assert_eq!(batches.iter().map(|batch| batch.len()).sum::<usize>(), tokens);
    drop(batches);
    assert!(client.take_release_error().is_none());
    assert_eq!(client.available().unwrap(), tokens);
}

#[test]
fn a_token_is_handed_to_another_process_with_its_byte() {
    const NAME: &str = "a_token_is_handed_to_another_process_with_its_byte";
    if let Some(byte) = process::role() {
        let client = Client::connect().unwrap();
        return client.from_raw(byte.parse().unwrap()).release().unwrap();
    }
    let server = server(1);
    // A semaphore's tokens have no byte of their own.
    let theirs = match server.path() {
        Some(path) => std::fs::write(path, "x").map(|()| b'x'),
        None => server.client().release_raw().map(|()| b'+'),
    };
    let byte = server.client().acquire().unwrap().into_raw();
    assert_eq!(byte, theirs.unwrap());
    let mut child = process::me(NAME, &byte.to_string());
    server.join_make(&mut child).unwrap();
    process::output(&mut child);
    assert_eq!(server.client().acquire().unwrap().into_raw(), byte);
}
