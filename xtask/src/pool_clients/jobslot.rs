//! The smallest client of the crate jobslot 0.2.24, which takes named pipes only, and nothing that isn't one.

use std::path::PathBuf;

use anyhow::Result;

use crate::context::{write, Context};

const MANIFEST: &str = "[package]\nname = \"jobslot-client\"\nversion = \"0.0.0\"\nedition = \"2021\"\n\n\
    [workspace]\nresolver = \"3\"\n\n[dependencies]\njobslot = \"=0.2.24\"\n";

const PROGRAM: &str = r#"use std::{process::Command, sync::Mutex, thread};

fn job(number: usize) {
    let status = Command::new("./job").arg(number.to_string()).arg(format!("out/{number}")).status();
    assert!(status.expect("./job").success());
}

fn main() {
    let jobs = std::env::args().nth(1).expect("how many jobs").parse().expect("a number");
    // SAFETY: nothing was opened or closed before.
    let pool = unsafe { jobslot::Client::from_env() }.expect("a jobserver");
    let waiting = Mutex::new(1..=jobs);
    let next = || waiting.lock().unwrap().next();
    thread::scope(|scope| {
        // In the slot that is ours.
        scope.spawn(|| while let Some(number) = next() { job(number) });
        loop {
            let token = pool.acquire().expect("a token");
            let Some(number) = next() else { break };
            scope.spawn(move || {
                job(number);
                drop(token);
            });
        }
    });
}
"#;

/// Builds it; returns where it is.
pub(super) fn build(context: &Context) -> Result<PathBuf> {
    let package = context.scratch("jobslot-client")?;
    write(&package.join("Cargo.toml"), MANIFEST)?;
    write(&package.join("src/main.rs"), PROGRAM)?;
    context.cargo_in(&package, 10, &["build", "--quiet"]).run()?;
    Ok(package.join("target/debug/jobslot-client"))
}
