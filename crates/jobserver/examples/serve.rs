//! Runs a command with a pool of slots for all that it starts, and says whether every token came back.
//!
//! `cargo run -p jobserver --example serve -- 4 make`. With `--fifo` before the number the pool is a named pipe, which
//! reaches further than inherited descriptors: make 4.4, ninja 1.13 and later.

use std::error::Error;
use std::process::{Command, ExitCode};

use jobserver::Server;

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let mut args = std::env::args().skip(1).peekable();
    let mut builder = Server::builder();
    if args.next_if_eq("--fifo").is_some() {
        builder = builder.fifo();
    }
    let (Some(slots), Some(program)) = (args.next(), args.next()) else {
        return Err("usage: serve [--fifo] SLOTS COMMAND...".into());
    };
    let server = builder.slots(slots.parse()?).build()?;
    let mut command = Command::new(program);
    server.join_make(command.args(args))?;
    let status = command.status()?;
    // Only now: a client that still runs has its tokens by right.
    let balance = server.balance()?;
    println!("{} of {} tokens are in the pool", balance.free, balance.tokens);
    // A command that was ended by a signal has no code.
    Ok(status.code().and_then(|code| u8::try_from(code).ok()).map_or(ExitCode::FAILURE, ExitCode::from))
}
