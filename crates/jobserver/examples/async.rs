//! Jobs as tasks: each awaits a slot, runs, and gives it back. Any runtime will do; this is smol.
//!
//! Alone it makes a pool of its own; under make it joins make's (before make 4.4 by the `+` alone):
//! `printf 'all:\n\t+@cargo run -q -p jobserver --example async\n' | make -j3 -f -`
use std::{io, sync::Arc};

use jobserver::Client;
use smol::{future, lock::Mutex, process::Command};

pub(crate) async fn run(job: String, own: Arc<Mutex<()>>, client: Client) -> io::Result<String> {
    // Whichever is free first: the slot that every process has from birth, or a token of the pool. The other of the
    // two futures is dropped, which gives up its place.
    let slot = future::or(async { Ok((Some(own.lock().await), None)) }, async {
        client.acquire_async().await.map(|token| (None, Some(token)))
    });
    let slot = slot.await?;
    let status = Command::new("sh").args(["-c", &job]).status().await?;
    drop(slot);
    Ok(format!("{job}: {status}"))
}

fn main() -> io::Result<()> {
    let client = Client::connect().or_else(|_| Client::new(2))?;
    let own = Arc::new(Mutex::new(()));
    let jobs = (1..=6).map(|n| smol::spawn(run(format!("sleep 0.{n}"), own.clone(), client.clone())));
    let jobs: Vec<_> = jobs.collect();
    smol::block_on(async {
        for job in jobs {
            println!("{}", job.await?);
        }
        Ok(())
    })
}
