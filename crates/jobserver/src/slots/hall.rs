//! Where the threads of [`Slots`](super::Slots) wait: the lock around the state, sleeping and waking, and a short cut.
//!
//! Each waiter sleeps on a condition variable of its own, so that whoever releases wakes one thread; the leader waits in
//! the pool, and a waker calls it back. What the state asks for is done after the lock was let go: tokens first, since
//! other processes wait for them.
//!
//! The short cut: while a waiter was called and is on its way, a thread that releases leaves its right in a *lane* of
//! its own, and finds it there when it acquires again, without touching what other cores write to. Whoever takes the
//! lock first collects what lies in the lanes. Who leaves a right there looks at `coming` afterwards; who collects clears
//! `coming` before it searches the lanes; so either the search finds the right or its owner sees the flag cleared, takes
//! the right out again, and goes the long way. No right lies there while all who want one sleep.
//!
//! It knows the pool only as a [`Source`], and locks only as `sync`: a model checker has its own.

use std::io;
use std::time::{Duration, Instant};

use super::state::{Id, Look, Moment, State, Todo, Turn};
use super::sync::{
    fence_of_model, lane, Arc, AtomicBool, AtomicUsize, Condvar, Mutex, MutexGuard, Ordering, PoisonError, LANES,
    TURN_USES,
};

/// How long a right is used so at most, in microseconds. Longer jobs go through the pool each, where that costs them
/// nothing; and no other process waits longer than this for what short jobs save.
pub(crate) const TURN_TIME: Moment = 3000;

/// A turn that has seen so many jobs has short ones, and the clock is read after so many again: should they become long,
/// a few of them in a row go past the pool.
const CLOCK_EVERY: usize = 8;

/// The pool, as the hall needs it.
pub(crate) trait Source: Sized {
    /// What calls back who waits in the pool.
    type Waker;
    /// A waker that has not been used.
    fn waker(&self) -> io::Result<Self::Waker>;
    /// Ends the wait with `waker`, and all to come.
    fn wake(waker: &Self::Waker);
    /// Whether it was used.
    fn is_woken(waker: &Self::Waker) -> bool;
    /// Waits for a token; `None`: the deadline has passed or the waker was woken.
    fn take(&self, deadline: Option<Instant>, waker: &Self::Waker) -> io::Result<Option<u8>>;
    /// Takes a token that is there now.
    fn take_now(&self) -> io::Result<Option<u8>>;
    /// Gives tokens back.
    fn give(&self, tokens: &[u8]) -> io::Result<()>;
    /// Keeps the reason why tokens could not be given back, where whoever acquires is not to blame.
    fn keep_failure(&self, error: io::Error);
    /// The time, where there is a clock.
    fn now(&self) -> Option<Moment>;
}

pub(crate) struct Hall<S: Source> {
    inside: Mutex<Inside<S::Waker>>,
    /// Whether a waiter was called and has not come yet. Changed with `inside` locked.
    coming: AtomicBool,
    lanes: [Lane; LANES],
    source: Option<S>,
}

/// Room for one right. As large as what a processor fetches at once, so that no two of them share it.
#[repr(align(128))]
struct Lane {
    /// How often the right was used, at least once; [`EMPTY`]: none is here.
    uses: AtomicUsize,
    /// When its turn began; [`NO_CLOCK`]: not known. Written before `uses`. Where two threads share the lane it may be
    /// that of the other one's turn, which is as good: it only tells a turn that is too long.
    since: AtomicUsize,
}

const EMPTY: usize = 0;
const NO_CLOCK: usize = usize::MAX;

struct Inside<K> {
    state: State<Arc<Condvar>>,
    /// That of the last who led; the next one uses it as well, unless it was woken.
    waker: Option<Arc<K>>,
}

/// The hall by way of one lane. Rights hold one of these, and not the hall, whose count of references all cores would
/// write to at every job.
#[repr(align(128))]
pub(crate) struct Door<S: Source> {
    hall: Arc<Hall<S>>,
    lane: usize,
}

/// The right to run one job, to be ended by [`end`](Right::end).
#[must_use]
pub(crate) struct Right<S: Source> {
    door: Arc<Door<S>>,
    turn: Turn,
}

/// All doors of a hall: what a thread enters by.
pub(crate) struct Doors<S: Source>([Arc<Door<S>>; LANES]);

type Guard<'a, S> = MutexGuard<'a, Inside<<S as Source>::Waker>>;

impl<S: Source> Doors<S> {
    /// `own` rights that never leave, and those of `source`.
    pub(crate) fn new(own: usize, source: Option<S>) -> Doors<S> {
        Doors::of(Arc::new(Hall::new(own, source)))
    }

    /// Those of a hall that is there already.
    pub(crate) fn of(hall: Arc<Hall<S>>) -> Doors<S> {
        Doors(std::array::from_fn(|lane| Arc::new(Door { hall: hall.clone(), lane })))
    }

