//! Pools of every size up to the limit of the kernel, which is named beyond it.

use compare::actor::{Actor, Ending};
use compare::either::Which::{self, Ours, Upstream};

fn actor(which: Which, scenario: &str) -> Actor {
    Actor::new(env!("CARGO_BIN_EXE_actor"), which, scenario)
}

fn cycle(which: Which, tokens: usize) -> Actor {
    actor(which, "cycle").arg(tokens).arg(10_000)
}

fn make(which: Which, tokens: usize) -> Ending {
    actor(which, "make").arg(tokens).run()
}

fn well() -> Ending {
    Ending::said("all taken and given back")
}

fn would_block() -> Ending {
    Ending::said("WouldBlock: Resource temporarily unavailable (os error 11)")
}

#[test]
fn small_pools_work_in_both() {
    for tokens in [0, 1, 4_096, 4_097, 61_440, 61_441] {
        if tokens > 0 {
            assert_eq!(cycle(Upstream, tokens).run(), well(), "{tokens}");
            assert_eq!(cycle(Ours, tokens).run(), well(), "{tokens}");
        } else {
            assert_eq!(make(Upstream, 0), Ending::said("made, 0 free"));
            assert_eq!(make(Ours, 0), Ending::said("made, 0 free"));
        }
    }
}

// The pipe's 16 pages: with more than 15 of them and one byte in use, the page that is being emptied and the one that
// is being filled need a 17th between them.
#[test]
fn a_pool_that_fills_its_pipe_takes_its_tokens_back() {
    for tokens in [61_442, 65_535, 65_536] {
        assert_eq!(cycle(Upstream, tokens).glance(), Ending::Hung, "{tokens}");
        assert_eq!(cycle(Ours, tokens).run(), well(), "{tokens}");
    }
}

#[test]
fn a_pool_can_be_larger_than_a_pipe_usually_is() {
    for tokens in [65_537, 70_000, 1_000_000, 1_044_480] {
        assert_eq!(cycle(Upstream, tokens).run(), would_block(), "{tokens}");
        assert_eq!(cycle(Ours, tokens).run(), well(), "{tokens}");
    }
}

#[test]
fn a_pool_beyond_the_limit_is_an_error_that_names_it() {
    for tokens in [1_044_481, 2_000_000, usize::MAX] {
        assert_eq!(make(Upstream, tokens), would_block(), "{tokens}");
        let ours =
            format!("InvalidInput: a jobserver of {tokens} tokens can't be made: the limit of a pipe here is 1044480");
        assert_eq!(make(Ours, tokens), Ending::said(ours));
    }
}

// Upstream serves none.
#[test]
fn a_pool_on_a_named_pipe_has_every_size_as_well() {
    let served = |tokens: usize| actor(Ours, "served").arg(tokens).arg(10_000).run();
    for tokens in [1, 4_097, 61_442, 65_536, 65_537, 1_044_480] {
        assert_eq!(served(tokens), well(), "{tokens}");
    }
    let Ending::Said(said) = served(1_044_481) else { panic!("ours hangs or dies") };
    assert!(said.contains("the limit of a pipe here is 1044480"), "{said}");
}
