//! A user whose pipes are at the kernel's quota gets small ones: a pool that does not fit is an error, not a trap.
//!
//! Alone in this file: unless the tests are root's, the quota is that of the user who runs them, and other checks would
//! meet it. As root it is nobody's.

use compare::actor::{Actor, Ending};
use compare::either::Which::{self, Ours, Upstream};

fn quota(which: Which, tokens: usize) -> Actor {
    let actor = Actor::new(env!("CARGO_BIN_EXE_actor"), which, "quota").as_nobody();
    actor.arg(tokens).arg(10_000)
}

#[test]
fn a_user_whose_pipes_are_small_by_now_gets_an_error_or_a_pool_that_works() {
    let well = || Ending::said("all taken and given back");
    for tokens in [100, 4_096] {
        assert_eq!(quota(Upstream, tokens).run(), well(), "{tokens}");
        assert_eq!(quota(Ours, tokens).run(), well(), "{tokens}");
    }
    assert_eq!(quota(Upstream, 5_000).glance(), Ending::Hung);
    let Ending::Said(ours) = quota(Ours, 5_000).run() else { panic!("ours hangs or dies") };
    assert!(ours.starts_with("PermissionDenied: a jobserver of 5000 tokens can't be made"), "{ours}");
    assert!(ours.contains("/proc/sys/fs/pipe-user-pages-soft"), "{ours}");
}