    pub(crate) fn hall(&self) -> &Arc<Hall<S>> {
        &self.0[0].hall
    }

    pub(crate) fn source(&self) -> Option<&S> {
        self.hall().source.as_ref()
    }

    pub(crate) fn in_use(&self) -> usize {
        let hall = self.hall();
        let inside = hall.enter();
        let count = inside.state.in_use();
        hall.finish_quietly(inside, Todo::nothing());
        count
    }

    /// A right that is free here or in the pool.
    pub(crate) fn take_now(&self) -> io::Result<Option<Right<S>>> {
        let door = &self.0[lane()];
        let turn = match door.hall.lanes[door.lane].take() {
            Some(turn) => Some(turn),
            None => door.hall.take_now()?,
        };
        Ok(turn.map(|turn| door.right(turn)))
    }

    /// Waits for a right; `None`: the deadline has passed.
    pub(crate) fn take(&self, deadline: Option<Instant>) -> io::Result<Option<Right<S>>> {
        let door = &self.0[lane()];
        let turn = match door.hall.lanes[door.lane].take() {
            Some(turn) => Some(turn),
            None => door.hall.take(deadline)?,
        };
        Ok(turn.map(|turn| door.right(turn)))
    }
}

impl<S: Source> Door<S> {
    fn right(self: &Arc<Self>, turn: Turn) -> Right<S> {
        let since = turn.since.or_else(|| self.hall.now());
        Right { door: self.clone(), turn: Turn { since, ..turn } }
    }
}

impl<S: Source> Right<S> {
    /// The job has ended. An error: a token could not be given back.
    pub(crate) fn end(self) -> io::Result<()> {
        self.release()
    }

    /// The same where nobody can be told.
    pub(crate) fn end_quietly(self) {
        if let Err(error) = self.release() {
            self.door.hall.keep_failure(error);
        }
    }

    fn release(&self) -> io::Result<()> {
        let Door { hall, lane } = &*self.door;
        let turn = Turn { uses: self.turn.uses + 1, ..self.turn };
        let turn = match hall.leave_in_lane(*lane, turn) {
            Some(turn) => turn,
            None => return Ok(()),
        };
        let mut inside = hall.enter();
        let todo = inside.state.release(turn, |turn| hall.is_over(turn));
        hall.finish(inside, todo)
    }
}

impl<S: Source> Hall<S> {
    fn new(own: usize, source: Option<S>) -> Hall<S> {
        Hall {
            inside: Mutex::new(Inside { state: State::new(own, source.is_some()), waker: None }),
            coming: AtomicBool::new(false),
            lanes: std::array::from_fn(|_| Lane::new()),
            source,
        }
    }

    fn take_now(&self) -> io::Result<Option<Turn>> {
        let mut inside = self.enter();
        let taken = inside.state.take();
        self.finish_quietly(inside, Todo::nothing());
        let source = match (taken, &self.source) {
            (None, Some(source)) => source,
            _ => return Ok(taken),
        };
        let Some(token) = source.take_now()? else { return Ok(None) };
        let mut inside = self.enter();
        let (turn, todo) = inside.state.add(token);
        self.finish_quietly(inside, todo);
        Ok(Some(turn))
    }

    fn take(&self, deadline: Option<Instant>) -> io::Result<Option<Turn>> {
        let mut inside = self.enter();
        if let Some(turn) = inside.state.take() {
            self.finish_quietly(inside, Todo::nothing());
            return Ok(Some(turn));
        }
        let bell = Arc::new(Condvar::new());
        let id = inside.state.join(bell.clone());
        loop {
            let (look, todo) = inside.state.look(id);
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            match look {
                Look::Run(turn) => {
                    self.finish_quietly(inside, todo);
                    return Ok(Some(turn));
                }
                Look::Lead => {
                    let result;
                    (inside, result) = self.lead(inside, deadline);
                    match result {
                        Ok(Some(token)) => {
                            let (turn, todo) = inside.state.deliver(id, token);
                            self.finish_quietly(inside, todo);
                            return Ok(Some(turn));
                        }
                        Ok(None) if left != Some(Duration::ZERO) => {}
                        Ok(None) => return Ok(self.leave(inside, id)),
                        Err(error) => return self.leave(inside, id).map(Some).ok_or(error),
                    }
                }
                Look::Sleep if left == Some(Duration::ZERO) => return Ok(self.leave(inside, id)),
                Look::Sleep => {
                    self.coming.store(inside.state.is_called(), Ordering::SeqCst);
                    inside = match left {
                        None => bell.wait(inside).unwrap_or_else(PoisonError::into_inner),
                        Some(left) => bell.wait_timeout(inside, left).unwrap_or_else(PoisonError::into_inner).0,
                    };
                    self.collect(&mut inside);
                }
            }
        }
    }

