//! Runs the commands given as arguments side by side: in make's slots under make, in four without it.
//!
//! `cargo run --example slots -- 'cc -c a.c' 'cc -c b.c'`

use std::process::{Command, ExitCode};
use std::thread;

use jobserver::Slots;

fn main() -> ExitCode {
    let slots = Slots::from_env_or(4);
    if let Some(error) = slots.jobserver_error() {
        eprintln!("warning: {error}");
    }
    let all_well = thread::scope(|scope| {
        let mut jobs = Vec::new();
        for line in std::env::args().skip(1) {
            // Here, before the thread is made: as many threads as slots, and not as jobs.
            let slot = slots.acquire().expect("the jobserver can be read");
            jobs.push(scope.spawn(move || {
                let status = Command::new("sh").args(["-c", &line]).status();
                drop(slot);
                status.is_ok_and(|status| status.success())
            }));
        }
        jobs.into_iter().all(|job| job.join().unwrap())
    });
    ExitCode::from(u8::from(!all_well))
}
