//! The rules of `Slots` under random events, and the hall around them under every order of its threads' steps.
//!
//! Both are compiled once more here, with loom's locks in place of the standard ones.
// loom can't unwind its stacks on Windows, and the order of steps is the same everywhere.
#![cfg(unix)]

#[path = "../src/slots/hall.rs"]
#[allow(dead_code)]
mod hall;
#[path = "../src/slots/state.rs"]
#[allow(dead_code)]
mod state;

mod sync {
    pub use loom::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
    pub use loom::sync::{Condvar, Mutex, MutexGuard};
    pub use std::sync::{Arc, PoisonError};

    /// loom takes sequentially consistent accesses for acquire and release, and such fences as they are.
    pub fn fence_of_model() {
        loom::sync::atomic::fence(Ordering::SeqCst);
    }

    pub const LANES: usize = 2;
    /// The first jobs of a turn may go by the short cut, and the third ends it.
    pub const TURN_USES: usize = 3;

    loom::thread_local! {
        static LANE: std::cell::Cell<usize> = std::cell::Cell::new(0);
    }

    pub fn lane() -> usize {
        LANE.with(|lane| lane.get())
    }

    pub fn be_in_lane(number: usize) {
        LANE.with(|lane| lane.set(number));
    }
}

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::Instant;

use hall::{Doors, Source};
use proptest::prelude::*;
use state::{Id, Look, Moment, State, Todo, Turn, BARGES, OVERTAKES};

// ---- the rules ----

#[derive(Clone, Copy, Debug, PartialEq)]
enum Place {
    /// Will look.
    Woken,
    Asleep,
    InPool,
}

/// A process, and the pool outside it.
struct World {
    state: State<Id>,
    own: usize,
    total: usize,
    in_pool: usize,
    with_others: usize,
    jobs: Vec<Turn>,
    waiters: BTreeMap<Id, Place>,
    asked: Id,
}

impl World {
    fn new(own: usize, total: usize, pooled: bool) -> World {
        let state = State::new(own, pooled);
        World {
            state,
            own,
            total,
            in_pool: total,
            with_others: 0,
            jobs: Vec::new(),
            waiters: BTreeMap::new(),
            asked: 0,
        }
    }

    fn apply(&mut self, todo: Todo<Id>) {
        self.in_pool += todo.give.len();
        for id in todo.wake {
            // One that has run meanwhile is not there any more; one in the pool can't hear.
            if let Some(place) = self.waiters.get_mut(&id).filter(|place| **place == Place::Asleep) {
                *place = Place::Woken;
            }
        }
        if todo.interrupt {
            let leader = self.waiters.values_mut().find(|place| **place == Place::InPool);
            *leader.expect("somebody is in the pool") = Place::Woken;
        }
    }

    fn ask(&mut self) {
        match self.state.take() {
            Some(turn) => self.jobs.push(turn),
            None => {
                // What wakes a waiter is its number, and they are counted from 0.
                let id = self.state.join(self.asked);
                assert_eq!(id, self.asked);
                self.asked += 1;
                self.waiters.insert(id, Place::Woken);
                self.look(id);
            }
        }
    }

    fn look(&mut self, id: Id) {
        let (look, todo) = self.state.look(id);
        match look {
            Look::Run(turn) => {
                self.waiters.remove(&id);
                self.jobs.push(turn);
            }
            Look::Lead => drop(self.waiters.insert(id, Place::InPool)),
            Look::Sleep => drop(self.waiters.insert(id, Place::Asleep)),
        }
        self.apply(todo);
    }

    fn pick(&self, place: Place, choice: usize) -> Option<Id> {
        let there: Vec<Id> = self.waiters.iter().filter(|waiter| *waiter.1 == place).map(|waiter| *waiter.0).collect();
        (!there.is_empty()).then(|| there[choice % there.len()])
    }

    fn end(&mut self, choice: usize, is_over: bool) {
        if !self.jobs.is_empty() {
            let turn = self.jobs.swap_remove(choice % self.jobs.len());
            let todo = self.state.release(turn, |_| is_over);
            self.apply(todo);
        }
    }

