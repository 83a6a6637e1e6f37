//! `jobserver doctor`: why a build is, or is not, in a pool.
//!
//! ```text
//! environment, descriptors, files, tools ─► Situation ─► rules (pure) ─► findings ─► a page, or JSON
//! ```
//!
//! It looks and leaves nothing: no token is taken, no flag changed, what is made to see whether it can be is removed at once, and of the tools only `--version` is asked. The
//! command that is asked about is never run.

mod channel;
mod finding;
mod holders;
mod machine;
mod outlook;
mod print;
mod recipe;
mod rules;
mod served;
mod situation;
mod tools;
mod variables;

use std::io::Write;

use crate::report::say;
use crate::{cli, exit};

use finding::Severity;
use situation::Situation;

/// Something is wrong.
const WRONG: u8 = 1;

pub(crate) fn run(args: &cli::Doctor) -> u8 {
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
    match findings.iter().any(|finding| finding.severity == Severity::Problem) {
        true => WRONG,
        false => 0,
    }
}
