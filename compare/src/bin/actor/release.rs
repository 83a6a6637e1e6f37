//! Giving a token back when the pipe is full, or when signals come.

use std::fs::OpenOptions;
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::sync::atomic::{AtomicUsize, Ordering};

use compare::either::Jobserver;
use compare::sys;
use testkit::procfs;

/// Gives one token back while the pipe is full to the last byte; `drained`: another thread makes room as soon as this
/// one waits, else nobody does.
pub(crate) fn full<J: Jobserver>(arguments: &[&str]) -> String {
    let client = J::from_env(true).client.unwrap();
    let free = client.available().unwrap();
    let token = client.acquire().unwrap();
    let main = sys::tid();
    std::thread::scope(|scope| {
        if arguments == ["drained"] {
            scope.spawn(|| {
                // Upstream never waits, and so ends before.
                while procfs::state(main) != 'S' {
                    std::thread::yield_now();
                }
                for _ in 1..free {
                    client.acquire_raw().unwrap();
                }
            });
        }
        drop(token);
    });
    let lost = match arguments {
        ["drained"] => 1 - client.available().unwrap() as isize,
        _ => (free - client.available().unwrap()) as isize,
    };
    let error = client.take_release_error().map(|error| error.kind());
    format!("{lost} lost, error kept: {error:?}")
}

/// A FIFO of one page is full: gives a token back, `arguments[1]` times, while signals interrupt the wait until somebody
/// makes room. `arguments[0]` is the FIFO.
pub(crate) fn signals<J: Jobserver>(arguments: &[&str]) -> String {
    let times: usize = arguments[1].parse().unwrap();
    let client = J::from_env(true).client.unwrap();
    let all = client.available().unwrap();
    sys::count_signals().unwrap();
    let main = sys::tid();
    // 3n: the main thread takes a token; 3n + 1: it gives it back; 3n + 2: the other one puts back what it drained.
    let turn = AtomicUsize::new(0);
    let wait_for = |phase: usize| {
        while turn.load(Ordering::SeqCst) < phase {
            std::thread::yield_now();
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut options = OpenOptions::new();
            let mut fifo = options.read(true).write(true).custom_flags(libc::O_NONBLOCK).open(arguments[0]).unwrap();
            let mut tokens = vec![0; all];
            for round in 0..times {
                let giving = 3 * round + 1;
                wait_for(giving);
                let gives = || turn.load(Ordering::SeqCst) == giving;
                // Until it waits, or has given up and lost the token.
                while gives() && procfs::state(main) != 'S' {
                    std::thread::yield_now();
                }
                let before = sys::signals();
                while gives() && sys::signals() == before {
                    sys::interrupt(main);
                    std::thread::yield_now();
                }
                let count = fifo.read(&mut tokens).unwrap();
                wait_for(giving + 1);
                fifo.write_all(&tokens[..count]).unwrap();
                turn.store(giving + 2, Ordering::SeqCst);
            }
        });
        for round in 0..times {
            wait_for(3 * round);
            let token = client.acquire().unwrap();
            turn.store(3 * round + 1, Ordering::SeqCst);
            drop(token);
            turn.store(3 * round + 2, Ordering::SeqCst);
        }
    });
    wait_for(3 * times);
    let lost = all - client.available().unwrap();
    assert!(client.take_release_error().is_none());
    assert!(sys::signals() > 0);
    format!("{lost} lost")
}

/// Takes one token and gives it back.
pub(crate) fn give_back<J: Jobserver>() -> String {
    let client = J::from_env(true).client.unwrap();
    let free = client.available().unwrap();
    drop(client.acquire().unwrap());
    let lost = free - client.available().unwrap();
    format!("{lost} lost, error kept: {:?}", client.take_release_error().map(|error| error.kind()))
}
