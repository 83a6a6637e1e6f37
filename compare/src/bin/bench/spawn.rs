//! Starting a child that gets the pool, from a process that has touched much memory: the time until `spawn` returns.
//!
//! 0.1.35 hands its pipe over in `pre_exec`, for which the standard library has to fork, and a fork copies the page
//! tables; a child that opens a named pipe by itself needs none. The memory is in pages of 4 KiB, as that of a heap.

use std::process::{Command, Stdio};

use jobserver::Server;

use crate::rounds::{self, Lane, Must, Row};
use crate::subject::{Again, Crate, Ours, Upstream};
use crate::sys;

/// All rows of this file.
pub(crate) fn run(rounds: usize) {
    for (mebibytes, at_most, most) in [(1, 51, 0.8), (200, 21, f64::INFINITY), (2048, 9, 0.02)] {
        let mut memory = vec![0u8; mebibytes << 20];
        sys::no_huge_pages(&mut memory);
        memory.iter_mut().step_by(4096).for_each(|byte| *byte = 1);
        std::hint::black_box(&mut memory);
        let rounds = rounds.min(at_most);

        let server = Server::builder().slots(4).fifo().build().unwrap();
        let client = server.client();
        let served = Lane::new("ours", move || {
            let _keep = &server;
            vec![start(|command| client.configure(command))]
        });
        let must = if most.is_finite() { Must::Ratio(most) } else { Must::Noise };
        let row = Row::us(format!("spawn with {mebibytes} MiB, our FIFO server"), must);
        let row = if most.is_finite() { row.headline() } else { row };
        rounds::run(rounds, &[row], vec![served, own::<Upstream>(), own::<Again>(), bare()]);

        let row = Row::us(format!("spawn with {mebibytes} MiB, our Client::new"), Must::Noise);
        rounds::run(rounds, &[row], vec![own::<Ours>(), own::<Upstream>(), own::<Again>(), bare()]);
        drop(memory);
    }
}

/// A pool of one's own, the same in all crates.
fn own<C: Crate>() -> Lane<'static> {
    let client = C::create(3).unwrap();
    Lane::new(C::LANE, move || vec![start(|command| client.configure(command))])
}

/// No pool at all.
fn bare() -> Lane<'static> {
    Lane::new("floor", || vec![start(|_| {})])
}

fn start(configure: impl Fn(&mut Command)) -> f64 {
    let start = sys::now();
    let mut command = Command::new("/bin/true");
    configure(&mut command);
    let child = command.stdin(Stdio::null()).spawn();
    let time = sys::now() - start;
    assert!(child.unwrap().wait().unwrap().success());
    time as f64
}
