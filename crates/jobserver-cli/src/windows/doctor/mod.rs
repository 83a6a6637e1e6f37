//! `jobserver doctor` on Windows: which semaphore counts, whether it can be opened, and which tools would meet in it.
//!
//! ```text
//! environment, semaphores, tools ─► Situation ─► rules (pure) ─► findings ─► a page, or JSON
//! ```
//!
//! As elsewhere it looks and does nothing else. How many tokens are free it does not say: only taking one would tell.

mod look;
mod print;
mod rules;

use std::io::Write;

use self::look::Situation;
use crate::report::say;
use crate::{cli, exit};

/// Something is wrong.
const WRONG: exit::Code = 1;

pub(crate) fn run(args: &cli::Doctor) -> exit::Code {
    let situation = Situation::find(&args.command);
    let findings = rules::all(&situation);
    let text = match args.json {
        true => print::json(&situation, &findings),
        false => print::for_people(&situation, &findings),
    };
    if let Err(error) = std::io::stdout().write_all(text.as_bytes()) {
        say(format_args!("what was found can't be written: {error}"));
        return exit::OURS;
    }
    match findings.iter().any(|finding| finding.is_problem) {
        true => WRONG,
        false => 0,
    }
}
