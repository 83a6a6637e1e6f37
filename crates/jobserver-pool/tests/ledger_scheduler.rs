//! The scheduler under clients that do anything in any order, with what physically lies in the FIFOs beside it.
//!
//! Eight million steps. After each: the balance, caps, first slots before extras, no withdrawal in vain repeated, no
//! timer that is already due, and each FIFO holds what the accounts say. After each case: whoever waits is asked.

#[path = "ledger_world/mod.rs"]
mod world;

use proptest::prelude::*;
use proptest::test_runner::Config;
use world::World;

const CASES: u32 = 8_000;
const STEPS: usize = 1_000;

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
