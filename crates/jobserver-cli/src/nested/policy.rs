//! When the broker of a nested pool takes a token from the inherited jobserver, and when it gives one back.
//!
//! A client that wants a token makes no event: it waits in a read, or it tries now and then. So one token lies in the
//! inner pool as an offer as long as fewer than the cap are drawn. An offer that nobody takes may be missed by others: it
//! goes back once it lay for a while *and* the inherited jobserver has nothing left, and is asked for again after a rest
//! that doubles each time. Whatever the command does with its pool ends the rest.
//!
//! Pure: time and counts come in, moves go out.

use std::time::{Duration, Instant};

/// How long an offer may lie while others could need it.
const HOLD: Duration = Duration::from_millis(100);
/// How long the broker then lets others go first: it doubles from the first to the longest.
const FIRST_REST: Duration = Duration::from_millis(100);
const LONGEST_REST: Duration = Duration::from_millis(1600);

#[derive(Debug)]
pub(crate) struct Policy {
    /// The most tokens that may be drawn.
    most: usize,
    /// A token was asked for and has not come yet.
    asked: bool,
    /// Since when an offer lies there untouched.
    offered: Option<Instant>,
    rest: Duration,
    resting_until: Option<Instant>,
    /// The inherited jobserver gives nothing any more.
    gone: bool,
}

/// What is seen at one moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct View {
    pub(crate) now: Instant,
    /// Tokens that lie in the inner pool.
    pub(crate) free: usize,
    /// Tokens taken from the inherited jobserver and not given back.
    pub(crate) drawn: usize,
    /// Whether the command has taken or returned something since the last look.
    pub(crate) touched: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Move {
    /// Ask the inherited jobserver for a token.
    Ask,
    /// Take a token out of the inner pool, and give one back to the inherited jobserver.
    GiveBack,
    /// Take a token out of the inner pool that nobody had drawn.
    DropStray,
    /// Nothing to do before this moment, or before something happens.
    Wait(Option<Instant>),
}

impl Policy {
    pub(crate) fn new(most: usize) -> Policy {
        Policy { most, asked: false, offered: None, rest: FIRST_REST, resting_until: None, gone: false }
    }

    /// The next move. `others_wait` says whether somebody else may be in need of a token.
    pub(crate) fn next(&mut self, view: View, others_wait: impl FnOnce() -> bool) -> Move {
        if view.touched {
            self.stirred();
        }
        // Beside what was drawn, the command's own slot may lie there: `exec` lends it while it waits for several, and old
        // clients return it before they take it again.
        if view.free > view.drawn + 1 {
            return Move::DropStray;
        }
        match view.free {
            0 => self.without_offer(view),
            // It is not ours to give away.
            1 if view.drawn == 0 => Move::Wait(None),
            1 => self.with_offer(view.now, others_wait),
            _ => Move::GiveBack,
        }
    }

    /// The command is at work: its next want is not to wait for the end of a rest.
    pub(crate) fn stirred(&mut self) {
        self.offered = None;
        self.rest = FIRST_REST;
        self.resting_until = None;
    }

    /// What was asked for has come.
    pub(crate) fn arrived(&mut self) {
        self.asked = false;
    }

    /// Nothing will come any more.
    pub(crate) fn give_up(&mut self) {
        self.gone = true;
    }

    fn with_offer(&mut self, now: Instant, others_wait: impl FnOnce() -> bool) -> Move {
        let since = *self.offered.get_or_insert(now);
        if now < since + HOLD {
            return Move::Wait(Some(since + HOLD));
        }
        if !others_wait() {
            self.offered = Some(now);
            return Move::Wait(Some(now + HOLD));
        }
        self.offered = None;
        self.resting_until = Some(now + self.rest);
        self.rest = (self.rest * 2).min(LONGEST_REST);
        Move::GiveBack
    }