    /// Of two who come for the same token, the one in the pool is quicker.
    fn deliver(&mut self) {
        if let Some(id) = self.pick(Place::InPool, 0).filter(|_| self.in_pool > 0) {
            self.in_pool -= 1;
            let (turn, todo) = self.state.deliver(id, b'+');
            self.waiters.remove(&id);
            self.jobs.push(turn);
            self.apply(todo);
        }
    }

    fn give_up(&mut self, choice: usize) {
        let ids: Vec<Id> = self.waiters.keys().copied().collect();
        if !ids.is_empty() {
            let id = ids[choice % ids.len()];
            let (granted, todo) = self.state.leave(id);
            self.waiters.remove(&id);
            self.jobs.extend(granted);
            self.apply(todo);
        }
    }

    fn step(&mut self, what: u8, choice: usize) {
        match what {
            0 | 1 => self.ask(),
            2 => self.end(choice, false),
            3 => self.end(choice, true),
            4 | 5 => {
                if let Some(id) = self.pick(Place::Woken, choice) {
                    self.look(id);
                }
            }
            6 => self.deliver(),
            7 => self.give_up(choice),
            8 if self.in_pool > 0 => {
                self.in_pool -= 1;
                let (turn, todo) = self.state.add(b'+');
                self.jobs.push(turn);
                self.apply(todo);
            }
            9 if self.in_pool > 0 => {
                self.in_pool -= 1;
                self.with_others += 1;
            }
            10 if self.with_others > 0 => {
                self.with_others -= 1;
                self.in_pool += 1;
            }
            _ => {}
        }
    }

    fn check(&self, pooled: bool) {
        let held = self.total - self.in_pool - self.with_others;
        assert!(self.jobs.len() <= self.own + held, "more jobs than slots");
        if self.waiters.is_empty() {
            assert_eq!(held, self.jobs.len().saturating_sub(self.own), "a token is kept that nobody needs");
        } else {
            let awake = self.waiters.values().any(|place| *place == Place::Woken);
            let leads = self.waiters.values().filter(|place| **place == Place::InPool).count();
            assert!(leads <= 1, "one waits in the pool at a time");
            if pooled {
                assert!(awake || leads == 1, "nobody would see a token that comes back");
            }
            if self.jobs.len() < self.own + held {
                assert!(awake, "a right lies free and all sleep");
            }
        }
    }

    /// All jobs end, one after the other; every waiter gets its turn, and the tokens go home.
    fn finish(&mut self) {
        while !self.waiters.is_empty() || !self.jobs.is_empty() {
            let before = (self.waiters.clone(), self.jobs.len());
            while let Some(id) = self.pick(Place::Woken, 0) {
                self.look(id);
            }
            self.deliver();
            self.end(0, false);
            assert_ne!(before, (self.waiters.clone(), self.jobs.len()), "nobody moves any more");
        }
        assert_eq!(self.in_pool + self.with_others, self.total);
        assert_eq!(self.state.in_use(), 0);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_order_of_events_runs_too_many_jobs_or_leaves_anybody_asleep(
        own in 1..4usize,
        total in 0..4usize,
        pooled: bool,
        steps in proptest::collection::vec((0..11u8, 0..64usize), 0..300),
    ) {
        let mut world = World::new(own, if pooled { total } else { 0 }, pooled);
        for (what, choice) in steps {
            world.step(what, choice);
            world.check(pooled);
        }
        world.finish();
    }
}

#[test]
fn a_thread_that_comes_again_and_again_overtakes_the_first_waiter_a_known_number_of_times() {
    for pooled in [false, true] {
        let mut world = World::new(1, 0, pooled);
        world.ask();
        world.ask();
        let mut overtaken = 0;
        loop {
            world.end(0, false);
            let Some(turn) = world.state.take() else { break };
            world.jobs.push(turn);
            overtaken += 1;
        }
        assert_eq!(overtaken, BARGES);
        world.look(0);
        assert_eq!((world.jobs.len(), world.waiters.len()), (1, 0));
    }
}

#[test]
fn the_leader_is_called_from_the_pool_when_others_had_their_turns() {
    let mut world = World::new(1, 0, true);
    (0..4).for_each(|_| world.ask());
    let mut others = 0;
    while world.waiters.contains_key(&0) {
        world.end(0, true);
        while let Some(id) = world.pick(Place::Woken, 0) {
            world.look(id);
        }
        others += u32::from(world.waiters.contains_key(&0));
        world.ask();
    }
    assert_eq!(others, OVERTAKES);
}

// ---- the hall ----

/// A pool of some tokens, in loom's time.
struct Fake(Arc<(loom::sync::Mutex<usize>, loom::sync::Condvar)>);

struct FakeWaker(Arc<(loom::sync::Mutex<usize>, loom::sync::Condvar)>, loom::sync::atomic::AtomicBool);

impl Source for Fake {
    type Waker = FakeWaker;

