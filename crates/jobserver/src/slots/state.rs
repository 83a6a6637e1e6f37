//! Who may run, who waits and what goes back: the rules of [`Slots`](super::Slots), without locks, clocks or system calls.
//!
//! A *right* is the right to run one job. `own` of them never leave the process (the implicit slot; without a
//! jobserver, the stated width), each further one stands on a token that was read from the pool. Rights have no identity:
//! a job that ends can always give back a token, whichever job it was read for, and the implicit slot is what is left at
//! the end. It can't be given away, since there is no byte for it.
//!
//! - Nobody waits: a right that becomes free goes back at once, if it stands on a token.
//! - Somebody waits: the right stays, and the first waiter is called for it. Until that one has come, whoever asks may
//!   have it, [`BARGES`] times at most; then the first waiter gets the next one for certain. So a thread that releases
//!   and acquires in turn does not cost a change of threads each time, as the strict order of arrival would.
//! - A right whose [`Turn`] is over goes back to the pool even so, that other processes may have it; if it can't, the
//!   first waiter gets it for certain.
//! - While somebody waits, the first of them leads: it waits in the pool. To call it back costs more than to call
//!   another, so the others are called before it, [`OVERTAKES`] times at most.

use std::collections::VecDeque;

/// How often a right may be taken by somebody else between the call of the first waiter and its coming. What goes by the
/// hall's short cut is not seen here, and ends with the turn.
///
/// Each time takes the lock twice, some 0.1 us, and a change of threads takes some 5 us: it is to be the lesser part.
pub(crate) const BARGES: u32 = 64;

/// How many rights others may get before the leader, which came before them.
pub(crate) const OVERTAKES: u32 = 8;

/// How long a right has been used in this process since it came from the pool.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Turn {
    /// Jobs that have ended.
    pub(crate) uses: usize,
    /// When the first of them began; `None` before that, and where there is no clock.
    pub(crate) since: Option<Moment>,
}

/// A time in microseconds, from whenever, that begins again at 0 some day.
pub(crate) type Moment = usize;

/// A waiter's number.
pub(crate) type Id = u64;

/// What a waiter is to do.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Look {
    /// It has a right.
    Run(Turn),
    /// It is to wait in the pool.
    Lead,
    /// It is to wait until it is woken.
    Sleep,
}

/// What is to be done once the state is let go.
#[derive(Debug)]
#[must_use = "somebody sleeps until it is done"]
pub(crate) struct Todo<W> {
    /// Tokens that go back to the pool.
    pub(crate) give: Vec<u8>,
    /// Waiters to wake.
    pub(crate) wake: Vec<W>,
    /// The leader is to come back from the pool.
    pub(crate) interrupt: bool,
}

#[derive(Debug)]
struct Waiter<W> {
    id: Id,
    /// Woken for a right that is free, and has not looked yet.
    called: bool,
    wake: W,
}

/// All of it. `W` is what wakes a waiter.
#[derive(Debug)]
pub(crate) struct State<W> {
    own: usize,
    /// Whether further rights can be had from a pool.
    pooled: bool,
    /// The bytes that were read from the pool and not given back.
    tokens: Vec<u8>,
    running: usize,
    /// Free rights whose turn has not begun.
    idle: usize,
    /// Free rights in the middle of their turn.
    warm: Vec<Turn>,
    /// Rights that were given to waiters who have not looked yet.
    granted: Vec<(Id, Turn)>,
    /// Those who wait, without those who were granted a right. In a pool the first of them leads.
    queue: VecDeque<Waiter<W>>,
    /// How many in the queue were called.
    called: usize,
    /// Whether the leader waits in the pool, and not where the others wait.
    away: bool,
    overtaken: u32,
    barges: u32,
    next: Id,
}

impl<W: Clone> State<W> {
    pub(crate) fn new(own: usize, pooled: bool) -> State<W> {
        State {
            own,
            pooled,
            tokens: Vec::new(),
            running: 0,
            idle: own,
            warm: Vec::new(),
            granted: Vec::new(),
            queue: VecDeque::new(),
            called: 0,
            away: false,
            overtaken: 0,
            barges: 0,
            next: 0,
        }
    }

    /// How many rights are in use, or promised to somebody who is about to use one.
    pub(crate) fn in_use(&self) -> usize {
        self.running + self.granted.len()
    }

    /// A free right, for somebody who does not wait.
    pub(crate) fn take(&mut self) -> Option<Turn> {
        if self.free() == 0 || (!self.queue.is_empty() && self.barges >= BARGES) {
            return None;
        }
        if !self.queue.is_empty() {
            self.barges += 1;
        }
        Some(self.run())
    }

    /// Somebody begins to wait, and looks at once what to do.
    pub(crate) fn join(&mut self, wake: W) -> Id {
        let id = self.next;
        self.next += 1;
        self.queue.push_back(Waiter { id, called: false, wake });
        id
    }

    /// A waiter asks what to do: when it has joined, when it was woken, when it comes back from the pool with nothing.
    pub(crate) fn look(&mut self, id: Id) -> (Look, Todo<W>) {
        let mut todo = Todo::nothing();
        if let Some(turn) = self.granted_to(id) {
            return (Look::Run(turn), todo);
        }
        let at = self.position(id);
        let leads = self.pooled && at == 0;
        if std::mem::take(&mut self.queue[at].called) {
            self.called -= 1;
            if self.free() > 0 {
                self.overtaken += u32::from(at > 0);
                self.remove(at, &mut todo);
                let turn = self.run();
                self.barges = 0;
                self.settle(&mut todo);
                return (Look::Run(turn), todo);
            }
            // It came for nothing; the next right is not left lying.
            self.barges = BARGES;
        }
        if leads {
            self.away = true;
            return (Look::Lead, todo);
        }
        (Look::Sleep, todo)
    }

