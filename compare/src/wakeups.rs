//! How many sleepers one token wakes.
//!
//! 32 processes wait for tokens, each after one `try_acquire`. 1,000 tokens are released one at a time, the next one
//! only once the last was taken: whoever got it reports by a byte and waits again, and never gives it back. A process
//! that goes to sleep adds one to its voluntary context switches, so a token that wakes only the one who takes it
//! costs 1.0.

use std::fs;
use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::actor::{Actor, Running};
use crate::either::{Jobserver, Which};
use crate::pools::{Fifo, Pipe};
use crate::sys;
use testkit::procfs;

/// The processes that wait.
pub const WAITERS: usize = 32;
/// The tokens that are released.
pub const TOKENS: usize = 1000;

/// How the pool is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// `fifo:PATH`
    Fifo,
    /// `R,W`
    Pipe,
}

/// What the waiters wait with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// `acquire`, in the main thread.
    Acquire,
    /// The helper thread.
    Helper,
}

/// The wake-ups a token, of all waiters together.
///
/// `program` is an executable that runs [`wait`] for the scenarios `wait` and `wait-helper`.
pub fn measure(program: &str, which: Which, style: Style, way: Way) -> f64 {
    let (mut reports, report) = sys::pipe().unwrap();
    let fifo = Fifo::new(0);
    let pipe = Pipe::new(0);
    let scenario = match way {
        Way::Acquire => "wait",
        Way::Helper => "wait-helper",
    };
    let waiters: Vec<Running> = (0..WAITERS)
        .map(|_| {
            let actor = Actor::new(program, which, scenario).stdout(report.try_clone().unwrap());
            match style {
                Style::Fifo => actor.env("MAKEFLAGS", fifo.auth()).start(),
                Style::Pipe => pipe.give(actor).env("MAKEFLAGS", Pipe::auth()).start(),
            }
        })
        .collect();
    drop(report);
    let mut tokens = match style {
        Style::Fifo => &fifo.file,
        Style::Pipe => &pipe.write,
    };
    reports.read_exact(&mut [0; WAITERS]).unwrap();
    let before = settled(&waiters);
    for _ in 0..TOKENS {
        tokens.write_all(b"+").unwrap();
        reports.read_exact(&mut [0]).unwrap();
    }
    let after = settled(&waiters);
    (after - before) as f64 / TOKENS as f64
}

/// The body of a waiter: tries once, says that it is ready, and then takes whatever it gets.
pub fn wait<J: Jobserver>(way: Way) -> ! {
    let client = J::from_env(true).client.unwrap();
    assert!(client.try_acquire().unwrap().is_none());
    let report = || {
        let mut stdout = io::stdout().lock();
        stdout.write_all(b"!").unwrap();
        stdout.flush().unwrap();
    };
    match way {
        Way::Acquire => {
            report();
            loop {
                J::forget(client.acquire().unwrap());
                report();
            }
        }
        Way::Helper => {
            let helper = client
                .helper(move |token| {
                    J::forget(token.unwrap());
                    report();
                })
                .unwrap();
            for _ in 0..=TOKENS {
                J::request(&helper);
            }
            report();
            loop {
                std::thread::park();
            }
        }
    }
}

/// The switches of all waiters, once all their threads are asleep and stay so.
fn settled(waiters: &[Running]) -> u64 {
    let end = Instant::now() + Duration::from_secs(60);
    let mut last = u64::MAX;
    loop {
        let tasks: Vec<(u32, PathBuf)> = waiters.iter().flat_map(tasks).collect();
        let asleep = tasks.iter().all(|(_, stat)| is_asleep(stat));
        let tids = tasks.iter().map(|(pid, task)| {
            procfs::voluntary_switches(*pid, task.file_name().unwrap().to_string_lossy().parse().unwrap())
        });
        let count = tids.sum();
        if asleep && count == last {
            return count;
        }
        assert!(Instant::now() < end, "the waiters never came to rest");
        last = count;
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn tasks(waiter: &Running) -> Vec<(u32, PathBuf)> {
    let pid = waiter.pid();
    let entries = fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    entries.map(|entry| (pid, entry.unwrap().path())).collect()
}

fn is_asleep(task: &std::path::Path) -> bool {
    let stat = fs::read_to_string(task.join("stat")).unwrap();
    stat[stat.rfind(')').unwrap() + 1..].trim_start().starts_with('S')
}
