//! The scheduler under clients that do anything in any order, with what physically lies in the FIFOs beside it.
//!
//! Eight million steps. After each: the balance, caps, first slots before extras, no withdrawal in vain repeated, no
//! timer that is already due, and each FIFO holds what the accounts say. After each case: whoever waits is asked.

#[path = "ledger_world/mod.rs"]
mod world;

use proptest::prelude::*;
use proptest::test_runner::Config;
use world::World;

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
