//! The scheduler under clients that do anything in any order, with what physically lies in the FIFOs beside it.
//!
//! Eight million steps. After each: the balance, caps, first slots before extras, no withdrawal in vain repeated, no
//! timer that is already due, and each FIFO holds what the accounts say. After each case: whoever waits is asked.

#[path = "ledger_world/mod.rs"]
mod world;

use jobserver_pool::ledger::{EndpointId, LeaseId};
use jobserver_pool::scheduler::Kind;
use proptest::prelude::*;
use proptest::test_runner::Config;
use testkit::chance::Chance;
use world::{World, MS};

const CASES: u32 = 40_000;
const STEPS: std::ops::Range<usize> = 20..380;

proptest! {
    #![proptest_config(Config { failure_persistence: None, ..Config::with_cases(CASES) })]

    #[test]
    fn nothing_is_lost_and_nobody_waits_for_ever(words in prop::collection::vec(any::<u64>(), STEPS)) {
        let mut world = World::new(1 + (words[0] % 9) as u32);
        for word in words {
            world.step(word);
        }
        world.everyone_who_waits_is_asked();
        world.all_slots_come_back();
    }
}

#[test]
fn a_busy_client_of_a_lease_at_its_cap_gets_what_idle_ones_leave_lying() {
    let mut world = World::new(5);
    let lease = world.open_capped(3);
    let idle: Vec<_> = (0..3).map(|_| world.open_waiting(lease)).collect();
    let busy = world.open_waiting(lease);
    world.rest_until(|world| world.lies_at(busy) > 0);
    world.take_all(busy);
    // It has one and wants another; the lease may have one more, and its idle clients, who have none, are asked too.
    world.rest_until(|world| world.lies_at(busy) > 0);
    assert!(idle.iter().all(|&idle| world.lies_at(idle) == 0));
}

#[test]
fn a_user_gets_no_more_by_opening_more_leases() {
    let mut world = World::new(8);
    let greedy: Vec<_> = (0..3).map(|_| world.open_of(1)).collect();
    let modest = world.open_of(2);
    let everyone: Vec<_> = greedy.iter().chain([&modest]).map(|&lease| world.open_waiting(lease)).collect();
    let (mut of_greedy, mut of_modest) = (0, 0);
    for _ in 0..200 {
        for &client in &everyone {
            world.give_back(client);
            world.take_all(client);
        }
        of_greedy += greedy.iter().map(|&lease| world.held_by(lease)).sum::<u32>();
        of_modest += world.held_by(modest);
    }
    assert!(of_modest * 10 >= of_greedy * 9, "{of_modest} : {of_greedy}");
}

#[test]
fn a_new_user_does_not_stand_in_line_behind_all_leases_of_another() {
    let mut world = World::new(2);
    let many: Vec<_> = (0..10).map(|_| world.open_of(1)).collect();
    let other = world.open_of(2);
    assert_eq!(many.iter().filter(|&&lease| world.held_by(lease) == 1).count(), 2);
    world.close(many[0]);
    assert_eq!((world.held_by(other), world.held_by(many[2])), (1, 0));
}

#[test]
fn a_lower_cap_takes_back_what_lies_there_at_once_and_what_is_held_as_it_comes() {
    let mut world = World::new(6);
    let lease = world.open_capped(6);
    let clients: Vec<_> = (0..5).map(|_| world.open_waiting(lease)).collect();
    world.rest_until(|world| clients.iter().all(|&client| world.lies_at(client) == 1));
    let busy = &clients[..3];
    busy.iter().for_each(|&client| world.take_all(client));
    world.set_cap(lease, 2);
    assert_eq!(world.held_by(lease), 3, "nothing is taken from a running job");
    for (ended, &client) in busy[..2].iter().enumerate() {
        assert_eq!(world.held_by(lease) + world.offered_in(lease) + ended as u32, 3, "nothing new starts");
        world.give_back(client);
    }
    assert_eq!(world.held_by(lease) + world.offered_in(lease), 1, "the command's own job and one other: two");
    world.set_cap(lease, 6);
    world.rest_until(|world| clients.iter().filter(|&&client| world.lies_at(client) == 1).count() >= 4);
}

