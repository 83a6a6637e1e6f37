//! The thread that moves tokens between the inherited jobserver and the command's pool.
//!
//! It sleeps in one wait (`bell`) until the command has touched its pool, a token has come, the command has ended, or a time is
//! due. Events only wake it; what it does follows from counts, so that merged or missed events do no harm.
//!
//! A token that is drawn is an [`Acquired`] in `drawn`, whoever holds the byte that stands for it in the inner pool:
//! dropping `drawn` gives everything back, whatever has happened.

use std::io;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::{Builder, JoinHandle};
use std::time::Instant;

use jobserver::{Acquired, Client, HelperThread};

use super::bell::{self, Bell, Ringer};
use super::policy::{Move, Policy, View};
use super::watch::Watch;
use crate::report::{say, Account};

pub(crate) struct Broker {
    policy: Policy,
    outer: Client,
    inner: Client,
    helper: HelperThread,
    drawn: Vec<Acquired>,
    watch: Watch,
    letters: Receiver<Letter>,
    bell: Bell,
    account: Account,
}

enum Letter {
    Token(io::Result<Acquired>),
    /// The command has ended.
    End,
}

/// Sends a letter and wakes the broker.
struct Post {
    letters: Sender<Letter>,
    ringer: Ringer,
}

impl Post {
    fn send(&self, letter: Letter) {
        if self.letters.send(letter).is_ok() {
            self.ringer.ring();
        }
    }
}

/// The running thread.
pub(crate) struct Handle {
    post: Post,
    thread: JoinHandle<Account>,
}

impl Handle {
    /// To be called once the command has ended: all tokens go back.
    pub(crate) fn settle(self) -> Account {
        self.post.send(Letter::End);
        self.thread.join().unwrap_or_default()
    }
}

impl Broker {
    pub(crate) fn start(outer: Client, inner: Client, watch: Watch, most: usize) -> io::Result<Handle> {
        let (bell, ringer) = bell::pair()?;
        let (letters, inbox) = mpsc::channel();
        let post = Post { letters: letters.clone(), ringer: ringer.try_clone()? };
        let helper = outer.clone().into_helper_thread(move |token| post.send(Letter::Token(token)))?;
        let broker = Broker {
            policy: Policy::new(most),
            watch,
            outer,
            inner,
            helper,
            drawn: Vec::new(),
            letters: inbox,
            bell,
            account: Account { made_good: true, ..Account::default() },
        };
        let thread = Builder::new().name("broker".to_string()).spawn(move || broker.serve())?;
        Ok(Handle { post: Post { letters, ringer }, thread })
    }

    fn serve(mut self) -> Account {
        loop {
            let mut touched = self.watch.drain();
            if self.read_letters() {
                return self.settle();
            }
            let until = loop {
                match self.step(touched) {
                    Move::Wait(until) => break until,
                    _ => {
                        // Our own moves are no sign of life. What others did meanwhile the next look finds by counting.
                        self.watch.drain();
                        touched = false;
                    }
                }
            };
            self.sleep(until);
        }
    }

    /// One move, done; or the time to wait.
    fn step(&mut self, touched: bool) -> Move {
        let free = match self.inner.available() {
            Ok(free) => free,
            Err(error) => {
                say(format_args!("the command's pool can't be counted: {error}: it keeps the slots that it has"));
                self.policy.give_up();
                0
            }
        };
        let view = View { now: Instant::now(), free, drawn: self.drawn.len(), touched };
        // One that can't be counted may be in need.
        let others_wait = || !matches!(self.outer.available(), Ok(1..));
        let next = self.policy.next(view, others_wait);
        match next {
            Move::Ask => self.helper.request_token(),
            Move::GiveBack if self.withdraw() => self.give_back(),
            Move::DropStray if self.withdraw() => self.account.strays += 1,
            // Somebody was quicker.
            Move::GiveBack | Move::DropStray => self.policy.stirred(),
            Move::Wait(_) => {}
        }
        next
    }

    /// True once the command has ended.
    fn read_letters(&mut self) -> bool {
        self.bell.silence();
        loop {
            match self.letters.try_recv() {
                Ok(Letter::Token(Ok(token))) => self.offer(token),
                Ok(Letter::Token(Err(error))) => {
                    say(format_args!(
                        "the inherited jobserver is out of reach: {error}: the command keeps the slots that it has"
                    ));
                    self.policy.give_up();
                }
                Ok(Letter::End) => return true,
                Err(_) => return false,
            }
            self.watch.drain();
        }
    }

    fn offer(&mut self, token: Acquired) {
        self.policy.arrived();
        match self.inner.release_raw() {
            Ok(()) => {
                self.drawn.push(token);
                self.account.tokens = self.account.tokens.max(self.drawn.len());
            }
            Err(error) => {
                say(format_args!("the command's pool takes no token: {error}: it keeps the slots that it has"));
                self.policy.give_up();
            }
        }
    }