    fn without_offer(&mut self, view: View) -> Move {
        if self.offered.is_some() {
            self.stirred();
        }
        if self.asked || self.gone || view.drawn >= self.most {
            return Move::Wait(None);
        }
        if let Some(until) = self.resting_until.filter(|&until| view.now < until) {
            return Move::Wait(Some(until));
        }
        self.resting_until = None;
        self.asked = true;
        Move::Ask
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Scene {
        policy: Policy,
        start: Instant,
    }

    impl Scene {
        fn new(most: usize) -> Scene {
            Scene { policy: Policy::new(most), start: Instant::now() }
        }

        fn at(&self, millis: u64) -> Instant {
            self.start + Duration::from_millis(millis)
        }

        fn look(&mut self, millis: u64, free: usize, drawn: usize, others_wait: bool) -> Move {
            let view = View { now: self.at(millis), free, drawn, touched: false };
            self.policy.next(view, || others_wait)
        }
    }

    #[test]
    fn one_token_is_asked_for_at_a_time_until_the_cap_is_drawn() {
        let mut scene = Scene::new(2);
        assert_eq!(scene.look(0, 0, 0, true), Move::Ask);
        assert_eq!(scene.look(0, 0, 0, true), Move::Wait(None));
        scene.policy.arrived();
        assert_eq!(scene.look(1, 1, 1, true), Move::Wait(Some(scene.at(101))));
        assert_eq!(scene.look(2, 0, 1, true), Move::Ask);
        scene.policy.arrived();
        assert_eq!(scene.look(3, 0, 2, true), Move::Wait(None));
    }

    #[test]
    fn what_comes_back_beyond_the_offer_goes_on_at_once() {
        let mut scene = Scene::new(3);
        assert_eq!(scene.look(0, 3, 3, false), Move::GiveBack);
        assert_eq!(scene.look(0, 2, 2, false), Move::GiveBack);
        assert_eq!(scene.look(0, 1, 1, false), Move::Wait(Some(scene.at(100))));
    }

    #[test]
    fn an_offer_stays_as_long_as_nobody_else_is_in_need() {
        let mut scene = Scene::new(1);
        scene.look(0, 1, 1, false);
        assert_eq!(scene.look(100, 1, 1, false), Move::Wait(Some(scene.at(200))));
        assert_eq!(scene.look(200, 1, 1, true), Move::GiveBack);
    }

    #[test]
    fn the_rest_after_an_offer_in_vain_doubles_and_ends_when_one_is_taken() {
        let mut scene = Scene::new(1);
        let mut now = 0;
        for rest in [100, 200, 400, 800, 1600, 1600] {
            scene.look(now, 1, 1, true);
            now += 100;
            assert_eq!(scene.look(now, 1, 1, true), Move::GiveBack);
            now += rest;
            assert_eq!(scene.look(now - 1, 0, 0, true), Move::Wait(Some(scene.at(now))), "{rest}");
            assert_eq!(scene.look(now, 0, 0, true), Move::Ask);
            scene.policy.arrived();
        }
        scene.look(now, 1, 1, true);
        // Taken, and returned: the next offer in vain is followed by the first rest again.
        scene.look(now + 1, 0, 1, true);
        scene.look(now + 2, 1, 1, true);
        assert_eq!(scene.look(now + 102, 1, 1, true), Move::GiveBack);
        assert_eq!(scene.look(now + 103, 0, 0, true), Move::Wait(Some(scene.at(now + 202))));
    }

    #[test]
    fn a_command_that_stirs_ends_the_rest() {
        let mut scene = Scene::new(2);
        scene.look(0, 1, 1, true);
        assert_eq!(scene.look(100, 1, 1, true), Move::GiveBack);
        let view = View { now: scene.at(101), free: 0, drawn: 1, touched: true };
        assert_eq!(scene.policy.next(view, || true), Move::Ask);
    }

    #[test]
    fn a_token_that_nobody_drew_is_dropped_unless_it_may_be_the_commands_own_slot() {
        let mut scene = Scene::new(2);
        assert_eq!(scene.look(0, 2, 0, true), Move::DropStray);
        assert_eq!(scene.look(0, 4, 2, true), Move::DropStray);
        assert_eq!(scene.look(0, 3, 2, true), Move::GiveBack);
        assert_eq!(scene.look(0, 2, 1, true), Move::GiveBack);
        for millis in [0, 1000] {
            assert_eq!(scene.look(millis, 1, 0, true), Move::Wait(None));
        }
        assert_eq!(scene.look(1001, 0, 0, true), Move::Ask);
    }

    #[test]
    fn a_jobserver_that_is_gone_is_not_asked() {
        let mut scene = Scene::new(2);
        scene.policy.give_up();
        assert_eq!(scene.look(0, 0, 0, true), Move::Wait(None));
    }
}
