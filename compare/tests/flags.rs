//! `try_acquire` works in every pool, wakes nobody else, and leaves no flag on what others share.

use compare::actor::{Actor, Ending};
use compare::either::Jobserver;
use compare::either::Which::{self, Ours, Upstream};
use compare::pools::{Fifo, Pipe, READ, WRITE};
use compare::wakeups::{measure, Style, Way};
use testkit::procfs;

fn actor(which: Which, scenario: &str) -> Actor {
    Actor::new(env!("CARGO_BIN_EXE_actor"), which, scenario)
}

const UNCHANGED: &str = "unchanged";

#[test]
fn try_acquire_works_in_a_pool_of_ones_own() {
    fn answer<J: Jobserver>() -> String {
        let client = J::new(1).unwrap();
        match client.try_acquire() {
            Ok(Some(_token)) => format!("a token, then {:?}", client.try_acquire().map(|token| token.is_some())),
            Ok(None) => "nothing".to_string(),
            Err(error) => format!("{:?}", error.kind()),
        }
    }
    assert_eq!(answer::<upstream::Client>(), "Unsupported");
    assert_eq!(answer::<jobserver::Client>(), "a token, then Ok(false)");
}

// One test, so that the measurements don't disturb each other.
#[test]
fn a_token_wakes_only_the_one_who_takes_it_even_after_try_acquire() {
    let program = env!("CARGO_BIN_EXE_actor");
    for style in [Style::Fifo, Style::Pipe] {
        for way in [Way::Acquire, Way::Helper] {
            let upstream = measure(program, Upstream, style, way);
            let ours = measure(program, Ours, style, way);
            println!("{style:?} {way:?}: upstream {upstream}, ours {ours} wake-ups a token");
            assert!(ours <= 1.1, "{style:?} {way:?}: {ours} wake-ups a token");
            assert!(upstream > 5.0, "{style:?} {way:?}: upstream has only {upstream} wake-ups a token");
        }
    }
}

/// Joins `pipe`, with a child that was configured, and says what the child sees happen to its descriptors.
fn what_a_child_sees(which: Which, pipe: Option<&Pipe>) -> Ending {
    let actor = actor(which, "flags-of-a-child");
    match pipe {
        Some(pipe) => pipe.give(actor).env("MAKEFLAGS", Pipe::auth()).run(),
        None => actor.run(),
    }
}

// 0.1.35 opens the inherited descriptors anew as well, but lets its children inherit these beside the original ones.
#[test]
fn a_child_sees_no_flag_change_on_an_inherited_pipe() {
    let pipe = Pipe::new(3);
    let seen = "after try_acquire: O_NONBLOCK on 1 of 4 descriptors, on 0 before";
    assert_eq!(what_a_child_sees(Upstream, Some(&pipe)), Ending::said(seen));
    assert_eq!(what_a_child_sees(Ours, Some(&pipe)), Ending::said(UNCHANGED));
    assert_eq!(pipe.free(), 3);
}

// Here 0.1.35 does no harm, for it has no try_acquire.
#[test]
fn a_child_sees_no_flag_change_on_the_pipe_of_a_new_pool() {
    assert_eq!(what_a_child_sees(Upstream, None), Ending::said(UNCHANGED));
    assert_eq!(what_a_child_sees(Ours, None), Ending::said(UNCHANGED));
}

// Nor here: it has descriptions of its own. What it does to its own is the wake-ups above.
#[test]
fn who_shares_the_pool_sees_no_flag_change() {
    for which in [Upstream, Ours] {
        let fifo = Fifo::new(3);
        let (stdin, _ends_with_this) = compare::sys::pipe().unwrap();
        let keeper = actor(which, "keep").stdin(stdin).give(fifo.file.try_clone().unwrap(), READ);
        let keeper = keeper.start().wait_until_ready();
        let user = actor(which, "use-everything").arg(keeper.pid()).env("MAKEFLAGS", fifo.auth());
        assert_eq!(user.run(), Ending::said(UNCHANGED), "FIFO, {which:?}");
        assert_eq!(fifo.free(), 3);

        let pipe = Pipe::new(3);
        let (stdin, _ends_with_this) = compare::sys::pipe().unwrap();
        let keeper = pipe.give(actor(which, "keep").stdin(stdin)).start().wait_until_ready();
        let before = [READ, WRITE].map(|fd| procfs::fd_flags(keeper.pid(), fd));
        let user = pipe.give(actor(which, "use-everything")).arg(keeper.pid()).env("MAKEFLAGS", Pipe::auth());
        assert_eq!(user.run(), Ending::said(UNCHANGED), "pipe, {which:?}");
        assert_eq!([READ, WRITE].map(|fd| procfs::fd_flags(keeper.pid(), fd)), before);
        assert_eq!(pipe.free(), 3);
    }
}

#[test]
fn a_pipe_that_cannot_be_opened_anew_keeps_its_flags_and_has_a_try_acquire() {
    for (which, answer) in [(Upstream, "Unsupported"), (Ours, "3 tokens, then none")] {
        let pipe = Pipe::new(3).closed_to_others();
        let (stdin, _ends_with_this) = compare::sys::pipe().unwrap();
        let keeper = pipe.give(actor(which, "keep").stdin(stdin)).start().wait_until_ready();
        let user = |scenario| pipe.give(actor(which, scenario)).as_nobody().env("MAKEFLAGS", Pipe::auth());
        // Seen from here: another user may not look into the keeper's /proc.
        let before = [READ, WRITE].map(|fd| procfs::fd_flags(keeper.pid(), fd));
        assert_eq!(user("try").run(), Ending::said(answer));
        assert_eq!([READ, WRITE].map(|fd| procfs::fd_flags(keeper.pid(), fd)), before);
        assert_eq!(pipe.free(), 3);
    }
}

#[test]
fn a_child_gets_descriptors_that_block_even_without_proc() {
    let run = |which| actor(which, "without-proc").run();
    let upstream = "try_acquire: Err(Unsupported); reading blocks, writing blocks";
    assert_eq!(run(Upstream), Ending::said(upstream));
    assert_eq!(run(Ours), Ending::said("try_acquire: Ok(true); reading blocks, writing blocks"));
}
