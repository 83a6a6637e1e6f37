//! Tokens as futures: in every runtime and in none, first come first served, and nothing lost when one is dropped. And
//! for those who own an event loop, what the descriptor promises.

#[path = "futures/hand_made.rs"]
mod hand_made;
mod pools;
#[cfg(target_os = "linux")]
#[path = "futures/processes.rs"]
mod processes;
#[cfg(target_os = "linux")]
#[path = "futures/readiness.rs"]
mod readiness;
#[path = "futures/storm.rs"]
mod storm;

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::Duration;

use hand_made::{block_on, poll, until, until_ready, Flag};
use jobserver::{Acquiring, Client};
use pools::clients;

/// Twenty jobs one after the other in a task: each yields while it holds its token, so that the others have to wait.
async fn work(client: Client) {
    for _ in 0..20 {
        let token = client.acquire_async().await.unwrap();
        smol::future::yield_now().await;
        drop(token);
    }
}

#[test]
fn a_token_is_awaited_without_a_runtime() {
    for client in clients(1) {
        let threads: Vec<_> = (0..4)
            .map(|_| {
                thread::spawn({
                    let client = client.clone();
                    move || block_on(work(client))
                })
            })
            .collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert_eq!(client.available().unwrap(), 1);
    }
}

#[test]
fn a_token_is_awaited_in_smol() {
    for client in clients(2) {
        let tasks: Vec<_> = (0..10).map(|_| smol::spawn(work(client.clone()))).collect();
        smol::block_on(async {
            for task in tasks {
                task.await;
            }
        });
        assert_eq!(client.available().unwrap(), 2);
    }
}

#[test]
fn a_token_is_awaited_in_tokio_with_one_thread_and_with_several() {
    let one = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let three = tokio::runtime::Builder::new_multi_thread().worker_threads(3).enable_time().build().unwrap();
    for runtime in [one, three] {
        for client in clients(2) {
            runtime.block_on(async {
                let tasks: Vec<_> = (0..10).map(|_| tokio::spawn(work(client.clone()))).collect();
                for task in tasks {
                    task.await.unwrap();
                }
                // A time-out gives up the place.
                let held = [client.acquire_async().await.unwrap(), client.acquire_async().await.unwrap()];
                let late = tokio::time::timeout(Duration::from_millis(5), client.acquire_async()).await;
                assert!(late.is_err(), "there is no third token");
                drop(held);
            });
            until("both are free", || client.available().unwrap() == 2);
        }
    }
}

#[test]
fn one_who_blocks_and_one_who_awaits_both_get_their_turn() {
    for client in clients(1) {
        thread::scope(|scope| {
            scope.spawn(|| (0..500).for_each(|_| drop(client.acquire().unwrap())));
            scope.spawn(|| (0..25).for_each(|_| block_on(work(client.clone()))));
        });
        assert_eq!(client.available().unwrap(), 1);
    }
}

#[test]
fn futures_are_served_in_the_order_of_their_first_poll() {
    for client in clients(0) {
        let flag = Arc::new(Flag::default());
        // Made in one order, polled in the other, and by two clones of the client.
        let mut futures: Vec<_> = (0..9).map(|n| [&client, &client.clone()][n % 2].acquire_async()).collect();
        futures.reverse();
        assert!(futures.iter_mut().all(|future| poll(future, &flag).is_pending()));
        while !futures.is_empty() {
            client.release_raw().unwrap();
            until_ready(&mut futures.remove(0)).unwrap().drop_without_releasing();
            assert!(futures.iter_mut().all(|future| poll(future, &flag).is_pending()));
        }
        assert_eq!(client.available().unwrap(), 0);
    }
}

#[test]
fn nobody_overtakes_who_waits_by_asking_at_the_right_moment() {
    for client in clients(0) {
        for _ in 0..300 {
            let flag = Arc::new(Flag::default());
            let (mut first, mut second) = (client.acquire_async(), client.acquire_async());
            assert!(poll(&mut first, &flag).is_pending());
            client.release_raw().unwrap();
            assert!(poll(&mut second, &flag).is_pending(), "the token was another's");
            until_ready(&mut first).unwrap().drop_without_releasing();
        }
        assert_eq!(client.available().unwrap(), 0);
    }
}

#[test]
fn a_token_that_came_too_late_goes_to_the_next_in_line() {
    for client in clients(0) {
        for _ in 0..300 {
            let (told, idle) = (Arc::new(Flag::default()), Arc::new(Flag::default()));
            let (mut first, mut second) = (client.acquire_async(), client.acquire_async());
            assert!(poll(&mut first, &told).is_pending());
            assert!(poll(&mut second, &idle).is_pending());
            client.release_raw().unwrap();
            until("the first is told", || told.is_up());
            assert!(!idle.is_up(), "one token wakes one future");
            drop(first);
            until_ready(&mut second).unwrap().drop_without_releasing();
        }
        assert_eq!(client.available().unwrap(), 0);
    }
}