    /// A waiter gives up, unless it was granted a right by now.
    pub(crate) fn leave(&mut self, id: Id) -> (Option<Turn>, Todo<W>) {
        let mut todo = Todo::nothing();
        let granted = self.granted_to(id);
        if granted.is_none() {
            self.remove(self.position(id), &mut todo);
            // It may have been called for a right.
            self.settle(&mut todo);
        }
        (granted, todo)
    }

    /// The leader comes back with a token.
    pub(crate) fn deliver(&mut self, id: Id, token: u8) -> (Turn, Todo<W>) {
        let mut todo = Todo::nothing();
        self.tokens.push(token);
        self.idle += 1;
        let turn = self.granted_to(id).unwrap_or_else(|| {
            self.remove(self.position(id), &mut todo);
            // The token's own turn: one that is under way goes on with somebody else.
            self.idle -= 1;
            self.running += 1;
            Turn::default()
        });
        self.settle(&mut todo);
        (turn, todo)
    }

    /// Somebody who does not wait has taken a token from the pool.
    pub(crate) fn add(&mut self, token: u8) -> (Turn, Todo<W>) {
        let mut todo = Todo::nothing();
        self.tokens.push(token);
        self.running += 1;
        self.settle(&mut todo);
        (Turn::default(), todo)
    }

    /// A job has ended. Whether the right's turn is over with it is asked only where it matters.
    pub(crate) fn release(&mut self, turn: Turn, is_over: impl FnOnce(Turn) -> bool) -> Todo<W> {
        let mut todo = Todo::nothing();
        self.running -= 1;
        if self.queue.is_empty() {
            self.idle += 1;
        } else if !is_over(turn) {
            self.warm.push(turn);
        } else if let Some(token) = self.tokens.pop() {
            todo.give.push(token);
        } else {
            self.idle += 1;
            self.barges = BARGES;
        }
        self.settle(&mut todo);
        todo
    }

    /// A right that was thought in use is free: it lay where only its last user would find it. A waiter that was
    /// called for it is about to look, or [`release`](State::release) and the like follow.
    pub(crate) fn found(&mut self, turn: Turn) {
        self.running -= 1;
        self.warm.push(turn);
    }

    /// Whether somebody was called and has not looked yet.
    pub(crate) fn is_called(&self) -> bool {
        self.called > 0
    }

    fn free(&self) -> usize {
        self.idle + self.warm.len()
    }

    /// Free rights go where the rules say: the end of all that frees a right or takes a waiter away.
    fn settle(&mut self, todo: &mut Todo<W>) {
        debug_assert_eq!(self.own + self.tokens.len(), self.free() + self.in_use(), "a right was lost or made");
        if self.queue.is_empty() {
            self.barges = 0;
            self.idle += self.warm.len();
            self.warm.clear();
            let back = self.tokens.split_off(self.tokens.len() - self.idle.min(self.tokens.len()));
            self.idle -= back.len();
            todo.give.extend(back);
            return;
        }
        if self.barges >= BARGES && self.free() > 0 {
            self.grant(todo);
        }
        while self.called < self.free().min(self.queue.len()) {
            let spared = usize::from(self.spares_leader());
            let others = self.queue.iter().skip(spared).position(|waiter| !waiter.called);
            self.call(others.map_or(0, |at| at + spared), todo);
        }
    }

    /// Whether others are called before the first in the queue.
    fn spares_leader(&self) -> bool {
        self.pooled && self.overtaken < OVERTAKES && self.queue.len() > 1
    }

    fn call(&mut self, at: usize, todo: &mut Todo<W>) {
        let waiter = &mut self.queue[at];
        if std::mem::replace(&mut waiter.called, true) {
            return;
        }
        self.called += 1;
        if at == 0 && self.away {
            todo.interrupt = true;
        } else {
            todo.wake.push(waiter.wake.clone());
        }
    }

    /// The first waiter gets a right.
    fn grant(&mut self, todo: &mut Todo<W>) {
        let at = usize::from(self.spares_leader());
        self.overtaken += u32::from(at > 0);
        self.call(at, todo);
        let id = self.queue[at].id;
        self.remove(at, todo);
        let turn = self.run();
        self.running -= 1;
        self.granted.push((id, turn));
        self.barges = 0;
    }

    /// Takes a free right into use; there is one.
    fn run(&mut self) -> Turn {
        self.running += 1;
        self.warm.pop().unwrap_or_else(|| {
            self.idle -= 1;
            Turn::default()
        })
    }

    fn granted_to(&mut self, id: Id) -> Option<Turn> {
        let at = self.granted.iter().position(|granted| granted.0 == id)?;
        self.running += 1;
        Some(self.granted.swap_remove(at).1)
    }

    /// Where a waiter stands.
    fn position(&self, id: Id) -> usize {
        let at = self.queue.iter().position(|waiter| waiter.id == id);
        at.expect("who waits is in the queue or was granted a right")
    }

    /// Takes a waiter out of the queue; if it led, the next one does.
    fn remove(&mut self, at: usize, todo: &mut Todo<W>) {
        let waiter = self.queue.remove(at);
        self.called -= usize::from(waiter.is_some_and(|waiter| waiter.called));
        if at > 0 || !self.pooled {
            return;
        }
        self.away = false;
        self.overtaken = 0;
        if let Some(next) = self.queue.front() {
            todo.wake.push(next.wake.clone());
        }
    }
}

impl<W> Todo<W> {
    pub(crate) fn nothing() -> Todo<W> {
        Todo { give: Vec::new(), wake: Vec::new(), interrupt: false }
    }
}
