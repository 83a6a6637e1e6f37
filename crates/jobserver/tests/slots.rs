//! `Slots`: the implicit slot among the others, the mistakes that are made with it, and who gets a slot when.

mod pools;

use std::fs;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{mpsc, Barrier, Mutex};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use jobserver::{Client, FromEnvErrorKind, Slot, Slots};
use pools::{clients, server};
use testkit::chance::Chance;
use testkit::process;

/// Far longer than anything here takes: a waiter that is left asleep is a failure and no hang.
const BOUND: Duration = Duration::from_secs(60);

#[test]
fn the_first_job_takes_no_token_and_the_last_gives_none_back() {
    for client in clients(2) {
        let slots = Slots::new(client.clone());
        for _ in 0..3 {
            let first = slots.acquire().unwrap();
            assert_eq!(client.available().unwrap(), 2);
            first.release().unwrap();
            assert_eq!(client.available().unwrap(), 2, "the implicit slot was given away");
        }
        assert!(slots.client().is_some());
    }
}

#[test]
fn whichever_job_ends_a_token_goes_back_before_the_implicit_slot() {
    for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        for client in clients(2) {
            let slots = Slots::new(client.clone());
            let mut jobs: Vec<Option<Slot>> = (0..3).map(|_| Some(slots.acquire().unwrap())).collect();
            assert_eq!((client.available().unwrap(), slots.in_use()), (0, 3));
            assert!(slots.try_acquire().unwrap().is_none());
            for (ended, free) in order.into_iter().zip([1, 2, 2]) {
                jobs[ended] = None;
                assert_eq!(client.available().unwrap(), free);
            }
            assert!(slots.take_release_error().is_none());
        }
    }
}

#[test]
fn of_all_threads_one_has_the_implicit_slot() {
    for client in clients(0) {
        // Each thread makes its own, as if it were alone in the process.
        let (begin, running) = (Barrier::new(16), AtomicUsize::new(0));
        thread::scope(|scope| {
            for _ in 0..16 {
                scope.spawn(|| {
                    let slots = Slots::new(client.clone());
                    begin.wait();
                    for _ in 0..500 {
                        let slot = slots.acquire().unwrap();
                        assert_eq!(running.fetch_add(1, Ordering::SeqCst), 0, "two have the implicit slot");
                        running.fetch_sub(1, Ordering::SeqCst);
                        drop(slot);
                    }
                });
            }
        });
        assert_eq!(client.available().unwrap(), 0);
    }
}

#[test]
fn the_implicit_slot_calls_back_who_waits_in_the_pool() {
    // No token ever comes: only the other thread's slot can be had.
    for client in clients(0) {
        let slots = Slots::new(client.clone());
        for _ in 0..500 {
            let first = slots.acquire().unwrap();
            thread::scope(|scope| {
                let waiter = scope.spawn(|| slots.acquire_timeout(BOUND).unwrap().is_some());
                thread::yield_now();
                drop(first);
                assert!(waiter.join().unwrap());
            });
        }
    }
}

#[test]
fn a_token_from_outside_ends_the_wait_of_the_first() {
    for client in clients(0) {
        let slots = Slots::new(client.clone());
        let first = slots.acquire().unwrap();
        thread::scope(|scope| {
            let (got, has_got) = mpsc::channel();
            for _ in 0..3 {
                let (slots, got) = (&slots, got.clone());
                scope.spawn(move || got.send(slots.acquire().unwrap()).unwrap());
            }
            for _ in 0..3 {
                client.release_raw().unwrap();
            }
            let jobs: Vec<_> = (0..3).map(|_| has_got.recv_timeout(BOUND).expect("three tokens, three jobs")).collect();
            assert_eq!((client.available().unwrap(), slots.in_use()), (0, 4));
            drop(first);
            drop(jobs);
        });
        assert_eq!(client.available().unwrap(), 3);
    }
}

/// What a job does, and when, on the clock of all processes.
type Edges = Mutex<Vec<(u128, i32)>>;

fn note(edges: &Edges, step: i32) {
    let mut edges = edges.lock().unwrap();
    edges.push((SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_nanos(), step));
}

