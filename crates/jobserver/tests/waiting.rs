//! Threads that wait: who is woken, what a dropped helper leaves behind, and that no move loses a token.

mod pools;

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{mpsc, Arc};
use std::thread;
use std::time::Duration;

use jobserver::Client;
use pools::{clients, server};

/// A thread costs wine some milliseconds.
fn rounds(count: usize) -> usize {
    if cfg!(windows) {
        count / 10
    } else {
        count
    }
}

#[test]
fn acquire_waits_for_a_release() {
    for client in clients(1) {
        let token = client.acquire().unwrap();
        let released = Arc::new(AtomicBool::new(false));
        let (waiting, is_waiting) = mpsc::channel();
        let waiter = {
            let (client, released) = (client.clone(), released.clone());
            thread::spawn(move || {
                waiting.send(()).unwrap();
                let token = client.acquire().unwrap();
                assert!(released.load(Ordering::SeqCst), "got a token that was not given back yet");
                token.release().unwrap();
            })
        };
        is_waiting.recv().unwrap();
        released.store(true, Ordering::SeqCst);
        drop(token);
        waiter.join().unwrap();
        assert_eq!(client.available().unwrap(), 1);
    }
}

#[test]
fn sixteen_threads_never_hold_more_than_there_is_and_give_all_back() {
    for client in clients(3) {
        let held = AtomicUsize::new(0);
        thread::scope(|scope| {
            for number in 0..16 {
                let (client, held) = (&client, &held);
                scope.spawn(move || {
                    for round in 0..2_000 {
                        let token = match (number + round) % 3 {
                            0 => client.try_acquire().unwrap(),
                            1 => Some(client.acquire().unwrap()),
                            _ => {
                                client.acquire_raw().unwrap();
                                assert!(held.fetch_add(1, Ordering::SeqCst) < 3);
                                held.fetch_sub(1, Ordering::SeqCst);
                                client.release_raw().unwrap();
                                None
                            }
                        };
                        if let Some(token) = token {
                            assert!(held.fetch_add(1, Ordering::SeqCst) < 3);
                            held.fetch_sub(1, Ordering::SeqCst);
                            drop(token);
                        }
                    }
                });
            }
        });
        assert_eq!(client.available().unwrap(), 3);
        assert!(client.take_release_error().is_none());
    }
}

#[test]
fn a_helper_dropped_while_it_waits_ends_and_loses_no_token() {
    for client in clients(1) {
        let stop = Arc::new(AtomicBool::new(false));
        // Takes and gives the only token all the time, so that some helpers are dropped just when one arrives.
        let other = {
            let (client, stop) = (client.clone(), stop.clone());
            thread::spawn(move || {
                while !stop.load(Ordering::SeqCst) {
                    drop(client.acquire().unwrap());
                }
            })
        };
        for round in 0..rounds(5_000) {
            let helper = client.clone().into_helper_thread(|token| drop(token.unwrap())).unwrap();
            for _ in 0..round % 4 {
                helper.request_token();
            }
            drop(helper);
        }
        stop.store(true, Ordering::SeqCst);
        other.join().unwrap();
        assert_eq!(client.available().unwrap(), 1);
    }
}

#[test]
fn a_helper_that_waits_for_a_token_that_never_comes_ends_when_dropped() {
    for client in clients(0) {
        for _ in 0..1_000 {
            let (alive, ended) = mpsc::channel::<()>();
            let closure = move |_| panic!("there is no token for {alive:?}");
            let helper = client.clone().into_helper_thread(closure).unwrap();
            helper.request_token();
            helper.request_token();
            drop(helper);
            // The closure is gone, so the thread was waited for and not let go.
            assert_eq!(ended.try_recv(), Err(mpsc::TryRecvError::Disconnected));
        }
    }
}

#[test]
fn a_helper_is_let_go_when_its_closure_never_returns() {
    let client = Client::new(2).unwrap();
    let (token_out, token_in) = mpsc::sync_channel(0);
    let helper = client.clone().into_helper_thread(move |token| drop(token_out.send(token))).unwrap();
    helper.request_token();
    while client.available().unwrap() == 2 {
        thread::yield_now();
    }
    // The closure blocks in `send` until `token_in` is gone, and that is after the drop.
    drop(helper);
    drop(token_in);
    while client.available().unwrap() < 2 {
        thread::yield_now();
    }
}

#[test]
fn a_helper_may_be_dropped_by_its_own_closure() {
    let client = Client::new(1).unwrap();
    let (handle_out, handle_in) = mpsc::channel();
    let (done_out, done_in) = mpsc::channel();
    let helper = client
        .clone()
        .into_helper_thread(move |token| {
            drop(token.unwrap());
            drop(handle_in.recv().unwrap());
            done_out.send(()).unwrap();
        })
        .unwrap();
    helper.request_token();
    handle_out.send(helper).unwrap();
    done_in.recv().unwrap();
    assert_eq!(client.available().unwrap(), 1);
}

#[test]
fn a_wait_that_was_given_up_passes_its_wake_up_on() {
    // Two helpers wait for one token; it goes to either, and the one that is dropped must not keep the other asleep.
    let client = Client::new(1).unwrap();
    for _ in 0..rounds(2_000) {
        let token = client.acquire().unwrap();
        let (got, has_got) = mpsc::channel();
        let dropped = client.clone().into_helper_thread(|token| drop(token.unwrap())).unwrap();
        let waits = client.clone().into_helper_thread(move |token| got.send(token).unwrap()).unwrap();
        dropped.request_token();
        waits.request_token();
        drop(token);
        drop(dropped);
        has_got.recv().unwrap().unwrap();
    }
    assert_eq!(client.available().unwrap(), 1);
}

/// Waits for what must come, on the slowest machine.
const BOUND: Duration = Duration::from_secs(60);

#[test]
fn tokens_that_come_in_one_write_wake_as_many_waiters() {
    let server = server(3);
    let client = server.client();
    for round in 0..300 {
        let two = client.acquire_up_to(2).unwrap();
        assert_eq!(two.len(), 2);
        let (got, has_got) = mpsc::channel();
        // Helpers wait in a way that can be woken, acquire blocks in a read: two of a kind, and one of each.
        let mut helpers = Vec::new();
        let mut readers = Vec::new();
        for waiter in 0..2 {
            let (client, got) = (client.clone(), got.clone());
            if (round + waiter) % 3 == 0 {
                readers.push(thread::spawn(move || got.send(client.acquire()).unwrap()));
            } else {
                let helper = client.into_helper_thread(move |token| drop(got.send(token))).unwrap();
                helper.request_token();
                helpers.push(helper);
            }
        }
        if round % 2 == 0 {
            // All asleep, as likely as not.
            thread::sleep(Duration::from_millis(1));
        }
        // As Linux' jobserver-exec returns what it held.
        two.release().unwrap();
        let held = [has_got.recv_timeout(BOUND).unwrap().unwrap(), has_got.recv_timeout(BOUND).unwrap().unwrap()];
        drop(held);
        for reader in readers {
            reader.join().unwrap();
        }
    }
    assert_eq!(server.balance().unwrap().missing(), 0);
}