#[test]
fn a_token_that_came_too_late_for_the_only_one_goes_back() {
    for client in clients(0) {
        let told = Arc::new(Flag::default());
        let mut only = client.acquire_async();
        assert!(poll(&mut only, &told).is_pending());
        client.release_raw().unwrap();
        until("it is told", || told.is_up());
        assert_eq!(client.available().unwrap(), 0);
        drop(only);
        assert_eq!(client.available().unwrap(), 1);
        drop(client.try_acquire().unwrap().unwrap());
    }
}

#[test]
fn a_future_that_was_never_polled_takes_nothing() {
    for client in clients(1) {
        drop(client.acquire_async());
        let token = block_on(client.acquire_async()).unwrap();
        assert_eq!(client.available().unwrap(), 0);
        drop(token);
        assert_eq!(client.available().unwrap(), 1);
    }
}

#[test]
fn a_future_that_moves_to_another_task_is_told_there() {
    for client in clients(0) {
        let (old, new) = (Arc::new(Flag::default()), Arc::new(Flag::default()));
        let mut future = client.acquire_async();
        assert!(poll(&mut future, &old).is_pending());
        assert!(poll(&mut future, &new).is_pending());
        client.release_raw().unwrap();
        until("the new task is told", || new.is_up());
        assert!(!old.is_up());
        assert!(poll(&mut future, &new).is_ready());
    }
}

#[test]
#[should_panic(expected = "polled after it was ready")]
fn a_future_that_is_polled_after_its_end_says_so() {
    let client = Client::new(1).unwrap();
    let mut future = client.acquire_async();
    let _token = until_ready(&mut future).unwrap();
    let _ = poll(&mut future, &Arc::new(Flag::default()));
}

#[test]
fn a_waker_that_panics_costs_the_others_nothing() {
    struct Panics;
    impl Wake for Panics {
        fn wake(self: Arc<Self>) {
            panic!("a waker that panics, as the test wants it to");
        }
    }
    for client in clients(0) {
        let (mut first, mut second) = (client.acquire_async(), client.acquire_async());
        let waker = Waker::from(Arc::new(Panics));
        assert!(Pin::new(&mut first).poll(&mut Context::from_waker(&waker)).is_pending());
        assert!(poll(&mut second, &Arc::new(Flag::default())).is_pending());
        client.release_raw().unwrap();
        client.release_raw().unwrap();
        until_ready(&mut second).unwrap().drop_without_releasing();
        until_ready(&mut first).unwrap().drop_without_releasing();
        assert_eq!(client.available().unwrap(), 0);
    }
}

/// A task as simple executors have it: its waker owns it, and it owns its future.
struct Task(Mutex<Option<Acquiring>>);

impl Wake for Task {
    fn wake(self: Arc<Self>) {}
}

#[test]
fn a_future_may_be_dropped_with_the_waker_that_waits_for_it() {
    for client in clients(0) {
        let begin = || {
            let task = Arc::new(Task(Mutex::new(Some(client.acquire_async()))));
            let waker = Waker::from(task.clone());
            let mut future = task.0.lock().unwrap();
            assert!(Pin::new(future.as_mut().unwrap()).poll(&mut Context::from_waker(&waker)).is_pending());
            drop(future);
            task
        };
        // Its executor is gone and the line holds the last waker: when a token comes, the thread drops the task, and the
        // token goes on to the next.
        drop(begin());
        let second = begin();
        client.release_raw().unwrap();
        let future = &mut second.0.lock().unwrap().take().unwrap();
        drop(second);
        until_ready(future).unwrap().drop_without_releasing();
        assert_eq!(client.available().unwrap(), 0);
    }
}

#[test]
fn a_waker_may_be_the_last_to_hold_another_future() {
    for client in clients(0) {
        let (done, ended) = std::sync::mpsc::channel();
        // In a thread: where a waker is dropped under the line's lock, this would wait for itself.
        thread::spawn(move || {
            let flag = Arc::new(Flag::default());
            let mut future = client.acquire_async();
            for _ in 0..2 {
                let mut other = client.acquire_async();
                assert!(poll(&mut other, &flag).is_pending());
                let waker = Waker::from(Arc::new(Task(Mutex::new(Some(other)))));
                assert!(Pin::new(&mut future).poll(&mut Context::from_waker(&waker)).is_pending());
                drop(waker);
                // The first round puts another waker in its place; the second one drops the future, and with it the last.
                if !flag.is_up() {
                    assert!(poll(&mut future, &flag).is_pending());
                    flag.clone().wake();
                }
            }
            drop(future);
            done.send(()).unwrap();
        });
        ended.recv_timeout(Duration::from_secs(60)).expect("a future was dropped with a waker");
    }
}

#[test]
fn a_future_can_be_sent_and_shared_and_needs_no_pinning() {
    fn shareable<T: Send + Sync + Unpin + 'static>(_: &T) {}
    let client = Client::new(1).unwrap();
    let future = client.acquire_async();
    drop(client);
    shareable(&future);
    // It keeps the pool by itself.
    assert!(matches!(poll(&mut { future }, &Arc::new(Flag::default())), Poll::Ready(Ok(_))));
}
