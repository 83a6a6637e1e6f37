//! Clients of clients of clients share one pool, whichever crate each of them has.

use compare::actor::{Actor, Ending};
use compare::either::Which::{self, Ours, Upstream};
use compare::pools::{Fifo, Pipe};

fn actor(which: Which, scenario: &str) -> Actor {
    Actor::new(env!("CARGO_BIN_EXE_actor"), which, scenario)
}

const CHAINS: [[Which; 3]; 4] =
    [[Ours, Ours, Ours], [Ours, Upstream, Ours], [Upstream, Ours, Upstream], [Upstream, Upstream, Upstream]];

fn chain(links: [Which; 3]) -> Actor {
    actor(links[0], "chain").arg(links[1].name()).arg(links[2].name())
}

// Upstream does well here; both have to, and together.
#[test]
fn three_links_hold_a_token_each_of_the_first_ones_pool() {
    for links in CHAINS {
        assert_eq!(chain(links).run(), Ending::said("2 left"), "{links:?}");
    }
}

#[test]
fn three_links_hold_a_token_each_of_an_inherited_pool() {
    for links in CHAINS {
        let fifo = Fifo::new(5);
        assert_eq!(chain(links).env("MAKEFLAGS", fifo.auth()).run(), Ending::said("2 left"), "fifo {links:?}");
        assert_eq!(fifo.free(), 5);
        let pipe = Pipe::new(5);
        let first = pipe.give(chain(links)).env("MAKEFLAGS", Pipe::auth());
        assert_eq!(first.run(), Ending::said("2 left"), "pipe {links:?}");
        assert_eq!(pipe.free(), 5);
    }
}