    /// Waits in the pool.
    fn lead<'a>(
        &'a self,
        mut inside: Guard<'a, S>,
        deadline: Option<Instant>,
    ) -> (Guard<'a, S>, io::Result<Option<u8>>) {
        let source = self.source.as_ref().expect("only in a pool somebody leads");
        let waker = match inside.waker.take().filter(|waker| !S::is_woken(waker)) {
            Some(waker) => waker,
            None => match source.waker() {
                Ok(waker) => Arc::new(waker),
                Err(error) => return (inside, Err(error)),
            },
        };
        inside.waker = Some(waker.clone());
        self.coming.store(inside.state.is_called(), Ordering::SeqCst);
        drop(inside);
        let result = source.take(deadline, &waker);
        (self.enter(), result)
    }

    /// Ends a wait, with the right that was granted by now.
    fn leave(&self, mut inside: Guard<'_, S>, id: Id) -> Option<Turn> {
        let (granted, todo) = inside.state.leave(id);
        self.finish_quietly(inside, todo);
        granted
    }

    fn finish_quietly(&self, inside: Guard<'_, S>, todo: Todo<Arc<Condvar>>) {
        if let Err(error) = self.finish(inside, todo) {
            self.keep_failure(error);
        }
    }

    fn keep_failure(&self, error: io::Error) {
        if let Some(source) = &self.source {
            source.keep_failure(error);
        }
    }

    /// Lets the state go and does what it asks for.
    fn finish(&self, inside: Guard<'_, S>, todo: Todo<Arc<Condvar>>) -> io::Result<()> {
        let waker = inside.waker.clone().filter(|_| todo.interrupt);
        debug_assert!(!self.coming.load(Ordering::SeqCst), "a right may lie in a lane that nobody searches");
        self.coming.store(inside.state.is_called(), Ordering::SeqCst);
        drop(inside);
        let given = match &self.source {
            Some(source) if !todo.give.is_empty() => source.give(&todo.give),
            _ => Ok(()),
        };
        for bell in todo.wake {
            bell.notify_one();
        }
        if let Some(waker) = waker {
            S::wake(&waker);
        }
        given
    }

    fn enter(&self) -> Guard<'_, S> {
        // What is guarded is whole at every step that may panic.
        let mut inside = self.inside.lock().unwrap_or_else(PoisonError::into_inner);
        self.collect(&mut inside);
        inside
    }

    /// What lies in the lanes comes to the state, and nothing comes into them until `coming` is set again.
    fn collect(&self, inside: &mut Guard<'_, S>) {
        if self.coming.swap(false, Ordering::SeqCst) {
            fence_of_model();
            for turn in self.lanes.iter().filter_map(Lane::take) {
                inside.state.found(turn);
            }
        }
    }

    /// `None`: the right was left there. Else it, or another one in its place, has to go the long way.
    fn leave_in_lane(&self, lane: usize, turn: Turn) -> Option<Turn> {
        // This look saves the clock where nobody waits; the one that counts is made when the right lies there.
        if !self.coming.load(Ordering::SeqCst) || self.is_over(turn) {
            return Some(turn);
        }
        let lane = &self.lanes[lane];
        let other = lane.put(turn);
        if other.is_some() {
            return other;
        }
        fence_of_model();
        if self.coming.load(Ordering::SeqCst) {
            return None;
        }
        // Empty by now: whoever cleared the flag has found it.
        lane.take()
    }

    fn now(&self) -> Option<Moment> {
        self.source.as_ref().and_then(Source::now)
    }

    fn is_over(&self, turn: Turn) -> bool {
        if turn.uses >= TURN_USES {
            return true;
        }
        // To read the clock costs as much as all the rest of the short cut.
        if turn.uses > CLOCK_EVERY && turn.uses % CLOCK_EVERY != 0 {
            return false;
        }
        let lasted = self.now().zip(turn.since).map(|(now, since)| now.wrapping_sub(since));
        lasted.is_some_and(|lasted| lasted >= TURN_TIME)
    }
}

impl Lane {
    fn new() -> Lane {
        Lane { uses: AtomicUsize::new(EMPTY), since: AtomicUsize::new(NO_CLOCK) }
    }

    fn take(&self) -> Option<Turn> {
        // To look costs less than to write.
        if self.uses.load(Ordering::SeqCst) == EMPTY {
            return None;
        }
        match self.uses.swap(EMPTY, Ordering::SeqCst) {
            EMPTY => None,
            uses => Some(self.turn(uses)),
        }
    }

    /// What lay there comes out.
    fn put(&self, turn: Turn) -> Option<Turn> {
        self.since.store(turn.since.unwrap_or(NO_CLOCK), Ordering::Relaxed);
        match self.uses.swap(turn.uses, Ordering::SeqCst) {
            EMPTY => None,
            uses => Some(self.turn(uses)),
        }
    }

    fn turn(&self, uses: usize) -> Turn {
        let since = self.since.load(Ordering::Relaxed);
        Turn { uses, since: (since != NO_CLOCK).then_some(since) }
    }
}
