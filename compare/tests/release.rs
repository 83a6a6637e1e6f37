//! A token that is given back arrives, or its loss can be asked for.

use compare::actor::{Actor, Ending};
use compare::either::Which::{self, Ours, Upstream};
use compare::pools::{Fifo, Pipe};
use compare::sys;

fn actor(which: Which, scenario: &str) -> Actor {
    Actor::new(env!("CARGO_BIN_EXE_actor"), which, scenario)
}

/// A pipe that is full to the last byte, which somebody has made non-blocking and nobody can open anew.
fn full_and_refusing() -> Pipe {
    let pipe = Pipe::of_one_page(4096).closed_to_others();
    sys::set_nonblocking(&pipe.write, true).unwrap();
    pipe
}

fn on(pipe: &Pipe, which: Which, scenario: &str) -> Actor {
    pipe.give(actor(which, scenario)).env("MAKEFLAGS", Pipe::auth()).as_nobody()
}

#[test]
fn a_full_pipe_is_waited_for() {
    let run = |which| on(&full_and_refusing(), which, "full").arg("drained").run();
    assert_eq!(run(Upstream), Ending::said("1 lost, error kept: None"));
    assert_eq!(run(Ours), Ending::said("0 lost, error kept: None"));

    // Where the pipe can be opened anew upstream waits as well.
    for which in [Upstream, Ours] {
        let pipe = Pipe::of_one_page(4096);
        let actor = pipe.give(actor(which, "full")).arg("drained").env("MAKEFLAGS", Pipe::auth());
        assert_eq!(actor.run(), Ending::said("0 lost, error kept: None"), "{which:?}");
    }
}

#[test]
fn a_token_that_can_never_be_given_back_is_reported() {
    let run = |which| on(&full_and_refusing(), which, "full").arg("never").run();
    assert_eq!(run(Upstream), Ending::said("1 lost, error kept: None"));
    assert_eq!(run(Ours), Ending::said("1 lost, error kept: Some(WouldBlock)"));

    // Upstream waits for ever where the pipe could be opened anew.
    let pipe = Pipe::of_one_page(4096);
    let run = |which| pipe.give(actor(which, "full")).arg("never").env("MAKEFLAGS", Pipe::auth());
    assert_eq!(run(Upstream).glance(), Ending::Hung);
    let pipe = Pipe::of_one_page(4096);
    let run = |which| pipe.give(actor(which, "full")).arg("never").env("MAKEFLAGS", Pipe::auth());
    assert_eq!(run(Ours).run(), Ending::said("1 lost, error kept: Some(WouldBlock)"));
}

#[test]
fn ten_thousand_signals_cost_no_token() {
    let run = |which, times: u32| {
        let fifo = Fifo::new(0);
        sys::set_capacity(&fifo.file, 4096).unwrap();
        fifo.fill(4096);
        actor(which, "signals").arg(fifo.path().display()).arg(times).env("MAKEFLAGS", fifo.auth()).run()
    };
    assert_eq!(run(Upstream, 1), Ending::said("1 lost"));
    assert_eq!(run(Ours, if compare::long() { 50_000 } else { 10_000 }), Ending::said("0 lost"));
}

// A page that holds any token counts as full in poll's eyes, but takes further ones. A kernel that can't write to a pipe
// without waiting leaves the choice of waiting for ever, as upstream would in a pipe that is really full, or of an error.
#[test]
fn a_shared_pipe_of_one_page_takes_its_tokens_back() {
    let run = |which| on(&Pipe::of_one_page(3).closed_to_others(), which, "give-back").run();
    assert_eq!(run(Upstream), Ending::said("0 lost, error kept: None"));
    let ours = run(Ours);
    if sys::pipes_can_be_written_without_waiting() {
        assert_eq!(ours, Ending::said("0 lost, error kept: None"));
    } else {
        let Ending::Said(said) = ours else { panic!("ours hangs or dies") };
        assert!(said.starts_with("1 lost, error kept: Some(") && said.contains("full"), "{said}");
    }
}
