//! Nobody else is there: what a token costs by itself, one or several at a time, and what a pool costs to make.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use compare::pools;

use crate::rounds::{self, Lane, Must, Row};
use crate::subject::{lanes, Again, Ours, Pool, Raw, Subject, Upstream};
use crate::sys;

/// A long time, for waits that never happen.
const LONG: Duration = Duration::from_secs(3600);

/// All rows of this file.
pub(crate) fn run(rounds: usize) {
    let pair = || Must::Ratio(1.03);
    rounds::run(
        rounds,
        &[Row::ns("acquire and release, pool of one's own (pipe)", pair()).headline()],
        lanes!(all: pair_own()),
    );
    let fifos: Vec<pools::Fifo> = (0..4).map(|_| pools::Fifo::new(4)).collect();
    let mut each = fifos.iter().map(|fifo| Pool::Fifo(fifo.path()));
    let mut next = || each.next().unwrap();
    let joined =
        vec![pair_in::<Ours>(next()), pair_in::<Upstream>(next()), pair_in::<Again>(next()), pair_in::<Raw>(next())];
    rounds::run(rounds, &[Row::ns("acquire and release, FIFO", pair()).headline()], joined);
    let pipes: Vec<pools::Pipe> = (0..4).map(|_| pools::Pipe::new(4)).collect();
    let mut each = pipes.iter().map(|pipe| Pool::Ends(&pipe.read, &pipe.write));
    let mut next = || each.next().unwrap();
    let joined =
        vec![pair_in::<Ours>(next()), pair_in::<Upstream>(next()), pair_in::<Again>(next()), pair_in::<Raw>(next())];
    rounds::run(rounds, &[Row::ns("acquire and release, inherited R,W", pair())], joined);

    for (name, tokens) in [("try_acquire, hit, and release", 1), ("try_acquire, miss", 0)] {
        rounds::run(rounds, &[Row::ns(name, Must::Noise)], lanes!(all: tries(tokens)));
    }
    timed(rounds);
    ready_future(rounds);
    batch(rounds);
    for limit in [8, 10_000, 60_000, 65_536, 1_000_000] {
        creation(rounds, limit);
    }
}

fn pair_own<S: Subject>() -> Lane<'static> {
    let client = S::create(4).unwrap();
    Lane::repeated(S::LANE, move || drop(client.acquire()))
}

fn pair_in<S: Subject>(pool: Pool<'_>) -> Lane<'static> {
    let client = S::join(pool);
    Lane::repeated(S::LANE, move || drop(client.acquire()))
}

fn tries<S: Subject>(tokens: usize) -> Lane<'static> {
    let fifo = pools::Fifo::new(tokens);
    let client = S::join(Pool::Fifo(fifo.path()));
    Lane::repeated(S::LANE, move || {
        let _keep = &fifo;
        assert_eq!(client.try_acquire().is_some(), tokens > 0);
    })
}

/// A free token with a deadline that does not matter, against our own plain acquire.
fn timed(rounds: usize) {
    let Ours(client) = Ours::create(4).unwrap();
    let timed = Lane::repeated("ours", move || drop(client.acquire_timeout(LONG).unwrap().unwrap()));
    let row = Row::ns("acquire_timeout of a free token, against our own acquire", Must::Ratio(1.1)).headline();
    rounds::run(rounds, &[row], vec![timed, plain("base"), plain("again"), pair_own::<Raw>()]);
}

/// A future that is ready at once, against our own plain acquire.
fn ready_future(rounds: usize) {
    let Ours(client) = Ours::create(4).unwrap();
    let future = Lane::repeated("ours", move || {
        let future = pin!(client.acquire_async());
        match future.poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(token) => drop(token.unwrap()),
            Poll::Pending => unreachable!("a token is free"),
        }
    });
    let row = Row::ns("acquire_async of a free token, against our own acquire", Must::Noise);
    rounds::run(rounds, &[row], vec![future, plain("base"), plain("again"), pair_own::<Raw>()]);
}

fn plain(name: &'static str) -> Lane<'static> {
    let Ours(client) = Ours::create(4).unwrap();
    Lane::repeated(name, move || drop(client.acquire().unwrap()))
}

/// Eight tokens there and back, the cost of one.
fn batch(rounds: usize) {
    const SIZE: usize = 8;
    fn one_by_one<S: Subject>() -> Lane<'static> {
        let client = S::create(SIZE).unwrap();
        let mut held = Vec::with_capacity(SIZE);
        per_token(S::LANE, move || {
            held.extend((0..SIZE).map(|_| client.acquire()));
            held.clear();
        })
    }
    fn per_token<'a>(name: &'static str, work: impl FnMut() + 'a) -> Lane<'a> {
        let mut lane = Lane::repeated(name, work);
        Lane::new(name, move || (lane.round)().into_iter().map(|time| time / SIZE as f64).collect())
    }
    let Ours(client) = Ours::create(SIZE).unwrap();
    let ours = per_token("ours", move || {
        let batch = client.acquire_up_to(SIZE).unwrap();
        assert_eq!(batch.len(), SIZE);
    });
    let raw = Raw::create(SIZE).unwrap();
    let floor = per_token("floor", move || raw.batch(SIZE));
    let row = Row::ns("a token of 8: acquire_up_to(8), against eight acquires", Must::Ratio(0.2)).headline();
    rounds::run(rounds, &[row], vec![ours, one_by_one::<Upstream>(), one_by_one::<Again>(), floor]);
}

fn creation(rounds: usize, limit: usize) {
    fn create<S: Subject>(limit: usize) -> Lane<'static> {
        Lane::new(S::LANE, move || {
            // Making is timed and dropping is not: eight in a row, for the clock's sake.
            let start = sys::own_cpu();
            let made: Vec<S> = (0..8).map(|_| S::create(limit).unwrap()).collect();
            let time = (sys::own_cpu() - start) as f64 / 8.0;
            drop(made);
            vec![time]
        })
    }
    let name = format!("Client::new({limit})");
    if let Err(error) = Upstream::create(limit) {
        Ours::create(limit).unwrap();
        return rounds::cannot(&name, "base", &error.to_string());
    }
    let must = if limit == 60_000 { Must::Ratio(0.15) } else { Must::Noise };
    let row = Row::us(name, must);
    let row = if limit == 60_000 { row.headline() } else { row };
    rounds::run(rounds, &[row], lanes!(all: create(limit)));
}