    /// Takes a token out of the inner pool, unless a client was quicker.
    fn withdraw(&self) -> bool {
        match self.inner.try_acquire() {
            Ok(Some(token)) => {
                token.drop_without_releasing();
                true
            }
            _ => false,
        }
    }

    fn give_back(&mut self) {
        if let Some(Err(error)) = self.drawn.pop().map(Acquired::release) {
            say(format_args!("a token can't be given back to the inherited jobserver: {error}"));
        }
    }

    fn sleep(&self, until: Option<Instant>) {
        let left = until.map(|until| until.saturating_duration_since(Instant::now()));
        // Without events an eye is kept on the pool as long as something is in it or drawn for it.
        let left = match self.watch.interval().filter(|_| !self.drawn.is_empty()) {
            Some(interval) => Some(left.map_or(interval, |left| left.min(interval))),
            None => left,
        };
        self.bell.sleep(&self.watch, left);
    }

    /// Everything goes back: what lies in the inner pool, what is on its way, and what the command has lost.
    fn settle(mut self) -> Account {
        drop(self.helper);
        // Tokens that came too late go back by themselves.
        drop(self.letters);
        while let Ok(Some(token)) = self.inner.try_acquire() {
            token.drop_without_releasing();
            match self.drawn.pop() {
                Some(drawn) => drop(drawn),
                None => self.account.strays += 1,
            }
        }
        self.account.lost = self.drawn.len();
        self.drawn.clear();
        if let Some(error) = self.outer.take_release_error() {
            say(format_args!("a token can't be given back to the inherited jobserver: {error}"));
        }
        self.account
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;
    use std::time::Duration;

    /// Waits until `holds`, for a minute at most.
    #[track_caller]
    fn until(what: &str, holds: impl Fn() -> bool) {
        let start = Instant::now();
        while !holds() {
            assert!(start.elapsed() < Duration::from_secs(60), "{what}");
            thread::yield_now();
        }
    }

    /// With events and without.
    fn each_watch(test: impl Fn(Client, Client, Watch)) {
        for blind in [false, true] {
            let (outer, inner) = (Client::new(4).unwrap(), empty());
            let watch = if blind { Watch::blind() } else { Watch::on(&inner) };
            test(outer, inner, watch);
        }
    }

    fn empty() -> Client {
        let pool = Client::new(if cfg!(windows) { 5 } else { 0 }).unwrap();
        while let Some(token) = pool.try_acquire().unwrap() {
            token.drop_without_releasing();
        }
        pool
    }

    #[test]
    fn as_many_tokens_as_the_cap_allows_can_be_had_and_all_go_back() {
        each_watch(|outer, inner, watch| {
            let broker = Broker::start(outer.clone(), inner.clone(), watch, 2).unwrap();
            for _ in 0..20 {
                let tokens = [inner.acquire().unwrap(), inner.acquire().unwrap()];
                assert_eq!((outer.available().unwrap(), inner.available().unwrap()), (2, 0));
                drop(tokens);
                until("one of two goes back", || outer.available().unwrap() == 3);
            }
            let account = broker.settle();
            assert_eq!(account, Account { tokens: 2, made_good: true, ..Account::default() });
            assert_eq!((outer.available().unwrap(), inner.available().unwrap()), (4, 0));
        });
    }

    #[test]
    fn an_offer_that_nobody_takes_goes_to_those_who_wait() {
        each_watch(|outer, inner, watch| {
            let broker = Broker::start(outer.clone(), inner.clone(), watch, 2).unwrap();
            until("an offer", || inner.available().unwrap() == 1);
            let all: Vec<Acquired> = (0..4).map(|_| outer.acquire().unwrap()).collect();
            drop(all);
            broker.settle();
            assert_eq!(outer.available().unwrap(), 4);
        });
    }

    #[test]
    fn what_was_lost_or_added_inside_is_told_and_the_outer_pool_is_whole() {
        each_watch(|outer, inner, watch| {
            let broker = Broker::start(outer.clone(), inner.clone(), watch, 3).unwrap();
            for _ in 0..3 {
                inner.acquire_raw().unwrap();
            }
            inner.release_raw().unwrap();
            let account = broker.settle();
            assert_eq!((account.tokens, account.lost, account.strays), (3, 2, 0));
            assert_eq!(outer.available().unwrap(), 4);
        });
        each_watch(|outer, inner, watch| {
            let broker = Broker::start(outer.clone(), inner.clone(), watch, 3).unwrap();
            for _ in 0..5 {
                inner.release_raw().unwrap();
            }
            assert_eq!((broker.settle().strays, outer.available().unwrap()), (5, 4));
        });
    }

    #[test]
    fn a_broker_that_waits_for_an_empty_jobserver_ends_at_once() {
        each_watch(|outer, inner, watch| {
            let all: Vec<Acquired> = (0..4).map(|_| outer.acquire().unwrap()).collect();
            let broker = Broker::start(outer.clone(), inner, watch, 3).unwrap();
            assert_eq!(broker.settle().tokens, 0);
            drop(all);
            assert_eq!(outer.available().unwrap(), 4);
        });
    }
}
