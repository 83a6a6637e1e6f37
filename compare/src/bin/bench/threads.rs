//! Threads of one process that want more tokens than there are: the time a token changes hands, whether each gets its
//! share (Jain's index: 1 if all get the same, 1/threads if one gets all), and the processor time.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::Barrier;
use std::time::Duration;

use crate::rounds::{self, Lane, Must, Row};
use crate::subject::{lanes, Subject};
use crate::sys;

/// All rows of this file.
pub(crate) fn run(rounds: usize) {
    // Longer rounds, fewer of them.
    let rounds = rounds.div_ceil(3);
    for threads in [2, 8, 64] {
        for tokens in [1, 2, 8] {
            let name = format!("{threads} threads, {tokens} tokens");
            let rows = [
                Row::ns(format!("{name}: a pair"), Must::Noise),
                Row::ns(format!("{name}: processor time of a pair"), Must::Noise),
                Row::number(format!("{name}: Jain"), "", Must::Nothing),
            ];
            rounds::run(rounds, &rows, lanes!(all: contend(threads, tokens)));
        }
    }
}

fn contend<S: Subject>(threads: usize, tokens: usize) -> Lane<'static> {
    let client = S::create(tokens).unwrap();
    // Longer with more threads: each should have had its turn.
    let window = Duration::from_millis(if threads > 8 { 40 } else { 15 });
    Lane::new(S::LANE, move || {
        let turn = || drop(client.acquire());
        let seen = compete(threads, window, &UNWATCHED, &turn);
        vec![seen.pair, seen.cpu, seen.jain]
    })
}

/// What competing threads did.
pub(crate) struct Seen {
    /// Nanoseconds of the clock a turn, of all threads together.
    pub(crate) pair: f64,
    /// Nanoseconds of the processors a turn.
    pub(crate) cpu: f64,
    pub(crate) jain: f64,
    /// How long the clock ran, and how much was added to the counter that was watched, in that time.
    pub(crate) time: f64,
    pub(crate) watched: f64,
}

/// A counter for who watches none.
pub(crate) static UNWATCHED: AtomicU64 = AtomicU64::new(0);

/// A count in a cache line of its own.
#[derive(Default)]
#[repr(align(128))]
struct Count(AtomicU64);

/// Lets `threads` threads take turns for a while.
pub(crate) fn compete(threads: usize, window: Duration, watch: &AtomicU64, turn: &(impl Fn() + Sync)) -> Seen {
    let counts: Vec<Count> = (0..threads).map(|_| Count::default()).collect();
    let (ready, stop) = (Barrier::new(threads + 1), AtomicBool::new(false));
    std::thread::scope(|scope| {
        for count in &counts {
            let (ready, stop) = (&ready, &stop);
            scope.spawn(move || {
                ready.wait();
                let mut turns = 0;
                while !stop.load(Ordering::Relaxed) {
                    turn();
                    turns += 1;
                    count.0.store(turns, Ordering::Relaxed);
                }
            });
        }
        ready.wait();
        let (start, cpu, watched) = (sys::now(), sys::cpu(), watch.load(Ordering::Relaxed));
        std::thread::sleep(window);
        let (time, cpu, watched) = (sys::now() - start, sys::cpu() - cpu, watch.load(Ordering::Relaxed) - watched);
        let turns: Vec<f64> = counts.iter().map(|count| count.0.load(Ordering::Relaxed) as f64).collect();
        stop.store(true, Ordering::Relaxed);
        let all = turns.iter().sum::<f64>().max(1.0);
        let time = time as f64;
        Seen { pair: time / all, cpu: cpu as f64 / all, jain: jain(&turns), time, watched: watched as f64 }
    })
}

fn jain(shares: &[f64]) -> f64 {
    let sum: f64 = shares.iter().sum();
    let squares: f64 = shares.iter().map(|share| share * share).sum();
    if squares == 0.0 {
        1.0
    } else {
        sum * sum / (shares.len() as f64 * squares)
    }
}