#[test]
fn a_client_that_takes_what_it_is_given_at_once_had_waited_for_it() {
    let mut world = World::new(2);
    let lease = world.open_capped(9);
    let clients = [world.open_waiting(lease), world.open_waiting(lease)];
    world.rest_until(|world| clients.iter().all(|&client| world.lies_at(client) == 1));
    clients.iter().for_each(|&client| world.take_all(client));
    let before = world.waits(lease).0.sum;
    world.pass(700 * MS);
    // It was served longer ago than the one who returns it.
    world.give_back(clients[1]);
    world.rest_until(|world| world.lies_at(clients[0]) == 1);
    world.take_all(clients[0]);
    let (all, of_lease) = world.waits(lease);
    let waited = all.sum - before;
    assert!(waited >= 700 * MS && of_lease == before + waited, "{waited}: {all:?}");
    assert_eq!(all.counts.iter().sum::<u64>(), 3, "each token that was taken is one wait, be it of no length");
}

#[test]
fn the_slot_that_two_users_cannot_divide_is_each_ones_in_turn() {
    for (capacity, builds) in [(5, 1), (5, 2), (9, 3), (9, 4)] {
        let mut world = World::new(capacity);
        let leases: Vec<_> = (0..=builds).map(|i| world.open_of(if i < builds { 1 } else { 2 })).collect();
        let clients: Vec<_> = leases.iter().map(|&lease| world.open_waiting(lease)).collect();
        let (mut jobs, mut chance, mut more) = (Vec::new(), Chance(7), [0, 0]);
        for now in 0..40_000 {
            while let Some(over) = jobs.iter().position(|&(until, _)| until <= now) {
                world.give_back(jobs.swap_remove(over).1);
            }
            // All have more work than there are slots.
            while let Some(&client) = clients.iter().find(|&&client| world.lies_at(client) > 0) {
                for _ in 0..world.lies_at(client) {
                    jobs.push((now + 10 + chance.below(20), client));
                }
                world.take_all(client);
            }
            let mut had = [0, 0];
            leases.iter().enumerate().for_each(|(i, &lease)| had[usize::from(i == builds)] += world.held_by(lease));
            more[0] += u32::from(had[0] > had[1]);
            more[1] += u32::from(had[1] > had[0]);
            world.pass(MS);
        }
        assert!(more.iter().all(|&time| time > 16_000), "{capacity} slots, {builds} builds to one: {more:?}");
    }
}

#[test]
fn the_pool_looks_away_only_where_what_is_taken_comes_back_to_the_same_place() {
    let offered = |open: fn(&mut World, LeaseId) -> EndpointId| {
        let mut world = World::new(2);
        let lease = world.open_of(1);
        let client = open(&mut world, lease);
        world.rest_until(|world| world.lies_at(client) > 0);
        (world, lease, client)
    };
    // It may return the token, and take it again: nobody else would have had it.
    let (mut world, lease, _) = offered(World::open_non_waiting);
    assert!(world.is_calm());
    // Until there is somebody who would.
    world.open_waiting(lease);
    assert!(!world.is_calm());
    // What this one takes and returns, only the pool can give again.
    let (mut world, lease, client) = offered(World::open_waiting);
    assert!(!world.is_calm());
    world.take_all(client);
    assert!(!world.is_calm(), "it is hungry");
    world.give_back(client);
    assert!(!world.is_calm());
    world.close(lease);
}

