//! A child gets the pool, all of it and nothing else, whatever has become of the client.

use compare::actor::{Actor, Ending};
use compare::either::Which::{self, Ours, Upstream};
use compare::pools::{Fifo, Pipe};

fn actor(which: Which, scenario: &str) -> Actor {
    Actor::new(env!("CARGO_BIN_EXE_actor"), which, scenario)
}

const THE_POOL: &str = "2 descriptors; named: pipe and pipe, 3 free";

#[test]
fn the_client_may_be_dropped_before_the_child_starts() {
    let upstream = actor(Upstream, "drop-first").run();
    assert_eq!(upstream, Ending::said("spawn failed: Bad file descriptor (os error 9)"));
    assert_eq!(actor(Ours, "drop-first").run(), Ending::said(THE_POOL));
}

#[test]
fn a_child_never_gets_a_file_that_has_the_numbers_by_now() {
    let wrong = Ending::said("2 descriptors; named: file and file, 0 free");
    assert_eq!(actor(Upstream, "reuse").run(), wrong);
    assert_eq!(actor(Ours, "reuse").run(), Ending::said(THE_POOL));
}

#[test]
fn an_inherited_pool_is_handed_on_after_its_numbers_were_reused() {
    let pipe = Pipe::new(3);
    let run = |which| pipe.give(actor(which, "reuse-inherited")).env("MAKEFLAGS", Pipe::auth()).run();
    // Upstream names the old numbers, which the child finds closed, beside two that nobody told it of.
    assert_eq!(run(Upstream), Ending::said("2 descriptors; named: closed and closed, ? free"));
    assert_eq!(run(Ours), Ending::said(THE_POOL));
}

#[test]
fn a_process_without_standard_streams_can_hand_its_pool_on() {
    let upstream = actor(Upstream, "closed-stdio").run();
    assert_eq!(upstream, Ending::said("0 descriptors; named: /dev/null and /dev/null, ? free"));
    assert_eq!(actor(Ours, "closed-stdio").run(), Ending::said(THE_POOL));
}

#[test]
fn what_a_process_without_standard_streams_prints_makes_no_tokens() {
    let inherited = Fifo::new(3);
    // Eleven bytes more.
    assert_eq!(actor(Upstream, "print").run(), Ending::said("14 of 3 tokens free"));
    assert_eq!(actor(Ours, "print").run(), Ending::said("3 of 3 tokens free"));
    assert_eq!(actor(Ours, "print").env("MAKEFLAGS", inherited.auth()).run(), Ending::said("3 of 3 tokens free"));
}

// Here both do right.
#[test]
fn a_configured_child_gets_two_descriptors_and_another_one_none() {
    let both = Ending::said(format!("configured: {THE_POOL}; other: 0 descriptors; named: nothing"));
    assert_eq!(actor(Upstream, "children").arg("own").run(), both);
    assert_eq!(actor(Ours, "children").arg("own").run(), both);
    // 200 children started by eight threads at once.
    assert_eq!(actor(Upstream, "storm").run(), both);
    assert_eq!(actor(Ours, "storm").run(), both);
}

// What a process inherited goes on to all its children, with any crate: the descriptors are make's, which nobody may
// change. So a configured one has four.
#[test]
fn an_inherited_pipe_is_handed_on() {
    let pipe = Pipe::new(3);
    let run = |which| pipe.give(actor(which, "children")).arg("inherited").env("MAKEFLAGS", Pipe::auth()).run();
    let both = "configured: 4 descriptors; named: pipe and pipe, 3 free; other: 2 descriptors; named: nothing";
    assert_eq!(run(Upstream), Ending::said(both));
    assert_eq!(run(Ours), Ending::said(both));
}

#[test]
fn a_pool_on_a_named_pipe_needs_no_fork() {
    let fifo = Fifo::new(3);
    let forks = |which, pool: &str| match actor(which, "forks").arg(pool).env("MAKEFLAGS", fifo.auth()).run() {
        Ending::Said(said) => said,
        other => panic!("{other:?}"),
    };
    // Upstream can only join such a pool; one that it makes itself always forks.
    assert_eq!(forks(Upstream, "own"), "1 forks");
    assert_eq!(forks(Upstream, "inherited"), "0 forks");
    assert_eq!(forks(Ours, "inherited"), "0 forks");
    assert_eq!(forks(Ours, "served"), "0 forks");
}
