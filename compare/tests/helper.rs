//! The helper thread: no signals, and it ends.

use std::time::Duration;

use compare::actor::{Actor, Ending};
use compare::either::Which::{self, Ours, Upstream};
use compare::pools::{Fifo, Pipe};

fn actor(which: Which, scenario: &str) -> Actor {
    Actor::new(env!("CARGO_BIN_EXE_actor"), which, scenario)
}

const ALL_IS_WELL: &str = "no thread is left; 1 of 1 tokens free";

#[test]
fn no_signal_handler_is_installed() {
    assert_eq!(actor(Upstream, "sigusr1").run(), Ending::said("a handler of the crate's"));
    assert_eq!(actor(Ours, "sigusr1").run(), Ending::said("the default action"));
}

// Upstream tries for a second and leaves the thread behind, which then takes a token that nobody asked for.
#[test]
fn it_ends_where_signals_are_blocked() {
    assert_eq!(actor(Upstream, "masked").run(), Ending::said("a thread left behind took a token; 0 of 1 tokens free"));
    assert_eq!(actor(Ours, "masked").run(), Ending::said(ALL_IS_WELL));
}

/// Ends well after `times` drops.
fn assert_ends(actor: Actor, times: u32) {
    let times = if compare::long() { times * 10 } else { times };
    let ending = actor.arg(times).run_within(Duration::from_secs(600));
    assert_eq!(ending, Ending::said(ALL_IS_WELL));
}

// Upstream's signal serves as well here, where nobody blocks it.
#[test]
fn dropped_while_it_waits_10000_times_it_always_ends() {
    assert_ends(actor(Upstream, "drop-waiting"), 100);
    assert_ends(actor(Ours, "drop-waiting"), 10_000);
}

#[test]
fn dropped_just_when_a_token_comes_it_loses_none() {
    assert_ends(actor(Upstream, "drop-racing"), 100);
    assert_ends(actor(Ours, "drop-racing"), 10_000);

    let fifo = Fifo::new(1);
    assert_ends(actor(Ours, "drop-racing").env("MAKEFLAGS", fifo.auth()), 2_000);
    let on = |pipe: &Pipe| pipe.give(actor(Ours, "drop-racing")).env("MAKEFLAGS", Pipe::auth());
    let pipe = Pipe::new(1);
    assert_ends(on(&pipe), 2_000);
    let shared = Pipe::new(1).closed_to_others();
    assert_ends(on(&shared).as_nobody(), 2_000);
    assert_eq!((fifo.free(), pipe.free(), shared.free()), (1, 1, 1));
}
