//! Joins the jobserver of the environment and says how many jobs it leaves room for now, or why there is none to join.
//!
//! `printf 'all:\n\t+@cargo run -q -p jobserver --example connect\n' | make -j3 -f -`

use std::process::ExitCode;

use jobserver::Client;

fn main() -> ExitCode {
    let client = match Client::connect() {
        Ok(client) => client,
        Err(error) => {
            // Not a failure: jobs can run one after the other.
            println!("room for 1 job: {error}");
            return ExitCode::SUCCESS;
        }
    };
    match client.try_acquire_many(64) {
        // One more than tokens: every process has a slot of its own from birth, which no token stands for.
        Ok(tokens) => println!("room for {} jobs", 1 + tokens.len()),
        Err(error) => {
            eprintln!("error: {error}");
            return ExitCode::FAILURE;
        }
    }
    // The tokens went back when they were dropped. One that could not would be missed by all who share the pool.
    match client.take_release_error() {
        None => ExitCode::SUCCESS,
        Some(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
