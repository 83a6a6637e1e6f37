//! Thousands of futures that are dropped at random moments: before their turn, in it, and as the token comes.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Arc;
use std::task::Poll;
use std::thread;
use std::time::Duration;

use super::clients;
use super::hand_made::{poll, until, until_ready, Flag};
use jobserver::Client;

/// xorshift, so that a run can be told from another by its seed.
struct Chance(u64);

impl Chance {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

/// One of the thousand: waits, and holds its token across a few turns of its executor; some give up after a few turns
/// or a short while.
async fn sometimes_give_up(client: Client, seed: u64, most: usize, running: Arc<AtomicUsize>) -> bool {
    let mut chance = Chance(seed * 0x9E37_79B9 + 1);
    let turns = chance.below(6);
    let give_up = async {
        match chance.below(3) {
            0 => std::future::pending().await,
            1 => {
                for _ in 0..chance.below(40) {
                    smol::future::yield_now().await;
                }
            }
            _ => drop(smol::Timer::after(Duration::from_micros(chance.below(20_000))).await),
        }
        None
    };
    let Some(token) = smol::future::or(async { Some(client.acquire_async().await.unwrap()) }, give_up).await else {
        return false;
    };
    assert!(running.fetch_add(1, Ordering::SeqCst) < most, "more run than there are tokens");
    for _ in 0..turns {
        smol::future::yield_now().await;
    }
    running.fetch_sub(1, Ordering::SeqCst);
    drop(token);
    true
}

/// What is left when all is over: every token, and no error that nobody was told.
fn all_is_back(client: &Client, tokens: usize) {
    until("the tokens that came too late are back", || client.available().unwrap() == tokens);
    assert!(client.take_release_error().is_none());
    let all: Vec<_> = (0..tokens).map(|_| client.try_acquire().unwrap().expect("it is free")).collect();
    assert!(client.try_acquire().unwrap().is_none());
    drop(all);
    assert_eq!(client.available().unwrap(), tokens);
}

#[test]
fn a_thousand_futures_over_three_tokens_in_two_threads_keep_the_balance() {
    for client in clients(3) {
        let running = Arc::new(AtomicUsize::new(0));
        let (served, given_up) = (AtomicUsize::new(0), AtomicUsize::new(0));
        thread::scope(|scope| {
            for half in 0..2u64 {
                let (client, running, served, given_up) = (&client, &running, &served, &given_up);
                scope.spawn(move || {
                    let executor = smol::LocalExecutor::new();
                    let one = |n| sometimes_give_up(client.clone(), half * 500 + n, 3, running.clone());
                    let tasks: Vec<_> = (0..500u64).map(|n| executor.spawn(one(n))).collect();
                    smol::block_on(executor.run(async {
                        for task in tasks {
                            let count = if task.await { served } else { given_up };
                            count.fetch_add(1, Ordering::Relaxed);
                        }
                    }));
                });
            }
        });
        let (served, given_up) = (served.into_inner(), given_up.into_inner());
        assert_eq!(served + given_up, 1_000);
        assert!(served > 0, "a third of them never give up");
        all_is_back(&client, 3);
    }
}

#[test]
fn a_thousand_tasks_that_tokio_aborts_keep_the_balance() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_time().build().unwrap();
    for client in clients(3) {
        runtime.block_on(async {
            let mut chance = Chance(77);
            let tasks: Vec<_> = (0..1_000)
                .map(|_| {
                    let acquiring = client.acquire_async();
                    tokio::spawn(async move {
                        let token = acquiring.await.unwrap();
                        tokio::task::yield_now().await;
                        drop(token);
                    })
                })
                .collect();
            for task in &tasks {
                match chance.below(3) {
                    0 => task.abort(),
                    1 => tokio::task::yield_now().await,
                    _ => {}
                }
            }
            for task in tasks {
                assert!(task.await.map_or_else(|error| error.is_cancelled(), |()| true));
            }
        });
        all_is_back(&client, 3);
    }
}

#[test]
fn twenty_thousand_drops_at_random_moments_cost_no_token_and_keep_nobody_asleep() {
    for client in clients(2) {
        let dropped = AtomicUsize::new(0);
        thread::scope(|scope| {
            for seed in 1..=4 {
                let (client, dropped) = (&client, &dropped);
                scope.spawn(move || {
                    let mut chance = Chance(seed);
                    while dropped.load(Ordering::Relaxed) < 20_000 {
                        // A few at once; each is dropped at a moment of its own, and one of them is awaited to its end.
                        let flag = Arc::new(Flag::default());
                        let mut futures: Vec<_> = (0..1 + chance.below(4)).map(|_| client.acquire_async()).collect();
                        let mut tokens = Vec::new();
                        futures.retain_mut(|future| match poll(future, &flag) {
                            Poll::Ready(token) => {
                                tokens.push(token.unwrap());
                                false
                            }
                            Poll::Pending => true,
                        });
                        (0..chance.below(30)).for_each(|_| thread::yield_now());
                        // Who waits for a token must hold none.
                        tokens.clear();
                        let kept = (chance.below(3) == 0).then(|| futures.pop()).flatten();
                        dropped.fetch_add(futures.len(), Ordering::Relaxed);
                        while !futures.is_empty() {
                            let index = chance.below(futures.len() as u64) as usize;
                            drop(futures.swap_remove(index));
                            (0..chance.below(4)).for_each(|_| thread::yield_now());
                        }
                        kept.map(|mut future| until_ready(&mut future).unwrap());
                    }
                });
            }
        });
        all_is_back(&client, 2);
    }
}