    fn waker(&self) -> io::Result<FakeWaker> {
        Ok(FakeWaker(self.0.clone(), loom::sync::atomic::AtomicBool::new(false)))
    }

    fn wake(FakeWaker(pool, woken): &FakeWaker) {
        let _free = pool.0.lock().unwrap();
        woken.store(true, sync::Ordering::SeqCst);
        pool.1.notify_all();
    }

    fn is_woken(FakeWaker(_, woken): &FakeWaker) -> bool {
        woken.load(sync::Ordering::SeqCst)
    }

    fn take(&self, deadline: Option<Instant>, waker: &FakeWaker) -> io::Result<Option<u8>> {
        let mut free = self.0 .0.lock().unwrap();
        while *free == 0 {
            if deadline.is_some() || Fake::is_woken(waker) {
                return Ok(None);
            }
            free = self.0 .1.wait(free).unwrap();
        }
        *free -= 1;
        Ok(Some(b'+'))
    }

    fn take_now(&self) -> io::Result<Option<u8>> {
        let mut free = self.0 .0.lock().unwrap();
        let token = (*free > 0).then_some(b'+');
        *free -= usize::from(token.is_some());
        Ok(token)
    }

    fn give(&self, tokens: &[u8]) -> io::Result<()> {
        *self.0 .0.lock().unwrap() += tokens.len();
        self.0 .1.notify_one();
        Ok(())
    }

    fn keep_failure(&self, error: io::Error) {
        panic!("{error}");
    }

    fn now(&self) -> Option<Moment> {
        None
    }
}

/// Every order, with so many preemptions at most, in which threads that run `jobs[i]` jobs each can go through a hall of
/// one slot and `tokens` more. A thread with no jobs gives up waiting at once.
fn explore(jobs: &'static [usize], tokens: usize, preemptions: usize) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(preemptions);
    model.max_branches = 100_000;
    model.check(move || {
        let pool = Arc::new((loom::sync::Mutex::new(tokens), loom::sync::Condvar::new()));
        let doors = Arc::new(Doors::new(1, Some(Fake(pool.clone()))));
        let running = Arc::new(loom::sync::atomic::AtomicUsize::new(0));
        let work = |number: usize| {
            let (doors, running) = (doors.clone(), running.clone());
            move || {
                sync::be_in_lane(number % sync::LANES);
                let deadline = (jobs[number] == 0).then(Instant::now);
                for _ in 0..jobs[number].max(1) {
                    let Some(right) = doors.take(deadline).unwrap() else { continue };
                    assert!(running.fetch_add(1, sync::Ordering::SeqCst) <= tokens, "more jobs than slots");
                    running.fetch_sub(1, sync::Ordering::SeqCst);
                    right.end().unwrap();
                }
            }
        };
        let threads: Vec<_> = (1..jobs.len()).map(|number| loom::thread::spawn(work(number))).collect();
        work(0)();
        for thread in threads {
            thread.join().unwrap();
        }
        assert_eq!(doors.in_use(), 0);
        assert_eq!(*pool.0.lock().unwrap(), tokens);
    });
}

#[test]
fn two_threads_and_one_slot_in_every_order() {
    explore(&[4, 3], 0, 3);
}

#[test]
fn three_threads_and_one_slot_in_every_order() {
    explore(&[2, 1, 1], 0, 2);
}

#[test]
fn three_threads_and_two_slots_in_every_order() {
    explore(&[2, 1, 1], 1, 2);
}

#[test]
fn a_waiter_that_gives_up_leaves_nobody_asleep_in_any_order() {
    explore(&[2, 1, 0], 0, 2);
}