/// One process of the storm: each job notes its begin and its end.
fn storm(slots: &Slots, log: &Edges, seed: u64, jobs: usize) {
    let begun = AtomicUsize::new(0);
    thread::scope(|scope| {
        for number in 0..6 {
            let begun = &begun;
            let mut chance = Chance(seed * 31 + number + 1);
            scope.spawn(move || {
                let mut kept = None;
                while begun.load(Ordering::Relaxed) < jobs {
                    // With a slot in the hand nothing is waited for.
                    let wait = if kept.is_some() { 0 } else { chance.below(4) };
                    let slot = match wait {
                        0 => slots.try_acquire().unwrap(),
                        1 => slots.acquire_timeout(Duration::from_micros(chance.below(500))).unwrap(),
                        _ => Some(slots.acquire().unwrap()),
                    };
                    let Some(slot) = slot else {
                        end(kept.take(), log);
                        continue;
                    };
                    note(log, 1);
                    begun.fetch_add(1, Ordering::Relaxed);
                    (0..chance.below(8)).for_each(|_| thread::yield_now());
                    match chance.below(4) {
                        0 => end(kept.replace(slot), log),
                        1 => {
                            end(kept.take(), log);
                            end(Some(slot), log);
                        }
                        _ => end(Some(slot), log),
                    }
                }
                end(kept, log);
            });
        }
    });
}

/// The end is noted before the slot is given up, the begin after it was taken: the log never shows more than there was.
fn end(slot: Option<Slot>, log: &Edges) {
    if let Some(slot) = slot {
        note(log, -1);
        slot.release().unwrap();
    }
}

#[test]
fn no_more_jobs_than_slots_run_at_any_moment_of_20_000_in_two_processes() {
    const NAME: &str = "no_more_jobs_than_slots_run_at_any_moment_of_20_000_in_two_processes";
    let folder = tempfile::tempdir().unwrap();
    if let Some(role) = process::role() {
        let (seed, log) = role.split_once(' ').unwrap();
        let slots = Slots::new(Client::connect().unwrap());
        let edges = Edges::default();
        storm(&slots, &edges, seed.parse().unwrap(), 10_000);
        let lines: String = edges.into_inner().unwrap().iter().map(|(at, step)| format!("{at} {step}\n")).collect();
        fs::write(log, lines).unwrap();
        assert_eq!(slots.in_use(), 0);
        assert!(slots.take_release_error().is_none());
        return;
    }
    let server = server(4);
    let storms: Vec<_> = (1..=2)
        .map(|seed| {
            let mut child = process::me(NAME, &format!("{seed} {}", folder.path().join(seed.to_string()).display()));
            server.join_make(&mut child).unwrap();
            child.stdout(Stdio::piped()).spawn().unwrap()
        })
        .collect();
    for storm in storms {
        assert!(process::finish(storm).status.success());
    }
    let mut edges: Vec<(u128, i32)> = Vec::new();
    for seed in ["1", "2"] {
        let lines = fs::read_to_string(folder.path().join(seed)).unwrap();
        let pair = |line: &str| line.split_once(' ').map(|(at, step)| (at.parse().unwrap(), step.parse().unwrap()));
        edges.extend(lines.lines().filter_map(pair));
    }
    // At the same tick of the clock an end comes before a begin.
    edges.sort();
    let (mut now, mut most, mut jobs) = (0, 0, 0);
    for (_, step) in edges {
        now += step;
        jobs += usize::from(step == 1);
        most = most.max(now);
    }
    // Three tokens, and one implicit slot for each of the two.
    assert!(most <= 5, "{most} jobs at once");
    assert!(jobs >= 20_000 && now == 0, "{jobs} jobs, {now} without an end");
    let balance = server.balance().unwrap();
    assert_eq!((balance.free, balance.missing(), balance.strays()), (3, 0, 0));
}

#[test]
fn another_process_has_its_turn_beside_eight_hungry_threads() {
    const NAME: &str = "another_process_has_its_turn_beside_eight_hungry_threads";
    if process::role().is_some() {
        // Plain tokens, one after the other, while the slots over there never rest.
        let client = Client::connect().unwrap();
        for _ in 0..300 {
            let token = client.acquire_timeout(BOUND).unwrap();
            token.expect("the other process keeps its token for ever").release().unwrap();
        }
        return;
    }
    let server = server(2);
    let slots = Slots::new(server.client());
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    drop(slots.acquire().unwrap());
                }
            });
        }
        let mut child = process::me(NAME, "hungry");
        server.join_make(&mut child).unwrap();
        let output = process::finish(child.stdout(Stdio::piped()).spawn().unwrap());
        stop.store(true, Ordering::Relaxed);
        assert!(output.status.success());
    });
    assert_eq!(server.balance().unwrap().missing(), 0);
}

#[test]
fn each_of_64_threads_gets_its_jobs_while_all_others_go_on() {
    for slots in [Slots::new(Client::new(1).unwrap()), Slots::within(2)] {
        let (waiting, begin) = (AtomicUsize::new(64), Barrier::new(64));
        thread::scope(|scope| {
            for _ in 0..64 {
                scope.spawn(|| {
                    begin.wait();
                    let mut jobs = 0;
                    while waiting.load(Ordering::Relaxed) > 0 {
                        let slot = slots.acquire_timeout(BOUND).unwrap();
                        drop(slot.expect("a thread starves"));
                        jobs += 1;
                        if jobs == 200 {
                            waiting.fetch_sub(1, Ordering::Relaxed);
                        }
                    }
                });
            }
        });
        assert_eq!(slots.in_use(), 0);
        assert_eq!(slots.client().map_or(1, |client| client.available().unwrap()), 1);
    }
}