#[test]
fn a_make_keeps_what_it_returns_while_its_sub_makes_run_in_its_other_slots() {
    for related in [true, false] {
        let mut world = World::new(4);
        let lease = world.open_of(1);
        let make = world.open(lease, Kind::Unsplit);
        world.rest_until(|world| world.lies_at(make) == 3);
        world.take_all(make);
        let others: Vec<_> = (0..3).map(|_| world.open(lease, Kind::Unsplit)).collect();
        if related {
            others.iter().for_each(|&other| world.start_by(other, make));
        }
        world.give_back(make);
        let lie = others.iter().map(|&other| world.lies_at(other)).sum::<u32>();
        assert_eq!((world.lies_at(make), lie), if related { (1, 0) } else { (0, 1) });
        // It has no use for it: its sub-makes may.
        world.rest_until(|world| others.iter().any(|&other| world.lies_at(other) > 0));
    }
}

#[test]
fn what_a_client_is_about_to_take_stays_there_when_another_one_comes() {
    let mut world = World::new(4);
    let lease = world.open_of(1);
    let make = world.open(lease, Kind::Unsplit);
    world.rest_until(|world| world.lies_at(make) == 3);
    world.take(make, 1);
    world.open(lease, Kind::Unsplit);
    world.pass(MS / 2);
    assert_eq!(world.lies_at(make), 2);
}

#[test]
fn who_was_never_asked_is_though_another_one_has_a_job_now_and_then() {
    let mut world = World::new(3);
    let (first, second) = (world.open_of(1), world.open_of(1));
    let rarely = world.open(first, Kind::Unsplit);
    world.rest_until(|world| world.lies_at(rarely) > 0);
    world.take(rarely, 1);
    world.give_back(rarely);
    let other = world.open_non_waiting(second);
    let was_asked = (0..100).any(|_| {
        world.take(rarely, 1);
        world.pass(MS);
        world.give_back(rarely);
        world.pass(19 * MS);
        world.lies_at(other) > 0
    });
    assert!(was_asked);
}

/// As cargo does: it keeps its tokens as long as anything is ready, and starts the next job in the slot of the last one.
#[test]
fn a_lease_that_returns_nothing_gives_up_slots_when_it_starts_something() {
    let mut world = World::new(6);
    let greedy = world.open_of(1);
    let cargo = world.open_waiting(greedy);
    while world.held_by(greedy) < 6 {
        world.rest_until(|world| world.lies_at(cargo) > 0);
        world.take_all(cargo);
    }
    world.start_in(greedy);
    assert_eq!(world.paused_in(greedy), 0, "nobody else wants anything");
    let second = world.open_of(1);
    assert_eq!(world.held_by(second), 0, "it waits for its first slot");
    world.start_in(greedy);
    assert_eq!((world.held_by(second), world.paused_in(greedy)), (1, 1), "which it has now");
    let make = world.open_waiting(second);
    for _ in 0..10 {
        world.start_in(greedy);
        if world.lies_at(make) > 0 {
            world.take_all(make);
        }
    }
    assert_eq!((world.held_by(greedy), world.held_by(second)), (3, 3));
    // What the other one needs no more, it gets back: who waited longest starts.
    let waiting = world.paused_in(greedy);
    world.give_back(make);
    world.give_back(make);
    world.rest_until(|world| world.paused_in(greedy) < waiting);
    world.close(second);
    assert_eq!(world.held_by(greedy) as usize + world.paused_in(greedy), 6);
}

#[test]
fn who_waits_to_start_does_so_in_turn_and_at_once_when_its_lease_has_nothing_else() {
    let mut world = World::new(2);
    let greedy = world.open_of(1);
    let cargo = world.open_waiting(greedy);
    world.rest_until(|world| world.lies_at(cargo) > 0);
    world.take_all(cargo);
    let _second = world.open_of(1);
    world.start_in(greedy);
    assert_eq!((world.held_by(greedy), world.paused_in(greedy)), (1, 1));
    // The job that runs ends, and the next one starts in its slot: it waits, and the first one runs.
    world.start_in(greedy);
    assert_eq!((world.held_by(greedy), world.paused_in(greedy)), (1, 1));
    // Both jobs are done but one, and the token comes back: there is a slot for what is left.
    world.give_back(cargo);
    assert_eq!((world.held_by(greedy), world.paused_in(greedy)), (1, 0));
}
