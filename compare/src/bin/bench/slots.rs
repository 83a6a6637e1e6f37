//! `Slots` beside what a program on 0.1.35 does: take a token for each job.
//!
//! Both may run two jobs at once: `Slots` has the implicit one and a token, 0.1.35 has two tokens. Threads hand a slot
//! over inside the process, which costs no system call, and still have to leave the token to other processes.

use std::io::{Read, Write};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use compare::pools::Fifo;
use jobserver::Slots;

use crate::rounds::{self, Lane, Must, Row};
use crate::subject::{Again, Ours, Pool, Subject, Upstream};
use crate::sys;
use crate::threads::{compete, UNWATCHED};

/// How long a job lasts, in nanoseconds, where it lasts at all.
const HOLD: u64 = 20_000;
const SHORT: Duration = Duration::from_millis(30);
const LONG: Duration = Duration::from_millis(80);
/// Who releases may acquire again before a waiter has come, so a turn of 64 threads takes some 80 ms.
const TURNS: Duration = Duration::from_millis(400);

/// All rows of this file.
pub(crate) fn run(rounds: usize) {
    let cases = [
        (8, 0, SHORT, "8 threads over 2 slots, no hold", Must::Ratio(0.1)),
        // 0.95 of the pairs a second.
        (8, HOLD, SHORT, "8 threads over 2 slots, 20 us of hold", Must::Ratio(1.0 / 0.95)),
        (64, 0, LONG, "64 threads over 2 slots, no hold", Must::Noise),
        (64, HOLD, TURNS, "64 threads over 2 slots, 20 us of hold", Must::Noise),
    ];
    for (threads, hold, window, name, must) in cases {
        let fair = if threads == 64 { Must::ValueAtLeast(0.9) } else { Must::Nothing };
        let rows = [
            Row::ns(format!("Slots, {name}: a pair"), must),
            Row::ns(format!("Slots, {name}: processor time of a pair"), Must::Noise),
            Row::number(format!("Slots, {name}: Jain"), "", fair),
        ];
        let rows = rows.map(|row| if matches!(row.must, Must::Ratio(_)) { row.headline() } else { row });
        let rounds = if window == SHORT { rounds.div_ceil(2).max(11) } else { rounds.div_ceil(8) };
        let lanes = vec![
            slots(threads, hold, window),
            tokens::<Upstream>(threads, hold, window),
            tokens::<Again>(threads, hold, window),
        ];
        rounds::run(rounds, &rows, lanes);
    }
    for (threads, must) in [(8, Must::ValueAtLeast(0.35)), (1, Must::Nothing)] {
        let name =
            format!("Slots, 8 threads, 20 us of hold: a second process ({threads} threads): its share of the token");
        let row = Row::number(name, "", must);
        let row = if threads == 8 { row.headline() } else { row };
        rounds::run(
            rounds.div_ceil(6),
            &[row],
            vec![beside_slots(threads), beside::<Upstream>(threads), beside::<Again>(threads)],
        );
    }
}

fn slots(threads: usize, hold: u64, window: Duration) -> Lane<'static> {
    let Ours(client) = Ours::create(1).unwrap();
    let slots = Slots::new(client);
    contend("ours", threads, window, move || {
        let _slot = slots.acquire().unwrap();
        sys::work(hold);
    })
}

fn tokens<S: Subject>(threads: usize, hold: u64, window: Duration) -> Lane<'static> {
    let client = S::create(2).unwrap();
    contend(S::LANE, threads, window, move || {
        let _token = client.acquire();
        sys::work(hold);
    })
}

fn contend(name: &'static str, threads: usize, window: Duration, turn: impl Fn() + Sync + 'static) -> Lane<'static> {
    Lane::new(name, move || {
        let seen = compete(threads, window, &UNWATCHED, &turn);
        vec![seen.pair, seen.cpu, seen.jain]
    })
}

/// A pool of one token; this process wants it in eight threads, for its `Slots`.
fn beside_slots(threads: usize) -> Lane<'static> {
    let fifo = Fifo::new(1);
    let slots = Slots::new(Ours::join(Pool::Fifo(fifo.path())).0);
    share("ours", fifo, threads, move || {
        let _slot = slots.acquire().unwrap();
        sys::work(HOLD);
    })
}

/// The same with a token for each job.
fn beside<S: Subject>(threads: usize) -> Lane<'static> {
    let fifo = Fifo::new(1);
    let client = S::join(Pool::Fifo(fifo.path()));
    share(S::LANE, fifo, threads, move || {
        let _token = client.acquire();
        sys::work(HOLD);
    })
}

/// How much of the time a process on 0.1.35 held the token that it had to share with us.
fn share(name: &'static str, fifo: Fifo, threads: usize, turn: impl Fn() + Sync + 'static) -> Lane<'static> {
    Lane::new(name, move || {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.arg("hungry").arg(fifo.path()).arg(threads.to_string());
        let mut rival = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (mut start, mut said) = (rival.stdin.take().unwrap(), rival.stdout.take().unwrap());
        said.read_exact(&mut [0]).unwrap();
        start.write_all(b"!").unwrap();
        // Longer than the rival, which measures while both are there.
        compete(8, LONG + LONG / 2, &UNWATCHED, &turn);
        let mut share = String::new();
        said.read_to_string(&mut share).unwrap();
        assert!(rival.wait().unwrap().success());
        vec![share.parse().unwrap()]
    })
}

/// The body of the other process: `bench hungry PATH THREADS`.
pub(crate) fn hungry(arguments: &[&str]) {
    sys::end_with_parent();
    let [path, threads] = arguments else { panic!("bench hungry PATH THREADS") };
    let client = Upstream::join(Pool::Fifo(path.as_ref()));
    let held = AtomicU64::new(0);
    let mut stdout = std::io::stdout();
    stdout.write_all(b"!").unwrap();
    stdout.flush().unwrap();
    std::io::stdin().read_exact(&mut [0]).unwrap();
    let turn = || {
        let token = client.acquire();
        let start = sys::now();
        sys::work(HOLD);
        held.fetch_add(sys::now() - start, Ordering::Relaxed);
        drop(token);
    };
    let seen = compete(threads.parse().unwrap(), LONG, &held, &turn);
    print!("{}", seen.watched / seen.time);
}