#[test]
fn a_deadline_ends_a_wait_and_never_early() {
    let pooled: Vec<_> = clients(0).into_iter().map(Slots::new).collect();
    for slots in pooled.iter().chain([&Slots::within(1)]) {
        let first = slots.acquire_timeout(BOUND).unwrap().expect("it is free");
        let start = Instant::now();
        // One of them leads, the others wait for it.
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(move || {
                    assert!(slots.acquire_timeout(Duration::from_millis(30)).unwrap().is_none());
                    assert!(start.elapsed() >= Duration::from_millis(30));
                });
            }
        });
        assert!(slots.acquire_deadline(start).unwrap().is_none());
        drop(first);
        assert!(slots.acquire_deadline(start).unwrap().is_some());
        assert!(slots.acquire_timeout(Duration::MAX).unwrap().is_some());
        assert_eq!(slots.in_use(), 0);
    }
}

#[test]
fn a_leader_that_gives_up_leaves_another_in_its_place() {
    for client in clients(0) {
        let slots = Slots::new(client.clone());
        for _ in 0..100 {
            let first = slots.acquire().unwrap();
            thread::scope(|scope| {
                scope.spawn(|| drop(slots.acquire_timeout(Duration::from_millis(1)).unwrap()));
                let steady = scope.spawn(|| slots.acquire_timeout(BOUND).unwrap().is_some());
                thread::sleep(Duration::from_millis(2));
                client.release_raw().unwrap();
                assert!(steady.join().unwrap(), "a token lies free and this waits");
            });
            drop(first);
            client.acquire_raw().unwrap();
        }
        assert_eq!(client.available().unwrap(), 0);
    }
}

#[test]
fn without_a_jobserver_as_many_run_as_was_said() {
    let slots = Slots::within(3);
    assert!(slots.client().is_none() && slots.jobserver_error().is_none());
    let running = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..12 {
            scope.spawn(|| {
                for _ in 0..1_000 {
                    let slot = slots.acquire().unwrap();
                    assert!(running.fetch_add(1, Ordering::SeqCst) < 3);
                    running.fetch_sub(1, Ordering::SeqCst);
                    drop(slot);
                }
            });
        }
    });
    let all: Vec<_> = (0..3).map(|_| slots.try_acquire().unwrap().unwrap()).collect();
    assert!(slots.clone().try_acquire().unwrap().is_none());
    drop(all);
    assert!(std::panic::catch_unwind(|| Slots::within(0)).is_err());
}

#[test]
fn the_environment_decides_between_the_pool_and_the_width() {
    const NAME: &str = "the_environment_decides_between_the_pool_and_the_width";
    if let Some(role) = process::role() {
        let slots = Slots::from_env_or(3);
        let mut all = Vec::new();
        while let Some(slot) = slots.try_acquire().unwrap() {
            all.push(slot);
        }
        let error = slots.jobserver_error();
        match role.as_str() {
            "pool" => assert!(all.len() == 5 && slots.client().is_some() && error.is_none()),
            "none" => assert!(all.len() == 3 && slots.client().is_none() && error.is_none()),
            _ => {
                let error = error.expect("the caller is told");
                assert!(matches!(error.kind(), FromEnvErrorKind::CannotOpenPath), "{error}");
                assert!(all.len() == 3 && slots.client().is_none());
            }
        }
        return;
    }
    let server = server(5);
    let mut child = process::me(NAME, "pool");
    server.join_make(&mut child).unwrap();
    process::output(&mut child);
    process::output(process::me(NAME, "none").env("MAKEFLAGS", " -k"));
    process::output(process::me(NAME, "gone").env("MAKEFLAGS", "-j8 --jobserver-auth=fifo:/nonexistent/pool"));
    assert_eq!(server.balance().unwrap().missing(), 0);
}

#[test]
fn slots_can_be_sent_and_shared() {
    fn shareable<T: Send + Sync + 'static>() {}
    shareable::<Slots>();
    shareable::<Slot>();
}

#[test]
fn the_implicit_slot_is_in_use_as_long_as_its_slot_lives() {
    let client = Client::new(0).unwrap();
    let slot = Slots::new(client.clone()).acquire().unwrap();
    assert!(Slots::new(client.clone()).try_acquire().unwrap().is_none(), "it was handed out twice");
    drop(slot);
    assert!(Slots::new(client).try_acquire().unwrap().is_some());
}
