//! The commands given as arguments as tasks: each awaits a slot, runs, and gives it back. Any runtime will do; this is
//! smol.
//!
//! Alone it makes a pool of its own; under make it joins make's (before make 4.4 by the `+` alone):
//! `printf 'all:\n\t+@cargo run -q -p jobserver --example async "sleep 1" "sleep 2"\n' | make -j2 -f -`
use std::{io, sync::Arc};

use jobserver::Client;
use smol::{future, lock::Mutex, process::Command};

async fn run(job: String, own: Arc<Mutex<()>>, client: Client) -> io::Result<String> {
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
    let client = Client::connect().or_else(|_| Client::new(1))?;
    let own = Arc::new(Mutex::new(()));
    let start = |job| smol::spawn(run(job, own.clone(), client.clone()));
    let jobs: Vec<_> = std::env::args().skip(1).map(start).collect();
    smol::block_on(async {
        for job in jobs {
            println!("{}", job.await?);
        }
        Ok(())
    })
}
